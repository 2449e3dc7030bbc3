//! The account that the demo and the lab show: a small clinic's.

mod desk;
mod drifted;
pub mod making;

pub use desk::{Desk, IN_THE_WAY, Typed, environment};
pub use drifted::drift;

use crate::show::Progress;
use ::lab::call::{ACCOUNT, Caller};
use ::lab::faults::Fault;
use ::lab::runtime::Program;
use ::lab::template::{Template, World};
use ::lab::{Lab, Options, programs, python};
use bytes::Bytes;
use http::Method;
use making::{PHI, public_policy, website};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

/// The region where Suture is deployed.
pub const HOME_REGION: &str = "us-east-1";

/// The regions whose buckets Suture may change. The lab forwards their events to the home region's bus, as a deployment
/// with several regions would.
pub const REGIONS: &str = "us-east-1,us-east-2,us-west-2,eu-central-1,eu-west-1";

/// A careless user of the account, and her access key.
pub const ALICE: &str = "AKIALABALICE00000001";

/// Another user, who means well, and his.
pub const BOB: &str = "AKIALABBOB0000000001";

/// The user that a pipeline deploys as.
pub const PIPELINE: &str = "AKIALABPIPELINE00001";

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

/// After how long a build is worth a line where no progress is shown: one that has nothing to do is over by then.
const SILENCE: Duration = Duration::from_secs(3);

/// Builds the functions that the template deploys. Where no progress can be shown, a line on standard error says what it is
/// that takes so long.
pub async fn build(progress: &Progress) -> Result<BTreeMap<String, Program>, String> {
    progress.say("building the functions (minutes, the first time)");
    let workspace = programs::workspace()?;
    let functions = Template::read(&workspace.join("template.yaml"), &World::default())?.functions;
    let packages: Vec<String> = functions.into_iter().map(|function| function.code_dir).collect();
    let mut building = std::pin::pin!(programs::build(&workspace, &packages, false));
    if !std::io::stderr().is_terminal() {
        if let Ok(built) = tokio::time::timeout(SILENCE, &mut building).await {
            return built;
        }
        crate::show::eprintln!("Building the functions; the first time, this takes some minutes.");
    }
    building.await
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
    for (key, name) in [(ALICE, "alice"), (BOB, "bob"), (PIPELINE, "deploy-pipeline")] {
        let user = Caller::User { account: ACCOUNT.to_owned(), name: name.to_owned(), access_key: key.to_owned() };
        lab.gateway.identities.add(key, user);
    }
    let s3 = lab.quiet_client(HOME_REGION);
    for bucket in ["clinic-scans", "clinic-billing", "clinic-website"] {
        s3.must(Method::PUT, &format!("/{bucket}"), Bytes::new()).await?;
    }
    s3.must(Method::PUT, "/clinic-scans?tagging", PHI).await?;
    s3.must(Method::PUT, "/clinic-website?website", website("index.html")).await?;
    s3.must(Method::DELETE, "/clinic-website?publicAccessBlock", Bytes::new()).await?;
    s3.must(Method::PUT, "/clinic-website?policy", public_policy("clinic-website")).await?;
    Ok(())
}
