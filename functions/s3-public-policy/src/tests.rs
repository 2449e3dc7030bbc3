//! What the control knows, without any AWS.

use super::*;
use proptest::prelude::*;
use remediation::event::Unread;
use remediation::laws;
use remediation::testing::requests;
use s3::PublicWebsites;
use serde_json::{Value, json};

const TLS: &str = r#"{"Sid":"TLS","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;
const PARTNER: &str =
    r#"{"Sid":"Partner","Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:GetObject","Resource":"*"}"#;
const LOGS: &str = r#"{"Sid":"Logs","Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"*"}"#;
const OFFICE: &str = r#"{"Sid":"Office","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}"#;
const VIEWER: &str =
    r#"{"Sid":"Viewer","Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}"#;
const DROP: &str = r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:PutObject","Resource":"*"}"#;
const SHARED: &str = r#"{"Sid":"Shared","Effect":"Allow","Principal":{"AWS":["*","444455556666"]},"Action":"s3:GetObject","Resource":"*"}"#;
const ODD: &str = r#"{"Sid":"Odd","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"x"}}}"#;
const ALL: [&str; 8] = [TLS, PARTNER, LOGS, OFFICE, VIEWER, DROP, SHARED, ODD];

const OPEN: Look = Look { public: true, refuses_public: false, restricted: false, website: None };

