//! What every control owes its users, whatever it is about.

use crate::control::{Control, Safety};
use serde::Deserialize;

/// Checks the four laws on one state; panics with the control's id and the law that is broken. Call it from a control's
/// tests, on generated states.
///
/// 1. Fixing twice equals fixing once.
/// 2. There is no change from a state to itself.
/// 3. There is drift if and only if there are changes.
/// 4. Every reversible fix can be undone: from the fixed state there are changes back, if there was a fix, and the state
///    to go back to is the same when it has been through the record's JSON.
///
/// # Panics
/// If a law is broken; that is its purpose.
pub fn check<C: Control>(state: &C::State) {
    let id = C::ABOUT.id;
    let fixed = C::desired(state);
    let drifted = fixed != *state;
    assert_eq!(C::desired(&fixed), fixed, "{id}: fixing twice differs from fixing once");
    assert_eq!(C::changes(state, state), [], "{id}: there is a change from a state to itself");
    assert_eq!(
        !C::changes(state, &fixed).is_empty(),
        drifted,
        "{id}: drift without a change, or a change without drift"
    );
    if C::ABOUT.safety != Safety::Irreversible {
        let recorded = serde_json::to_value(state).and_then(C::State::deserialize).ok();
        assert_eq!(recorded.as_ref(), Some(state), "{id}: the state does not survive the record's JSON");
        assert_eq!(!C::changes(&fixed, state).is_empty(), drifted, "{id}: the fix cannot be undone");
    }
}
