//! The Lambda function of the control `s3-public-account`.

use remediation::lambda::{self, Error};
use s3_public_account::{PublicAccount, S3};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<PublicAccount, _>(S3::new).await
}
