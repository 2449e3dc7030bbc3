//! # suture-tampering: who touches Suture itself is told of at once
//!
//! ## What it looks for
//! Calls that change a part of Suture's own deployment, whoever makes them:
//! - rules and schedules: `PutRule`, `DisableRule`, `DeleteRule`, `PutTargets`, `RemoveTargets`,
//! - functions: code, configuration, concurrency, event source mappings, permissions, deletion,
//! - the ledger's table: stream, point-in-time recovery, deletion protection (`UpdateTable`), time to live, deletion,
//! - the bucket of the evidence: policy, versioning, object lock, lifecycle, encryption, public access block, ownership,
//!   replication, deletion,
//! - roles: policies put, attached, taken away, who may assume them, permissions boundaries, deletion,
//! - the topic and its subscriptions, the KMS key, the functions' logs,
//! - the stack itself: `UpdateStack`, `ExecuteChangeSet`, `DeleteStack`.
//!
//! What is part of the deployment, its names say: those of rules, functions, roles and logs begin with the stack's name and a
//! dash; table, bucket and topic are told to the function by the template; the key is the one that the table is encrypted with.
//! A call on anything else costs no AWS call besides the ledger's and ends as `compliant`. The rule is not narrowed by names: a call
//! can name a function in four ways, a mapping or a key only by an id, and a pattern that misses one is a hole.
//!
//! Once an hour it also reads what no event may have told: a rule that is disabled or has no target, a function that may run 0
//! times at once, a mapping that is off, a table without stream, recovery, protection or time to live, a key that is disabled or
//! to be deleted, a bucket without versioning, object lock or public access block, a topic that nobody has subscribed to.
//!
//! ## Why it matters
//! Whoever wants to open a bucket unseen switches off first what would close it, and what would tell. 45 CFR 164.312(b) asks for
//! mechanisms that record activity; one that can be switched off unnoticed records what the intruder likes.
//!
//! ## What it does
//! It tells, and never writes. Every finding is `refused` by `tampering`: who called what, on which part, from where, what the
//! part is like now, and what to do. The recorder makes a message and a Security Hub finding of it as of every refusal. Modes,
//! exemptions, budget and kill switch do not matter to it: they are about writes, and whoever can set them could silence it.
//!
//! It does not put anything back. A robot that repairs itself would undo what an operator does in an emergency; and who may change
//! Suture could change the repair.
//!
//! **Deployments.** What CloudFormation does (AWS writes that into the record; a caller cannot) to what only its own stack can
//! change is a note, unless the part reads weakened: a new version of Suture would else be thirty alarms, which teaches people to
//! look away. The deployment itself, `UpdateStack` or `ExecuteChangeSet`, is one alarm, with who started it. What any stack could
//! attach to a part of ours (a role's policy, the bucket's or the topic's) is an alarm also where CloudFormation did it.
//!
//! A part that cannot be read after a call is an alarm all the same, and says so.
//!
//! ## What could break
//! Nothing: it writes nothing. A deployment sends a message or a few; so does every change by hand, also a sound one.
//!
//! What it does not see:
//! - everything at once. A disabled rule delivers nothing, not even the event that it was disabled; so there are two for calls,
//!   and each tells of the other's end, as the hourly look does of both. Who disables all three within the seconds that
//!   CloudTrail takes is not told of.
//! - its own end: who replaces this function's code first is told of to the new code. Who stops or deletes it leaves the events
//!   that were for it in the queue of unhandled events, after some hours. Let something that is not part of this stack watch
//!   this function, its role and its rules as well, such as an organization's trail with an alarm.
//! - a trail that is stopped: no call of anybody's arrives any more. A control for trails is what that needs.
//! - calls of the undo function's role, which the rule leaves out as it does for every control: each has a record of its own. Who
//!   wants to act in that role has to change a function or a role first, and that is told.
//! - objects that are deleted or overwritten, and items of the ledger that are: those are data events, which EventBridge has only
//!   where a trail logs them. The lock keeps the objects, `suture verify-evidence` finds what is missing or changed, and the
//!   recorder tells of every change of the settings and the exemptions.
//! - parts that were deleted while no event arrived: what is gone is not listed. (The table, the bucket and the topic are looked for
//!   by name.)
//! - IAM is told of in us-east-1 only. A stack elsewhere hears nothing of its roles; one of the same name in us-east-1 does.
//! - the telling itself needs the ledger, its stream, the recorder and the topic. Their loss is told before it is complete where
//!   AWS demands two steps (a protected table, a key's thirty days); where the ledger cannot be written any more, the event goes to
//!   the queue of unhandled events, and the record is in the function's log.
//!
//! ## Undo
//! There is nothing to undo.
//!
//! ## References
//! - <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>
//! - <https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html>
//! - <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html> (`invokedBy`)
//! - MITRE ATT&CK T1562, Impair Defenses: <https://attack.mitre.org/techniques/T1562/>
//! - 45 CFR 164.308(a)(1)(ii)(D), 45 CFR 164.312(b)

