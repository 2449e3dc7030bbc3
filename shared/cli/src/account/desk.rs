//! Somebody at a terminal of the lab: what `suture lab` prints to export, and commands typed there.

use ::lab::Lab;
use ::lab::template::{Template, World};
use ::lab::{programs, python};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a terminal exports to reach a lab's AWS at this port and Suture's deployment in it, in order.
///
/// S3 Control's SDK puts the account before the endpoint's host, which for an address of the loopback resolves nowhere: that
/// service has a name for its endpoint, and the lab as the proxy through which names are reached. The files keep the profile
/// of whoever plays out of it.
///
/// # Errors
/// The template cannot be read.
pub fn environment(port: u16) -> Result<Vec<(&'static str, String)>, String> {
    let template = Template::read(&programs::workspace()?.join("template.yaml"), &World::default())?;
    let recorder = template.functions.iter().find(|function| function.code_dir == "recorder");
    let deployed = |name: &str| recorder.and_then(|it| it.environment.get(name)).cloned().unwrap_or_default();
    let lab = format!("http://127.0.0.1:{port}");
    Ok(vec![
        ("AWS_ENDPOINT_URL", lab.clone()),
        ("AWS_ENDPOINT_URL_S3_CONTROL", "http://s3-control.lab".to_owned()),
        ("HTTP_PROXY", lab),
        ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", super::HOME_REGION.to_owned()),
        ("AWS_DEFAULT_REGION", super::HOME_REGION.to_owned()),
        ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("SUTURE_LEDGER", deployed("SUTURE_LEDGER")),
        ("SUTURE_EVIDENCE", format!("s3://{}", deployed("SUTURE_EVIDENCE"))),
    ])
}

/// What a terminal may have that would lead its commands elsewhere.
pub const IN_THE_WAY: [&str; 3] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"];

/// Somebody at a terminal of the lab.
pub struct Desk {
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// A command, and what came of it.
#[derive(Clone, Debug)]
pub struct Typed {
    /// As it was typed: `suture status`.
    pub command: String,
    /// How it ended; -1 if by a signal.
    pub code: i32,
    /// What it said, on both streams.
    pub said: String,
}

impl Desk {
    /// At this lab, with this very program.
    ///
    /// # Errors
    /// The program cannot be found, or the template not be read.
    pub fn of(lab: &Lab) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("suture cannot find itself: {error}"))?;
        let endpoint = lab.endpoint();
        let port = endpoint.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| format!("the lab's address has no port: {endpoint}"))?;
        Ok(Self { program, environment: environment(port)? })
    }

    /// Where the deployment's evidence is: `s3://BUCKET`.
    pub fn evidence(&self) -> &str {
        let found = self.environment.iter().find(|(name, _)| *name == "SUTURE_EVIDENCE");
        found.map_or("", |(_, place)| place.as_str())
    }

    /// Types `suture` with these arguments, and waits until it has ended.
    ///
    /// # Errors
    /// It cannot be started, or does not end.
    pub async fn type_in(&self, arguments: &[&str]) -> Result<Typed, String> {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        let command = format!("suture {}", words.join(" "));
        let mut child = Command::new(&self.program);
        child.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Where a scan keeps how far it was; the lab's own folder.
        child.env("HOME", python::home()).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(PATIENCE, child.output()).await;
        let output = output.map_err(|_| format!("{command} did not end within {} seconds", PATIENCE.as_secs()))?;
        let output = output.map_err(|error| format!("{command} could not be run: {error}"))?;
        let said = [output.stdout, output.stderr].concat();
        Ok(Typed {
            command,
            code: output.status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&said).trim_end().to_owned(),
        })
    }
}

/// A word as a shell wants it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+*".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_typed() {
        for (word, expected) in
            [("clinic-scans", "clinic-scans"), ("", "''"), ("it's so", r"'it'\''s so'"), ("a;b", "'a;b'"), ("3d", "3d")]
        {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_terminal_is_told_which_deployment() {
        let environment = environment(4566).unwrap();
        let value = |name: &str| environment.iter().find(|(of, _)| *of == name).map(|(_, value)| value.as_str());
        assert_eq!(value("AWS_ENDPOINT_URL"), Some("http://127.0.0.1:4566"));
        assert_eq!(value("SUTURE_LEDGER"), Some("suture-LedgerTable"));
        assert!(value("SUTURE_EVIDENCE").is_some_and(|place| place.starts_with("s3://suture-")));
        // A line of the terminal has to stay one.
        assert!(environment.iter().all(|(_, value)| !value.contains(['\'', '\n', ' '])));
    }
}
