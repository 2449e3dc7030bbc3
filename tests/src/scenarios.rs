//! Drift of every kind that the controls mend, made by somebody whom nobody saw. The tests of faults go through all of them
//! alike; a control's own tests take what they need.

pub mod ec2;
pub mod iam;
pub mod s3;
pub mod suture;

use lab::Lab;
use serde_json::Value;
use std::pin::Pin;

/// Something that will be so.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Whether something is so by now.
pub type Seen = dyn for<'a> Fn(&'a Lab) -> Later<'a, bool>;

/// Drift of one kind that one control mends.
#[derive(Clone, Copy)]
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
    pub mended: Box<Seen>,
}

/// Something that a control looks at and must leave alone, and reads with calls that no fix makes.
pub struct Look {
    /// The function.
    pub control: &'static str,
    /// What it is, for messages.
    pub name: &'static str,
    /// Makes it, past every fault and without an event; what the function is invoked with.
    pub event: for<'a> fn(&'a Lab) -> Later<'a, Value>,
    /// What refuses it.
    pub refused_by: &'static str,
}

/// Those of them that no scenario of a fix can show; of one control, if the variable `CONTROL` names it.
pub fn looks() -> Vec<&'static Look> {
    let only = std::env::var("CONTROL").ok();
    let looks = iam::LOOKS.iter().chain(suture::LOOKS);
    looks.filter(|look| only.as_deref().is_none_or(|only| only == look.control)).collect()
}

/// All of them; those of one control, if the variable `CONTROL` names it.
pub fn all() -> Vec<Scenario> {
    let only = std::env::var("CONTROL").ok();
    let wanted = |scenario: &&Scenario| only.as_deref().is_none_or(|only| only == scenario.control);
    [ec2::SCENARIOS, iam::SCENARIOS, s3::SCENARIOS].into_iter().flatten().filter(wanted).copied().collect()
}
