//! What Suture remembers and says, as the tests of the whole system see it: the table's items, the evidence, the messages.

use crate::s3::{FUNCTION, about};
use crate::{ACCOUNT, HOME, PATIENCE};
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use evidence::Bucket;
use lab::Lab;
use lab::call::Caller;
use lab::gateway::{Happened, Published};
use ledger::{Dynamo, Ledger, Posture};
use remediation::AccountId;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use tokio::process::Command;

/// Alice, as STS reports her.
pub const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
/// Her access key.
const KEY: &str = "AKIALABALICE00000001";

/// An item of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its partition key.
    pub pk: String,
    /// Its sort key.
    pub sk: String,
    /// How often it was written.
    pub version: u64,
    /// What it counts, if it is a count.
    pub count: Option<u64>,
    /// What it says; null if it is a count.
    pub body: Value,
}

/// What the template gives a function as this variable.
pub fn variable(lab: &Lab, function: &str, name: &str) -> String {
    lab.gateway.functions.config(function).unwrap().environment[name].clone()
}

/// The ledger's table.
pub fn table(lab: &Lab) -> String {
    variable(lab, FUNCTION, "SUTURE_LEDGER")
}

/// The SDK as Alice has it.
pub fn sdk(lab: &Lab) -> SdkConfig {
    let caller = Caller::User { account: ACCOUNT.to_owned(), name: "alice".to_owned(), access_key: KEY.to_owned() };
    lab.gateway.identities.add(KEY, caller);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(KEY, "none", None, None, "lab")))
        .region(Region::new(HOME))
        .endpoint_url(lab.endpoint())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(10)))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// The table, as Alice reaches it.
pub fn store(lab: &Lab) -> Dynamo {
    Dynamo::new(&sdk(lab), table(lab))
}

/// The ledger, as Alice reaches it.
pub fn ledger(lab: &Lab) -> Ledger {
    Ledger::new(Rc::new(store(lab)))
}

/// The evidence's bucket, as Alice reaches it.
pub fn shelf(lab: &Lab) -> Bucket {
    Bucket::new(&sdk(lab), evidence_bucket(lab), AccountId::parse(ACCOUNT).unwrap())
}

/// The evidence's bucket.
pub fn evidence_bucket(lab: &Lab) -> String {
    variable(lab, "recorder", "SUTURE_EVIDENCE")
}

/// Changes the live settings in Alice's name.
pub async fn posture(lab: &Lab, change: impl Fn(&mut Posture)) {
    ledger(lab).change(ALICE, OffsetDateTime::now_utc(), change).await.unwrap();
}

/// A proof that Alice sends a request for this purpose.
pub async fn proof(lab: &Lab, purpose: &str) -> String {
    let region = remediation::Region::parse(HOME).unwrap();
    remediation::caller::prove(&sdk(lab), &region, purpose, SystemTime::now()).await.unwrap()
}

/// Every item of the table, in the order of its keys, read past everything.
pub async fn rows(lab: &Lab) -> Vec<Row> {
    let (client, table) = (lab.quiet_client(HOME), table(lab));
    let mut rows = Vec::new();
    let mut question = json!({"TableName": table, "ConsistentRead": true});
    loop {
        let page = client.must_json("dynamodb", "Scan", &question).await.unwrap();
        for item in page["Items"].as_array().unwrap() {
            let text = |name: &str| item[name]["S"].as_str().map(str::to_owned);
            let number = |name: &str| item[name]["N"].as_str().and_then(|number| number.parse().ok());
            rows.push(Row {
                pk: text("pk").unwrap(),
                sk: text("sk").unwrap(),
                version: number("version").unwrap_or_default(),
                count: number("count"),
                body: text("body").map(|body| serde_json::from_str(&body).unwrap()).unwrap_or_default(),
            });
        }
        match page.get("LastEvaluatedKey").filter(|key| key.is_object()) {
            Some(key) => question["ExclusiveStartKey"] = key.clone(),
            None => break,
        }
    }
    rows.sort_by(|a, b| (&a.pk, &a.sk).cmp(&(&b.pk, &b.sk)));
    rows
}

/// The records of a resource, the oldest first.
pub async fn records_of(lab: &Lab, resource: &str) -> Vec<Value> {
    let of = format!("#{resource}");
    let rows = rows(lab).await.into_iter();
    rows.filter(|row| row.pk.ends_with(&of) && row.sk.starts_with("record#")).map(|row| row.body).collect()
}

/// The outcomes of a control's records of a resource, the oldest first; of a refusal, who refused.
pub async fn story(lab: &Lab, resource: &str) -> Vec<String> {
    let records = records_of(lab, resource).await;
    let ours = records.iter().filter(|record| record["control"] == FUNCTION);
    ours.map(|record| {
        let outcome = record["outcome"].as_str().unwrap();
        record["refused_by"].as_str().map_or_else(|| outcome.to_owned(), |by| format!("{outcome} by {by}"))
    })
    .collect()
}

