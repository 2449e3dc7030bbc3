//! What EC2's errors mean.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use remediation::Fault;
use remediation::fault::Attempt;
use std::fmt::Display;

/// What an error of EC2 means. EC2's own codes first; the rest is for [`Attempt::fault`]. `action` is the IAM action
/// (`ec2:RevokeSecurityGroupIngress`), `resource` what people call it (`security group sg-…`).
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
pub fn fault<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    action: &'static str,
    resource: &dyn Display,
) -> Fault {
    let said = |what: &str| format!("{action} on {resource}: {what}");
    match error.code() {
        Some(
            "InvalidGroup.NotFound"
            | "InvalidSecurityGroupID.NotFound"
            | "InvalidInstanceID.NotFound"
            | "InvalidNetworkInterfaceID.NotFound"
            | "InvalidPrefixListID.NotFound"
            | "InvalidPrefixListId.NotFound"
            | "InvalidVpcID.NotFound",
        ) => Fault::Gone,
        // Whoever was quicker may have taken one rule of several: EC2 then does none of them, and a new look is due.
        Some("InvalidPermission.NotFound" | "InvalidSecurityGroupRuleId.NotFound") => {
            Fault::Moved(said("a rule is not there any more; nothing was written"))
        }
        Some("InvalidPermission.Duplicate") => Fault::Moved(said("such a rule is there by now; nothing was written")),
        Some("RulesPerSecurityGroupLimitExceeded") => Fault::GiveUp(said(
            "the group would have more rules than its quota allows; nothing was written; raise the quota or tidy the group",
        )),
        Some("SecurityGroupsPerInterfaceLimitExceeded") => {
            Fault::GiveUp(said("the interface would have more groups than its quota allows; nothing was written"))
        }
        Some("IncorrectState" | "IncorrectInstanceState" | "ConcurrentTagAccess") => {
            Fault::Conflict(said("it is being changed at this moment"))
        }
        Some("Unavailable") => Fault::Retry(said("EC2 was not available")),
        Some("AuthFailure" | "OptInRequired") => {
            Fault::GiveUp(said("EC2 does not accept our credentials here; is the region switched on for the account?"))
        }
        _ => Attempt { action, resource }.fault(error),
    }
}

/// What a call with `DryRun` says: true if it would have been carried out. EC2 answers with an error in either case; an
/// answer without one (an emulator's) says nothing.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html>
pub fn dry_run<T, E: ProvideErrorMetadata>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    action: &'static str,
    resource: &dyn Display,
) -> Result<bool, Fault> {
    match answer {
        Ok(_) => Ok(false),
        Err(error) if error.code() == Some("DryRunOperation") => Ok(true),
        Err(error) => Err(fault(&error, action, resource)),
    }
}
