//! A hub and a member account: whose keys are whose, who may take on which role, and which events come to the hub.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::call::{ACCOUNT, Caller};
use lab::gateway::Happening;
use lab::http::ApiResponse;
use lab::python::{environment, home};
use lab::runtime::{Program, Report};
use lab::{Client, Lab, Member, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(1);
const MEMBER: &str = "444455556666";
const ORGANIZATION: &str = "o-a1b2c3d4e5";

/// Answers with its event.
const FUNCTION: &str = r#"
import http.client, json, os
def call(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    answer = connection.getresponse()
    return answer, answer.read()
while True:
    request, event = call("GET", "invocation/next")
    call("POST", f"invocation/{request.headers['Lambda-Runtime-Aws-Request-Id']}/response", event)
"#;

const HUB: &str = r#"
Parameters: {OrganizationId: {Type: String}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: suture-watcher
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: members
          PolicyDocument:
            Statement: [{Effect: Allow, Action: sts:AssumeRole, Resource: !Sub "arn:${AWS::Partition}:iam::*:role/suture-member-*"}]
  Watcher:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/watcher/
      Role: !GetAtt Role.Arn
      Events: {Calls: {Type: EventBridgeRule, Properties: {RuleName: hub-calls, Pattern: {source: [aws.s3, clinic.scanner]}}}}
  Members:
    Type: AWS::Events::EventBusPolicy
    Properties:
      StatementId: members
      Statement:
        Effect: Allow
        Principal: "*"
        Action: events:PutEvents
        Resource: !Sub arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default
        Condition: {StringEquals: {aws:PrincipalOrgID: !Ref OrganizationId}}
"#;

const THEIRS: &str = r#"
Conditions: {LendsRoles: !Equals [!Ref AWS::Region, us-east-1]}
Resources:
  Lost: {Type: AWS::SQS::Queue, Properties: {QueueName: lost}}
  LostPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Lost]
      PolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: sqs:SendMessage, Resource: !GetAtt Lost.Arn}]
  Forward:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Sub forward-${AWS::Region}
      AssumeRolePolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sts:AssumeRole
            Condition:
              StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}
              ArnLike: {aws:SourceArn: !Sub "arn:aws:events:${AWS::Region}:${AWS::AccountId}:rule/member-*"}
      Policies:
        - PolicyName: forward
          PolicyDocument:
            Statement: [{Effect: Allow, Action: events:PutEvents, Resource: "arn:aws:events:us-east-1:111122223333:event-bus/default"}]
  Calls:
    Type: AWS::Events::Rule
    Properties:
      Name: member-calls
      EventPattern: {source: [aws.s3], detail: {eventName: [CreateBucket]}}
      Targets:
        - Id: hub
          Arn: arn:aws:events:us-east-1:111122223333:event-bus/default
          RoleArn: !GetAtt Forward.Arn
          DeadLetterConfig: {Arn: !GetAtt Lost.Arn}
  Lent:
    Type: AWS::IAM::Role
    Condition: LendsRoles
    Properties:
      RoleName: suture-member-watcher
      AssumeRolePolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {AWS: arn:aws:iam::111122223333:role/suture-watcher}
            Action: sts:AssumeRole
            Condition: {StringEquals: {sts:ExternalId: clinic, aws:PrincipalOrgID: o-a1b2c3d4e5}}
      Policies:
        - PolicyName: control
          PolicyDocument:
            Statement: [{Effect: Allow, Action: s3:CreateBucket, Resource: "*"}]
"#;

