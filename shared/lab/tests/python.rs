//! The lab's Python and its server, for real: the first run installs, later ones find it there.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy.toml allows it in the tests themselves")]

use http::Method;
use lab::call::ACCOUNT;
use lab::http::{ApiRequest, ApiResponse, Upstream};
use lab::moto::Moto;
use lab::python::{Python, environment, environment_from, home};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// As long as a machine under load may take; a test that gets its condition never waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The environment that every test of the workspace shares.
async fn python() -> Python {
    environment(&home(), &|_| {}).await.unwrap()
}

/// A folder of this test's own, empty.
fn scratch(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python").join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// An interpreter that does as told. A shell writes it: were it us, a process that another test forks meanwhile would
/// still have the file open for writing, and the system would not run it.
fn fake(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("python");
    let written = Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod +x \"$2\"", "sh", script])
        .arg(&path)
        .status()
        .unwrap();
    assert!(written.success());
    path
}

/// What a failing installation says, and that it left nothing that could be taken for an environment.
async fn failure(python: &Path, folder: &Path) -> String {
    let lab = folder.join("lab");
    let error = environment_from(Some(python.as_os_str()), &lab, &|_| {}).await.unwrap_err();
    let left: Vec<_> = std::fs::read_dir(&lab).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "python.lock" || name == "python-install.log"), "{left:?}");
    error.to_string()
}

#[tokio::test]
async fn no_such_interpreter() {
    let folder = scratch("no_such_interpreter");
    let said = failure(&folder.join("absent"), &folder).await;
    assert!(said.contains("absent, which does not run (No such file"), "{said}");
    assert!(said.ends_with("install Python 3.10 or newer, or set SUTURE_PYTHON to one"), "{said}");
}

#[tokio::test]
async fn an_interpreter_too_old_or_none_at_all() {
    let folder = scratch("too_old");
    let said = failure(&fake(&folder, "echo 3.9.18"), &folder).await;
    assert!(said.contains("which is Python 3.9.18; install Python 3.10 or newer"), "{said}");
    let said = failure(&fake(&folder, "echo hello"), &folder).await;
    assert!(said.contains("which is no Python (it says \"hello\")"), "{said}");
    let said = failure(&fake(&folder, "echo shim: no version set >&2; exit 127"), &folder).await;
    assert!(said.contains("does not run (shim: no version set)"), "{said}");
}

#[tokio::test]
async fn an_interpreter_without_venv() {
    let folder = scratch("without_venv");
    let debian = "The virtual environment was not created successfully because ensurepip is not available.";
    let script = format!("case \"$*\" in *'-m venv'*) echo '{debian}'; exit 1;; esac; echo 3.11.2");
    let said = failure(&fake(&folder, &script), &folder).await;
    assert!(said.contains("apt-get install python3-venv"), "{said}");
    assert!(said.ends_with("or set SUTURE_PYTHON to a Python that has it"), "{said}");
}

#[tokio::test]
async fn pip_refuses() {
    let folder = scratch("pip_refuses");
    // The environment that it makes has itself for its python.
    let script = "case \"$*\" in
        *'-m venv'*) for last; do :; done; mkdir -p \"$last/bin\"; cp \"$0\" \"$last/bin/python\";;
        *'-m pip'*) echo 'ERROR: No matching distribution found for blinker==1.9.0'; exit 1;;
        *) echo 3.12.1;;
    esac";
    let said = failure(&fake(&folder, script), &folder).await;
    assert!(said.starts_with("pip did not install the lab's packages: No matching distribution found for"), "{said}");
    let log = folder.join("lab/python-install.log");
    assert!(said.ends_with(&format!("or see {}", log.display())) && log.is_file(), "{said}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written() {
    let file = scratch("unwritable").join("file");
    std::fs::write(&file, "").unwrap();
    let said = environment(&file.join("lab"), &|_| {}).await.unwrap_err().to_string();
    assert!(said.starts_with("the lab cannot write to ") && said.contains("CARGO_TARGET_DIR"), "{said}");
}

#[tokio::test]
async fn one_environment_is_made_and_then_found() {
    // Both may have to make it: the lock lets one.
    let (one, other) = tokio::join!(python(), python());
    assert_eq!(one.interpreter(), other.interpreter());
    assert!(one.interpreter().starts_with(home()));

    let said = AtomicUsize::new(0);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let count = |_: &str| {
            said.fetch_add(1, Ordering::Relaxed);
        };
        environment(&home(), &count).await.unwrap();
        best = best.min(start.elapsed());
    }
    assert_eq!(said.into_inner(), 0, "nothing to wait for, nothing to say");
    assert!(best < Duration::from_millis(5), "{best:?}");
}

#[tokio::test]
async fn an_environment_whose_interpreter_is_gone_is_made_anew() {
    let folder = scratch("interpreter_gone");
    let lab = folder.join("lab");
    // Makes an environment whose python is the file that it is itself, as a link; pip says that all is well.
    let script = "case \"$*\" in
        *'-m venv'*) for last; do :; done; mkdir -p \"$last/bin\"; ln -s \"$0\" \"$last/bin/python\";;
        *'-m pip'*) ;;
        *) echo 3.12.1;;
    esac";
    let first = fake(&folder, script);
    let link = folder.join("python3");
    std::os::unix::fs::symlink(&first, &link).unwrap();
    let made = AtomicUsize::new(0);
    let count = |text: &str| {
        made.fetch_add(usize::from(text.starts_with("making")), Ordering::Relaxed);
    };
    let get = || environment_from(Some(link.as_os_str()), &lab, &count);
    get().await.unwrap();
    get().await.unwrap();
    assert_eq!(made.load(Ordering::Relaxed), 1);

    // An upgrade: another interpreter under the same name.
    std::fs::rename(&first, folder.join("python3.13")).unwrap();
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(folder.join("python3.13"), &link).unwrap();
    get().await.unwrap();
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