mod cloud;
mod part;
mod says;

pub use cloud::Parts;
pub use part::{Deployment, Kind, Part};

use remediation::{About, Control, Hindrance, Resource, Safety, Scope, Setting, Watch};
use serde::{Deserialize, Serialize};

/// The control; see the crate's page.
#[derive(Debug)]
pub struct Tampering;

/// What is known of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The part.
    pub part: Part,
    /// Whether it is one of this deployment.
    pub ours: bool,
    /// The call that changed it, if one made us look.
    pub touched: Option<Touch>,
    /// What of it is not as it was deployed.
    pub weak: Vec<Weakness>,
    /// Why it could not be read after it was touched.
    pub unread: Option<String>,
    /// Whether it is a topic that nobody has subscribed to.
    pub unheard: bool,
}

/// A call that changed a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Its name, without a version: `UpdateFunctionCode`.
    pub call: String,
    /// Who made it.
    pub by: String,
    /// The address that it came from.
    pub from: Option<String>,
    /// The tool.
    pub with: Option<String>,
    /// Whether CloudFormation made it, as AWS says.
    pub by_cloudformation: bool,
}

/// What of a part can be not as it was deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weakness {
    /// It does not exist.
    Gone,
    /// A rule or a key is disabled.
    Disabled,
    /// A rule has no target.
    NoTarget,
    /// A function's reserved concurrency is 0.
    Stopped,
    /// A function's mapping is disabled.
    MappingOff,
    /// The recorder has no mapping.
    MappingGone,
    /// The table has no stream.
    StreamOff,
    /// The table has no point-in-time recovery.
    RecoveryOff,
    /// The table can be deleted.
    Deletable,
    /// The table keeps what has expired.
    TimeToLiveOff,
    /// The table's key is disabled.
    KeyDisabled,
    /// The table's key is to be deleted.
    KeyGoing,
    /// The table's key was deleted.
    KeyGone,
    /// The bucket keeps no versions.
    VersioningOff,
    /// The bucket's objects are not locked.
    LockOff,
    /// The bucket may be opened to the public.
    Public,
}

/// A write: there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Change {}

const fn deployed(field: &'static str, reference: &'static str, description: &'static str) -> Setting {
    Setting { field, parameter: reference, description, kind: remediation::Kind::Deployed, default: "" }
}

impl Control for Tampering {
    const ABOUT: About = About {
        id: "suture-tampering",
        title: "tells at once who touches Suture itself",
        never: "write anything",
        resource_type: "AWS::CloudFormation::Stack",
        also: &[
            "AWS::DynamoDB::Table",
            "AWS::Events::Rule",
            "AWS::IAM::Role",
            "AWS::KMS::Key",
            "AWS::Lambda::Function",
            "AWS::Logs::LogGroup",
            "AWS::S3::Bucket",
            "AWS::SNS::Subscription",
            "AWS::SNS::Topic",
        ],
        scope: Scope::Deployment,
        names_account: false,
        // Not that there is anything to take back.
        safety: Safety::Reversible,
        exposes: false,
        observes_with: &[
            "dynamodb:DescribeContinuousBackups",
            "dynamodb:DescribeTable",
            "dynamodb:DescribeTimeToLive",
            "events:DescribeRule",
            "events:ListTargetsByRule",
            "kms:DescribeKey",
            "lambda:GetFunctionConcurrency",
            "lambda:ListEventSourceMappings",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketVersioning",
            "sns:GetTopicAttributes",
        ],
        tags_with: &[],
        lists_with: &["events:ListRules", "lambda:ListFunctions"],
        fixes_with: &[],
        undoes_with: &[],
        allowed_on: &[
            ("dynamodb:", "${LedgerTable.Arn}"),
            ("events:", "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}-*"),
            ("events:ListRules", "*"),
            // Which key it is, the table says: the stack's own or one that it was given.
            ("kms:", "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*"),
            ("lambda:", "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}-*"),
            // Neither knows a narrower resource.
            ("lambda:ListEventSourceMappings", "*"),
            ("lambda:ListFunctions", "*"),
            ("s3:", "${EvidenceBucket.Arn}"),
            ("sns:", "${Announcements}"),
        ],
        watches: WATCHES,
        incidents: &[],
        action: None,
        config_rules: &[],
        security_hub: &[],
        citations: &["45 CFR 164.308(a)(1)(ii)(D)", "45 CFR 164.312(b)"],
        sweeps: Some("rate(1 hour)"),
        settings: &[
            deployed("stack", "AWS::StackName", "The stack that this function belongs to."),
            deployed("ledger", "LedgerTable", "The ledger's table."),
            deployed("evidence", "EvidenceBucket", "The bucket of the evidence."),
            deployed("topic", "Announcements", "The topic of the announcements."),
        ],
    };

