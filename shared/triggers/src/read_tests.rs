use super::*;
use crate::Reply;
use crate::samples::*;
use serde_json::json;

#[test]
fn every_shape_is_read() {
    use {Act::*, Trigger::*};
    let table = [
        ("call", CloudTrail, Evaluate, "AWS::S3::Bucket clinic-scans"),
        ("call of EC2", CloudTrail, Evaluate, "AWS::EC2::SecurityGroup sg-0123456789abcdef0"),
        ("instances", CloudTrail, Evaluate, "AWS::EC2::Instance i-0123456789abcdef0"),
        ("account call", CloudTrail, EvaluateAccount, ""),
        ("bare record", CloudTrail, Evaluate, "AWS::KMS::Key 1234abcd"),
        ("trail file", CloudTrail, Evaluate, "AWS::IAM::User anna"),
        ("compliance", ConfigCompliance, Evaluate, "AWS::S3::Bucket clinic-scans"),
        ("item", ConfigItem, Evaluate, "AWS::IAM::User AIDAEXAMPLEEXAMPLE123"),
        ("delivery channel", ConfigCompliance, Evaluate, "AWS::S3::Bucket clinic-scans"),
        ("rule", ConfigRule, Evaluate, "AWS::IAM::User AIDAEXAMPLEEXAMPLE123"),
        ("oversized", ConfigRule, Evaluate, "AWS::EC2::SecurityGroup sg-0123456789abcdef0"),
        ("scheduled rule", ConfigRule, Sweep, ""),
        ("imported", SecurityHub, Evaluate, "AWS::S3::Bucket arn:aws:s3:::clinic-scans"),
        ("action", SecurityHubAction, Evaluate, "AWS::S3::Bucket arn:aws:s3:::clinic-scans"),
        ("insight", SecurityHubAction, Ignore, ""),
        ("ocsf", SecurityHubV2, Evaluate, "AWS::S3::Bucket arn:aws:s3:::clinic-scans"),
        ("guardduty key", GuardDuty, Incident, "AWS::IAM::AccessKey AKIAEXAMPLEEXAMPLE00"),
        ("guardduty instance", GuardDuty, Incident, "AWS::EC2::Instance i-0123456789abcdef0"),
        ("analyzer", AccessAnalyzer, Evaluate, "AWS::S3::Bucket arn:aws:s3:::clinic-scans"),
        ("health", Health, Incident, "AWS::IAM::AccessKey AKIAEXAMPLEEXAMPLE00"),
        ("schedule", Schedule, Sweep, ""),
        ("sns", CloudTrail, Evaluate, "AWS::S3::Bucket clinic-scans"),
        ("sqs", CloudTrail, Evaluate, "AWS::S3::Bucket clinic-scans"),
        ("sns in sqs", CloudTrail, Evaluate, "AWS::S3::Bucket clinic-scans"),
        ("manual", Manual, Evaluate, ""),
        ("pasted", Manual, Evaluate, "AWS::S3::Bucket arn:aws:s3:::clinic-scans"),
        ("empty", Manual, Sweep, ""),
    ];
    let samples = all();
    assert_eq!(table.map(|row| row.0).to_vec(), samples.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for ((name, trigger, act, first), (_, event)) in table.into_iter().zip(samples) {
        let reading = read(&event);
        let notice = &reading.notices[0];
        let resource = notice.resources.first().map(|found| format!("{} {}", found.r#type, found.id));
        assert_eq!(
            (notice.trigger, notice.act, resource.as_deref().unwrap_or_default()),
            (trigger, act, first),
            "{name}"
        );
        if trigger != Manual && act != Ignore {
            assert_eq!(notice.account.as_ref().map(AccountId::as_str), Some(OURS), "{name}");
        }
        assert_eq!(read_bytes(event.to_string().as_bytes()), reading, "{name}");
        assert!(!notice.why.is_empty(), "{name}");
    }
}

#[test]
fn what_is_no_event_is_rejected() {
    let table = [
        (json!(null), "the event is null"),
        (json!([opened()]), "the event is a list"),
        (json!("event"), "the event is a text"),
        (json!(5), "the event is a number"),
        (json!({"detail": opened()["detail"]}), "no detail-type"),
        (json!({"detail-type": 5, "detail": {}}), "detail-type is a number"),
        (with(opened(), "/detail", None), "is null, not an object"),
        (with(opened(), "/detail", json!("{}")), "is a text, not an object"),
        (with(opened(), "/source", json!("my.app")), "source is \"my.app\", which is not AWS"),
        (json!({"Records": 5}), "Records is a number"),
        (json!({"Records": []}), "Records is empty"),
        (json!({"Records": [5]}), "a record is of \"\""),
        (
            json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]}),
            "a record is of \"aws:s3\"",
        ),
        (json!({"foo": 1, "bar": 2}), "its fields are \"bar\", \"foo\""),
        (asff(), "say which control"),
    ];
    for (event, says) in table {
        let why = refused(read(&event));
        assert!(why.contains(says), "{says}\n{why}");
    }
    let why = ignored(read(&bus("EC2 Instance State-change Notification", "aws.ec2", json!({"state": "running"}))));
    assert!(why.contains("says nothing about drift"), "{why}");
    for name in ["Unused Access Finding for IAM entities", "Access Preview State Change"] {
        let notice = only(read(&bus(name, "aws.access-analyzer", json!({"status": "ACTIVE"}))));
        assert_eq!((notice.trigger, notice.act), (Trigger::AccessAnalyzer, Act::Ignore));
    }
    // Blanks that were copied along do no harm, nor does a missing source.
    let blanks = with(compliance(), "/detail-type", json!(" Config Rules  Compliance Change\n"));
    assert_eq!(only(read(&blanks)).act, Act::Evaluate);
    assert_eq!(only(read(&with(compliance(), "/source", None))).act, Act::Evaluate);
}

