//! The gateway over HTTP, as the AWS CLI and the functions meet it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use bytes::Bytes;
use http::{Method, StatusCode};
use lab::call::{ACCOUNT, Caller};
use lab::gateway::{Happened, Happening};
use lab::http::{ApiRequest, ApiResponse, Upstream};
use lab::python::{environment, home};
use lab::runtime::{Config, Program};
use lab::{Client, Lab, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_mins(1);
const BLOCK: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
                     </PublicAccessBlockConfiguration>";

/// Answers with its event and its process; an event that is a text is its error.
const FUNCTION: &str = r#"
import http.client, json, os
def call(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body)
    answer = connection.getresponse()
    return answer, answer.read()
while True:
    request, event = call("GET", "invocation/next")
    id, event = request.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(event)
    if isinstance(event, str):
        call("POST", f"invocation/{id}/error", json.dumps({"errorType": "Suture.Retry", "errorMessage": event}))
    else:
        call("POST", f"invocation/{id}/response", json.dumps({"event": event, "pid": os.getpid()}))
"#;

fn options(port: u16) -> Options {
    Options {
        home: home(),
        port,
        template: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml"),
        programs: BTreeMap::new(),
        parameters: BTreeMap::new(),
        faults: Vec::new(),
        retry_after: [Duration::ZERO; 2],
    }
}

/// A lab with no functions but one that this file brings.
async fn lab() -> Lab {
    let lab = Lab::start(options(0), &|_| {}).await.unwrap();
    let python = environment(&home(), &|_| {}).await.unwrap();
    lab.gateway.functions.configure(Config {
        name: "echo".to_owned(),
        program: Program {
            path: python.interpreter().to_path_buf(),
            arguments: ["-I", "-S", "-c", FUNCTION].map(str::to_owned).to_vec(),
            directory: None,
        },
        role: "echo-role".to_owned(),
        memory_mib: 256,
        timeout: PATIENCE,
        environment: BTreeMap::new(),
        concurrency: 2,
        retries: 1,
        on_failure: None,
    });
    lab
}

fn address(lab: &Lab) -> SocketAddr {
    lab.endpoint().strip_prefix("http://").unwrap().parse().unwrap()
}

fn text(answer: &ApiResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// A new bucket, and somebody who may do everything with it.
async fn bucket(lab: &Lab, name: &str) -> Client {
    let client = lab.client("alice", "us-east-1");
    client.must(Method::PUT, &format!("/{name}"), Bytes::new()).await.unwrap();
    client
}

async fn control(lab: &Lab, method: Method, body: &str) -> ApiResponse {
    Upstream::new(address(lab)).send(ApiRequest::new(method, "/_lab/faults").body(body.to_owned())).await.unwrap()
}

async fn set(lab: &Lab, faults: &str) {
    assert_eq!(control(lab, Method::DELETE, "").await.status, 200);
    assert_eq!(control(lab, Method::POST, faults).await.status, 200);
}

/// A call of a query service: IAM, STS, EC2.
async fn form(lab: &Lab, key: &str, service: &str, body: &str) -> ApiResponse {
    let scope = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/{service}/aws4_request, Signature=0");
    let request = ApiRequest::new(Method::POST, "/")
        .header("authorization", &scope)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned());
    Upstream::new(address(lab)).send(request).await.unwrap()
}

async fn invoke(lab: &Lab, function: &str, kind: &str, payload: impl Into<Bytes>) -> ApiResponse {
    let target = format!("/2015-03-31/functions/{function}/invocations");
    let request = ApiRequest::new(Method::POST, target)
        .header("authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/lambda/aws4_request, Signature=0")
        .header("x-amz-invocation-type", kind)
        .body(payload);
    timeout(PATIENCE, Upstream::new(address(lab)).send(request)).await.unwrap().unwrap()
}

fn runs(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < limit, "{what} never came");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_journal_says_what_was_called() {
    let lab = lab().await;
    let client = bucket(&lab, "clinic-scans").await;
    client.s3(Method::DELETE, "/clinic-scans?publicAccessBlock", "").await.unwrap();
    client.s3(Method::GET, "/clinic-scans?publicAccessBlock", "").await.unwrap();
    form(&lab, "444455556666", "iam", "Action=ListUsers&Version=2010-05-08").await;
    invoke(&lab, "echo", "RequestResponse", "{}").await;
    Upstream::new(address(&lab)).send(ApiRequest::new(Method::GET, "/clinic-scans")).await.unwrap();
    lab.quiet_client("us-east-1").must(Method::PUT, "/unseen", Bytes::new()).await.unwrap();
    let seen: Vec<_> = lab
        .calls(|_| true)
        .iter()
        .map(|c| (c.name(), c.resource.clone().unwrap_or_default(), c.caller.arn(), c.writes, c.status))
        .collect();
    let row = |name: &str, resource: &str, caller: &str, writes: bool, status: u16| {
        (name.to_owned(), resource.to_owned(), caller.to_owned(), writes, status)
    };
    let operator = "arn:aws:iam::111122223333:user/operator";
    assert_eq!(
        seen,
        [
            row("s3:CreateBucket", "clinic-scans", operator, true, 200),
            row("s3:DeletePublicAccessBlock", "clinic-scans", operator, true, 204),
            row("s3:GetPublicAccessBlock", "clinic-scans", operator, false, 404),
            row("iam:ListUsers", "", "arn:aws:iam::444455556666:user/operator", false, 200),
            row("lambda:Invoke", "echo", operator, true, 200),
            row("s3:ListObjects", "clinic-scans", "anonymous", false, 403),
        ]
    );
    lab.stop().await;
}

#[tokio::test]
async fn changes_become_events_and_reads_and_failures_do_not() {
    let lab = lab().await;
    let mut happenings = lab.listen();
    let client = bucket(&lab, "clinic-scans").await;
    client.s3(Method::GET, "/clinic-scans?publicAccessBlock", "").await.unwrap();
    client.s3(Method::PUT, "/clinic-scans/object", "scan").await.unwrap();
    client.s3(Method::PUT, "/clinic-scans?policy", "{bad").await.unwrap();
    invoke(&lab, "echo", "RequestResponse", "{}").await;
    set(&lab, "s3:DeletePublicAccessBlock=drop*1\ns3:PutPublicAccessBlock=drop-answer*1").await;
    client.s3(Method::DELETE, "/clinic-scans?publicAccessBlock", "").await.unwrap_err();
    client.s3(Method::PUT, "/clinic-scans?publicAccessBlock", BLOCK).await.unwrap_err();
    client.must(Method::DELETE, "/clinic-scans?publicAccessBlock", Bytes::new()).await.unwrap();
    let mut events = Vec::new();
    while let Ok(happening) = happenings.try_recv() {
        if let Happening::Event { name, resource, rules, .. } = happening {
            assert!(resource.as_deref() == Some("clinic-scans") && rules.is_empty(), "{name}");
            events.push(name);
        }
    }
    assert_eq!(events, ["CreateBucket", "PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock"]);
    lab.stop().await;
}

#[tokio::test]
async fn faults_that_answer_say_so_in_the_services_words() {
    let lab = lab().await;
    let client = bucket(&lab, "clinic-scans").await;
    for (fault, status, code) in [
        ("throttle", 503, "SlowDown"),
        ("error", 500, "InternalError"),
        ("conflict", 409, "OperationAborted"),
        ("denied", 403, "AccessDenied"),
        ("denied-by-organization", 403, "explicit deny in a service control policy"),
    ] {
        set(&lab, &format!("s3:DeletePublicAccessBlock={fault}*2")).await;
        let statuses = async || {
            let answer = client.s3(Method::DELETE, "/clinic-scans?publicAccessBlock", "").await.unwrap();
            (answer.status.as_u16(), text(&answer))
        };
        for _ in 0..2 {
            let (met, said) = statuses().await;
            assert!(met == status && said.contains(code), "{fault}: {met} {said}");
        }
        let there = lab.quiet_client("us-east-1").s3(Method::GET, "/clinic-scans?publicAccessBlock", "").await.unwrap();
        assert_eq!(there.status, 200, "{fault}: nothing was carried out");
        assert_eq!(client.s3(Method::PUT, "/clinic-scans?publicAccessBlock", BLOCK).await.unwrap().status, 200);
        assert_eq!(statuses().await.0, 204, "{fault}: only twice");
        client.s3(Method::PUT, "/clinic-scans?publicAccessBlock", BLOCK).await.unwrap();
    }
    set(&lab, "ec2:DescribeVpcs=throttle*1\niam:ListUsers=throttle*1").await;
    let ec2 = form(&lab, "a", "ec2", "Action=DescribeVpcs&Version=2016-11-15").await;
    assert!(ec2.status == 503 && text(&ec2).contains("<Code>RequestLimitExceeded</Code>"), "{}", text(&ec2));
    let iam = form(&lab, "a", "iam", "Action=ListUsers&Version=2010-05-08").await;
    assert!(iam.status == 400 && text(&iam).contains("<Code>Throttling</Code>"), "{}", text(&iam));
    lab.stop().await;
}

#[tokio::test]
async fn faults_that_break_the_connection() {
    let lab = lab().await;
    let client = bucket(&lab, "clinic-scans").await;
    let quiet = lab.quiet_client("us-east-1");
    let block = async || quiet.s3(Method::GET, "/clinic-scans?publicAccessBlock", "").await.unwrap().status.as_u16();
    set(&lab, "s3:DeletePublicAccessBlock=drop*1").await;
    assert!(client.s3(Method::DELETE, "/clinic-scans?publicAccessBlock", "").await.is_err());
    assert_eq!(block().await, 200, "dropped before it was carried out");
    set(&lab, "s3:DeletePublicAccessBlock=drop-answer*1").await;
    assert!(client.s3(Method::DELETE, "/clinic-scans?publicAccessBlock", "").await.is_err());
    assert_eq!(block().await, 404, "dropped after it was carried out");
    let statuses: Vec<_> = lab.calls(|c| c.operation == "DeletePublicAccessBlock").iter().map(|c| c.status).collect();
    assert_eq!(statuses, [0, 0]);
    assert_eq!(client.s3(Method::PUT, "/clinic-scans?publicAccessBlock", BLOCK).await.unwrap().status, 200);
    lab.stop().await;
}

#[tokio::test]
async fn a_late_answer_and_a_caller_who_does_not_wait() {
    let lab = lab().await;
    let client = bucket(&lab, "clinic-scans").await;
    set(&lab, "s3:*=latency:150\ns3:DeletePublicAccessBlock=latency:150").await;
    let begun = Instant::now();
    client.s3(Method::GET, "/clinic-scans?publicAccessBlock", "").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(150));
    let begun = Instant::now();
    // AWS carries out what has reached it, though nobody waits any more.
    let target = "/clinic-scans?publicAccessBlock";
    assert!(timeout(Duration::from_millis(50), client.s3(Method::DELETE, target, "")).await.is_err());
    let done = || !lab.calls(|call| call.operation == "DeletePublicAccessBlock" && call.status == 204).is_empty();
    until("the call", done).await;
    assert!(begun.elapsed() >= Duration::from_millis(300), "latencies add up");
    lab.stop().await;
}

