//! What wakes functions beside CloudTrail: events of other sources, and schedules; and what the functions find in their
//! environment.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::gateway::Happening;
use lab::http::{ApiRequest, ApiResponse, Upstream};
use lab::python::{environment, home};
use lab::runtime::{Program, Report};
use lab::{Lab, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// Answers with its event and its environment.
const FUNCTION: &str = r#"
import http.client, json, os
def call(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    answer = connection.getresponse()
    return answer, answer.read()
while True:
    request, event = call("GET", "invocation/next")
    id = request.headers["Lambda-Runtime-Aws-Request-Id"]
    call("POST", f"invocation/{id}/response", json.dumps({"event": json.loads(event), "environment": dict(os.environ)}))
"#;

const TEMPLATE: &str = r#"
Resources:
  Role: {Type: AWS::IAM::Role, Properties: {RoleName: watcher-role}}
  Watcher:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/watcher/
      Role: !GetAtt Role.Arn
      Timeout: 60
      Environment: {Variables: {AWS_ENDPOINT_URL: "", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true", OWN: ours}}
      Events:
        Findings:
          Type: EventBridgeRule
          Properties:
            RuleName: found
            Pattern:
              $or:
                - {source: [aws.config], detail: {newEvaluationResult: {complianceType: [NON_COMPLIANT]}}}
                - {source: [clinic.scanner], detail-type: [Finding]}
        Calls: {Type: EventBridgeRule, Properties: {RuleName: called, Pattern: {source: [aws.iam, aws.ec2]}}}
        Nightly: {Type: Schedule, Properties: {Name: nightly, Schedule: rate(1 day)}}
        Weekly: {Type: ScheduleV2, Properties: {Name: weekly, ScheduleExpression: rate(7 days), Input: '{"sweep": true}'}}
  Permission: {Type: AWS::Lambda::Permission, Properties: {Action: lambda:InvokeFunction, FunctionName: !Ref Watcher, Principal: config.amazonaws.com}}
"#;

async fn lab() -> Lab {
    // A file of its own for each lab: tests run beside each other.
    let name = format!("events-{}.yaml", lab::quirks::error::request_id());
    let path: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, TEMPLATE).unwrap();
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
        programs: BTreeMap::from([("watcher".to_owned(), program)]),
        parameters: BTreeMap::new(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    let lab = Lab::start(options, &|_| {}).await.unwrap();
    std::fs::remove_file(path).unwrap();
    lab
}

async fn ask(lab: &Lab, method: Method, path: &str, body: &str) -> (u16, String) {
    let address = lab.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    let answer = Upstream::new(address).send(ApiRequest::new(method, path).body(body.to_owned())).await.unwrap();
    (answer.status.as_u16(), text(&answer))
}

fn text(answer: &ApiResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// The next invocation.
async fn invocation(happenings: &mut Receiver<Happening>) -> Report {
    let seen = async {
        loop {
            if let Happening::Invocation(report) = happenings.recv().await.unwrap() {
                return *report;
            }
        }
    };
    timeout(PATIENCE, seen).await.unwrap()
}

#[tokio::test]
async fn events_of_every_source_reach_the_rules() {
    let lab = lab().await;
    let mut happenings = lab.listen();
    let noncompliant = json!({ "source": "aws.config", "detail-type": "Config Rules Compliance Change",
        "detail": { "newEvaluationResult": { "complianceType": "NON_COMPLIANT" } } });
    assert_eq!(lab.put_event(&noncompliant), ["found"]);
    let report = invocation(&mut happenings).await;
    assert_eq!((report.rule.as_deref(), &report.json()["event"]), (Some("found"), &noncompliant));
    let mut compliant = noncompliant.clone();
    compliant["detail"]["newEvaluationResult"]["complianceType"] = json!("COMPLIANT");
    assert!(lab.put_event(&compliant).is_empty());
    assert_eq!(ask(&lab, Method::POST, "/_lab/events", &noncompliant.to_string()).await, (200, "found\n".to_owned()));
    assert_eq!(invocation(&mut happenings).await.json()["event"], noncompliant);
    assert_eq!(ask(&lab, Method::POST, "/_lab/events", "[]").await.0, 400);

    // By EventBridge's own call, and never in AWS's name.
    let client = lab.client("alice", "us-east-1");
    let entry = |source: &str, detail: &str| json!({ "Source": source, "DetailType": "Finding", "Detail": detail });
    let entries = json!({ "Entries": [entry("clinic.scanner", r#"{"id": 7}"#), entry("aws.config", "{}"),
        entry("clinic.scanner", "no JSON")] });
    let answer = client.must_json("events", "PutEvents", &entries).await.unwrap();
    assert_eq!((&answer["FailedEntryCount"], answer["Entries"].as_array().unwrap().len()), (&json!(2), 3));
    assert_eq!(answer["Entries"][1]["ErrorCode"], "NotAuthorizedForSourceException");
    assert_eq!(answer["Entries"][2]["ErrorCode"], "MalformedDetail");
    let event = invocation(&mut happenings).await.json()["event"].clone();
    assert_eq!((&event["detail"]["id"], &event["id"]), (&json!(7), &answer["Entries"][0]["EventId"]));

    // A second rule of the same function, by a real call: its record as CloudTrail writes it.
    client.must_query("iam", "CreateUser", &[("UserName", "bob")]).await.unwrap();
    let report = invocation(&mut happenings).await;
    assert_eq!(report.rule.as_deref(), Some("called"));
    client.must_query("iam", "CreateAccessKey", &[("UserName", "bob")]).await.unwrap();
    let detail = invocation(&mut happenings).await.json()["event"]["detail"].clone();
    assert_eq!(
        (&detail["awsRegion"], &detail["requestParameters"]),
        (&json!("us-east-1"), &json!({"userName": "bob"}))
    );
    let key = &detail["responseElements"]["accessKey"];
    assert_eq!((&key["userName"], &key["status"], key.get("secretAccessKey")), (&json!("bob"), &json!("Active"), None));
    assert!(key["accessKeyId"].as_str().unwrap().starts_with("AKIA"), "{key}");
    lab.stop().await;
}

#[tokio::test]
async fn a_security_groups_record_reads_as_cloudtrails() {
    let lab = lab().await;
    let client = lab.client("alice", "eu-west-1");
    let mut happenings = lab.listen();
    let parameters = [("GroupName", "ward"), ("GroupDescription", "of ward 7")];
    client.must_query("ec2", "CreateSecurityGroup", &parameters).await.unwrap();
    let created = invocation(&mut happenings).await.json()["event"]["detail"].clone();
    let id = created["responseElements"]["groupId"].as_str().unwrap().to_owned();
    assert_eq!(created["requestParameters"], json!({ "groupName": "ward", "groupDescription": "of ward 7" }));
    assert_eq!((&created["awsRegion"], &created["eventSource"]), (&json!("eu-west-1"), &json!("ec2.amazonaws.com")));
    let parameters = [
        ("GroupId", id.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    client.must_query("ec2", "AuthorizeSecurityGroupIngress", &parameters).await.unwrap();
    let opened = invocation(&mut happenings).await.json()["event"]["detail"].clone();
    let asked = &opened["requestParameters"]["ipPermissions"]["items"][0];
    assert_eq!((&asked["ipRanges"]["items"][0]["cidrIp"], &asked["fromPort"]), (&json!("0.0.0.0/0"), &json!(22)));
    let mut rule = opened["responseElements"]["securityGroupRuleSet"]["items"][0].clone();
    let rule_id = rule["securityGroupRuleId"].take();
    assert!(rule_id.as_str().unwrap().starts_with("sgr-"), "{opened}");
    for (field, value) in [
        ("groupId", json!(id)),
        ("groupOwnerId", json!("111122223333")),
        ("isEgress", json!(false)),
        ("ipProtocol", json!("tcp")),
        ("fromPort", json!(22)),
        ("toPort", json!(22)),
        ("cidrIpv4", json!("0.0.0.0/0")),
    ] {
        assert_eq!(rule[field], value, "{field}");
    }
    assert_eq!(opened["responseElements"]["_return"], true);
    let parameters = [("GroupId", id.as_str()), ("SecurityGroupRuleId.1", rule_id.as_str().unwrap())];
    client.must_query("ec2", "RevokeSecurityGroupIngress", &parameters).await.unwrap();
    let closed = invocation(&mut happenings).await.json()["event"]["detail"].clone();
    let gone = &closed["responseElements"]["revokedSecurityGroupRuleSet"]["items"][0];
    assert_eq!((&gone["securityGroupRuleId"], &gone["cidrIpv4"]), (&rule_id, &json!("0.0.0.0/0")));
    lab.stop().await;
}

#[tokio::test]
async fn schedules_are_fired_by_hand() {
    let lab = lab().await;
    let reports = lab.fire("watcher").await.unwrap();
    let events: Vec<Value> = reports.iter().map(|report| report.json()["event"].clone()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["detail-type"], &events[0]["detail"]), (&json!("Scheduled Event"), &json!({})));
    assert_eq!(events[0]["resources"], json!(["arn:aws:events:us-east-1:111122223333:rule/nightly"]));
    assert_eq!(events[1], json!({ "sweep": true }));
    let none = lab.fire("nobody").await.unwrap_err();
    assert_eq!(none, "nobody has no schedule; there is one of watcher");

    let mut happenings = lab.listen();
    assert_eq!(ask(&lab, Method::POST, "/_lab/schedules/watcher", "").await, (200, "nightly\nweekly\n".to_owned()));
    let mut names = [invocation(&mut happenings).await.rule.unwrap(), invocation(&mut happenings).await.rule.unwrap()];
    names.sort();
    assert_eq!(names, ["nightly", "weekly"]);
    assert_eq!(ask(&lab, Method::POST, "/_lab/schedules/nobody", "").await.0, 404);
    lab.stop().await;
}

#[tokio::test]
async fn functions_see_the_lab_and_nothing_else() {
    let lab = lab().await;
    let seen = lab.invoke("watcher", &json!({})).await.unwrap().json()["environment"].clone();
    assert_eq!(seen["AWS_ENDPOINT_URL"], lab.endpoint(), "whatever the template says");
    assert_eq!((&seen["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], &seen["OWN"]), (&json!("false"), &json!("ours")));
    // S3 Control's endpoint is a name, and the gateway the proxy to it; the Runtime API is reached without.
    assert_eq!(
        (&seen["AWS_ENDPOINT_URL_S3_CONTROL"], &seen["HTTP_PROXY"]),
        (&json!("http://s3-control.lab"), &json!(lab.endpoint()))
    );
    assert_eq!(seen["NO_PROXY"], "127.0.0.1,localhost");
    lab.stop().await;
}

#[tokio::test]
async fn what_was_told_can_be_asked() {
    let lab = lab().await;
    let client = lab.client("alice", "us-east-1");
    let one = json!({ "ComplianceResourceType": "AWS::IAM::User", "ComplianceResourceId": "AIDA1",
        "ComplianceType": "NON_COMPLIANT", "OrderingTimestamp": 1_767_225_600 });
    client.must_json("config", "PutEvaluations", &json!({ "Evaluations": [one], "ResultToken": "t" })).await.unwrap();
    let (status, said) = ask(&lab, Method::GET, "/_lab/evaluations", "").await;
    assert!(status == 200 && said.contains("\"AIDA1\""), "{said}");
    assert_eq!(ask(&lab, Method::GET, "/_lab/findings", "").await, (200, r#"{"calls":[]}"#.to_owned()));
    let (status, said) = ask(&lab, Method::POST, "/_lab/iam/nonsense", "{}").await;
    assert!(status == 400 && said.contains("there is no iam/nonsense; iam has age-key"), "{said}");
    let (status, said) = ask(&lab, Method::POST, "/_lab/iam/fill", r#"{"count": 2, "prefix": "ward"}"#).await;
    assert!(status == 200 && said.matches("AKIA").count() == 2, "{said}");
    lab.stop().await;
}

#[tokio::test]
async fn faults_meet_every_service() {
    let lab = lab().await;
    let client = lab.client("alice", "us-east-1");
    let set = async |faults: &str| {
        assert_eq!(ask(&lab, Method::DELETE, "/_lab/faults", "").await.0, 200);
        assert_eq!(ask(&lab, Method::POST, "/_lab/faults", faults).await.0, 200);
    };
    set("*:*=throttle%3").await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(client.query("iam", "ListUsers", &[]).await.unwrap().status.as_u16());
        statuses.push(client.query("ec2", "DescribeVpcs", &[]).await.unwrap().status.as_u16());
        statuses.push(client.json("kms", "ListAliases", &json!({})).await.unwrap().status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 400, 200, 200, 400], "every third call");

    // A read that lags behind a write, though the one is about a rule and the other about its group.
    let parameters = [("GroupName", "ward"), ("GroupDescription", "of ward 7")];
    set("ec2:DescribeSecurityGroupRules=stale*1\nec2:AuthorizeSecurityGroupIngress=drop-answer*1").await;
    let made = client.must_query("ec2", "CreateSecurityGroup", &parameters).await.unwrap();
    let id = made.texts("groupId").remove(0);
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", id.as_str())];
    let rules =
        async || client.must_query("ec2", "DescribeSecurityGroupRules", &filter).await.unwrap().texts("isEgress").len();
    assert_eq!(rules().await, 1);
    let open = [
        ("GroupId", id.as_str()),
        ("IpProtocol", "tcp"),
        ("FromPort", "22"),
        ("ToPort", "22"),
        ("CidrIp", "0.0.0.0/0"),
    ];
    assert!(client.query("ec2", "AuthorizeSecurityGroupIngress", &open).await.is_err(), "the answer was lost");
    assert_eq!([rules().await, rules().await], [1, 2], "stale once, then the rule is there all the same");
    lab.stop().await;
}
