//! DynamoDB in the lab, as the ledger uses it: the real client through the gateway, against a real moto.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers may fail as tests do"
)]

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use futures_util::future::join_all;
use lab::http::{ApiRequest, ApiResponse};
use lab::python::home;
use lab::{Client, Lab, Options};
use ledger::{Dynamo, Index, Item, Key, Memory, Store, Trouble, Write, conformance};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;

const ACCOUNT: &str = "111122223333";

/// One runtime for all tests, since what a lab has started ends with the runtime that it was started in.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());
static LAB: OnceCell<Lab> = OnceCell::const_new();

/// Runs a test with the lab that all of them share: each has a table of its own.
fn shared(test: impl AsyncFnOnce(&Lab)) {
    RUNTIME.block_on(async { test(LAB.get_or_init(start).await).await });
}

async fn start() -> Lab {
    let options = Options {
        home: home(),
        port: 0,
        template: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml"),
        programs: BTreeMap::new(),
        parameters: BTreeMap::new(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    let lab = Lab::start(options, &|_| {}).await.unwrap();
    lab.forget_log();
    lab
}

fn client(lab: &Lab) -> Client {
    lab.client(ACCOUNT, "us-east-1")
}

fn sdk(lab: &Lab) -> SdkConfig {
    let credentials = SharedCredentialsProvider::new(Credentials::new(ACCOUNT, "none", None, None, "lab"));
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(credentials)
        .region(Region::new("us-east-1"))
        .endpoint_url(lab.endpoint())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(10)))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// A table like the one that is deployed.
async fn table(lab: &Lab, name: &str) -> Dynamo {
    let text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let about = json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [text("pk"), text("sk"), text("id"), text("day")],
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        "GlobalSecondaryIndexes": [
            { "IndexName": "by-id", "KeySchema": [key("id", "HASH")], "Projection": { "ProjectionType": "KEYS_ONLY" } },
            {
                "IndexName": "by-day", "KeySchema": [key("day", "HASH"), key("sk", "RANGE")],
                "Projection": { "ProjectionType": "ALL" },
            },
        ],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    });
    client(lab).must_json("dynamodb", "CreateTable", &about).await.unwrap();
    Dynamo::new(&sdk(lab), name)
}

fn item(pk: &str, sk: &str, body: Value) -> Item {
    Item { key: Key::new(pk, sk), version: 1, body, id: None, day: None, expires: None }
}

fn count(add: u64, limit: u64) -> Write {
    Write::Count { key: Key::new("budget#c", "hour#1"), add, limit, expires: 2_000_000_000 }
}

/// Whether the count is this.
async fn counted(store: &Dynamo, count_is: u64) -> bool {
    let holds = store.write(&[count(0, count_is)]).await.is_ok();
    holds && (count_is == 0 || store.write(&[count(0, count_is - 1)]).await == Err(Trouble::Conflict(0)))
}

