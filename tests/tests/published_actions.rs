//! Every IAM action that we name is one that AWS publishes, and is allowed on what AWS publishes for it, and on no more than it
//! needs. What is published is in `published-actions.json`; `published-actions.py` gets it anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::permissions::{Grant, KEYS, Permissions, actions};
use lab::template::{Template, World};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use system_tests::{controls, workspace};

/// What is allowed on everything although AWS publishes something narrower, and why.
const WIDER: &[(&str, &str)] = &[
    // A key that no user has is no user's resource, and such keys are asked about.
    ("iam:GetAccessKeyLastUsed", "a key that nobody has"),
    // Findings come from hubs of members and other regions, and the published list requires neither kind of hub.
    ("securityhub:BatchUpdateFindings", "any hub that an event came from"),
];

/// What is allowed on something although AWS publishes no kind of resource for it, and why.
const NARROWER: &[(&str, &str)] = &[
    // As SAM's own policy template DynamoDBStreamReadPolicy has it:
    // https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-policy-template-list.html
    ("dynamodb:ListStreams", "Lambda's documentation wants it on the stream"),
];

/// What AWS publishes.
struct Published {
    /// The kinds of resources of each action.
    actions: BTreeMap<String, Vec<String>>,
    /// The form of the ARN of each kind, with a `*` for each part that differs.
    arns: BTreeMap<String, String>,
}

fn published() -> Published {
    let text = std::fs::read(workspace().join("tests/published-actions.json")).unwrap();
    let whole: Value = serde_json::from_slice(&text).unwrap();
    let kinds = |action: &Value| {
        action["on"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap().to_owned()).collect()
    };
    let actions = whole["actions"].as_object().unwrap();
    let arns = whole["arns"].as_object().unwrap();
    Published {
        actions: actions.iter().map(|(name, action)| (name.clone(), kinds(action))).collect(),
        arns: arns.iter().map(|(kind, arn)| (kind.clone(), pattern(arn.as_str().unwrap()))).collect(),
    }
}

/// `arn:${Partition}:s3:::${BucketName}` as a pattern: `arn:*:s3:::*`.
fn pattern(arn: &str) -> String {
    let mut parts = arn.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| format!("{all}*{}", part.split_once('}').map_or("", |(_, rest)| rest)))
}

/// Whether there is an ARN that both patterns fit, part by part.
fn meet(one: &str, other: &str) -> bool {
    one == "*"
        || other == "*"
        || one.splitn(6, ':').zip(other.splitn(6, ':')).all(|(one, other)| cross(one.as_bytes(), other.as_bytes()))
}

/// Whether there is a text that both patterns fit.
fn cross(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => cross(rest, other) || matches!(other, [_, other @ ..] if cross(one, other)),
        (_, [b'*', ..]) => cross(other, one),
        ([a, one @ ..], [b, other @ ..]) => a == b && cross(one, other),
        _ => false,
    }
}

/// What the templates' roles are allowed, as deployed; each member account's roles too.
fn granted() -> BTreeSet<(String, Grant)> {
    let mut all = BTreeSet::new();
    for (file, account) in [("template.yaml", "111122223333"), ("member.yaml", "444455556666")] {
        let path = workspace().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let given = |name: &str, value: &str| {
            text.contains(&format!("\n  {name}:")).then(|| (name.to_owned(), value.to_owned()))
        };
        let parameters = [
            given("OrganizationId", "o-a1b2c3d4e5"),
            given("ExternalId", "suture-external-id"),
            given("HubAccount", "111122223333"),
            given("HubRegion", "us-east-1"),
            given("HubStack", "suture"),
            given("RolesRegion", "us-east-1"),
        ];
        let parameters = parameters.into_iter().flatten().collect();
        let world = World { account: account.to_owned(), parameters, ..World::default() };
        let template = Template::read(&path, &world).unwrap();
        let permissions = Permissions::of(&template);
        for role in &template.roles {
            let grants = permissions.grants(account, &role.name);
            assert!(!grants.is_empty(), "{file}: {} may nothing", role.name);
            all.extend(grants.into_iter().map(|grant| (role.name.clone(), grant)));
        }
    }
    all
}

