//! Which access key belongs to whom.

use crate::call::{ACCOUNT, Call, Caller};
use crate::http::ApiResponse;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// The access keys that the lab knows.
///
/// Keys that it never saw are users of the lab's account, so that any key in an AWS CLI's configuration works; a key of
/// twelve digits is a user of the account with that id.
#[derive(Debug, Default)]
pub struct Identities(RwLock<HashMap<String, Caller>>);

impl Identities {
    /// Makes a key known.
    pub fn add(&self, access_key: &str, caller: Caller) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(access_key.to_owned(), caller);
    }

    /// Whose key this is.
    pub fn whose(&self, access_key: &str) -> Caller {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(access_key).cloned();
        known.unwrap_or_else(|| {
            let account = access_key.len() == 12 && access_key.bytes().all(|b| b.is_ascii_digit());
            Caller::User {
                account: if account { access_key } else { ACCOUNT }.to_owned(),
                name: "operator".to_owned(),
                access_key: access_key.to_owned(),
            }
        })
    }

    /// Learns the keys that IAM and STS hand out.
    pub fn learn(&self, call: &Call, response: &ApiResponse) {
        if !response.status.is_success() || !matches!(call.operation.as_str(), "CreateAccessKey" | "AssumeRole") {
            return;
        }
        let Some(document) =
            std::str::from_utf8(&response.body).ok().and_then(|body| roxmltree::Document::parse(body).ok())
        else {
            return;
        };
        let text = |name: &str| {
            document
                .descendants()
                .find(|node| node.tag_name().name() == name)
                .and_then(|node| node.text())
                .map(str::to_owned)
        };
        let (Some(access_key), account) = (text("AccessKeyId"), call.account.clone()) else { return };
        if let Some(name) = text("UserName") {
            self.add(&access_key, Caller::User { account, name, access_key: access_key.clone() });
        } else if let Some(arn) = text("Arn") {
            let mut parts = arn.split([':', '/']).skip(4);
            let (account, role, session) = (parts.next(), parts.nth(1), parts.next());
            if let (Some(account), Some(role), Some(session)) = (account, role, session) {
                let owned = |text: &str| text.to_owned();
                let access_key_id = access_key.clone();
                self.add(
                    &access_key,
                    Caller::Role {
                        account: owned(account),
                        role: owned(role),
                        session: owned(session),
                        access_key: access_key_id,
                    },
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ApiRequest;
    use http::{Method, StatusCode};

    fn call(operation: &str) -> Call {
        Call {
            service: "sts".to_owned(),
            operation: operation.to_owned(),
            region: "us-east-1".to_owned(),
            account: ACCOUNT.to_owned(),
            resource: None,
            writes: true,
            caller: Caller::Anonymous,
            request: ApiRequest::new(Method::POST, "/"),
        }
    }

    #[test]
    fn any_key_works() {
        let identities = Identities::default();
        assert_eq!(identities.whose("test").account(), Some(ACCOUNT));
        assert_eq!(identities.whose("444455556666").account(), Some("444455556666"));
    }

    #[test]
    fn keys_that_are_handed_out_are_learnt() {
        let identities = Identities::default();
        let body = "<R><AccessKey><UserName>alice</UserName><AccessKeyId>AKIAALICE</AccessKeyId></AccessKey></R>";
        identities.learn(&call("CreateAccessKey"), &ApiResponse::new(StatusCode::OK, body));
        assert_eq!(identities.whose("AKIAALICE").arn(), "arn:aws:iam::111122223333:user/alice");
        let body = "<R><Credentials><AccessKeyId>ASIAX</AccessKeyId></Credentials><AssumedRoleUser>\
                    <Arn>arn:aws:sts::444455556666:assumed-role/audit/bob</Arn></AssumedRoleUser></R>";
        identities.learn(&call("AssumeRole"), &ApiResponse::new(StatusCode::OK, body));
        assert_eq!(identities.whose("ASIAX").arn(), "arn:aws:sts::444455556666:assumed-role/audit/bob");
    }
}
