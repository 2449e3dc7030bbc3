//! The template as it ships, deployed for real on this machine: `template.yaml` through SAM's own transform, CloudFormation,
//! and the functions' real binaries as zips under the keys of their own roles, with IAM enforced and over TLS, in MiniStack
//! 1.5.33. What this shows, and no test with the lab can, is in CONTRIBUTING.md.
//!
//! One thing is said that the template does not say, as whoever deploys to a local AWS must:
//! `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `false`. Deployed to AWS it is `true`, and nobody leads a fix elsewhere.
//!
//! What MiniStack does not do, so that nothing here tells of it:
//! - **Whole services**: Security Hub (`SecurityHub` is `off`), AWS Config's evaluations, S3 Control's block of an account (so
//!   `s3-public-account` is only woken), most of what the controls of EC2 and EBS write. It has no CloudTrail events either: the
//!   test sends them in the name of S3.
//! - **CloudFormation**: `AWS::Events::EventBusPolicy`, and alarms of metric math. A function's `DeadLetterConfig` would be lost;
//!   ours have destinations.
//! - **KMS**: DynamoDB, S3 and SNS do not ask it for keys, so `kms:Decrypt` and its condition go unused.
//! - **S3**: `x-amz-expected-bucket-owner` is not looked at. A block of which only some settings are written is read back with
//!   only those, so none is written here. A bucket's own policy does not bind the root user.
//! - **IAM**: keys never have a date of last use, and no third one is refused.
//!
//! Mended, as MiniStack starts (`tests/deployed/serve.py` has the reasons): `GetBucketPolicyStatus`, the condition key
//! `dynamodb:LeadingKeys`, and the name by which it authorises what is asked of a rule.
//!
//! DynamoDB's transactions with conditions work, and so do streams, event source mappings, EventBridge's patterns with `$or`
//! and `exists`, and permissions that are the items' of a transaction.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may fail as tests do"
)]

use http::Method;
use lab::template::{Template, World};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use system_tests::deployed::{Answer, Stack, until, with_server, with_stack};
use system_tests::scenarios::Later;
use system_tests::{event, fresh, workspace};

/// Drift that MiniStack shows and mends as AWS does.
struct Story {
    control: &'static str,
    /// Makes it; what it is of.
    drift: for<'a> fn(&'a Stack) -> Later<'a, String>,
    /// Whether it is as it ought to be, as root sees it.
    mended: for<'a> fn(&'a Stack, &'a str) -> Later<'a, bool>,
    /// The actions of the role without which it is not mended; the engine's of the ledger are [`LEDGER`].
    needs: &'static [&'static str],
}

/// What no control does without.
const LEDGER: [&str; 4] = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"];

#[test]
fn a_public_bucket_is_closed() {
    let story = Story {
        control: "s3-public-bucket",
        drift: |stack| Box::pin(open_bucket(stack)),
        mended: |stack, bucket| Box::pin(blocked(stack, bucket)),
        needs: &[
            "s3:GetBucketPolicyStatus",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketWebsite",
            "s3:PutBucketPublicAccessBlock",
        ],
    };
    with_stack(async |stack| {
        told(stack, &story).await;
        woken_by_a_call(stack).await;
    });
}

#[test]
fn a_bucket_is_encrypted_and_the_undo_function_alone_takes_it_back() {
    let story = Story {
        control: "s3-weak-encryption",
        drift: |stack| {
            Box::pin(async {
                let bucket = fresh("clinic");
                stack.aws.must_s3(Method::PUT, &format!("/{bucket}"), "").await;
                bucket
            })
        },
        mended: |stack, bucket| Box::pin(encrypted(stack, bucket)),
        needs: &[
            "s3:GetBucketAcl",
            "s3:GetBucketPolicy",
            "s3:GetEncryptionConfiguration",
            "s3:GetReplicationConfiguration",
            "s3:PutEncryptionConfiguration",
        ],
    };
    with_stack(async |stack| {
        let (bucket, fixed) = told(stack, &story).await;
        let undo = json!({"mode": "undo", "record": fixed, "reason": "INC-123"});
        let refused = stack.invoke(story.control, &undo).await;
        assert!(refused.body.to_string().contains("suture-undo") && encrypted(stack, &bucket).await, "{refused:?}");
        let undone = stack.invoke("undo", &undo).await;
        assert_eq!(undone.outcome(), "undone", "{undone:?}");
        assert!(!encrypted(stack, &bucket).await, "{undone:?}");
    });
}

