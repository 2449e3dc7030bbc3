//! A part of a sweep, as one invocation of a function hands it to others through the control's own queue. It says where to
//! look and nothing else: no mode, no override, no reason. Whoever writes to the queue can bring about a look, as any event can.

use crate::ids::shown;
use crate::read::blank;
use crate::value::{account, kind, region, text};
use crate::{Act, Notice, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a message calls itself.
const SCHEMA: &str = "suture.sweep/1";
/// The most resources of a message, and the longest name of one: four times what is sent, and an ARN's longest.
const MOST: usize = 1000;
const LONGEST: usize = 2048;

/// The part of a sweep that a message hands over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The control that sweeps.
    pub control: String,
    /// Where the listing is to go on, in the words of the service that lists; none is its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The resources to look at. None at all: list them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
}

impl Part {
    /// The message that hands this part over, of this account and region.
    pub fn message(&self, account: &crate::ids::AccountId, region: &crate::ids::Region) -> Value {
        serde_json::json!({
            "schema": SCHEMA,
            "control": self.control,
            "account": account,
            "region": region,
            "after": self.after,
            "resources": self.resources,
        })
    }
}

/// Whether an object calls itself a part of a sweep.
pub(crate) fn is_part(event: &Value) -> bool {
    text(event, "/schema") == Some(SCHEMA)
}

/// Reads such a message.
pub(crate) fn read(event: &Value) -> Result<Notice, String> {
    let part = Part::deserialize(event).map_err(|_| {
        let what = event.get("resources").map_or("missing", kind);
        format!("the part of a sweep cannot be read: it needs a control, and resources as texts (they are {what})")
    })?;
    if part.resources.len() > MOST || part.resources.iter().chain(&part.after).any(|name| name.len() > LONGEST) {
        return Err(format!("the part of a sweep of {} is larger than any that was handed over", shown(&part.control)));
    }
    let mut notice = blank(Trigger::Schedule, Act::Sweep, "it is a part of a sweep that began elsewhere".to_owned());
    notice.account = Some(account(&[event.get("account")])?);
    notice.region = region(&[text(event, "/region")])?;
    if notice.region.is_none() {
        return Err("the part of a sweep names no region".to_owned());
    }
    notice.part = Some(part);
    Ok(notice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, Region};
    use crate::read::read;
    use serde_json::json;

    fn in_queue(body: &Value) -> Value {
        let body = body.to_string();
        json!({"Records": [{"messageId": "m-1", "eventSource": "aws:sqs", "body": body}]})
    }

    fn ours() -> (AccountId, Region) {
        (AccountId::parse("444455556666").unwrap(), Region::parse("eu-west-1").unwrap())
    }

    #[test]
    fn what_is_handed_over_is_what_arrives() {
        let (account, region) = ours();
        for part in [
            Part { control: "s3-public-bucket".into(), after: None, resources: vec![] },
            Part { control: "s3-public-bucket".into(), after: Some("t=/+".into()), resources: vec![] },
            Part { control: "s3-public-bucket".into(), after: None, resources: vec!["a-b".into(), "c".into()] },
        ] {
            let reading = read(&in_queue(&part.message(&account, &region)));
            let [notice] = &reading.notices[..] else { panic!("{reading:?}") };
            assert_eq!(
                (notice.trigger, notice.act, notice.part.as_ref()),
                (Trigger::Schedule, Act::Sweep, Some(&part))
            );
            assert_eq!((notice.account.as_ref(), notice.region.as_ref()), (Some(&account), Some(&region)));
            assert_eq!(notice.message.as_deref(), Some("m-1"));
            assert!(notice.manual.is_none() && notice.resources.is_empty());
        }
    }

    #[test]
    fn what_is_no_part_is_rejected_with_its_message() {
        let (account, region) = ours();
        let part = Part { control: "c".into(), after: None, resources: vec!["a".into()] };
        let sound = part.message(&account, &region);
        let with = |field: &str, value: Value| {
            let mut other = sound.clone();
            other[field] = value;
            other
        };
        for wrong in [
            with("account", json!("1")),
            with("account", Value::Null),
            with("region", Value::Null),
            with("region", json!("; rm")),
            with("control", json!(7)),
            with("resources", json!("a")),
            with("resources", json!([1])),
            with("resources", json!(vec!["a"; MOST + 1])),
            with("resources", json!(["a".repeat(LONGEST + 1)])),
            with("after", json!("a".repeat(LONGEST + 1))),
        ] {
            let reading = read(&in_queue(&wrong));
            assert!(reading.notices.is_empty(), "{wrong}");
            assert_eq!(reading.rejected.first().and_then(|one| one.message.as_deref()), Some("m-1"), "{wrong}");
        }
    }

    #[test]
    fn nobody_invokes_a_function_with_a_part() {
        let (account, region) = ours();
        let part = Part { control: "c".into(), after: None, resources: vec!["a".into()] }.message(&account, &region);
        assert!(read(&part).notices.iter().all(|notice| notice.part.is_none()));
        let topic = json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": part.to_string()}}]});
        assert!(read(&topic).notices.is_empty());
    }
}
