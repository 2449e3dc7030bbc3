//! `member.yaml` says what the code says: each control has its role in a member account, no wider than in the hub, lent to the
//! hub's own role alone; and it forwards what the hub's rules would take.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::template::{RoleSpec, Template, World, yaml};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;
use system_tests::template::member::{LONGEST_PATTERN, member};
use system_tests::template::{actions, replies, undo_allowed};
use system_tests::{ACCOUNT, About, HOME, OTHER_ACCOUNT, controls, folders, workspace};

#[path = "member_template/forwarding.rs"]
mod forwarding;

const ORGANIZATION: &str = "o-a1b2c3d4e5";
const EXTERNAL_ID: &str = "suture/prod-1";

/// Writes the template before any test reads it, if `BLESS` is set.
static BLESSED: LazyLock<()> = LazyLock::new(|| {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file("member.yaml"), member(&controls())).unwrap();
    }
});

fn file(name: &str) -> PathBuf {
    workspace().join(name)
}

fn text() -> String {
    LazyLock::force(&BLESSED);
    std::fs::read_to_string(file("member.yaml")).unwrap()
}

/// A place where the template is deployed. The stack's name is what a StackSet makes up: nothing may hang on it.
fn world(account: &str, region: &str, partition: &str) -> World {
    let parameters =
        [("HubAccount", ACCOUNT), ("HubRegion", HOME), ("OrganizationId", ORGANIZATION), ("ExternalId", EXTERNAL_ID)];
    World {
        account: account.to_owned(),
        region: region.to_owned(),
        partition: partition.to_owned(),
        stack: "StackSet-members-0b5c61ce-6f1d-4a0a-9f6b-3b8f1a2c3d4e".to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

fn deployed(account: &str, region: &str) -> Template {
    Template::parse(&text(), &world(account, region, "aws")).unwrap()
}

fn lenders() -> Vec<About> {
    controls().into_iter().filter(About::works_in_members).collect()
}

fn names(template: &Template) -> BTreeSet<&str> {
    template.roles.iter().map(|role| role.name.as_str()).collect()
}

fn role<'a>(template: &'a Template, name: &str) -> &'a RoleSpec {
    template.roles.iter().find(|role| role.name == name).ok_or_else(|| format!("no role {name}")).unwrap()
}

fn texts(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        one => BTreeSet::from([one.as_str().unwrap().to_owned()]),
    }
}

/// Each action with what it is allowed on.
fn allowed(statements: &[Value]) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        assert!(statement.get("NotAction").is_none() && statement.get("NotResource").is_none(), "{statement}");
        for action in texts(&statement["Action"]) {
            assert!(!action.contains('*'), "{action}");
            all.extend(texts(&statement["Resource"]).into_iter().map(|on| (action.clone(), on)));
        }
    }
    all
}

#[test]
fn the_template_is_what_the_code_says() {
    let (is, ought) = (text(), member(&controls()));
    for (line, (is, ought)) in is.lines().zip(ought.lines()).enumerate() {
        assert_eq!(is, ought, "line {}; run BLESS=1 cargo test -p system-tests --test member_template", line + 1);
    }
    assert_eq!(is, ought);
}

#[test]
fn each_control_has_its_role_in_a_member_account_and_nothing_else_does() {
    let ids: Vec<String> = lenders().into_iter().map(|about| about.id).collect();
    assert!(ids.len() + 1 >= folders().len(), "all lend but the one that looks after the deployment: {ids:?}");
    let mut ought: BTreeSet<_> = ids.iter().map(|id| format!("suture-member-{id}")).collect();
    ought.extend(["suture-member-undo".to_owned(), "suture-member-forward-us-east-1".to_owned()]);
    let template = deployed(OTHER_ACCOUNT, "us-east-1");
    assert_eq!(names(&template), ought.iter().map(String::as_str).collect());
    for resource in yaml::parse(&text()).unwrap()["Resources"].as_object().unwrap().values() {
        let kinds =
            ["IAM::Role", "Events::Rule", "SQS::Queue", "SQS::QueuePolicy", "CloudFormation::WaitConditionHandle"];
        let kind = resource["Type"].as_str().unwrap();
        assert!(kind.strip_prefix("AWS::").is_some_and(|kind| kinds.contains(&kind)), "{kind}");
        // None is made everywhere.
        assert!(resource["Condition"].is_string(), "{resource}");
    }
}

