#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail as tests do")]

use super::*;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_dynamodb::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A text that AWS's answers hold and that no error may show.
const SECRET: &str = "SECRET-alice";

/// What the network does with a request.
enum Said {
    Answer(u16, Value),
    Text(u16, &'static str),
    Broken(&'static str),
}

type Answering = dyn Fn(&str, &Value, usize) -> Said + Send + Sync;

/// DynamoDB as a function of the operation, its request and the number of the attempt; remembers what it was asked.
#[derive(Clone)]
struct Fake {
    answer: Arc<Answering>,
    sent: Arc<Mutex<Vec<(String, Value)>>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl HttpClient for Fake {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").unwrap().rsplit_once('.').unwrap().1.to_owned();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let number = self.sent.lock().unwrap().len();
        self.sent.lock().unwrap().push((operation.clone(), body.clone()));
        let answered = |status: u16, body: String| {
            HttpConnectorFuture::ready(Ok(HttpResponse::new(
                StatusCode::try_from(status).unwrap(),
                SdkBody::from(body),
            )))
        };
        match (self.answer)(&operation, &body, number) {
            Said::Answer(status, body) => answered(status, body.to_string()),
            Said::Text(status, body) => answered(status, body.to_owned()),
            Said::Broken(how) => HttpConnectorFuture::ready(Err(match how {
                "timeout" => ConnectorError::timeout(SECRET.into()),
                "unsent" => ConnectorError::other(SECRET.into(), None),
                _ => ConnectorError::io(SECRET.into()),
            })),
        }
    }
}

impl Fake {
    fn new(answer: impl Fn(&str, &Value, usize) -> Said + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), sent: Arc::default() }
    }

    fn ledger(&self) -> Dynamo {
        ledger(self.clone())
    }

    fn sent(&self) -> Vec<(String, Value)> {
        self.sent.lock().unwrap().clone()
    }

    fn tokens(&self) -> Vec<String> {
        self.sent().iter().map(|(_, body)| body["ClientRequestToken"].as_str().unwrap().to_owned()).collect()
    }
}

fn ledger(client: impl HttpClient + 'static) -> Dynamo {
    let credentials = SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test"));
    let sdk = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .credentials_provider(credentials)
        .region(Region::new("us-east-1"))
        // Writes must not be tried again by the SDK, whatever it is set to.
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .http_client(SharedHttpClient::new(client))
        .build();
    Dynamo::new(&sdk, "suture-ledger")
}

/// A table of which one item is wanted by many: a transaction takes 20 ms, and who comes in between is cancelled.
#[derive(Clone, Debug, Default)]
struct Crowded {
    until: Arc<Mutex<Option<Instant>>>,
    cancelled: Arc<Mutex<usize>>,
}

impl HttpClient for Crowded {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Crowded {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let crowd = self.clone();
        HttpConnectorFuture::new(async move {
            // The way there.
            sleep(Duration::from_millis(5)).await;
            let taken = crowd.until.lock().unwrap().is_some_and(|until| until > Instant::now());
            let (status, body) = if taken {
                *crowd.cancelled.lock().unwrap() += 1;
                let Said::Answer(status, body) = cancelled(&["None", "TransactionConflict"]) else { unreachable!() };
                (status, body)
            } else {
                *crowd.until.lock().unwrap() = Some(Instant::now() + Duration::from_millis(20));
                sleep(Duration::from_millis(20)).await;
                (200, json!({}))
            };
            Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body.to_string())))
        })
    }
}

/// Always the same error.
fn refusing(status: u16, code: &'static str, message: &'static str) -> Fake {
    Fake::new(move |_, _, _| error(status, code, message))
}

fn error(status: u16, code: &str, message: &str) -> Said {
    let code = format!("com.amazonaws.dynamodb.v20120810#{code}");
    Said::Answer(status, json!({ "__type": code, "message": format!("{SECRET} {message}") }))
}

/// A transaction that is cancelled for these reasons, one for each write.
fn cancelled(codes: &[&str]) -> Said {
    let reason = |code: &&str| json!({ "Code": code, "Message": SECRET });
    Said::Answer(
        400,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": SECRET,
            "CancellationReasons": codes.iter().map(reason).collect::<Vec<_>>(),
        }),
    )
}

