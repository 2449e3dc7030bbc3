//! Findings for Security Hub, in the AWS Security Finding Format, where people look already.
//!
//! A finding is of a resource under a control, whatever the record: it opens with the first refusal or failure, is brought
//! up to date by the next, and is archived by what ends it. Security Hub tells them apart by `Id`, ignores an update whose
//! `UpdatedAt` is not newer, and takes a finding out of the archive as new if it is opened again.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/finding-update-batchimportfindings.html>
//!
//! `Workflow` is left to people: a provider cannot change it. `Compliance.SecurityControlId` stays empty: our rules listen
//! for findings by it, and a finding of ours must not wake us.

use crate::TAMPERING;
use crate::commands;
use crate::record::{Told, head, what};
use crate::words::{self, name, plain, sentence};
use aws_sdk_securityhub::types::{
    AwsSecurityFinding, Compliance, ComplianceStatus, FindingProviderFields, FindingProviderSeverity, Partition,
    Recommendation, RecordState, Remediation, Resource, SeverityLabel,
};
use ledger::Outcome;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use triggers::ids::{AccountId, Region};

/// The longest of each field, in characters.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html>
mod most {
    pub(super) const ID: usize = 512;
    pub(super) const TITLE: usize = 256;
    pub(super) const DESCRIPTION: usize = 1024;
    pub(super) const RECOMMENDATION: usize = 512;
    pub(super) const REQUIREMENTS: usize = 32;
    pub(super) const FIELD: usize = 2048;
    pub(super) const REGION: usize = 16;
}

/// The version of the format.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html>
const SCHEMA: &str = "2018-10-08";
/// What kind of finding it is.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-type-taxonomy.html>
const TYPE: &str = "Software and Configuration Checks/Industry and Regulatory Standards/HIPAA Controls (USA)";

/// The Security Hub that is told: the account and region that `BatchImportFindings` is called in. Findings under the
/// default product must be of the account that calls, wherever the resource is.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html>
#[derive(Clone, Copy, Debug)]
pub struct Hub<'a> {
    /// The partition: `aws`, `aws-us-gov`, `aws-cn`.
    pub partition: &'a str,
    /// The account.
    pub account: &'a AccountId,
    /// The region.
    pub region: &'a Region,
}

/// What to tell Security Hub.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A person should look.
    Open(Box<AwsSecurityFinding>),
    /// Nothing is left to look at: archived. Of use only where a finding may be open; told all the same, Security Hub would
    /// have an archived finding for every fix.
    Over(Box<AwsSecurityFinding>),
}

impl Finding {
    /// The finding, as `BatchImportFindings` takes it.
    pub fn into_asff(self) -> AwsSecurityFinding {
        match self {
            Self::Open(finding) | Self::Over(finding) => *finding,
        }
    }
}

