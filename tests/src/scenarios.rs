//! Drift of every kind that the controls mend, made by somebody whom nobody saw. The tests of faults go through all of them
//! alike; a control's own tests take what they need.

pub mod s3;

use lab::Lab;
use serde_json::Value;
use std::pin::Pin;

/// Something that will be so.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Drift of one kind that one control mends.
pub struct Scenario {
    /// The function.
    pub control: &'static str,
    /// What the drift is, for messages.
    pub name: &'static str,
    /// Makes it, past every fault and without an event.
    pub drift: for<'a> fn(&'a Lab) -> Later<'a, Drift>,
}

/// Drift that was made.
pub struct Drift {
    /// What the function is invoked with.
    pub event: Value,
    /// Reads independently of the function, past every fault, whether it is as it ought to be.
    pub mended: Box<dyn for<'a> Fn(&'a Lab) -> Later<'a, bool>>,
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    [s3::SCENARIOS].into_iter().flatten().copied().collect()
}

impl Clone for Scenario {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Scenario {}