fn item(version: u64) -> Item {
    Item {
        key: Key::new("resource#1", "record#2"),
        version,
        body: json!({"outcome": "fixed"}),
        id: Some("id-1".to_owned()),
        day: Some("111122223333#2026-01-15".to_owned()),
        expires: Some(1_800_000_000),
    }
}

fn row(item: &Item) -> Value {
    let mut row = json!({
        "pk": {"S": item.key.pk}, "sk": {"S": item.key.sk}, "version": {"N": item.version.to_string()},
        "body": {"S": item.body.to_string()},
    });
    for (name, value) in [("id", &item.id), ("day", &item.day)] {
        if let Some(value) = value {
            row[name] = json!({ "S": value });
        }
    }
    if let Some(expires) = item.expires {
        row["expires"] = json!({ "N": expires.to_string() });
    }
    row
}

fn count(limit: u64, add: u64) -> Write {
    Write::Count { key: Key::new("budget#c", "hour#1"), add, limit, expires: 1_800_000_000 }
}

fn put(version: u64) -> Write {
    Write::Put(item(version))
}

#[tokio::test]
async fn an_item_is_read_as_it_is_now() {
    let fake = Fake::new(|_, _, _| Said::Answer(200, json!({ "Item": row(&item(3)) })));
    assert_eq!(fake.ledger().get(&item(1).key).await, Ok(Some(item(3))));
    let asked = json!({
        "TableName": "suture-ledger", "ConsistentRead": true,
        "Key": {"pk": {"S": "resource#1"}, "sk": {"S": "record#2"}},
    });
    assert_eq!(fake.sent(), [("GetItem".to_owned(), asked)]);
    let nothing = Fake::new(|_, _, _| Said::Answer(200, json!({})));
    assert_eq!(nothing.ledger().get(&item(1).key).await, Ok(None));
    let counts = json!({"pk": {"S": "budget#c"}, "sk": {"S": "hour#1"}, "count": {"N": "7"}, "expires": {"N": "1"}});
    let counting = Fake::new(move |_, _, _| Said::Answer(200, json!({ "Item": counts })));
    assert_eq!(counting.ledger().get(&item(1).key).await, Ok(None), "a count is no item");
}

#[tokio::test]
async fn what_is_no_item_of_ours_stops_whoever_reads_it() {
    for (name, value, expected) in [
        ("version", json!({"S": "3"}), "cannot be read"),
        ("version", json!({"N": "-1"}), "cannot be read"),
        ("body", json!({"S": "{half"}), "cannot be read"),
        ("body", Value::Null, "cannot be read"),
        ("expires", json!({"N": "1e30"}), "cannot be read"),
        ("pk", Value::Null, "no ledger table"),
    ] {
        let mut row = row(&item(3));
        if value.is_null() {
            row.as_object_mut().unwrap().remove(name);
        } else {
            row[name] = value;
        }
        let fake = Fake::new(move |_, _, _| Said::Answer(200, json!({ "Item": row })));
        let trouble = fake.ledger().get(&item(1).key).await.unwrap_err();
        assert!(!trouble.is_worth_a_retry() && trouble.to_string().contains(expected), "{name}: {trouble}");
    }
}

#[tokio::test]
async fn a_partition_is_read_page_by_page() {
    let sk = |number: usize| Item { key: Key::new("p", format!("record#{number}")), ..item(1) };
    let fake = Fake::new(move |_, _, number| {
        let count = json!({"pk": {"S": "p"}, "sk": {"S": "hour#1"}, "count": {"N": "1"}, "expires": {"N": "1"}});
        let from = json!({"pk": {"S": "p"}, "sk": {"S": format!("record#{number}")}});
        let mut answer = json!({ "Items": [row(&sk(number)), count] });
        if number < 2 {
            answer["LastEvaluatedKey"] = from;
        }
        Said::Answer(200, answer)
    });
    let found = fake.ledger().query("p", "record#", true, 10).await.unwrap();
    assert_eq!(found, [sk(0), sk(1), sk(2)]);
    let sent = fake.sent();
    let first = json!({
        "TableName": "suture-ledger", "ConsistentRead": true, "ScanIndexForward": false, "Limit": 10,
        "KeyConditionExpression": "#by = :by AND begins_with(#sk, :begins)",
        "ExpressionAttributeNames": {"#by": "pk", "#sk": "sk"},
        "ExpressionAttributeValues": {":by": {"S": "p"}, ":begins": {"S": "record#"}},
    });
    assert_eq!(sent[0], ("Query".to_owned(), first));
    assert_eq!(sent[2].1["ExclusiveStartKey"], json!({"pk": {"S": "p"}, "sk": {"S": "record#1"}}));
    assert_eq!((sent.len(), &sent[1].1["Limit"]), (3, &json!(9)));
}