#[test]
fn patterns_meet_where_a_text_fits_both() {
    for (one, other, expected) in [
        ("arn:aws:s3:::*", "arn:*:s3:::*", true),
        ("arn:aws:s3:::a/*", "arn:*:s3:::*/*", true),
        ("arn:aws:kms:*:*:key/*", "arn:*:kms:*:*:key/*", true),
        ("arn:aws:kms:*:*:key/*", "arn:*:kms:*:*:alias/*", false),
        ("arn:aws:iam::1:user/*", "arn:*:iam::*:role/*", false),
        ("*", "arn:*:iam::*:role/*", true),
    ] {
        assert_eq!(meet(one, other), expected, "{one} {other}");
    }
    assert_eq!(pattern("arn:${Partition}:ec2:${Region}:${Account}:vpc/${VpcId}"), "arn:*:ec2:*:*:vpc/*");
}

#[test]
fn every_action_that_is_named_is_published() {
    let published = published();
    let declared = controls().into_iter().flat_map(|about| {
        [about.observes_with, about.tags_with, about.lists_with, about.fixes_with, about.undoes_with].concat()
    });
    let granted = granted().into_iter().map(|(_, grant)| grant.action);
    let all: BTreeSet<String> = declared.chain(granted).chain(actions::named().map(str::to_owned)).collect();
    let unknown: Vec<_> = all.iter().filter(|action| !published.actions.contains_key(*action)).collect();
    assert!(
        unknown.is_empty(),
        "not in tests/published-actions.json, so no action of IAM's, or new (run published-actions.py): {unknown:?}"
    );
}

#[test]
fn every_action_is_allowed_on_what_it_is_about_and_on_no_more() {
    let published = published();
    let (mut wrong, mut excused) = (Vec::new(), BTreeSet::new());
    for (role, grant) in granted() {
        let kinds = &published.actions[&grant.action];
        let fits = kinds.iter().any(|kind| meet(&published.arns[kind], &grant.resource));
        let excuse =
            |list: &[(&'static str, &str)]| list.iter().map(|(name, _)| *name).find(|name| *name == grant.action);
        let problem = match (kinds.is_empty(), grant.resource == "*", fits) {
            (true, true, _) | (false, false, true) => continue,
            (true, false, _) => (excuse(NARROWER), "AWS publishes no resource for it: on one, it allows nothing"),
            (false, true, _) => (excuse(WIDER), "on everything, where AWS publishes something narrower"),
            (false, false, false) => (None, "on something that it is never about"),
        };
        match problem {
            (Some(name), _) => drop(excused.insert(name)),
            (None, why) => wrong.push(format!("{role}: {grant}: {why} {kinds:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let listed: BTreeSet<_> = WIDER.iter().chain(NARROWER).map(|(name, _)| *name).collect();
    assert_eq!(excused, listed, "excuses that nobody needs");
}

/// The lab fails closed: a condition on another key would allow nothing there.
#[test]
fn the_conditions_of_our_roles_are_those_that_the_lab_can_weigh() {
    let mut keys = BTreeSet::new();
    for file in ["template.yaml", "member.yaml"] {
        let text = std::fs::read_to_string(workspace().join(file)).unwrap();
        let template = lab::template::yaml::parse(&text).unwrap();
        for role in template["Resources"].as_object().unwrap().values() {
            if role["Type"] == "AWS::IAM::Role" {
                collect(&role["Properties"]["Policies"], &mut keys);
            }
        }
    }
    assert!(keys.contains("dynamodb:leadingkeys") && keys.contains("kms:viaservice"), "{keys:?}");
    let unknown: Vec<_> = keys.iter().filter(|key| !KEYS.contains(&key.as_str())).collect();
    assert!(unknown.is_empty(), "teach shared/lab/src/permissions/policy.rs these: {unknown:?}");
}

/// The condition keys below a value, in small letters.
fn collect(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "Condition" && value.is_object() {
                    let operators = value.as_object().unwrap().values().filter_map(Value::as_object);
                    keys.extend(operators.flat_map(|keys| keys.keys().map(|key| key.to_ascii_lowercase())));
                }
                collect(value, keys);
            }
        }
        _ => {}
    }
}
