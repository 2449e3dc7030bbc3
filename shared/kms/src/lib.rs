//! What every control that names KMS keys needs: their ARNs, a key for each region, and one client for each region.
//!
//! What a control makes of a key that it looked at is its own: S3 takes other keys than EBS does.

mod arn;
mod clients;
mod keys;

pub use arn::KeyArn;
pub use clients::Clients;
pub use keys::Keys;
