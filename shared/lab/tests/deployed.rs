//! What a template has beside functions: that it is there, that a stream wakes its function, and what is told to SNS,
//! Security Hub and STS.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::call::Caller;
use lab::gateway::Happening;
use lab::http::ApiRequest;
use lab::python::{environment, home};
use lab::runtime::{Program, Report};
use lab::{Client, Lab, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);
const TABLE: &str = "suture-ledger";

/// Answers by what is in the records: an item with `fail` fails the batch from itself on as often as it says (`always`
/// without end), one with `crash` fails the whole.
const FUNCTION: &str = r#"
import http.client, json, os
def call(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    answer = connection.getresponse()
    return answer, answer.read()
seen = {}
while True:
    request, event = call("GET", "invocation/next")
    id, event = request.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(event)
    answer, error = {"batchItemFailures": []}, None
    print(json.dumps({"keys": [r["dynamodb"]["Keys"]["sk"]["S"] for r in event.get("Records", [])]}), flush=True)
    for record in event.get("Records", []):
        item = record["dynamodb"].get("NewImage", {})
        number = record["dynamodb"]["SequenceNumber"]
        seen[number] = seen.get(number, 0) + 1
        if "crash" in item:
            error = "Suture.Retry"
        if "fail" in item and (item["fail"]["S"] == "always" or seen[number] <= int(item["fail"]["S"])):
            answer["batchItemFailures"].append({"itemIdentifier": number})
            break
    answer["event"] = event
    answer["environment"] = {name: value for name, value in os.environ.items() if name.startswith("SUTURE_")}
    if error:
        call("POST", f"invocation/{id}/error", json.dumps({"errorType": error, "errorMessage": "as asked"}))
    else:
        call("POST", f"invocation/{id}/response", json.dumps(answer))
"#;

const TEMPLATE: &str = r#"
Parameters:
  Mail: {Type: String, Default: ""}
Conditions:
  HasMail: !Not [!Equals [!Ref Mail, ""]]
Resources:
  Key:
    Type: AWS::KMS::Key
    Properties: {Description: what Suture remembers, EnableKeyRotation: true, KeyPolicy: {Statement: []}}
  KeyName: {Type: AWS::KMS::Alias, Properties: {AliasName: alias/suture, TargetKeyId: !Ref Key}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub ${AWS::StackName}-ledger
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: pk, AttributeType: S}
        - {AttributeName: sk, AttributeType: S}
        - {AttributeName: id, AttributeType: S}
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      GlobalSecondaryIndexes:
        - {IndexName: by-id, KeySchema: [{AttributeName: id, KeyType: HASH}], Projection: {ProjectionType: KEYS_ONLY}}
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
      SSESpecification: {SSEEnabled: true, SSEType: KMS, KMSMasterKeyId: !GetAtt Key.Arn}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
      DeletionProtectionEnabled: true
  Evidence:
    Type: AWS::S3::Bucket
    Properties:
      ObjectLockEnabled: true
      ObjectLockConfiguration:
        ObjectLockEnabled: Enabled
        Rule: {DefaultRetention: {Mode: GOVERNANCE, Days: 30}}
      VersioningConfiguration: {Status: Enabled}
      BucketEncryption:
        ServerSideEncryptionConfiguration:
          - BucketKeyEnabled: true
            ServerSideEncryptionByDefault: {SSEAlgorithm: aws:kms, KMSMasterKeyID: !GetAtt Key.Arn}
      PublicAccessBlockConfiguration:
        {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}
      Tags: [{Key: owner, Value: suture}]
  EvidencePolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Evidence
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Deny
            Principal: "*"
            Action: s3:*
            Resource: [!GetAtt Evidence.Arn, !Sub "${Evidence.Arn}/*"]
            Condition: {Bool: {aws:SecureTransport: "false"}}
  Topic: {Type: AWS::SNS::Topic, Properties: {KmsMasterKeyId: !Ref Key}}
  Letters:
    Type: AWS::SNS::Subscription
    Condition: HasMail
    Properties: {TopicArn: !Ref Topic, Protocol: email, Endpoint: !Ref Mail}
  Lost: {Type: AWS::SQS::Queue}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: suture-recorder
      Policies:
        - PolicyName: own
          PolicyDocument:
            Statement:
              - Effect: Allow
                Action: [dynamodb:DescribeStream, dynamodb:GetRecords, dynamodb:GetShardIterator]
                Resource: !GetAtt Table.StreamArn
              - {Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Table.Arn}
              - {Effect: Allow, Action: [kms:Decrypt, kms:GenerateDataKey], Resource: !GetAtt Key.Arn}
              - {Effect: Allow, Action: s3:PutObject, Resource: !Sub "${Evidence.Arn}/*"}
              - {Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Evidence.Arn}/readable/*"}
  Recorder:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/recorder/
      Role: !GetAtt Role.Arn
      MemorySize: 256
      Timeout: 60
      Environment:
        Variables:
          SUTURE_LEDGER: !Ref Table
          SUTURE_EVIDENCE: !Ref Evidence
          SUTURE_TOPIC: !Ref Topic
          SUTURE_KEY: !GetAtt Key.Arn
      Events:
        Ledger:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Table.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 3
            MaximumRetryAttempts: 2
            MAPPING
            FilterCriteria: {Filters: [{Pattern: '{"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "resource#"}]}}}}'}]}
            DestinationConfig: {OnFailure: {Destination: !GetAtt Lost.Arn}}
        Hourly: {Type: Schedule, Properties: {Schedule: rate(1 hour)}}
"#;

fn written(text: &str) -> PathBuf {
    use std::hash::{BuildHasher, Hasher};
    let number = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let path = std::env::temp_dir().join(format!("lab-deployed-{number:016x}.yaml"));
    std::fs::write(&path, text).unwrap();
    path
}

async fn started(template: &str) -> Result<Lab, String> {
    let python = environment(&home(), &|_| {}).await.unwrap();
    let program = Program {
        path: python.interpreter().to_path_buf(),
        arguments: ["-I", "-S", "-c", FUNCTION].map(str::to_owned).to_vec(),
        directory: None,
    };
    let template = written(template);
    let options = Options {
        home: home(),
        port: 0,
        template: template.clone(),
        programs: BTreeMap::from([("recorder".to_owned(), program)]),
        parameters: BTreeMap::new(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    let lab = Lab::start(options, &|_| {}).await;
    std::fs::remove_file(template).unwrap();
    lab
}

/// A lab with the template, whose mapping has these properties too.
async fn lab(mapping: &str) -> Lab {
    let text = TEMPLATE.replace("MAPPING", mapping);
    let endless = mapping.contains("MaximumRecordAgeInSeconds");
    let text = if endless { text.replace("MaximumRetryAttempts: 2", "MaximumRetryAttempts: -1") } else { text };
    started(&text).await.unwrap()
}

const PARTIAL: &str = "FunctionResponseTypes: [ReportBatchItemFailures]";

fn put(sk: &str, more: &Value) -> Value {
    let mut item = json!({"pk": {"S": "resource#1"}, "sk": {"S": sk}});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"Put": {"TableName": TABLE, "Item": item}})
}

/// Writes items in one transaction, so that they come in one batch, or as few as hold them.
async fn write(client: &Client, items: &[Value]) {
    client.must_json("dynamodb", "TransactWriteItems", &json!({ "TransactItems": items })).await.unwrap();
}

/// The keys of each batch that the function was given, in order.
async fn batches(lab: &Lab, happenings: &mut tokio::sync::broadcast::Receiver<Happening>) -> Vec<(u32, Vec<String>)> {
    lab.settled(PATIENCE).await.unwrap();
    let mut all = Vec::new();
    while let Ok(happening) = happenings.try_recv() {
        if let Happening::Invocation(report) = happening {
            let line: Value = serde_json::from_str(&report.log[0]).unwrap();
            all.push((report.attempt, serde_json::from_value(line["keys"].clone()).unwrap()));
        }
    }
    all
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

#[tokio::test]
async fn what_the_template_has_is_there_and_nobody_saw_it_made() {
    let lab = lab(PARTIAL).await;
    assert!(lab.calls(|_| true).is_empty());
    let client = lab.client("alice", "us-east-1");
    let told = client.must_json("dynamodb", "DescribeTable", &json!({"TableName": TABLE})).await.unwrap();
    let table = &told["Table"];
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["StreamSpecification"], json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}));
    assert_eq!(
        (&table["SSEDescription"]["Status"], &table["DeletionProtectionEnabled"]),
        (&json!("ENABLED"), &json!(true))
    );
    assert_eq!(table["GlobalSecondaryIndexes"][0]["Projection"]["ProjectionType"], "KEYS_ONLY");
    let lives = client.must_json("dynamodb", "DescribeTimeToLive", &json!({"TableName": TABLE})).await.unwrap();
    assert_eq!(lives["TimeToLiveDescription"], json!({"AttributeName": "expires", "TimeToLiveStatus": "ENABLED"}));
    for (sub_resource, expected) in [
        ("object-lock", "<Mode>GOVERNANCE</Mode>"),
        ("versioning", "<Status>Enabled</Status>"),
        ("encryption", "<SSEAlgorithm>aws:kms</SSEAlgorithm>"),
        ("publicAccessBlock", "<RestrictPublicBuckets>true</RestrictPublicBuckets>"),
        ("tagging", "<Value>suture</Value>"),
        ("policy", "aws:SecureTransport"),
    ] {
        let answer = client.must(Method::GET, &format!("/suture-evidence?{sub_resource}"), "").await.unwrap();
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(said.contains(expected), "{sub_resource}: {said}");
    }
    // What the function is told is what there is. People know it by the name that CloudFormation gave it.
    let report =
        lab.invoke("arn:aws:lambda:us-east-1:111122223333:function:suture-Recorder", &json!({})).await.unwrap();
    let told = &report.json()["environment"];
    assert_eq!((&told["SUTURE_LEDGER"], &told["SUTURE_EVIDENCE"]), (&json!(TABLE), &json!("suture-evidence")));
    let arn = told["SUTURE_KEY"].as_str().unwrap();
    let key = client.must_json("kms", "DescribeKey", &json!({"KeyId": "alias/suture"})).await.unwrap();
    assert_eq!(key["KeyMetadata"]["Arn"], arn);
    let topic = [("TopicArn", told["SUTURE_TOPIC"].as_str().unwrap())];
    let attributes = client.must_query("sns", "GetTopicAttributes", &topic).await.unwrap();
    assert!(String::from_utf8_lossy(&attributes.body).contains(arn.rsplit('/').next().unwrap()));
    assert_eq!(client.must_query("sns", "ListSubscriptions", &[]).await.unwrap().texts("TopicArn"), [""; 0]);
    lab.stop().await;
}

#[tokio::test]
async fn a_write_wakes_the_function_with_what_lambda_hands_over() {
    let lab = lab(PARTIAL).await;
    let client = lab.client("alice", "us-east-1");
    let mut happenings = lab.listen();
    let began = Instant::now();
    write(&client, &[put("a", &json!({"version": {"N": "1"}}))]).await;
    lab.settled(PATIENCE).await.unwrap();
    println!("a record reached the function in {:?}, with its cold start", began.elapsed());
    write(&client, &[put("a", &json!({"version": {"N": "2"}}))]).await;
    lab.settled(PATIENCE).await.unwrap();
    let mut reports: Vec<Report> = Vec::new();
    while let Ok(happening) = happenings.try_recv() {
        if let Happening::Invocation(report) = happening {
            reports.push(*report);
        }
    }
    let event = reports[1].json()["event"].clone();
    let record = &event["Records"][0];
    assert_eq!((&record["eventName"], &record["eventSource"]), (&json!("MODIFY"), &json!("aws:dynamodb")));
    let stream = format!("arn:aws:dynamodb:us-east-1:111122223333:table/{TABLE}/stream/2026-01-01T00:00:00.000");
    assert_eq!(
        (record["eventSourceARN"].as_str().unwrap(), &record["awsRegion"]),
        (stream.as_str(), &json!("us-east-1"))
    );
    let inner = &record["dynamodb"];
    assert_eq!(inner["Keys"], json!({"pk": {"S": "resource#1"}, "sk": {"S": "a"}}));
    assert_eq!((&inner["OldImage"]["version"]["N"], &inner["NewImage"]["version"]["N"]), (&json!("1"), &json!("2")));
    assert!(inner["ApproximateCreationDateTime"].is_i64() && inner["SequenceNumber"].is_string());
    assert_eq!(reports[1].rule.as_deref(), Some("suture-RecorderLedger"));
    // A write that changes nothing leaves no record, one that the filter leaves out wakes nobody, and one that fails neither.
    write(&client, &[put("a", &json!({"version": {"N": "2"}}))]).await;
    let other = json!({"Put": {"TableName": TABLE, "Item": {"pk": {"S": "budget#x"}, "sk": {"S": "hour"}}}});
    write(&client, &[other]).await;
    let mut refused = put("b", &json!({}));
    refused["Put"]["ConditionExpression"] = json!("attribute_exists(pk)");
    let refused = json!({ "TransactItems": [put("c", &json!({})), refused] });
    assert_eq!(client.json("dynamodb", "TransactWriteItems", &refused).await.unwrap().status, 400);
    assert_eq!(batches(&lab, &mut happenings).await, []);
    // Behind those that it does not take there is one that it does.
    let others = (0..7).map(
        |at| json!({"Put": {"TableName": TABLE, "Item": {"pk": {"S": "budget#x"}, "sk": {"S": format!("{at}")}}}}),
    );
    let all: Vec<_> = others.chain([put("d", &json!({}))]).collect();
    write(&client, &all).await;
    assert_eq!(batches(&lab, &mut happenings).await, [(1, keys(&["d"]))]);
    // The account has no trail of items, and what others have of the writes is no event.
    assert!(lab.calls(|call| call.service == "dynamodb").iter().all(|call| call.resource.as_deref() == Some(TABLE)));
    lab.stop().await;
}

#[tokio::test]
async fn a_batch_goes_on_from_the_record_that_failed_and_keeps_the_order() {
    let lab = lab(PARTIAL).await;
    let client = lab.client("alice", "us-east-1");
    let mut happenings = lab.listen();
    let none = json!({});
    write(&client, &[put("a", &none), put("b", &json!({"fail": {"S": "1"}})), put("c", &none), put("d", &none)]).await;
    assert_eq!(
        batches(&lab, &mut happenings).await,
        [(1, keys(&["a", "b", "c"])), (2, keys(&["b", "c"])), (1, keys(&["d"]))]
    );
    assert_eq!(lab.dropped(), []);
    // What fails to the end is given up after the last try, and those behind it have their turn: the batch is given up
    // from it on.
    write(&client, &[put("e", &none), put("f", &json!({"fail": {"S": "always"}})), put("g", &none), put("h", &none)])
        .await;
    assert_eq!(
        batches(&lab, &mut happenings).await,
        [(1, keys(&["e", "f", "g"])), (2, keys(&["f", "g"])), (3, keys(&["f", "g"])), (1, keys(&["h"]))]
    );
    let [dropped] = lab.dropped().try_into().unwrap();
    assert_eq!(
        (dropped.function.as_str(), &dropped.message["DDBStreamBatchInfo"]["batchSize"]),
        ("recorder", &json!(2))
    );
    assert_eq!(dropped.destination.as_deref(), Some("arn:aws:sqs:us-east-1:111122223333:suture-Lost"));
    let url = [("QueueUrl", "https://sqs.us-east-1.amazonaws.com/111122223333/suture-Lost")];
    let received = client.must_query("sqs", "ReceiveMessage", &url).await.unwrap();
    let body: Value = serde_json::from_str(&received.texts("Body")[0]).unwrap();
    assert_eq!(body, dropped.message);
    lab.stop().await;
}

#[tokio::test]
async fn a_batch_without_an_end_of_tries_is_given_up_when_it_is_too_old() {
    let lab = lab("FunctionResponseTypes: [ReportBatchItemFailures]\n            MaximumRecordAgeInSeconds: 2").await;
    let client = lab.client("alice", "us-east-1");
    let mut happenings = lab.listen();
    write(&client, &[put("a", &json!({"fail": {"S": "always"}}))]).await;
    let tries = batches(&lab, &mut happenings).await;
    let attempts: Vec<_> = tries.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(attempts, (1..=u32::try_from(tries.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(lab.dropped()[0].message["requestContext"]["condition"], "RecordAgeExceeded");
    lab.stop().await;
}

#[tokio::test]
async fn a_batch_that_crashes_is_cut_in_two_if_the_mapping_says_so() {
    let lab = lab("BisectBatchOnFunctionError: true").await;
    let client = lab.client("alice", "us-east-1");
    let mut happenings = lab.listen();
    let none = json!({});
    write(&client, &[put("a", &none), put("b", &none), put("c", &json!({"crash": {"BOOL": true}}))]).await;
    assert_eq!(
        batches(&lab, &mut happenings).await,
        [
            (1, keys(&["a", "b", "c"])),
            (1, keys(&["a"])),
            (1, keys(&["b", "c"])),
            (1, keys(&["b"])),
            (1, keys(&["c"])),
            (2, keys(&["c"])),
            (3, keys(&["c"])),
        ]
    );
    assert_eq!(lab.dropped()[0].message["DDBStreamBatchInfo"]["batchSize"], 1);
    lab.stop().await;
}

#[tokio::test]
async fn a_role_may_no_more_than_the_template_says() {
    let lab = lab(PARTIAL).await;
    lab.gateway.identities.add(
        "ASIARECORDER",
        Caller::Role {
            account: "111122223333".to_owned(),
            role: "suture-recorder".to_owned(),
            session: "recorder".to_owned(),
            access_key: "ASIARECORDER".to_owned(),
        },
    );
    let (recorder, alice) = (lab.client("ASIARECORDER", "us-east-1"), lab.client("alice", "us-east-1"));
    let key = json!({"TableName": TABLE, "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}});
    assert_eq!(recorder.json("dynamodb", "GetItem", &key).await.unwrap().status, 200);
    let write = json!({"TransactItems": [put("a", &json!({}))]});
    let denied = recorder.json("dynamodb", "TransactWriteItems", &write).await.unwrap();
    let said = String::from_utf8_lossy(&denied.body).into_owned();
    assert!(
        denied.status == 400 && said.contains("AccessDeniedException") && said.contains("dynamodb:PutItem"),
        "{said}"
    );
    assert_eq!(alice.json("dynamodb", "TransactWriteItems", &write).await.unwrap().status, 200);
    let topic = [("TopicArn", "arn:aws:sns:us-east-1:111122223333:suture-Topic"), ("Message", "x")];
    let denied = recorder.query("sns", "Publish", &topic).await.unwrap();
    assert_eq!((denied.status.as_u16(), denied.texts("Code")), (403, keys(&["AuthorizationError"])));
    assert_eq!(recorder.s3(Method::GET, "/suture-evidence/a", "").await.unwrap().status, 403);
    // May be read, and is not there: only who may list the bucket is told that.
    let missing = "/suture-evidence/readable/b";
    let told = recorder.s3(Method::GET, missing, "").await.unwrap();
    assert_eq!((told.status.as_u16(), told.texts("Code")), (403, keys(&["AccessDenied"])));
    assert_eq!(alice.s3(Method::GET, missing, "").await.unwrap().texts("Code"), ["NoSuchKey"]);
    let body = ApiRequest::new(Method::PUT, "/suture-evidence/a").header("x-amz-checksum-crc32", "AAAAAA==");
    let stored = recorder.send("s3", body).await.unwrap();
    assert_eq!(stored.status, 200, "{}", String::from_utf8_lossy(&stored.body));
    assert_eq!(lab.published(), []);
    // Who may not read the stream gets no mapping.
    let text = TEMPLATE.replace("MAPPING", PARTIAL).replace("dynamodb:GetRecords, ", "");
    let refused = started(&text).await.unwrap_err();
    assert!(refused.starts_with("Recorder: Lambda would refuse its mapping"), "{refused}");
    lab.stop().await;
}

#[tokio::test]
async fn what_is_published_is_kept_and_told() {
    let lab = lab(PARTIAL).await;
    let client = lab.client("alice", "us-east-1");
    let mut happenings = lab.listen();
    let fields = [
        ("TopicArn", "arn:aws:sns:us-east-1:111122223333:suture-Topic"),
        ("Subject", "Suture: fixed"),
        ("Message", "clinic-scans & more"),
        ("MessageAttributes.entry.1.Name", "outcome"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "fixed"),
    ];
    client.must_query("sns", "Publish", &fields).await.unwrap();
    let [published] = lab.published().try_into().unwrap();
    assert_eq!(
        (published.subject.as_deref(), published.message.as_str()),
        (Some("Suture: fixed"), "clinic-scans & more")
    );
    assert_eq!(published.topic, fields[0].1);
    assert_eq!(published.attributes, BTreeMap::from([("outcome".to_owned(), "fixed".to_owned())]));
    assert_eq!(published.by.arn(), "arn:aws:iam::111122223333:user/operator");
    assert!(matches!(happenings.recv().await.unwrap(), Happening::Call(_)));
    assert!(matches!(happenings.recv().await.unwrap(), Happening::Published(told) if *told == published));
    // A publication is no management event, and one to no topic is none.
    let nowhere = [("TopicArn", "arn:aws:sns:us-east-1:111122223333:gone"), ("Message", "x")];
    assert_eq!(client.query("sns", "Publish", &nowhere).await.unwrap().status, 404);
    assert!(matches!(happenings.recv().await.unwrap(), Happening::Call(_)));
    assert!(happenings.try_recv().is_err());
    assert_eq!(lab.published().len(), 1);
    lab.stop().await;
}

#[tokio::test]
async fn security_hub_takes_findings_that_are_whole() {
    let lab = lab(PARTIAL).await;
    let client = lab.client("alice", "us-east-1");
    let whole = json!({
        "SchemaVersion": "2018-10-08", "Id": "suture/1", "AwsAccountId": "111122223333", "GeneratorId": "suture",
        "ProductArn": "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default",
        "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z", "Title": "refused", "Description": "why",
        "Types": ["Software and Configuration Checks"], "Severity": {"Label": "MEDIUM"},
        "Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::clinic-scans"}],
    });
    let import = |findings: Value| {
        let body = json!({ "Findings": findings }).to_string();
        client.send("securityhub", ApiRequest::new(Method::POST, "/findings/import").body(body))
    };
    let mut broken = whole.clone();
    broken["Id"] = json!("suture/2");
    broken.as_object_mut().unwrap().remove("GeneratorId");
    let answer = import(json!([whole, broken])).await.unwrap();
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&said["SuccessCount"], &said["FailedCount"]), (&json!(1), &json!(1)));
    assert_eq!(said["FailedFindings"][0]["ErrorMessage"], "GeneratorId is required");
    let mut later = whole.clone();
    later["UpdatedAt"] = json!("2026-01-02T00:00:00Z");
    later["Title"] = json!("fixed");
    assert_eq!(import(json!([&later])).await.unwrap().status, 200);
    assert_eq!(lab.imported_findings("us-east-1").await.unwrap(), std::slice::from_ref(&later));
    // A provider's own fields do for those that the finding itself has not.
    let mut provided = later.clone();
    provided["Id"] = json!("suture/3");
    let fields = provided.as_object_mut().unwrap();
    let (types, severity) = (fields.remove("Types").unwrap(), fields.remove("Severity").unwrap());
    provided["FindingProviderFields"] = json!({"Types": types, "Severity": severity});
    assert_eq!(import(json!([provided])).await.unwrap().status, 200);
    let there = lab.imported_findings("us-east-1").await.unwrap();
    assert_eq!((there.len(), &there[1]["Types"], &there[1]["Severity"]), (2, &types, &severity));
    let mut foreign = whole.clone();
    foreign["ProductArn"] = json!("arn:aws:securityhub:us-east-1::product/aws/guardduty");
    let refused = import(json!([foreign])).await.unwrap();
    assert!(refused.status.is_client_error(), "{}", refused.status);
    assert_eq!(lab.imported_findings("us-east-1").await.unwrap().len(), 2);
    lab.stop().await;
}
