//! What was made of an event, as JSON for people and scripts.

use crate::{Notice, Reading};
use serde_json::{Value, json};

/// What a reading came to: `{"requests": […], "rejected": […]}`. Takes a function that names the controls that answer a
/// notice. Each request has `trigger`, `account`, `region`, `event`, `actor`, `act`, `resources` (each with `type`, `id` and
/// `name`), `controls` and `why`; what the event does not tell is null. Each rejection has `why`.
pub fn explain(reading: &Reading, controls: &dyn Fn(&Notice) -> Vec<String>) -> Value {
    let request = |notice: &Notice| {
        json!({
            "trigger": notice.trigger,
            "account": notice.account,
            "region": notice.region,
            "event": notice.event,
            "actor": notice.cause.as_ref().and_then(|cause| cause.actor.as_deref()),
            "act": notice.act,
            "resources": notice.resources,
            "controls": controls(notice),
            "why": notice.why,
        })
    };
    json!({
        "requests": reading.notices.iter().map(request).collect::<Vec<_>>(),
        "rejected": reading.rejected,
    })
}
