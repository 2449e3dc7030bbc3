//! The rules by which a member account forwards to the hub the events that its controls answer.

use super::super::{pascal_case, quoted, rules::alternatives};
use super::{LONGEST_PATTERN, LONGEST_REGION};
use crate::About;
use lab::template::yaml;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One rule that forwards.
pub(super) struct Rule {
    /// Its name behind `<stack>-member-`, in kebab case.
    name: String,
    condition: &'static str,
    /// Its pattern, as YAML below `EventPattern:`.
    pattern: String,
}

impl Rule {
    /// Its section of the template.
    pub(super) fn text(&self) -> String {
        format!(
            "
  {}:
    Type: AWS::Events::Rule
    Condition: {}
    Properties:
      Name: !Sub ${{HubStack}}-member-{}
      EventPattern:
{}      Targets:
        - Id: hub
          Arn: !Sub arn:${{AWS::Partition}}:events:${{HubRegion}}:${{HubAccount}}:event-bus/default
          RoleArn: !GetAtt ForwardRole.Arn
          RetryPolicy: {{MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: 86400}}
          DeadLetterConfig: {{Arn: !GetAtt UnhandledEvents.Arn}}
",
            pascal_case(&self.name),
            self.condition,
            self.name,
            self.pattern
        )
    }
}

/// The rules for API calls: for each service one, or more where a pattern would be too long.
pub(super) fn calls(lenders: &[About], longest_stack: usize) -> Vec<Rule> {
    let mut services: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for watch in lenders.iter().flat_map(|about| &about.watches) {
        let names = services.entry((&watch.source, &watch.event_source)).or_default();
        names.extend(watch.events.iter().map(String::as_str));
    }
    let mut rules = Vec::new();
    for ((source, event_source), names) in services {
        let service = source.strip_prefix("aws.").unwrap_or(source);
        let mut parts: Vec<Part> = vec![Part::default()];
        for name in names {
            let part = parts.last_mut().expect("a part");
            let mut with = part.clone();
            with.names.push(name);
            with.ours.extend(callers(lenders, service, name));
            if with.longest(longest_stack) <= LONGEST_PATTERN {
                *part = with;
            } else {
                assert!(!part.names.is_empty(), "{name}: too many roles of ours make this call for one pattern");
                parts.push(Part { names: vec![name], ours: callers(lenders, service, name).collect() });
            }
        }
        for (index, part) in parts.iter().enumerate() {
            let name = if index == 0 { format!("calls-{service}") } else { format!("calls-{service}-{}", index + 1) };
            rules.push(Rule { name, condition: "Forwards", pattern: part.pattern(source, event_source) });
        }
    }
    rules
}

/// Whose calls are our own doing: of the controls that make such a call or answer it, and of `undo`. They are left out by the
/// whole names of their roles: left out by its beginning, anybody's role could be called so that its calls are not told.
fn callers<'a>(lenders: &'a [About], service: &str, event: &str) -> impl Iterator<Item = &'a str> {
    let makes = format!("{service}:{event}");
    let concerned = move |about: &&About| {
        let watched = about.watches.iter().any(|watch| watch.events.iter().any(|name| name == event));
        watched || about.fixes_with.contains(&makes)
    };
    lenders.iter().filter(concerned).map(|about| about.id.as_str()).chain(["undo"])
}

/// What one rule for calls takes: these calls, unless these of our roles made them.
#[derive(Clone, Default)]
struct Part<'a> {
    names: Vec<&'a str>,
    ours: BTreeSet<&'a str>,
}

impl Part<'_> {
    /// How long the pattern can become: in the hub's account, whose roles have the longer names.
    fn longest(&self, longest_stack: usize) -> usize {
        let around = r#"{"source":["aws."],"detail-type":["AWS API Call via CloudTrail"],"detail":{"eventSource":[".amazonaws.com"],"eventName":[],"errorCode":[{"exists":false}],"$or":[{"userIdentity":{"sessionContext":{"sessionIssuer":{"arn":[{"exists":false}]}}}},{"userIdentity":{"sessionContext":{"sessionIssuer":{"arn":[{"anything-but":[]}]}}}}]}}"#;
        let service = "cloudformation"; // none is longer
        let role = r#""arn:aws-us-gov:iam::111122223333:role/--","#.len() + longest_stack + LONGEST_REGION;
        let names: usize = self.names.iter().map(|name| name.len() + r#""","#.len()).sum();
        around.len() + 2 * service.len() + names + self.ours.iter().map(|id| id.len() + role).sum::<usize>()
    }

    /// The pattern, as YAML below `EventPattern:`.
    fn pattern(&self, source: &str, event_source: &str) -> String {
        let mut text = format!(
            "        source: [{source}]
        detail-type: [AWS API Call via CloudTrail]
        detail:
          eventSource: [{event_source}]
          eventName:
"
        );
        for name in &self.names {
            let _ = writeln!(text, "            - {name}");
        }
        text.push_str("          errorCode: [{exists: false}]\n");
        text.push_str(
            "          $or:
            - userIdentity: {sessionContext: {sessionIssuer: {arn: [{exists: false}]}}}
            - userIdentity:
                sessionContext:
                  sessionIssuer:
                    arn:
                      - anything-but: !If
                          - InHub
",
        );
        let hub = |id: &str| format!("${{HubStack}}-{id}-${{HubRegion}}");
        let member = |id: &str| format!("${{HubStack}}-member-{id}");
        for named in [&hub as &dyn Fn(&str) -> String, &member] {
            for (index, id) in self.ours.iter().enumerate() {
                let dash = if index == 0 { "- -" } else { "  -" };
                let role = named(id);
                let _ = writeln!(
                    text,
                    "                          {dash} !Sub arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{role}"
                );
            }
        }
        text
    }
}