#[test]
fn a_stack_has_what_its_account_and_region_need() {
    let forward = |region: &str| format!("suture-member-forward-{region}");
    for (account, region) in [(OTHER_ACCOUNT, "eu-west-1"), (ACCOUNT, "eu-west-1")] {
        let template = deployed(account, region);
        assert_eq!(names(&template), BTreeSet::from([forward(region).as_str()]), "{account} {region}");
        assert!(!template.forwards.is_empty());
    }
    // At the hub itself the hub's rules hear everything, and a role here would be one that nobody needs.
    let template = deployed(ACCOUNT, HOME);
    assert!(template.roles.is_empty() && template.forwards.is_empty() && template.resources.is_empty());
    let mut elsewhere = world(OTHER_ACCOUNT, "us-gov-west-1", "aws-us-gov");
    elsewhere.parameters.insert("RolesRegion".to_owned(), "us-gov-west-1".to_owned());
    let template = Template::parse(&text(), &elsewhere).unwrap();
    assert_eq!(template.roles.len(), lenders().len() + 2);
}

#[test]
fn a_role_is_lent_to_one_role_of_the_hub_that_knows_the_external_id() {
    let template = deployed(OTHER_ACCOUNT, "us-east-1");
    let hub = Template::read(&file("template.yaml"), &World::default()).unwrap();
    for function in &hub.functions {
        let Some(role) = template.roles.iter().find(|role| role.name == format!("suture-member-{}", function.code_dir))
        else {
            assert!(!lenders().iter().any(|about| about.id == function.code_dir), "{}", function.code_dir);
            continue;
        };
        let trust = json!({
            "Effect": "Allow",
            "Principal": {"AWS": function.role_arn},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID, "aws:PrincipalOrgID": ORGANIZATION}},
        });
        assert_eq!(role.trust, [trust], "{}", role.name);
        assert_eq!(role.longest_session, 3600);
    }
    let forward = role(&template, "suture-member-forward-us-east-1");
    let rules = format!("arn:aws:events:us-east-1:{OTHER_ACCOUNT}:rule/suture-member-*");
    let trust = json!({
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": OTHER_ACCOUNT}, "ArnLike": {"aws:SourceArn": rules}},
    });
    assert_eq!(forward.trust, [trust]);
    let bus = format!("arn:aws:events:{HOME}:{ACCOUNT}:event-bus/default");
    assert_eq!(allowed(&forward.statements), BTreeSet::from([("events:PutEvents".to_owned(), bus.clone())]));
    for rule in &template.forwards {
        assert_eq!(
            (rule.bus.as_str(), rule.role.as_deref()),
            (bus.as_str(), Some(forward.arn.as_str())),
            "{}",
            rule.name
        );
        // What the role's and the queue's policies know the rules by.
        assert!(rule.name.starts_with("suture-member-"), "{}", rule.name);
        let queue = template.resources.iter().find(|resource| resource.kind == "AWS::SQS::Queue").unwrap();
        let ends = format!("arn:aws:sqs:us-east-1:{OTHER_ACCOUNT}:{}", queue.name);
        assert_eq!(rule.dead_letters.as_deref(), Some(ends.as_str()), "{}", rule.name);
    }
}

