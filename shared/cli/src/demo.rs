//! `suture demo`: one morning in a small clinic, on a local AWS: what somebody did, what Suture made of it, what was typed,
//! and what was seen independently of what it says. Every step is checked: the demo is a test.

mod others;
mod page;
mod proof;
mod stage;
mod step;
mod story;

use crate::account::{self, Deployment};
use crate::show::println;
use crate::show::{self, Progress};
use ::lab::Lab;
use ::lab::python;
use serde_json::{Value, json};
use stage::Stage;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::time::Instant;
use step::Step;

/// One morning in a small clinic, on a local AWS: a plan, a fix, an approval, an undo, and the report of it.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = "\
Examples:
  suture demo
  suture demo --step                 waits for Enter after each chapter
  suture demo --report morning.html
  suture demo --json | jq '.steps[] | select(.ok | not)'

The commands in it are run, and can be typed the same in the lab (suture lab). The report is opened in
the browser where there is a terminal and a display; --no-open keeps it from that, --open asks for it.
Ends with 0 if every step was seen to work, 1 if not, 2 if something was wrong.")]
pub struct Arguments {
    /// Print one JSON object instead; docs/tour.md has its form.
    #[arg(long)]
    json: bool,
    /// Wait for Enter after each chapter.
    #[arg(long, conflicts_with = "json")]
    step: bool,
    /// Where the report goes.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Open the report in the browser.
    #[arg(long, conflicts_with = "no_open")]
    open: bool,
    /// Do not open the report.
    #[arg(long)]
    no_open: bool,
}

/// What a chapter comes to.
type Told<'a> = Pin<Box<dyn Future<Output = Result<Step, String>> + 'a>>;

/// A chapter: a step.
type Chapter = for<'a, 'b> fn(&'a mut Stage<'b>) -> Told<'a>;

/// The chapters before the other controls have their turn, and those after it.
const BEFORE: [Chapter; 9] = [
    |stage| Box::pin(story::plan(stage)),
    |stage| Box::pin(story::fix(stage)),
    |stage| Box::pin(story::again(stage)),
    |stage| Box::pin(story::guard(stage)),
    |stage| Box::pin(story::exemption(stage)),
    |stage| Box::pin(story::approval(stage)),
    |stage| Box::pin(story::flap(stage)),
    |stage| Box::pin(story::stop(stage)),
    |stage| Box::pin(story::undo(stage)),
];
const AFTER: [Chapter; 2] = [|stage| Box::pin(proof::evidence(stage)), |stage| Box::pin(proof::report(stage))];

/// Tells the chapters, and keeps their steps.
struct Teller {
    aloud: bool,
    waits: bool,
    chapters: usize,
    steps: Vec<Step>,
}

impl Teller {
    fn heading(&mut self, title: &str) {
        self.chapters += 1;
        if self.aloud {
            page::heading(self.chapters, title);
        }
    }

    fn chapter(&mut self, step: Step) {
        self.heading(step.title);
        if self.aloud {
            page::step(&step);
        }
        self.steps.push(step);
    }

    /// Waits for Enter, where somebody asked for that and there is somebody to press it.
    async fn pause(&self) {
        if !self.waits {
            return;
        }
        show::print!("   {}", show::faint("Enter goes on "));
        let _ = std::io::Write::flush(&mut std::io::stdout());
        // In a thread of its own: the local AWS runs in this one.
        let read = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
        let _ = read.await;
    }
}

/// Runs the demo; true if every step was seen to work.
pub async fn run(arguments: Arguments) -> Result<bool, String> {
    let report = place(arguments.report.as_deref())?;
    let progress = Progress::start();
    let deployment = Deployment { mode: "plan", parameters: Vec::new(), port: 0, faults: Vec::new() };
    let programs = account::build(&progress).await?;
    let begun = Instant::now();
    let started = account::start(programs, deployment, &progress).await;
    progress.end();
    let mut lab = started?;
    let terminal = std::io::stdout().is_terminal();
    let waits = arguments.step && terminal && std::io::stdin().is_terminal();
    let mut teller = Teller { aloud: !arguments.json, waits, chapters: 0, steps: Vec::new() };
    if teller.aloud {
        println!("{}, on a local AWS: account {}", show::head("A morning in a small clinic"), ::lab::call::ACCOUNT);
        page::legend();
    }
    if let Err(why) = Box::pin(tell(&lab, report.clone(), &mut teller)).await {
        // A step that failed because the local AWS died should say so, and not what it was waiting for.
        return Err(lab.dead().await.unwrap_or(why));
    }
    let took = begun.elapsed();
    lab.stop().await;
    let ok = teller.steps.iter().all(Step::ok);
    if arguments.json {
        let steps: Vec<Value> = teller.steps.iter().map(Step::to_json).collect();
        println!("{}", json!({"ok": ok, "milliseconds": took.as_millis(), "report": report, "steps": steps}));
        return Ok(ok);
    }
    if ok {
        println!("\n{} Every step was seen to work, in {:.1} seconds.", show::good("✔"), took.as_secs_f64());
        println!("  {}", show::faint("Next: suture lab, where you type; docs/tour.md goes along."));
    } else {
        println!("\n{} Not every step was seen to work.", show::bad("✘"));
    }
    if arguments.open || terminal && has_display() && !arguments.no_open {
        open(&report);
    }
    println!("  The report of this morning: {}", show::head(report.display()));
    Ok(ok)
}

async fn tell(lab: &Lab, report: PathBuf, teller: &mut Teller) -> Result<(), String> {
    let mut stage = Stage::new(lab, report)?;
    for chapter in BEFORE {
        teller.chapter(chapter(&mut stage).await?);
        teller.pause().await;
    }
    // What the others do is not to be this one's work.
    stage.desk.type_in(&["mode", story::FUNCTION, "default"]).await?;
    teller.heading("The other controls, each switched on once");
    for scene in &others::SCENES {
        stage.settled().await?;
        let step = others::play(&stage, scene).await?;
        if teller.aloud {
            page::brief(&step);
        }
        teller.steps.push(step);
    }
    teller.pause().await;
    for chapter in AFTER {
        teller.chapter(chapter(&mut stage).await?);
    }
    Ok(())
}

/// Where the report goes: an absolute path, in a folder that is there.
fn place(asked: Option<&Path>) -> Result<PathBuf, String> {
    let path = match asked {
        Some(path) => std::path::absolute(path).map_err(|error| format!("{}: {}", path.display(), error.kind()))?,
        None => python::home().join("demo").join("suture-report.html"),
    };
    let folder = path.parent().unwrap_or(&path);
    let made = if asked.is_none() { std::fs::create_dir_all(folder) } else { Ok(()) };
    match made {
        Ok(()) if folder.is_dir() && !path.is_dir() => Ok(path),
        _ => Err(format!("{} cannot be written; name another file with --report", path.display())),
    }
}

/// Whether there is a display to open a page on.
fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Opens a page in the browser. Nothing waits for it, and nothing depends on it: the path is printed all the same.
fn open(page: &Path) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = || Stdio::null();
    let _ = std::process::Command::new(program).arg(page).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_goes_where_it_can_be_written() {
        assert!(place(None).unwrap().ends_with("demo/suture-report.html"));
        assert!(place(Some(Path::new("morning.html"))).unwrap().is_absolute());
        for wrong in ["/", "/nowhere-to-be-found/morning.html"] {
            assert!(place(Some(Path::new(wrong))).unwrap_err().contains("--report"), "{wrong}");
        }
    }
}
