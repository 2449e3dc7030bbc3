//! What DynamoDB's errors mean, by consequence. No text of theirs goes any further.

use super::Dynamo;
use crate::store::Trouble;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// What an attempt met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// The condition of the write with this number did not hold; nothing was written.
    Condition(usize),
    /// Not carried out, since others were quicker or too many asked.
    Busy(&'static str),
    /// An attempt with the same token is being carried out.
    UnderWay,
    /// Not sent.
    Unsent(&'static str),
    /// No answer, or one that does not say: it may have been carried out.
    Lost(&'static str),
    /// Not carried out, and no patience mends it.
    Over(String),
}

impl Met {
    /// What it is to somebody who read.
    pub(super) fn of_a_read(self, table: &str) -> Trouble {
        match self {
            Self::Over(why) => Trouble::lasting(why),
            Self::Busy(what) | Self::Unsent(what) | Self::Lost(what) => {
                Trouble::passing(format!("the ledger table {table} could not be read: {what}"))
            }
            // DynamoDB says neither to a read.
            Self::Condition(_) | Self::UnderWay => {
                Trouble::passing(format!("the ledger table {table} could not be read: it was written at this moment"))
            }
        }
    }

    /// What it is to somebody who wrote; `perhaps` is whether this or an attempt before it may have been carried out.
    pub(super) fn of_a_write(self, table: &str, perhaps: bool) -> Trouble {
        let away = |what: &str| Trouble::Away {
            why: if perhaps {
                format!("it is not known whether the ledger table {table} was written: {what}")
            } else {
                format!("the ledger table {table} could not be written: {what}")
            },
            retry: true,
            perhaps,
        };
        match self {
            Self::Condition(number) => Trouble::Conflict(number),
            Self::Busy(what) | Self::Unsent(what) | Self::Lost(what) => away(what),
            Self::UnderWay => away("it is still being written"),
            Self::Over(why) => Trouble::Away { why, retry: false, perhaps },
        }
    }
}

impl Dynamo {
    /// Why DynamoDB cancelled a transaction: one reason for each write, in their order; none if it did not.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html#API_TransactWriteItems_Errors>
    pub(super) fn cancelled(&self, error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Met> {
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
            return None;
        };
        let codes = || cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or_default());
        if let Some(number) = codes().position(|code| code == "ConditionalCheckFailed") {
            return Some(Met::Condition(number));
        }
        // What stands weighs more than what passes: the next attempt would meet it again.
        let reason = |code| {
            let known = match code {
                "" | "None" | "NONE" => return None,
                "TransactionConflict" => Met::Busy("busy, since others write to the same items"),
                "ThrottlingError" | "ProvisionedThroughputExceeded" | "RequestLimitExceeded" => {
                    Met::Busy("busy, since it was asked too often")
                }
                "ItemCollectionSizeLimitExceeded" => {
                    Met::Over(format!("the ledger table {} has no room left for this resource's items", self.table))
                }
                _ => Met::Over(self.refused()),
            };
            Some(known)
        };
        let mut reasons: Vec<_> = codes().filter_map(reason).collect();
        reasons.sort_by_key(|met| !matches!(met, Met::Over(_)));
        Some(reasons.into_iter().next().unwrap_or(Met::Busy("busy, since the transaction was cancelled")))
    }

    fn refused(&self) -> String {
        format!(
            "DynamoDB finds the request invalid for the table {}: it has other keys or indexes than a ledger; set \
             SUTURE_LEDGER to the one that was deployed",
            self.table
        )
    }

    /// What any other error means. The codes are those of
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>.
    pub(super) fn met<E: ProvideErrorMetadata>(&self, actions: &[&str], error: &SdkError<E, HttpResponse>) -> Met {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = match error {
            SdkError::TimeoutError(_) => return Met::Lost("no answer in time"),
            // The SDK calls a connection that ends before the answer does neither, but passing trouble of another kind.
            SdkError::DispatchFailure(failure)
                if failure.is_io() || failure.is_timeout() || failure.as_other().is_some() =>
            {
                return Met::Lost("the connection broke");
            }
            SdkError::DispatchFailure(_) => return Met::Unsent("no network, or no credentials"),
            SdkError::ConstructionFailure(_) => {
                return Met::Over(format!("a request to the ledger table {} could not be made", self.table));
            }
            SdkError::ServiceError(service) => service.err().code().unwrap_or_default(),
            _ => return Met::Lost("the answer broke off or could not be read"),
        };
        match (code, status) {
            ("ResourceNotFoundException" | "TableNotFoundException", _) => Met::Over(format!(
                "the ledger table {} does not exist in this account and region; set SUTURE_LEDGER, AWS_PROFILE or \
                     AWS_REGION to the deployment's, or deploy it",
                self.table
            )),
            (
                "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "Throttling"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "SlowDown",
                _,
            ) => Met::Busy("busy, since it was asked too often"),
            ("TransactionConflictException" | "ReplicatedWriteConflictException" | "LimitExceededException", _) => {
                Met::Busy("busy, since others write to the same items")
            }
            ("TransactionInProgressException", _) => Met::UnderWay,
            ("ExpiredTokenException" | "ExpiredToken" | "RequestExpired" | "RequestTimeTooSkewed", _) => {
                Met::Unsent("our credentials have expired (sign in again), or our clock is wrong")
            }
            (
                "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "IncompleteSignatureException"
                | "MissingAuthenticationTokenException"
                | "InvalidClientTokenId",
                _,
            ) => Met::Over(format!("AWS does not accept our credentials for the ledger table {}", self.table)),
            ("AccessDeniedException" | "AccessDenied", _) | (_, Some(403)) => {
                let message = match error {
                    SdkError::ServiceError(service) => service.err().message().unwrap_or_default(),
                    _ => "",
                };
                Met::Over(self.denied(actions, message))
            }
            ("ItemCollectionSizeLimitExceededException", _) => {
                Met::Over(format!("the ledger table {} has no room left for this resource's items", self.table))
            }
            ("ValidationException", _) => Met::Over(self.refused()),
            ("ServiceUnavailable" | "ServiceUnavailableException", _) | (_, Some(429 | 503)) => {
                Met::Busy("AWS was not available")
            }
            (_, Some(500..=599)) => Met::Lost("AWS had a fault"),
            ("", Some(200..=299)) | (_, None) => Met::Lost("the answer broke off or could not be read"),
            (code, Some(_)) => {
                // A code is a word of AWS's, never a value of ours; still, keep what is printed short and plain.
                let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
                Met::Over(format!("the ledger table {}: AWS refused the request ({code})", self.table))
            }
        }
    }

    /// The refusal for want of a permission. Of AWS's message only this is used: which of the actions that it may name is
    /// in it.
    fn denied(&self, actions: &[&str], message: &str) -> String {
        let keys = ["kms:Decrypt", "kms:GenerateDataKey"];
        let mut named: Vec<_> =
            actions.iter().chain(&keys).copied().filter(|action| message.contains(action)).collect();
        if named.is_empty() {
            named = actions.to_vec();
        }
        format!(
            "{} on the ledger table {} was denied; add it to the role, or ask who manages the organization's policies",
            named.join(" or "),
            self.table
        )
    }
}
