//! What IAM's errors mean.

use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use remediation::Fault;
use remediation::fault::Attempt;
use std::fmt;

/// What an error of IAM means. IAM's own codes first; the rest is for [`Attempt::fault`].
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html> and the Errors section of each call's page.
pub fn fault<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    action: &'static str,
    resource: &dyn fmt::Display,
) -> Fault {
    match error.code() {
        Some("NoSuchEntity" | "NoSuchEntityException") => Fault::Gone,
        // A user that was made or changed a moment ago, or is being changed by somebody else.
        Some("EntityTemporarilyUnmodifiable" | "EntityTemporarilyUnmodifiableException") => {
            Fault::Conflict(format!("{action} on {resource}: IAM is still busy with an earlier change of it"))
        }
        _ => Attempt { action, resource }.fault(error),
    }
}
