//! Users and access keys for the tests of the controls of IAM.

use crate::{HOME, event, fresh};
use lab::Lab;
use lab::http::ApiResponse;
use lab::runtime::Report;
use serde_json::{Value, json};

/// The function that deactivates keys which nobody uses.
pub const STALE: &str = "iam-stale-access-key";
/// The function that deactivates keys which were found in public.
pub const EXPOSED: &str = "iam-exposed-access-key";
/// How long ago a key was used that is idle under every limit that a user can have.
pub const IDLE: Option<f64> = Some(400.0);

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The unique id, by which AWS Config and Security Hub know the user.
    pub id: String,
}

/// A new user whom nobody saw made.
pub async fn user(lab: &Lab) -> User {
    user_with(lab, &[]).await
}

/// The same with further parameters of CreateUser: a path, tags.
pub async fn user_with(lab: &Lab, parameters: &[(&str, &str)]) -> User {
    let name = fresh("bob");
    let parameters = [&[("UserName", name.as_str())], parameters].concat();
    let id = quietly(lab, "CreateUser", &parameters).await.texts("UserId").remove(0);
    User { name, id }
}

/// A new key of a user's, made and last used (none: never) so many days ago.
pub async fn key(lab: &Lab, of: &User, made: f64, used: Option<f64>) -> String {
    let new = quietly(lab, "CreateAccessKey", &[("UserName", &of.name)]).await;
    let key = new.texts("AccessKeyId").remove(0);
    age(lab, &key, made, used).await;
    key
}

/// Says when a key was made and last used.
pub async fn age(lab: &Lab, key: &str, made: f64, used: Option<f64>) {
    let used = used.map(|days| json!({"date": format!("{days} days ago"), "service": "s3", "region": "us-east-1"}));
    let wish = json!({"accessKeyId": key, "created": format!("{made} days ago"), "lastUsed": used});
    lab.wish("iam/age-key", wish).await.unwrap();
}

/// A user with one key that is idle and active.
pub async fn idle(lab: &Lab) -> (User, String) {
    let user = user(lab).await;
    let key = key(lab, &user, 500.0, IDLE).await;
    (user, key)
}

/// Switches a key on or off, seen by nobody.
pub async fn switch(lab: &Lab, user: &User, key: &str, active: bool) {
    quietly(lab, "UpdateAccessKey", &switching(user, key, active)).await;
}

/// The parameters of UpdateAccessKey.
pub fn switching<'a>(user: &'a User, key: &'a str, active: bool) -> [(&'a str, &'a str); 3] {
    [("UserName", &user.name), ("AccessKeyId", key), ("Status", if active { "Active" } else { "Inactive" })]
}

/// A user's keys that are active, in order, read past everything.
pub async fn active(lab: &Lab, user: &User) -> Vec<String> {
    let answer = quietly(lab, "ListAccessKeys", &[("UserName", &user.name)]).await;
    let keys = answer.texts("AccessKeyId").into_iter().zip(answer.texts("Status"));
    let mut active: Vec<_> = keys.filter(|(_, status)| status == "Active").map(|(key, _)| key).collect();
    active.sort();
    active
}

/// A call of IAM's that leaves no trace and must succeed.
pub async fn quietly(lab: &Lab, operation: &str, parameters: &[(&str, &str)]) -> ApiResponse {
    lab.quiet_client(HOME).must_query("iam", operation, parameters).await.unwrap()
}

/// An event of `events/` about this user instead, and these keys.
pub fn about(control: &str, name: &str, user: &User, keys: &[&str]) -> Value {
    let mut text = event(control, name).to_string().replace("AIDAEXAMPLEEXAMPLE111", &user.id);
    for written in ["\"bob\"", "/bob", "\\\"bob\\\"", "user bob"] {
        text = text.replace(written, &written.replace("bob", &user.name));
    }
    let examples: &[&str] =
        if control == EXPOSED { &["AKIAEXAMPLEEXAMPLE03", "AKIAEXAMPLEEXAMPLE04"] } else { &["AKIAEXAMPLEEXAMPLE01"] };
    for (example, key) in examples.iter().zip(keys) {
        text = text.replace(example, key);
    }
    serde_json::from_str(&text).unwrap()
}

/// The names of IAM's calls that an invocation made, in order; of two that run beside each other, the alphabet's first one
/// first.
pub fn asked(report: &Report) -> Vec<&str> {
    let iams = report.calls.iter().filter(|call| call.service == "iam");
    let mut names: Vec<_> = iams.map(|call| call.operation.as_str()).collect();
    for at in 1..names.len() {
        let beside = [["ListAccessKeys", "GetUser"], ["ListAttachedUserPolicies", "GetLoginProfile"]];
        if beside.contains(&[names[at - 1], names[at]]) {
            names.swap(at - 1, at);
        }
    }
    names
}
