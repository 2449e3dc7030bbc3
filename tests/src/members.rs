//! A hub and a member account, with the two templates that are deployed to them.

use crate::{HOME, deployed, workspace};
use http::Method;
use lab::call::Caller;
use lab::gateway::Happened;
use lab::runtime::Report;
use lab::{Lab, Member};
use std::collections::BTreeMap;

/// The member account.
pub const MEMBER: &str = crate::OTHER_ACCOUNT;
/// The organization of both.
pub const ORGANIZATION: &str = "o-a1b2c3d4e5";
/// What the member's roles want to hear.
pub const EXTERNAL_ID: &str = "clinic-2026";

/// A hub that looks after these accounts, beside nothing.
pub async fn hub(accounts: &str, more: &[(&str, &str)]) -> Lab {
    let members = [("OrganizationId", ORGANIZATION), ("ExternalId", EXTERNAL_ID), ("Accounts", accounts)];
    deployed(&[&members[..], more].concat()).await
}

/// A hub and the member account, both of the organization, both looked after.
pub async fn organization() -> Lab {
    let lab = hub(&format!("{},{MEMBER}", crate::ACCOUNT), &[]).await;
    open(&lab, MEMBER).await;
    lab
}

/// Deploys `member.yaml` to an account, to both regions.
pub async fn open(lab: &Lab, account: &str) {
    let parameters = [
        ("HubAccount", crate::ACCOUNT),
        ("HubRegion", HOME),
        ("OrganizationId", ORGANIZATION),
        ("ExternalId", EXTERNAL_ID),
    ];
    let member = Member {
        account: account.to_owned(),
        organization: ORGANIZATION.to_owned(),
        template: workspace().join("member.yaml"),
        regions: vec![HOME.to_owned(), "eu-west-1".to_owned()],
        parameters: BTreeMap::from(parameters.map(|(name, value)| (name.to_owned(), value.to_owned()))),
    };
    lab.open_account(&member).await.unwrap();
}

/// A bucket of an account's that nobody saw made, without its public access block.
pub async fn open_bucket(lab: &Lab, account: &str, region: &str) -> String {
    let (client, name) = (lab.quiet_client_in(account, region), crate::fresh("scans"));
    let body = if region == HOME {
        String::new()
    } else {
        format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    client.must(Method::PUT, &format!("/{name}"), body).await.unwrap();
    client.must(Method::DELETE, &format!("/{name}?publicAccessBlock"), "").await.unwrap();
    name
}

/// Whether all settings of a bucket's block are on, read past everything.
pub async fn is_closed(lab: &Lab, account: &str, region: &str, bucket: &str) -> bool {
    let client = lab.quiet_client_in(account, region);
    let answer = client.s3(Method::GET, &format!("/{bucket}?publicAccessBlock"), "").await.unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    answer.status == 200 && text.matches(">true</").count() == 4
}

/// The calls of an invocation that it made in another account's role, as `account:role`.
pub fn in_roles(report: &Report) -> Vec<String> {
    let role = |call: &Happened| match &call.caller {
        Caller::Role { account, role, .. } if account != crate::ACCOUNT => Some(format!("{account}:{role}")),
        _ => None,
    };
    report.calls.iter().filter_map(role).collect()
}
