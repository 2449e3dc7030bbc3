//! The template as a cloud engineer looks at it: what is deployed where, what watches it, and how far it grows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use lab::bus::Bus;
use lab::template::{Template, World, whole, yaml};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use system_tests::template::{pascal_case, resources};
use system_tests::{ACCOUNT, controls, event, folders, invoke, outcome, shared, workspace};

/// Each partition, and a region of it.
const WORLDS: [(&str, &str); 3] = [("aws", "us-east-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")];
const THEIR_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn text() -> String {
    std::fs::read_to_string(workspace().join("template.yaml")).unwrap()
}

/// The template in long form, nothing resolved.
fn template() -> Value {
    yaml::parse(&text()).unwrap()
}

fn world(partition: &str, region: &str, parameters: &[(&str, &str)]) -> World {
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    World {
        partition: partition.to_owned(),
        region: region.to_owned(),
        parameters: parameters.collect(),
        ..World::default()
    }
}

/// The resources as they would be in us-east-1 with these parameters, by logical id.
fn deployed(parameters: &[(&str, &str)]) -> Map<String, Value> {
    made(&world("aws", "us-east-1", parameters))
}

fn made(world: &World) -> Map<String, Value> {
    whole(&text(), world).unwrap()["Resources"].as_object().unwrap().clone()
}

