//! What a reader is told to type: commands that `suture` understands, requests that functions take.

use crate::{apart, pages, text};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use system_tests::{folders, fresh, workspace};

/// The real command.
static SUTURE: LazyLock<PathBuf> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let built = runtime.block_on(lab::programs::build(&workspace(), &["suture".to_owned()], false));
    built.unwrap()["suture"].path.clone()
});

/// A folder for a test, which it leaves behind empty or not: it is under the system's own for such things.
fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(fresh("suture-docs"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `suture` for somebody who has an empty ledger in a file, nobody at the terminal, and no AWS.
fn suture(arguments: &[String], input: &str) -> Output {
    static HOME: LazyLock<PathBuf> = LazyLock::new(folder);
    let mut command = Command::new(&*SUTURE);
    command.args(arguments).current_dir(&*HOME).env_clear().env("HOME", &*HOME).env("AWS_REGION", "us-east-1");
    command.env("SUTURE_LEDGER", format!("file:{}", HOME.join("ledger").display()));
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_EC2_METADATA_DISABLED", "true");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may well have ended before it read anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Whether `suture` understands these arguments; what it says, if not. What would start an emulator is only asked how it is used.
fn understands(arguments: &[String]) -> Result<(), String> {
    let mut arguments = arguments.to_vec();
    if arguments.first().is_some_and(|name| ["demo", "lab", "bench", "explain-event"].contains(&name.as_str())) {
        arguments.push("--help".to_owned());
    }
    let said = String::from_utf8(suture(&arguments, "").stderr).unwrap();
    if said.contains("try '--help'") { Err(said) } else { Ok(()) }
}

/// What a page's shell blocks call, in the order in which a shell calls it: the command and its arguments. They run in a shell
/// in which every command is one that only notes how it was called, all at once: the two ends of a pipe run beside each other.
fn called(page: &str) -> Vec<Vec<String>> {
    let commands = ["suture", "aws", "jq", "cargo", "sam", "git", "curl", "pip", "mkdir", "cd", "sort", "date"];
    let mut script = "PATH=/nowhere\nnote() { printf '%s\\0' \"$@\" $'\\1' >&3; }\n".to_owned();
    for command in commands {
        writeln!(script, "{command}() {{ note {command} \"$@\"; echo x; }}").unwrap();
    }
    for (language, block) in apart(&text(page)).1 {
        // A script in a block is a file that a reader makes of it.
        if ["sh", "shell"].contains(&language.as_str()) && !block.starts_with("#!") {
            script.push_str(&block);
        }
    }
    let folder = folder();
    let notes = folder.join("notes");
    let bash = Command::new("bash").args(["-c", &format!("exec 3>notes\n{script}")]).current_dir(&folder).output();
    let output = bash.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("syntax error"), "{page}: {said}");
    let notes = String::from_utf8(std::fs::read(notes).unwrap()).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let words = |call: &str| call.split_terminator('\0').map(str::to_owned).collect();
    notes.split_terminator("\u{1}\0").map(words).collect()
}

/// Whatever a page says to type at `suture`, it understands.
#[test]
fn every_command_in_the_docs_is_one() {
    let mut seen = 0;
    for page in pages() {
        let (prose, _) = apart(&text(&page));
        let mut typed: Vec<Vec<String>> = Vec::new();
        for call in called(&page) {
            match call.first().map(String::as_str) {
                Some("suture") => typed.push(call[1..].to_vec()),
                Some("cargo") if call.iter().any(|word| word == "suture") => {
                    typed.extend(call.iter().position(|word| word == "--").map(|at| call[at + 1..].to_vec()));
                }
                _ => {}
            }
        }
        // In a sentence a command need not be whole, and may be one of a pipe's.
        let spans = prose.split('`').skip(1).step_by(2).flat_map(|span| span.split(" | "));
        for span in spans.filter_map(|span| span.strip_prefix("suture ")) {
            let words = span.split_whitespace().filter(|word| !"…\\".contains(word)).map(str::to_owned);
            typed.push(words.chain(["--help".to_owned()]).collect());
        }
        for arguments in typed {
            understands(&arguments).unwrap_or_else(|why| panic!("{page}: suture {}\n{why}", arguments.join(" ")));
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} commands were found");
}

#[test]
fn what_is_no_command_is_found_out() {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for line in ["stop", "mode s3-public-bucket on", "history clinic-scans --what", "frobnicate", "lab --portt 1"] {
        assert!(understands(&words(line)).is_err(), "suture {line}");
    }
    for line in ["stop --reason x", "mode s3-public-bucket", "lab --port 1"] {
        assert_eq!(understands(&words(line)), Ok(()), "suture {line}");
    }
}

/// Whatever a page says to send to a function is a request that the function takes, and every policy that it says to put is
/// one.
#[test]
fn every_payload_in_the_docs_is_one() {
    let (mut requests, mut policies) = (0, 0);
    for page in pages() {
        for call in called(&page) {
            let value = |flag: &str| call.iter().position(|word| word == flag).and_then(|at| call.get(at + 1));
            if let Some(policy) = value("--policy-document") {
                let policy: Value =
                    serde_json::from_str(policy).unwrap_or_else(|why| panic!("{page}: {why}: {policy}"));
                assert!(policy["Version"] == "2012-10-17" && policy["Statement"].is_array(), "{page}: {policy}");
                policies += 1;
            }
            let (Some(payload), Some(function)) = (value("--payload"), value("--function-name")) else { continue };
            taken(&page, function, payload);
            requests += 1;
        }
    }
    assert!(requests > 12 && policies > 2, "only {requests} requests and {policies} policies were found");
}

/// A request that this function takes: the control is its own, the resource is one of its kind. Deployed, a function's name
/// begins with the stack's, in the lab it is the control's, and `sam local` calls it by its logical id.
fn taken(page: &str, function: &str, payload: &str) {
    let name = function.strip_prefix("suture-").unwrap_or(function);
    let logical = |folder: &str| -> String {
        folder.split('-').flat_map(|word| [word[..1].to_uppercase(), word[1..].to_owned()]).collect()
    };
    let known = [folders(), vec!["undo".to_owned()]].concat();
    let control = known.iter().find(|folder| *folder == name || logical(folder) == function);
    let control = control.unwrap_or_else(|| panic!("{page}: there is no function {function}")).as_str();
    let request: Value = serde_json::from_str(payload).unwrap_or_else(|why| panic!("{page}: {why}: {payload}"));
    assert!(request["control"].is_null() || request["control"] == control, "{page}: {function} refuses {payload}");
    let arguments = ["explain-event", "--json", "-"].map(str::to_owned);
    let explained = suture(&arguments, payload);
    let explained: Value = serde_json::from_slice(&explained.stdout).unwrap();
    assert_eq!(explained["requests"][0]["trigger"], "manual", "{page}: {payload}: {explained}");
    assert_eq!(explained["rejected"], serde_json::json!([]), "{page}: {payload}: {explained}");
    for name in request["override"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        let gates = ["mode", "kill-switch", "exemption", "flapping", "budget", "account", "region"];
        let guard =
            pages().iter().any(|page| page.contains(control) && text(page).contains(&format!("guard `{name}`")));
        assert!(gates.contains(&name) || guard, "{page}: {control} has no guard {name}, and it is no gate");
    }
}
