//! The same clinic after two years in which nobody looked: something for each control that looks by itself, something that
//! is meant to be so, something that a guard protects, and something in another region. What `suture lab` begins with.

use super::HOME_REGION;
use super::desk::Desk;
use super::making::{PHI, allow, first, grants, group, instance, open_bucket, public_policy, user};
use ::lab::Lab;
use bytes::Bytes;
use http::Method;

/// Where the clinic has something that it forgot.
const ELSEWHERE: &str = "eu-west-1";

/// What is exempt: by a person, with an owner, a reason and an end.
const EXEMPT: [&str; 9] = [
    "exempt",
    "--resource",
    "clinic-open-data",
    "--owner",
    "research@clinic.example",
    "--reason",
    "a published data set, CHG-98",
    "--until",
    "90d",
];

/// Lets the clinic drift. Nothing of it is an event.
pub async fn drift(lab: &Lab) -> Result<(), String> {
    buckets(lab).await?;
    networks(lab).await?;
    let quiet = lab.quiet_client(HOME_REGION);
    user(lab, &quiet, "ct-scanner", "2024-01-15T08:00:00Z", None).await?;
    user(lab, &quiet, "lab-import", "2024-06-03T08:00:00Z", Some("400 days ago")).await?;
    user(lab, &quiet, "billing-export", "60 days ago", Some("1 days ago")).await?;
    let exempted = Desk::of(lab)?.type_in(&EXEMPT).await?;
    if exempted.code == 0 { Ok(()) } else { Err(format!("the exemption could not be made: {}", exempted.said)) }
}

async fn buckets(lab: &Lab) -> Result<(), String> {
    let quiet = lab.quiet_client(HOME_REGION);
    // Patients fill in their forms here; somebody debugged it on a Friday.
    open_bucket(&quiet, "clinic-intake").await?;
    quiet.must(Method::PUT, "/clinic-intake?tagging", PHI).await?;
    quiet.must(Method::PUT, "/clinic-intake?policy", public_policy("clinic-intake")).await?;
    open_bucket(&quiet, "clinic-research").await?;
    let grants = grants(&quiet, "clinic-research").await?;
    quiet.must(Method::PUT, "/clinic-research?acl", grants).await?;
    open_bucket(&quiet, "clinic-open-data").await?;
    quiet.must(Method::PUT, "/clinic-open-data?policy", public_policy("clinic-open-data")).await?;
    let by_kms = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms\
                  </SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>\
                  </ServerSideEncryptionConfiguration>";
    quiet.must(Method::PUT, "/clinic-scans?encryption", by_kms).await?;
    let there = lab.quiet_client(ELSEWHERE);
    let place = format!(
        "<CreateBucketConfiguration><LocationConstraint>{ELSEWHERE}</LocationConstraint></CreateBucketConfiguration>"
    );
    there.must(Method::PUT, "/clinic-archive", place).await?;
    there.must(Method::DELETE, "/clinic-archive?publicAccessBlock", Bytes::new()).await.map(drop)
}

async fn networks(lab: &Lab) -> Result<(), String> {
    let quiet = lab.quiet_client(HOME_REGION);
    let jump = group(&quiet, "clinic-jump-host").await?;
    allow(&quiet, &jump, "22", &["203.0.113.0/24", "0.0.0.0/0"]).await?;
    instance(&quiet, &jump).await?;
    let database = group(&quiet, "clinic-database").await?;
    allow(&quiet, &database, "5432", &["0.0.0.0/0"]).await?;
    // An instance that was launched without a word about its group has the VPC's default one.
    let default = first(&quiet, "DescribeSecurityGroups", "group-name", "default", "groupId").await?;
    instance(&quiet, &default).await?;
    let there = lab.quiet_client(ELSEWHERE);
    let forgotten = group(&there, "clinic-pacs").await?;
    allow(&there, &forgotten, "3389", &["0.0.0.0/0"]).await
}
