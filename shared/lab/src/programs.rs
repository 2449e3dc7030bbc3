//! Builds the functions' binaries, as `sam build` would, and finds them.

use crate::runtime::Program;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The folder of the workspace: the nearest one above the current folder that has a template.yaml and a functions folder,
/// or else above this program itself, as cargo puts it into the workspace's target folder.
pub fn workspace() -> Result<PathBuf, String> {
    let is_it = |folder: &Path| folder.join("template.yaml").is_file() && folder.join("functions").is_dir();
    let here = std::env::current_dir().unwrap_or_default();
    let built = std::env::current_exe().unwrap_or_default();
    let found = here.ancestors().chain(built.ancestors()).find(|folder| is_it(folder)).map(Path::to_path_buf);
    found.ok_or_else(|| {
        "no folder here or above has Suture's template.yaml, and the functions are built from it; change into a checkout of Suture"
            .to_owned()
    })
}

/// Builds packages of the workspace and returns each one's executable by the package's name.
///
/// They are built without the rest of the workspace, as they ship: with the features of their dependencies that they ask
/// for themselves.
pub async fn build(workspace: &Path, packages: &[String], release: bool) -> Result<BTreeMap<String, Program>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.args(["build", "--quiet", "--bins", "--message-format", "json-render-diagnostics"]).current_dir(workspace);
    for package in packages {
        command.args(["--package", package]);
    }
    if release {
        command.arg("--release");
    }
    // Left over from the cargo that runs us, these would make cargo think that everything has changed.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR") {
            command.env_remove(name);
        }
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| {
        format!(
            "the functions cannot be built: {} does not run ({error}); install Rust from rustup.rs",
            cargo.display()
        )
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the functions cannot be built; cargo says:\n{}", said.trim_end()));
    }
    let mut programs = BTreeMap::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let message: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
        let name = message.pointer("/target/name").and_then(|name| name.as_str());
        let executable = message.get("executable").and_then(|path| path.as_str());
        if let (Some(name), Some(executable)) = (name, executable)
            && packages.iter().any(|package| package == name)
        {
            programs.insert(name.to_owned(), Program::new(executable));
        }
    }
    match packages.iter().find(|package| !programs.contains_key(*package)) {
        Some(package) => Err(format!("the package {package} has no binary of its name; see CONTRIBUTING.md")),
        None => Ok(programs),
    }
}
