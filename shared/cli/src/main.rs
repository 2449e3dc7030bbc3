//! `suture`: Suture in a terminal.

mod account;
mod bench;
mod commands;
mod demo;
mod explain_event;
mod lab;
mod shell;
mod show;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Puts drifted AWS resources back to a HIPAA baseline, in place, and says exactly what it does.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch a bucket being opened and closed again, on a local AWS, in a few seconds.
    Demo(demo::Arguments),
    /// Keep a local AWS running, with Suture's functions deployed in it, and see what they do.
    Lab(lab::Arguments),
    /// Say what an event would be taken for, and why, without touching anything.
    ExplainEvent(explain_event::Arguments),
    /// Measure the functions: cold and warm starts, memory, size, beside the same fix in boto3.
    Bench(bench::Arguments),
    /// Print the completions of a shell.
    Completions(shell::Completions),
    /// Print the manual page, or that of a command.
    Man(shell::Man),
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
        Command::Lab(arguments) => Box::pin(lab::run(arguments)).await,
        Command::ExplainEvent(arguments) => Ok(explain_event::run(&arguments)),
        Command::Bench(arguments) => Box::pin(bench::run(arguments)).await,
        Command::Completions(arguments) => shell::completions::<Arguments>(&arguments),
        Command::Man(arguments) => shell::man::<Arguments>(&arguments),
        Command::Operate(command) => return ended(Box::pin(commands::run(command)).await),
    };
    ended(done.map(End::of))
}

fn ended(end: Result<End, String>) -> ExitCode {
    match end {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Not) => ExitCode::FAILURE,
        Ok(End::Partly) => ExitCode::from(3),
        Err(why) => {
            anstream::eprintln!("{}: {why}", show::bad("error"));
            ExitCode::from(2)
        }
    }
}
