//! Errors by consequence: what the driver does about them, not where they came from.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ErrorKind;
use std::fmt;
use triggers::ids::Region;

/// Why a call to AWS did not do what was asked, by what follows from it. The texts are ours: an SDK error's own text can
/// carry response bodies and session names, and goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The resource does not exist, or not any more.
    Gone,
    /// The resource is in another region than the event says.
    Elsewhere(Region),
    /// Somebody else is changing the resource at this moment: worth another try at once.
    Conflict(String),
    /// The resource is no longer what the write was decided on; nothing was written. Worth another look and a new plan.
    Moved(String),
    /// Not carried out, for a reason that passes (throttled, as a rule): worth another try later.
    Retry(String),
    /// No answer, or one that does not say: it may have been carried out. Worth another try later, after a look.
    Lost(String),
    /// Not allowed.
    Denied {
        /// The IAM action that was denied: `s3:PutBucketPublicAccessBlock`.
        action: &'static str,
        /// What it was to be done to.
        resource: String,
        /// What denied it, as far as AWS says.
        by: DeniedBy,
    },
    /// No retry will mend it.
    GiveUp(String),
}

/// What denied a call, as far as AWS's message tells.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedBy {
    /// A service control policy, a resource control policy or another policy of the organization.
    Organization,
    /// The resource's own policy says Deny.
    ResourcePolicy,
    /// Our role's policies do not allow it, or its permissions boundary or a session policy does not.
    OurRole,
    /// The message does not say.
    Unsaid,
}

impl DeniedBy {
    fn read(message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        let says = |text: &str| message.contains(text);
        // Names of buckets and roles are in the message too, and one of them may well be called "organization": only a
        // whole word counts, or the ARN of an organization's policy.
        let organization = message.split_whitespace().any(|word| {
            word.starts_with("organization") || (word.starts_with("arn:") && word.contains(":organizations:"))
        });
        if says("service control policy") || says("resource control policy") || organization {
            Self::Organization
        } else if says("resource-based policy") {
            Self::ResourcePolicy
        } else if says("identity-based policy") || says("permissions boundary") || says("session policy") {
            Self::OurRole
        } else {
            Self::Unsaid
        }
    }
}

impl Fault {
    /// Whether the same call may go better later.
    pub const fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::Lost(_) | Self::Conflict(_) | Self::Moved(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the resource does not exist"),
            Self::Elsewhere(region) => write!(f, "the resource is in {region}"),
            Self::Conflict(why) | Self::Moved(why) | Self::Retry(why) | Self::Lost(why) | Self::GiveUp(why) => {
                f.write_str(why)
            }
            Self::Denied { action, resource, by } => {
                write!(f, "{action} on {resource} was denied: ")?;
                f.write_str(match by {
                    DeniedBy::Organization => "a policy of the organization forbids it; ask who manages the organization",
                    DeniedBy::ResourcePolicy => "the resource's own policy denies it; only who may edit that policy can help",
                    DeniedBy::OurRole => "our role's policies do not allow it; add the action to the role",
                    DeniedBy::Unsaid => {
                        "our role lacks the action, the resource's policy denies it, or the resource belongs to another \
                         account by now"
                    }
                })
            }
        }
    }
}

impl std::error::Error for Fault {}

/// Actions that a call may need besides its own, for what it brings along: the tags of what it makes, the key of what it
/// reads or writes. AWS's message tells when it is one of them that is not allowed.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html>
const ALONG: [&str; 3] = ["ec2:CreateTags", "kms:Decrypt", "kms:GenerateDataKey"];

/// A call to AWS, for the messages of its faults.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// The IAM action that the call needs: `s3:GetBucketPublicAccessBlock`.
    pub action: &'static str,
    /// The resource as people name it: `bucket clinic-scans`.
    pub resource: &'a dyn fmt::Display,
}

