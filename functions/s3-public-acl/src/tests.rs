//! What the control knows, without any AWS.

use super::*;
use proptest::prelude::*;
use remediation::event::Unread;
use remediation::laws;
use remediation::testing::requests;
use s3::PublicWebsites;
use serde_json::{Value, json};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
const PERMISSIONS: [&str; 5] = ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"];

fn group(uri: &str, permission: &str) -> Grant {
    Grant { to: Grantee::Group(uri.to_owned()), permission: permission.to_owned() }
}

fn account(id: &str, permission: &str) -> Grant {
    Grant { to: Grantee::Account(id.to_owned()), permission: permission.to_owned() }
}

fn other(kind: &str) -> Grant {
    Grant { to: Grantee::Other(kind.to_owned()), permission: "READ".to_owned() }
}

fn acl(grants: &[Grant]) -> Acl {
    Acl { owner: Some(OWNER.to_owned()), grants: grants.to_vec() }
}

const OPEN: Look = Look { disabled: false, ignored: false, website: None };

fn state(grants: &[Grant]) -> State {
    State { acl: acl(grants), look: Some(OPEN) }
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let to = prop_oneof![
        Just(Grantee::Group(ALL_USERS.to_owned())),
        Just(Grantee::Group(AUTHENTICATED_USERS.to_owned())),
        Just(Grantee::Group(LOG_DELIVERY.to_owned())),
        Just(Grantee::Account(OWNER.to_owned())),
        "[0-9a-f]{64}".prop_map(Grantee::Account),
    ];
    let odd = prop_oneof!["\\PC{0,20}".prop_map(Grantee::Group), "\\PC{0,20}".prop_map(Grantee::Other)];
    let permission = prop_oneof![5 => (0..5_usize).prop_map(|n| PERMISSIONS[n].to_owned()), 1 => "\\PC{0,20}"];
    (prop_oneof![12 => to, 1 => odd], permission).prop_map(|(to, permission)| Grant { to, permission })
}

fn any_state() -> impl Strategy<Value = State> {
    let website = (any::<bool>(), any::<bool>()).prop_map(|(phi, close)| Website {
        phi,
        public_websites: if close { PublicWebsites::Close } else { PublicWebsites::Refuse },
    });
    let look = (any::<bool>(), any::<bool>(), proptest::option::of(website))
        .prop_map(|(disabled, ignored, website)| Look { disabled, ignored, website });
    let owner = prop_oneof![9 => Just(Some(OWNER.to_owned())), 1 => Just(None)];
    (owner, proptest::collection::vec(any_grant(), 0..6), proptest::option::of(look))
        .prop_map(|(owner, grants, look)| State { acl: Acl { owner, grants }, look })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold(state in any_state()) {
        laws::check::<PublicAcl>(&state);
    }

    /// Whatever is not public stays as it was, in its order; whatever is public goes, if anything is written at all.
    #[test]
    fn a_fix_takes_public_grants_and_nothing_else(state in any_state()) {
        let fixed = PublicAcl::desired(&state);
        let named = |acl: &Acl| acl.grants.iter().filter(|grant| !grant.is_public()).cloned().collect::<Vec<_>>();
        prop_assert_eq!(named(&state.acl), named(&fixed.acl));
        prop_assert_eq!(&state.acl.owner, &fixed.acl.owner);
        if !PublicAcl::changes(&state, &fixed).is_empty() {
            prop_assert!(!fixed.acl.grants.iter().any(Grant::is_public));
        }
    }

    #[test]
    fn what_is_said_is_short_and_harmless(state in any_state()) {
        let risks = PublicAcl::risks(&state, &PublicAcl::desired(&state));
        let says = risks.into_iter().map(|risk| risk.says).chain(PublicAcl::hindrance(&state).map(|one| one.says));
        for text in says.chain(PublicAcl::notes(&state)) {
            prop_assert!(!text.is_empty() && text.len() < 2000 && !text.contains(char::is_control), "{}", text);
        }
    }
}

