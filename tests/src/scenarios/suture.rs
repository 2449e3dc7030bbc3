//! Suture itself, touched by somebody.

use super::Look;
use crate::event;

const TAMPERING: &str = "suture-tampering";
const REFUSED_BY: &str = "tampering";

/// Parts of every kind that is read.
pub const LOOKS: &[Look] = &[
    Look {
        control: TAMPERING,
        name: "a rule",
        event: |_| Box::pin(async { event(TAMPERING, "disable-rule") }),
        refused_by: REFUSED_BY,
    },
    Look {
        control: TAMPERING,
        name: "a function",
        event: |_| Box::pin(async { event(TAMPERING, "update-function-code") }),
        refused_by: REFUSED_BY,
    },
    Look {
        control: TAMPERING,
        name: "the ledger and its key",
        event: |_| Box::pin(async { event(TAMPERING, "update-table") }),
        refused_by: REFUSED_BY,
    },
    Look {
        control: TAMPERING,
        name: "the bucket of the evidence",
        event: |_| Box::pin(async { event(TAMPERING, "put-bucket-policy") }),
        refused_by: REFUSED_BY,
    },
    Look {
        control: TAMPERING,
        name: "the topic",
        event: |_| Box::pin(async { event(TAMPERING, "set-topic-attributes") }),
        refused_by: REFUSED_BY,
    },
];