#[test]
fn a_role_may_do_what_the_hubs_role_may_and_no_more() {
    let template = deployed(OTHER_ACCOUNT, "us-east-1");
    // The hub's template as it would read in the member's account: an ARN with the account's id in it means the member's.
    let there = World { account: OTHER_ACCOUNT.to_owned(), ..World::default() };
    let hub = Template::read(&file("template.yaml"), &there).unwrap();
    for about in lenders() {
        let may = allowed(&role(&template, &format!("suture-member-{}", about.id)).statements);
        let at_hub = allowed(&role(&hub, &format!("suture-{}-us-east-1", about.id)).statements);
        assert!(may.is_subset(&at_hub), "{}: {:?}", about.id, may.difference(&at_hub).collect::<Vec<_>>());
        let is: BTreeSet<_> = may.iter().map(|(action, _)| action.clone()).collect();
        let declared = actions(&about);
        assert_eq!(
            is,
            declared.iter().cloned().chain(replies(&about).into_iter().map(str::to_owned)).collect(),
            "{}",
            about.id
        );
        for (action, on) in at_hub.iter().filter(|(action, _)| declared.contains(action)) {
            assert!(may.contains(&(action.clone(), on.clone())), "{}: {action} on {on}", about.id);
        }
    }
    // What the docs promise of every role that is lent.
    let never = [
        "iam:Pass",
        "iam:Put",
        "iam:Attach",
        "iam:Create",
        "sts:",
        "s3:GetObject",
        "dynamodb:",
        "kms:Decrypt",
        "lambda:",
    ];
    for role in &template.roles {
        for (action, _) in allowed(&role.statements) {
            assert!(!never.iter().any(|prefix| action.starts_with(prefix)), "{}: {action}", role.name);
        }
    }
    let controls = lenders();
    let may = allowed(&role(&template, "suture-member-undo").statements);
    assert!(may.is_subset(&allowed(&role(&hub, "suture-undo-us-east-1").statements)));
    let is: BTreeSet<_> = may.iter().map(|(action, _)| action.clone()).collect();
    assert_eq!(is, undo_allowed(&controls).into_iter().map(|(action, _)| action.to_owned()).collect());
}

/// As many controls as there will be, each as talkative as those that are there.
fn fifty() -> Vec<About> {
    let lenders = lenders();
    let grown = (0..50).map(|number| {
        let mut about = lenders[number % lenders.len()].clone();
        let stem: String = about.id.chars().take(26).collect();
        about.id = format!("{stem}-{number:02}");
        for name in about.watches.iter_mut().flat_map(|watch| &mut watch.events) {
            if number >= lenders.len() {
                *name = format!("{name}{number}");
            }
        }
        about.security_hub.iter_mut().for_each(|id| *id = format!("{id}{number}"));
        about
    });
    grown.collect()
}

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>,
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
#[test]
fn nothing_is_longer_than_aws_takes_now_and_with_fifty_controls() {
    for (count, text) in [(lenders().len(), text()), (50, member(&fifty()))] {
        let long = yaml::parse(&text).unwrap();
        let pattern = long["Parameters"]["HubStack"]["AllowedPattern"].as_str().unwrap().to_owned();
        let longest: usize = pattern.split([',', '}']).nth(1).unwrap().parse().unwrap();
        let stack = "s".repeat(longest + 1);
        assert!(pattern.ends_with(&format!("{{0,{longest}}}$")) && stack.len() >= 12, "{pattern}");
        let (mut most, mut roles) = (0, 0);
        for (account, partition, region) in
            [(OTHER_ACCOUNT, "aws-us-gov", "ap-southeast-2"), (ACCOUNT, "aws-us-gov", "ap-northeast-1")]
        {
            let mut world = world(account, region, partition);
            for (name, value) in
                [("HubStack", stack.as_str()), ("HubRegion", "ap-southeast-1"), ("RolesRegion", region)]
            {
                world.parameters.insert(name.to_owned(), value.to_owned());
            }
            let template = Template::parse(&text, &world).unwrap();
            for rule in &template.forwards {
                let length = rule.pattern.to_string().len();
                most = most.max(length);
                assert!(length <= LONGEST_PATTERN, "{count} controls: {}: {length}", rule.name);
                assert!(rule.name.len() <= 64, "{}", rule.name);
            }
            for role in &template.roles {
                assert!(role.name.len() <= 64, "{}", role.name);
                let length: usize = role.statements.iter().map(|statement| statement.to_string().len()).sum();
                assert!(length < 10_240, "{}: {length}", role.name);
            }
            roles = roles.max(template.roles.len());
        }
        assert!(count < 50 || most > 1500, "nothing near the limit: {most}");
        assert_eq!(roles, count + 2);
        let resources = long["Resources"].as_object().unwrap().len();
        assert!(resources < 150, "{count} controls: {resources} resources");
        assert!(
            text.len() < 1_000_000,
            "{count} controls: {} bytes, and a template in S3 has 1 MB at most",
            text.len()
        );
        // A role of the hub has the control's name and the region's in its own.
        let hub_role =
            stack.len() + 2 + "ap-southeast-2".len() + lenders().iter().map(|about| about.id.len()).max().unwrap();
        assert!(hub_role <= 64, "{hub_role}");
    }
}

