//! Buckets for the tests of s3-public-bucket.

use crate::{HOME, event, fresh};
use http::Method;
use lab::Lab;
use lab::http::ApiResponse;
use serde_json::{Value, json};

/// The function.
pub const FUNCTION: &str = "s3-public-bucket";
/// A block's settings.
pub const SETTINGS: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
/// A website's configuration.
pub const WEBSITE: &str =
    "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
/// A new bucket that nobody saw made.
pub async fn bucket(lab: &Lab, stem: &str) -> String {
    let name = fresh(stem);
    lab.quiet_client(HOME).must(Method::PUT, &format!("/{name}"), "").await.unwrap();
    name
}

/// The same without its public access block.
pub async fn open_bucket(lab: &Lab, stem: &str) -> String {
    let name = bucket(lab, stem).await;
    quietly(lab, Method::DELETE, &format!("/{name}?publicAccessBlock"), "").await;
    name
}

/// A website that everybody reads, without a block.
pub async fn website(lab: &Lab) -> String {
    let name = open_bucket(lab, "website").await;
    quietly(lab, Method::PUT, &format!("/{name}?website"), WEBSITE).await;
    quietly(lab, Method::PUT, &format!("/{name}?policy"), &public_policy(&name)).await;
    name
}

/// A call that leaves no trace and must succeed.
pub async fn quietly(lab: &Lab, method: Method, target: &str, body: &str) -> ApiResponse {
    lab.quiet_client(HOME).must(method, target, body.to_owned()).await.unwrap()
}

/// A policy that lets everybody read.
pub fn public_policy(bucket: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "TheMarkOfThePolicy", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*"),
    }]})
    .to_string()
}

/// A block with these settings on and the others left out.
pub fn block(on: &[&str]) -> String {
    let settings: Vec<_> = on.iter().map(|name| format!("<{name}>true</{name}>")).collect();
    format!("<PublicAccessBlockConfiguration>{}</PublicAccessBlockConfiguration>", settings.concat())
}

/// The settings of a bucket's block that are on, read past everything; none if it has no block.
pub async fn settings(lab: &Lab, bucket: &str) -> Option<Vec<&'static str>> {
    let target = format!("/{bucket}?publicAccessBlock");
    let answer = lab.quiet_client(HOME).s3(Method::GET, &target, "").await.unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let on = |name: &&&str| text.contains(&format!("<{name}>true</{name}>"));
    (answer.status == 200).then(|| SETTINGS.iter().filter(on).copied().collect())
}

/// An event of `events/` about this bucket instead.
pub fn about(name: &str, bucket: &str) -> Value {
    let text = event(FUNCTION, name).to_string();
    serde_json::from_str(&text.replace("clinic-scans", bucket).replace("partner-exports", bucket)).unwrap()
}
