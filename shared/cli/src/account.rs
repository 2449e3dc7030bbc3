//! The account that the demo and the lab show: a small clinic's.

use crate::show::Progress;
use ::lab::call::{ACCOUNT, Caller};
use ::lab::faults::Fault;
use ::lab::runtime::Program;
use ::lab::template::{Template, World};
use ::lab::{Lab, Options, programs, python};
use bytes::Bytes;
use http::Method;
use std::collections::BTreeMap;
use std::time::Duration;

/// The region where Suture is deployed.
pub const HOME_REGION: &str = "us-east-1";

/// The regions whose buckets Suture may change. The lab forwards their events to the home region's bus, as a deployment
/// with several regions would.
pub const REGIONS: &str = "us-east-1,us-east-2,us-west-2,eu-central-1,eu-west-1";

/// A careless user of the account, and her access key.
pub const ALICE: &str = "AKIALABALICE00000001";

/// How to deploy.
pub struct Deployment {
    /// The template's parameter Mode.
    pub mode: &'static str,
    /// More of the template's parameters.
    pub parameters: Vec<(String, String)>,
    /// The gateway's port; 0 for a free one.
    pub port: u16,
    /// Faults from the start.
    pub faults: Vec<Fault>,
}

/// Builds the functions that the template deploys.
pub async fn build(progress: &Progress) -> Result<BTreeMap<String, Program>, String> {
    progress.say("building the functions (minutes, the first time)");
    let workspace = programs::workspace()?;
    let functions = Template::read(&workspace.join("template.yaml"), &World::default())?.functions;
    let packages: Vec<String> = functions.into_iter().map(|function| function.code_dir).collect();
    programs::build(&workspace, &packages, false).await
}

/// Starts a local AWS with the functions deployed in it, and puts the clinic's buckets there.
pub async fn start(
    programs: BTreeMap<String, Program>,
    deployment: Deployment,
    progress: &Progress,
) -> Result<Lab, String> {
    let mut parameters =
        BTreeMap::from([("Mode".to_owned(), deployment.mode.to_owned()), ("Regions".to_owned(), REGIONS.to_owned())]);
    parameters.extend(deployment.parameters);
    let options = Options {
        home: python::home(),
        port: deployment.port,
        template: programs::workspace()?.join("template.yaml"),
        programs,
        parameters,
        faults: deployment.faults,
        retry_after: [Duration::from_secs(1), Duration::from_secs(2)],
    };
    let lab = Lab::start(options, &|what| progress.say(what)).await?;
    // The lab's retries come after seconds instead of minutes, so leases are as much shorter.
    for function in lab.gateway.functions.names() {
        lab.set(&function, &[("SUTURE_LEASE_SECONDS", "2")])?;
    }
    progress.say("putting a clinic's buckets in it");
    fill(&lab).await?;
    Ok(lab)
}

async fn fill(lab: &Lab) -> Result<(), String> {
    let alice = Caller::User { account: ACCOUNT.to_owned(), name: "alice".to_owned(), access_key: ALICE.to_owned() };
    lab.gateway.identities.add(ALICE, alice);
    let s3 = lab.quiet_client(HOME_REGION);
    for bucket in ["clinic-scans", "clinic-billing", "clinic-website"] {
        s3.must(Method::PUT, &format!("/{bucket}"), Bytes::new()).await?;
    }
    let tag = "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>phi</Value></Tag></TagSet></Tagging>";
    s3.must(Method::PUT, "/clinic-scans?tagging", tag).await?;
    let website =
        "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
    s3.must(Method::PUT, "/clinic-website?website", website).await?;
    s3.must(Method::DELETE, "/clinic-website?publicAccessBlock", Bytes::new()).await?;
    s3.must(Method::PUT, "/clinic-website?policy", public_policy("clinic-website")).await?;
    Ok(())
}

/// A bucket policy that lets everybody read.
pub fn public_policy(bucket: &str) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "EverybodyReads",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{bucket}/*"),
        }],
    })
    .to_string()
}
