//! Answers to those who wait for one: AWS Config for an evaluation, Security Hub for what became of a finding.

use crate::fault::{Attempt, Fault};
use crate::record::Outcome;
use aws_config::SdkConfig;
use aws_sdk_config as config;
use aws_sdk_config::operation::describe_config_rules::DescribeConfigRulesError;
use aws_sdk_config::types::{ComplianceType, Evaluation};
use aws_sdk_securityhub as hub;
use aws_sdk_securityhub::types::{
    AwsSecurityFindingIdentifier, NoteUpdate, OcsfFindingIdentifier, WorkflowStatus, WorkflowUpdate,
};
use aws_smithy_types::DateTime;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use time::OffsetDateTime;
use triggers::Reply;
use triggers::ids::shown;

/// How many evaluations one `PutEvaluations` takes.
/// <https://docs.aws.amazon.com/config/latest/APIReference/API_PutEvaluations.html>
pub const EVALUATIONS: usize = 100;
/// How long an annotation may be, in characters.
/// <https://docs.aws.amazon.com/config/latest/APIReference/API_Evaluation.html>
const ANNOTATION: usize = 256;
/// How long a note to a finding may be, in characters.
/// <https://docs.aws.amazon.com/securityhub/latest/APIReference/API_NoteUpdate.html>
const NOTE: usize = 512;
/// OCSF's status of a finding that needs nothing more.
/// <https://docs.aws.amazon.com/securityhub/latest/APIReference/API_BatchUpdateFindingsV2.html>
const RESOLVED_V2: i32 = 4;
/// The result token of a rule that is only tried out.
const TEST_MODE: &str = "TESTMODE";

/// AWS Config and Security Hub; a client is made when it is needed first.
#[derive(Debug)]
pub struct Replies {
    sdk: SdkConfig,
    config: OnceCell<config::Client>,
    hub: OnceCell<hub::Client>,
}

/// What AWS Config is told of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its CloudFormation type.
    pub resource_type: String,
    /// Its id, as AWS Config spelled it.
    pub resource: String,
    /// Whether it complies; none for a resource that the rule does not apply to.
    pub compliant: Option<bool>,
    /// Why, for people.
    pub says: String,
}

/// Whether a resource complies after a run that ended so; none if there is no such resource.
pub const fn complies(outcome: Outcome) -> Option<bool> {
    match outcome {
        Outcome::Compliant | Outcome::Fixed => Some(true),
        Outcome::Gone => None,
        _ => Some(false),
    }
}