#[test]
fn a_public_acl_is_taken_back() {
    let story = Story {
        control: "s3-public-acl",
        drift: |stack| {
            Box::pin(async {
                let bucket = open_bucket(stack).await;
                let target = format!("/{bucket}?ownershipControls");
                let writer = "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>";
                stack.aws.must_s3(Method::PUT, &target, writer).await;
                let acl = stack.aws.must_s3(Method::GET, &format!("/{bucket}?acl"), "").await;
                let everybody = "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">\
                    <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>\
                    </AccessControlList>";
                let acl = String::from_utf8_lossy(&acl.body).replace("</AccessControlList>", everybody);
                stack.aws.must_s3(Method::PUT, &format!("/{bucket}?acl"), acl).await;
                bucket
            })
        },
        mended: |stack, bucket| {
            Box::pin(async move {
                let acl = stack.aws.must_s3(Method::GET, &format!("/{bucket}?acl"), "").await;
                !acl.texts("URI").iter().any(|uri| uri.ends_with("/AllUsers"))
            })
        },
        needs: &[
            "s3:GetBucketAcl",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketWebsite",
            "s3:PutBucketAcl",
        ],
    };
    with_stack(async |stack| drop(told(stack, &story).await));
}

#[test]
fn a_public_policy_loses_what_makes_it_public() {
    let story = Story {
        control: "s3-public-policy",
        drift: |stack| {
            Box::pin(async {
                let bucket = open_bucket(stack).await;
                let policy = json!({"Version": "2012-10-17", "Statement": [
                    {"Sid": "World", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                     "Resource": format!("arn:aws:s3:::{bucket}/*")},
                    {"Sid": "Partner", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/partner"},
                     "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{bucket}/*")},
                ]});
                stack.aws.must_s3(Method::PUT, &format!("/{bucket}?policy"), policy.to_string()).await;
                bucket
            })
        },
        mended: |stack, bucket| {
            Box::pin(async move {
                let policy = stack.aws.must_s3(Method::GET, &format!("/{bucket}?policy"), "").await;
                let policy: Value = serde_json::from_slice(&policy.body).unwrap();
                let left: Vec<_> = policy["Statement"].as_array().unwrap().iter().map(|one| &one["Sid"]).collect();
                left == ["Partner"]
            })
        },
        needs: &[
            "s3:GetBucketPolicy",
            "s3:GetBucketPolicyStatus",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketWebsite",
            "s3:PutBucketPolicy",
        ],
    };
    with_stack(async |stack| drop(told(stack, &story).await));
}

#[test]
fn a_key_that_nobody_uses_is_deactivated() {
    let story = Story {
        control: "iam-stale-access-key",
        drift: |stack| Box::pin(async { user_with_key(stack, "/years-ago/").await.0 }),
        mended: |stack, user| Box::pin(inactive(stack, user)),
        needs: &["iam:GetAccessKeyLastUsed", "iam:GetUser", "iam:ListAccessKeys", "iam:UpdateAccessKey"],
    };
    with_stack(async |stack| drop(told(stack, &story).await));
}

#[test]
fn a_key_that_was_found_in_public_is_deactivated() {
    let story = Story {
        control: "iam-exposed-access-key",
        drift: |stack| Box::pin(async { user_with_key(stack, "/").await.1 }),
        mended: |stack, key| {
            Box::pin(async move {
                let users = stack.aws.query("iam", "ListUsers", &[]).await.texts("UserName");
                for user in users {
                    let keys = stack.aws.query("iam", "ListAccessKeys", &[("UserName", &user)]).await;
                    if keys.texts("AccessKeyId").iter().any(|of_user| of_user == key) {
                        return keys.texts("Status") == ["Inactive"];
                    }
                }
                false
            })
        },
        needs: &["iam:GetAccessKeyLastUsed", "iam:ListAccessKeys", "iam:UpdateAccessKey"],
    };
    with_stack(async |stack| drop(told(stack, &story).await));
}

#[test]
fn every_function_starts_and_understands_its_settings() {
    with_stack(async |stack| {
        let folders: Vec<_> = stack.functions().into_keys().collect();
        assert_eq!(folders, all_folders(), "what is deployed is what there is");
        for folder in folders {
            let sample = match folder.as_str() {
                "recorder" => "schedule",
                "undo" => "manual-by-id",
                _ => "manual-plan",
            };
            let answer = stack.invoke(&folder, &event(&folder, sample)).await;
            // What MiniStack lacks, a function may fail at, in its own words.
            let own = answer.body["errorType"].as_str().is_some_and(|kind| kind.starts_with("Suture."));
            assert!(!answer.failed || own, "{folder}: {:#}", answer.body);
        }
    });
}