#[tokio::test]
async fn reads_that_lag_behind_a_write() {
    let lab = lab().await;
    let client = bucket(&lab, "clinic-scans").await;
    set(&lab, "s3:GetPublicAccessBlock=stale*2").await;
    let read = async |target: &str| client.s3(Method::GET, target, "").await.unwrap().status.as_u16();
    let (plain, slash) = ("/clinic-scans?publicAccessBlock", "/clinic-scans/?publicAccessBlock&x-id=Get");
    assert_eq!(read(plain).await, 200);
    client.must(Method::DELETE, plain, Bytes::new()).await.unwrap();
    // Whatever the client's way of writing the target.
    assert_eq!([read(slash).await, read(plain).await, read(plain).await], [200, 200, 404]);
    // The truth, past the fault.
    assert_eq!(read("/clinic-scans?publicAccessBlock").await, 404);
    // Another bucket's write makes nothing stale.
    bucket(&lab, "clinic-billing").await;
    client.must(Method::PUT, plain, BLOCK).await.unwrap();
    assert_eq!([read(plain).await, read(plain).await, read(plain).await], [404, 404, 200]);
    client.must(Method::DELETE, "/clinic-billing?publicAccessBlock", Bytes::new()).await.unwrap();
    assert_eq!(read(plain).await, 200);
    lab.stop().await;
}