fn of<'a>(resources: &'a Map<String, Value>, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let found = resources.iter().filter(|(_, resource)| resource["Type"] == kind);
    found.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect()
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// Every text in a value, keys among them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(object) => {
            object.iter().flat_map(|(key, value)| [vec![key.clone()], texts(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

/// SAM makes resources of a function's events and of what becomes of them, and refuses the template if one is there already.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources.html>
#[test]
fn nothing_has_the_name_of_what_sam_makes() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    for (logical, function) in resources.iter().filter(|(_, one)| one["Type"] == "AWS::Serverless::Function") {
        let events = function["Properties"]["Events"].as_object().into_iter().flatten();
        let made = events.flat_map(|(event, _)| [format!("{logical}{event}"), format!("{logical}{event}Permission")]);
        for name in made.chain([format!("{logical}EventInvokeConfig")]) {
            assert!(!resources.contains_key(&name), "SAM makes a {name}, too");
        }
    }
}

/// What docs/operations.md says of the limits, computed: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
#[test]
fn a_stack_holds_as_many_controls_as_the_docs_say() {
    let (template, controls) = (template(), controls());
    let (all, count) = (resources(&template), controls.len());
    let bare = system_tests::template::remade(&text(), &[]);
    let shared = resources(&yaml::parse(&bare).unwrap());
    let fit = (500 - shared) * count / (all - shared);
    let docs = std::fs::read_to_string(workspace().join("docs/operations.md")).unwrap();
    let said = format!("{fit} controls");
    assert!(docs.contains(&said), "docs/operations.md does not say {said}: {all} resources, {shared} of them shared");
    let grown = |whole: usize, shared: usize| shared + (whole - shared) * 50 / count;
    assert!(grown(text().len(), bare.len()) < 1_000_000, "the template of fifty is more than CloudFormation takes");
    for section in ["Outputs", "Parameters"] {
        let whole = template[section].as_object().unwrap().len();
        let bare = yaml::parse(&bare).unwrap()[section].as_object().unwrap().len();
        assert!(grown(whole, bare) <= 200, "{section} of fifty controls");
    }
}

#[test]
fn every_parameter_is_in_one_group_of_the_consoles_form() {
    let template = template();
    let groups = template.pointer("/Metadata/AWS::CloudFormation::Interface/ParameterGroups").unwrap();
    let mut grouped: Vec<&str> = groups
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| list(&group["Parameters"]))
        .map(|name| name.as_str().unwrap())
        .collect();
    grouped.sort_unstable();
    let declared: Vec<&str> = template["Parameters"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut sorted = declared.clone();
    sorted.sort_unstable();
    assert_eq!(grouped, sorted);
    for (name, parameter) in template["Parameters"].as_object().unwrap() {
        assert!(
            parameter.get("Default").is_some(),
            "{name}: who types `sam deploy` and nothing else gets a sound deployment"
        );
        assert!(parameter["Description"].as_str().is_some_and(|text| text.len() > 20), "{name}");
    }
}

/// A host of the services of AWS, and whether it is one in this partition.
fn foreign(text: &str, partition: &str, region: &str) -> Option<String> {
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest.find("amazonaws.com") {
        let at = from + at;
        let begin =
            text[..at].rfind(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-').map_or(0, |at| at + 1);
        let (host, after) = (&text[begin..at], &text[at + "amazonaws.com".len()..]);
        // A service principal without a region is the same everywhere, and so are the sources of CloudTrail's events. What ends
        // with a star matches both.
        let regional = host.contains(region);
        let chinese = after.starts_with(".cn");
        if host.is_empty() || (chinese != (partition == "aws-cn") && (chinese || regional) && !after.starts_with('*')) {
            return Some(text[begin..].to_owned());
        }
        from = at + "amazonaws.com".len();
        rest = &text[from..];
    }
    None
}

#[test]
fn a_host_of_another_partition_is_seen() {
    for (text, partition, region, ought) in [
        ("lambda.amazonaws.com", "aws-cn", "cn-north-1", false),
        ("logs.cn-north-1.amazonaws.com", "aws-cn", "cn-north-1", true),
        ("logs.cn-north-1.amazonaws.com.cn", "aws-cn", "cn-north-1", false),
        ("s3.cn-north-1.amazonaws.com*", "aws-cn", "cn-north-1", false),
        ("a https://sqs.us-east-1.amazonaws.com/1 and x.us-east-1.amazonaws.com.cn", "aws", "us-east-1", true),
        ("https://sqs.us-east-1.amazonaws.com/1/q", "aws", "us-east-1", false),
    ] {
        assert_eq!(foreign(text, partition, region).is_some(), ought, "{text}");
    }
}

#[test]
fn every_partition_has_its_own_arns_and_hosts() {
    for (partition, region) in WORLDS {
        let members = [("OrganizationId", "o-exampleorg1"), ("ExternalId", "clinic-suture")];
        let theirs = format!("arn:{partition}:kms:{region}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
        for parameters in [&members[..], &[("KeyArn", theirs.as_str()), ("Accounts", "444455556666")][..]] {
            let whole = whole(&text(), &world(partition, region, parameters)).unwrap();
            for text in texts(&whole) {
                // What parameters are told as an example is no ARN of ours.
                for (at, _) in text.match_indices("arn:") {
                    let arn = &text[at..];
                    assert!(arn.starts_with(&format!("arn:{partition}:")), "{partition}: {arn}");
                }
                assert_eq!(foreign(&text, partition, region), None, "{partition}");
            }
        }
    }
    assert!(
        !text().lines().any(|line| line.contains("arn:aws:") && !line.contains("Description:")),
        "a partition is written out"
    );
}

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>,
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
#[test]
fn names_patterns_and_environments_fit_also_where_names_are_long() {
    let parameters = [("OrganizationId", "o-exampleorg1"), ("ExternalId", "clinic-suture")];
    let mut longest = world("aws-us-gov", "us-gov-west-1", &parameters);
    longest.stack = "suture-audit".to_owned();
    let resources = made(&longest);
    for (name, rule) in of(&resources, "AWS::Events::Rule") {
        assert!(rule["Name"].as_str().unwrap().len() <= 64, "{name}");
        assert!(rule.get("EventPattern").is_none_or(|pattern| pattern.to_string().len() <= 2048), "{name}");
    }
    for (name, role) in of(&resources, "AWS::IAM::Role") {
        assert!(role["RoleName"].as_str().unwrap().len() <= 64, "{name}");
    }
    for function in Template::parse(&text(), &longest).unwrap().functions {
        assert!(function.name.len() <= 64, "{}", function.name);
        let size: usize = function.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        // 4 KB, of which parameters may take half.
        assert!(size <= 2048, "{}: {size}", function.name);
    }
}

#[test]
fn every_rule_may_wake_its_function_and_keeps_what_it_cannot_hand_over() {
    let resources = deployed(&[]);
    let dead_letters = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:suture-UnhandledEvents");
    for (name, rule) in of(&resources, "AWS::Events::Rule") {
        for target in list(&rule["Targets"]) {
            assert_eq!(target["DeadLetterConfig"]["Arn"], dead_letters, "{name}");
            assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 86400, "{name}");
        }
    }
    for function in Template::parse(&text(), &World::default()).unwrap().functions {
        for rule in function.rules {
            assert!(rule.permitted, "{} may not invoke its function", rule.name);
            assert_eq!(rule.dead_letters.as_deref(), Some(dead_letters.as_str()), "{}", rule.name);
        }
        // Who starts the undo function waits for its answer.
        let ought = (function.code_dir != "undo").then_some(dead_letters.as_str());
        assert_eq!(function.on_failure.as_deref(), ought, "{}", function.name);
    }
}

#[test]
fn a_sweeps_parts_have_a_queue_that_gives_them_back() {
    let resources = deployed(&[]);
    let dead_letters = format!("arn:aws:sqs:us-east-1:{ACCOUNT}:suture-UnhandledEvents");
    let functions = Template::parse(&text(), &World::default()).unwrap().functions;
    let policies = of(&resources, "AWS::SQS::QueuePolicy");
    for about in controls() {
        let function = functions.iter().find(|function| function.code_dir == about.id).unwrap();
        if about.sweeps.is_none() {
            assert!(function.queues.is_empty() && !function.environment.contains_key("SUTURE_SWEEP_QUEUE"));
            continue;
        }
        let name = format!("{}SweepQueue", pascal_case(&about.id));
        let queue = &resources[&name]["Properties"];
        assert_eq!(queue["VisibilityTimeout"], 6 * function.timeout, "{name}");
        assert_eq!(queue["RedrivePolicy"], json!({"deadLetterTargetArn": dead_letters, "maxReceiveCount": 5}));
        assert_eq!(queue["SqsManagedSseEnabled"], true, "{name}");
        let [source] = function.queues.as_slice() else { panic!("{name}: {:?}", function.queues) };
        assert_eq!(source.queue, format!("arn:aws:sqs:us-east-1:{ACCOUNT}:suture-{name}"));
        assert!(source.partial, "{name}");
        assert!(
            source.concurrency.unwrap() < function.reserved_concurrency.unwrap() as usize,
            "{name}: no room for events"
        );
        let url = format!("https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/suture-{name}");
        assert_eq!(function.environment["SUTURE_SWEEP_QUEUE"], url);
        let covered = policies.iter().any(|(_, policy)| list(&policy["Queues"]).contains(&&url.clone().into()));
        assert!(covered, "{name}: nothing asks for TLS");
    }
}

#[test]
fn modes_concurrency_and_members_follow_their_parameters() {
    let read = |parameters: &[(&str, &str)]| Template::parse(&text(), &world("aws", "us-east-1", parameters)).unwrap();
    let alone = read(&[]);
    assert!(alone.bus_policy.is_empty(), "nobody else may send events");
    for function in &alone.functions {
        assert_eq!(function.environment["SUTURE_MODES"], "");
        assert_eq!(function.environment.get("SUTURE_MEMBER_ROLE").map_or("", String::as_str), "", "{}", function.name);
        assert!(!function.permissions.iter().any(|one| one["Action"] == "sts:AssumeRole"), "{}", function.name);
        assert!(function.reserved_concurrency.is_some());
    }
    let hub = read(&[
        ("ModeOverrides", "s3-public-bucket=enforce,iam-stale-access-key=approve"),
        ("ReservedConcurrency", "0"),
        ("OrganizationId", "o-exampleorg1"),
        ("ExternalId", "clinic-suture"),
    ]);
    for function in &hub.functions {
        let set = |name: &str| function.environment.get(name).map(String::as_str);
        assert_eq!(set("SUTURE_MODES"), Some("s3-public-bucket=enforce,iam-stale-access-key=approve"));
        assert_eq!(set("SUTURE_EXTERNAL_ID"), Some("clinic-suture"));
        assert_eq!(function.reserved_concurrency, None, "{}", function.name);
        let assumes = function.permissions.iter().any(|one| one["Action"] == "sts:AssumeRole");
        let ought = !["recorder", "suture-tampering"].contains(&function.code_dir.as_str());
        assert_eq!(assumes, ought, "{}", function.name);
        let role = ought.then(|| format!("arn:aws:iam::{{account}}:role/suture-member-{}", function.code_dir));
        assert_eq!(set("SUTURE_MEMBER_ROLE"), role.as_deref(), "{}", function.name);
    }
    let [statement] = hub.bus_policy.as_slice() else { panic!("{:?}", hub.bus_policy) };
    assert_eq!(statement["Condition"]["StringEquals"], json!({"aws:PrincipalOrgID": "o-exampleorg1"}));
    assert_eq!(statement["Action"], "events:PutEvents");
    let rules = &template()["Rules"]["MembersHearAnExternalId"];
    assert_eq!(rules["Assertions"][0]["Assert"], json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "ExternalId"}, ""]}]}));
}