#[test]
fn bytes_that_are_no_event() {
    for (bytes, says) in [
        (&b""[..], "no JSON (line 1, column 0)"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"{}{}", "no JSON"),
        (b"[[[[[[", "no JSON"),
    ] {
        let why = refused(read_bytes(bytes));
        assert!(why.contains(says), "{why}");
    }
    let deep = "[".repeat(100_000);
    assert!(refused(read_bytes(deep.as_bytes())).contains("no JSON"));
    let long = vec![b' '; LARGEST_EVENT + 1];
    assert!(refused(read_bytes(&long)).contains("Lambda delivers no more than"));
}

#[test]
fn a_schedule_is_harmless_whoever_sent_it() {
    let notice = only(read(&schedule()));
    assert_eq!(notice.region.as_ref().map(Region::as_str), Some("eu-central-1"));
    let unrendered = with(with(schedule(), "/account", json!("{{{account_id}}}")), "/region", json!("{{{region}}}"));
    for event in [unrendered, with(with(schedule(), "/account", None), "/region", None)] {
        let notice = only(read(&event));
        assert_eq!((notice.act, notice.account, notice.region), (Act::Sweep, None, None));
        assert!(notice.resources.is_empty());
    }
    for detail in [json!({}), json!(null), json!("{}")] {
        assert_eq!(only(read(&with(schedule(), "/detail", detail))).act, Act::Sweep);
    }
}

#[test]
fn each_message_is_read_by_itself() {
    let (good, other) = (opened().to_string(), compliance().to_string());
    let nested = notification(&good).to_string();
    let manual = json!({"resource": "clinic-scans", "mode": "enforce"}).to_string();
    let confirm =
        json!({"Type": "SubscriptionConfirmation", "TopicArn": "t", "Message": "You have chosen"}).to_string();
    let bodies = [&good, "no JSON", &nested, "{\"foo\": 1}", &manual, &other, "{}", &confirm, "\"text\""];
    let reading = read(&sqs(&bodies));
    let ids = |n: usize| Some(format!("m-{n}"));
    let messages: Vec<_> = reading.notices.iter().map(|notice| notice.message.clone()).collect();
    assert_eq!(messages, [ids(0), ids(2), ids(5)]);
    let table = [
        (1, "the message is no JSON"),
        (3, "none of our events; its fields are \"foo\""),
        (4, "invoke the function with it"),
        (6, "none of our events"),
        (7, "\"SubscriptionConfirmation\", not a notification"),
        (8, "the event is a text"),
    ];
    assert_eq!(reading.rejected.len(), table.len());
    for (rejected, (n, says)) in reading.rejected.iter().zip(table) {
        assert_eq!(rejected.message, ids(n), "{rejected:?}");
        assert!(rejected.why.contains(says), "{rejected:?}");
    }
    // A record that is not as SQS sends it keeps its id, and the others are read.
    let mut batch = sqs(&[&good, &good]);
    batch["Records"][0]["attributes"] = json!(5);
    let reading = read(&batch);
    assert_eq!((reading.notices.len(), reading.rejected[0].message.clone()), (1, ids(0)));
    assert!(refused(read(&with(sqs(&[&good]), "/Records/0/body", None))).contains("has no body"));
}

