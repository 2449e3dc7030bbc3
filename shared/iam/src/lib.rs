//! What every access key control needs: names and ids, reading users and keys, the credential report, and what IAM's errors
//! mean.
//!
//! IAM is one for the whole account: its client needs no region, and its calls take no account. They reach the account of
//! our own credentials, whatever an event says; [`Iam::user`] tells which one that is.

mod calls;
mod csv;
mod fault;
mod ids;
mod report;
mod user;

pub use calls::{Iam, Key, LastUse, Profile, Use};
pub use fault::fault;
pub use ids::{AccessKeyId, UserId, UserName};
pub use report::{Report, Row, RowKey};
pub use user::{Owner, ROOT, User, Who};