fn policy(statements: &[&str]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn state(statements: &[&str], look: Look) -> State {
    State { policy: Some(policy(statements)), look: Some(look) }
}

fn any_look() -> impl Strategy<Value = Option<Look>> {
    let website = (any::<bool>(), any::<bool>()).prop_map(|(phi, close)| Website {
        phi,
        public_websites: if close { PublicWebsites::Close } else { PublicWebsites::Refuse },
    });
    let look = (any::<bool>(), any::<bool>(), any::<bool>(), proptest::option::of(website))
        .prop_map(|(public, refuses_public, restricted, website)| Look { public, refuses_public, restricted, website });
    proptest::option::of(look)
}

fn any_policy() -> impl Strategy<Value = Option<String>> {
    let statements = proptest::collection::vec(0..ALL.len(), 0..6)
        .prop_map(|picks| policy(&picks.into_iter().map(|pick| ALL[pick]).collect::<Vec<_>>()));
    proptest::option::of(prop_oneof![8 => statements, 1 => "\\PC{0,40}"])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold(policy in any_policy(), look in any_look()) {
        laws::check::<PublicPolicy>(&State { policy, look });
    }

    /// Nothing is written that loosens: each statement that is there afterwards was there before, or is one that named
    /// others beside everybody.
    #[test]
    fn a_fix_adds_nothing(policy in any_policy(), look in any_look()) {
        let before = State { policy, look };
        let after = PublicPolicy::desired(&before);
        let statements = |state: &State| {
            let policy: Option<Value> = state.policy.as_deref().and_then(|text| serde_json::from_str(text).ok());
            policy.and_then(|policy| policy.get("Statement").and_then(Value::as_array).cloned()).unwrap_or_default()
        };
        let narrowed: Value = serde_json::from_str(&SHARED.replace("\"*\",", "")).unwrap();
        for statement in statements(&after) {
            prop_assert!(statements(&before).contains(&statement) || statement == narrowed, "{}", statement);
        }
        let denies = |state: &State| statements(state).iter().filter(|one| one["Effect"] == "Deny").count();
        if after.policy.is_some() {
            prop_assert_eq!(denies(&before), denies(&after));
        }
    }

    #[test]
    fn what_is_said_is_short_and_harmless(policy in any_policy(), look in any_look()) {
        let state = State { policy, look };
        let risks = PublicPolicy::risks(&state, &PublicPolicy::desired(&state));
        let says = risks.into_iter().map(|risk| risk.says).chain(PublicPolicy::hindrance(&state).map(|one| one.says));
        for text in says.chain(PublicPolicy::notes(&state)) {
            prop_assert!(!text.is_empty() && text.len() < 4000 && !text.contains(char::is_control), "{}", text);
        }
    }
}

#[test]
fn what_is_cut_and_what_is_left_alone() {
    let blocked = Look { refuses_public: true, ..OPEN };
    let calm = Look { public: false, ..OPEN };
    for (statements, look, expected) in [
        (vec![VIEWER, TLS, PARTNER], OPEN, Some(vec![TLS, PARTNER])),
        (vec![TLS, DROP, OFFICE, VIEWER], OPEN, Some(vec![TLS, OFFICE])),
        (vec![VIEWER, ODD], OPEN, Some(vec![ODD])),
        (vec![VIEWER, PARTNER], blocked, Some(vec![PARTNER])),
        // All or nothing: S3 would refuse what is left.
        (vec![VIEWER, ODD], blocked, None),
        (vec![ODD, TLS], OPEN, None),
        (vec![TLS, PARTNER, LOGS, OFFICE], OPEN, None),
        // S3 does not call it public: another statement may deny what this one allows.
        (vec![VIEWER, TLS], calm, None),
    ] {
        let before = state(&statements, look);
        let after = PublicPolicy::desired(&before);
        let expected = policy(expected.as_ref().unwrap_or(&statements));
        assert_eq!(after.policy, Some(expected), "{statements:?} {look:?}");
    }
    let before = state(&[VIEWER, DROP], OPEN);
    let after = PublicPolicy::desired(&before);
    assert_eq!(after.policy, None);
    let was = before.policy.clone();
    assert_eq!(PublicPolicy::changes(&before, &after), [Change::DeleteBucketPolicy { was: was.clone() }]);
    let back = Change::PutBucketPolicy { was: None, policy: was.unwrap() };
    assert_eq!(PublicPolicy::changes(&after, &before), [back], "an undo puts back the very text");
    let unseen = State { policy: Some(policy(&[VIEWER])), look: None };
    assert_eq!(PublicPolicy::desired(&unseen), unseen, "nothing is cut unless S3 was asked");
}

#[test]
fn a_policy_that_s3_spells_its_own_way_is_no_change() {
    let one = State { policy: Some(policy(&[PARTNER])), look: None };
    let spelled = json!({"Version": "2012-10-17", "Statement": serde_json::from_str::<Value>(PARTNER).unwrap()});
    let other = State { policy: Some(format!("{spelled:#}")), look: Some(OPEN) };
    assert_eq!(PublicPolicy::changes(&one, &other), []);
}

fn hindrance(statements: &[&str], look: Look) -> Option<&'static str> {
    PublicPolicy::hindrance(&state(statements, look)).map(|hindrance| hindrance.id)
}

#[test]
fn what_is_not_understood_is_reported_and_never_edited() {
    let blocked = Look { refuses_public: true, ..OPEN };
    let calm = Look { public: false, ..OPEN };
    for (statements, look, expected) in [
        (vec![ODD], OPEN, Some("not-understood")),
        (vec![ODD, VIEWER], OPEN, Some("not-understood")),
        (vec![ODD, VIEWER], blocked, Some("block-public-policy")),
        (vec![ODD], blocked, Some("not-understood")),
        // S3 calls it public, and we find nothing.
        (vec![OFFICE, TLS], OPEN, Some("not-understood")),
        // S3 knows better what is public; what it does not call so needs nobody.
        (vec![ODD], calm, None),
        (vec![ODD, VIEWER], calm, None),
        (vec![VIEWER, TLS], OPEN, None),
        (vec![VIEWER], blocked, None),
    ] {
        assert_eq!(hindrance(&statements, look), expected, "{statements:?} {look:?}");
    }
    let says = PublicPolicy::hindrance(&state(&[ODD, VIEWER], blocked)).unwrap().says;
    assert!(says.contains("\"Odd\"") && says.contains("\"Viewer\"") && says.contains("BlockPublicPolicy"), "{says}");
    let says = PublicPolicy::hindrance(&state(&[ODD], OPEN)).unwrap().says;
    assert!(says.contains("\"aws:principaltag/team\""), "{says}");
    let whole = State { policy: Some("{}".to_owned()), look: Some(OPEN) };
    assert!(PublicPolicy::hindrance(&whole).unwrap().says.contains("the policy as a whole"));
}

