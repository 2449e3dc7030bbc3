//! Buckets for the tests of the S3 controls, and what is read of them past everything.

use crate::{ACCOUNT, HOME, calls, event, faults, fresh, invoke, last_record};
use http::{Method, StatusCode};
use lab::Lab;
use lab::http::{ApiRequest, ApiResponse, Upstream};
use lab::runtime::Report;
use serde_json::{Value, json};

/// The function that puts a bucket's public access block back.
pub const FUNCTION: &str = "s3-public-bucket";
/// Tags of a bucket that holds health data.
pub const PHI: &str = "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>phi</Value></Tag></TagSet></Tagging>";
/// Everybody, as a grantee.
pub const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
/// Everybody who has an AWS account.
pub const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
/// S3's writers of access logs.
pub const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
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

/// An event of `events/s3-public-bucket` about this bucket instead.
pub fn about(name: &str, bucket: &str) -> Value {
    event_about(FUNCTION, name, bucket)
}

/// An event of a control's folder of `events/` about this bucket instead.
pub fn event_about(control: &str, name: &str, bucket: &str) -> Value {
    let text = event(control, name).to_string();
    serde_json::from_str(&text.replace("clinic-scans", bucket).replace("partner-exports", bucket)).unwrap()
}

/// What a person sends who wants one resource fixed.
pub fn fix(resource: &str) -> Value {
    json!({"resource": resource, "mode": "enforce"})
}

/// What a person sends who wants a fix taken back.
pub fn undo(record: &Value) -> Value {
    json!({"mode": "undo", "record": record})
}

/// What an invocation costs: its outcome, its calls in alphabetical order, and how many of them had to wait for one another.
/// Every call is slow meanwhile, so that those which are made beside each other are seen to be; so the lab is not shared.
pub async fn cost(lab: &Lab, function: &str, event: &Value) -> (String, Vec<String>, usize) {
    faults(lab, &["*:*=latency:60"]);
    let report = invoke(lab, function, event).await;
    faults(lab, &[]);
    let mut names = calls(&report);
    names.sort();
    let outcome = last_record(&report)["outcome"].as_str().unwrap().to_owned();
    (outcome, names, one_after_another(&report))
}

/// The longest row of calls each of which began when the one before had ended.
fn one_after_another(report: &Report) -> usize {
    let mut spans: Vec<_> = report.calls.iter().map(|call| (call.began + call.duration, call.began)).collect();
    spans.sort();
    let mut last = None;
    spans.into_iter().fold(0, |row, (ended, began)| {
        if last.is_some_and(|last| began < last) {
            return row;
        }
        last = Some(ended);
        row + 1
    })
}

/// A policy of these statements.
pub fn policy_of(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// A statement that lets these principals read a bucket's objects.
pub fn reads(sid: &str, principal: &Value, bucket: &str) -> Value {
    json!({"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*")})
}

/// A bucket's policy, letter by letter, read past everything; none if it has none.
pub async fn policy(lab: &Lab, bucket: &str) -> Option<String> {
    let answer = lab.quiet_client(HOME).s3(Method::GET, &format!("/{bucket}?policy"), "").await.unwrap();
    (answer.status == 200).then(|| String::from_utf8(answer.body.to_vec()).unwrap())
}

/// The status with which S3 answers somebody who has no account and reads this path.
pub async fn anonymously(lab: &Lab, path: &str) -> StatusCode {
    let address = lab.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    Upstream::new(address).send(ApiRequest::new(Method::GET, path)).await.unwrap().status
}

/// A new bucket, without a block, in which ACLs have effect.
pub async fn bucket_with_acls(lab: &Lab, stem: &str) -> String {
    let name = fresh(stem);
    let request = ApiRequest::new(Method::PUT, format!("/{name}")).header("x-amz-object-ownership", "ObjectWriter");
    let made = lab.quiet_client(HOME).send("s3", request).await.unwrap();
    assert_eq!(made.status, 200);
    quietly(lab, Method::DELETE, &format!("/{name}?publicAccessBlock"), "").await;
    name
}