#[tokio::test]
async fn no_more_is_asked_for_than_is_wanted() {
    let fake = Fake::new(|_, _, _| {
        Said::Answer(200, json!({ "Items": [row(&item(1))], "LastEvaluatedKey": {"pk": {"S": "p"}, "sk": {"S": "s"}} }))
    });
    assert_eq!(fake.ledger().query("p", "", false, 1).await, Ok(vec![item(1)]));
    let sent = fake.sent();
    assert_eq!((sent.len(), &sent[0].1["KeyConditionExpression"]), (1, &json!("#by = :by")));
    assert_eq!(sent[0].1["ScanIndexForward"], true);
    assert_eq!(fake.ledger().query("p", "", false, 0).await, Ok(Vec::new()));
    assert_eq!(fake.sent().len(), 1, "nothing is wanted");
}

#[tokio::test]
async fn indexes_are_asked_by_their_names() {
    let keys = json!({"pk": {"S": "resource#1"}, "sk": {"S": "record#2"}, "id": {"S": "id-1"}});
    let fake = Fake::new(move |_, body, number| {
        let items = if body["IndexName"] == "by-id" { keys.clone() } else { row(&item(2)) };
        let mut answer = json!({ "Items": [items] });
        if number == 0 {
            answer["LastEvaluatedKey"] =
                json!({"pk": {"S": "resource#1"}, "sk": {"S": "record#2"}, "id": {"S": "id-1"}});
        }
        Said::Answer(200, answer)
    });
    let ledger = fake.ledger();
    let bare = Item { version: 0, body: Value::Null, day: None, expires: None, ..item(1) };
    assert_eq!(ledger.find(Index::Id, "id-1").await, Ok(vec![bare.clone(), bare]));
    assert_eq!(ledger.find(Index::Day, "111122223333#2026-01-15").await, Ok(vec![item(2)]));
    let sent = fake.sent();
    assert_eq!((sent.len(), &sent[1].1["ExclusiveStartKey"]["id"]), (3, &json!({"S": "id-1"})));
    for (at, index, by) in [(0, "by-id", "id"), (2, "by-day", "day")] {
        let body = &sent[at].1;
        assert_eq!((&body["IndexName"], &body["ExpressionAttributeNames"]["#by"]), (&json!(index), &json!(by)));
        assert!(body.get("ConsistentRead").is_none(), "an index cannot be read so");
    }
}

