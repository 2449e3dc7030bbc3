//! The messages of queues in the hands of a function, and the letters about what could not be done.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::gateway::Happening;
use lab::python::{environment, home};
use lab::runtime::{Program, Report};
use lab::{Client, Lab, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(1);

/// Answers by what the messages say: `fail` fails with it always, `once` the first time, `crash` with the whole batch, and
/// `sleep` for so many seconds.
const FUNCTION: &str = r#"
import http.client, json, os, time
def call(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    answer = connection.getresponse()
    return answer, answer.read()
seen = set()
while True:
    request, event = call("GET", "invocation/next")
    id, event = request.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(event)
    failed, error = [], "crash" in event
    print(json.dumps({"bodies": [record["body"] for record in event.get("Records", [])]}), flush=True)
    for record in event.get("Records", []):
        body = json.loads(record["body"])
        error = error or "crash" in body
        time.sleep(body.get("sleep", 0))
        again = record["messageId"] in seen
        seen.add(record["messageId"])
        if "fail" in body or ("once" in body and not again):
            failed.append({"itemIdentifier": record["messageId"]})
    if error:
        call("POST", f"invocation/{id}/error", json.dumps({"errorType": "Suture.Retry", "errorMessage": "as asked"}))
    else:
        call("POST", f"invocation/{id}/response", json.dumps({"batchItemFailures": failed, "event": event}))
"#;

const TEMPLATE: &str = r#"
Resources:
  Lost:
    Type: AWS::SQS::Queue
    Properties: {MessageRetentionPeriod: 1209600}
  LostPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Lost]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sqs:SendMessage
            Resource: !GetAtt Lost.Arn
            Condition: {ArnLike: {aws:SourceArn: !Sub "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/suture-*"}}
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 5400
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Lost.Arn, maxReceiveCount: 3}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: suture-sweeper
      Policies:
        - PolicyName: own
          PolicyDocument:
            Statement:
              - Effect: Allow
                Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes]
                Resource: !GetAtt Work.Arn
              - {Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt Lost.Arn}
  Sweeper:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/sweeper/
      Role: !GetAtt Role.Arn
      Timeout: 900
      Events:
        Queued:
          Type: SQS
          Properties:
            Queue: !GetAtt Work.Arn
            BatchSize: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: {MaximumConcurrency: 2}
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Lost.Arn}}
  Open:
    Type: AWS::Events::Rule
    Properties:
      Name: suture-open
      EventPattern: {source: [clinic.open]}
      Targets: [{Id: f, Arn: !GetAtt Sweeper.Arn, DeadLetterConfig: {Arn: !GetAtt Lost.Arn}}]
  Closed:
    Type: AWS::Events::Rule
    Properties:
      Name: suture-closed
      EventPattern: {source: [clinic.closed]}
      Targets: [{Id: f, Arn: !GetAtt Sweeper.Arn, DeadLetterConfig: {Arn: !GetAtt Lost.Arn}}]
  Astray:
    Type: AWS::Events::Rule
    Properties:
      Name: astray
      EventPattern: {source: [clinic.closed]}
      Targets: [{Id: f, Arn: !GetAtt Sweeper.Arn, DeadLetterConfig: {Arn: !GetAtt Lost.Arn}}]
  MayInvoke:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref Sweeper
      Principal: events.amazonaws.com
      SourceArn: !Sub arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/suture-op*
"#;

async fn started(template: &str) -> Result<Lab, String> {
    let name = format!("queues-{}.yaml", lab::quirks::error::request_id());
    let path: PathBuf = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, template).unwrap();
    let python = environment(&home(), &|_| {}).await.unwrap();
    let program = Program {
        path: python.interpreter().to_path_buf(),
        arguments: ["-I", "-S", "-c", FUNCTION].map(str::to_owned).to_vec(),
        directory: None,
    };
    let options = Options {
        home: home(),
        port: 0,
        template: path.clone(),
        programs: BTreeMap::from([("sweeper".to_owned(), program)]),
        parameters: BTreeMap::new(),
        faults: Vec::new(),
        retry_after: [Duration::from_millis(20); 2],
    };
    let lab = Lab::start(options, &|_| {}).await;
    std::fs::remove_file(path).unwrap();
    lab
}

fn queue(name: &str) -> String {
    format!("https://sqs.us-east-1.amazonaws.com/111122223333/suture-{name}")
}

async fn send(client: &Client, bodies: &[Value]) {
    for some in bodies.chunks(10) {
        let entry = |(id, body): (usize, &Value)| json!({"Id": id.to_string(), "MessageBody": body.to_string()});
        let entries: Vec<_> = some.iter().enumerate().map(entry).collect();
        let sent = json!({"QueueUrl": queue("Work"), "Entries": entries});
        client.must_json("sqs", "SendMessageBatch", &sent).await.unwrap();
    }
}

/// What the function was invoked with since somebody listened, once all is done.
async fn reports(lab: &Lab, happenings: &mut tokio::sync::broadcast::Receiver<Happening>) -> Vec<Report> {
    lab.settled(PATIENCE).await.unwrap();
    let mut all = Vec::new();
    while let Ok(happening) = happenings.try_recv() {
        if let Happening::Invocation(report) = happening {
            all.push(*report);
        }
    }
    all
}

