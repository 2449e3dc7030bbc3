//! What this program was built of, for `suture version`: commit, date, compiler, target. Nothing of the machine that builds.
//!
//! A development build does not ask for the commit: every commit would build it anew. A release does, by git or, unpacked from
//! an archive that git made, by what git wrote into `commit` there. `SUTURE_COMMIT` and `SOURCE_DATE_EPOCH` go before both
//! (<https://reproducible-builds.org/docs/source-date-epoch/>).

use std::env::{var, var_os};
use std::path::Path;
use std::process::Command;

fn main() {
    for name in ["SUTURE_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=commit");
    let is_release = var("PROFILE").is_ok_and(|profile| profile == "release");
    let (commit, seconds) = if is_release { of_git().or_else(of_archive) } else { None }.unwrap_or_default();
    let commit = var("SUTURE_COMMIT").ok().filter(|said| is_commit(said)).unwrap_or(commit);
    let seconds = var("SOURCE_DATE_EPOCH").ok().and_then(|said| said.trim().parse().ok()).or(seconds);
    let unknown = || if is_release { "unknown" } else { "not asked for (a development build)" }.to_owned();
    set("SUTURE_COMMIT", &Some(commit).filter(|commit| !commit.is_empty()).unwrap_or_else(unknown));
    set("SUTURE_DATE", &seconds.map_or_else(unknown, day));
    let rustc = var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    set("SUTURE_RUSTC", &said(Command::new(rustc).arg("--version")).unwrap_or_else(|| "unknown".to_owned()));
    set("SUTURE_TARGET", &var("TARGET").unwrap_or_else(|_| "unknown".to_owned()));
    set("SUTURE_PROFILE", if is_release { "release" } else { "debug" });
}

fn set(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={value}");
}

/// What a program says, on one line; none if it is not there or fails.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

fn git(arguments: &[&str]) -> Option<String> {
    said(Command::new("git").args(arguments))
}

/// The commit and its time, if this is a checkout of ours and not just a folder in one of somebody else's.
fn of_git() -> Option<(String, Option<i64>)> {
    git(&["rev-parse", "--show-prefix"]).filter(|prefix| prefix == "shared/cli/")?;
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let clean = Command::new("git").args(["diff", "--quiet", "HEAD"]).status().is_ok_and(|status| status.success());
    let changed = if clean { "" } else { ", changed since" };
    let seconds = git(&["show", "--no-patch", "--format=%ct", "HEAD"]).and_then(|seconds| seconds.parse().ok());
    Some((format!("{commit}{changed}"), seconds))
}

/// What `git archive` puts in the place of `$Format:…$`.
fn of_archive() -> Option<(String, Option<i64>)> {
    let text = std::fs::read_to_string("commit").ok()?;
    let (commit, seconds) = text.trim().split_once(' ')?;
    let commit = commit.get(..12).filter(|commit| is_commit(commit))?;
    Some((commit.to_owned(), seconds.parse().ok()))
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The day of a time in seconds since 1970, in UTC. <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn day(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
