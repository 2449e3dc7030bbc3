//! `suture invoke`: an event, sent to a function of the deployment.

use super::carry;
use super::print;
use super::session::{Session, WhichAndWhere};
use crate::show::println;
use serde_json::Value;
use std::io::Read;
use std::path::PathBuf;

/// Send an event to a function of the deployment, and show its answer.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture invoke suture-s3-public-bucket -e events/s3-public-bucket/put-bucket-policy.json
  suture explain-event event.json && suture invoke suture-s3-public-bucket -e event.json
  echo '{\"resource\": \"clinic-scans\"}' | suture invoke suture-s3-public-bucket -e -

The function does what it would do if the event had come by itself: under its mode, and with its role.
Ends with 0 if it was done or nothing was to do, 1 if not, 2 if something was wrong.")]
pub struct Arguments {
    /// The function, by its name or ARN.
    function: String,
    /// The event: a file with JSON, or - for standard input.
    #[arg(short, long, value_name = "FILE")]
    event: PathBuf,
    /// Print the answer as JSON, and nothing else.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// Runs it; true if it was done.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    let event = read(&arguments.event)?;
    let session = Session::open_at(&arguments.which).await?;
    session.region().await?;
    session.sign_in().await?;
    let answer = carry::through(&session, &arguments.function, &event).await?;
    if arguments.json {
        println!("{answer}");
        return Ok(print::is_done(&answer));
    }
    Ok(print::answer(&answer))
}

/// The event. Lambda takes no more than six megabytes of it.
fn read(path: &std::path::Path) -> Result<Value, String> {
    let name = path.display();
    let mut bytes = Vec::new();
    let most = triggers::LARGEST_EVENT as u64 + 1;
    let done = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    done.map_err(|error| format!("the event {name} cannot be read: {}", error.kind()))?;
    if bytes.len() > triggers::LARGEST_EVENT {
        return Err(format!("the event {name} is larger than Lambda takes: {} bytes at most", triggers::LARGEST_EVENT));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| format!("the event {name} is no JSON (line {}, column {})", error.line(), error.column()))
}
