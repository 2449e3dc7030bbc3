//! `cloud.rs` against recorded answers of IAM: which requests it makes, in which order, and what it makes of the answers.

use super::*;
use remediation::Control;
use remediation::fault::DeniedBy;
use remediation::testing::{self, Answer, Fake, SECRET, Sent, account, answer, occasion, ok, region};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const OTHER: &str = "AKIAIOSFODNN8EXAMPLE";

fn result(call: &str, inner: &str) -> Answer {
    ok(format!("<{call}Response><{call}Result>{inner}</{call}Result></{call}Response>"))
}

fn error(status: u16, code: &str) -> Answer {
    answer(
        status,
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></ErrorResponse>"),
    )
}

fn keys(keys: &[(&str, &str)]) -> Answer {
    let members: Vec<String> = keys
        .iter()
        .map(|(key, status)| {
            format!(
                "<member><UserName>alice</UserName><AccessKeyId>{key}</AccessKeyId><Status>{status}</Status>\
                 <CreateDate>2026-01-02T03:04:05Z</CreateDate></member>"
            )
        })
        .collect();
    result("ListAccessKeys", &format!("<AccessKeyMetadata>{}</AccessKeyMetadata>", members.concat()))
}

/// A user with two active keys, AWS's quarantine, and a password.
fn iam(sent: &Sent) -> Answer {
    match sent.operation().unwrap().as_str() {
        "GetAccessKeyLastUsed" => result(
            "GetAccessKeyLastUsed",
            "<UserName>alice</UserName><AccessKeyLastUsed><LastUsedDate>2026-11-22T11:00:00Z</LastUsedDate>\
             <ServiceName>s3</ServiceName><Region>us-east-1</Region></AccessKeyLastUsed>",
        ),
        "ListAccessKeys" => keys(&[(KEY, "Active"), (OTHER, "Active")]),
        "ListAttachedUserPolicies" => result(
            "ListAttachedUserPolicies",
            "<AttachedPolicies><member><PolicyName>Scans</PolicyName></member>\
             <member><PolicyName>AWSCompromisedKeyQuarantineV3</PolicyName></member></AttachedPolicies>",
        ),
        "GetLoginProfile" => result(
            "GetLoginProfile",
            "<LoginProfile><UserName>alice</UserName><CreateDate>2026-01-02T03:04:05Z</CreateDate></LoginProfile>",
        ),
        "UpdateAccessKey" => ok("<UpdateAccessKeyResponse/>"),
        other => panic!("asked for {other}"),
    }
}

fn fake(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Keys, Fake) {
    let fake = Fake::new(answer);
    (Keys::new(&fake.sdk()), fake)
}

async fn observe(keys: &Keys, key: &str) -> Result<State, Fault> {
    keys.observe(&testing::place::<ExposedAccessKey>(key), &occasion()).await.map(Option::unwrap)
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().map(|sent| sent.operation().unwrap()).collect()
}

fn key() -> AccessKeyId {
    AccessKeyId::parse(KEY).unwrap()
}

fn user(state: State) -> Found {
    let State::User(found) = state else { panic!("{state:?}") };
    found
}

#[tokio::test]
async fn the_key_tells_whose_it_is() {
    let (keys, fake) = fake(iam);
    let found = user(observe(&keys, KEY).await.unwrap());
    assert_eq!((found.user.as_str(), found.active, found.ours), ("alice", true, false));
    assert_eq!(found.others, [AccessKeyId::parse(OTHER).unwrap()]);
    assert_eq!(found.last_used.unwrap().service, "s3");
    let besides = found.besides.unwrap();
    assert_eq!(besides.quarantine.unwrap(), ["AWSCompromisedKeyQuarantineV3"]);
    assert_eq!(besides.password, Some(true));
    assert_eq!(asked(&fake), ["GetAccessKeyLastUsed", "ListAccessKeys", "ListAttachedUserPolicies", "GetLoginProfile"]);
}