/// The messages of each batch, in the order of the batches.
fn batches(reports: &[Report]) -> Vec<Vec<Value>> {
    let bodies = |report: &Report| {
        let line: Value = serde_json::from_str(&report.log[0]).unwrap();
        let bodies = line["bodies"].as_array().unwrap().clone();
        bodies.iter().map(|body| serde_json::from_str(body.as_str().unwrap()).unwrap()).collect()
    };
    reports.iter().map(bodies).collect()
}

#[tokio::test]
async fn messages_are_handed_over_once_and_only_what_failed_again() {
    let lab = started(TEMPLATE).await.unwrap();
    let client = lab.client("alice", "us-east-1");
    let mut happenings = lab.listen();
    send(&client, &[json!({"n": 0})]).await;
    let [report] = reports(&lab, &mut happenings).await.try_into().unwrap();
    assert_eq!((report.rule.as_deref(), report.attempt), (Some("suture-SweeperQueued"), 1));
    let record = &report.json()["event"]["Records"][0];
    let arn = "arn:aws:sqs:us-east-1:111122223333:suture-Work";
    assert_eq!((&record["eventSource"], record["eventSourceARN"].as_str()), (&json!("aws:sqs"), Some(arn)));
    assert_eq!((&record["body"], &record["awsRegion"]), (&json!(r#"{"n":0}"#), &json!("us-east-1")));
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!((&record["messageAttributes"], record["md5OfBody"].as_str().unwrap().len()), (&json!({}), 32));

    // One of many fails the first time: it comes back alone. The queue's time-out of an hour and a half is not waited for.
    let all: Vec<_> = (1..=10).map(|n| if n == 7 { json!({"n": n, "once": true}) } else { json!({"n": n}) }).collect();
    send(&client, &all).await;
    let again = reports(&lab, &mut happenings).await;
    assert_eq!(batches(&again), [all, vec![json!({"n": 7, "once": true})]]);
    assert_eq!(again.iter().map(|report| report.attempt).collect::<Vec<_>>(), [1, 2]);
    // Many at once: none is lost or comes twice while others are deleted.
    let all: Vec<_> = (11..=95).map(|n| json!({"n": n})).collect();
    send(&client, &all).await;
    let batches = batches(&reports(&lab, &mut happenings).await);
    assert!(batches.iter().all(|batch| batch.len() <= 10), "{batches:?}");
    let mut handed: Vec<_> = batches.concat().iter().map(|body| body["n"].as_u64().unwrap()).collect();
    handed.sort_unstable();
    assert_eq!(handed, (11..=95).collect::<Vec<_>>());
    assert!(lab.letters("111122223333", "us-east-1").await.unwrap().is_empty(), "done is deleted");
    lab.stop().await;
}

#[tokio::test]
async fn what_never_succeeds_ends_in_the_dead_letters() {
    let lab = started(TEMPLATE).await.unwrap();
    let client = lab.client("alice", "us-east-1");
    let mut happenings = lab.listen();
    send(&client, &[json!({"n": 1}), json!({"n": 2, "fail": true})]).await;
    let batches_of = batches(&reports(&lab, &mut happenings).await);
    assert_eq!(batches_of.len(), 3, "{batches_of:?}");
    assert!(batches_of[1..].iter().all(|batch| *batch == [json!({"n": 2, "fail": true})]), "{batches_of:?}");
    let [letter] = lab.dead_letters().await.unwrap().try_into().unwrap();
    assert_eq!((letter.queue.as_str(), letter.json()), ("suture-Lost", json!({"n": 2, "fail": true})));
    // An invocation that fails fails with all of its messages.
    send(&client, &[json!({"n": 3}), json!({"n": 4, "crash": true})]).await;
    lab.settled(PATIENCE).await.unwrap();
    let mut lost: Vec<_> = lab.dead_letters().await.unwrap().iter().map(|letter| letter.json()["n"].clone()).collect();
    lost.sort_by_key(Value::as_u64);
    assert_eq!(lost, [json!(2), json!(3), json!(4)]);
    lab.stop().await;
}

#[tokio::test]
async fn no_more_than_the_template_says_are_worked_on_at_once() {
    let lab = started(&TEMPLATE.replace("BatchSize: 10", "BatchSize: 1")).await.unwrap();
    let client = lab.client("alice", "us-east-1");
    let mut happenings = lab.listen();
    let all: Vec<_> = (0..6).map(|n| json!({"n": n, "sleep": 0.1})).collect();
    send(&client, &all).await;
    let reports = reports(&lab, &mut happenings).await;
    assert_eq!((reports.len(), reports.iter().filter(|report| report.init.is_some()).count()), (6, 2), "two sandboxes");
    lab.stop().await;
}

/// A time-out is an error like any other: all come back, and nothing of what was under way is lost.
#[tokio::test]
async fn a_batch_that_takes_too_long_comes_back() {
    let template = TEMPLATE.replace("Timeout: 900", "Timeout: 1").replace("maxReceiveCount: 3", "maxReceiveCount: 2");
    let lab = started(&template).await.unwrap();
    let mut happenings = lab.listen();
    send(&lab.client("alice", "us-east-1"), &[json!({"n": 1, "sleep": 30})]).await;
    let reports = reports(&lab, &mut happenings).await;
    let errors: Vec<_> = reports.iter().map(|report| report.answer.clone().unwrap_err().error_type).collect();
    assert_eq!(errors, ["Sandbox.Timedout", "Sandbox.Timedout"]);
    assert_eq!(lab.dead_letters().await.unwrap().len(), 1);
    lab.stop().await;
}

#[tokio::test]
async fn what_lambda_and_eventbridge_give_up_is_told_in_their_words() {
    let lab = started(TEMPLATE).await.unwrap();
    let event = |source: &str, detail: Value| {
        json!({"source": source, "account": "111122223333", "region": "us-east-1", "detail-type": "x", "detail": detail,
            "crash": true})
    };
    assert_eq!(lab.put_event(&event("clinic.open", json!({"n": 1}))), ["suture-open"]);
    lab.settled(PATIENCE).await.unwrap();
    let [letter] = lab.dead_letters().await.unwrap().try_into().unwrap();
    let record = letter.json();
    assert_eq!((&record["version"], &record["requestPayload"]["detail"]["n"]), (&json!("1.0"), &json!(1)));
    let context = &record["requestContext"];
    assert_eq!((&context["condition"], &context["approximateInvokeCount"]), (&json!("RetriesExhausted"), &json!(2)));
    assert_eq!(context["functionArn"], "arn:aws:lambda:us-east-1:111122223333:function:sweeper:$LATEST");
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    assert_eq!(record["responsePayload"], json!({"errorType": "Suture.Retry", "errorMessage": "as asked"}));

    // Two rules that the function does not let invoke it: the queue's policy lets one of them tell.
    let closed = event("clinic.closed", json!({"n": 2}));
    assert_eq!(lab.put_event(&closed), ["astray", "suture-closed"]);
    lab.settled(PATIENCE).await.unwrap();
    let letters = lab.dead_letters().await.unwrap();
    let [_, letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.json(), letter.attributes["ERROR_CODE"].as_str()), (closed.clone(), "NO_PERMISSIONS"));
    assert_eq!(letter.attributes["RULE_ARN"], "arn:aws:events:us-east-1:111122223333:rule/suture-closed");
    assert!(letter.attributes["TARGET_ARN"].ends_with(":function:sweeper"), "{letter:?}");
    let [dropped] = lab.dropped().try_into().unwrap();
    assert_eq!(
        (dropped.function.as_str(), dropped.message),
        ("arn:aws:events:us-east-1:111122223333:rule/astray", closed)
    );
    lab.stop().await;
}

#[tokio::test]
async fn what_lambda_would_not_make_is_told_before_the_lab_starts() {
    for (from, to, expected) in [
        ("sqs:ReceiveMessage, ", "", "may not sqs:ReceiveMessage"),
        ("sqs:DeleteMessage, ", "", "may not sqs:DeleteMessage"),
        (
            "Action: sqs:SendMessage, Resource: !GetAtt Lost.Arn",
            "Action: sqs:SendMessage, Resource: x",
            "may not sqs:SendMessage",
        ),
        (
            "VisibilityTimeout: 5400",
            "VisibilityTimeout: 899",
            "the queue's visibility timeout is less than the function's 900",
        ),
        ("      VisibilityTimeout: 5400\n", "", "visibility timeout is less"),
        ("MaximumConcurrency: 2", "MaximumConcurrency: 1", "is not between 2 and 1000"),
        ("BatchSize: 10", "BatchSize: 11", "need a MaximumBatchingWindowInSeconds"),
    ] {
        assert!(TEMPLATE.contains(from));
        let said = started(&TEMPLATE.replace(from, to)).await.unwrap_err();
        assert!(said.contains(expected), "{from}: {said}");
    }
}

#[tokio::test]
async fn an_idle_queue_is_left_alone() {
    let lab = started(TEMPLATE).await.unwrap();
    let client = lab.client("alice", "us-east-1");
    send(&client, &[json!({"n": 1})]).await;
    lab.settled(PATIENCE).await.unwrap();
    // A message that somebody else has received is waited for, and not asked for again and again.
    let sent = json!({"QueueUrl": queue("Work"), "MessageBody": "{\"n\":2}", "DelaySeconds": 1});
    let mut happenings = lab.listen();
    client.must_json("sqs", "SendMessage", &sent).await.unwrap();
    let before = cpu(lab.process().unwrap());
    let reports = reports(&lab, &mut happenings).await;
    assert_eq!(batches(&reports), [[json!({"n": 2})]], "after its delay");
    assert!(cpu(lab.process().unwrap()) - before < 0.5, "seconds of moto's");
    lab.stop().await;
}

/// The seconds of CPU that a process has used.
fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap();
    stat.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}