#[test]
fn logs_are_kept_and_encrypted_with_the_key_that_is_given() {
    for (parameters, ought) in [(vec![], None), (vec![("KeyArn", THEIR_KEY)], Some(THEIR_KEY))] {
        let resources = deployed(&parameters);
        assert_eq!(resources.contains_key("Key"), ought.is_none());
        let logs = of(&resources, "AWS::Logs::LogGroup");
        assert_eq!(logs.len(), folders().len() + 2);
        for (name, log) in logs {
            let key = log["KmsKeyId"].as_str().unwrap();
            assert!(key.starts_with("arn:aws:kms:") && ought.is_none_or(|ought| key == ought), "{name}: {key}");
            assert_eq!(log["RetentionInDays"], "2192", "{name}");
        }
    }
    let resources = deployed(&[]);
    let statements = resources["Key"]["Properties"]["KeyPolicy"]["Statement"].as_array().unwrap().clone();
    let by = |service: &str| statements.iter().find(|one| one["Principal"]["Service"] == service).unwrap().clone();
    let logs = by("logs.us-east-1.amazonaws.com");
    let context = &logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"];
    assert_eq!(*context, format!("arn:aws:logs:us-east-1:{ACCOUNT}:log-group:suture-*"), "nobody else's logs");
    assert_eq!(by("cloudwatch.amazonaws.com")["Condition"]["StringEquals"], json!({"aws:SourceAccount": ACCOUNT}));
    assert!(by("events.amazonaws.com").get("Condition").is_none(), "EventBridge names no source to KMS");
}