#[tokio::test]
async fn faults_are_set_listed_and_cleared() {
    let lab = lab().await;
    let lines = "s3:PutPublicAccessBlock=throttle*2\n\n  s3:*=latency:20  \n";
    assert_eq!(control(&lab, Method::POST, lines).await.status, 200);
    let listed = "s3:PutPublicAccessBlock=throttle*2\ns3:*=latency:20\n";
    assert_eq!(text(&control(&lab, Method::GET, "").await), listed);
    // One bad line, and none is set.
    let bad = control(&lab, Method::POST, "s3:GetBucketAcl=drop\ns3:GetBucketAcl=explode").await;
    assert_eq!(bad.status, 400);
    assert_eq!(
        text(&bad),
        "\"s3:GetBucketAcl=explode\" is no fault; write it like s3:PutPublicAccessBlock=throttle*2\n"
    );
    assert_eq!(text(&control(&lab, Method::GET, "").await), listed);
    assert_eq!(control(&lab, Method::DELETE, "").await.status, 200);
    assert_eq!(text(&control(&lab, Method::GET, "").await), "");
    let other = Upstream::new(address(&lab)).send(ApiRequest::new(Method::GET, "/_lab/other")).await.unwrap();
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    assert!(text(&other).starts_with("the lab has /_lab/faults, /_lab/events, "), "{}", text(&other));
    assert!(lab.calls(|_| true).is_empty(), "the lab's own controls are no calls of AWS");
    lab.stop().await;
}

