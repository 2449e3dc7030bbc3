//! The Lambda function of the control `ebs-unencrypted-default`.

use ebs_unencrypted_default::{Ebs, UnencryptedDefault};
use remediation::lambda::{self, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<UnencryptedDefault, _>(Ebs::new).await
}