#[test]
fn nothing_names_a_partition() {
    for partition in ["aws", "aws-us-gov", "aws-cn"] {
        for account in [ACCOUNT, OTHER_ACCOUNT] {
            let mut world = world(account, "eu-west-1", partition);
            world.parameters.insert("RolesRegion".to_owned(), "eu-west-1".to_owned());
            world.parameters.insert("PermissionsBoundary".to_owned(), "bounds/suture".to_owned());
            let resolved = format!("{:?}", Template::parse(&text(), &world).unwrap());
            let mut arns = 0;
            for rest in resolved.split("\"arn:").skip(1) {
                assert_eq!(rest.split(':').next(), Some(partition), "arn:{}", &rest[..60.min(rest.len())]);
                arns += 1;
            }
            assert!(arns > 20, "{arns}");
        }
    }
    // CloudTrail's names of services and the principals of services are the same everywhere; hosts are not, and none is named.
    for (line, text) in text().lines().enumerate() {
        let code = text.split(" # ").next().unwrap();
        if code.trim_start().starts_with('#') {
            continue;
        }
        assert!(!code.contains("arn:aws"), "line {}: {code}", line + 1);
        let of_services = ["eventSource: [", "Principal: {Service: ", "Value: events."];
        assert!(
            !code.contains("amazonaws") || of_services.iter().any(|known| code.contains(known)),
            "{}: {code}",
            line + 1
        );
    }
}

/// What a person types must be what the template takes, in the way that it can still be handed over.
#[test]
fn the_docs_type_what_the_template_asks_for() {
    let docs = std::fs::read_to_string(file("docs/many-accounts.md")).unwrap();
    for (name, parameter) in yaml::parse(&text()).unwrap()["Parameters"].as_object().unwrap() {
        assert!(docs.contains(&format!("`{name}`")), "docs/many-accounts.md says nothing of {name}");
        if parameter.get("Default").is_none() {
            assert!(docs.contains(&format!("ParameterKey={name},ParameterValue=")), "create-stack-set needs {name}");
        }
    }
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackSet.html
    let inline = docs.contains("--template-body file://member.yaml");
    let (size, url) = (text().len(), docs.contains("--template-url "));
    assert!(
        if size <= 51_200 { inline } else { !inline && url },
        "{size} bytes: a template of more than 51,200 goes by S3"
    );
    assert!(!text().contains("Transform:"), "a service-managed StackSet refuses macros");
}

/// The policy that keeps members' hands off what is lent covers all of it.
#[test]
fn the_docs_policy_covers_every_role_and_rule() {
    let docs = std::fs::read_to_string(file("docs/many-accounts.md")).unwrap();
    let policy: Value =
        serde_json::from_str(docs.split("```json").nth(1).unwrap().split("```").next().unwrap()).unwrap();
    let [first, second] = policy["Statement"].as_array().unwrap().as_slice() else { panic!("{policy}") };
    let begins =
        |statement: &Value| statement["Resource"].as_str().unwrap().rsplit(['/', ':']).next().unwrap().to_owned();
    let template = deployed(OTHER_ACCOUNT, "us-east-1");
    for (statement, names) in [
        (first, template.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>()),
        (second, template.forwards.iter().map(|rule| rule.name.as_str()).collect()),
    ] {
        let prefix = begins(statement);
        let prefix = prefix.strip_suffix('*').unwrap();
        assert!(names.iter().all(|name| name.starts_with(prefix)), "{prefix}: {names:?}");
        assert_eq!(statement["Effect"], "Deny");
    }
}