/// Lets the lease of whoever works on this resource end, as a minute would.
pub async fn a_minute_passes(lab: &Lab, resource: &str) {
    let of = format!("#{resource}");
    let standing = rows(lab).await.into_iter().find(|row| row.pk.ends_with(&of) && row.sk.starts_with("standing#"));
    let mut standing = standing.unwrap();
    standing.body["lease"]["until"] = json!("2026-01-01T00:00:00Z");
    rewrite(lab, &standing).await;
}

/// Makes what the recorder has begun with, and not brought to its end, as old as it would be an hour later.
pub async fn an_hour_passes(lab: &Lab) {
    for mut slot in rows(lab).await.into_iter().filter(|row| row.pk == "chain" && row.sk.starts_with("slot#")) {
        slot.body["at"] = json!("2026-01-01T00:00:00Z");
        rewrite(lab, &slot).await;
    }
}

/// Puts what an item says in the place of what it said, past everything.
async fn rewrite(lab: &Lab, row: &Row) {
    let key = json!({"pk": {"S": row.pk}, "sk": {"S": row.sk}});
    let update = json!({"TableName": table(lab), "Key": key, "UpdateExpression": "SET #body = :body",
        "ExpressionAttributeNames": {"#body": "body"},
        "ExpressionAttributeValues": {":body": {"S": row.body.to_string()}}});
    lab.quiet_client(HOME).must_json("dynamodb", "UpdateItem", &update).await.unwrap();
}

/// The event of Alice's call that took a bucket's block away. Each is another event: `number` tells them apart.
pub fn opened(bucket: &str, number: usize) -> Value {
    let mut event = about("delete-public-access-block", bucket);
    event["id"] = format!("6e3a8f52-1d2c-4b7e-8a11-{number:012}").into();
    event["detail"]["eventID"] = format!("0b6f0c1e-5b0a-4c55-9a60-{number:012}").into();
    event["detail"]["userIdentity"]["arn"] = ALICE.into();
    event["detail"]["userIdentity"]["userName"] = "alice".into();
    event
}

/// Sends an event as a rule does: whatever fails is tried again.
pub fn send(lab: &Lab, function: &str, event: &Value) {
    lab.gateway.functions.invoke_async(function, "a-rule", Bytes::from(event.to_string()));
}

/// Waits until all that was sent has come to its end.
pub async fn settled(lab: &Lab) {
    lab.settled(PATIENCE * 3).await.unwrap();
}

/// How many invocations of a function may run at once.
pub fn at_once(lab: &Lab, function: &str, concurrency: usize) {
    let mut config = lab.gateway.functions.config(function).unwrap();
    config.concurrency = concurrency;
    lab.gateway.functions.configure(config);
}

/// The calls of the control's own role, or the undo function's, that could change a bucket and were answered with success, in
/// order.
pub fn writes_to(lab: &Lab, bucket: Option<&str>) -> Vec<Happened> {
    lab.calls(|call| {
        let ours = matches!(&call.caller, Caller::Role { session, .. } if session == FUNCTION || session == "undo");
        let of = bucket.is_none_or(|bucket| call.resource.as_deref() == Some(bucket));
        ours && of && call.service == "s3" && call.writes && (1..400).contains(&call.status)
    })
}

/// What was announced of this, by its subject or its text.
pub fn announced(lab: &Lab, what: &str) -> Vec<Published> {
    let says = |message: &Published| {
        message.subject.as_deref().is_some_and(|subject| subject.contains(what)) || message.message.contains(what)
    };
    lab.published().into_iter().filter(says).collect()
}

/// The subjects of what was announced of this.
pub fn subjects(lab: &Lab, what: &str) -> Vec<String> {
    announced(lab, what).into_iter().filter_map(|message| message.subject).collect()
}

/// The process that runs a function of this lab: other tests have labs of their own at the same time.
pub fn process(lab: &Lab, function: &str) -> Option<String> {
    let endpoint = format!("AWS_ENDPOINT_URL={}\0", lab.endpoint());
    std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).find_map(|entry| {
        let exe = std::fs::read_link(entry.path().join("exe")).ok()?;
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let of_lab = environment.windows(endpoint.len()).any(|part| part == endpoint.as_bytes());
        (exe.file_name()?.to_str()? == function && of_lab).then(|| entry.file_name().into_string().ok())?
    })
}

/// Kills the process that runs a function of this lab, if there is one.
pub async fn kill(lab: &Lab, function: &str) -> bool {
    let Some(pid) = process(lab, function) else { return false };
    Command::new("kill").args(["-KILL", &pid]).status().await.unwrap().success()
}
