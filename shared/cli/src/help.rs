//! The first page of help: where to begin, and the commands by what one wants to do.

use anstyle::Style;
use clap::Command;
use clap::builder::StyledStr;
use std::fmt::Write;

/// The commands, by what one wants to do.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("Look, and write nothing", &["scan", "plan", "controls", "explain", "permissions", "explain-event"]),
    ("Mend, and take back", &["fix", "undo", "approve", "reject", "invoke"]),
    ("Leave alone", &["exempt", "unexempt", "exemptions", "tags-exempt"]),
    ("Steer", &["status", "mode", "stop", "resume"]),
    ("Look back", &["history", "record", "report", "verify-evidence"]),
    ("Try it on a local AWS", &["demo", "lab", "bench"]),
    ("This program", &["version", "completions", "man", "help"]),
];

/// What one types first, and what comes of it.
const FIRST: &[(&str, &str)] = &[
    ("suture scan", "what has drifted in your account"),
    ("suture plan CONTROL RESOURCE", "the very writes, and what they would break"),
    ("suture fix CONTROL RESOURCE", "shows them, asks, writes, reads back"),
    ("suture undo RECORD", "takes them back"),
    ("suture demo", "all of it on a local AWS, without an account"),
];

const MORE: &str = "\
A command ends with 0 when it was done, 1 when it was refused or something has
drifted, 2 when something was wrong (one sentence says what, and the next step),
3 when a scan could not see everything.

Credentials, profiles and regions are found as the AWS CLI finds them. What
Suture remembers is in a ledger: that of a deployment with --ledger or
SUTURE_LEDGER, or else a file of your own. Every command's --help has examples,
and --json is for scripts: docs/output.md. Read docs/scan.md and
docs/operating.md first.";

/// The header's style is clap's own.
const HEAD: Style = Style::new().bold().underline();
const NAME: Style = Style::new().bold();

/// The program with its help: its first page by groups, and the headings of examples like all headings.
pub fn dressed(suture: Command) -> Command {
    let page = first_page(&suture);
    let names: Vec<String> = suture.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let dressed = names.into_iter().fold(suture, |suture, name| suture.mut_subcommand(name, with_headings));
    dressed.help_template(StyledStr::from(page)).after_help("suture help COMMAND shows one.").after_long_help(MORE)
}

fn first_page(suture: &Command) -> String {
    let mut page = String::from("{about}\n\n{usage-heading} {usage}\n");
    let widest = FIRST.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let _ = writeln!(page, "\n{HEAD}Where to begin:{HEAD:#}");
    for (command, what) in FIRST {
        let _ = writeln!(page, "  {NAME}{command}{NAME:#}{}  {what}", " ".repeat(widest - command.len()));
    }
    let abouts: Vec<(&str, String)> = suture
        .get_subcommands()
        .map(|command| (command.get_name(), command.get_about().map(ToString::to_string).unwrap_or_default()))
        .collect();
    let about = |name: &str| {
        let found = abouts.iter().find(|(known, _)| *known == name).map(|(_, about)| about.as_str());
        if name == "help" { Some("Print this, or the help of a command") } else { found }
    };
    let widest = abouts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (heading, names) in GROUPS {
        let _ = writeln!(page, "\n{HEAD}{heading}:{HEAD:#}");
        for name in *names {
            if let Some(about) = about(name) {
                let _ = writeln!(page, "  {NAME}{name}{NAME:#}{}  {about}", " ".repeat(widest - name.len()));
            }
        }
    }
    page.push_str("\n{options}{after-help}");
    page.replace("{options}", &format!("{HEAD}Options:{HEAD:#}\n{{options}}"))
}

/// The headings of what comes after a command's options, in the style of headings.
fn with_headings(command: Command) -> Command {
    let styled = |text: &StyledStr| {
        let text = text.to_string();
        let heading = ["Examples:", "Example:"].into_iter().find(|heading| text.starts_with(heading));
        let rest = heading.and_then(|heading| text.strip_prefix(heading));
        match (heading, rest) {
            (Some(heading), Some(rest)) => StyledStr::from(format!("{HEAD}{heading}{HEAD:#}{rest}")),
            _ => StyledStr::from(text),
        }
    };
    let (short, long) = (command.get_after_help().map(styled), command.get_after_long_help().map(styled));
    let command = if let Some(short) = short { command.after_help(short) } else { command };
    if let Some(long) = long { command.after_long_help(long) } else { command }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    #[test]
    fn every_command_is_in_one_group_and_in_a_line_of_eighty() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        grouped.retain(|name| *name != "help");
        grouped.sort_unstable();
        let suture = command();
        let mut all: Vec<&str> = suture.get_subcommands().map(Command::get_name).collect();
        all.sort_unstable();
        assert_eq!(grouped, all);
        let page = command().render_help().to_string();
        let wide: Vec<&str> = page.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{wide:#?}");
        for heading in GROUPS {
            assert!(page.contains(heading.0), "{page}");
        }
    }
}