/// The metrics that functions write, by the dimensions that they have: see `remediation::metrics`.
const METRICS: [&str; 7] = ["Outcomes", "Writes", "TookMs", "TimeToFixMs", "BudgetReached", "KillSwitch", "Sweeps"];

#[test]
fn an_alarm_says_what_to_do_first_and_looks_at_what_there_is() {
    let resources = deployed(&[]);
    let ids: BTreeSet<String> = folders().into_iter().collect();
    let functions: BTreeMap<String, String> = Template::parse(&text(), &World::default())
        .unwrap()
        .functions
        .into_iter()
        .map(|one| (one.name, one.logical_id))
        .collect();
    let (mut swept, mut failing) = (BTreeSet::new(), BTreeSet::new());
    let alarms = of(&resources, "AWS::CloudWatch::Alarm");
    for (name, alarm) in &alarms {
        let family = name.trim_end_matches(char::is_numeric);
        let text = alarm["AlarmDescription"].as_str().unwrap();
        assert!(
            text.len() <= 1024 && text.ends_with(&format!("docs/operations.md#{}", family.to_lowercase())),
            "{text}"
        );
        assert!(text.contains(". First "), "{name} does not say what to do first");
        assert_eq!(alarm["AlarmActions"], json!([format!("arn:aws:sns:us-east-1:{ACCOUNT}:suture-Announcements")]));
        assert!(alarm.get("TreatMissingData").is_some(), "{name}");
        let metrics: Vec<Value> = match alarm.get("Metrics") {
            Some(metrics) => {
                list(metrics).into_iter().filter_map(|one| one.pointer("/MetricStat/Metric").cloned()).collect()
            }
            None => vec![(*alarm).clone()],
        };
        assert!((1..=10).contains(&metrics.len()), "{name}: {} metrics", metrics.len());
        for metric in metrics {
            let dimensions = metric.get("Dimensions").and_then(Value::as_array).cloned().unwrap_or_default();
            for dimension in &dimensions {
                let value = dimension["Value"].as_str().unwrap().to_owned();
                match (dimension["Name"].as_str().unwrap(), family) {
                    ("control", "SweepsAlarm") => assert!(swept.insert(value), "{name}"),
                    ("control", _) => assert!(ids.contains(&value), "{name}: {value}"),
                    ("FunctionName", "ErrorsAlarm") => {
                        failing.insert(functions[&value].clone());
                    }
                    ("FunctionName", _) => assert!(functions.contains_key(&value), "{name}: {value}"),
                    ("outcome", _) => assert!(
                        ["failed", "unverified", "partly-fixed", "refused"].contains(&value.as_str()),
                        "{name}: {value}"
                    ),
                    ("QueueName", _) => assert_eq!(value, "suture-UnhandledEvents"),
                    (other, _) => panic!("{name}: {other}"),
                }
            }
            if metric["Namespace"] == remediation::metrics::NAMESPACE {
                assert!(METRICS.contains(&metric["MetricName"].as_str().unwrap()), "{name}: {metric}");
            }
        }
    }
    let ought: BTreeSet<String> = controls().into_iter().filter(|one| one.sweeps.is_some()).map(|one| one.id).collect();
    assert_eq!(swept, ought, "every sweep that goes missing is told");
    assert_eq!(failing, functions.into_values().collect(), "every function that fails is told");
    let body: Value =
        serde_json::from_str(resources["Dashboard"]["Properties"]["DashboardBody"].as_str().unwrap()).unwrap();
    for widget in body["widgets"].as_array().unwrap() {
        let (x, width) = (widget["x"].as_u64().unwrap(), widget["width"].as_u64().unwrap());
        assert!(x + width <= 24 && widget["properties"]["region"] == "us-east-1", "{widget}");
        for expression in texts(widget).into_iter().filter(|text| text.starts_with("SEARCH(")) {
            let known =
                METRICS.iter().chain(&["Duration"]).any(|name| expression.contains(&format!("MetricName=\"{name}\"")));
            assert!(known, "{expression}");
        }
    }
}

