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
pub struct Identities {
    callers: RwLock<HashMap<String, Caller>>,
    /// With which key a role's was asked for.
    sources: RwLock<HashMap<String, String>>,
}

impl Identities {
    /// Makes a key known.
    pub fn add(&self, access_key: &str, caller: Caller) {
        self.callers.write().unwrap_or_else(PoisonError::into_inner).insert(access_key.to_owned(), caller);
    }

    /// A key was given to whoever has the key `source`.
    pub fn handed_on(&self, access_key: &str, source: &str) {
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        sources.insert(access_key.to_owned(), source.to_owned());
    }

    /// Whether a key is this one, or was given to whoever has it.
    pub fn comes_from(&self, access_key: &str, source: &str) -> bool {
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner);
        let mut key = Some(access_key);
        while let Some(one) = key {
            if one == source {
                return true;
            }
            key = sources.get(one).map(String::as_str);
        }
        false
    }

    /// Whose key this is.
    pub fn whose(&self, access_key: &str) -> Caller {
        let known = self.callers.read().unwrap_or_else(PoisonError::into_inner).get(access_key).cloned();
        known.unwrap_or_else(|| {
            let account = access_key.len() == 12 && access_key.bytes().all(|b| b.is_ascii_digit());
            Caller::User {
                account: if account { access_key } else { ACCOUNT }.to_owned(),
                name: "operator".to_owned(),
                access_key: access_key.to_owned(),
            }
        })
    }

    /// Learns the keys that IAM hands out.
    pub fn learn(&self, call: &Call, response: &ApiResponse) {
        if !response.status.is_success() || call.operation != "CreateAccessKey" {
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
    }

    #[test]
    fn a_key_comes_from_all_through_whom_it_was_had() {
        let identities = Identities::default();
        identities.handed_on("ASIAB", "ASIAA");
        identities.handed_on("ASIAC", "ASIAB");
        for (key, source, expected) in
            [("ASIAC", "ASIAA", true), ("ASIAC", "ASIAC", true), ("ASIAA", "ASIAC", false), ("ASIAX", "ASIAA", false)]
        {
            assert_eq!(identities.comes_from(key, source), expected, "{key} {source}");
        }
    }
}