fn written(text: &str) -> PathBuf {
    let name = format!("accounts-{}.yaml", lab::quirks::error::request_id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

async fn hub() -> Lab {
    let python = environment(&home(), &|_| {}).await.unwrap();
    let program = Program {
        path: python.interpreter().to_path_buf(),
        arguments: ["-I", "-S", "-c", FUNCTION].map(str::to_owned).to_vec(),
        directory: None,
    };
    let options = Options {
        home: home(),
        port: 0,
        template: written(HUB),
        programs: BTreeMap::from([("watcher".to_owned(), program)]),
        parameters: BTreeMap::from([("OrganizationId".to_owned(), ORGANIZATION.to_owned())]),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    };
    Lab::start(options, &|_| {}).await.unwrap()
}

async fn open(lab: &Lab, account: &str, organization: &str, template: &str) {
    let member = Member {
        account: account.to_owned(),
        organization: organization.to_owned(),
        template: written(template),
        regions: vec!["us-east-1".to_owned(), "eu-west-1".to_owned()],
        parameters: BTreeMap::new(),
    };
    lab.open_account(&member).await.unwrap();
}

/// Somebody with a session of the hub's role, as its function is.
fn watcher(lab: &Lab) -> Client {
    let (account, role) = (ACCOUNT.to_owned(), "suture-watcher".to_owned());
    let (session, access_key) = ("watcher".to_owned(), "ASIAWATCHER".to_owned());
    lab.gateway.identities.add("ASIAWATCHER", Caller::Role { account, role, session, access_key });
    lab.client("ASIAWATCHER", "us-east-1")
}

async fn assume(client: &Client, role: &str, more: &[(&str, &str)]) -> ApiResponse {
    let arn = format!("arn:aws:iam::{MEMBER}:role/{role}");
    let fields = [("RoleArn", arn.as_str()), ("RoleSessionName", "suture")];
    let fields: Vec<_> = fields.iter().chain(more).copied().collect();
    client.query("sts", "AssumeRole", &fields).await.unwrap()
}

fn said(answer: &ApiResponse) -> String {
    format!("{} {}", answer.status.as_u16(), String::from_utf8_lossy(&answer.body))
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

#[tokio::test]
async fn a_role_is_lent_to_whom_it_trusts_and_acts_in_its_account() {
    let lab = hub().await;
    open(&lab, MEMBER, ORGANIZATION, THEIRS).await;
    let watcher = watcher(&lab);
    let answer = assume(&watcher, "suture-member-watcher", &[("ExternalId", "clinic")]).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let arn = format!("arn:aws:sts::{MEMBER}:assumed-role/suture-member-watcher/suture");
    assert_eq!(answer.texts("Arn"), [arn.as_str()]);
    let key = answer.texts("AccessKeyId")[0].clone();
    assert!(key.starts_with("ASIA") && key.len() == 20 && answer.texts("Expiration")[0].ends_with('Z'), "{key}");
    assert!(lab.gateway.identities.comes_from(&key, "ASIAWATCHER"));

    // What it makes is in the member account, told in the session's name, and may be no more than the role.
    let lent = lab.client(&key, "eu-west-1");
    let mut happenings = lab.listen();
    lent.must(Method::PUT, "/theirs", body("eu-west-1")).await.unwrap();
    let [report] = reports(&lab, &mut happenings).await.try_into().unwrap();
    let event = report.json();
    assert_eq!((&event["account"], &event["region"]), (&json!(MEMBER), &json!("eu-west-1")));
    let identity = &event["detail"]["userIdentity"];
    assert_eq!((identity["arn"].as_str(), &identity["accountId"]), (Some(arn.as_str()), &json!(MEMBER)));
    let issuer = format!("arn:aws:iam::{MEMBER}:role/suture-member-watcher");
    assert_eq!(identity["sessionContext"]["sessionIssuer"]["arn"], issuer.as_str());
    let listed = lab.client(MEMBER, "us-east-1").must(Method::GET, "/", "").await.unwrap();
    assert_eq!(listed.texts("Name"), ["theirs"]);
    assert!(lab.client("alice", "us-east-1").must(Method::GET, "/", "").await.unwrap().texts("Name").is_empty());
    let denied = lent.s3(Method::DELETE, "/theirs", "").await.unwrap();
    assert_eq!((denied.status.as_u16(), denied.texts("Code")), (403, vec!["AccessDenied".to_owned()]));
    lab.stop().await;
}

fn body(region: &str) -> String {
    format!("<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>")
}

#[tokio::test]
async fn nobody_else_gets_it() {
    let lab = hub().await;
    open(&lab, MEMBER, ORGANIZATION, THEIRS).await;
    let (watcher, alice) = (watcher(&lab), lab.client("alice", "us-east-1"));
    let (id, role) = (("ExternalId", "clinic"), "suture-member-watcher");
    for (client, role, more) in [
        (&watcher, role, vec![]),
        (&watcher, role, vec![("ExternalId", "other")]),
        (&watcher, "suture-member-nobody", vec![id]),
        (&alice, role, vec![id]),
        // A service's alone, and none that the hub's role may ask for.
        (&alice, "forward-us-east-1", vec![id]),
        (&watcher, "forward-us-east-1", vec![id]),
    ] {
        let answer = assume(client, role, &more).await;
        let expected = ("403".to_owned(), vec!["AccessDenied".to_owned()]);
        assert_eq!((answer.status.as_u16().to_string(), answer.texts("Code")), expected, "{role} {more:?}");
        assert!(said(&answer).contains(&format!("sts:AssumeRole on resource: arn:aws:iam::{MEMBER}:role/{role}")));
    }
    for (more, expected) in [
        (vec![id, ("DurationSeconds", "3601")], "1 hour session limit for roles assumed by role chaining"),
        (vec![id, ("DurationSeconds", "899")], "between 900 and 43200"),
        (vec![("ExternalId", "no spaces")], "externalId"),
    ] {
        let answer = assume(&watcher, role, &more).await;
        assert!(said(&answer).starts_with("400") && said(&answer).contains(expected), "{}", said(&answer));
    }
    assert_eq!(assume(&watcher, role, &[id]).await.status, 200);
    // From outside of the organization, or when the account takes its trust back.
    lab.gateway.accounts.join(ACCOUNT, "o-zzzzzzzzzz");
    assert_eq!(assume(&watcher, role, &[id]).await.status, 403);
    lab.gateway.accounts.join(ACCOUNT, ORGANIZATION);
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": MEMBER}, "Action": "sts:AssumeRole"},
    ]});
    let update = [("RoleName", role), ("PolicyDocument", &trust.to_string())];
    lab.client(MEMBER, "us-east-1").must_query("iam", "UpdateAssumeRolePolicy", &update).await.unwrap();
    assert_eq!(assume(&watcher, role, &[id]).await.status, 403);
    lab.stop().await;
}