#[test]
fn the_gravest_calls_are_told_without_any_function() {
    let grave = [
        "delete-bucket",
        "delete-bucket-policy",
        "delete-bucket-public-access-block",
        "delete-function",
        "delete-rule",
        "delete-table",
        "disable-key",
        "disable-rule",
        "kms-schedule-key-deletion",
        "own-call", // a role of ours that disables a rule is in somebody else's hands
        "put-function-concurrency",
        "remove-permission",
        "remove-targets",
    ];
    // The key of the events is one of the customer's own.
    let resources = deployed(&[("KeyArn", THEIR_KEY)]);
    let rule = &resources["GravestCalls"]["Properties"];
    let pattern = rule["EventPattern"].clone();
    let bus = Bus::new([("gravest-calls".to_owned(), String::new(), pattern)]).unwrap();
    let mut told = BTreeSet::new();
    for entry in std::fs::read_dir(workspace().join("events/suture-tampering")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".json").unwrap();
        // Made up: PutRule refuses such names.
        if name.starts_with("hostile-") || name.starts_with("unrendered-") {
            continue;
        }
        let event = event("suture-tampering", name);
        if !bus.matching(&event).is_empty() {
            told.insert(name.to_owned());
            // And a person can read who did what to what.
            let transformer = &rule["Targets"][0]["InputTransformer"];
            let paths = transformer["InputPathsMap"].as_object().unwrap();
            assert!(paths.len() <= 10);
            let mut text = transformer["InputTemplate"].as_str().unwrap().to_owned();
            for (variable, path) in paths {
                let pointer = path.as_str().unwrap().replacen('$', "", 1).replace('.', "/");
                let value = event.pointer(&pointer).map_or("", |value| value.as_str().unwrap());
                text = text.replace(&format!("<{variable}>"), value);
            }
            for line in text.lines() {
                assert!(line.starts_with('"') && line.ends_with('"') && !line.contains(['<', '>']), "{line}");
            }
            assert!(text.contains(event["detail"]["eventName"].as_str().unwrap()), "{text}");
            assert!(!text.contains("on ,"), "{name}: on what? {text}");
        }
    }
    assert_eq!(told, grave.map(str::to_owned).into());
    let mut stopped = event("suture-tampering", "put-function-concurrency");
    stopped["detail"]["requestParameters"]["reservedConcurrentExecutions"] = 5.into();
    assert!(bus.matching(&stopped).is_empty(), "5 at once is no end");
    // The key of the stack's own, by its id and by its ARN.
    let resources = deployed(&[]);
    let pattern = resources["GravestCalls"]["Properties"]["EventPattern"].clone();
    let bus = Bus::new([("gravest-calls".to_owned(), String::new(), pattern)]).unwrap();
    let arn = resources["RecorderLog"]["Properties"]["KmsKeyId"].as_str().unwrap();
    for key in [arn, arn.rsplit('/').next().unwrap()] {
        let mut event = event("suture-tampering", "disable-key");
        assert!(bus.matching(&event).is_empty(), "another key");
        event["detail"]["requestParameters"]["keyId"] = key.into();
        assert_eq!(bus.matching(&event).len(), 1, "{key}");
    }
}

