//! The template, deployed for real on this machine: SAM's own transform makes CloudFormation of it, MiniStack's CloudFormation
//! makes the stack, and MiniStack runs the zips under the keys of their roles, with IAM enforced and over TLS.
//!
//! The lab reads `template.yaml` with a reader of ours and judges policies with a judge of ours. Nothing of ours is between
//! the template and the functions here.

pub mod aws;
pub mod server;

pub use aws::Aws;
pub use server::MiniStack;

use crate::{PATIENCE, RUNTIME, binaries, workspace};
use aws::{decoded, encoded};
use http::Method;
use lab::http::ApiRequest;
use lab::python::Python;
use serde_json::{Value, json};
use server::{environment, log_of};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::{Instant, sleep, timeout};

const PREPARE: &str = include_str!("../deployed/prepare.py");

/// What is asked of the template, of those parameters that it has: everything on that can be, no limit in the tests' way.
/// Security Hub is off: MiniStack has none, and the recorder would try it again and again.
const PARAMETERS: [(&str, &str); 8] = [
    ("Mode", "enforce"),
    ("BudgetPerHour", "100000"),
    ("BudgetPerInvocation", "100000"),
    ("Flaps", "100"),
    ("SecurityHub", "off"),
    ("AnnounceTo", "oncall@example.com"),
    ("OrganizationId", "o-exampleorgid"),
    ("ExternalId", "an-external-id"),
];

/// What MiniStack's CloudFormation does not make, by type and, where it makes others of the type, by a property; and what is
/// lost by that. Whatever else it cannot make fails the deployment, and so does a whole type here that it makes by now.
const LEFT_OUT: [(&str, Option<&str>, &str); 2] = [
    ("AWS::Events::EventBusPolicy", None, "who else may put events: nothing here is of another account"),
    ("AWS::CloudWatch::Alarm", Some("Metrics"), "alarms of metric math: nothing here has them ring"),
];

/// The stack's name, as in `samconfig.toml`.
const STACK: &str = "suture";
/// Where the zips are.
const CODE: &str = "suture-code";

/// What a function answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whether Lambda calls it an error.
    pub failed: bool,
    /// What it answered, or the error.
    pub body: Value,
}

impl Answer {
    /// Its one record.
    pub fn record(&self) -> &Value {
        match self.body["records"].as_array().map(Vec::as_slice) {
            Some([record]) => record,
            _ => panic!("not one record: {:#}", self.body),
        }
    }

    /// The outcome of its one record.
    pub fn outcome(&self) -> &str {
        self.record()["outcome"].as_str().unwrap()
    }
}

/// The stack.
#[derive(Debug)]
pub struct Stack {
    /// The root user of its account.
    pub aws: Aws,
    /// The template that was deployed, transformed.
    pub template: Value,
    /// What is there: physical ids by logical ids.
    pub resources: BTreeMap<String, String>,
    server: MiniStack,
    ear: Ear,
}

/// A queue that hears what the topic says, and what else is made to tell it.
#[derive(Debug)]
struct Ear {
    queue: String,
    arn: String,
    /// The messages that were taken out of it so far.
    heard: Mutex<Vec<String>>,
}

/// Runs a test with the stack that all tests of a binary share.
pub fn with_stack(test: impl AsyncFnOnce(&Stack)) {
    static SHARED: OnceCell<Stack> = OnceCell::const_new();
    static BEGUN: AtomicBool = AtomicBool::new(false);
    RUNTIME.block_on(async {
        let deploy = async || {
            assert!(!BEGUN.swap(true, Ordering::Relaxed), "it is not deployed: the first test to fail says why");
            Stack::deploy().await
        };
        test(SHARED.get_or_init(deploy).await).await;
    });
}

/// Runs a test with a MiniStack of its own.
pub fn with_server(test: impl AsyncFnOnce(MiniStack)) {
    RUNTIME.block_on(async { test(MiniStack::start(&environment().await).await).await });
}