impl Replies {
    /// The services as this configuration reaches them. No call is made yet.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone(), config: OnceCell::new(), hub: OnceCell::new() }
    }

    fn config(&self) -> &config::Client {
        self.config.get_or_init(|| config::Client::new(&self.sdk))
    }

    fn hub(&self) -> &hub::Client {
        self.hub.get_or_init(|| hub::Client::new(&self.sdk))
    }

    /// The input parameters of an AWS Config rule; none if there is no such rule (any more). Needs
    /// `config:DescribeConfigRules`.
    pub async fn rule_parameters(&self, rule: &str) -> Result<Option<Map<String, Value>>, Fault> {
        let sent = self.config().describe_config_rules().config_rule_names(rule).send().await;
        let answer = match sent {
            Err(error)
                if error.as_service_error().is_some_and(DescribeConfigRulesError::is_no_such_config_rule_exception) =>
            {
                return Ok(None);
            }
            sent => {
                let resource = format!("rule {}", shown(rule));
                let attempt = Attempt { action: "config:DescribeConfigRules", resource: &resource };
                sent.map_err(|error| attempt.fault(&error))?
            }
        };
        let parameters =
            answer.config_rules.unwrap_or_default().into_iter().next().and_then(|rule| rule.input_parameters);
        // AWS Config takes nothing but JSON there; what is none has no parameters that anybody could use.
        Ok(parameters.and_then(|json| serde_json::from_str(&json).ok()))
    }

    /// Tells AWS Config about resources. Needs `config:PutEvaluations`.
    pub async fn evaluations(&self, token: &str, at: OffsetDateTime, verdicts: &[Verdict]) -> Result<(), Fault> {
        let at = DateTime::from_secs(at.unix_timestamp());
        for verdicts in verdicts.chunks(EVALUATIONS) {
            let mut call = self.config().put_evaluations().result_token(token).test_mode(token == TEST_MODE);
            for verdict in verdicts {
                let compliance = match verdict.compliant {
                    Some(true) => ComplianceType::Compliant,
                    Some(false) => ComplianceType::NonCompliant,
                    None => ComplianceType::NotApplicable,
                };
                let evaluation = Evaluation::builder()
                    .compliance_resource_type(&verdict.resource_type)
                    .compliance_resource_id(&verdict.resource)
                    .compliance_type(compliance)
                    .annotation(short(&verdict.says, ANNOTATION))
                    .ordering_timestamp(at)
                    .build();
                let evaluation =
                    evaluation.map_err(|_| Fault::GiveUp("an evaluation for AWS Config lacks a field".to_owned()))?;
                call = call.evaluations(evaluation);
            }
            let attempt = Attempt { action: "config:PutEvaluations", resource: &"the rule that asked" };
            let answer = call.send().await.map_err(|error| attempt.fault(&error))?;
            let failed = answer.failed_evaluations.unwrap_or_default().len();
            if failed > 0 {
                return Err(Fault::Retry(format!(
                    "AWS Config did not take {failed} of {} evaluations",
                    verdicts.len()
                )));
            }
        }
        Ok(())
    }

    /// Marks a finding as resolved, with a note. Needs `securityhub:BatchUpdateFindings`, or `BatchUpdateFindingsV2`.
    /// <https://docs.aws.amazon.com/securityhub/latest/userguide/finding-workflow-status.html>
    pub async fn resolve(&self, finding: &Reply, says: &str) -> Result<(), Fault> {
        let note = short(says, NOTE);
        match finding {
            Reply::Evaluation { .. } => Ok(()),
            Reply::Finding { id, product_arn } => {
                let identifier = AwsSecurityFindingIdentifier::builder().id(id).product_arn(product_arn).build();
                let note = NoteUpdate::builder().text(&note).updated_by("Suture").build();
                let workflow = WorkflowUpdate::builder().status(WorkflowStatus::Resolved).build();
                let call = self.hub().batch_update_findings().finding_identifiers(identifier).note(note);
                let attempt = Attempt { action: "securityhub:BatchUpdateFindings", resource: &"the finding" };
                let answer = call.workflow(workflow).send().await.map_err(|error| attempt.fault(&error))?;
                taken(answer.unprocessed_findings.unwrap_or_default().len())
            }
            Reply::FindingV2 { metadata_uid, account, finding, product } => {
                let mut call = self.hub().batch_update_findings_v2().status_id(RESOLVED_V2).comment(note);
                call = match metadata_uid {
                    Some(uid) => call.metadata_uids(uid),
                    None => call.finding_identifiers(
                        OcsfFindingIdentifier::builder()
                            .cloud_account_uid(account)
                            .finding_info_uid(finding)
                            .metadata_product_uid(product)
                            .build(),
                    ),
                };
                let attempt = Attempt { action: "securityhub:BatchUpdateFindingsV2", resource: &"the finding" };
                let answer = call.send().await.map_err(|error| attempt.fault(&error))?;
                taken(answer.unprocessed_findings.unwrap_or_default().len())
            }
        }
    }
}

fn taken(unprocessed: usize) -> Result<(), Fault> {
    if unprocessed == 0 { Ok(()) } else { Err(Fault::GiveUp("Security Hub did not take the note".to_owned())) }
}

/// The beginning of a text, with a mark if that is not all.
fn short(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
#[path = "replies_tests.rs"]
mod tests;
