//! What a request to AWS asks for: which service, operation, resource and region, and who asks.

use crate::http::ApiRequest;
use serde::Serialize;

/// The account that the lab's own access keys belong to, and in which calls that nobody signed act.
pub const ACCOUNT: &str = "111122223333";

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

    /// The access key id that signed the call; none if it was not signed.
    pub fn access_key(&self) -> Option<&str> {
        match self {
            Self::User { access_key, .. } | Self::Role { access_key, .. } => Some(access_key),
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

    /// The unique id that AWS gives a user (`AIDA…`) or a role's session (`AROA…:session`), made up from the name.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
    pub fn user_id(&self) -> String {
        match self {
            Self::User { account, name, .. } => unique_id("AIDA", account, name),
            Self::Role { account, role, session, .. } => format!("{}:{session}", unique_id("AROA", account, role)),
            Self::Anonymous => String::new(),
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

/// A prefix and 17 capitals and digits that depend on nothing but the account and the name.
fn unique_id(prefix: &str, account: &str, name: &str) -> String {
    // FNV-1a: short, and the same in every build, as the ids in recorded events must be.
    let seed = account.bytes().chain([b'/']).chain(name.bytes());
    let mut bits =
        seed.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut id = String::from(prefix);
    for _ in 0..17 {
        let index = (bits >> 59) as usize;
        id.push(alphabet.get(index).map_or('A', |byte| char::from(*byte)));
        bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_ids_depend_on_the_name_alone() {
        let id = unique_id("AIDA", ACCOUNT, "alice");
        assert_eq!(id.len(), 21);
        assert_eq!(id, unique_id("AIDA", ACCOUNT, "alice"));
        assert_ne!(id, unique_id("AIDA", ACCOUNT, "bob"));
    }
}