/// What the lab weighs calls by is what is deployed: SAM's transform adds no role and takes nothing from ours.
#[test]
fn the_lab_reads_the_roles_that_the_transform_leaves() {
    with_stack(async |stack| {
        let written = Template::read(&workspace().join("template.yaml"), &World::default()).unwrap().roles;
        let processed = Template::parse(&stack.template.to_string(), &World::default()).unwrap().roles;
        assert!(written.len() > 2 && written.iter().all(|role| !role.statements.is_empty()), "{written:#?}");
        assert_eq!(processed, written);
    });
}

#[test]
fn nothing_is_left_behind_by_a_test_that_was_killed() {
    with_server(async |server| {
        let (address, home) = (server.address(), server.home().to_owned());
        assert!(tokio::net::TcpStream::connect(address).await.is_ok() && home.is_dir());
        server.abandoned().await;
        assert!(tokio::net::TcpStream::connect(address).await.is_err() && !home.exists());
    });
}

/// Tells a story: the drift is mended under the deployed role, the ledger and the evidence have it, people are told, a second
/// look finds nothing to do; then, with each action of the role taken away in turn, either it is mended still or nothing is
/// changed and the answer names the action. Returns what was mended first, and the id of its record.
async fn told(stack: &Stack, story: &Story) -> (String, String) {
    let control = story.control;
    let (resource, answer) = happens(stack, story).await;
    let record = answer.record();
    assert_eq!(record["outcome"], "fixed", "{control}: {record:#}\n{}", stack.log());
    assert!((story.mended)(stack, &resource).await, "{control}: {record:#}");

    let id = record["id"].as_str().unwrap();
    let kept = stack.recorded(id).await;
    let evidence = stack.evidence_of(id).await;
    for field in ["outcome", "before", "changes", "after"] {
        assert_eq!(kept[field], record[field], "{control}: the ledger's {field}");
        assert_eq!(evidence["record"][field], record[field], "{control}: the evidence's {field} {evidence:#}");
    }
    stack.heard(&resource).await;
    let again = stack.invoke(control, &asked(control, &resource)).await;
    assert_eq!(again.outcome(), "compliant", "{control}: {again:?}");

    let role = stack.role(control);
    let mut needed = BTreeSet::new();
    for (name, whole) in stack.policies(role).await {
        // What Lambda does in the role's name, MiniStack does in its own.
        if name == "runtime" {
            continue;
        }
        for action in actions(&whole) {
            let answer = happens_with(stack, story, &name, &without(&whole, &action), &whole).await;
            match answer {
                Ok(fixed) => assert_eq!(fixed.outcome(), "fixed", "{control} without {action}: {fixed:?}"),
                Err(said) => {
                    assert!(
                        said.contains(&format!("{action} on ")) && said.contains("denied"),
                        "{control} without {action}: {said}"
                    );
                    needed.insert(action);
                }
            }
        }
        if whole.to_string().contains(LEADING_KEYS) {
            let answer = happens_with(stack, story, &name, &elsewhere(&whole), &whole).await;
            let Err(said) = answer else { panic!("{control}: it writes where it may not: {answer:?}") };
            assert!(said.contains("dynamodb:PutItem on "), "{control}: {said}");
        }
    }
    let expected: BTreeSet<_> = story.needs.iter().chain(&LEDGER).map(|action| (*action).to_owned()).collect();
    assert_eq!(needed, expected, "{control}: what it does not do without");
    (resource, id.to_owned())
}

/// The same while a policy of the role is another: what the function answered if it mended the drift, or what it said if it
/// changed nothing.
async fn happens_with(
    stack: &Stack,
    story: &Story,
    name: &str,
    policy: &Value,
    whole: &Value,
) -> Result<Answer, String> {
    let role = stack.role(story.control);
    stack.allow(role, name, policy).await;
    let (resource, answer) = happens(stack, story).await;
    let mended = (story.mended)(stack, &resource).await;
    stack.allow(role, name, whole).await;
    if mended { Ok(answer) } else { Err(answer.body.to_string()) }
}