#[test]
fn every_permission_of_both_public_groups_is_public() {
    for uri in [ALL_USERS, AUTHENTICATED_USERS] {
        for permission in PERMISSIONS {
            let kept = [account(OWNER, "FULL_CONTROL"), group(LOG_DELIVERY, "WRITE"), group(LOG_DELIVERY, "READ_ACP")];
            let mut grants = kept.to_vec();
            grants.insert(1, group(uri, permission));
            let before = state(&grants);
            let after = PublicAcl::desired(&before);
            assert_eq!(after.acl, acl(&kept), "{uri} {permission}");
            let change = Change::PutBucketAcl { was: before.acl.clone(), acl: acl(&kept) };
            assert_eq!(PublicAcl::changes(&before, &after), [change]);
            let back = Change::PutBucketAcl { was: acl(&kept), acl: acl(&grants) };
            assert_eq!(PublicAcl::changes(&after, &before), [back], "an undo puts the very grants back");
        }
    }
}

#[test]
fn log_delivery_named_accounts_and_the_owner_are_not_public() {
    for grants in [
        vec![account(OWNER, "FULL_CONTROL")],
        vec![account(OWNER, "FULL_CONTROL"), group(LOG_DELIVERY, "WRITE"), group(LOG_DELIVERY, "READ_ACP")],
        vec![account("0".repeat(64).as_str(), "WRITE")],
        vec![],
    ] {
        let state = state(&grants);
        assert_eq!(PublicAcl::desired(&state), state);
        assert_eq!(PublicAcl::hindrance(&state), None);
    }
    // An owner who gave up his own grant is given none; nobody but the public loses any.
    assert_eq!(PublicAcl::desired(&state(&[group(ALL_USERS, "READ")])).acl, acl(&[]));
}

#[test]
fn the_order_of_grants_is_no_difference() {
    let (one, two) = (account(OWNER, "FULL_CONTROL"), group(LOG_DELIVERY, "WRITE"));
    assert_eq!(PublicAcl::changes(&state(&[one.clone(), two.clone()]), &state(&[two.clone(), one.clone()])), []);
    assert_eq!(PublicAcl::changes(&state(&[one.clone(), one.clone()]), &state(std::slice::from_ref(&one))).len(), 1);
    let stranger = State { acl: Acl { owner: Some("x".to_owned()), ..acl(std::slice::from_ref(&one)) }, look: None };
    assert_eq!(PublicAcl::changes(&state(&[one]), &stranger).len(), 1);
}

#[test]
fn where_acls_are_switched_off_there_is_nothing_to_do() {
    let off = State { look: Some(Look { disabled: true, ..OPEN }), ..state(&[group(ALL_USERS, "READ")]) };
    assert_eq!(PublicAcl::desired(&off), off);
    assert_eq!(PublicAcl::hindrance(&off), None);
    assert!(PublicAcl::notes(&off)[0].contains("BucketOwnerEnforced"));
}

#[test]
fn what_s3_would_not_take_back_is_left_alone_and_said() {
    let email = other("AmazonCustomerByEmail");
    for (before, id, says) in [
        (state(&[email.clone(), group(ALL_USERS, "READ")]), "cannot-be-written", "\"AmazonCustomerByEmail\""),
        (
            State { acl: Acl { owner: None, ..acl(&[group(ALL_USERS, "READ")]) }, look: Some(OPEN) },
            "cannot-be-written",
            "owner",
        ),
    ] {
        assert_eq!(PublicAcl::desired(&before), before);
        let hindrance = PublicAcl::hindrance(&before).unwrap();
        assert!(hindrance.id == id && hindrance.says.contains(says), "{hindrance:?}");
        assert!(hindrance.says.contains("READ for everybody"), "{hindrance:?}");
    }
    assert_eq!(PublicAcl::hindrance(&state(&[email])), None, "no public grant, no drift");
}

