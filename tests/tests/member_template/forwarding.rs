//! What the hub's rules would take is forwarded to it, once, and nothing else is.

use crate::{deployed, file, lenders, text, texts, world};
use lab::bus::Bus;
use lab::template::{Template, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use system_tests::{ACCOUNT, HOME, OTHER_ACCOUNT, Watch, controls, event, folders};

/// The rules that forward, as a bus: which events they would take.
fn forwards(template: &Template) -> Bus {
    let rules = template.forwards.iter().map(|rule| (rule.name.clone(), rule.bus.clone(), rule.pattern.clone()));
    Bus::new(rules).unwrap()
}

/// The hub's rules for the controls that members lend roles to.
fn hub() -> Bus {
    let template = Template::read(&file("template.yaml"), &World::default()).unwrap();
    let lenders: BTreeSet<_> = lenders().into_iter().map(|about| about.id).collect();
    let functions = template.functions.into_iter().filter(|function| lenders.contains(&function.code_dir));
    let rules = functions.flat_map(|function| {
        function.rules.into_iter().map(move |rule| (rule.name, function.code_dir.clone(), rule.pattern))
    });
    Bus::new(rules).unwrap()
}

/// The event as it would be in a member account: its account, and the names that our roles have there.
fn in_member(event: &Value) -> Value {
    let mut text = event.to_string().replace(ACCOUNT, OTHER_ACCOUNT);
    for id in folders() {
        text = text.replace(&format!("role/suture-{id}-{HOME}"), &format!("role/suture-member-{id}"));
    }
    serde_json::from_str(&text.replace(&format!("role/suture-undo-{HOME}"), "role/suture-member-undo")).unwrap()
}

#[test]
fn what_the_hubs_rules_would_take_is_forwarded_once_and_nothing_else_is() {
    let (hub, member) = (hub(), forwards(&deployed(OTHER_ACCOUNT, "us-east-1")));
    let at_hub = forwards(&deployed(ACCOUNT, "eu-west-1"));
    let (mut taken, mut left) = (BTreeSet::new(), 0);
    for about in controls() {
        for entry in std::fs::read_dir(file("events").join(&about.id)).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            let event = event(&about.id, &name);
            if event.get("detail-type").is_none() {
                continue;
            }
            let place = format!("events/{}/{name}.json", about.id);
            for (bus, event) in [(&member, in_member(&event)), (&at_hub, event.clone())] {
                let forwarded: Vec<_> = bus.matching(&event).iter().map(|rule| rule.name.clone()).collect();
                assert!(forwarded.len() <= 1, "{place} twice: {forwarded:?}");
                // The hub's rules know the hub's roles only: that it is our own doing there is for the member to say.
                let ought = !name.starts_with("own-") && !hub.matching(&event).is_empty();
                assert_eq!(forwarded.len() == 1, ought, "{place}: {event}");
                left += usize::from(!ought);
                taken.extend(forwarded);
            }
        }
    }
    assert!(left > 20, "look-alikes: {left}");
    let rules: BTreeSet<_> = member.rules().map(|rule| rule.name.clone()).collect();
    assert_eq!(rules, taken, "no rule is there for nothing");
}

