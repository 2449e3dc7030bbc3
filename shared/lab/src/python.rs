//! The Python that the lab runs: a virtual environment of its own with moto, boto3 and AWS's runtime client in it,
//! pinned by hash, made once for each version of the list.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Packages of Python's, for an environment of their own.
#[derive(Clone, Copy, Debug)]
pub struct Packages {
    /// A requirements file of pip's.
    pub requirements: &'static str,
    /// Whether it has the hash of every file that may be installed; else it has versions alone, and of some packages only the
    /// source may be there.
    pub hashed: bool,
    /// What is told while they are installed.
    pub installing: &'static str,
}

/// The lab's.
const LAB: Packages = Packages {
    requirements: include_str!("../python/requirements.txt"),
    hashed: true,
    installing: "installing moto, boto3 and AWS's runtime client for Python (once, about 130 MB)",
};

/// Names another interpreter than `python3`.
const OVERRIDE: &str = "SUTURE_PYTHON";

/// The oldest Python that every pinned package runs on.
const OLDEST: (u32, u32) = (3, 10);

/// Where the first good one is the lab's. `python3` of macOS and of long-lived distributions is older than we need, but
/// a newer one is often there under its full name.
const CANDIDATES: [&str; 6] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];

/// Written last into a new environment; holds the interpreter that it was made from.
const MADE_FROM: &str = "made-from";

/// Settings of pip that would change what is installed or where to. Those that say how to reach an index stay.
const PIP_SURPRISES: [&str; 11] = [
    "PIP_CONSTRAINT",
    "PIP_DRY_RUN",
    "PIP_EDITABLE",
    "PIP_LOG",
    "PIP_NO_BINARY",
    "PIP_NO_DEPS",
    "PIP_PREFIX",
    "PIP_QUIET",
    "PIP_REQUIREMENT",
    "PIP_ROOT",
    "PIP_TARGET",
];

/// Why the lab's Python or its server is not to be had: one sentence, which ends with the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// An error that reads so.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// A virtual environment that has all the lab needs.
#[derive(Clone, Debug)]
pub struct Python {
    interpreter: PathBuf,
    root: PathBuf,
}

impl Python {
    fn at(root: PathBuf) -> Self {
        Self { interpreter: interpreter_of(&root), root }
    }

    /// The environment's own `python`: what it runs sees the environment's packages.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }

    /// The environment's folder; without it, the next run makes a new one.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Where the lab keeps what it makes: `lab` in the target folder that the running program was built into, whatever that
/// is called and for whatever profile; for a program that was installed elsewhere, the user's cache folder.
pub fn home() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    std::env::current_exe()
        .ok()
        .and_then(|program| target_of(&program))
        .or_else(|| absolute("CARGO_TARGET_DIR"))
        .map(|target| target.join("lab"))
        .or_else(|| absolute("XDG_CACHE_HOME").map(|cache| cache.join("suture")))
        .or_else(|| absolute("HOME").map(|home| home.join(".cache/suture")))
        .unwrap_or_else(|| std::env::temp_dir().join("suture-lab"))
}

/// The folder above this program that cargo marked as its own.
fn target_of(program: &Path) -> Option<PathBuf> {
    program.ancestors().skip(1).find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf)
}

