//! The Lambda function of the control `iam-stale-access-key`.

use iam_stale_access_key::{StaleAccessKey, Users};
use remediation::lambda::{self, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<StaleAccessKey, _>(Users::new).await
}
