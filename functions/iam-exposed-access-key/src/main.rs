//! The Lambda function of the control `iam-exposed-access-key`.

use iam_exposed_access_key::{ExposedAccessKey, Keys};
use remediation::lambda::{self, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<ExposedAccessKey, _>(|sdk, ()| Keys::new(sdk)).await
}
