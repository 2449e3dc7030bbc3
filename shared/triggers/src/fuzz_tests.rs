//! Events taken apart and put together wrongly: reading them never panics, never runs away, and never names a resource that
//! is none.

use crate::resource::MOST_RESOURCES;
use crate::samples::all;
use crate::{Act, MOST_RECORDS, Reading, read, read_bytes};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Values that have no business where they are put.
fn odd() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "*",
        "sg-*",
        "{{{account_id}}}",
        "{{name}}",
        "a/../b?acl&x=\u{0}",
        "../../etc",
        "\u{1b}[2J",
        "\u{202e}gnp",
        "arn:aws:s3:::",
        "arn:aws:s3:::*",
        "arn:aws:iam::111122223333:user/*",
        "AWS::::Account:*",
        "444455556666",
        "true",
        "global",
        "us-east-1",
        "Records",
        "2026-03-01T08:00:00Z",
        "{}",
        "[]",
        "{\"a\": [1]}",
        "null",
        "FAILED",
        "ACTIVE",
        "AWS::IAM::AccessKey:AKIAEXAMPLEEXAMPLE00|null",
        "AKIA*",
        "GeneratedFindingAccessKeyId",
        "ResourceDeleted",
        "ConfigurationItemChangeNotification",
        "ScheduledNotification",
        "COMPLIANT",
    ];
    prop_oneof![
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        Just(json!(null)),
        Just(json!(true)),
        Just(json!({})),
        Just(json!([])),
        Just(json!(-1)),
        Just(json!(1e300)),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        (0_usize..4).prop_map(|n| Value::from("x\u{7f}é\n".repeat(10_usize.pow(u32::try_from(n).unwrap())))),
        (0_usize..60).prop_map(|depth| (0..depth).fold(json!("deep"), |inner, _| json!([inner]))),
        (0_usize..60)
            .prop_map(|depth| (0..depth).fold(json!("deep"), |inner, _| json!({"Message": inner, "detail": 1}))),
        prop::sample::select(all()).prop_map(|(_, event)| event),
        prop::sample::select(all()).prop_map(|(_, event)| Value::from(event.to_string())),
    ]
}

/// One thing done to an event.
#[derive(Clone, Debug)]
enum Blow {
    Drop,
    Replace(Value),
    Twice(usize),
    InList,
    InText,
    OutOfText,
    Renamed(String),
    Exchanged,
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        1 => Just(Blow::Drop),
        3 => odd().prop_map(Blow::Replace),
        1 => (1_usize..40).prop_map(Blow::Twice),
        1 => Just(Blow::InList),
        1 => Just(Blow::InText),
        2 => Just(Blow::OutOfText),
        1 => prop::sample::select(vec!["detail", "Records", "Sns", "finding", "Resources", "", "record", "items"])
            .prop_map(|name| Blow::Renamed(name.to_owned())),
        1 => Just(Blow::Exchanged),
    ]
}

/// Every path of a JSON value.
fn paths(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| paths(field, &format!("{at}/{name}"), into)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, one)| paths(one, &format!("{at}/{n}"), into)),
        _ => {}
    }
}

fn strike(event: &mut Value, pick: prop::sample::Index, blow: &Blow) {
    let mut every = Vec::new();
    paths(event, "", &mut every);
    let path = pick.get(&every);
    if let (Blow::Drop | Blow::Renamed(_), Some((parent, name))) = (blow, path.rsplit_once('/')) {
        if let Some(Value::Object(fields)) = event.pointer_mut(parent) {
            let taken = fields.remove(name);
            if let (Blow::Renamed(new), Some(taken)) = (blow, taken) {
                fields.insert(new.clone(), taken);
            }
        }
        return;
    }
    let Some(value) = event.pointer_mut(path) else { return };
    *value = match (blow, value.take()) {
        (Blow::Replace(new), _) => new.clone(),
        (Blow::Twice(times), Value::Array(list)) => {
            Value::Array(list.iter().cycle().take(list.len() * (times + 1)).cloned().collect())
        }
        (Blow::Twice(_) | Blow::InList, old) => json!([old.clone(), old]),
        (Blow::InText, old) => Value::from(old.to_string()),
        (Blow::OutOfText, Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        (Blow::Exchanged, Value::Object(fields)) => {
            let (names, mut values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
            values.reverse();
            names.into_iter().zip(values).collect::<serde_json::Map<_, _>>().into()
        }
        (_, old) => old,
    };
}

/// All texts of an event, those in texts too: what a resource may be named after.
fn texts(value: &Value, depth: usize, into: &mut String) {
    match value {
        Value::String(text) => {
            into.push_str(text);
            into.push('\n');
            if depth < 8
                && let Ok(inner) = serde_json::from_str::<Value>(text)
            {
                texts(&inner, depth + 1, into);
            }
        }
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            into.push_str(name);
            into.push('\n');
            texts(field, depth, into);
        }),
        Value::Array(list) => list.iter().for_each(|one| texts(one, depth, into)),
        _ => {}
    }
}

