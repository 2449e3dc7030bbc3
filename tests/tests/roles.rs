//! What each role may do is what its function declares, and no more.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::template::yaml;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use system_tests::template::{
    LEDGER, RUNTIME, SWEEP, actions, ledger, member_of, pascal_case, replies, undo_actions, undo_allowed,
};
use system_tests::{about, controls, folders, workspace};

/// The template in long form, nothing resolved.
fn template() -> Value {
    yaml::parse(&std::fs::read_to_string(workspace().join("template.yaml")).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

/// A policy, also one that is there only with members.
fn whole(policy: &Value) -> &Value {
    match &policy["Fn::If"] {
        Value::Null => policy,
        choice => {
            assert_eq!((&choice[0], &choice[2]), (&"HasMembers".into(), &serde_json::json!({"Ref": "AWS::NoValue"})));
            &choice[1]
        }
    }
}

/// The policies of a role: each one's name, and what it allows. No action is there twice, none has a wildcard.
fn policies(template: &Value, role: &str) -> Vec<(String, BTreeSet<String>)> {
    let role = &template["Resources"][role]["Properties"];
    assert!(role.get("ManagedPolicyArns").is_none(), "{role}");
    let policies = role["Policies"].as_array().unwrap();
    let read = |policy: &Value| {
        let mut allowed = BTreeSet::new();
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow", "{policy}");
            assert!(statement.get("NotAction").is_none() && statement.get("NotResource").is_none(), "{policy}");
            for action in texts(&statement["Action"]) {
                assert!(!action.contains('*'), "{action}");
                allowed.insert(action);
            }
        }
        (policy["PolicyName"].as_str().unwrap().to_owned(), allowed)
    };
    policies.iter().map(whole).map(read).collect()
}

/// The policies that a role ought to have.
fn ought<const N: usize>(policies: [(&str, Vec<String>); N]) -> Vec<(String, BTreeSet<String>)> {
    policies.into_iter().map(|(name, actions)| (name.to_owned(), actions.into_iter().collect())).collect()
}

fn owned(actions: &[&str]) -> Vec<String> {
    actions.iter().map(|action| (*action).to_owned()).collect()
}

#[test]
fn the_role_may_do_what_the_control_declares_and_no_more() {
    let template = template();
    for about in controls() {
        let is = policies(&template, &format!("{}Role", pascal_case(&about.id)));
        let mut runtime = [owned(&RUNTIME), owned(&replies(&about))].concat();
        runtime.extend(owned(&SWEEP).into_iter().filter(|_| about.sweeps.is_some()));
        let mut all = ought([("control", actions(&about)), ("ledger", owned(&ledger(&about))), ("runtime", runtime)]);
        all.extend(
            about.works_in_members().then(|| ought([("members", owned(&["sts:AssumeRole"]))])).into_iter().flatten(),
        );
        assert_eq!(is, all, "{}", about.id);
    }
}

#[test]
fn no_role_that_runs_unattended_can_take_a_fix_back() {
    let template = template();
    let mut withheld = 0;
    for about in controls() {
        let only_undo = about
            .undoes_with
            .iter()
            .filter(|action| !about.fixes_with.contains(action) && !about.observes_with.contains(action));
        for (policy, allowed) in policies(&template, &format!("{}Role", pascal_case(&about.id))) {
            for action in only_undo.clone() {
                assert!(!allowed.contains(action), "{}: {policy} allows {action}", about.id);
            }
        }
        withheld += only_undo.count();
    }
    assert!(withheld > 0, "nothing to withhold: what is tested here?");
}

#[test]
fn a_function_can_write_its_own_part_of_the_ledger_and_controls_only_read_the_settings() {
    let template = template();
    let of_controls = folders().into_iter().map(|id| {
        let keys = serde_json::json!(["resource#*", "approvals", format!("budget#{id}")]);
        (format!("{}Role", pascal_case(&id)), keys)
    });
    let of_undo = ("UndoRole".to_owned(), serde_json::json!(["resource#*", "deployment", "approvals"]));
    for (role, keys) in of_controls.chain([of_undo]) {
        let policies = template["Resources"][&role]["Properties"]["Policies"].as_array().unwrap();
        let ledger = policies.iter().find(|policy| policy["PolicyName"] == "ledger").unwrap();
        for statement in ledger["PolicyDocument"]["Statement"].as_array().unwrap() {
            let actions = texts(&statement["Action"]);
            let is = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
            // Nobody but the undo function deletes anything, and that nothing but an exemption.
            if actions == ["dynamodb:DeleteItem"] {
                assert_eq!((role.as_str(), is), ("UndoRole", &serde_json::json!(["deployment"])));
            } else if actions.iter().any(|action| action.starts_with("dynamodb:") && !reads(action)) {
                assert_eq!(*is, keys, "{role}");
            }
        }
    }
}

#[test]
fn a_function_may_assume_its_own_role_in_members_and_no_other() {
    let template = template();
    let mut ids: Vec<_> =
        controls().into_iter().filter(system_tests::About::works_in_members).map(|about| about.id).collect();
    assert!(!ids.contains(&"suture-tampering".to_owned()), "it looks after this deployment alone");
    ids.push("undo".to_owned());
    for id in ids {
        let logical = pascal_case(&id);
        let policies = template["Resources"][format!("{logical}Role")]["Properties"]["Policies"].as_array().unwrap();
        let members = policies.iter().map(whole).find(|policy| policy["PolicyName"] == "members").unwrap();
        let ought = serde_json::json!([{
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": {"Fn::Sub": member_of("*", &id)},
            "Condition": {"StringEquals": {"aws:ResourceOrgID": {"Ref": "OrganizationId"}}},
        }]);
        assert_eq!(members["PolicyDocument"]["Statement"], ought, "{id}");
        let variables = &template["Resources"][&logical]["Properties"]["Environment"]["Variables"];
        let ought = serde_json::json!({"Fn::If": ["HasMembers", {"Fn::Sub": member_of("{account}", &id)}, ""]});
        assert_eq!(variables["SUTURE_MEMBER_ROLE"], ought, "{id}");
    }
}

fn reads(action: &str) -> bool {
    ["dynamodb:GetItem", "dynamodb:Query"].contains(&action)
}

#[test]
fn the_undo_function_may_take_back_what_every_control_does_and_no_more() {
    let (template, controls) = (template(), controls());
    let undo = controls.iter().flat_map(undo_actions).cloned().collect();
    let runtime = owned(&["logs:CreateLogStream", "logs:PutLogEvents"]);
    // Taking an undo back takes its exemption out of the ledger. None counts against a budget.
    let ledger = LEDGER.into_iter().filter(|action| *action != "dynamodb:UpdateItem");
    let ledger = ledger.chain(["dynamodb:DeleteItem"]).map(str::to_owned).collect();
    let members = owned(&["sts:AssumeRole"]);
    let ought = ought([("undo", undo), ("ledger", ledger), ("runtime", runtime), ("members", members)]);
    assert_eq!(policies(&template, "UndoRole"), ought);
    // Each on what its control needs it on.
    let mut allowed = BTreeSet::new();
    for statement in template["Resources"]["UndoRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        .as_array()
        .unwrap()
    {
        let on = &statement["Resource"];
        let on = on.as_str().or_else(|| on["Fn::Sub"].as_str()).unwrap();
        allowed.extend(texts(&statement["Action"]).into_iter().map(|action| (action, on.to_owned())));
    }
    let ought = undo_allowed(&controls).into_iter().map(|(action, on)| (action.to_owned(), on.to_owned())).collect();
    assert_eq!(allowed, ought);
}

/// All of a role's own policies together, without the blanks.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
#[test]
fn no_roles_policies_are_longer_than_iam_takes() {
    for (name, resource) in template()["Resources"].as_object().unwrap() {
        if resource["Type"] == "AWS::IAM::Role" {
            // A reference becomes an ARN: some characters more, of which there is room.
            let length = resource["Properties"]["Policies"].to_string().len();
            assert!(length < 9_500, "{name}: {length}");
            let trusted = &resource["Properties"]["AssumeRolePolicyDocument"]["Statement"];
            assert_eq!(trusted.as_array().unwrap().len(), 1, "{name}");
            assert_eq!(trusted[0]["Principal"], serde_json::json!({"Service": "lambda.amazonaws.com"}), "{name}");
        }
    }
}

#[test]
fn the_recorder_may_do_what_it_declares_and_no_more() {
    let template = template();
    let get_att = |name: &str| serde_json::json!({"Fn::GetAtt": [name, "Arn"]}).to_string();
    let sub = |text: &str| serde_json::json!({"Fn::Sub": text}).to_string();
    let declared = about("recorder")["permissions"].clone();
    let on = |what: &str| texts(&declared[what]);
    let hub = "arn:${AWS::Partition}:securityhub:${AWS::Region}:${AWS::AccountId}:product/${AWS::AccountId}/default";
    let key = serde_json::json!({"Fn::If": ["MakesKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "KeyArn"}]});
    let ought = BTreeMap::from([
        (get_att("LedgerTable"), on("table")),
        (sub("${LedgerTable.Arn}/index/by-day"), on("index")),
        (sub("${LedgerTable.Arn}/stream/*"), on("stream")),
        (get_att("EvidenceBucket"), on("bucket")),
        (sub("${EvidenceBucket.Arn}/*"), on("objects")),
        (key.to_string(), on("key")),
        (serde_json::json!({"Ref": "Announcements"}).to_string(), on("topic")),
        (sub(hub), on("hub")),
        (get_att("RecorderLog"), owned(&["logs:CreateLogStream", "logs:PutLogEvents"])),
        (get_att("UnhandledEvents"), owned(&["sqs:SendMessage"])),
    ]);
    assert_eq!(
        declared.as_object().unwrap().len(),
        ought.len() - 2,
        "it declares something that is not held against it"
    );
    let mut is: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for policy in template["Resources"]["RecorderRole"]["Properties"]["Policies"].as_array().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            is.entry(statement["Resource"].to_string()).or_default().extend(texts(&statement["Action"]));
        }
    }
    assert_eq!(is, ought);
    // Neither wildcards nor anything that is not allowed outright.
    policies(&template, "RecorderRole");
}
