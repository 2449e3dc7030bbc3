//! moto's server: the emulator behind the lab's gateway, in a process of its own.

use crate::python::{Error, Python, telling};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

const SERVE: &str = include_str!("../python/serve.py");

/// It takes a third of a second; a machine with no memory left may take very long, and a person should hear of it.
const START: Duration = Duration::from_mins(1);

/// It ends in milliseconds; after this it is killed.
const END: Duration = Duration::from_secs(2);

/// All that the server sees of the environment. Nothing of AWS's or moto's, no proxies: it asks no one for anything.
const INHERITED: [&str; 6] = ["PATH", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// A running server. It ends when this is dropped, and when this process ends, however that comes about.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    /// The server ends when this closes, as the system sees to even if we are killed.
    lifeline: ChildStdin,
    address: SocketAddr,
    log: PathBuf,
}

impl Moto {
    /// Starts a server, empty, at a free port; returns when it listens. What it says goes to the log, anew each start.
    pub async fn start(python: &Python, log: &Path) -> Result<Self, Error> {
        let file = create(log).map_err(|error| {
            Error::new(format!("the lab cannot write moto's log {}: {error}; free or unlock it", log.display()))
        })?;
        let anew = || format!("delete {} to have it installed anew, or see {}", python.root().display(), log.display());
        let broken = |error: &io::Error| Error::new(format!("moto's Python does not run: {error}; {}", anew()));

        let corrections: BTreeMap<_, _> = crate::quirks::CORRECTIONS.iter().copied().collect();
        let corrections = serde_json::to_string(&corrections).map_err(|error| broken(&io::Error::other(error)))?;
        let mut command = Command::new(python.interpreter());
        command
            // Isolated, as the environment is deaf to the user's other settings; -c, so that there is no file to lose.
            .args(["-I", "-c", SERVE, &corrections])
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(crate::quirks::ENVIRONMENT.iter().copied())
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "false")
            // moto asks boto3 for lists of regions, and boto3 would read, and fail on, the user's own files.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| broken(&error))?;
        let (Some(lifeline), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(broken(&io::Error::other("it has no pipes")));
        };

        let mut line = String::new();
        match timeout(START, BufReader::new(stdout).read_line(&mut line)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(broken(&error)),
            Err(_) => {
                let (seconds, log) = (START.as_secs(), log.display());
                return Err(Error::new(format!(
                    "moto did not start within {seconds} seconds; free some memory and try again, or see {log}"
                )));
            }
        }
        if let Some(port) = port(&line) {
            return Ok(Self { child, lifeline, address: (Ipv4Addr::LOCALHOST, port).into(), log: log.to_path_buf() });
        }

        // It closed the pipe without a port: it is ending, and its last line says why.
        let status = timeout(END, child.wait()).await;
        let ended = match status {
            Ok(Ok(status)) => status.to_string(),
            _ => "it said no port".to_owned(),
        };
        let said = tokio::fs::read(log).await.unwrap_or_default();
        let why = telling(&String::from_utf8_lossy(&said)).unwrap_or(ended);
        Err(Error::new(format!("moto did not start: {why}; {}", anew())))
    }

    /// Where it listens: a port of 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's process; none once it has ended.
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the server ends by itself, as it never should, and says so in a sentence. May be cancelled.
    pub async fn exited(&mut self) -> String {
        let status = self.child.wait().await;
        sentence(status.as_ref(), &self.log)
    }

    /// Ends the server and waits until it is gone.
    pub async fn stop(self) {
        let Self { mut child, lifeline, .. } = self;
        drop(lifeline);
        if timeout(END, child.wait()).await.is_err() {
            // A child that cannot be killed is already gone.
            let _ = child.kill().await;
        }
    }
}

fn create(log: &Path) -> io::Result<File> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::create(log)
}

/// The port in the line that the server prints when it listens.
fn port(line: &str) -> Option<u16> {
    line.strip_prefix("port ")?.strip_suffix('\n')?.parse().ok()
}

fn sentence(status: Result<&ExitStatus, &io::Error>, log: &Path) -> String {
    let how = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    format!("the local account is gone: moto ended ({how}); start the lab again, or see {}", log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_a_whole_line() {
        assert_eq!(port("port 40001\n"), Some(40001));
        for line in ["", "port 400", "port \n", "port 70000\n", "Port 1\n", "port 1 2\n"] {
            assert_eq!(port(line), None, "{line:?}");
        }
    }

    #[test]
    fn an_end_tells_the_log() {
        let said = sentence(Err(&io::Error::other("no such child")), Path::new("/lab/moto.log"));
        assert_eq!(
            said,
            "the local account is gone: moto ended (no such child); start the lab again, or see /lab/moto.log"
        );
    }
}