impl Stack {
    async fn deploy() -> Self {
        let (python, programs) = tokio::join!(environment(), binaries());
        let server = MiniStack::start(&python).await;
        let aws = Aws::at(server.address());

        let zips = server.home().join("zips");
        tokio::fs::create_dir_all(&zips).await.unwrap();
        let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x86_64" };
        let mut parameters: BTreeMap<_, _> = PARAMETERS.into_iter().collect();
        parameters.insert("Architecture", architecture);
        let programs: BTreeMap<_, _> = programs.iter().map(|(name, program)| (name, &program.path)).collect();
        let wish = json!({
            "template": workspace().join("template.yaml"), "parameters": parameters, "bucket": CODE,
            "programs": programs, "zips": zips,
        });
        let prepared = prepared(&python, &wish).await;

        aws.must_s3(Method::PUT, &format!("/{CODE}"), "").await;
        for name in programs.keys() {
            let zip = tokio::fs::read(zips.join(format!("{name}.zip"))).await.unwrap();
            aws.must_s3(Method::PUT, &format!("/{CODE}/{name}.zip"), zip).await;
        }
        let mut template = prepared["template"].clone();
        only_what_can_be_made(&mut template, &prepared["makes"]);
        for resource in template["Resources"].as_object_mut().unwrap().values_mut() {
            if resource["Type"] == "AWS::Lambda::Function" {
                // Whoever deploys to a local AWS has to say so: as shipped, no setting leads the functions elsewhere.
                let variables = &mut resource["Properties"]["Environment"]["Variables"];
                assert_eq!(variables["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], "true", "{variables}");
                variables["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "false".into();
            }
        }
        aws.must_s3(Method::PUT, &format!("/{CODE}/template.json"), template.to_string()).await;
        create(&aws, &template, &parameters).await;
        let resources = made(&aws, &template).await;
        let ear = Ear::to(&aws, &resources["Announcements"]).await;
        Self { aws, template, resources, server, ear }
    }

    /// What MiniStack said so far: the functions' own logs among it.
    pub fn log(&self) -> String {
        log_of(self.server.home())
    }

    /// The folders of the functions that are deployed, with their logical ids.
    pub fn functions(&self) -> BTreeMap<String, String> {
        let resources = self.template["Resources"].as_object().unwrap().iter();
        let functions = resources.filter(|(_, resource)| resource["Type"] == "AWS::Lambda::Function");
        functions
            .map(|(id, resource)| {
                let zip = resource["Properties"]["Code"]["S3Key"].as_str().unwrap();
                (zip.trim_end_matches(".zip").to_owned(), id.clone())
            })
            .collect()
    }

    fn physical(&self, logical: &str) -> &str {
        self.resources.get(logical).unwrap_or_else(|| panic!("there is no {logical}"))
    }

    /// The ledger's table.
    pub fn table(&self) -> &str {
        self.physical("LedgerTable")
    }

    /// The evidence's bucket.
    pub fn evidence(&self) -> &str {
        self.physical("EvidenceBucket")
    }

    /// Invokes a function by its folder, and waits for its answer.
    pub async fn invoke(&self, folder: &str, event: &Value) -> Answer {
        let functions = self.functions();
        let name = self.physical(functions.get(folder).unwrap_or_else(|| panic!("no function of {folder}")));
        let target = format!("/2015-03-31/functions/{}/invocations", encoded(name));
        let request = ApiRequest::new(Method::POST, target).body(event.to_string());
        let answer = timeout(PATIENCE, self.aws.send("lambda", request)).await.unwrap();
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        assert!(answer.status.is_success(), "{folder}: {} {body}", answer.status);
        Answer { failed: answer.headers.contains_key("x-amz-function-error"), body }
    }

    /// The role that a function runs under.
    pub fn role(&self, folder: &str) -> &str {
        let logical = &self.functions()[folder];
        let role = &self.template["Resources"][logical.as_str()]["Properties"]["Role"]["Fn::GetAtt"][0];
        self.physical(role.as_str().unwrap())
    }

    /// The policies that a role has in the account, by name.
    pub async fn policies(&self, role: &str) -> BTreeMap<String, Value> {
        let listed = self.aws.query("iam", "ListRolePolicies", &[("RoleName", role)]).await;
        let mut policies = BTreeMap::new();
        for name in listed.texts("member") {
            let parameters = [("RoleName", role), ("PolicyName", name.as_str())];
            let answer = self.aws.query("iam", "GetRolePolicy", &parameters).await;
            let document = decoded(&answer.texts("PolicyDocument").remove(0));
            policies.insert(name, serde_json::from_str(&document).unwrap());
        }
        policies
    }

    /// Gives a role this policy; one without statements is none, as IAM takes no such policy.
    pub async fn allow(&self, role: &str, name: &str, document: &Value) {
        if document["Statement"].as_array().is_some_and(Vec::is_empty) {
            self.aws.query("iam", "DeleteRolePolicy", &[("RoleName", role), ("PolicyName", name)]).await;
            return;
        }
        let document = document.to_string();
        let parameters = [("RoleName", role), ("PolicyName", name), ("PolicyDocument", document.as_str())];
        self.aws.query("iam", "PutRolePolicy", &parameters).await;
    }

    /// The record of this id, as the ledger has it by now.
    pub async fn recorded(&self, id: &str) -> Value {
        let question = json!({
            "TableName": self.table(), "IndexName": "by-id", "KeyConditionExpression": "id = :id",
            "ExpressionAttributeValues": {":id": {"S": id}},
        });
        let keys = self.aws.json("dynamodb", "Query", &question).await;
        let [key] = keys["Items"].as_array().unwrap().as_slice() else { panic!("not one record {id}: {keys}") };
        let key = json!({"pk": key["pk"], "sk": key["sk"]});
        let question = json!({"TableName": self.table(), "Key": key, "ConsistentRead": true});
        let item = self.aws.json("dynamodb", "GetItem", &question).await;
        serde_json::from_str(item["Item"]["body"]["S"].as_str().unwrap()).unwrap()
    }

    /// Has a rule send what it lets through to where [`Stack::heard`] hears it, too.
    pub async fn listen_to(&self, rule: &str) {
        let targets = json!({"Rule": rule, "Targets": [{"Id": "ear", "Arn": self.ear.arn}]});
        let answer = self.aws.json("events", "PutTargets", &targets).await;
        assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    }

    /// Waits until the topic, or a rule that is listened to, has told of this; all that was heard by then.
    pub async fn heard(&self, what: &str) -> Vec<String> {
        let queue = &self.ear.queue;
        until(&format!("message about {what}"), async || {
            let mut heard = self.ear.heard.lock().await;
            let asked = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10});
            let answer = self.aws.json("sqs", "ReceiveMessage", &asked).await;
            for message in answer["Messages"].as_array().into_iter().flatten() {
                heard.push(message["Body"].as_str().unwrap().to_owned());
                let done = json!({"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]});
                self.aws.json("sqs", "DeleteMessage", &done).await;
            }
            heard.iter().any(|message| message.contains(what)).then(|| heard.clone())
        })
        .await
    }

    /// Waits for the evidence of this record, and returns it.
    pub async fn evidence_of(&self, id: &str) -> Value {
        let bucket = self.evidence();
        let key = until(&format!("evidence of {id}"), async || {
            let listed = self.aws.must_s3(Method::GET, &format!("/{bucket}?list-type=2"), "").await;
            listed.texts("Key").into_iter().find(|key| key.contains(id))
        })
        .await;
        let object = self.aws.must_s3(Method::GET, &format!("/{bucket}/{key}"), "").await;
        serde_json::from_slice(&object.body).unwrap()
    }
}

impl Ear {
    async fn to(aws: &Aws, topic: &str) -> Self {
        // https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html,
        // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]},
            "Action": "sqs:SendMessage", "Resource": "*",
        }]});
        let wish = json!({"QueueName": "ear", "Attributes": {"Policy": policy.to_string()}});
        let made = aws.json("sqs", "CreateQueue", &wish).await;
        let queue = made["QueueUrl"].as_str().unwrap().to_owned();
        let asked = json!({"QueueUrl": queue, "AttributeNames": ["QueueArn"]});
        let attributes = aws.json("sqs", "GetQueueAttributes", &asked).await;
        let arn = attributes["Attributes"]["QueueArn"].as_str().unwrap().to_owned();
        let fields = [("TopicArn", topic), ("Protocol", "sqs"), ("Endpoint", arn.as_str())];
        aws.query("sns", "Subscribe", &fields).await;
        Self { queue, arn, heard: Mutex::default() }
    }
}