/// What is in a table's stream: the names of the records and the images.
async fn told(client: &Client, name: &str) -> Vec<Value> {
    let about = client.must_json("dynamodb", "DescribeTable", &json!({ "TableName": name })).await.unwrap();
    let stream = about["Table"]["LatestStreamArn"].clone();
    let described = streams(client, "DescribeStream", &json!({ "StreamArn": stream })).await;
    let shard = described["StreamDescription"]["Shards"][0]["ShardId"].clone();
    let from = json!({ "StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = streams(client, "GetShardIterator", &from).await;
    let records = streams(client, "GetRecords", &json!({ "ShardIterator": iterator["ShardIterator"] })).await;
    records["Records"].as_array().unwrap().clone()
}

async fn streams(client: &Client, operation: &str, body: &Value) -> Value {
    let request = ApiRequest::new(http::Method::POST, "/")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", &format!("DynamoDBStreams_20120810.{operation}"))
        .body(body.to_string());
    let answer = client.send("dynamodb", request).await.unwrap();
    assert!(answer.status.is_success(), "{operation}: {}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}

fn parsed(answer: &ApiResponse) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

#[test]
fn the_ledger_in_dynamodb_does_what_memory_does() {
    shared(async |lab| {
        for seed in 0..2 {
            let store = table(lab, &format!("conform-{seed}")).await;
            conformance::conform(&store, &Memory::default(), seed).await;
        }
    });
}

#[test]
fn fifty_at_once_never_count_past_the_limit() {
    shared(async |lab| {
        let store = table(lab, "race").await;
        // Many writes each: a transaction takes long enough for another to come in between.
        let sk = |each: usize| format!("record#{each:02}");
        let one = async |number: usize| {
            let record = |each| Write::Put(item(&format!("resource#{number}"), &sk(each), json!({ "number": number })));
            let mut writes: Vec<_> = (0..30).map(record).collect();
            writes.push(count(1, 20));
            store.write(&writes).await
        };
        let answers = join_all((0..50).map(one)).await;
        let made: Vec<_> = (0..50).filter(|number| answers[*number].is_ok()).collect();
        assert_eq!(made.len(), 20, "{answers:?}");
        assert!(answers.iter().all(|answer| matches!(answer, Ok(()) | Err(Trouble::Conflict(30)))), "{answers:?}");
        for number in 0..50 {
            let there = store.query(&format!("resource#{number}"), "record#", false, 100).await.unwrap().len();
            assert_eq!(there, if made.contains(&number) { 30 } else { 0 }, "the records of {number}");
        }
        // What was taken back was never told.
        let told = told(&client(lab), "race").await;
        let inserted = told.iter().filter(|record| record["eventName"] == "INSERT").count();
        assert_eq!((inserted, told.len()), (601, 620), "thirty records of twenty, and a count changed nineteen times");
        assert!(counted(&store, 20).await);
    });
}

#[test]
fn two_who_want_one_lease_do_not_both_get_it() {
    shared(async |lab| {
        let store = table(lab, "lease").await;
        for round in 1..=10_u64 {
            let lease = |holder: usize| Item { version: round, ..item("resource#1", "standing#c", json!(holder)) };
            let answers = join_all((0..8).map(|holder| {
                let store = &store;
                async move { store.write(&[Write::Put(lease(holder))]).await }
            }))
            .await;
            let won: Vec<_> = (0..8).filter(|holder| answers[*holder].is_ok()).collect();
            assert_eq!(won.len(), 1, "round {round}: {answers:?}");
            let there = store.get(&Key::new("resource#1", "standing#c")).await.unwrap().unwrap();
            assert_eq!((there.body, there.version), (json!(won[0]), round));
        }
    });
}

#[test]
fn a_transaction_is_all_or_nothing() {
    shared(async |lab| {
        let (store, client) = (table(lab, "whole").await, client(lab));
        let put = |sk: &str| {
            json!({ "Put": {
                "TableName": "whole", "Item": { "pk": { "S": "p" }, "sk": { "S": sk }, "body": { "S": "1" } },
                "ConditionExpression": "attribute_not_exists(pk)",
            }})
        };
        let one = json!({ "TransactItems": [put("a")] });
        client.must_json("dynamodb", "TransactWriteItems", &one).await.unwrap();
        let update = json!({ "Update": {
            "TableName": "whole", "Key": { "pk": { "S": "p" }, "sk": { "S": "n" } },
            "UpdateExpression": "ADD body :one", "ExpressionAttributeValues": { ":one": { "N": "1" } },
        }});
        let both = json!({ "TransactItems": [put("b"), put("a"), update] });
        let refused = client.json("dynamodb", "TransactWriteItems", &both).await.unwrap();
        let said = parsed(&refused);
        assert_eq!(refused.status, 400);
        assert!(said["__type"].as_str().unwrap().ends_with("#TransactionCanceledException"), "{said}");
        let codes: Vec<_> = said["CancellationReasons"].as_array().unwrap().iter().map(|one| &one["Code"]).collect();
        assert_eq!(json!(codes), json!(["None", "ConditionalCheckFailed", "None"]));
        // What only shows when it is carried out is a reason too: a number is added to a text.
        let mut wrong = both.clone();
        wrong["TransactItems"][1] = put("c");
        wrong["TransactItems"][2]["Update"]["Key"]["sk"]["S"] = json!("a");
        let refused = parsed(&client.json("dynamodb", "TransactWriteItems", &wrong).await.unwrap());
        let codes: Vec<_> = refused["CancellationReasons"].as_array().unwrap().iter().map(|one| &one["Code"]).collect();
        assert_eq!(json!(codes), json!(["None", "None", "ValidationError"]), "{refused}");
        for sk in ["b", "c", "n"] {
            assert_eq!(store.get(&Key::new("p", sk)).await, Ok(None), "{sk}");
        }
        let twice = json!({ "TransactItems": [put("d"), put("d")] });
        let refused = parsed(&client.json("dynamodb", "TransactWriteItems", &twice).await.unwrap());
        assert!(refused["__type"].as_str().unwrap().ends_with("#ValidationException"), "{refused}");
        let names: Vec<_> = told(&client, "whole").await.iter().map(|record| record["eventName"].clone()).collect();
        assert_eq!(names, ["INSERT"]);
    });
}

#[test]
fn a_token_is_carried_out_once() {
    shared(async |lab| {
        let (_, client) = (table(lab, "tokens").await, client(lab));
        let add = |token: &str, number: &str| {
            json!({
                "ClientRequestToken": token,
                "TransactItems": [{ "Update": {
                    "TableName": "tokens", "Key": { "pk": { "S": "p" }, "sk": { "S": "s" } },
                    "UpdateExpression": "ADD #n :n", "ExpressionAttributeNames": { "#n": "count" },
                    "ExpressionAttributeValues": { ":n": { "N": number } },
                }}],
            })
        };
        for (token, number, expected) in [
            ("one", "1", None),
            ("one", "1", None),
            ("one", "2", Some("#IdempotentParameterMismatchException")),
            ("two", "1", None),
            (&"x".repeat(37), "1", Some("#ValidationException")),
        ] {
            let answer = client.json("dynamodb", "TransactWriteItems", &add(token, number)).await.unwrap();
            let kind = parsed(&answer)["__type"].as_str().map(str::to_owned);
            assert_eq!(answer.status.is_success(), expected.is_none(), "{token} {number}: {kind:?}");
            assert!(expected.is_none_or(|end| kind.as_ref().is_some_and(|kind| kind.ends_with(end))), "{kind:?}");
        }
        let asked = json!({ "TableName": "tokens", "Key": { "pk": { "S": "p" }, "sk": { "S": "s" } } });
        let there = client.must_json("dynamodb", "GetItem", &asked).await.unwrap();
        assert_eq!(there["Item"]["count"], json!({ "N": "2" }));
    });
}

#[test]
fn the_stream_has_both_images_and_no_half_items() {
    shared(async |lab| {
        let store = table(lab, "images").await;
        let first = item("p", "s", json!("old"));
        store.write(&[Write::Put(first.clone()), count(3, 10)]).await.unwrap();
        store.write(&[Write::Put(Item { version: 2, body: json!("new"), ..first.clone() })]).await.unwrap();
        store.write(&[Write::Delete(first.key, 2)]).await.unwrap();
        let told = told(&client(lab), "images").await;
        let shown: Vec<_> = told
            .iter()
            .map(|record| {
                let image = |name: &str| record["dynamodb"].get(name).map(|image| image["body"]["S"].clone());
                (record["eventName"].as_str().unwrap(), image("OldImage"), image("NewImage"))
            })
            .collect();
        let (old, new) = (Some(json!("\"old\"")), Some(json!("\"new\"")));
        let expected = [
            ("INSERT", None, old.clone()),
            ("INSERT", None, Some(Value::Null)),
            ("MODIFY", old, new.clone()),
            ("REMOVE", new, None),
        ];
        assert_eq!(shown, expected);
        assert_eq!(told[1]["dynamodb"]["NewImage"]["count"], json!({ "N": "3" }), "all of it at once");
        let numbers: Vec<u128> =
            told.iter().map(|record| record["dynamodb"]["SequenceNumber"].as_str().unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{numbers:?}");
    });
}

#[test]
fn large_items_come_page_by_page() {
    shared(async |lab| {
        let store = table(lab, "pages").await;
        let day = Some("111122223333#2026-01-15".to_owned());
        for number in 0..25 {
            let mut large =
                item(&format!("p{}", number % 2), &format!("record#{number:02}"), json!("x".repeat(90_000)));
            (large.day, large.id) = (day.clone(), Some("same".to_owned()));
            store.write(&[Write::Put(large)]).await.unwrap();
        }
        let before = lab.calls(|call| call.operation == "Query").len();
        let keys = |found: Vec<Item>| found.into_iter().map(|item| item.key.sk).collect::<Vec<_>>();
        let found = keys(store.find(Index::Day, "111122223333#2026-01-15").await.unwrap());
        let all: Vec<_> = (0..25).map(|number| format!("record#{number:02}")).collect();
        assert_eq!(found, all, "in the order of the sort keys, whatever the partition");
        assert!(lab.calls(|call| call.operation == "Query").len() >= before + 3, "more than one page");
        assert_eq!(store.find(Index::Id, "same").await.unwrap().len(), 25);
        let newest = keys(store.query("p0", "record#", true, 100).await.unwrap());
        let even: Vec<_> =
            (0..25).rev().filter(|number| number % 2 == 0).map(|number| format!("record#{number:02}")).collect();
        assert_eq!(newest, even);
        // Just what DynamoDB takes.
        let mut largest = item("p", "s", json!("x".repeat(400 * 1024 - 200)));
        store.write(&[Write::Put(largest.clone())]).await.unwrap();
        assert_eq!(store.get(&largest.key).await, Ok(Some(largest.clone())));
        (largest.version, largest.body) = (2, json!("x".repeat(400 * 1024)));
        let refused = store.write(&[Write::Put(largest)]).await.unwrap_err();
        assert!(refused.to_string().contains("400 KB"), "{refused}");
    });
}

#[test]
fn calls_of_the_ledger_are_told_with_their_table_and_send_no_events() {
    shared(async |lab| {
        let store = table(lab, "told").await;
        let mut happenings = lab.listen();
        store.write(&[Write::Put(item("p", "s", json!(1))), count(1, 9)]).await.unwrap();
        store.get(&Key::new("p", "s")).await.unwrap();
        store.query("p", "", false, 5).await.unwrap();
        let calls = lab.calls(|call| call.resource.as_deref() == Some("told") && call.operation != "CreateTable");
        let calls: Vec<_> = calls.iter().map(|call| (call.name(), call.writes, call.status)).collect();
        let call = |name: &str, writes| (format!("dynamodb:{name}"), writes, 200);
        assert_eq!(calls, [call("TransactWriteItems", true), call("GetItem", false), call("Query", false)]);
        while let Ok(happening) = happenings.try_recv() {
            let ours = matches!(&happening, lab::gateway::Happening::Event { resource, .. } if resource.as_deref() == Some("told"));
            assert!(!ours, "a data event: {happening:?}");
        }
    });
}

/// Faults are the whole lab's: this test has one of its own.
#[tokio::test]
async fn a_bad_day_is_told_by_its_consequence() {
    let lab = start().await;
    let store = table(&lab, "bad-day").await;
    let fault = |text: &str| lab.gateway.faults.add(text.parse().unwrap());
    let tried = || lab.calls(|call| call.operation == "TransactWriteItems").len();
    // What passes by itself, or what was carried out though nobody said so: it is counted once.
    for (number, text) in (1..).zip(["throttle*2", "conflict*3", "error*1", "drop*1", "drop-answer*1", "drop-answer*2"])
    {
        fault(&format!("dynamodb:TransactWriteItems={text}"));
        let before = tried();
        assert_eq!(store.write(&[count(1, 100)]).await, Ok(()), "{text}");
        let faults: usize = text.rsplit_once('*').unwrap().1.parse().unwrap();
        assert_eq!(tried() - before, faults + 1, "{text}");
        assert!(lab.gateway.faults.list().is_empty() && counted(&store, number).await, "{text}");
    }
    // Nobody says that it was carried out.
    fault("dynamodb:TransactWriteItems=drop-answer*3");
    let lost = store.write(&[count(1, 100)]).await.unwrap_err();
    assert!(matches!(lost, Trouble::Away { retry: true, perhaps: true, .. }), "{lost:?}");
    assert!(counted(&store, 7).await, "it was");
    fault("dynamodb:TransactWriteItems=drop*3");
    let lost = store.write(&[count(1, 100)]).await.unwrap_err();
    assert!(matches!(lost, Trouble::Away { retry: true, perhaps: true, .. }), "{lost:?}");
    assert!(counted(&store, 7).await, "it was not");
    for (text, retry, expected) in [
        ("TransactWriteItems=denied*1", false, "dynamodb:UpdateItem on the ledger table bad-day was denied"),
        ("TransactWriteItems=conflict*1000", true, "busy"),
    ] {
        fault(&format!("dynamodb:{text}"));
        let trouble = store.write(&[count(1, 100)]).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Away { retry: worth, perhaps: false, .. } if worth == retry), "{trouble:?}");
        assert!(trouble.to_string().contains(expected), "{trouble}");
        lab.gateway.faults.clear();
    }
    for (text, retry, expected) in [
        ("GetItem=denied", false, "dynamodb:GetItem on the ledger table bad-day was denied"),
        ("GetItem=throttle", true, "busy"),
        ("GetItem=error", true, "AWS had a fault"),
        ("GetItem=drop", true, "the connection broke"),
    ] {
        fault(&format!("dynamodb:{text}"));
        let trouble = store.get(&Key::new("p", "s")).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Away { retry: worth, perhaps: false, .. } if worth == retry), "{trouble:?}");
        assert!(trouble.to_string().contains(expected), "{trouble}");
        lab.gateway.faults.clear();
    }
    client(&lab).must_json("dynamodb", "DeleteTable", &json!({ "TableName": "bad-day" })).await.unwrap();
    let answers = [
        store.write(&[count(1, 100)]).await.unwrap_err(),
        store.write(&[Write::Delete(Key::new("p", "s"), 1)]).await.unwrap_err(),
        store.get(&Key::new("p", "s")).await.unwrap_err(),
        store.query("p", "", false, 1).await.unwrap_err(),
        store.find(Index::Id, "x").await.unwrap_err(),
    ];
    for gone in answers {
        assert!(!gone.is_worth_a_retry(), "{gone:?}");
        let why = "the ledger table bad-day does not exist in this account and region; set SUTURE_LEDGER, AWS_PROFILE or \
                   AWS_REGION to the deployment's, or deploy it";
        assert_eq!(gone.to_string(), why);
    }
    lab.stop().await;
}
