//! What Suture remembers: what it did, what it may do, and what waits for a person.
//!
//! One table holds it all: a DynamoDB table for a deployment, a file for a command line without one, memory for tests. What
//! it all means is decided here once, over [`Store`], which can do little: get an item, list a partition, and make several
//! writes together or none of them.
//!
//! | partition key | sort key | item |
//! |---|---|---|
//! | `deployment` | `settings` | modes, the kill switch ([`Posture`]) |
//! | `deployment` | `exemption#<id>` | an [`Exemption`] |
//! | `resource#<account>#<region>#<type>#<name>` | `record#<began>#<id>` | a record, first as intent, then with its result |
//! | `resource#<account>#<region>#<type>#<name>` | `standing#<control>` | lease, returns, what was last said ([`Standing`]) |
//! | `approvals` | `<id>` | a plan that waits for a person ([`Approval`]) |
//! | `budget#<control>` | `hour#<hour>` | how many writes that hour had |
//! | `budget#<control>` | `reached#<hour>` | that the budget of that hour was reached |
//! | `chain` | `head`, `slot#<number>`, `lost#<hash>` | the chain of evidence (crate `evidence`) |
//! | `untold` | `evidence#…`, `change#…` | what could not be announced yet (function `recorder`) |
//! | `findings` | `<id>` | that a Security Hub finding is open (function `recorder`) |
//!
//! Two indexes: `by-id` (a record by its id) and `by-day` (what happened in an account on a day).

mod approval;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod decisions;
mod deployment;
mod dynamo;
mod exemption;
#[cfg(any(test, feature = "testing"))]
mod faulty;
mod file;
mod ledger;
mod memory;
mod outcome;
mod standing;
mod store;

pub use approval::{Approval, ApprovalState};
pub use deployment::{Deployment, Posture, Stop};
pub use dynamo::Dynamo;
pub use exemption::{Covers, Exemption, TAG};
#[cfg(any(test, feature = "testing"))]
pub use faulty::{Act, Call, Faulty, Turn};
pub use file::File;
pub use ledger::{Budget, Held, LEASE, Ledger, Look, Noted, Refusal};
pub use memory::Memory;
pub use outcome::{Mode, Outcome};
pub use standing::{Lease, Return, Spot, Standing};
pub use store::{Answer, Index, Item, Key, Store, Trouble, Write};
