//! Drift of access keys.

use super::{Drift, Look, Scenario};
use crate::iam::{EXPOSED, IDLE, STALE, User, about, active, idle, key, user};
use lab::Lab;
use serde_json::{Value, json};

/// They.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        control: STALE,
        name: "an idle key that somebody switched on",
        drift: |lab| {
            Box::pin(async {
                let (user, key) = idle(lab).await;
                leaves(about(STALE, "update-access-key", &user, &[&key]), user, vec![])
            })
        },
    },
    Scenario {
        control: STALE,
        name: "an idle key beside one in use, of a user known by unique id alone",
        drift: |lab| {
            Box::pin(async {
                let (user, _) = idle(lab).await;
                let busy = key(lab, &user, 30.0, Some(0.1)).await;
                leaves(about(STALE, "config-compliance", &user, &[]), user, vec![busy])
            })
        },
    },
    Scenario {
        control: STALE,
        name: "two idle keys, one of them never used, of a user known by one of them",
        drift: |lab| {
            Box::pin(async {
                let (user, idle) = idle(lab).await;
                key(lab, &user, 200.0, None).await;
                leaves(asked(&idle), user, vec![])
            })
        },
    },
    Scenario {
        control: EXPOSED,
        name: "a key that AWS Health tells of",
        drift: |lab| Box::pin(exposed(lab, "health")),
    },
    Scenario {
        control: EXPOSED,
        name: "a key that GuardDuty tells of",
        drift: |lab| Box::pin(exposed(lab, "guardduty")),
    },
    Scenario {
        control: EXPOSED,
        name: "a key that a responder passes on, beside another",
        drift: |lab| {
            Box::pin(async {
                let user = user(lab).await;
                let found = key(lab, &user, 100.0, None).await;
                let other = key(lab, &user, 500.0, IDLE).await;
                leaves(asked(&found), user, vec![other])
            })
        },
    },
];

/// What the controls look at and leave alone.
pub const LOOKS: &[Look] = &[Look {
    control: STALE,
    name: "keys of root, which the credential report alone tells of",
    event: |lab| {
        Box::pin(async {
            lab.wish("iam/report", json!({"rootKeys": true})).await.unwrap();
            asked("<root_account>")
        })
    },
    refused_by: "root-key",
}];

fn asked(resource: &str) -> Value {
    json!({"resource": resource, "mode": "enforce"})
}

/// A user's one key, found in public by somebody who says so.
async fn exposed(lab: &Lab, name: &str) -> Drift {
    let user = user(lab).await;
    let key = key(lab, &user, 30.0, Some(0.1)).await;
    leaves(about(EXPOSED, name, &user, &[&key]), user, vec![])
}

/// Drift that is mended when these keys of the user's and no others are active.
fn leaves(event: Value, user: User, keys: Vec<String>) -> Drift {
    Drift {
        event,
        mended: Box::new(move |lab| {
            let (user, keys) = (user.clone(), keys.clone());
            Box::pin(async move { active(lab, &user).await == keys })
        }),
    }
}