/// Asks again until there is something.
///
/// # Panics
/// There is nothing within [`PATIENCE`].
pub async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < end, "no {what} within {PATIENCE:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn prepared(python: &Python, wish: &Value) -> Value {
    let mut child = Command::new(python.interpreter())
        .args(["-I", "-c", PREPARE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(wish.to_string().as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Takes out what MiniStack does not make, which must be what we know of.
fn only_what_can_be_made(template: &mut Value, makes: &Value) {
    let makes: BTreeSet<_> = makes.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (kind, property, lost) in LEFT_OUT {
        let some = property.is_some() || !makes.contains(kind);
        assert!(some, "MiniStack makes {kind} by now ({lost}): take it out of LEFT_OUT");
    }
    let resources = template["Resources"].as_object_mut().unwrap();
    resources.retain(|logical, resource| {
        let kind = resource["Type"].as_str().unwrap();
        let has = |property: &str| resource["Properties"].get(property).is_some();
        let left_out = LEFT_OUT.iter().any(|(known, property, _)| *known == kind && property.is_none_or(has));
        assert!(
            left_out || makes.contains(kind),
            "{logical}: MiniStack makes no {kind}: say in LEFT_OUT what that loses"
        );
        !left_out
    });
}

async fn create(aws: &Aws, template: &Value, parameters: &BTreeMap<&str, &str>) {
    let url = format!("{}/{CODE}/template.json", aws.endpoint());
    let mut fields = vec![
        ("StackName".to_owned(), STACK.to_owned()),
        ("TemplateURL".to_owned(), url),
        ("Capabilities.member.1".to_owned(), "CAPABILITY_NAMED_IAM".to_owned()),
    ];
    let declared = parameters.iter().filter(|(name, _)| template["Parameters"].get(**name).is_some());
    for (number, (name, value)) in (1..).zip(declared) {
        fields.push((format!("Parameters.member.{number}.ParameterKey"), (*name).to_owned()));
        fields.push((format!("Parameters.member.{number}.ParameterValue"), (*value).to_owned()));
    }
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    aws.query("cloudformation", "CreateStack", &fields).await;
    let status = until("end of the deployment", async || {
        let answer = aws.query("cloudformation", "DescribeStacks", &[("StackName", STACK)]).await;
        answer.texts("StackStatus").into_iter().find(|status| !status.ends_with("IN_PROGRESS"))
    })
    .await;
    if status != "CREATE_COMPLETE" {
        let events = aws.query("cloudformation", "DescribeStackEvents", &[("StackName", STACK)]).await;
        let rows = events.rows("StackEvents", ["LogicalResourceId", "ResourceStatus", "ResourceStatusReason"]);
        let failed: Vec<_> = rows.into_iter().filter(|[_, status, _]| status.contains("FAILED")).collect();
        panic!("{status}: {failed:#?}");
    }
}

/// What the stack has, which must be all that the template has: [`PARAMETERS`] leave no condition false that makes something.
async fn made(aws: &Aws, template: &Value) -> BTreeMap<String, String> {
    let answer = aws.query("cloudformation", "DescribeStackResources", &[("StackName", STACK)]).await;
    let rows = answer.rows("StackResources", ["LogicalResourceId", "PhysicalResourceId", "ResourceStatus"]);
    let made: BTreeMap<_, _> = rows
        .into_iter()
        .map(|[logical, physical, status]| {
            assert_eq!(status, "CREATE_COMPLETE", "{logical}");
            (logical, physical)
        })
        .collect();
    let wanted = template["Resources"].as_object().unwrap().keys();
    let missing: Vec<_> = wanted.filter(|logical| !made.contains_key(*logical)).collect();
    assert!(missing.is_empty(), "not there: {missing:?}");
    made
}
