//! The engine behind every Suture control.
//!
//! A control says what a resource's state ought to be ([`Control`]), its cloud half reads that state and makes single
//! writes ([`Cloud`]); everything else happens here, once, for all of them: reading events ([`event`]), the gates
//! ([`gate`]), the order of observe, plan, write and verify ([`driver`]), the outcome and its record ([`record`]),
//! errors by consequence ([`fault`]) and the Lambda entry ([`lambda`]).
//!
//! The engine names no AWS service and decides nothing about any.

pub mod accounts;
pub mod caller;
pub mod connection;
pub mod control;
pub mod driver;
pub mod event;
pub mod fault;
pub mod gate;
pub mod lambda;
pub mod laws;
pub mod log;
pub mod metrics;
mod queue;
pub mod record;
pub mod replies;
pub mod settings;
pub mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod toy;

pub use control::{About, Cloud, Control, Hindrance, Kind, Occasion, Page, Place, Risk, Safety, Scope, Setting, Watch};
pub use fault::Fault;
pub use record::{Outcome, Record};
pub use settings::{Mode, Settings};
pub use triggers::ids::{AccountId, Region, shown};
pub use triggers::{ApiCall, ConfigRule, Resource};
