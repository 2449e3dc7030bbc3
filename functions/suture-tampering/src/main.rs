//! The Lambda function of the control `suture-tampering`.

use remediation::lambda::{self, Error};
use suture_tampering::{Parts, Tampering};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<Tampering, _>(Parts::new).await
}