fn risks(statements: &[&str], look: Look) -> Vec<(&'static str, bool)> {
    let from = state(statements, look);
    let risks = PublicPolicy::risks(&from, &PublicPolicy::desired(&from));
    risks.into_iter().map(|risk| (risk.id, risk.refuses)).collect()
}

#[test]
fn what_a_fix_would_break() {
    let site = |phi: bool, public_websites| Look { website: Some(Website { phi, public_websites }), ..OPEN };
    let restricted = Look { restricted: true, ..OPEN };
    let guarded = site(false, PublicWebsites::Refuse);
    let policy = ("public-policy", false);
    for (statements, look, expected) in [
        (vec![VIEWER], OPEN, vec![policy]),
        (vec![VIEWER, TLS], guarded, vec![("public-website", true), policy]),
        (vec![VIEWER], site(true, PublicWebsites::Refuse), vec![("public-website", false), policy]),
        (vec![VIEWER], site(false, PublicWebsites::Close), vec![("public-website", false), policy]),
        // What lets everybody write serves no visitor.
        (vec![DROP], guarded, vec![policy]),
        (vec![DROP, VIEWER], guarded, vec![("public-website", true), policy]),
        // A site that nobody can see loses no visitor.
        (vec![VIEWER], Look { restricted: true, ..guarded }, vec![]),
        // Without its public statement the policy counts again for those whom it names.
        (vec![VIEWER, PARTNER], restricted, vec![("access-returns", false)]),
        (vec![VIEWER, OFFICE], restricted, vec![("access-returns", false)]),
        (vec![SHARED], restricted, vec![("access-returns", false)]),
        (vec![VIEWER, LOGS, TLS], restricted, vec![]),
        (vec![TLS, ODD], guarded, vec![]),
        (vec![VIEWER, ODD], Look { refuses_public: true, ..guarded }, vec![]),
    ] {
        assert_eq!(risks(&statements, look), expected, "{statements:?} {look:?}");
    }
    let from = state(&[VIEWER, DROP], OPEN);
    let says = &PublicPolicy::risks(&from, &PublicPolicy::desired(&from))[0].says;
    assert!(says.contains("\"Viewer\" allows s3:GetObject, s3:ListBucket"), "{says}");
    assert!(says.contains("without a Sid allows s3:PutObject"), "{says}");
}

#[test]
fn notes() {
    let note = |statements: &[&str], look| PublicPolicy::notes(&state(statements, look));
    let calm = Look { public: false, ..OPEN };
    let restricted = Look { restricted: true, ..OPEN };
    assert_eq!(note(&[TLS, PARTNER, OFFICE], OPEN), [""; 0]);
    assert_eq!(note(&[VIEWER], OPEN), [""; 0]);
    assert!(note(&[VIEWER], calm)[0].contains("\"Viewer\""));
    assert!(note(&[VIEWER], restricted)[0].contains("RestrictPublicBuckets"));
    assert!(note(&[SHARED], OPEN)[0].contains("\"Shared\""));
}