/// What a record means for the resource's finding; nothing where it says nothing about drift: a plan, a request for approval,
/// an undo that was refused, a form that this version does not know.
pub fn finding(record: &Value, hub: &Hub<'_>) -> Option<Finding> {
    let told = Told(record);
    let outcome = told.outcome()?;
    let (open, status) = match outcome {
        Outcome::Planned | Outcome::AwaitingApproval => return None,
        Outcome::Refused if told.text("/undoes").is_some() => return None,
        // Nobody looked: that is worth a finding, and says nothing about the resource.
        Outcome::Refused | Outcome::Failed if told.unseen() => (true, ComplianceStatus::Warning),
        Outcome::Refused
        | Outcome::Failed
        | Outcome::PartlyFixed
        | Outcome::Unverified
        | Outcome::BlockedByOrganization => (true, ComplianceStatus::Failed),
        Outcome::Fixed | Outcome::Compliant => (false, ComplianceStatus::Passed),
        // The drift is there, and somebody answers for it.
        Outcome::Undone | Outcome::Exempt => (false, ComplianceStatus::Warning),
        Outcome::Gone => (false, ComplianceStatus::NotAvailable),
    };
    let (title, recommendation) = words_of(&told, outcome);
    let ended = ended(&told)?;
    let citations = told.list("citations").iter().filter_map(Value::as_str).map(|citation| plain(citation, 128));
    let compliance = Compliance::builder()
        .status(status)
        .set_related_requirements(Some(citations.take(most::REQUIREMENTS).collect()))
        .build();
    let severity = FindingProviderSeverity::builder().label(severity(&told, outcome)).original(outcome.name()).build();
    let recommendation = Recommendation::builder().text(plain(&recommendation, most::RECOMMENDATION - 1)).build();
    let (account, region) = (hub.account, hub.region);
    let finding = AwsSecurityFinding::builder()
        .schema_version(SCHEMA)
        .id(id_of(record))
        .product_arn(format!("arn:{}:securityhub:{region}:{account}:product/{account}/default", hub.partition))
        .generator_id(format!("suture/{}", plain(told.control(), 128)))
        .aws_account_id(account.as_str())
        .title(plain(&title, most::TITLE - 1))
        .description(plain(&description(&told), most::DESCRIPTION - 1))
        .created_at(&ended)
        .updated_at(&ended)
        .last_observed_at(&ended)
        .set_first_observed_at(told.text("/cause/at").and_then(time_of))
        .finding_provider_fields(FindingProviderFields::builder().severity(severity).types(TYPE).build())
        .remediation(Remediation::builder().recommendation(recommendation).build())
        .resources(resource(&told, hub))
        .compliance(compliance)
        .record_state(if open { RecordState::Active } else { RecordState::Archived });
    let fields = [
        ("suture/record", told.id()),
        ("suture/outcome", outcome.name()),
        ("suture/refused-by", told.text("/refused_by").unwrap_or_default()),
        ("suture/actor", told.text("/cause/actor").unwrap_or_default()),
    ];
    let fields = fields.iter().filter(|(_, value)| !value.is_empty());
    let finding =
        fields.fold(finding, |finding, (key, value)| finding.product_fields(*key, plain(value, most::FIELD - 1)));
    let finding = Box::new(finding.build());
    Some(if open { Finding::Open(finding) } else { Finding::Over(finding) })
}