    type Target = Part;
    type Parameters = Deployment;
    type State = State;
    type Change = Change;

    fn target(name: &str) -> Result<Part, String> {
        Part::parse(name)
    }

    fn target_of(resource: &Resource) -> Result<Part, String> {
        Part::of(resource)
    }

    fn desired(state: &State) -> State {
        state.clone()
    }

    fn changes(_: &State, _: &State) -> Vec<Change> {
        vec![]
    }

    fn hindrance(state: &State) -> Option<Hindrance> {
        says::alarm(state)
    }

    fn notes(state: &State) -> Vec<String> {
        says::notes(state)
    }
}

const WATCHES: &[Watch] = &[
    Watch {
        source: "aws.cloudformation",
        event_source: "cloudformation.amazonaws.com",
        events: &["DeleteStack", "ExecuteChangeSet", "UpdateStack"],
    },
    Watch {
        source: "aws.dynamodb",
        event_source: "dynamodb.amazonaws.com",
        events: &["DeleteTable", "UpdateContinuousBackups", "UpdateTable", "UpdateTimeToLive"],
    },
    Watch {
        source: "aws.events",
        event_source: "events.amazonaws.com",
        events: &["DeleteRule", "DisableRule", "PutRule", "PutTargets", "RemoveTargets"],
    },
    Watch {
        source: "aws.iam",
        event_source: "iam.amazonaws.com",
        events: &[
            "AttachRolePolicy",
            "DeleteRole",
            "DeleteRolePolicy",
            "DetachRolePolicy",
            "PutRolePermissionsBoundary",
            "PutRolePolicy",
            "UpdateAssumeRolePolicy",
        ],
    },
    Watch {
        source: "aws.kms",
        event_source: "kms.amazonaws.com",
        events: &["DisableKey", "PutKeyPolicy", "ScheduleKeyDeletion"],
    },
    Watch {
        source: "aws.lambda",
        event_source: "lambda.amazonaws.com",
        events: &[
            "AddPermission20150331v2",
            "DeleteEventSourceMapping20150331",
            "DeleteFunction20150331",
            "PutFunctionConcurrency20171031",
            "RemovePermission20150331v2",
            "UpdateEventSourceMapping20150331",
            "UpdateFunctionCode20150331v2",
            "UpdateFunctionConfiguration20150331v2",
        ],
    },
    Watch {
        source: "aws.logs",
        event_source: "logs.amazonaws.com",
        events: &["DeleteLogGroup", "DeleteLogStream", "PutRetentionPolicy"],
    },
    Watch {
        source: "aws.s3",
        event_source: "s3.amazonaws.com",
        events: &[
            "DeleteBucket",
            "DeleteBucketEncryption",
            "DeleteBucketPolicy",
            "DeleteBucketPublicAccessBlock",
            "PutBucketEncryption",
            "PutBucketLifecycle",
            "PutBucketObjectLockConfiguration",
            "PutBucketOwnershipControls",
            "PutBucketPolicy",
            "PutBucketPublicAccessBlock",
            "PutBucketReplication",
            "PutBucketVersioning",
        ],
    },
    Watch {
        source: "aws.sns",
        event_source: "sns.amazonaws.com",
        events: &["DeleteTopic", "SetSubscriptionAttributes", "SetTopicAttributes", "Unsubscribe"],
    },
];

#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
