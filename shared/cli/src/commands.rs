//! The operator's commands: what a person asks of the ledger, and of the functions that keep it.
//!
//! They end with 0 when it was done, 1 when it was refused or is not sound, 2 when something was wrong.

mod asking;
mod aws;
mod carry;
mod controls;
mod decide;
mod exempt;
mod fix;
mod history;
mod invoke;
mod kind;
mod local;
mod pages;
mod posture;
mod print;
pub mod report;
mod scan;
mod session;
mod status;
mod undo;
mod verify;
mod words;

use crate::End;

/// What an operator can do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the controls: what each mends, and how safe that is
    ///
    /// With its mode, and what it answers to: rules of AWS Config, controls of Security Hub, sections of 45 CFR.
    Controls(controls::Listing),
    /// Show a control's page
    ///
    /// What it looks for, why that matters, what it does, what could break, how it is undone.
    Explain(controls::Explain),
    /// Print the IAM policy that a task needs, and no more
    Permissions(controls::Permissions),
    /// Look at a whole account: what has drifted, what a fix does
    ///
    /// What has drifted, what a fix would write and what that would break, and what is exempt. Nothing is written.
    Scan(scan::Arguments),
    /// Say what a fix would write, and what that would break
    ///
    /// Looks at the resources that are named. Nothing is written.
    Plan(fix::Plan),
    /// Bring resources to their desired state; asks once
    ///
    /// Shows the writes, asks, makes them, and reads back. A record of each is in the ledger before it is made.
    Fix(fix::Fix),
    /// Send an event to a function of the deployment
    ///
    /// The function does what it would do if the event had come by itself; its answer is shown.
    Invoke(invoke::Arguments),
    /// Take back what a record says was written
    Undo(undo::Arguments),
    /// Carry out a plan that waits for approval
    #[command(after_help = "Example:\n  suture approve 3f9a1c0d2e4b --reason CHG-123")]
    Approve(decide::Arguments),
    /// Say no to a plan that waits for approval
    ///
    /// While it lasts, it is not asked again.
    #[command(after_help = "Example:\n  suture reject 3f9a1c0d2e4b --reason 'moves on Monday'")]
    Reject(decide::Arguments),
    /// Have controls leave something alone, for a time
    Exempt(exempt::Arguments),
    /// End an exemption
    Unexempt(exempt::Ending),
    /// List exemptions
    Exemptions(exempt::Listing),
    /// Say, or change, what controls do about drift by themselves
    Mode(posture::Mode),
    /// Say, or change, whether a resource's own tag exempts it
    TagsExempt(posture::TagsExempt),
    /// Stop every write everywhere, within a minute
    Stop(posture::Stop),
    /// Let Suture write again
    Resume(posture::Resume),
    /// Say what holds: stop, modes, approvals, exemptions, writes
    ///
    /// Stopped or not, the modes, what waits for approval, what is exempt, what was written this hour.
    Status(status::Arguments),
    /// List the records of a resource, the newest first
    History(history::Arguments),
    /// Show one record
    Record(history::One),
    /// Check that no evidence is missing or was changed
    VerifyEvidence(verify::Arguments),
    /// Make a report of a period: a page, and its tables
    Report(report::Arguments),
}

/// Runs one.
///
/// # Errors
/// What was wrong, and the next step.
pub async fn run(command: Command) -> Result<End, String> {
    let done = match command {
        Command::Scan(arguments) => return scan::run(arguments).await,
        Command::Report(arguments) => return Box::pin(report::run(arguments)).await,
        Command::Controls(arguments) => controls::list(arguments).await,
        Command::Explain(arguments) => controls::explain(&arguments),
        Command::Permissions(arguments) => controls::permissions(&arguments),
        Command::Plan(arguments) => fix::plan(arguments).await,
        Command::Fix(arguments) => fix::fix(arguments).await,
        Command::Invoke(arguments) => invoke::run(arguments).await,
        Command::Undo(arguments) => undo::run(arguments).await,
        Command::Approve(arguments) => decide::run(arguments, decide::Word::Approve).await,
        Command::Reject(arguments) => decide::run(arguments, decide::Word::Reject).await,
        Command::Exempt(arguments) => exempt::make(arguments).await,
        Command::Unexempt(arguments) => exempt::end(arguments).await,
        Command::Exemptions(arguments) => exempt::list(arguments).await,
        Command::Mode(arguments) => posture::mode(arguments).await,
        Command::TagsExempt(arguments) => posture::tags_exempt(arguments).await,
        Command::Stop(arguments) => posture::stop(arguments).await,
        Command::Resume(arguments) => posture::resume(arguments).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::History(arguments) => history::run(arguments).await,
        Command::Record(arguments) => history::one(arguments).await,
        Command::VerifyEvidence(arguments) => verify::run(arguments).await,
    };
    done.map(End::of)
}

#[cfg(test)]
#[path = "commands/tests.rs"]
mod tests;
