//! Who is told: a topic and Security Hub. The only file here that knows an AWS SDK.

use announce::Message;
use aws_config::SdkConfig;
use aws_sdk_securityhub::error::ProvideErrorMetadata;
use aws_sdk_securityhub::types::AwsSecurityFinding;
use ledger::{Answer, Trouble};
use remediation::Fault;
use remediation::fault::Attempt;
use std::cell::Cell;
use triggers::ids::shown;

/// What became of something that was to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was told.
    Yes,
    /// Nobody listens there.
    Nobody,
}

/// Whoever is told.
pub trait People {
    /// Sends a message.
    fn message<'a>(&'a self, message: &'a Message) -> Answer<'a, Told>;

    /// Puts a finding where findings are looked at, or changes the one of the same id.
    fn finding<'a>(&'a self, finding: &'a AwsSecurityFinding) -> Answer<'a, Told>;
}

/// Nobody: for a command line, whose reader sees the record itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl People for Nobody {
    fn message<'a>(&'a self, _: &'a Message) -> Answer<'a, Told> {
        Box::pin(async { Ok(Told::Nobody) })
    }

    fn finding<'a>(&'a self, _: &'a AwsSecurityFinding) -> Answer<'a, Told> {
        Box::pin(async { Ok(Told::Nobody) })
    }
}

/// An SNS topic and Security Hub.
#[derive(Debug)]
pub struct Aws {
    sns: aws_sdk_sns::Client,
    topic: Option<String>,
    hub: Option<aws_sdk_securityhub::Client>,
    /// Whether it was said that Security Hub is not enabled.
    said: Cell<bool>,
}

impl Aws {
    /// The topic with this ARN, if there is one, and Security Hub, if it is to be told. No call is made yet.
    pub fn new(sdk: &SdkConfig, topic: Option<String>, security_hub: bool) -> Self {
        let hub = security_hub.then(|| aws_sdk_securityhub::Client::new(sdk));
        Self { sns: aws_sdk_sns::Client::new(sdk), topic, hub, said: Cell::new(false) }
    }

    async fn publish(&self, message: &Message) -> Result<Told, Trouble> {
        let Some(topic) = &self.topic else { return Ok(Told::Nobody) };
        let call = self.sns.publish().topic_arn(topic).subject(&message.subject).message(&message.text);
        match call.send().await {
            Ok(_) => Ok(Told::Yes),
            // https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors
            Err(error) if error.code() == Some("NotFound") => Err(Trouble::lasting(format!(
                "the topic {} does not exist; set SUTURE_TOPIC or deploy it",
                shown(topic)
            ))),
            Err(error) if matches!(error.code(), Some("Throttled" | "KMSThrottling")) => {
                Err(Trouble::passing(format!("sns:Publish on topic {}: throttled", shown(topic))))
            }
            Err(error) => {
                let attempt = Attempt { action: "sns:Publish", resource: &format_args!("topic {}", shown(topic)) };
                Err(trouble(&attempt.fault(&error)))
            }
        }
    }

    async fn import(&self, finding: &AwsSecurityFinding) -> Result<Told, Trouble> {
        let Some(hub) = &self.hub else { return Ok(Told::Nobody) };
        let what = format_args!("finding {}", shown(finding.id().unwrap_or_default())).to_string();
        match hub.batch_import_findings().findings(finding.clone()).send().await {
            Ok(answer) if answer.failed_count.unwrap_or_default() == 0 => Ok(Told::Yes),
            // https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_ImportFindingsError.html
            Ok(_) => Err(Trouble::lasting(format!("securityhub:BatchImportFindings on {what}: it was not accepted"))),
            // What Security Hub answers where it is not enabled.
            // https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html
            Err(error) if error.code() == Some("InvalidAccessException") => {
                if !self.said.replace(true) {
                    tracing::warn!(
                        "Security Hub is not enabled here, and gets no findings; enable it, or set SUTURE_SECURITY_HUB to off"
                    );
                }
                Ok(Told::Nobody)
            }
            Err(error) => {
                let attempt = Attempt { action: "securityhub:BatchImportFindings", resource: &what };
                Err(trouble(&attempt.fault(&error)))
            }
        }
    }
}

fn trouble(fault: &Fault) -> Trouble {
    let lost = matches!(fault, Fault::Lost(_));
    Trouble::Away { why: fault.to_string(), retry: fault.is_worth_a_retry(), perhaps: lost }
}

impl People for Aws {
    fn message<'a>(&'a self, message: &'a Message) -> Answer<'a, Told> {
        Box::pin(self.publish(message))
    }

    fn finding<'a>(&'a self, finding: &'a AwsSecurityFinding) -> Answer<'a, Told> {
        Box::pin(self.import(finding))
    }
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