#[test]
fn a_group_that_is_not_known_stays_and_is_reported() {
    let odd = group("http://acs.amazonaws.com/groups/global/EveryPartner", "READ");
    let before = state(&[odd.clone(), group(ALL_USERS, "WRITE")]);
    assert_eq!(PublicAcl::desired(&before).acl, acl(&[odd]));
    let hindrance = PublicAcl::hindrance(&before).unwrap();
    assert!(hindrance.id == "not-understood" && hindrance.says.contains("EveryPartner"), "{hindrance:?}");
}

fn risks(grants: &[Grant], look: Look) -> Vec<(&'static str, bool)> {
    let from = State { look: Some(look), ..state(grants) };
    let risks = PublicAcl::risks(&from, &PublicAcl::desired(&from));
    risks.into_iter().map(|risk| (risk.id, risk.refuses)).collect()
}

#[test]
fn what_a_fix_would_break() {
    let site = |phi: bool, public_websites| Look { website: Some(Website { phi, public_websites }), ..OPEN };
    let guarded = site(false, PublicWebsites::Refuse);
    let acl = ("public-acl", false);
    for (uri, permission, look, expected) in [
        (ALL_USERS, "WRITE", OPEN, vec![acl]),
        (ALL_USERS, "READ", OPEN, vec![acl]),
        (ALL_USERS, "READ", guarded, vec![("public-website", true), acl]),
        (AUTHENTICATED_USERS, "FULL_CONTROL", guarded, vec![("public-website", true), acl]),
        // Who writes is no visitor.
        (ALL_USERS, "WRITE", guarded, vec![acl]),
        (ALL_USERS, "WRITE_ACP", guarded, vec![acl]),
        (ALL_USERS, "READ_ACP", guarded, vec![acl]),
        (ALL_USERS, "READ", site(true, PublicWebsites::Refuse), vec![("public-website", false), acl]),
        (ALL_USERS, "READ", site(false, PublicWebsites::Close), vec![("public-website", false), acl]),
        (ALL_USERS, "READ", Look { ignored: true, ..guarded }, vec![]),
        (ALL_USERS, "READ", Look { disabled: true, ..guarded }, vec![]),
        (LOG_DELIVERY, "READ", guarded, vec![]),
    ] {
        assert_eq!(risks(&[group(uri, permission)], look), expected, "{uri} {permission} {look:?}");
    }
    let from = state(&[group(ALL_USERS, "READ"), group(AUTHENTICATED_USERS, "WRITE_ACP")]);
    let says = &PublicAcl::risks(&from, &PublicAcl::desired(&from))[0].says;
    assert!(says.contains("READ for everybody, WRITE_ACP for every AWS account"), "{says}");
}

#[test]
fn notes() {
    let public = [group(ALL_USERS, "READ")];
    assert!(PublicAcl::notes(&state(&public))[0].contains("objects' own ACLs"));
    let ignored = State { look: Some(Look { ignored: true, ..OPEN }), ..state(&public) };
    assert!(PublicAcl::notes(&ignored)[0].contains("IgnorePublicAcls"));
    assert_eq!(PublicAcl::notes(&state(&[account(OWNER, "READ")])), [""; 0]);
}