impl Attempt<'_> {
    /// The fault that an SDK error means. What is particular to a service (its `NoSuch…` codes) is for the caller to look
    /// at first. The codes are those of
    /// <https://docs.aws.amazon.com/general/latest/gr/api-retries.html> and of the SDK's own retry classifiers.
    pub fn fault<E: ProvideErrorMetadata>(&self, error: &SdkError<E, HttpResponse>) -> Fault {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let said = |what: &str| format!("{} on {}: {what}", self.action, self.resource);
        let code = match error {
            SdkError::TimeoutError(_) => return Fault::Lost(said("no answer in time")),
            // The SDK calls a connection that ends before the answer does neither of the first two, but passing trouble.
            SdkError::DispatchFailure(failure)
                if failure.is_io() || failure.is_timeout() || failure.as_other() == Some(ErrorKind::TransientError) =>
            {
                return Fault::Lost(said("the connection broke"));
            }
            SdkError::DispatchFailure(_) => {
                return Fault::Retry(said("could not be sent (network, or no credentials)"));
            }
            SdkError::ConstructionFailure(_) => return Fault::GiveUp(said("could not be put into a request")),
            SdkError::ServiceError(service) => service.err().code().unwrap_or_default(),
            // Not GiveUp, whatever the status: what was asked for may well have been done.
            _ => return Fault::Lost(said("the answer broke off or could not be read")),
        };
        match (code, status) {
            ("", Some(200..=299)) => Fault::Lost(said("the answer broke off or could not be read")),
            (
                "SlowDown"
                | "Throttling"
                | "ThrottlingException"
                | "ThrottledException"
                | "RequestThrottled"
                | "RequestThrottledException"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "BandwidthLimitExceeded"
                | "PriorRequestNotComplete"
                | "EC2ThrottledException"
                | "LimitExceededException",
                _,
            ) => Fault::Retry(said("throttled")),
            ("OperationAborted" | "ConflictException" | "ConcurrentModification", _) => {
                Fault::Conflict(said("somebody else is changing it at this moment"))
            }
            ("RequestTimeout" | "RequestTimeoutException" | "ServiceUnavailable", _) => {
                Fault::Retry(said("AWS was not available"))
            }
            ("InternalError", _) => Fault::Lost(said("AWS had a fault")),
            ("ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "RequestTimeTooSkewed", _) => {
                Fault::Retry(said("our credentials had expired, or our clock is wrong"))
            }
            // EC2's is <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.
            (
                "InvalidAccessKeyId"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "AuthFailure"
                | "SignatureDoesNotMatch"
                | "InvalidSignatureException"
                | "InvalidToken",
                _,
            ) => Fault::GiveUp(said("AWS does not accept our credentials")),
            (
                "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "UnauthorizedOperation" | "Forbidden",
                _,
            )
            | (_, Some(403)) => {
                let message = match error {
                    SdkError::ServiceError(service) => service.err().message().unwrap_or_default(),
                    _ => "",
                };
                let along = ALONG.into_iter().find(|action| message.contains(&format!("to perform: {action} ")));
                Fault::Denied {
                    action: along.unwrap_or(self.action),
                    resource: self.resource.to_string(),
                    by: DeniedBy::read(message),
                }
            }
            // A 409 with a code of its own is a rule that stands, and no race (S3's InvalidBucketState).
            ("", Some(409)) => Fault::Conflict(said("somebody else is changing it at this moment")),
            (_, Some(status @ (429 | 503))) => Fault::Retry(said(&format!("AWS answered {status}"))),
            (_, Some(status @ 500..=599)) => Fault::Lost(said(&format!("AWS answered {status}"))),
            (_, None) => Fault::Lost(said("the answer broke off")),
            ("", Some(status)) => Fault::GiveUp(said(&format!("AWS answered {status}"))),
            // A code is a word of AWS's, never a value of ours; still, keep what is printed short and plain.
            (code, Some(_)) => {
                let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
                Fault::GiveUp(said(&format!("AWS refused it ({code})")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    fn answered(status: u16, code: &str, message: &str) -> Fault {
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        let raw = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from("secret body"));
        let error: SdkError<ErrorMetadata, _> = SdkError::service_error(meta, raw);
        Attempt { action: "s3:PutBucketPublicAccessBlock", resource: &"bucket clinic-scans" }.fault(&error)
    }

    #[test]
    fn by_consequence() {
        let retry = Fault::is_worth_a_retry;
        for (status, code) in [
            (503, "SlowDown"),
            (400, "Throttling"),
            (500, "InternalError"),
            (502, ""),
            (429, ""),
            (403, "RequestTimeTooSkewed"),
            // An answer that could not be understood: what was asked for may have been done.
            (200, ""),
        ] {
            let fault = answered(status, code, "");
            assert!(retry(&fault), "{status} {code}: {fault:?}");
        }
        assert!(matches!(answered(409, "OperationAborted", ""), Fault::Conflict(_)));
        assert!(matches!(answered(409, "InvalidBucketState", ""), Fault::GiveUp(_)));
        assert!(matches!(answered(400, "InvalidArgument", ""), Fault::GiveUp(_)));
        for code in ["InvalidAccessKeyId", "UnrecognizedClientException", "AuthFailure", "InvalidSignatureException"] {
            let fault = answered(403, code, "");
            assert!(
                matches!(&fault, Fault::GiveUp(why) if why.contains("does not accept our credentials")),
                "{fault:?}"
            );
        }
        assert!(matches!(answered(403, "AccessDenied", ""), Fault::Denied { by: DeniedBy::Unsaid, .. }));
        assert!(matches!(answered(403, "", ""), Fault::Denied { .. }));
        assert!(matches!(answered(301, "", ""), Fault::GiveUp(_)));
    }

    #[test]
    fn an_answer_that_broke_off_is_worth_another_try() {
        let attempt = Attempt { action: "s3:GetBucketPublicAccessBlock", resource: &"bucket clinic-scans" };
        let raw = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::from("<half"));
        let broken: [SdkError<ErrorMetadata, HttpResponse>; 2] =
            [SdkError::response_error("secret", raw), SdkError::timeout_error("secret")];
        for error in broken {
            let fault = attempt.fault(&error);
            assert!(matches!(fault, Fault::Lost(_)) && !fault.to_string().contains("secret"), "{fault:?}");
        }
        let unbuilt: SdkError<ErrorMetadata, HttpResponse> = SdkError::construction_failure("secret");
        assert!(matches!(attempt.fault(&unbuilt), Fault::GiveUp(_)));
    }

    #[test]
    fn a_connection_that_broke_may_have_carried_the_call() {
        let sent = |error: ConnectorError| {
            let error: SdkError<ErrorMetadata, HttpResponse> = SdkError::dispatch_failure(error);
            Attempt { action: "ec2:CreateSecurityGroup", resource: &"vpc vpc-1" }.fault(&error)
        };
        let cut_short = Some(ErrorKind::TransientError);
        for broken in [
            ConnectorError::io("secret".into()),
            ConnectorError::timeout("secret".into()),
            ConnectorError::other("secret".into(), cut_short),
        ] {
            let fault = sent(broken);
            assert!(matches!(&fault, Fault::Lost(why) if !why.contains("secret")), "{fault:?}");
        }
        let unsent = sent(ConnectorError::other("secret".into(), None));
        assert!(matches!(&unsent, Fault::Retry(why) if !why.contains("secret")), "{unsent:?}");
    }

    #[test]
    fn who_denied_is_read_from_the_message() {
        let cases = [
            (
                "... with an explicit deny in a service control policy: arn:aws:organizations::...",
                DeniedBy::Organization,
            ),
            ("... with an explicit deny in a resource-based policy", DeniedBy::ResourcePolicy),
            ("... because no identity-based policy allows the s3:X action", DeniedBy::OurRole),
            ("... because no permissions boundary allows the action", DeniedBy::OurRole),
            ("Access Denied because of an Organizations policy", DeniedBy::Organization),
            ("Access Denied", DeniedBy::Unsaid),
            // A name is not a reason.
            (
                "User: arn:aws:sts::1:assumed-role/organization/x is not authorized to perform: s3:X on resource: \
                 \"arn:aws:s3:::the-organization-scans\" because no identity-based policy allows the s3:X action",
                DeniedBy::OurRole,
            ),
            ("User: arn:aws:iam::1:user/organizations is not authorized to perform: s3:X", DeniedBy::Unsaid),
        ];
        for (message, expected) in cases {
            let Fault::Denied { action, by, .. } = answered(403, "AccessDenied", message) else { panic!("{message}") };
            assert_eq!((action, by), ("s3:PutBucketPublicAccessBlock", expected), "{message}");
        }
    }

    #[test]
    fn what_a_call_brings_along_is_named_if_it_is_that_which_is_denied() {
        for (message, expected) in [
            ("User: x is not authorized to perform: ec2:CreateTags on resource: y because no", "ec2:CreateTags"),
            ("User: x is not authorized to perform: kms:GenerateDataKey on resource: y", "kms:GenerateDataKey"),
            // Nothing of AWS's text but what we know by heart.
            ("User: x is not authorized to perform: evil:Thing on resource: y", "s3:PutBucketPublicAccessBlock"),
            ("User: x is not authorized to perform: ec2:CreateTagsAndMore on z", "s3:PutBucketPublicAccessBlock"),
        ] {
            let Fault::Denied { action, .. } = answered(403, "AccessDenied", message) else { panic!("{message}") };
            assert_eq!(action, expected, "{message}");
        }
    }

    #[test]
    fn no_text_of_the_answer_gets_out() {
        for (status, code) in [(403, "AccessDenied"), (400, "Weird<script>"), (500, "InternalError")] {
            let text = format!("{0} {0:?}", answered(status, code, "User: arn:aws:sts::1:assumed-role/r/alice secret"));
            assert!(!text.contains("alice") && !text.contains("secret") && !text.contains('<'), "{text}");
        }
    }
}
