//! Where a request wants the resource to be.

use super::{End, end, state, value};
use crate::control::Control;
use crate::event::{Order, Past, Request};
use crate::gate::{self, Refusal};
use crate::record::{Outcome, Record};
use crate::settings::Settings;
use serde_json::Value;

/// Where a request wants the resource to be.
pub(super) enum Aim<C: Control> {
    /// At its desired state.
    Fix,
    /// Back where it was before a fix.
    Undo { before: C::State, after: C::State },
}

impl<C: Control> Aim<C> {
    pub(super) fn of(request: &Request<C>, settings: &Settings, record: &mut Record) -> Result<Self, End> {
        let Order::Undo(past) = &request.order else { return Ok(Self::Fix) };
        record.undoes = Some(past.id.clone());
        if let Some(function) = &settings.undo_function {
            let why = format!("this function may not take anything back; send the request to the function {function}");
            return Err(Refusal { by: "undo-function".to_owned(), why }.into());
        }
        if !past.outcome.wrote() {
            let why =
                format!("the record says {}: nothing was written, so there is nothing to undo", past.outcome.name());
            return Err(Refusal { by: "nothing-done".to_owned(), why }.into());
        }
        let Past { before, after, .. } = &**past;
        Ok(Self::Undo { before: state(before, "before")?, after: state(after, "after")? })
    }

    pub(super) fn state(&self, now: &C::State) -> C::State {
        match self {
            Self::Fix => C::desired(now),
            Self::Undo { before, .. } => C::restored(before),
        }
    }

    pub(super) fn reached(&self, now: &C::State) -> bool {
        C::changes(now, &self.state(now)).is_empty()
    }

    pub(super) fn remaining(&self, now: &C::State) -> Vec<Value> {
        C::changes(now, &self.state(now)).iter().map(value).collect()
    }

    pub(super) fn nothing_to_do(&self) -> End {
        match self {
            Self::Fix => end(Outcome::Compliant, "it is as it ought to be"),
            // Not `compliant`: what an undo leads to may well be open.
            Self::Undo { .. } => end(Outcome::Undone, "it is already as it was before; nothing was written"),
        }
    }

    /// Whether the control would bring the resource back again, were it not told to leave it alone.
    pub(super) fn loosens(&self, to: &C::State) -> bool {
        matches!(self, Self::Undo { .. }) && !C::changes(to, &C::desired(to)).is_empty()
    }

    /// An undo is for the state that the fix left. If somebody changed the resource since, theirs is the last word.
    pub(super) fn not_moved_on(&self, request: &Request<C>, now: &C::State) -> Result<(), Refusal> {
        let Self::Undo { after, .. } = self else { return Ok(()) };
        if C::changes(now, after).is_empty() || gate::overridden(request, "moved-on") {
            return Ok(());
        }
        let why = "the resource was changed since the record was made; look at it, and to undo all the same, add \
                   \"override\": [\"moved-on\"] to the request";
        Err(Refusal { by: "moved-on".to_owned(), why: why.to_owned() })
    }
}