/// Makes the drift and has it mended; what it is of, and the answer.
async fn happens(stack: &Stack, story: &Story) -> (String, Answer) {
    let resource = (story.drift)(stack).await;
    assert!(!(story.mended)(stack, &resource).await, "{}: no drift", story.control);
    let answer = stack.invoke(story.control, &asked(story.control, &resource)).await;
    (resource, answer)
}

/// Our own sample of a request, about this.
fn asked(control: &str, resource: &str) -> Value {
    let mut event = event(control, "manual-enforce");
    event["resource"] = resource.into();
    event
}

/// S3's event of a call that opened a bucket reaches the function by the deployed rule, and nobody else invokes it here. The
/// event of a call of the function's own, which comes first, is not let through.
async fn woken_by_a_call(stack: &Stack) {
    stack.listen_to("suture-s3-public-bucket").await;
    // What only the event itself has in it: a message with this has come by the rule.
    let (agent, mut entries) = (fresh("agent"), Vec::new());
    let [own, bucket] = [open_bucket(stack).await, open_bucket(stack).await];
    for (sample, bucket) in [("own-call", &own), ("delete-public-access-block", &bucket)] {
        let mut call = event("s3-public-bucket", sample);
        call["detail"]["requestParameters"]["bucketName"] = bucket.as_str().into();
        if sample != "own-call" {
            call["detail"]["userAgent"] = agent.as_str().into();
        }
        let detail = call["detail"].to_string();
        entries.push(json!({"Source": call["source"], "DetailType": call["detail-type"], "Detail": detail}));
    }
    let answer = stack.aws.json("events", "PutEvents", &json!({"Entries": entries})).await;
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    until("fix of what the event told of", async || blocked(stack, &bucket).await.then_some(())).await;
    let mut heard = stack.heard(&agent).await;
    heard.retain(|message| message.contains(&own));
    assert!(heard.is_empty(), "our own call is let through: {heard:#?}");
}

/// The actions that a policy allows.
fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements.flat_map(listed).map(str::to_owned).collect()
}

/// The actions of a statement: a list, or one text.
fn listed(statement: &Value) -> Vec<&str> {
    match &statement["Action"] {
        Value::Array(actions) => actions.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// The policy without this action.
fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    policy["Statement"].as_array_mut().unwrap().retain_mut(|statement| {
        let left: Vec<_> = listed(statement).into_iter().filter(|one| *one != action).map(str::to_owned).collect();
        let any = !left.is_empty();
        statement["Action"] = left.into();
        any
    });
    policy
}

/// The condition key that limits which items of the ledger a role may write.
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// The policy with other items of the ledger than it has.
fn elsewhere(policy: &Value) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        for test in statement.get_mut("Condition").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
        {
            if let Some(keys) = test.get_mut(LEADING_KEYS) {
                *keys = json!(["elsewhere#*"]);
            }
        }
    }
    policy
}

/// A new bucket of which nothing is blocked.
async fn open_bucket(stack: &Stack) -> String {
    let bucket = fresh("clinic");
    stack.aws.must_s3(Method::PUT, &format!("/{bucket}"), "").await;
    stack.aws.must_s3(Method::DELETE, &format!("/{bucket}?publicAccessBlock"), "").await;
    bucket
}

/// Whether all four settings of a bucket's own block are on.
async fn blocked(stack: &Stack, bucket: &str) -> bool {
    let block = stack.aws.s3(Method::GET, &format!("/{bucket}?publicAccessBlock"), "").await;
    let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    names.iter().all(|name| block.texts(name) == ["true"])
}

async fn encrypted(stack: &Stack, bucket: &str) -> bool {
    let answer = stack.aws.must_s3(Method::GET, &format!("/{bucket}?encryption"), "").await;
    answer.texts("SSEAlgorithm") == ["aws:kms"]
}

/// A new user in this path, and the user's one key.
async fn user_with_key(stack: &Stack, path: &str) -> (String, String) {
    let user = fresh("bob");
    stack.aws.query("iam", "CreateUser", &[("UserName", &user), ("Path", path)]).await;
    let key = stack.aws.query("iam", "CreateAccessKey", &[("UserName", &user)]).await.texts("AccessKeyId").remove(0);
    (user, key)
}

async fn inactive(stack: &Stack, user: &str) -> bool {
    let keys = stack.aws.query("iam", "ListAccessKeys", &[("UserName", user)]).await;
    keys.texts("Status") == ["Inactive"]
}

fn all_folders() -> Vec<String> {
    let mut all = [system_tests::folders(), system_tests::own_folders()].concat();
    all.sort();
    all
}