#[tokio::test]
async fn every_write_carries_its_condition() {
    let fake = Fake::new(|_, _, _| Said::Answer(200, json!({})));
    let delete = Write::Delete(Key::new("a", "b"), 4);
    let mut plain = item(1);
    (plain.id, plain.day, plain.expires, plain.key.sk) = (None, None, None, "record#3".to_owned());
    fake.ledger().write(&[put(1), put(5), Write::Put(plain), delete, count(100, 3), count(2, 3)]).await.unwrap();
    let (operation, body) = fake.sent().remove(0);
    assert_eq!(operation, "TransactWriteItems");
    let parts = &body["TransactItems"];
    assert_eq!(
        parts[0],
        json!({"Put": {
            "TableName": "suture-ledger", "Item": row(&item(1)),
            "ConditionExpression": "attribute_not_exists(#pk)", "ExpressionAttributeNames": {"#pk": "pk"},
        }})
    );
    assert_eq!(
        parts[1],
        json!({"Put": {
            "TableName": "suture-ledger", "Item": row(&item(5)),
            "ConditionExpression": "#version = :before", "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":before": {"N": "4"}},
        }})
    );
    let names: Vec<_> = parts[2]["Put"]["Item"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["body", "pk", "sk", "version"]);
    assert_eq!(
        parts[3],
        json!({"Delete": {
            "TableName": "suture-ledger", "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}},
            "ConditionExpression": "#version = :version", "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":version": {"N": "4"}},
        }})
    );
    let counted = |condition: &str, add: &str, room: &str| {
        json!({"Update": {
            "TableName": "suture-ledger", "Key": {"pk": {"S": "budget#c"}, "sk": {"S": "hour#1"}},
            "UpdateExpression": "SET #expires = :expires ADD #count :add", "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#count": "count", "#expires": "expires"},
            "ExpressionAttributeValues": {
                ":add": {"N": add}, ":room": {"N": room}, ":expires": {"N": "1800000000"},
            },
        }})
    };
    assert_eq!(parts[4], counted("attribute_not_exists(#count) OR #count <= :room", "3", "97"));
    assert_eq!(
        parts[5],
        counted("#count <= :room", "3", "-1"),
        "more than the limit is too much also where nothing is"
    );
    assert_eq!(fake.tokens()[0].len(), 32);
}

#[tokio::test]
async fn what_dynamodb_would_refuse_is_not_sent() {
    let fake = Fake::new(|_, _, _| Said::Answer(200, json!({})));
    let ledger = fake.ledger();
    assert_eq!(ledger.write(&[]).await, Ok(()));
    let with = |change: &dyn Fn(&mut Item)| {
        let mut changed = item(1);
        change(&mut changed);
        Write::Put(changed)
    };
    let large = |size: usize| with(&|item| item.body = json!("x".repeat(size)));
    let eleven: Vec<_> = (0..11).map(|_| large(399_000)).collect();
    let slot = |size: usize| with(&|item| (item.key.sk, item.body) = ("slot#1".to_owned(), json!("x".repeat(size))));
    for (writes, expected) in [
        (vec![slot(400 * 1024)], "larger than the ledger can hold (400 KB)"),
        // A record has to leave room for the marks of its evidence.
        (vec![large(409_000)], "larger than the ledger can hold (400 KB)"),
        (eleven, "larger than the ledger takes at once (4 MB)"),
        (vec![with(&|item| item.key.pk = "x".repeat(2049))], "may have 1 to 2048"),
        (vec![with(&|item| item.key.sk = "x".repeat(1025))], "may have 1 to 1024"),
        (vec![with(&|item| item.id = Some(String::new()))], "has 0 bytes"),
        (vec![put(1); 101], "more than one transaction takes"),
    ] {
        let trouble = ledger.write(&writes).await.unwrap_err();
        assert!(!trouble.is_worth_a_retry() && trouble.to_string().contains(expected), "{trouble}");
    }
    assert!(fake.sent().is_empty());
    for writes in [[slot(409_000)], [large(405_000)]] {
        assert_eq!(ledger.write(&writes).await, Ok(()), "just under the limit");
    }
}

#[tokio::test]
async fn a_conflict_has_the_number_of_its_write() {
    for (codes, number) in [
        (&["ConditionalCheckFailed", "None", "None"][..], 0),
        (&["None", "None", "ConditionalCheckFailed"], 2),
        (&["None", "ConditionalCheckFailed", "ConditionalCheckFailed"], 1),
        // The condition says more than that somebody was there at the same time.
        (&["TransactionConflict", "None", "ConditionalCheckFailed"], 2),
        (&["ValidationError", "ConditionalCheckFailed", "None"], 1),
    ] {
        let fake = Fake::new(move |_, _, _| cancelled(codes));
        let trouble = fake.ledger().write(&[put(1), put(2), count(1, 1)]).await.unwrap_err();
        assert_eq!((trouble, fake.sent().len()), (Trouble::Conflict(number), 1), "{codes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_transaction_is_tried_again_as_a_new_one() {
    for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let fake = Fake::new(
            move |_, _, number| if number < 3 { cancelled(&["None", code]) } else { Said::Answer(200, json!({})) },
        );
        assert_eq!(fake.ledger().write(&[put(1), count(1, 1)]).await, Ok(()));
        let mut tokens = fake.tokens();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), 4, "{code}: nothing of a cancelled one was carried out");
    }
}

