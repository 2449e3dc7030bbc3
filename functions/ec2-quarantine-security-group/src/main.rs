//! The Lambda function of the control `ec2-quarantine-security-group`.

use ec2_quarantine_security_group::{Ec2, Quarantine};
use remediation::lambda::{self, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<Quarantine, _>(Ec2::new).await
}
