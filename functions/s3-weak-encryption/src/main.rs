//! The Lambda function of the control `s3-weak-encryption`.

use remediation::lambda::{self, Error};
use s3_weak_encryption::{Encryption, WeakEncryption};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<WeakEncryption, _>(Encryption::new).await
}
