//! The engine behind every Suture control.
//!
//! A control says what a resource's state ought to be ([`Control`]), its cloud half reads that state and makes single
//! writes ([`Cloud`]); everything else happens here, once, for all of them: reading events ([`event`]), the gates
//! ([`gate`]), the order of observe, plan, write and verify ([`driver`]), the outcome and its record ([`record`]),
//! errors by consequence ([`fault`]) and the Lambda entry ([`lambda`]).
//!
//! The engine names no AWS service and decides nothing about any.

mod connection;
pub mod control;
pub mod driver;
pub mod event;
pub mod fault;
pub mod gate;
pub mod ids;
pub mod lambda;
pub mod laws;
pub mod log;
pub mod record;
pub mod settings;
#[cfg(test)]
mod toy;

pub use control::{About, Cloud, Control, Place, Risk, Safety, Watch};
pub use fault::Fault;
pub use ids::{AccountId, Region};
pub use record::{Outcome, Record};
pub use settings::{Mode, Settings};
