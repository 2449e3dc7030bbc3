//! The Lambda function of the control `s3-public-bucket`.

use remediation::lambda::{self, Error};
use s3_public_bucket::{PublicBucket, S3};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<PublicBucket, _>(S3::new).await
}
