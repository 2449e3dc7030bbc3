//! `suture lab`: a local AWS that stays up, with the account of a small clinic in it that has drifted.

use crate::account::{self, Deployment, HOME_REGION, IN_THE_WAY, environment};
use crate::show::{self, Progress};
use crate::show::{print, println};
use ::lab::Lab;
use ::lab::call::Caller;
use ::lab::faults::Fault;
use ::lab::gateway::{Happened, Happening};
use ::lab::quirks::QUIRKS;
use ::lab::runtime::Report;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;

/// Keep a local AWS running, with Suture's functions deployed in it, and see what they do.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "\
Examples:
  suture lab
  eval \"$(suture lab --env)\"        in another terminal: every command of suture, and the AWS CLI
  suture lab --mode plan --port 4600
  suture lab --parameter PublicWebsites=close
  suture lab --fault s3:PutPublicAccessBlock=throttle*2 --fault 's3:*=latency:50'

docs/tour.md goes through an hour with it. Faults are service:Operation=kind, with *n for n times only; the operation * is every one. Kinds: throttle, error,
denied, denied-by-organization, expired, unknown-key, skewed, conflict, drop (before the call), drop-answer (after it), latency:MILLISECONDS,
rate:CALLS (throttled beyond so many a second), and stale (a read shows the old state n times after a write). They can be changed while the lab runs:
  curl -d 's3:PutPublicAccessBlock=drop-answer*1' http://127.0.0.1:4566/_lab/faults
  curl -X DELETE http://127.0.0.1:4566/_lab/faults")]
pub struct Arguments {
    /// The port that AWS listens on; 0 for a free one.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Another address to listen at, such as that of Docker's bridge (172.17.0.1), for `sam local`.
    #[arg(long, value_name = "ADDRESS")]
    also_at: Option<std::net::IpAddr>,
    /// What the functions do about drift.
    #[arg(long, default_value = "enforce", value_parser = ["plan", "approve", "enforce"])]
    mode: String,
    /// Something that goes wrong; may be given several times.
    #[arg(long, value_name = "SERVICE:OPERATION=KIND")]
    fault: Vec<Fault>,
    /// A parameter of template.yaml; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    parameter: Vec<(String, String)>,
    /// Begin with three buckets and nothing that has drifted but the website.
    #[arg(long)]
    tidy: bool,
    /// Print what a terminal has to export to reach a lab at this port, and end: eval "$(suture lab --env)"
    #[arg(long, conflicts_with_all = ["quirks", "json"])]
    env: bool,
    /// Print each happening as a line of JSON.
    #[arg(long)]
    json: bool,
    /// List where the emulator differs from AWS and the lab makes it right, and end.
    #[arg(long)]
    quirks: bool,
}

/// The function that makes evidence and announces; it wakes with every record.
const RECORDER: &str = "recorder";

/// How long what the lab begins with may take to come to its end.
const SETTLED: Duration = Duration::from_mins(1);

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs until Ctrl-C, or until the local AWS dies.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    if arguments.quirks {
        print_quirks(arguments.json);
        return Ok(true);
    }
    if arguments.env {
        print!("{}", exports(arguments.port)?);
        return Ok(true);
    }
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let progress = Progress::start();
    let deployment = Deployment {
        mode: match arguments.mode.as_str() {
            "plan" => "plan",
            "approve" => "approve",
            _ => "enforce",
        },
        parameters: arguments.parameter,
        port: arguments.port,
        faults: arguments.fault,
    };
    let start = async {
        let lab = account::start(account::build(&progress).await?, deployment, &progress).await?;
        if !arguments.tidy {
            progress.say("letting the account drift");
            account::drift(&lab).await?;
            // What that wrote to the ledger is no news of whoever looks on.
            lab.settled(SETTLED).await?;
        }
        Ok::<_, String>(lab)
    };
    let started = tokio::select! {
        lab = start => lab,
        _ = interrupt.recv() => return Ok(true),
        _ = terminate.recv() => return Ok(true),
    };
    progress.end();
    let mut lab = started?;
    if let Some(address) = arguments.also_at {
        lab.listen_at(address).await?;
    }
    let mut happenings = lab.listen();
    if arguments.json {
        println!("{}", json!({"lab": lab.endpoint(), "mode": arguments.mode}));
    } else {
        greet(&lab, &arguments.mode, arguments.tidy);
    }
    let end = loop {
        tokio::select! {
            happening = happenings.recv() => match happening {
                Ok(happening) if arguments.json => print_json(&happening),
                Ok(happening) => tell(&happening),
                Err(RecvError::Lagged(missed)) => println!("{}", show::faint(format!("({missed} lines left out)"))),
                Err(RecvError::Closed) => break Ok(true),
            },
            why = lab.died() => break Err(why),
            _ = interrupt.recv() => break Ok(true),
            _ = terminate.recv() => break Ok(true),
        }
    };
    lab.stop().await;
    end
}

fn greet(lab: &Lab, mode: &str, tidy: bool) {
    let endpoint = lab.endpoint();
    let names = lab.gateway.functions.names();
    // Suture's own functions have no mode: their names are single words.
    let controls = names.iter().filter(|name| name.contains('-')).count();
    println!("{} at {}, account {}", show::head("A local AWS"), show::good(&endpoint), ::lab::call::ACCOUNT);
    println!(
        "  Suture is deployed in {HOME_REGION}: {controls} controls in mode {mode}, the recorder and the undo function."
    );
    if tidy {
        println!("  Buckets: clinic-scans (health data), clinic-billing, clinic-website (public on purpose).");
    } else {
        println!(
            "  A small clinic's account, which nobody has looked at for two years. What drifts from now on is an event;"
        );
        println!(
            "  what had drifted before shows in suture scan. clinic-website is public on purpose, clinic-open-data exempt."
        );
    }
    let port = endpoint.rsplit(':').next().unwrap_or_default();
    let port = if port == "4566" { String::new() } else { format!(" --port {port}") };
    println!("\nIn another terminal:\n");
    println!("  eval \"$(suture lab --env{port})\"");
    println!("  suture scan");
    println!("  aws s3api delete-public-access-block --bucket clinic-scans\n");
    println!(
        "{}\n",
        show::faint("docs/tour.md goes through an hour with it. Ctrl-C ends it and leaves nothing behind.")
    );
}

