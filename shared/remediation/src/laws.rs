//! What every control owes its users, whatever it is about.

use crate::control::{Control, Safety};
use serde::Deserialize;

/// Checks the four laws on one state; panics with the control's id and the law that is broken. Call it from a control's
/// tests, on generated states.
///
/// 1. Fixing twice equals fixing once.
/// 2. There is no change from a state to itself.
/// 3. There is drift if and only if there are changes.
/// 4. Every reversible fix can be undone: from the fixed state there are changes back, if there was a fix, and none once
///    they are made; and the state to go back to is the same when it has been through the record's JSON.
///
/// And whatever a control must not mend, `desired` leaves alone: a hindrance that is there before a fix is there after it.
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
    assert_eq!(C::hindrance(&fixed), C::hindrance(state), "{id}: a fix changes what it must not mend");
    if C::ABOUT.safety != Safety::Irreversible {
        let recorded = serde_json::to_value(state).and_then(C::State::deserialize).ok();
        assert_eq!(recorded.as_ref(), Some(state), "{id}: the state does not survive the record's JSON");
        let restored = C::restored(state);
        assert_eq!(!C::changes(&fixed, &restored).is_empty(), drifted, "{id}: the fix cannot be undone");
        assert_eq!(C::changes(&restored, &restored), [], "{id}: an undo never ends");
    }
}