/// The rules for what others have found: for each kind of event one. Their patterns are those of the hub's rules, which differ
/// from each other in one list each: here the lists are put together.
pub(super) fn findings(lenders: &[About]) -> Vec<Rule> {
    let mut kinds: Vec<((String, String), Vec<Value>)> = Vec::new();
    for line in lenders.iter().flat_map(alternatives) {
        let pattern = yaml::parse(&line).expect("a pattern");
        let one = |field: &str| pattern[field][0].as_str().expect("one value").to_owned();
        let kind = (one("source"), one("detail-type"));
        let index = kinds.iter().position(|(known, _)| *known == kind).unwrap_or(kinds.len());
        if index == kinds.len() {
            kinds.push((kind, Vec::new()));
        }
        let of_kind = &mut kinds[index].1;
        if !of_kind.iter_mut().any(|known| joined(known, &pattern)) {
            of_kind.push(pattern);
        }
    }
    kinds.sort_by(|(left, _), (right, _)| left.cmp(right));
    kinds
        .into_iter()
        .map(|((source, kind), patterns)| {
            let words = kind.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
            let name = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
            // The administrator of these hears of its members' findings by itself.
            let hub_may_hear = ["aws.securityhub", "aws.guardduty"].contains(&source.as_str());
            let condition = if hub_may_hear { "ForwardsFindings" } else { "Forwards" };
            Rule { name, condition, pattern: findings_pattern(&patterns) }
        })
        .collect()
}

fn findings_pattern(patterns: &[Value]) -> String {
    let mut text = String::new();
    let fields = |text: &mut String, indent: &str, pattern: &Value| {
        for (index, field) in ["source", "detail-type", "detail"].into_iter().enumerate() {
            let indent = if index == 0 { indent.to_owned() } else { indent.replace('-', " ") };
            let _ = writeln!(text, "{indent}{field}: {}", flow(&pattern[field]));
        }
    };
    match patterns {
        [pattern] => fields(&mut text, "        ", pattern),
        several => {
            text.push_str("        $or:\n");
            for pattern in several {
                fields(&mut text, "          - ", pattern);
            }
        }
    }
    text
}

/// Puts two patterns together that differ in no more than one list; says whether they do.
fn joined(known: &mut Value, other: &Value) -> bool {
    let (mine, theirs) = (lists(known, ""), lists(other, ""));
    if !mine.keys().eq(theirs.keys()) {
        return false;
    }
    let differ: Vec<_> = mine.keys().filter(|path| mine[*path] != theirs[*path]).collect();
    let path = match differ.as_slice() {
        [] => return true,
        [path] => path.as_str(),
        _ => return false,
    };
    let list = known.pointer_mut(path).and_then(Value::as_array_mut).expect("a list");
    for value in &theirs[path] {
        if !list.contains(value) {
            list.push(value.clone());
        }
    }
    true
}

/// The lists of a pattern, by their JSON pointers.
fn lists(value: &Value, path: &str) -> BTreeMap<String, Vec<Value>> {
    match value {
        Value::Object(object) => {
            object.iter().flat_map(|(key, value)| lists(value, &format!("{path}/{key}"))).collect()
        }
        Value::Array(values) => BTreeMap::from([(path.to_owned(), values.clone())]),
        other => panic!("{path}: a pattern has lists, not {other}"),
    }
}

/// YAML on one line, quoted where it must be.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let fields: Vec<_> = object.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => {
            let plain = |letter: char| letter.is_alphanumeric() || " .-_/".contains(letter);
            let begins = text.starts_with(|letter: char| letter.is_alphabetic());
            let word = ["true", "false", "null", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str());
            if begins && !word && text.chars().all(plain) { text.clone() } else { quoted(text) }
        }
        other => other.to_string(),
    }
}
