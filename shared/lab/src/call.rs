//! What a request to AWS asks for: which service, operation, resource and region, and who asks.

use crate::http::ApiRequest;
use serde::Serialize;

/// Who made a call, as AWS would know them from the access key that signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Caller {
    /// A person or a program with an IAM user's own access key.
    User {
        /// The account that the user belongs to.
        account: String,
        /// The user's name.
        name: String,
        /// The access key id that signed the call.
        access_key: String,
    },
    /// A session of an IAM role: a Lambda function's, as a rule.
    Role {
        /// The account that the role belongs to.
        account: String,
        /// The role's name, without its path.
        role: String,
        /// The session's name; for a Lambda function its function name.
        session: String,
        /// The temporary access key id (`ASIA…`) that signed the call.
        access_key: String,
    },
    /// Nobody: the call was not signed.
    Anonymous,
}

impl Caller {
    /// The account that the caller belongs to; none if the call was not signed.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::User { account, .. } | Self::Role { account, .. } => Some(account),
            Self::Anonymous => None,
        }
    }

    /// The ARN that CloudTrail shows for the caller.
    pub fn arn(&self) -> String {
        match self {
            Self::User { account, name, .. } => format!("arn:aws:iam::{account}:user/{name}"),
            Self::Role { account, role, session, .. } => {
                format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
            }
            Self::Anonymous => "anonymous".to_owned(),
        }
    }
}

/// One call to an AWS API, understood.
#[derive(Clone, Debug)]
pub struct Call {
    /// The service as signatures name it: `s3`, `iam`, `ec2`. S3 Control's calls are `s3control`.
    pub service: String,
    /// The operation as the API names it: `DeletePublicAccessBlock`. `Unknown` where the request fits none we know.
    pub operation: String,
    /// The region that the request was signed for.
    pub region: String,
    /// The account in which the call acts: the caller's.
    pub account: String,
    /// The resource that the call names: for S3 the bucket.
    pub resource: Option<String>,
    /// Whether the call can change anything.
    pub writes: bool,
    /// Who calls.
    pub caller: Caller,
    /// The request itself.
    pub request: ApiRequest,
}