#[tokio::test(start_paused = true)]
async fn patience_with_others_ends() {
    for (code, status) in [("TransactionConflict", 0), ("ThrottlingException", 400), ("RequestLimitExceeded", 400)] {
        let fake =
            Fake::new(move |_, _, _| if status == 0 { cancelled(&["None", code]) } else { error(status, code, "") });
        let began = Instant::now();
        let trouble = fake.ledger().write(&[put(1), count(1, 1)]).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Away { retry: true, perhaps: false, .. }), "{trouble:?}");
        assert!(trouble.to_string().contains("busy"), "{trouble}");
        let took = began.elapsed();
        assert!(took > Duration::from_secs(1) && took <= PATIENCE, "{code}: {took:?}");
        assert!((6..60).contains(&fake.sent().len()), "{code}: {}", fake.sent().len());
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_who_want_one_count_all_get_it_in_time() {
    for _ in 0..2 {
        let crowd = Crowded::default();
        let ledger = ledger(crowd.clone());
        let writes = [put(1), count(100, 1)];
        let answers = futures_util::future::join_all((0..50).map(|_| ledger.write(&writes))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert!(*crowd.cancelled.lock().unwrap() > 50, "they were in each other's way");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_with_the_same_token() {
    for how in ["timeout", "io"] {
        let fake =
            Fake::new(move |_, _, number| if number == 0 { Said::Broken(how) } else { Said::Answer(200, json!({})) });
        assert_eq!(fake.ledger().write(&[put(1)]).await, Ok(()));
        let tokens = fake.tokens();
        assert!(tokens.len() == 2 && tokens[0] == tokens[1], "{tokens:?}");
        // Others' conflicts in between are no reason to forget it, nor is one's own attempt that is still under way.
        let fake = Fake::new(move |_, _, number| match number {
            0 => Said::Broken(how),
            1 => cancelled(&["TransactionConflict"]),
            2 => error(400, "TransactionInProgressException", ""),
            _ => Said::Answer(200, json!({})),
        });
        assert_eq!(fake.ledger().write(&[put(1)]).await, Ok(()));
        let tokens = fake.tokens();
        assert!(tokens.len() == 4 && tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_may_have_been_written() {
    // However it ends: one attempt that may have been carried out is enough.
    let ends: [fn() -> Said; 6] = [
        || Said::Broken("io"),
        || Said::Broken("unsent"),
        || error(500, "InternalServerError", ""),
        || cancelled(&["TransactionConflict"]),
        || error(400, "AccessDeniedException", ""),
        || Said::Text(200, "{half"),
    ];
    for (end, said) in ends.into_iter().enumerate() {
        let fake = Fake::new(move |_, _, number| if number == 0 { Said::Broken("io") } else { said() });
        let trouble = fake.ledger().write(&[put(1)]).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Away { perhaps: true, .. }), "{end}: {trouble:?}");
        assert!(!trouble.to_string().contains("SECRET"), "{trouble}");
    }
    let fake = Fake::new(|_, _, _| Said::Broken("io"));
    let trouble = fake.ledger().write(&[put(1)]).await.unwrap_err();
    assert!(trouble.is_worth_a_retry() && fake.sent().len() == 3, "{} of {trouble}", fake.sent().len());
    // But a condition that does not hold under the same token was never met.
    let fake =
        Fake::new(|_, _, number| if number == 0 { Said::Broken("io") } else { cancelled(&["ConditionalCheckFailed"]) });
    assert_eq!(fake.ledger().write(&[put(1)]).await, Err(Trouble::Conflict(0)));
    let fake = Fake::new(|_, _, _| Said::Broken("unsent"));
    let trouble = fake.ledger().write(&[put(1)]).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Away { retry: true, perhaps: false, .. }), "{trouble:?}");
}

#[tokio::test(start_paused = true)]
async fn errors_by_consequence() {
    let lasting = |text: &'static str| (false, false, text);
    for (status, code, message, (retry, perhaps, expected)) in [
        (
            400,
            "ResourceNotFoundException",
            "",
            lasting("the ledger table suture-ledger does not exist in this account and region; set SUTURE_LEDGER"),
        ),
        (
            400,
            "AccessDeniedException",
            "perform: dynamodb:UpdateItem on",
            lasting("dynamodb:UpdateItem on the ledger table"),
        ),
        (
            400,
            "AccessDeniedException",
            "perform: kms:Decrypt on",
            lasting("kms:Decrypt on the ledger table suture-ledger"),
        ),
        (400, "AccessDeniedException", "", lasting("dynamodb:PutItem or dynamodb:UpdateItem on the ledger table")),
        (400, "UnrecognizedClientException", "", lasting("does not accept our credentials")),
        (400, "ValidationException", "", lasting("other keys or indexes than a ledger")),
        (400, "IdempotentParameterMismatchException", "", lasting("(IdempotentParameterMismatchException)")),
        (400, "Weird<script>Exception", "", lasting("(WeirdscriptException)")),
        (400, "ExpiredTokenException", "", (true, false, "credentials have expired")),
        (400, "ThrottlingException", "", (true, false, "busy")),
        (400, "ProvisionedThroughputExceededException", "", (true, false, "busy")),
        (503, "ServiceUnavailable", "", (true, false, "not available")),
        (500, "InternalServerError", "", (true, true, "AWS had a fault")),
        (400, "TransactionInProgressException", "", (true, true, "still being written")),
    ] {
        let trouble = refusing(status, code, message).ledger().write(&[put(1), count(1, 1)]).await.unwrap_err();
        let Trouble::Away { why, retry: worth, perhaps: unsure } = &trouble else { panic!("{trouble:?}") };
        assert_eq!((*worth, *unsure), (retry, perhaps), "{code}: {trouble:?}");
        assert!(why.contains(expected) && !why.contains("SECRET") && !why.contains('<'), "{code}: {why}");
        if ["TransactionInProgressException", "IdempotentParameterMismatchException"].contains(&code) {
            continue;
        }
        // The same to a read: nothing can have been written.
        let ledger = refusing(status, code, message).ledger();
        for read in [
            ledger.get(&item(1).key).await.map(|_| ()),
            ledger.query("p", "", false, 1).await.map(|_| ()),
            ledger.find(Index::Id, "id-1").await.map(|_| ()),
        ] {
            let Err(Trouble::Away { why, retry: worth, perhaps: unsure }) = &read else { panic!("{read:?}") };
            assert_eq!((*worth, *unsure), (retry, false), "{code}: {read:?}");
            assert!(why.contains("ledger table suture-ledger") || code == "ValidationException", "{code}: {why}");
            assert!(!why.contains("SECRET") && !why.contains('<'), "{code}: {why}");
        }
    }
    let denied = refusing(400, "AccessDeniedException", "").ledger().get(&item(1).key).await.unwrap_err();
    assert!(
        denied.to_string().starts_with("dynamodb:GetItem on the ledger table suture-ledger was denied"),
        "{denied}"
    );
}

#[tokio::test(start_paused = true)]
async fn reasons_that_stand_are_told_from_those_that_pass() {
    for (codes, expected) in [
        (&["ItemCollectionSizeLimitExceeded", "None"][..], "no room left"),
        (&["TransactionConflict", "ValidationError"], "other keys or indexes"),
        (&["None", "DuplicateItem"], "other keys or indexes"),
    ] {
        let fake = Fake::new(move |_, _, _| cancelled(codes));
        let trouble = fake.ledger().write(&[put(1), count(1, 1)]).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Away { retry: false, perhaps: false, .. }), "{codes:?}: {trouble:?}");
        assert!(trouble.to_string().contains(expected) && fake.sent().len() == 1, "{trouble}");
    }
}

#[test]
fn tokens_and_waits_differ() {
    let tokens: std::collections::HashSet<_> = (0..1000).map(|_| token()).collect();
    assert_eq!(tokens.len(), 1000);
    assert!((0..1000).map(|_| fraction()).all(|each| (0.0..1.0).contains(&each)));
    let low = (0..1000).filter(|_| fraction() < 0.5).count();
    assert!((300..700).contains(&low), "{low}");
}
