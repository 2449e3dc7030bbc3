//! Makes evidence of every finished record, and tells people what they should know.
//!
//! ## What it looks for
//! What is new in the ledger's table: records that have a result, live settings and exemptions that changed, budgets that
//! were reached, plans that were decided. The table's stream says so within a second; once an hour the table itself is
//! asked, for what the stream lost.
//!
//! ## Why it matters
//! The functions that change things write their record into the ledger and nothing else: they need no permission for
//! evidence or announcements, and lose no time by them. Whoever takes one of them over can forge no evidence.
//!
//! ## What it does
//! Of every record a piece of evidence ([`evidence`]); then a message to the topic and a finding for Security Hub, where
//! [`announce`] has something to say; then it marks the record as archived. Evidence never waits for an announcement: what
//! cannot be told stays in the table under `untold`, and every later run tries it first.
//!
//! ## What could break
//! It writes to no resource. What may be told twice: docs/evidence.md says when.
//!
//! ## References
//! - Change data capture for DynamoDB Streams:
//!   <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
//! - 45 CFR 164.312(b) (audit controls), 164.316(b)(1)-(2) (documentation, kept for six years).

mod about;
mod hourly;
mod people;
mod recorder;
mod serve;
mod settings;
mod stream;
mod telling;

pub use about::{ABOUT, About, Permissions};
pub use hourly::Swept;
pub use people::{Aws, Nobody, People, Told};
pub use recorder::{Recorded, Recorder, Voice};
pub use serve::{Response, Retry, answer, serve};
pub use settings::Settings;
pub use stream::{Changed, Event, StreamRecord};
pub use telling::Untold;
