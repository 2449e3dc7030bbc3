//! What wakes Suture: every event shape that AWS sends, read into one form, the [`Notice`].
//!
//! Events are hints from outside: late, repeated, forged, half filled in. They say where to look and who was there, never
//! what to write. Reading one never fails: what makes no sense becomes a [`Rejected`] with one line that names what is
//! wrong, and a sound event that needs nothing done becomes a notice whose act is [`Act::Ignore`].
//!
//! Nothing here decides which control an event is for, and nothing here talks to AWS.

mod agent;
mod arn;
mod calls;
mod cloudtrail;
mod config;
mod explain;
mod findings;
#[cfg(test)]
mod fuzz_tests;
pub mod ids;
mod manual;
mod ocsf;
mod part;
mod read;
mod resource;
#[cfg(test)]
mod samples;
mod security_hub;
mod value;

pub use explain::explain;
pub use part::Part;
pub use read::{MOST_RECORDS, read, read_bytes};

use ids::{AccountId, Region};
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;
use time::OffsetDateTime;

/// The largest event that Lambda delivers, in bytes.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const LARGEST_EVENT: usize = 6 * 1024 * 1024;

/// What was made of one raw event. Wrapped events (SNS, SQS, SNS in SQS) are one notice or rejection for each that they
/// hold; so are findings of one event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// What the event says.
    pub notices: Vec<Notice>,
    /// What of it could not be read; somebody should see why it was sent.
    pub rejected: Vec<Rejected>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// What is wrong, in one line.
    pub why: String,
    /// The id of the SQS message that it came in.
    #[serde(skip)]
    pub message: Option<String>,
}

/// One event, in the one form that the rest of the program sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Where it came from.
    pub trigger: Trigger,
    /// The account that it is about: the resource's, not that of a bus it was forwarded to. None if the event names none
    /// (a manual request), and then it is the function's own.
    pub account: Option<AccountId>,
    /// The region that it is about; none if the event names none, or is about a global resource (Config's `global`).
    pub region: Option<Region>,
    /// What happened, in the source's own word: the API call, the Config rule, the Security Hub control, the type of the
    /// finding, the event type code.
    pub event: Option<String>,
    /// The name of the Security Hub custom action that a person pressed.
    pub action: Option<String>,
    /// Security Hub control ids (`S3.2`), as far as the event names any, consolidated or of a standard.
    pub control_ids: Vec<String>,
    /// What it asks for.
    pub act: Act,
    /// The resources that it is about, as the event spells them; each is hostile until a control has parsed it.
    pub resources: Vec<Resource>,
    /// Who or what caused it, as far as the event tells.
    pub cause: Option<Cause>,
    /// Why it is taken for this, in one line.
    pub why: String,
    /// The API call, where the event is one.
    pub call: Option<ApiCall>,
    /// The AWS Config rule, where one fired.
    pub rule: Option<ConfigRule>,
    /// Who waits for an answer.
    pub reply: Option<Reply>,
    /// The request, where a person sent it.
    pub manual: Option<Manual>,
    /// The part of a sweep that it hands over, where a sweep handed one over to a queue.
    pub part: Option<Part>,
    /// The id of the SQS message that it came in: what is to be named if it should be delivered again.
    pub message: Option<String>,
}

/// Where a notice came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A custom rule's invocation by AWS Config.
    ConfigRule,
    /// EventBridge's `Config Rules Compliance Change`.
    ConfigCompliance,
    /// EventBridge's `Config Configuration Item Change`.
    ConfigItem,
    /// EventBridge's `AWS API Call via CloudTrail`, and bare CloudTrail records.
    CloudTrail,
    /// EventBridge's `Security Hub Findings - Imported`, and single findings in ASFF.
    SecurityHub,
    /// EventBridge's `Security Hub Findings - Custom Action`: a person pressed a button.
    SecurityHubAction,
    /// EventBridge's `Findings Imported V2`: findings in OCSF.
    SecurityHubV2,
    /// EventBridge's `GuardDuty Finding`.
    GuardDuty,
    /// EventBridge's `Access Analyzer Finding` and its sisters.
    AccessAnalyzer,
    /// EventBridge's `AWS Health Event`.
    Health,
    /// A schedule: a rule's or EventBridge Scheduler's.
    Schedule,
    /// A person or a script, with the documented request.
    Manual,
    /// Another EventBridge event.
    Other,
}

/// What a notice asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Look at the named resources.
    Evaluate,
    /// Look at the account's own settings, or at what of the account the event does not name.
    EvaluateAccount,
    /// Look at every resource of the kind.
    Sweep,
    /// Something is under attack: for controls that are made for incidents.
    Incident,
    /// Nothing; `why` says why.
    Ignore,
}

/// A resource as an event spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// Its CloudFormation type: `AWS::S3::Bucket`; `AWS::::Account` for an account.
    pub r#type: String,
    /// Its id as the event has it: a name, an id or an ARN.
    pub id: String,
    /// The name that its API knows it by, where the event tells it beside the id or the id is an ARN.
    pub name: Option<String>,
}