/// A call as an SDK signs it: moto reads the service and the region out of the signature, and believes it.
async fn call(moto: &Moto, method: Method, target: &str, body: &str) -> ApiResponse {
    let scope = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request, \
                 SignedHeaders=host, Signature=0";
    let request = ApiRequest::new(method, target).header("authorization", scope).body(body.to_owned());
    Upstream::new(moto.address()).send(request).await.unwrap()
}

#[tokio::test]
async fn moto_answers_and_stops() {
    let log = scratch("moto_answers").join("deeper/moto.log");
    let moto = Moto::start(&python().await, &log).await.unwrap();
    assert!(moto.address().ip().is_loopback());
    assert_eq!(call(&moto, Method::PUT, "/clinic-scans", "").await.status, 200);
    let answer = call(&moto, Method::GET, "/clinic-scans?publicAccessBlock", "").await;
    assert_eq!(answer.status, 404);
    assert!(String::from_utf8_lossy(&answer.body).contains("NoSuchPublicAccessBlockConfiguration"));
    // Keys come back as they were sent.
    assert_eq!(call(&moto, Method::PUT, "/clinic-scans/a%2Fb%20c/d", "scan").await.status, 200);
    assert_eq!(call(&moto, Method::GET, "/clinic-scans/a%2Fb%20c/d", "").await.body, "scan");
    // The account-level settings: they are kept by account, which is what this header of moto's says, as the gateway does.
    let block =
        "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>";
    let account = "/v20180820/configuration/publicAccessBlock";
    let put = ApiRequest::new(Method::PUT, account)
        .header("x-amz-account-id", ACCOUNT)
        .header("x-moto-account-id", ACCOUNT)
        .header("authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, Signature=0")
        .body(block);
    let put = Upstream::new(moto.address()).send(put).await.unwrap();
    assert!(put.status.is_success(), "{put:?}");

    let address = moto.address();
    moto.stop().await;
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn moto_s_gaps_are_told_in_a_line() {
    let log = scratch("moto_gaps").join("moto.log");
    let moto = Moto::start(&python().await, &log).await.unwrap();
    let request = ApiRequest::new(Method::POST, "/")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/iam/aws4_request, Signature=0")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=SimulatePrincipalPolicy&Version=2010-05-08");
    let answer = Upstream::new(moto.address()).send(request).await.unwrap();
    assert_eq!(answer.status, 501);
    assert_eq!(answer.body, "NotImplementedError: The simulate_principal_policy action has not been implemented");
    moto.stop().await;
}

#[tokio::test]
async fn a_moto_that_is_killed_is_reported() {
    let log = scratch("moto_killed").join("moto.log");
    let mut moto = Moto::start(&python().await, &log).await.unwrap();
    let pid = moto.process().unwrap();
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    let said = tokio::time::timeout(PATIENCE, moto.exited()).await.unwrap();
    assert!(said.contains("signal: 9 (SIGKILL)") && said.ends_with(&format!("or see {}", log.display())), "{said}");
    // Asking again, or stopping what is gone, is no harm.
    assert_eq!(moto.exited().await, said);
    moto.stop().await;
}

#[tokio::test]
async fn a_moto_whose_start_fails_says_why() {
    let folder = scratch("moto_fails");
    // An environment of nothing: a real one's shape, but a python that has no moto.
    let script = "case \"$*\" in
        *'-m venv'*) for last; do :; done; mkdir -p \"$last/bin\"; cp \"$0\" \"$last/bin/python\";;
        *'-m pip'*) ;;
        *'import sys; print'*) echo 3.12.1;;
        *) echo \"ModuleNotFoundError: No module named 'moto'\" >&2; exit 1;;
    esac";
    let fake = fake(&folder, script);
    let python = environment_from(Some(fake.as_os_str()), &folder.join("lab"), &|_| {}).await.unwrap();
    let said = Moto::start(&python, &folder.join("moto.log")).await.unwrap_err().to_string();
    let way_out = format!("delete {} to have it installed anew", python.root().display());
    assert!(said.starts_with("moto did not start: ModuleNotFoundError: No module named 'moto'; "), "{said}");
    assert!(said.contains(&way_out), "{said}");
}

/// What is left when the lab is killed outright: nothing. The server is run here without our wrapper, whose pipe closes
/// as any does when its process ends.
#[tokio::test]
async fn the_server_ends_with_its_standard_input() {
    let python = python().await;
    for after_it_listens in [true, false] {
        let mut child = Command::new(python.interpreter())
            .args([OsStr::new("-I"), OsStr::new("-c"), OsStr::new(include_str!("../python/serve.py"))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if after_it_listens {
            let mut line = String::new();
            let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
            std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
            assert!(line.starts_with("port "), "{line}");
        }
        drop(child.stdin.take());
        let ended = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(move || child.wait())).await;
        assert!(ended.unwrap().unwrap().unwrap().success());
    }
}
