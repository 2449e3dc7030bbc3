//! `suture explain-event`: what an event would be taken for, and why, without touching anything.

use crate::show;
use crate::show::println;
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;

/// Say what an event would be taken for, and why.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  suture explain-event events/s3-public-bucket/put-bucket-policy.json\n  \
                        aws sqs receive-message … --query 'Messages[0].Body' --output text | suture explain-event -\n  \
                        suture explain-event --json events/*/*.json | jq -r '.requests[].controls[]' | sort | uniq -c")]
pub struct Arguments {
    /// Files that hold an event each; - for standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object for each file, a line each.
    #[arg(long)]
    json: bool,
}

/// Runs it; true if every file could be read and nothing in it was rejected.
pub fn run(arguments: &Arguments) -> bool {
    let mut sound = true;
    for file in &arguments.files {
        let name = file.display().to_string();
        let explained = match bytes(file) {
            Ok(bytes) => triggers::explain(&triggers::read_bytes(&bytes), &catalogue::answering),
            Err(why) => json!({"requests": [], "rejected": [{"why": why}]}),
        };
        sound &= explained.pointer("/rejected/0").is_none();
        if arguments.json {
            let mut whole = json!({"schema": "suture.event/1", "file": name});
            if let (Some(whole), Value::Object(explained)) = (whole.as_object_mut(), explained) {
                whole.extend(explained);
            }
            println!("{whole}");
        } else {
            print(&name, &explained);
        }
    }
    sound
}

/// A file's bytes: not more than Lambda would deliver, and one to show that there were more.
fn bytes(file: &PathBuf) -> Result<Vec<u8>, String> {
    let most = triggers::LARGEST_EVENT as u64 + 1;
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(most).read_to_end(&mut bytes))
    };
    read.map(|_| bytes).map_err(|error| format!("the file cannot be read: {error}"))
}

fn print(name: &str, explained: &Value) {
    println!("{}", show::head(name));
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or("-").to_owned();
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    for request in list(explained, "requests") {
        let act = text(&request, "act");
        let act = if act == "ignore" { show::faint(act) } else { show::good(act) };
        println!("  {act}  {}", text(&request, "why"));
        println!(
            "    {} {}, account {}, region {}, by {}",
            text(&request, "trigger"),
            text(&request, "event"),
            text(&request, "account"),
            text(&request, "region"),
            text(&request, "actor"),
        );
        for resource in list(&request, "resources") {
            println!("    {} {}", text(&resource, "type"), text(&resource, "id"));
        }
        let controls: Vec<String> =
            list(&request, "controls").iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
        if !controls.is_empty() {
            println!("    wakes {}", controls.join(", "));
        }
    }
    for rejected in list(explained, "rejected") {
        println!("  {}  {}", show::bad("rejected"), text(&rejected, "why"));
    }
}