/// The finding's `Id`: the same for every record of this control about this resource.
pub fn id_of(record: &Value) -> String {
    let told = Told(record);
    let part = |pointer: &str| told.text(pointer).unwrap_or("-");
    let [account, region] = ["/resource/account", "/resource/region"].map(part);
    let id =
        format!("suture/{}/{account}/{region}/{}/{}", told.control(), part("/resource/type"), part("/resource/id"));
    if id.chars().count() <= most::ID && words::plain(&id, most::ID) == id {
        return id;
    }
    let mut short = format!("suture/{}/", plain(told.control(), 128));
    for byte in Sha256::digest(&id) {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

/// How much it matters: what a person decided against is known to somebody; what went wrong is not. Whoever touches Suture
/// itself may mean to touch something else next.
fn severity(told: &Told<'_>, outcome: Outcome) -> SeverityLabel {
    match outcome {
        Outcome::Refused if told.text("/refused_by") == Some(TAMPERING) => SeverityLabel::High,
        Outcome::Refused | Outcome::BlockedByOrganization => SeverityLabel::Medium,
        Outcome::Failed | Outcome::PartlyFixed | Outcome::Unverified => SeverityLabel::High,
        _ => SeverityLabel::Informational,
    }
}

/// The title, and what to do.
fn words_of(told: &Told<'_>, outcome: Outcome) -> (String, String) {
    let (control, resource) = (name(told.control()), plain(told.resource(), 128));
    let over = |how: &str| (format!("{resource} {how} ({control})"), "Nothing is left to be done.".to_owned());
    match outcome {
        Outcome::Fixed | Outcome::Compliant => return over("is as it ought to be"),
        Outcome::Gone => return over("is gone"),
        Outcome::Undone => return over("is as it was before its fix, by a person's decision"),
        Outcome::Exempt => return over("is exempt"),
        _ => {}
    }
    let verb = head(told, outcome).map_or("did not fix", |(verb, _)| verb);
    let undo = commands::undo(told.id()).filter(|_| outcome.wrote() && !told.list("undo").is_empty());
    let undo = undo.map(|undo| format!(" To undo what was written: {undo}")).unwrap_or_default();
    let why = plain(told.text("/why").unwrap_or_default(), most::RECOMMENDATION / 2);
    (format!("Suture {verb} {resource} ({control})"), format!("See to what the reason names: {why}.{undo}"))
}

fn description(told: &Told<'_>) -> String {
    let why = told.text("/why").map(sentence).unwrap_or_default();
    let cause = |field: &str| told.text(&format!("/cause/{field}")).map(name);
    let caused = cause("actor").or(cause("call")).map(|by| format!(" Caused by {by}.")).unwrap_or_default();
    let what = what(told);
    // The reason is the longest, and what is cut off the end is said by the record.
    let room = most::DESCRIPTION.saturating_sub(what.chars().count() + caused.chars().count() + 8);
    format!("{what}: {}.{caused}", plain(&why, room))
}

/// The resource of a record as Security Hub names it: its id and its type. Bucket and group have an ARN that their names tell;
/// others have what Security Hub itself writes where there is none: type and name.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html#Resources>
pub fn resource_of(record: &Value, partition: &str) -> (String, &'static str) {
    let told = Told(record);
    let part = |pointer: &str| plain(told.text(pointer).unwrap_or("unknown"), 256);
    let [kind, id, account, region] =
        ["/resource/type", "/resource/id", "/resource/account", "/resource/region"].map(part);
    let named = match kind.as_str() {
        "AWS::S3::Bucket" => format!("arn:{partition}:s3:::{id}"),
        "AWS::EC2::SecurityGroup" if id.starts_with("sg-") => {
            format!("arn:{partition}:ec2:{region}:{account}:security-group/{id}")
        }
        "AWS::::Account" => format!("AWS::::Account:{account}"),
        _ => format!("{kind}:{id}"),
    };
    (named, type_of(&kind))
}

fn resource(told: &Told<'_>, hub: &Hub<'_>) -> Resource {
    let (named, kind) = resource_of(told.0, hub.partition);
    let region = plain(told.text("/resource/region").unwrap_or("unknown"), 256);
    let resource = Resource::builder().r#type(kind).id(named).partition(Partition::from(hub.partition));
    // A region's name of more characters is one that this version of the format cannot hold.
    resource.set_region(Some(region).filter(|region| region.len() <= most::REGION)).build()
}

/// Security Hub's name of a CloudFormation type.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/asff-resources-attributes.html>
fn type_of(kind: &str) -> &'static str {
    match kind {
        "AWS::::Account" => "AwsAccount",
        "AWS::S3::Bucket" => "AwsS3Bucket",
        "AWS::EC2::SecurityGroup" => "AwsEc2SecurityGroup",
        "AWS::EC2::Instance" => "AwsEc2Instance",
        "AWS::EC2::Volume" => "AwsEc2Volume",
        "AWS::EC2::NetworkAcl" => "AwsEc2NetworkAcl",
        "AWS::EC2::Subnet" => "AwsEc2Subnet",
        "AWS::EC2::VPC" => "AwsEc2Vpc",
        "AWS::IAM::AccessKey" => "AwsIamAccessKey",
        "AWS::IAM::User" => "AwsIamUser",
        "AWS::IAM::Role" => "AwsIamRole",
        "AWS::IAM::Group" => "AwsIamGroup",
        "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" => "AwsIamPolicy",
        "AWS::CloudTrail::Trail" => "AwsCloudTrailTrail",
        "AWS::DynamoDB::Table" => "AwsDynamoDbTable",
        "AWS::KMS::Key" => "AwsKmsKey",
        "AWS::Lambda::Function" => "AwsLambdaFunction",
        "AWS::RDS::DBInstance" => "AwsRdsDbInstance",
        "AWS::RDS::DBCluster" => "AwsRdsDbCluster",
        "AWS::RDS::DBSnapshot" => "AwsRdsDbSnapshot",
        "AWS::RDS::DBClusterSnapshot" => "AwsRdsDbClusterSnapshot",
        "AWS::SNS::Topic" => "AwsSnsTopic",
        "AWS::SQS::Queue" => "AwsSqsQueue",
        "AWS::SecretsManager::Secret" => "AwsSecretsManagerSecret",
        _ => "Other",
    }
}

/// When the record came to its end: what it says was seen then. Milliseconds, as Security Hub's own findings have.
fn ended(told: &Told<'_>) -> Option<String> {
    let began = OffsetDateTime::parse(told.text("/began")?, &Rfc3339).ok()?;
    let took = told.0.get("took_ms").and_then(Value::as_i64).unwrap_or_default();
    stamp(began.checked_add(Duration::milliseconds(took)).unwrap_or(began))
}

fn time_of(text: &str) -> Option<String> {
    stamp(OffsetDateTime::parse(text, &Rfc3339).ok()?)
}

fn stamp(at: OffsetDateTime) -> Option<String> {
    let at = at.to_offset(time::UtcOffset::UTC);
    at.replace_millisecond(at.millisecond()).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
