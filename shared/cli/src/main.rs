//! `suture`: Suture in a terminal.

mod account;
mod bench;
mod commands;
mod demo;
mod explain_event;
mod help;
mod lab;
mod shell;
mod show;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Puts drifted AWS resources back to a HIPAA baseline, and says what it does.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch it work: plan, fix, approval, undo and all
    Demo(demo::Arguments),
    /// Keep a local AWS running, and try every command on it
    Lab(lab::Arguments),
    /// Say what an event would be taken for, and why
    ExplainEvent(explain_event::Arguments),
    /// Measure it beside the same in boto3
    Bench(bench::Arguments),
    /// Print the completions of a shell
    Completions(shell::Completions),
    /// Print the manual page, or that of a command
    Man(shell::Man),
    /// Say what this program was built of
    Version(shell::Version),
    #[command(flatten)]
    Operate(commands::Command),
}

/// How a command ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was done, or all is well: 0.
    Done,
    /// It was refused, or something is not as it ought to be: 1.
    Not,
    /// All is well as far as could be seen, and not everything could be: 3.
    Partly,
}

impl End {
    /// Done or not.
    const fn of(done: bool) -> Self {
        if done { Self::Done } else { Self::Not }
    }
}

/// The command line, with its help.
fn command() -> clap::Command {
    help::dressed(Arguments::command())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    let done = match arguments.command {
        Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
        Command::Lab(arguments) => Box::pin(lab::run(arguments)).await,
        Command::ExplainEvent(arguments) => Ok(explain_event::run(&arguments)),
        Command::Bench(arguments) => Box::pin(bench::run(arguments)).await,
        Command::Completions(arguments) => shell::completions(&arguments, command()),
        Command::Man(arguments) => shell::man(&arguments, &command()),
        Command::Version(arguments) => Ok(shell::version(&arguments)),
        Command::Operate(command) => return ended(Box::pin(commands::run(command)).await),
    };
    ended(done.map(End::of))
}

fn ended(end: Result<End, String>) -> ExitCode {
    let end = end.and_then(|end| show::lost().map_or(Ok(end), Err));
    match end {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Not) => ExitCode::FAILURE,
        Ok(End::Partly) => ExitCode::from(3),
        Err(why) => {
            show::eprintln!("{}: {why}", show::bad("error"));
            ExitCode::from(2)
        }
    }
}
