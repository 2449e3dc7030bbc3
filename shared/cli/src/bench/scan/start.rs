//! How long it takes until the command line says anything at all.

use super::median;
use crate::show;
use crate::show::println;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How often each is started.
const TIMES: usize = 100;

/// What is started.
const COMMANDS: [(&str, &[&str]); 3] =
    [("suture --help", &["--help"]), ("suture scan --help", &["scan", "--help"]), ("suture controls", &["controls"])];

/// The milliseconds of each start.
pub fn measure() -> Result<BTreeMap<&'static str, Vec<f64>>, String> {
    let suture = std::env::current_exe().map_err(|error| error.to_string())?;
    let one = |arguments: &[&str]| {
        let began = Instant::now();
        let mut command = Command::new(&suture);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().map_err(|error| format!("{} does not start: {error}", suture.display()))?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    };
    let all = COMMANDS.iter().map(|(name, arguments)| {
        let times: Result<Vec<f64>, String> = (0..TIMES).map(|_| one(arguments)).collect();
        times.map(|times| (*name, times))
    });
    all.collect()
}

/// Prints the medians.
pub fn print(starts: &BTreeMap<&'static str, Vec<f64>>) {
    let mut table = show::table(["from start to end", "median", "slowest of 100"].map(str::to_owned));
    for (name, times) in starts {
        let slowest = times.iter().copied().fold(0.0, f64::max);
        table.add_row([(*name).to_owned(), format!("{:.1} ms", median(times)), format!("{slowest:.1} ms")]);
    }
    println!("{table}");
}