/// The lab's Python under `dir`: the one there, or a new one, which takes some ten seconds and the network. Made from
/// `python3`, or from the interpreter that `SUTURE_PYTHON` names. Says through `progress` what takes time.
pub async fn environment(dir: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<Python, Error> {
    environment_with(LAB, dir, progress).await
}

/// The same with other packages than the lab's.
pub async fn environment_with(
    packages: Packages,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Python, Error> {
    let named = std::env::var_os(OVERRIDE).filter(|name| !name.is_empty());
    made_from(packages, named.as_deref(), dir, progress).await
}

/// As [`environment`], made from this interpreter whatever `SUTURE_PYTHON` says; none means `python3`.
pub async fn environment_from(
    named: Option<&OsStr>,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Python, Error> {
    made_from(LAB, named, dir, progress).await
}

async fn made_from(
    packages: Packages,
    named: Option<&OsStr>,
    dir: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Python, Error> {
    let root = dir.join(folder_name(packages.requirements, named));
    if is_good(&root) {
        return Ok(Python::at(root));
    }

    // One process makes it, the others wait for that one; a lock of the system's ends with the process that holds it.
    tokio::fs::create_dir_all(dir).await.map_err(|error| unwritable(dir, &error))?;
    let lock = lock(dir, progress).await.map_err(|error| unwritable(dir, &error))?;
    if !is_good(&root) {
        make(packages, named, dir, &root, progress).await?;
    }
    drop(lock);
    Ok(Python::at(root))
}

/// One folder for each list of packages and each interpreter asked for.
fn folder_name(requirements: &str, named: Option<&OsStr>) -> String {
    let named = named.unwrap_or_default().as_encoded_bytes();
    // FNV-1a. The standard library's hash may differ between releases of the compiler, which would each get a folder.
    let hash = requirements
        .as_bytes()
        .iter()
        .chain([&0])
        .chain(named)
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("python-{hash:016x}")
}

/// Whether a whole environment is there and the interpreter that it was made from is still that one: a system's upgrade
/// leaves the environment in place and its packages out of reach. No Python runs for this: that alone takes 10 ms.
fn is_good(root: &Path) -> bool {
    match (std::fs::read(root.join(MADE_FROM)), interpreter_of(root).canonicalize()) {
        (Ok(made_from), Ok(now)) => now.as_os_str().as_encoded_bytes() == made_from,
        _ => false,
    }
}

fn interpreter_of(root: &Path) -> PathBuf {
    root.join("bin").join("python")
}

async fn lock(dir: &Path, progress: &(dyn Fn(&str) + Sync)) -> io::Result<File> {
    let file = File::create(dir.join("python.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            progress("waiting for another process to install the lab's Python packages");
            let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
            locked.map_err(io::Error::other)?
        }
    }
}

/// Makes the environment under another name and renames it when it is whole, so that an installation that was killed is
/// never taken for one that was finished. The caller holds the lock.
async fn make(
    packages: Packages,
    named: Option<&OsStr>,
    dir: &Path,
    root: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), Error> {
    let base = find(named).await?;
    discard_leftovers(dir).await;

    progress("making a Python environment for the lab");
    // This process's id: pip outlives a lab that is killed outright, and must not write into its successor's folder.
    let partial = dir.join(format!("partial-{}", std::process::id()));
    let log = dir.join("python-install.log");
    let done = fill(packages, &base, &partial, &log, progress).await;
    let done = match done {
        Ok(()) => settle(&partial, root).await.map_err(|error| unwritable(dir, &error)),
        failed => failed,
    };
    if done.is_err() {
        // A folder that cannot be removed is in nobody's way; the first failure is the one to tell.
        let _ = tokio::fs::remove_dir_all(&partial).await;
    }
    done
}

/// What killed installations left. Best effort: it costs room, no more.
async fn discard_leftovers(dir: &Path) {
    let Ok(mut entries) = tokio::fs::read_dir(dir).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        if entry.file_name().as_encoded_bytes().starts_with(b"partial-") {
            let _ = tokio::fs::remove_dir_all(entry.path()).await;
        }
    }
}

/// The environment and its packages.
async fn fill(
    packages: Packages,
    base: &OsStr,
    partial: &Path,
    log: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), Error> {
    let mut venv = isolated(base);
    venv.args(["-m", "venv"]).arg(partial);
    if !logged(venv, log).await.map_err(|error| unwritable(log, &error))? {
        return Err(no_venv(base, &read(log).await, log));
    }

    let requirements = partial.join("requirements.txt");
    tokio::fs::write(&requirements, packages.requirements).await.map_err(|error| unwritable(partial, &error))?;
    progress(packages.installing);
    let mut pip = isolated(interpreter_of(partial).as_os_str());
    pip.args(["-m", "pip", "install", "--no-input"]);
    if packages.hashed {
        pip.args(["--require-hashes", "--only-binary", ":all:"]);
    }
    pip.args(["--disable-pip-version-check", "--no-warn-script-location", "--progress-bar", "off", "--requirement"])
        .arg(&requirements);
    if !logged(pip, log).await.map_err(|error| unwritable(log, &error))? {
        return Err(refused(&read(log).await, log));
    }
    Ok(())
}

/// Gives the environment its name.
async fn settle(partial: &Path, root: &Path) -> io::Result<()> {
    let made_from = tokio::fs::canonicalize(interpreter_of(partial)).await?;
    tokio::fs::write(partial.join(MADE_FROM), made_from.as_os_str().as_encoded_bytes()).await?;
    if tokio::fs::try_exists(root).await? {
        // One whose interpreter is gone.
        tokio::fs::remove_dir_all(root).await?;
    }
    tokio::fs::rename(partial, root).await
}

/// A command of this interpreter's, deaf to what the user set for other Pythons.
fn isolated(interpreter: &OsStr) -> Command {
    let mut command = Command::new(interpreter);
    command.arg("-I").stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PYTHON") || PIP_SURPRISES.iter().any(|pip| name == *pip) {
            command.env_remove(name);
        }
    }
    command.env("PYTHONNOUSERSITE", "1").env("PIP_USER", "0");
    command
}

/// Runs a command with all that it says in the log; whether it succeeded.
async fn logged(mut command: Command, log: &Path) -> io::Result<bool> {
    let file = File::create(log)?;
    let status = command.stdout(file.try_clone()?).stderr(file).status().await;
    match status {
        Ok(status) => Ok(status.success()),
        // It is there, we have just asked it for its version; what is wrong now goes where the rest is told.
        Err(error) => tokio::fs::write(log, error.to_string()).await.map(|()| false),
    }
}

async fn read(log: &Path) -> String {
    tokio::fs::read(log).await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// An interpreter that will do: the one named, or else the first that is new enough.
async fn find(named: Option<&OsStr>) -> Result<OsString, Error> {
    if let Some(name) = named {
        let shown = name.display();
        return match version(name).await {
            Ok(found) if new_enough(&found) => Ok(name.to_owned()),
            Ok(found) => {
                Err(Error::new(format!("{OVERRIDE} names {shown}, which is {}; {}", called(&found), needed())))
            }
            Err(why) => Err(Error::new(format!("{OVERRIDE} names {shown}, which does not run ({why}); {}", needed()))),
        };
    }
    let mut old = None;
    for candidate in CANDIDATES.map(OsStr::new) {
        match version(candidate).await {
            Ok(found) if new_enough(&found) => return Ok(candidate.to_owned()),
            Ok(found) => old = old.or(Some(found)),
            Err(_) => {}
        }
    }
    Err(Error::new(match old {
        Some(found) => format!("python3 is {}, too old for the lab; {}", called(&found), needed()),
        None => format!("no python3 on the PATH; {}", needed()),
    }))
}

fn needed() -> String {
    let (major, minor) = OLDEST;
    format!("install Python {major}.{minor} or newer, or set {OVERRIDE} to one")
}

fn called(version: &str) -> String {
    if numbers(version).is_some() { format!("Python {version}") } else { format!("no Python (it says {version:?})") }
}

/// What an interpreter calls its version, as `3.11.7`; or why it does not say.
async fn version(interpreter: &OsStr) -> Result<String, String> {
    let output = isolated(interpreter)
        .args(["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"])
        .output()
        .await
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(telling(&String::from_utf8_lossy(&output.stderr)).unwrap_or_else(|| output.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn new_enough(version: &str) -> bool {
    numbers(version).is_some_and(|numbers| numbers >= OLDEST)
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// The line of a program's output that says what went wrong: the last that pip marks as an error, or else the last.
pub(crate) fn telling(output: &str) -> Option<String> {
    let lines = || output.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let line = lines().find_map(|line| line.strip_prefix("ERROR: ")).or_else(|| lines().next())?;
    // pip adds advice about files of one's own, and can put a whole page into one line.
    let line = line.split(". ").next().unwrap_or(line).trim_end_matches('.');
    match line.char_indices().nth(300) {
        Some((end, _)) => line.get(..end).map(|start| format!("{start}…")),
        None => Some(line.to_owned()),
    }
}

fn no_venv(base: &OsStr, output: &str, log: &Path) -> Error {
    let base = base.display();
    if ["ensurepip", "No module named venv"].iter().any(|sign| output.contains(sign)) {
        return Error::new(format!(
            "{base} has no venv module to make an environment with; install it (on Debian and Ubuntu: apt-get install \
             python3-venv), or set {OVERRIDE} to a Python that has it"
        ));
    }
    let line = telling(output).unwrap_or_else(|| "it does not say why".to_owned());
    Error::new(format!("{base} made no environment: {line}; {}, or see {}", way_out(output), log.display()))
}

fn refused(output: &str, log: &Path) -> Error {
    let line = telling(output).unwrap_or_else(|| "it does not say why".to_owned());
    Error::new(format!("pip did not install the lab's packages: {line}; {}, or see {}", way_out(output), log.display()))
}

fn way_out(output: &str) -> String {
    let has = |signs: &[&str]| signs.iter().any(|sign| output.contains(sign));
    if has(&["No space left", "Disk quota exceeded"]) {
        "make room on the disk".to_owned()
    } else if has(&["DO NOT MATCH THE HASHES"]) {
        "the index that pip asks serves other files than those pinned here: name another by PIP_INDEX_URL".to_owned()
    } else if has(&["Retrying (", "ProxyError", "SSLError", "NewConnectionError", "Max retries exceeded"]) {
        "check the network, the proxy, and what PIP_INDEX_URL or pip's configuration names".to_owned()
    } else if has(&["No matching distribution"]) {
        format!("check what PIP_INDEX_URL or pip's configuration names, or set {OVERRIDE} to another Python")
    } else {
        format!("try again, set {OVERRIDE} to another Python")
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::new(format!(
        "the lab cannot write to {}: {error}; free or unlock it, or set CARGO_TARGET_DIR to a folder that can be written",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(new_enough("3.10.0") && new_enough("3.13.0rc1") && new_enough("4.0"));
        assert!(!new_enough("3.9.18") && !new_enough("2.7.18") && !new_enough("") && !new_enough("hello"));
    }

    #[test]
    fn another_list_or_interpreter_has_another_folder() {
        let name = folder_name("a==1", None);
        assert_eq!(name, folder_name("a==1", None));
        assert_eq!(name.len(), "python-".len() + 16);
        assert_ne!(name, folder_name("a==2", None));
        assert_ne!(name, folder_name("a==1", Some(OsStr::new("python3.12"))));
    }

    #[test]
    fn the_list_is_pinned_by_hash_and_names_no_index() {
        let list = LAB.requirements;
        assert!(list.contains("moto==5.2.5") && list.contains("awslambdaric==4."));
        assert!(!list.contains("://") && !list.contains("--index") && !list.contains("--find"));
        let pins = list.lines().filter(|line| line.contains("==") && !line.starts_with(['#', ' ']));
        assert!(pins.clone().count() > 20);
        assert!(pins.clone().all(|pin| pin.ends_with('\\')), "each pin goes on with its hashes");
    }

    #[test]
    fn the_line_that_tells_is_pip_s_last_error() {
        let output =
            "Collecting x\nERROR: first\nERROR: No matching distribution found for x==1\n\nnotice: a new pip\n";
        assert_eq!(telling(output).unwrap(), "No matching distribution found for x==1");
        assert_eq!(telling("Traceback\nKeyError: 'a'\n\n").unwrap(), "KeyError: 'a'");
        assert_eq!(telling("ERROR: NO MATCH. If you changed it, say so.\n    a: b\n").unwrap(), "NO MATCH");
        assert_eq!(telling(" \n"), None);
        assert_eq!(telling(&"é".repeat(1000)).unwrap().chars().count(), 301);
    }

    #[test]
    fn a_refusal_says_the_way_out_that_fits() {
        let said = |output: &str| refused(output, Path::new("/lab/log")).to_string();
        assert!(said("ERROR: [Errno 28] No space left on device").contains("make room"));
        assert!(
            said("WARNING: Retrying (Retry(total=4\nERROR: No matching distribution found").contains("the network")
        );
        assert!(said("ERROR: No matching distribution found for a==1").contains("SUTURE_PYTHON"));
        let mismatch =
            said("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If so\n  a: got b");
        assert!(mismatch.contains("other files") && mismatch.ends_with("or see /lab/log"), "{mismatch}");
    }

    #[test]
    fn the_target_folder_is_found_from_the_program() {
        let target = target_of(&std::env::current_exe().unwrap()).unwrap();
        assert!(target.join("CACHEDIR.TAG").is_file());
        assert_eq!(home(), target.join("lab"));
        assert_eq!(target_of(Path::new("/usr/bin/env")), None);
    }
}