/// Who may do what is never everybody: principals are this account, services with a source, or an organization's.
#[test]
fn no_policy_of_ours_is_public() {
    let resources = deployed(&[("OrganizationId", "o-exampleorg1"), ("ExternalId", "clinic-suture")]);
    let mut seen = 0;
    for (name, resource) in &resources {
        let properties = &resource["Properties"];
        let documents =
            ["PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"].map(|key| &properties[key]["Statement"]);
        for statement in documents.into_iter().chain([&properties["Statement"]]).flat_map(list) {
            if statement.is_null() || statement["Effect"] == "Deny" {
                continue;
            }
            seen += 1;
            let principal = &statement["Principal"];
            let everybody = texts(principal).iter().any(|one| one == "*");
            let narrowed = statement["Condition"]["StringEquals"].get("aws:PrincipalOrgID").is_some();
            assert!(!everybody || narrowed, "{name}: {statement}");
            assert!(principal.is_string() || principal.is_object(), "{name}: {statement}");
        }
    }
    assert!(seen > 15, "{seen}: what is tested here?");
    for (name, policy) in of(&resources, "AWS::Lambda::Permission") {
        let source = policy.get("SourceArn").or(policy.get("SourceAccount"));
        assert!(source.is_some(), "{name}: any account's events");
    }
}

#[test]
fn our_own_bucket_passes_our_own_controls() {
    let (name, resources) = ("suture-evidencebucket", deployed(&[]));
    assert!(resources.contains_key("EvidenceBucket"));
    shared(async |lab| {
        for control in ["s3-public-acl", "s3-public-bucket", "s3-public-policy", "s3-weak-encryption"] {
            let request = json!({
                "control": control, "resource": name, "account": ACCOUNT, "region": "us-east-1", "mode": "plan", "reason": "ours",
            });
            let report = invoke(lab, control, &request).await;
            assert_eq!(outcome(&report), "compliant", "{control}: {:?}", report.answer);
        }
    });
}