#[test]
fn calls_that_announce_drift() {
    let grant = |uri: &str| json!({"Grantee": {"xsi:type": "Group", "URI": uri}, "Permission": "READ"});
    let list = |grants: Value| json!({"AccessControlPolicy": {"AccessControlList": {"Grant": grants}}});
    for (name, parameters, expected) in [
        ("PutBucketAcl", json!({"x-amz-acl": "public-read"}), true),
        ("PutBucketAcl", json!({"x-amz-acl": ["public-read-write"]}), true),
        ("PutBucketAcl", json!({"x-amz-acl": "authenticated-read"}), true),
        // A new bucket has its public access block, and shows no public grant.
        ("CreateBucket", json!({"x-amz-acl": "public-read"}), false),
        ("PutBucketAcl", json!({"x-amz-acl": "private"}), false),
        ("PutBucketAcl", json!({"x-amz-acl": "log-delivery-write"}), false),
        ("PutBucketAcl", json!({"x-amz-grant-read": format!("uri=\"{ALL_USERS}\"")}), true),
        ("PutBucketAcl", json!({"x-amz-grant-write-acp": [format!("id=1, uri=\"{AUTHENTICATED_USERS}\"")]}), true),
        ("PutBucketAcl", json!({"x-amz-grant-write": format!("uri=\"{LOG_DELIVERY}\"")}), false),
        ("PutBucketAcl", list(grant(ALL_USERS)), true),
        ("PutBucketAcl", list(json!([grant(LOG_DELIVERY), grant(AUTHENTICATED_USERS)])), true),
        ("PutBucketAcl", list(json!([grant(LOG_DELIVERY)])), false),
        ("PutBucketAcl", list(json!("x")), false),
        ("PutBucketAcl", Value::Null, false),
        ("PutBucketPolicy", json!({"x-amz-acl": "public-read"}), false),
        ("DeleteBucketOwnershipControls", Value::Null, false),
    ] {
        let call = ApiCall {
            event_source: "s3.amazonaws.com".to_owned(),
            event_name: name.to_owned(),
            parameters: parameters.clone(),
            response: Value::Null,
        };
        assert_eq!(PublicAcl::announces_drift(&call), expected, "{name} {parameters}");
    }
}

#[test]
fn the_json_of_states_and_changes_stays_what_old_records_hold() {
    let grants = [account(OWNER, "FULL_CONTROL"), group(ALL_USERS, "READ"), other("AmazonCustomerByEmail")];
    let expected = json!({
        "owner": OWNER,
        "grants": [
            {"to": {"account": OWNER}, "permission": "FULL_CONTROL"},
            {"to": {"group": ALL_USERS}, "permission": "READ"},
            {"to": {"other": "AmazonCustomerByEmail"}, "permission": "READ"},
        ],
    });
    let look = json!({"disabled": false, "ignored": false, "website": null});
    assert_eq!(serde_json::to_value(state(&grants)).unwrap(), json!({"acl": expected, "look": look}));
    let change = Change::PutBucketAcl { was: acl(&[]), acl: acl(&grants) };
    assert_eq!(serde_json::to_value(change).unwrap(), json!({"put-bucket-acl": {"acl": expected}}));
    assert!(serde_json::from_value::<State>(json!({"acl": {"owner": null}, "look": null})).is_err());
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
    for name in PublicAcl::ABOUT.watches.iter().flat_map(|watch| watch.events) {
        let requests = requests::<PublicAcl>(&event(name, "clinic-scans")).unwrap();
        assert_eq!(requests[0].place.target.as_str(), "clinic-scans", "{name}");
        for bad in ["clinic/scans", "clinic\nscans", "{{{bucket}}}", "", "clinic-scans?acl", ".."] {
            let unread = requests_of(&event(name, bad));
            assert!(matches!(unread, Err(Unread::Rejected(_))), "{name} {bad:?}: {unread:?}");
        }
    }
}

fn requests_of(event: &Value) -> Result<usize, Unread> {
    requests::<PublicAcl>(event).map(|requests| requests.len())
}

#[test]
fn the_facts() {
    let about = PublicAcl::ABOUT;
    assert_eq!(about.id, env!("CARGO_PKG_NAME"));
    assert_eq!(about.safety, Safety::Reversible);
    let page = include_str!("lib.rs");
    let facts = about.config_rules.iter().chain(about.security_hub).copied();
    for fact in facts.chain(about.citations.iter().map(|citation| citation.trim_start_matches("45 CFR "))) {
        assert!(page.lines().any(|line| line.starts_with("//!") && line.contains(fact)), "the page leaves out {fact}");
    }
    for setting in about.settings {
        let parameters: Parameters = serde_json::from_value(json!({setting.field: setting.default})).unwrap();
        assert_eq!(parameters, Parameters::default());
    }
}