#[test]
fn sns_messages() {
    let good = opened().to_string();
    assert_eq!(only(read(&sns(&good))).message, None);
    // Config's delivery channel sends no envelope; and somebody's test event has the message as an object.
    assert_eq!(only(read(&sns(&compliance()["detail"].to_string()))).trigger, Trigger::ConfigCompliance);
    assert_eq!(only(read(&sns(&item().to_string()))).trigger, Trigger::ConfigItem);
    let object = with(sns(""), "/Records/0/Sns/Message", compliance()["detail"].clone());
    assert_eq!(only(read(&object)).act, Act::Evaluate);
    for (message, says) in [(json!(5), "Message is a number"), (json!("plain"), "no JSON"), (json!([]), "a list")] {
        let why = refused(read(&with(sns(""), "/Records/0/Sns/Message", message)));
        assert!(why.contains(says), "{why}");
    }
    assert!(refused(read(&with(sns(""), "/Records/0/Sns/Message", None))).contains("Message is missing"));
    // The answer is still asked for.
    let invoked = only(read(&sns(&invocation(&item()).to_string())));
    assert!(matches!(invoked.reply, Some(Reply::Evaluation { .. })));
}

#[test]
fn work_is_bounded_by_the_event() {
    // Envelope in envelope: four are opened, and each byte is parsed at most once for each.
    let mut event = opened().to_string();
    let mut opened_at = Vec::new();
    for depth in 1..=6 {
        event = sqs(&[&event]).to_string();
        let mut reader = Reader::default();
        reader.open(&serde_json::from_str(&event).unwrap(), 0, None);
        assert!(reader.parsed <= DEEPEST * event.len(), "{} of {}", reader.parsed, event.len());
        opened_at.push(reader.reading.notices.len());
        if depth > DEEPEST {
            assert!(reader.reading.rejected[0].why.contains("more than 4 envelopes"));
        }
    }
    assert_eq!(opened_at, [1, 1, 1, 1, 0, 0]);
    // Objects instead of texts are no way around.
    let mut event = opened();
    for _ in 0..50 {
        event = json!({"TopicArn": "t", "Message": event});
    }
    assert!(read(&event).notices.is_empty());
    // Too many records.
    let many = json!({"Records": vec![json!({"eventSource": "aws:sqs", "body": "{\"a\": 1}"}); MOST_RECORDS + 5]});
    let reading = read(&many);
    assert_eq!(reading.rejected.len(), MOST_RECORDS + 1);
    assert!(reading.rejected[MOST_RECORDS].why.contains("more than 10000 records"));
    // Records in records do not multiply: an inner batch is cut off with the outer one.
    let inner = json!({"Records": vec![json!({"eventSource": "aws:sqs", "body": "{\"a\": 1}"}); 400]}).to_string();
    let outer = json!({"Records": vec![json!({"eventSource": "aws:sqs", "body": inner}); 100]});
    assert_eq!(read(&outer).rejected.len(), MOST_RECORDS + 1);
    let file = json!({"Records": vec![record("ec2", "DeleteFlowLogs", json!(null), json!(null)); 400]}).to_string();
    let outer = json!({"Records": vec![json!({"eventSource": "aws:sqs", "body": file}); 26]});
    let reading = read(&outer);
    assert_eq!((reading.notices.len(), reading.rejected.len()), (MOST_RECORDS, 1));
    // Many findings with many wrong resources each.
    let finding = with(asff(), "/Resources", json!(vec![json!({"Type": "AwsS3Bucket", "Id": "*"}); 1200]));
    assert_eq!(read(&hub(ACTION, &vec![finding; 20])).rejected.len(), MOST_RECORDS + 1);
}

#[test]
fn the_explanation() {
    let explained = crate::explain(&read(&sqs(&[&opened().to_string(), "?"])), &|notice: &Notice| {
        notice.resources.iter().map(|found| format!("for {}", found.id)).collect()
    });
    assert_eq!(
        explained,
        json!({
            "requests": [{
                "trigger": "cloud-trail", "account": OURS, "region": "eu-central-1",
                "event": "DeleteBucketPublicAccessBlock",
                "actor": "arn:aws:sts::111122223333:assumed-role/platform/anna",
                "act": "evaluate",
                "resources": [{"type": "AWS::S3::Bucket", "id": "clinic-scans", "name": "clinic-scans"}],
                "controls": ["for clinic-scans"],
                "why": "\"DeleteBucketPublicAccessBlock\" can bring about drift",
            }],
            "rejected": [{"why": "the message is no JSON, so none of our events"}],
        })
    );
    let empty = crate::explain(&read(&json!({})), &|_| Vec::new());
    assert_eq!(empty["requests"][0]["account"], Value::Null);
    assert_eq!(empty["requests"][0]["act"], "sweep");
}