/// What a terminal exports, as a shell reads it.
fn exports(port: u16) -> Result<String, String> {
    if port == 0 {
        return Err("which lab? name its port: suture lab --env --port 4566".to_owned());
    }
    let mut lines = format!("unset {}\n", IN_THE_WAY.join(" "));
    for (name, value) in environment(port)? {
        let _ = writeln!(lines, "export {name}={value}");
    }
    Ok(lines)
}

fn tell(happening: &Happening) {
    match happening {
        Happening::Call(call) => {
            if call.writes && !matches!(call.caller, Caller::Role { .. }) {
                let status = if call.status < 400 { show::faint(call.status) } else { show::mind(call.status) };
                let resource = call.resource.as_deref().unwrap_or_default();
                println!("{} {} {resource} {status}", show::faint(call.caller.arn()), call.name());
            }
        }
        Happening::Event { name, rules, actor, .. } => {
            let to = if rules.is_empty() { "no rule matches".to_owned() } else { rules.join(", ") };
            println!("{}", show::faint(format!("  event {name} by {actor} -> {to}")));
        }
        // What it does shows in the messages that are published, and in the evidence.
        Happening::Invocation(report) if report.function == RECORDER && report.answer.is_ok() => {}
        Happening::Invocation(report) => println!("{}", told(report)),
        Happening::Published(published) => {
            let said = published.subject.as_ref().unwrap_or(&published.message);
            println!("  {} {said}", show::head("published"));
        }
        Happening::Dropped(dropped) => {
            println!("  {} {} failed too often with records of a stream", show::bad("given up"), dropped.function);
        }
        Happening::Log { .. } => {}
    }
}

/// An invocation in a line for each record: which function, what it did, how long it took, the most memory that its
/// process has used, and with which calls; those to the ledger by themselves.
pub fn told(report: &Report) -> String {
    let cold = report.init.map_or(String::new(), |init| format!(", cold start {}", show::ms(init)));
    let attempt = if report.attempt > 1 { format!(", try {}", report.attempt) } else { String::new() };
    let memory = report.memory_kib.div_ceil(1024);
    let time = format!("{}{cold}{attempt}, {memory} MiB", show::ms(report.duration));
    let name = show::head(&report.function);
    let mut text = String::new();
    let answer = report.json();
    for record in answer.get("records").and_then(Value::as_array).into_iter().flatten() {
        let field = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (outcome, resource) = (show::outcome(field("/outcome")), field("/resource/id"));
        let _ = writeln!(text, "  {name} {outcome} {resource} in {time}: {}", field("/why"));
    }
    for unread in answer.get("unread").and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| unread.get(name).and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "  {name} {} in {time}: {}", show::mind(field("as")), field("why"));
    }
    if let Err(error) = &report.answer {
        let _ =
            writeln!(text, "  {name} {} in {time}: {}: {}", show::bad("error"), error.error_type, error.error_message);
    }
    if text.is_empty() {
        let _ = writeln!(text, "  {name} in {time}");
    }
    let (ledger, own): (Vec<_>, Vec<_>) = report.calls.iter().partition(|call| of_the_ledger(call));
    let own: Vec<_> = own.iter().map(|call| format!("{} {}", call.name(), show::ms(call.duration))).collect();
    let ledger: Vec<_> = ledger.iter().map(|call| format!("{} {}", call.operation, show::ms(call.duration))).collect();
    let own = if own.is_empty() { "no AWS call".to_owned() } else { own.join(", ") };
    let ledger = if ledger.is_empty() { String::new() } else { format!("; to the ledger {}", ledger.join(", ")) };
    let _ = write!(text, "    {}", show::faint(format!("{own}{ledger}")));
    text
}

/// Whether a call is one to the ledger: the engine's own, and the same for every control.
pub fn of_the_ledger(call: &Happened) -> bool {
    call.service == "dynamodb"
}

fn print_json(happening: &Happening) {
    let line = match happening {
        Happening::Call(call) => json!({"call": call}),
        Happening::Event { name, actor, resource, rules } => {
            json!({"event": {"name": name, "actor": actor, "resource": resource, "rules": rules}})
        }
        Happening::Invocation(report) => json!({"invocation": report}),
        Happening::Published(published) => json!({"published": published}),
        Happening::Dropped(dropped) => json!({"dropped": dropped}),
        Happening::Log { function, line } => {
            let parsed: Value = serde_json::from_str(line).unwrap_or_else(|_| json!(line));
            json!({"log": {"function": function, "line": parsed}})
        }
    };
    println!("{line}");
}

fn print_quirks(as_json: bool) {
    for quirk in QUIRKS {
        if as_json {
            println!("{}", json!({"id": quirk.id, "aws": quirk.aws, "moto": quirk.moto, "source": quirk.source}));
        } else {
            println!("{}", show::head(quirk.id));
            println!("  AWS:  {}\n  moto: {}\n  {}\n", quirk.aws, quirk.moto, show::faint(quirk.source));
        }
    }
}