/// Who or what caused a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What happened: `DeleteBucketPublicAccessBlock`, a rule's or a finding's name.
    pub call: String,
    /// The source's id for it: CloudTrail's event id, the finding's id.
    pub event_id: Option<String>,
    /// When it happened.
    #[serde(serialize_with = "time::serde::rfc3339::option::serialize")]
    pub at: Option<OffsetDateTime>,
    /// The caller: its ARN, or the AWS service that called, or else the kind of identity.
    pub actor: Option<String>,
    /// The role behind the caller's session.
    pub role: Option<String>,
    /// The address that the call came from.
    pub source_ip: Option<String>,
    /// The tool that made the call, in one word of ours or as an AWS service's name: `terraform`, `cloudformation`,
    /// `console`, `cli`, `sdk`, `autoscaling.amazonaws.com`. A hint: the caller can make most of them up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// An API call as CloudTrail recorded it: what we key on, and nothing required that real records leave out. The type of
/// aws_lambda_events drops `errorCode`, so a denied call would read as a change.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiCall {
    /// `s3.amazonaws.com`.
    pub event_source: String,
    /// `DeleteBucketPublicAccessBlock`.
    pub event_name: String,
    /// `requestParameters`; null where the record has none.
    pub parameters: Value,
    /// `responseElements`; null where the record has none.
    pub response: Value,
}

/// The AWS Config rule that fired.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigRule {
    /// Its name, with whatever suffix a conformance pack gave it.
    pub name: String,
    /// Its input parameters, where the event brings them; a compliance change does not.
    pub parameters: Option<Map<String, Value>>,
}

/// Who waits for an answer to a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// AWS Config, for `PutEvaluations`.
    Evaluation {
        /// The result token; `TESTMODE` asks for a call with TestMode.
        token: String,
        /// The ordering timestamp: when the configuration was captured, or the notification made.
        at: OffsetDateTime,
        /// The resource does not exist or is out of the rule's scope: NOT_APPLICABLE, without a look.
        not_applicable: bool,
    },
    /// Security Hub, for `BatchUpdateFindings`.
    Finding {
        /// The finding's `Id`.
        id: String,
        /// The finding's `ProductArn`.
        product_arn: String,
    },
    /// Security Hub V2, for `BatchUpdateFindingsV2`.
    FindingV2 {
        /// `metadata.uid`, by which V2 knows a finding, where the event has it.
        metadata_uid: Option<String>,
        /// `cloud.account.uid`.
        account: String,
        /// `finding_info.uid`.
        finding: String,
        /// `metadata.product.uid`.
        product: String,
    },
}

/// The plain request that a person sends; a resource, a record or a plan is named.
#[derive(Clone, Debug, PartialEq)]
pub struct Manual {
    /// The control that it is for.
    pub control: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// What is asked for.
    pub mode: Option<ManualMode>,
    /// Why, in the sender's words: a ticket number, as a rule.
    pub reason: Option<String>,
    /// Gates and guards to override, by name.
    pub overrides: Vec<String>,
    /// The record to undo, as it was printed.
    pub record: Option<Value>,
    /// The id of the record to undo, where it is to be found in the ledger.
    pub recall: Option<String>,
    /// What was decided about a plan.
    pub decision: Option<Decision>,
    /// For how long the control is to leave the resource alone after an undo.
    pub leave_alone: Option<Duration>,
    /// A proof of who sends the request: a signed request to STS, which the caller may have answered (see
    /// `remediation::caller`).
    pub caller: Option<String>,
    /// Who sent the request, once that is proved: the ARN that AWS reports. Never read from a request.
    pub asked_by: Option<String>,
}

/// What a person decided about a plan, by the plan's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Carry it out.
    Approve(String),
    /// Do not.
    Reject(String),
}

impl Manual {
    /// What the request is for, in a few words: what a proof of the caller is bound to, so that it is good for nothing else.
    pub fn purpose(&self) -> String {
        match (&self.decision, &self.recall, &self.record) {
            (Some(Decision::Approve(id)), ..) => format!("approve {id}"),
            (Some(Decision::Reject(id)), ..) => format!("reject {id}"),
            (None, Some(id), _) => format!("undo {id}"),
            (None, None, Some(record)) => {
                format!("undo {}", record.get("id").and_then(Value::as_str).unwrap_or_default())
            }
            (None, None, None) => {
                let mode = if self.mode == Some(ManualMode::Enforce) { "enforce" } else { "plan" };
                format!("{mode} {}", self.resource.as_deref().unwrap_or_default())
            }
        }
    }
}

/// What a manual request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManualMode {
    /// Say what would be written.
    Plan,
    /// Write it.
    Enforce,
    /// Take a record back.
    Undo,
    /// Carry a stored plan out.
    Approve,
    /// Do not carry a stored plan out.
    Reject,
}
