//! What a DynamoDB stream says, as Lambda hands it on: of what is not ours, nothing is required.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>

use ledger::{Item, Key};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// An event, by what woke us.
#[derive(Debug)]
pub enum Event {
    /// The table's stream, in the order in which things happened.
    Stream(Vec<StreamRecord>),
    /// A schedule.
    Hourly,
    /// None of the two.
    Other(&'static str),
}

/// One change of the table, as the stream has it.
#[derive(Debug, Default)]
pub struct StreamRecord {
    /// What Lambda knows it by: where to go on.
    pub sequence_number: Option<String>,
    /// What changed, if it can be read.
    pub changed: Option<Changed>,
}

/// What changed: an item as it was and as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The change's own id.
    pub id: String,
    /// Where the item is.
    pub key: Key,
    /// What it was; none if it was not there.
    pub before: Option<Item>,
    /// What it is; none if it was taken away.
    pub after: Option<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(rename = "eventID")]
    event_id: Option<String>,
    event_name: Option<String>,
    event_source: Option<String>,
    dynamodb: Option<RawChange>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawChange {
    keys: Option<Image>,
    new_image: Option<Image>,
    old_image: Option<Image>,
    sequence_number: Option<String>,
}

/// Attributes by name; each `{"S": "text"}`, `{"N": "1"}` or of another type.
type Image = BTreeMap<String, Value>;

impl Event {
    /// Reads an event.
    pub fn read(event: &Value) -> Self {
        let source = event.get("source").and_then(Value::as_str);
        if matches!(source, Some("aws.events" | "aws.scheduler")) {
            return Self::Hourly;
        }
        match event.get("Records") {
            Some(Value::Array(records)) => Self::Stream(records.iter().map(StreamRecord::read).collect()),
            _ => Self::Other("it is neither of a stream nor of a schedule"),
        }
    }
}

impl StreamRecord {
    fn read(record: &Value) -> Self {
        let Ok(Raw { event_id, event_name, event_source, dynamodb: Some(change) }) = Raw::deserialize(record) else {
            return Self::default();
        };
        let sequence_number = change.sequence_number;
        let foreign = event_source.as_deref().is_some_and(|source| source != "aws:dynamodb");
        // Without its new image a change would look like a removal.
        if foreign || (event_name.as_deref() != Some("REMOVE") && change.new_image.is_none()) {
            return Self { sequence_number, changed: None };
        }
        let keys = change.keys.as_ref().or(change.new_image.as_ref()).or(change.old_image.as_ref());
        let key = keys.and_then(|keys| Some(Key::new(text(keys, "pk")?, text(keys, "sk")?)));
        let id = event_id.or_else(|| sequence_number.clone()).unwrap_or_default();
        let changed = key.map(|key| Changed {
            id,
            before: change.old_image.map(|image| item(&key, &image)),
            after: change.new_image.map(|image| item(&key, &image)),
            key,
        });
        Self { sequence_number, changed }
    }
}

fn text<'a>(image: &'a Image, name: &str) -> Option<&'a str> {
    image.get(name)?.get("S")?.as_str()
}

fn number<T: std::str::FromStr>(image: &Image, name: &str) -> Option<T> {
    image.get(name)?.get("N")?.as_str()?.parse().ok()
}

/// The item that an image shows. One whose body is none, or cannot be read, says nothing.
fn item(key: &Key, image: &Image) -> Item {
    let body = text(image, "body").and_then(|body| serde_json::from_str(body).ok());
    Item {
        key: key.clone(),
        version: number(image, "version").unwrap_or_default(),
        body: body.unwrap_or_default(),
        id: text(image, "id").map(str::to_owned),
        day: text(image, "day").map(str::to_owned),
        expires: number(image, "expires"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_read() {
        let image = json!({"pk": {"S": "deployment"}, "sk": {"S": "settings"}, "version": {"N": "2"},
            "body": {"S": "{\"mode\":\"plan\"}"}, "expires": {"N": "17"}, "day": {"S": "d"}, "id": {"S": "i"}});
        let event = json!({"Records": [{"eventID": "e-1", "eventName": "MODIFY", "eventSource": "aws:dynamodb",
            "dynamodb": {"Keys": {"pk": {"S": "deployment"}, "sk": {"S": "settings"}}, "NewImage": image,
                "OldImage": {"pk": {"S": "deployment"}, "sk": {"S": "settings"}}, "SequenceNumber": "111"}}]});
        let Event::Stream(records) = Event::read(&event) else { panic!() };
        assert_eq!(records[0].sequence_number.as_deref(), Some("111"));
        let changed = records[0].changed.as_ref().unwrap();
        assert_eq!((changed.id.as_str(), changed.key.sk.as_str()), ("e-1", "settings"));
        let after = changed.after.as_ref().unwrap();
        assert_eq!((after.version, after.expires, &after.body), (2, Some(17), &json!({"mode": "plan"})));
        assert_eq!(changed.before.as_ref().unwrap().body, Value::Null);
    }

    #[test]
    fn what_cannot_be_read_is_nothing_and_still_has_its_number() {
        for (dynamodb, number) in [
            (json!({"SequenceNumber": "1"}), Some("1")),
            (json!({"SequenceNumber": "1", "Keys": {"pk": {"N": "7"}}}), Some("1")),
            (json!({"Keys": "x"}), None),
            (json!(null), None),
        ] {
            let event = json!({"Records": [{"dynamodb": dynamodb}]});
            let Event::Stream(records) = Event::read(&event) else { panic!() };
            assert_eq!((records[0].sequence_number.as_deref(), &records[0].changed), (number, &None));
        }
        for event in [json!(null), json!([]), json!({"Records": 1}), json!({"source": "aws.s3"})] {
            assert!(matches!(Event::read(&event), Event::Other(_)), "{event}");
        }
        assert!(matches!(
            Event::read(&json!({"source": "aws.events", "detail-type": "Scheduled Event"})),
            Event::Hourly
        ));
    }
}
