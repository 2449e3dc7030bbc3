//! Prowler and Cloud Custodian: how they are had, how they are asked, and where they say what they found.

use ::lab::python::{self, Packages, Python};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

/// Prowler, with the versions of everything that came with it. It has packages of some twenty clouds, some of them as source.
const PROWLER: Packages = Packages {
    requirements: include_str!("../../../bench/prowler.txt"),
    installing: "installing Prowler, to compare with (once, 1.4 GB, minutes)",
    hashed: false,
};

/// Cloud Custodian.
const CUSTODIAN: Packages = Packages {
    requirements: include_str!("../../../bench/custodian.txt"),
    installing: "installing Cloud Custodian, to compare with (once, 95 MB)",
    hashed: true,
};

/// Which buckets have not all four settings on. Without `augment-keys`, Custodian reads everything of each bucket first.
/// <https://cloudcustodian.io/docs/aws/resources/s3.html>
const POLICY: &str = r#"{"policies": [{"name": "open-buckets", "resource": "aws.s3",
  "query": [{"augment-keys": "none"}], "filters": [{"type": "check-public-block"}]}]}"#;

/// Both, installed.
pub struct Rivals {
    prowler: Python,
    custodian: Python,
}

impl Rivals {
    /// Installs them, each into an environment of its own beside the lab's.
    pub async fn install(progress: &(dyn Fn(&str) + Sync)) -> Result<Self, String> {
        let home = python::home();
        let custodian =
            python::environment_with(CUSTODIAN, &home, progress).await.map_err(|error| error.to_string())?;
        let prowler = python::environment_with(PROWLER, &home, progress).await.map_err(|error| error.to_string())?;
        Ok(Self { prowler, custodian })
    }

    /// Prowler's command for the one check that is the same question.
    /// <https://hub.prowler.com/check/s3_bucket_level_public_access_block>
    pub fn prowler(&self, folder: &Path, region: &str) -> Vec<OsString> {
        let check = ["aws", "--checks", "s3_bucket_level_public_access_block", "--region", region, "--no-banner"];
        let program = self.prowler.root().join("bin/prowler").into_os_string();
        let output = ["--output-formats", "json-ocsf", "--output-filename", "out", "--output-directory"];
        let mut command = script(program, &self.prowler);
        command.extend(check.into_iter().chain(output).map(OsString::from));
        command.push(folder.join("prowler").into());
        command
    }

    /// Custodian's command; its policy is written into the folder.
    pub fn custodian(&self, folder: &Path, region: &str) -> Result<Vec<OsString>, String> {
        let policy = folder.join("policy.json");
        std::fs::write(&policy, POLICY).map_err(|error| format!("{}: {error}", policy.display()))?;
        let program = self.custodian.root().join("bin/custodian").into_os_string();
        let mut command = script(program, &self.custodian);
        command.extend(["run", "--cache-period", "0", "--region", region, "--output-dir"].map(OsString::from));
        command.extend([folder.join("custodian").into(), policy.into()]);
        Ok(command)
    }
}

/// A script of an environment. Its first line names the folder that the environment was made in, under another name.
fn script(program: OsString, python: &Python) -> Vec<OsString> {
    vec![python.interpreter().into(), "-I".into(), program]
}

/// The buckets that `suture scan --json` says lack a block.
pub fn ours_found(said: &[u8]) -> BTreeSet<String> {
    let lines = said.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let drifted = |record: &Value| {
        let field = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let lacks = field("/control") == Some("s3-public-bucket") && field("/outcome") != Some("exempt");
        field("/resource/id").filter(|_| lacks).map(str::to_owned)
    };
    lines.filter_map(|record| drifted(&record)).collect()
}

/// Those that Prowler's findings say.
pub fn prowler_found(findings: &[u8]) -> Result<BTreeSet<String>, String> {
    let findings: Vec<Value> =
        serde_json::from_slice(findings).map_err(|error| format!("Prowler's findings: {error}"))?;
    let failed = findings.iter().filter(|finding| finding.get("status_code").and_then(Value::as_str) == Some("FAIL"));
    let name = |finding: &Value| Some(finding.pointer("/resources/0/uid")?.as_str()?.rsplit(':').next()?.to_owned());
    Ok(failed.filter_map(name).collect())
}

/// Those that Custodian's list of resources has.
pub fn custodian_found(resources: &[u8]) -> Result<BTreeSet<String>, String> {
    let resources: Vec<Value> =
        serde_json::from_slice(resources).map_err(|error| format!("Custodian's resources: {error}"))?;
    Ok(resources.iter().filter_map(|bucket| bucket.get("Name")?.as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_found_is_read_from_what_it_says() {
        let open = BTreeSet::from(["open-000001".to_owned()]);
        let ours = b"{\"control\":\"s3-public-bucket\",\"outcome\":\"planned\",\"resource\":{\"id\":\"open-000001\"}}\n\
                     {\"control\":\"s3-weak-encryption\",\"outcome\":\"planned\",\"resource\":{\"id\":\"sound-000001\"}}\n\
                     {\"schema\":\"suture.scan/1\",\"drifted\":2}\nerror: what is no record\n";
        assert_eq!(ours_found(ours), open);
        let prowler = br#"[{"status_code":"FAIL","resources":[{"uid":"arn:aws:s3:::open-000001"}]},
                           {"status_code":"PASS","resources":[{"uid":"arn:aws:s3:::sound-000001"}]}]"#;
        assert_eq!(prowler_found(prowler).unwrap(), open);
        assert_eq!(custodian_found(br#"[{"Name":"open-000001","Tags":[]}]"#).unwrap(), open);
        assert!(prowler_found(b"").is_err() && custodian_found(b"{").is_err());
    }

    #[test]
    fn they_are_pinned() {
        for (packages, pin) in [(PROWLER, "prowler==5."), (CUSTODIAN, "c7n==0.9.")] {
            let lines = packages.requirements.lines().filter(|line| !line.starts_with(['#', ' ']) && !line.is_empty());
            assert!(lines.clone().all(|line| line.contains("==")), "{pin}");
            assert!(lines.clone().any(|line| line.starts_with(pin)), "{pin}");
        }
    }
}