#[tokio::test]
async fn lambdas_invoke() {
    let lab = lab().await;
    let mut happenings = lab.listen();
    let json = |answer: &ApiResponse| serde_json::from_slice::<Value>(&answer.body).unwrap();
    let kind = |answer: &ApiResponse| answer.headers.get("x-amzn-errortype").map(|v| v.to_str().unwrap().to_owned());
    let answer = invoke(&lab, "echo", "RequestResponse", r#"{"a":1}"#).await;
    assert_eq!((answer.status.as_u16(), &json(&answer)["event"]), (200, &json!({"a": 1})));
    assert_eq!(answer.headers["x-amz-executed-version"], "$LATEST");
    assert!(!answer.headers.contains_key("x-amz-function-error"));
    let empty = invoke(&lab, "arn:aws:lambda:us-east-1:111122223333:function:echo", "RequestResponse", "").await;
    assert_eq!(json(&empty)["event"], json!({}));

    let failed = invoke(&lab, "echo", "RequestResponse", "\"no luck\"").await;
    assert_eq!((failed.status.as_u16(), &failed.headers["x-amz-function-error"]), (200, &"Unhandled".parse().unwrap()));
    assert_eq!(json(&failed), json!({"errorType": "Suture.Retry", "errorMessage": "no luck"}));

    let unknown = invoke(&lab, "nobody", "RequestResponse", "{}").await;
    assert_eq!((unknown.status.as_u16(), kind(&unknown).as_deref()), (404, Some("ResourceNotFoundException")));
    let words = invoke(&lab, "echo", "RequestResponse", "hello").await;
    assert_eq!((words.status.as_u16(), kind(&words).as_deref()), (400, Some("InvalidRequestContentException")));
    let large = invoke(&lab, "echo", "RequestResponse", vec![b' '; 7 << 20]).await;
    assert_eq!((large.status.as_u16(), kind(&large).as_deref()), (413, Some("RequestTooLargeException")));
    let odd = invoke(&lab, "echo", "Whenever", "{}").await;
    assert_eq!((odd.status.as_u16(), kind(&odd).as_deref()), (400, Some("InvalidParameterValueException")));

    while happenings.try_recv().is_ok() {}
    let dry = invoke(&lab, "echo", "DryRun", "{}").await;
    assert_eq!((dry.status.as_u16(), dry.body.len()), (204, 0));
    let event = invoke(&lab, "echo", "Event", "\"no luck\"").await;
    assert_eq!((event.status.as_u16(), event.body.len()), (202, 0));
    let mut attempts = Vec::new();
    while attempts.len() < 2 {
        if let Happening::Invocation(report) = timeout(PATIENCE, happenings.recv()).await.unwrap().unwrap() {
            assert_eq!(report.answer.as_ref().unwrap_err().error_message, "no luck");
            attempts.push(report.attempt);
        }
    }
    assert_eq!(attempts, [1, 2], "a dry run runs nothing; an event that fails is tried again");
    lab.stop().await;
}

#[tokio::test]
async fn keys_that_iam_and_sts_hand_out_are_known() {
    let lab = lab().await;
    let found = |answer: &ApiResponse, name: &str| {
        let said = text(answer);
        let (_, rest) = said.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {said}"));
        rest.split('<').next().unwrap().to_owned()
    };
    form(&lab, "admin", "iam", "Action=CreateUser&UserName=carol&Version=2010-05-08").await;
    let made = form(&lab, "admin", "iam", "Action=CreateAccessKey&UserName=carol&Version=2010-05-08").await;
    let carol = found(&made, "AccessKeyId");
    let whoami =
        async |key: &str| found(&form(&lab, key, "sts", "Action=GetCallerIdentity&Version=2011-06-15").await, "Arn");
    assert_eq!(whoami(&carol).await, "arn:aws:iam::111122223333:user/carol");
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}"#;
    let role = [("RoleName", "audit"), ("AssumeRolePolicyDocument", trust)];
    lab.client("admin", "us-east-1").must_query("iam", "CreateRole", &role).await.unwrap();
    let assume = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=bob\
                  &RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Faudit";
    let bob = found(&form(&lab, &carol, "sts", assume).await, "AccessKeyId");
    assert_eq!(whoami(&bob).await, "arn:aws:sts::111122223333:assumed-role/audit/bob");

    // What they do is told in their names.
    let mut happenings = lab.listen();
    lab.client(&bob, "us-east-1").must(Method::PUT, "/clinic-scans", Bytes::new()).await.unwrap();
    let calls = lab.calls(|call| call.operation == "CreateBucket");
    assert!(
        matches!(&calls[..], [Happened { caller: Caller::Role { account, role, .. }, .. }] if account == ACCOUNT && role == "audit")
    );
    let actor = loop {
        if let Happening::Event { actor, .. } = timeout(PATIENCE, happenings.recv()).await.unwrap().unwrap() {
            break actor;
        }
    };
    assert_eq!(actor, "arn:aws:sts::111122223333:assumed-role/audit/bob");
    lab.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_told_in_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = Lab::start(options(port), &|_| {}).await.unwrap_err();
    assert_eq!(
        said,
        format!(
            "port {port} of 127.0.0.1 cannot be had (Address already in use (os error 98)); end what uses it, or choose \
             another with --port"
        )
    );
}

