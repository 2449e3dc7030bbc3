//! The Lambda function of the control `s3-public-policy`.

use remediation::lambda::{self, Error};
use s3_public_policy::{PublicPolicy, S3};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<PublicPolicy, _>(S3::new).await
}