#[test]
fn every_watched_call_is_forwarded_unless_it_failed_or_was_ours() {
    let member = forwards(&deployed(OTHER_ACCOUNT, "us-east-1"));
    let forwarded = |event: &Value| !member.matching(event).is_empty();
    let arn = |account: &str, role: &str| format!("arn:aws:iam::{account}:role/{role}");
    let makes = |watch: &Watch, name: &str| format!("{}:{name}", watch.event_source.split('.').next().unwrap());
    let (lenders, mut others) = (lenders(), 0);
    for about in &lenders {
        for watch in &about.watches {
            for name in &watch.events {
                let call = |issuer: Option<String>| {
                    let identity = match issuer {
                        Some(arn) => json!({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": arn}}}),
                        None => json!({"type": "IAMUser"}),
                    };
                    json!({
                        "source": watch.source,
                        "detail-type": "AWS API Call via CloudTrail",
                        "detail": {"eventSource": watch.event_source, "eventName": name, "userIdentity": identity},
                    })
                };
                let by = |account: &str, role: &str| forwarded(&call(Some(arn(account, role))));
                assert!(forwarded(&call(None)), "{name} by a user");
                assert!(by(OTHER_ACCOUNT, "deploy"), "{name} by a role");
                // Nobody is left out for what the name begins with, or for a name that means something in another account.
                assert!(by(OTHER_ACCOUNT, "suture-member-evil"), "{name}");
                assert!(by(OTHER_ACCOUNT, &format!("suture-member-{}-too", about.id)), "{name}");
                assert!(by(ACCOUNT, &format!("suture-member-{}", about.id)), "{name}");
                assert!(by(OTHER_ACCOUNT, &format!("suture-{}-{HOME}", about.id)), "{name}");
                assert!(!by(OTHER_ACCOUNT, &format!("suture-member-{}", about.id)), "{name} by ourselves");
                assert!(!by(OTHER_ACCOUNT, "suture-member-undo"), "{name} by an undo");
                for other in lenders.iter().filter(|other| other.fixes_with.contains(&makes(watch, name))) {
                    assert!(!by(OTHER_ACCOUNT, &format!("suture-member-{}", other.id)), "{name} by {}", other.id);
                    others += usize::from(other.id != about.id);
                }
                let but = |field: &str, value: &str| {
                    let mut other = call(None);
                    *other.pointer_mut(field).unwrap() = value.into();
                    forwarded(&other)
                };
                let mut denied = call(None);
                denied["detail"]["errorCode"] = "AccessDenied".into();
                assert!(!forwarded(&denied), "{name} that was denied");
                assert!(!but("/detail-type", "AWS Service Event via CloudTrail"), "{name}");
                assert!(!but("/source", "aws.signin"), "{name}");
                assert!(!but("/detail/eventSource", "signin.amazonaws.com"), "{name}");
                assert!(!but("/detail/eventName", "GetBucketLocation"), "{name}");
            }
        }
    }
    assert!(others > 0, "no control makes a call that another answers");
}

/// A pattern's alternatives, each as its lists by their places.
fn alternatives(pattern: &Value) -> Vec<BTreeMap<String, BTreeSet<String>>> {
    fn lists(value: &Value, place: &str, into: &mut BTreeMap<String, BTreeSet<String>>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| lists(value, &format!("{place}.{key}"), into));
            }
            leaf => {
                into.insert(place.to_owned(), leaf.as_array().unwrap().iter().map(Value::to_string).collect());
            }
        }
    }
    let all = pattern["$or"].as_array().cloned().unwrap_or_else(|| vec![pattern.clone()]);
    let read = |pattern: &Value| {
        let mut found = BTreeMap::new();
        lists(pattern, "", &mut found);
        found
    };
    all.iter().map(read).collect()
}

/// The patterns for what others have found, those of one shape together: one shape has one source, one type of event and the
/// same fields.
fn findings<'a>(rules: impl Iterator<Item = &'a Value>) -> BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> {
    let mut all: BTreeMap<_, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for alternative in rules.filter(|pattern| pattern.pointer("/detail/eventName").is_none()).flat_map(alternatives) {
        let of = |place: &str| alternative[place].iter().next().unwrap().clone();
        let shape = [of(".source"), of(".detail-type")].into_iter().chain(alternative.keys().cloned()).collect();
        let joined = all.entry(shape).or_default();
        for (place, values) in alternative {
            joined.entry(place).or_default().extend(values);
        }
    }
    all
}

#[test]
fn the_rules_together_ask_for_what_the_hubs_rules_ask_for() {
    let (hub, member) = (hub(), forwards(&deployed(OTHER_ACCOUNT, "us-east-1")));
    let (ought, is) =
        (findings(hub.rules().map(|rule| &rule.pattern)), findings(member.rules().map(|rule| &rule.pattern)));
    assert!(ought.len() > 6);
    assert_eq!(is, ought);
    let mut calls = BTreeSet::new();
    for pattern in
        member.rules().map(|rule| &rule.pattern).filter(|pattern| pattern.pointer("/detail/eventName").is_some())
    {
        let one = |list: &Value| texts(list).into_iter().next().unwrap();
        for name in texts(&pattern["detail"]["eventName"]) {
            calls.insert((one(&pattern["source"]), one(&pattern["detail"]["eventSource"]), name));
        }
    }
    let watched = lenders().into_iter().flat_map(|about| about.watches).flat_map(|watch| {
        let Watch { source, event_source, events } = watch;
        events.into_iter().map(move |name| (source.clone(), event_source.clone(), name))
    });
    assert_eq!(calls, watched.collect());
}

#[test]
fn findings_that_the_hub_hears_by_itself_need_not_be_forwarded() {
    let mut local = world(OTHER_ACCOUNT, "us-east-1", "aws");
    local.parameters.insert("Findings".to_owned(), "local".to_owned());
    let local = Template::parse(&text(), &local).unwrap();
    let sources = |template: &Template| {
        let patterns = template.forwards.iter().map(|rule| rule.pattern.to_string());
        patterns
            .flat_map(|pattern| {
                let known =
                    ["aws.securityhub", "aws.guardduty", "aws.config", "aws.access-analyzer", "aws.health", "aws.s3"];
                known.into_iter().filter(move |source| pattern.contains(&format!("\"{source}\"")))
            })
            .collect::<BTreeSet<_>>()
    };
    let all = sources(&deployed(OTHER_ACCOUNT, "us-east-1"));
    let left = sources(&local);
    assert_eq!(all.difference(&left).copied().collect::<Vec<_>>(), ["aws.guardduty", "aws.securityhub"]);
    assert!(left.contains("aws.config") && left.contains("aws.s3"), "{left:?}");
}