#[test]
fn a_call_that_puts_a_public_policy_announces_drift() {
    let call = |name: &str, parameters: Value| ApiCall {
        event_source: "s3.amazonaws.com".to_owned(),
        event_name: name.to_owned(),
        parameters,
        response: Value::Null,
    };
    let put = |statements: &[&str]| {
        let policy: Value = serde_json::from_str(&policy(statements)).unwrap();
        PublicPolicy::announces_drift(&call("PutBucketPolicy", json!({"bucketPolicy": policy})))
    };
    assert!(put(&[VIEWER, TLS]));
    assert!(!put(&[TLS, PARTNER, OFFICE, ODD]));
    assert!(!PublicPolicy::announces_drift(&call("PutBucketPolicy", json!({"bucketPolicy": "HIDDEN"}))));
    assert!(!PublicPolicy::announces_drift(&call("PutBucketPolicy", Value::Null)));
    let policy: Value = serde_json::from_str(&policy(&[VIEWER])).unwrap();
    assert!(!PublicPolicy::announces_drift(&call("DeleteBucketPolicy", json!({"bucketPolicy": policy}))));
}

#[test]
fn the_json_of_states_and_changes_stays_what_old_records_hold() {
    let look = Look { website: Some(Website { phi: false, public_websites: PublicWebsites::Refuse }), ..OPEN };
    let expected = json!({
        "policy": policy(&[VIEWER]),
        "look": {
            "public": true, "refuses_public": false, "restricted": false,
            "website": {"phi": false, "public_websites": "refuse"},
        },
    });
    assert_eq!(serde_json::to_value(state(&[VIEWER], look)).unwrap(), expected);
    let change = Change::PutBucketPolicy { was: Some("x".to_owned()), policy: "y".to_owned() };
    assert_eq!(serde_json::to_value(change).unwrap(), json!({"put-bucket-policy": {"policy": "y"}}));
    let change = Change::DeleteBucketPolicy { was: Some("x".to_owned()) };
    assert_eq!(serde_json::to_value(change).unwrap(), json!({"delete-bucket-policy": {}}));
    assert!(serde_json::from_value::<State>(json!({"policy": null, "look": {"public": true}})).is_err());
}

/// A call on a bucket.
fn event(name: &str, bucket: &str) -> Value {
    json!({
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.s3",
        "account": "111122223333",
        "region": "us-east-1",
        "time": "2026-01-15T10:45:23Z",
        "detail": {
            "eventSource": "s3.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1",
            "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"},
            "requestParameters": {"bucketName": bucket},
        },
    })
}

#[test]
fn every_watched_call_names_its_bucket() {
    for name in PublicPolicy::ABOUT.watches.iter().flat_map(|watch| watch.events) {
        let requests = requests::<PublicPolicy>(&event(name, "clinic-scans")).unwrap();
        assert_eq!(requests[0].place.target.as_str(), "clinic-scans", "{name}");
        for bad in ["clinic/scans", "clinic\nscans", "{{{bucket}}}", "", "clinic-scans?acl", ".."] {
            let unread = requests_of(&event(name, bad));
            assert!(matches!(unread, Err(Unread::Rejected(_))), "{name} {bad:?}: {unread:?}");
        }
    }
}

fn requests_of(event: &Value) -> Result<usize, Unread> {
    requests::<PublicPolicy>(event).map(|requests| requests.len())
}

#[test]
fn the_facts() {
    let about = PublicPolicy::ABOUT;
    assert_eq!(about.id, env!("CARGO_PKG_NAME"));
    assert_eq!(about.safety, Safety::Disruptive);
    let page = include_str!("lib.rs");
    let facts = about.config_rules.iter().chain(about.security_hub).copied();
    for fact in facts.chain(about.citations.iter().map(|citation| citation.trim_start_matches("45 CFR "))) {
        assert!(page.lines().any(|line| line.starts_with("//!") && line.contains(fact)), "the page leaves out {fact}");
    }
    for setting in about.settings {
        let parameters: Parameters = serde_json::from_value(json!({setting.field: setting.default})).unwrap();
        assert_eq!(parameters, Parameters::default());
    }
    assert!(serde_json::from_str::<Parameters>(r#"{"public_website": "close"}"#).is_err());
}
