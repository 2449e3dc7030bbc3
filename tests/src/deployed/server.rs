//! MiniStack as a process of its own, and the Python that it runs in.

use crate::PATIENCE;
use lab::python::{self, Packages, Python};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

const PACKAGES: Packages = Packages {
    requirements: include_str!("../../deployed/requirements.txt"),
    hashed: true,
    installing: "installing MiniStack and SAM's transform for Python (once, about 90 MB)",
};
const SERVE: &str = include_str!("../../deployed/serve.py");

/// A MiniStack, empty. It ends, and takes its folder with it, when this is dropped, and when this process ends, however that
/// comes about.
#[derive(Debug)]
pub struct MiniStack {
    child: Child,
    _lifeline: ChildStdin,
    address: SocketAddr,
    home: PathBuf,
}

impl MiniStack {
    /// Starts one at free ports of 127.0.0.1. What it keeps and says is in a folder of its own, which goes with it.
    pub async fn start(python: &Python) -> Self {
        let home = python::home().join(crate::fresh("ministack"));
        tokio::fs::create_dir_all(&home).await.unwrap();
        let log = std::fs::File::create(home.join("log")).unwrap();
        let mut child = Command::new(python.interpreter())
            .args(["-I", "-c", SERVE])
            .env_clear()
            .envs(
                ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"]
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            // It reads no file of the user's, and leaves none.
            .envs([("HOME", &home), ("TMPDIR", &home)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lifeline = child.stdin.take().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        timeout(PATIENCE, said.read_line(&mut line)).await.expect("MiniStack starts").unwrap();
        let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
        let Some(port) = port else { panic!("MiniStack did not start:\n{}", log_of(&home)) };
        Self { child, _lifeline: lifeline, address: (Ipv4Addr::LOCALHOST, port).into(), home }
    }

    /// Where it listens without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of all that it keeps.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Closes the pipe that it lives by, as the system does when the process at its end is killed, and waits until it is gone.
    pub async fn abandoned(self) {
        let Self { mut child, _lifeline: lifeline, .. } = self;
        drop(lifeline);
        timeout(PATIENCE, child.wait()).await.expect("it ends by itself").unwrap();
    }
}

pub(super) fn log_of(home: &Path) -> String {
    std::fs::read_to_string(home.join("log")).unwrap_or_default()
}

/// The Python that has MiniStack and SAM's transform.
pub async fn environment() -> Python {
    python::environment_with(PACKAGES, &python::home(), &|_| {}).await.unwrap()
}