#[tokio::test]
async fn what_the_members_rules_match_comes_to_the_hub_unchanged() {
    let lab = hub().await;
    open(&lab, MEMBER, ORGANIZATION, THEIRS).await;
    let mut happenings = lab.listen();
    let theirs = lab.client(MEMBER, "us-east-1");
    theirs.must(Method::PUT, "/clinic", "").await.unwrap();
    let [report] = reports(&lab, &mut happenings).await.try_into().unwrap();
    assert_eq!((report.rule.as_deref(), &report.json()["account"]), (Some("hub-calls"), &json!(MEMBER)));
    // Neither what their rules leave out, nor what comes up in a region or an account without any.
    theirs.must(Method::DELETE, "/clinic", "").await.unwrap();
    lab.client(MEMBER, "eu-central-1").must(Method::PUT, "/far", body("eu-central-1")).await.unwrap();
    lab.client("777788889999", "us-east-1").must(Method::PUT, "/foreign", "").await.unwrap();
    assert!(reports(&lab, &mut happenings).await.is_empty());
    // Events that are no calls go the same way.
    let mut event = json!({"source": "clinic.scanner", "account": MEMBER, "region": "eu-west-1", "detail": {}});
    assert!(lab.put_event(&event).is_empty());
    event["source"] = json!("aws.s3");
    event["detail"] = json!({"eventName": "CreateBucket"});
    assert_eq!(lab.put_event(&event), ["member-calls", "hub-calls"]);
    let [report] = reports(&lab, &mut happenings).await.try_into().unwrap();
    assert_eq!(report.json(), event);
    // The hub's own other region, once the template is there, sends on what the rules match and nothing else.
    let ours = |source: &str| {
        json!({"source": source, "account": ACCOUNT, "region": "eu-west-1",
        "detail": {"eventName": "CreateBucket"}})
    };
    assert_eq!(lab.put_event(&ours("clinic.scanner")), ["hub-calls"]);
    open(&lab, ACCOUNT, ORGANIZATION, &THEIRS.replace("us-east-1]", "nowhere]")).await;
    assert!(lab.put_event(&ours("clinic.scanner")).is_empty());
    assert_eq!(lab.put_event(&ours("aws.s3")), ["member-calls", "hub-calls"]);
    assert_eq!(lab.letters(MEMBER, "us-east-1").await.unwrap(), []);
    lab.settled(PATIENCE).await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn what_the_hub_does_not_take_is_in_the_members_dead_letters() {
    let lab = hub().await;
    open(&lab, MEMBER, "o-zzzzzzzzzz", THEIRS).await;
    let mut happenings = lab.listen();
    lab.client(MEMBER, "us-east-1").must(Method::PUT, "/clinic", "").await.unwrap();
    assert!(reports(&lab, &mut happenings).await.is_empty());
    let [letter] = lab.letters(MEMBER, "us-east-1").await.unwrap().try_into().unwrap();
    assert_eq!((letter.queue.as_str(), letter.attributes["ERROR_CODE"].as_str()), ("lost", "NO_PERMISSIONS"));
    assert_eq!(letter.json()["detail"]["eventName"], "CreateBucket");
    assert!(letter.attributes["ERROR_MESSAGE"].contains("does not let"), "{letter:?}");
    assert_eq!((lab.dead_letters().await.unwrap(), lab.dropped()), (vec![], vec![]));
    lab.stop().await;
}

/// What is told to AWS Config and Security Hub in an account stays there.
#[tokio::test]
async fn answers_go_to_the_account_that_they_are_of() {
    let lab = hub().await;
    let theirs = lab.client(MEMBER, "us-east-1");
    let evaluation = json!({"ComplianceResourceType": "AWS::S3::Bucket", "ComplianceResourceId": "clinic",
        "ComplianceType": "COMPLIANT", "OrderingTimestamp": 1_767_225_600});
    let body = json!({"ResultToken": "token", "Evaluations": [evaluation]});
    theirs.must_json("config", "PutEvaluations", &body).await.unwrap();
    assert!(lab.evaluations("us-east-1").await.unwrap().is_empty());
    let wish = json!({"account": MEMBER, "region": "us-east-1"});
    let told: Value = lab.wish("config/evaluations", wish).await.unwrap();
    assert_eq!(told["calls"][0]["resultToken"], "token");
    lab.stop().await;
}