#[tokio::test]
async fn a_local_aws_that_dies_is_told() {
    let mut lab = lab().await;
    assert_eq!(lab.dead().await, None);
    let moto = lab.process().unwrap();
    assert!(Command::new("kill").args(["-KILL", &moto.to_string()]).status().unwrap().success());
    let said = timeout(PATIENCE, lab.died()).await.unwrap();
    assert!(said.starts_with("the local account is gone: moto ended (signal: 9 (SIGKILL))"), "{said}");
    assert_eq!(lab.dead().await.as_ref(), Some(&said));
    let answer = lab.client("a", "us-east-1").s3(Method::GET, "/clinic-scans", "").await.unwrap();
    assert_eq!(answer.status, 503, "{}", text(&answer));
    let log = home().join(format!("moto-{}.log", address(&lab).port()));
    lab.stop().await;
    assert!(said.ends_with(&format!("or see {}", log.display())) && log.is_file(), "{said}");
    std::fs::remove_file(log).unwrap();
}

#[tokio::test]
async fn stopping_leaves_nothing() {
    let lab = lab().await;
    let address = address(&lab);
    // Held open: a connection must not keep the port, nor a client that asks past the gateway its processes.
    let open = TcpStream::connect(address).unwrap();
    let quiet = lab.quiet_client("us-east-1");
    let answer: Value = serde_json::from_slice(&invoke(&lab, "echo", "RequestResponse", "{}").await.body).unwrap();
    let (function, moto) = (answer["pid"].as_u64().unwrap(), u64::from(lab.process().unwrap()));
    assert!(runs(function) && runs(moto));
    timeout(PATIENCE, lab.stop()).await.unwrap();
    assert!(!runs(function) && !runs(moto) && TcpStream::connect(address).is_err());
    assert!(!home().join(format!("moto-{}.log", address.port())).exists());
    drop((open, quiet));
}

#[tokio::test]
async fn dropping_leaves_nothing_either() {
    let lab = lab().await;
    let address = address(&lab);
    let quiet = lab.quiet_client("us-east-1");
    let answer: Value = serde_json::from_slice(&invoke(&lab, "echo", "RequestResponse", "{}").await.body).unwrap();
    let (function, moto) = (answer["pid"].as_u64().unwrap(), u64::from(lab.process().unwrap()));
    drop(lab);
    until("the end", || !runs(function) && !runs(moto) && TcpStream::connect(address).is_err()).await;
    drop(quiet);
}

/// This binary runs itself with this test alone and kills it: what the lab started must not outlive it.
#[tokio::test]
async fn a_lab_that_is_killed_leaves_nothing() {
    const INNER: &str = "LAB_TEST_TO_BE_KILLED";
    if std::env::var_os(INNER).is_some() {
        let lab = lab().await;
        let answer: Value = serde_json::from_slice(&invoke(&lab, "echo", "RequestResponse", "{}").await.body).unwrap();
        println!("started {} {}", lab.process().unwrap(), answer["pid"]);
        sleep(PATIENCE).await;
        return;
    }
    let mut inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_lab_that_is_killed_leaves_nothing", "--nocapture"])
        .env(INNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(inner.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("started ")).unwrap();
    let (_, pids) = line.split_once("started ").unwrap();
    let pids: Vec<u64> = pids.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)), "{line}");
    inner.kill().unwrap();
    inner.wait().unwrap();
    until("the end", || !pids.iter().any(|pid| runs(*pid))).await;
}
