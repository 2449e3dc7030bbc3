//! The Lambda function of the control `ec2-open-security-group`.

use ec2_open_security_group::{Ec2, OpenSecurityGroup};
use remediation::lambda::{self, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::serve::<OpenSecurityGroup, _>(Ec2::new).await
}
