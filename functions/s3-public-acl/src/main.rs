//! The Lambda function of the control `s3-public-acl`.

use remediation::lambda::{self, Error};
use s3_public_acl::{PublicAcl, S3};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<PublicAcl, _>(S3::new).await
}
