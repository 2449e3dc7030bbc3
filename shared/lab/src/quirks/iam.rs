//! Users, access keys and the credential report.

use super::{Act, Quirk, code};
use http::StatusCode;

pub(super) const PAGES: Quirk = Quirk {
    id: "iam-pages",
    aws: "ListUsers, ListAccessKeys and the other lists give MaxItems (1 to 1000, by default 100) items, IsTruncated, and a \
          marker for the rest.",
    moto: "Gives everything at once, whatever was asked for.",
    source: "https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html",
    act: Act::Inside("iam"),
};

pub(super) const USER_IDS: Quirk = Quirk {
    id: "user-ids",
    aws: "A user's unique id is AIDA, then capitals and digits, 21 characters in all: by it AWS Config and Security Hub know \
          the user.",
    moto: "Gives twenty small letters and digits.",
    source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids",
    act: Act::Inside("iam"),
};

pub(super) const ACCESS_KEYS: Quirk = Quirk {
    id: "access-keys",
    aws: "GetAccessKeyLastUsed and UpdateAccessKey know the account's own keys: another's are denied, unknown ones are \
          NoSuchEntity, and the status is Active or Inactive.",
    moto: "Looks through every account's keys, answers for them, and stores any status.",
    source: "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html",
    act: Act::Inside("iam"),
};

pub(super) const CREDENTIAL_REPORT: Quirk = Quirk {
    id: "credential-report",
    aws: "GenerateCredentialReport starts a report and says so until it is done; it is kept for four hours. Until then \
          GetCredentialReport says ReportInProgress, without one ReportNotPresent. The first row is <root_account>.",
    moto: "Has the report at once, made anew for each call, without that row, the use of keys or password dates.",
    source: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html",
    act: Act::Inside("iam"),
};

pub(super) const DENIED: Quirk = Quirk {
    id: "iam-access-denied",
    aws: "AccessDenied is answered with 403.",
    moto: "Answers 400 to every error that the service's own model does not list.",
    source: "https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html",
    act: Act::Answer(|scene, mut answer| {
        Box::pin(async move {
            if scene.call.service == "iam" && code(&answer).as_deref() == Some("AccessDenied") {
                answer.status = StatusCode::FORBIDDEN;
            }
            Ok(answer)
        })
    }),
};