#[tokio::test]
async fn an_inactive_key_costs_two_requests() {
    let (keys_, fake) = fake(|sent| match sent.operation().as_deref() {
        Some("ListAccessKeys") => keys(&[(KEY, "Inactive"), (OTHER, "Inactive")]),
        _ => iam(sent),
    });
    let found = user(observe(&keys_, KEY).await.unwrap());
    assert!(!found.active && found.besides.is_none() && found.others.is_empty());
    assert_eq!(asked(&fake), ["GetAccessKeyLastUsed", "ListAccessKeys"]);
}

#[tokio::test]
async fn what_only_tells_people_something_does_not_hold_the_write_up() {
    for trouble in [error(403, "AccessDenied"), error(400, "Throttling"), error(500, "ServiceFailure"), ok("hello")] {
        let (keys, _) = fake(move |sent| match sent.operation().as_deref() {
            Some("ListAttachedUserPolicies" | "GetLoginProfile") => trouble.clone(),
            _ => iam(sent),
        });
        let state = observe(&keys, KEY).await.unwrap();
        assert_ne!(ExposedAccessKey::desired(&state), state);
        assert_eq!(user(state).besides, Some(Besides::default()));
    }
}

#[tokio::test]
async fn a_sessions_key_costs_no_request() {
    let (keys, fake) = fake(iam);
    let state = observe(&keys, "ASIAIOSFODNN7EXAMPLE").await.unwrap();
    assert!(matches!(state, State::Session { .. }));
    assert_eq!(fake.sent().len(), 0);
}

#[tokio::test]
async fn a_key_that_no_user_of_the_account_has() {
    type Iam = fn(&Sent) -> Answer;
    let unknown: Iam = |_| error(404, "NoSuchEntity");
    let nameless: Iam = |_| result("GetAccessKeyLastUsed", "");
    let root: Iam = |_| result("GetAccessKeyLastUsed", "<UserName>&lt;root_account&gt;</UserName>");
    let no_user: Iam = |sent| match sent.operation().as_deref() {
        Some("ListAccessKeys") => error(404, "NoSuchEntity"),
        _ => iam(sent),
    };
    let no_key: Iam = |sent| match sent.operation().as_deref() {
        Some("ListAccessKeys") => keys(&[(OTHER, "Active")]),
        _ => iam(sent),
    };
    for (what, iam) in
        [("unknown", unknown), ("nameless", nameless), ("root", root), ("no user", no_user), ("no key", no_key)]
    {
        let (keys, fake) = fake(iam);
        assert_eq!(observe(&keys, KEY).await, Ok(State::Nobodys { key: key() }), "{what}");
        assert!(asked(&fake).iter().all(|call| call != "UpdateAccessKey"), "{what}");
    }
}

#[tokio::test]
async fn the_key_that_signs_our_own_calls_is_known() {
    use aws_sdk_iam::config::{Credentials, SharedCredentialsProvider};
    for (signs, ours) in [(KEY, true), (OTHER, false)] {
        let fake = Fake::new(iam);
        let credentials = SharedCredentialsProvider::new(Credentials::new(signs, SECRET, None, None, "test"));
        let sdk = fake.sdk().into_builder().credentials_provider(credentials).build();
        let state = observe(&Keys::new(&sdk), KEY).await.unwrap();
        assert_eq!(ExposedAccessKey::desired(&state) == state, ours);
        assert_eq!(user(state).ours, ours);
    }
}

#[tokio::test]
async fn a_write_is_one_call_that_names_the_user() {
    let user = || iam::UserName::parse("alice").unwrap();
    for (change, status) in [
        (Change::Deactivate { user: user(), key: key() }, "Inactive"),
        (Change::Reactivate { user: user(), key: key() }, "Active"),
    ] {
        let (keys, fake) = fake(iam);
        keys.apply(&testing::place::<ExposedAccessKey>(KEY), &change).await.unwrap();
        let [sent] = fake.sent().try_into().unwrap();
        let field = |name| sent.field(name).unwrap();
        assert_eq!(
            (field("Action"), field("UserName"), field("AccessKeyId"), field("Status")),
            ("UpdateAccessKey".to_owned(), "alice".to_owned(), KEY.to_owned(), status.to_owned())
        );
    }
}