/// An ACL that grants the owner everything, and groups (by URI) and accounts (by canonical id) what is said.
pub fn acl(owner: &str, grants: &[(&str, &str)]) -> String {
    let grant = |(to, permission): &(&str, &str)| {
        let (kind, to) = if to.starts_with("http") {
            ("Group", format!("<URI>{to}</URI>"))
        } else {
            ("CanonicalUser", format!("<ID>{to}</ID>"))
        };
        format!(
            "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\">{to}</Grantee>\
             <Permission>{permission}</Permission></Grant>"
        )
    };
    let all: String = [(owner, "FULL_CONTROL")].iter().chain(grants).map(grant).collect();
    format!(
        "<AccessControlPolicy xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>{owner}</ID></Owner>\
         <AccessControlList>{all}</AccessControlList></AccessControlPolicy>"
    )
}

/// The canonical id of a bucket's owner, read past everything.
pub async fn owner(lab: &Lab, bucket: &str) -> String {
    let answer = quietly(lab, Method::GET, &format!("/{bucket}?acl"), "").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    text.split("<ID>").nth(1).and_then(|rest| rest.split("</ID>").next()).unwrap().to_owned()
}

/// A bucket's grants to others than its owner, sorted: whom (a group's URI or a canonical id) and what. Read past everything.
pub async fn grants(lab: &Lab, bucket: &str) -> Vec<(String, String)> {
    let own = owner(lab, bucket).await;
    let answer = quietly(lab, Method::GET, &format!("/{bucket}?acl"), "").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let between = |text: &str, name: &str| {
        let rest = text.split(&format!("<{name}>")).nth(1)?;
        rest.split(&format!("</{name}>")).next().map(str::to_owned)
    };
    let mut grants: Vec<_> = text
        .split("<Grant>")
        .skip(1)
        .map(|grant| {
            let to = between(grant, "URI").or_else(|| between(grant, "ID")).unwrap();
            (to, between(grant, "Permission").unwrap())
        })
        .filter(|(to, _)| *to != own)
        .collect();
    grants.sort();
    grants
}

/// A bucket's default encryption as S3 shows it, read past everything; none if it has none.
pub async fn encryption(lab: &Lab, bucket: &str) -> Option<String> {
    let answer = lab.quiet_client(HOME).s3(Method::GET, &format!("/{bucket}?encryption"), "").await.unwrap();
    (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).into_owned())
}

/// Default encryption with an algorithm, and with a key if one is named, that takes no keys of writers' own.
pub fn encryption_with(algorithm: &str, key: Option<&str>) -> String {
    let key = key.map(|key| format!("<KMSMasterKeyID>{key}</KMSMasterKeyID>")).unwrap_or_default();
    format!(
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}\
         </SSEAlgorithm>{key}</ApplyServerSideEncryptionByDefault><BlockedEncryptionTypes><EncryptionType>SSE-C\
         </EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>"
    )
}

/// A new key of the account's, by its ARN. Nobody saw it made.
pub async fn key(lab: &Lab) -> String {
    let made = lab.quiet_client(HOME).must_json("kms", "CreateKey", &json!({})).await.unwrap();
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

/// The settings of the account's own block that are on, read past everything; none if it has no block.
pub async fn account_settings(lab: &Lab) -> Option<Vec<&'static str>> {
    let answer = lab.quiet_client(HOME).account_block(Method::GET, ACCOUNT, "").await.unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let on = |name: &&&str| text.contains(&format!("<{name}>true</{name}>"));
    (answer.status == 200).then(|| SETTINGS.iter().filter(on).copied().collect())
}

/// Gives the account a block with these settings on, or none; nobody sees it.
pub async fn account_block(lab: &Lab, on: Option<&[&str]>) {
    let (method, body) = on.map_or((Method::DELETE, String::new()), |on| (Method::PUT, block(on)));
    let answer = lab.quiet_client(HOME).account_block(method, ACCOUNT, &body).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.status);
}

/// Removes every bucket of the account, which must hold nothing: for what looks at all of them. Not in a lab that tests
/// share.
pub async fn no_buckets(lab: &Lab) {
    let there = lab.wish("s3/buckets", json!({})).await.unwrap();
    for bucket in there["buckets"].as_array().unwrap() {
        let (name, region) = (bucket[0].as_str().unwrap(), bucket[2].as_str().unwrap());
        lab.quiet_client(region).must(Method::DELETE, &format!("/{name}"), "").await.unwrap();
    }
}
