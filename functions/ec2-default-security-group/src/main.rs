//! The Lambda function of the control `ec2-default-security-group`.

use ec2_default_security_group::{DefaultSecurityGroup, Ec2};
use remediation::lambda::{self, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<DefaultSecurityGroup, _>(Ec2::new).await
}