#[tokio::test]
async fn a_denied_call_names_the_action_that_is_missing() {
    for (call, action) in
        [("GetAccessKeyLastUsed", "iam:GetAccessKeyLastUsed"), ("ListAccessKeys", "iam:ListAccessKeys")]
    {
        let (keys, _) =
            fake(move |sent| if sent.operation().unwrap() == call { error(403, "AccessDenied") } else { iam(sent) });
        let Err(Fault::Denied { action: named, by: DeniedBy::Unsaid, .. }) = observe(&keys, KEY).await else {
            panic!("{call}")
        };
        assert_eq!(named, action);
        assert!(ExposedAccessKey::ABOUT.observes_with.contains(&action));
    }
    let (keys, _) = fake(|_| error(403, "AccessDenied"));
    let change = Change::Deactivate { user: iam::UserName::parse("alice").unwrap(), key: key() };
    let done = keys.apply(&testing::place::<ExposedAccessKey>(KEY), &change).await;
    let Err(Fault::Denied { action, .. }) = done else { panic!("{done:?}") };
    assert_eq!([action], ExposedAccessKey::ABOUT.fixes_with);
    assert_eq!([action], ExposedAccessKey::ABOUT.undoes_with);
}

#[tokio::test]
async fn nobody_gets_a_list_of_all_keys_to_cut() {
    let (keys, fake) = fake(iam);
    assert!(matches!(keys.list(&account(), &region(), &occasion(), None).await, Err(Fault::GiveUp(_))));
    assert_eq!(fake.sent().len(), 0);
}

#[tokio::test]
async fn tags_are_those_of_the_user_whose_key_it_is() {
    let place = |key: &str| testing::place::<ExposedAccessKey>(key);
    let (keys, fake) = fake(|sent| match sent.operation().as_deref() {
        Some("ListUserTags") => {
            result("ListUserTags", "<Tags><member><Key>team</Key><Value>scans</Value></member></Tags>")
        }
        _ => iam(sent),
    });
    assert_eq!(keys.tags(&place(KEY)).await, Ok(vec![("team".to_owned(), "scans".to_owned())]));
    assert_eq!(asked(&fake), ["GetAccessKeyLastUsed", "ListUserTags"]);
    assert_eq!(fake.sent()[1].field("UserName").as_deref(), Some("alice"));
    assert_eq!(keys.tags(&place("ASIAIOSFODNN7EXAMPLE")).await, Ok(vec![]), "a session's key has no user");
    assert_eq!(fake.sent().len(), 2);
}

#[tokio::test]
async fn a_key_that_nobody_has_has_no_tags_and_a_denied_read_is_told() {
    let place = testing::place::<ExposedAccessKey>(KEY);
    for (call, action) in [("GetAccessKeyLastUsed", "iam:GetAccessKeyLastUsed"), ("ListUserTags", "iam:ListUserTags")] {
        let answering = move |status, code: &'static str| {
            fake(move |sent| if sent.operation().unwrap() == call { error(status, code) } else { iam(sent) }).0
        };
        assert_eq!(answering(404, "NoSuchEntity").tags(&place).await, Ok(vec![]), "{call}");
        let Err(Fault::Denied { action: named, .. }) = answering(403, "AccessDenied").tags(&place).await else {
            panic!("{call}")
        };
        assert_eq!(named, action);
        assert!(ExposedAccessKey::ABOUT.tags_with.contains(&action));
    }
    let (keys, fake) = fake(|_| result("GetAccessKeyLastUsed", "<AccessKeyLastUsed/>"));
    assert_eq!(keys.tags(&place).await, Ok(vec![]), "IAM names nobody");
    assert_eq!(fake.sent().len(), 1);
}