fn line(text: &str) -> Result<(), TestCaseError> {
    prop_assert!(!text.is_empty() && text.len() < 3000 && !text.contains(char::is_control), "{text:?}");
    Ok(())
}

fn sound(event: &Value, reading: &Reading) -> Result<(), TestCaseError> {
    let mut all_texts = String::new();
    texts(event, 0, &mut all_texts);
    prop_assert!(!reading.notices.is_empty() || !reading.rejected.is_empty());
    prop_assert!(reading.notices.len() + reading.rejected.len() <= MOST_RECORDS + 1);
    for rejected in &reading.rejected {
        line(&rejected.why)?;
    }
    for notice in &reading.notices {
        line(&notice.why)?;
        prop_assert!(notice.resources.len() <= MOST_RESOURCES && notice.control_ids.len() <= 8);
        let cause = notice.cause.iter().flat_map(|cause| {
            [
                Some(&cause.call),
                cause.event_id.as_ref(),
                cause.actor.as_ref(),
                cause.role.as_ref(),
                cause.source_ip.as_ref(),
                cause.agent.as_ref(),
            ]
        });
        for text in cause.flatten().chain(&notice.event).chain(&notice.message).chain(&notice.control_ids) {
            prop_assert!(text.chars().count() <= 512 && !text.contains(char::is_control), "{text:?}");
        }
        for found in &notice.resources {
            let known = all_texts.contains(&found.id);
            prop_assert!(known || notice.act == Act::Ignore, "{} is nowhere in {event}", found.id);
            for text in [Some(&found.id), Some(&found.r#type), found.name.as_ref()].into_iter().flatten() {
                prop_assert!(!text.is_empty() && text.len() <= 2048, "{text:?}");
                prop_assert!(!text.contains(|c: char| c.is_control() || c == '*') && !text.contains("{{"), "{text:?}");
            }
        }
        let resource = notice.manual.as_ref().and_then(|manual| manual.resource.as_deref());
        if let Some(resource) = resource.filter(|resource| *resource != "*") {
            prop_assert!(!resource.contains(|c: char| c.is_control() || c == '*') && !resource.contains("{{"));
        }
    }
    let shown = crate::explain(reading, &|_| Vec::new());
    prop_assert_eq!(shown["requests"].as_array().map(Vec::len), Some(reading.notices.len()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_battered_event_is_read_or_named(
        (_, mut event) in prop::sample::select(all()),
        blows in prop::collection::vec((any::<prop::sample::Index>(), blow()), 1..5),
    ) {
        for (pick, blow) in &blows {
            strike(&mut event, *pick, blow);
        }
        sound(&event, &read(&event))?;
    }

    #[test]
    fn a_battered_event_in_a_message_is_read_or_named(
        (_, mut event) in prop::sample::select(all()),
        pick in any::<prop::sample::Index>(),
        blow in blow(),
        depth in 1_usize..6,
    ) {
        strike(&mut event, pick, &blow);
        for _ in 0..depth {
            event = crate::samples::sqs(&[&event.to_string(), "{}"]);
        }
        sound(&event, &read(&event))?;
    }

    #[test]
    fn bytes_are_read_or_named(
        (_, event) in prop::sample::select(all()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = event.to_string().into_bytes();
        for (pick, byte) in changes {
            *pick.get_mut(&mut bytes) = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())], &junk] {
            let reading = read_bytes(bytes);
            sound(&serde_json::from_slice(bytes).unwrap_or_default(), &reading)?;
        }
    }
}
