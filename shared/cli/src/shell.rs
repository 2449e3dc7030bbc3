//! `suture completions`, `suture man` and `suture version`: made from the commands' own definitions, and from the build.

use crate::show::println;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man as Page;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

/// Print the completions of a shell.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture completions bash > ~/.local/share/bash-completion/completions/suture
  suture completions zsh > \"${fpath[1]}/_suture\"
  suture completions fish > ~/.config/fish/completions/suture.fish")]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

/// Print the manual page, or that of a command.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture man | man -l -
  suture man undo | man -l -
  suture man --to ~/.local/share/man/man1    then: man suture, man suture-undo")]
pub struct Man {
    /// The command.
    command: Option<String>,
    /// Write all pages into this folder instead: suture.1, suture-scan.1 and so on.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    to: Option<PathBuf>,
}

/// Say what this program was built of.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  suture version\n  suture version --json | jq -r .commit")]
pub struct Version {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How commands end, for the manual.
const ENDS: &[(&str, &str)] = &[
    ("0", "It was done; for scan and plan: nothing has drifted."),
    ("1", "It was refused; for scan and plan: something has drifted; for verify-evidence: not sound."),
    ("2", "Something was wrong; one sentence on standard error says what, and what to do next."),
    ("3", "scan alone: nothing was found, but not everything could be looked at."),
];

/// What is read from the environment, for the manual.
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "SUTURE_LEDGER",
        "The ledger: the name of a deployment's table, or file:PATH. The option --ledger goes before it.",
    ),
    ("AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID, …", "As the AWS CLI has them."),
    ("XDG_DATA_HOME", "Where the ledger of your own is, in suture/ledger; ~/.local/share if it is not set."),
    ("XDG_STATE_HOME", "Where a scan that was stopped is kept, in suture; ~/.local/state if it is not set."),
    ("COLUMNS", "How wide tables are. Without it they fit the terminal, and in a pipe nothing is wrapped."),
    ("NO_COLOR, CLICOLOR_FORCE", "No colour, whatever the terminal; colour, also in a pipe."),
];

/// Prints completions.
pub fn completions(arguments: &Completions, mut suture: Command) -> Result<bool, String> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut suture, "suture", &mut script);
    print(&script)
}

/// Prints a manual page, or writes all of them.
pub fn man(arguments: &Man, suture: &Command) -> Result<bool, String> {
    if let Some(folder) = &arguments.to {
        return write_all(folder, suture);
    }
    match &arguments.command {
        None => print(&page(suture.clone(), "suture")?),
        Some(name) => {
            let found = suture.get_subcommands().find(|command| command.get_name() == name);
            let found = found
                .ok_or_else(|| format!("there is no command {}; suture help lists them", remediation::shown(name)))?;
            print(&page_of(found)?)
        }
    }
}

fn write_all(folder: &Path, suture: &Command) -> Result<bool, String> {
    let wrong = |error: Error| format!("the pages cannot be written to {}: {}", folder.display(), error.kind());
    std::fs::create_dir_all(folder).map_err(wrong)?;
    std::fs::write(folder.join("suture.1"), page(suture.clone(), "suture")?).map_err(wrong)?;
    for command in suture.get_subcommands().filter(|command| command.get_name() != "help") {
        let path = folder.join(format!("suture-{}.1", command.get_name()));
        std::fs::write(path, page_of(command)?).map_err(wrong)?;
    }
    Ok(true)
}

/// The page of a command. It is named as pages of commands are (`git-log`), and its synopsis as it is typed.
fn page_of(command: &Command) -> Result<Vec<u8>, String> {
    let name = command.get_name().to_owned();
    let whole = format!("suture-{name}");
    page(command.clone().display_name(whole.clone()).bin_name(format!("suture {name}")), &whole)
}

fn page(command: Command, name: &str) -> Result<Vec<u8>, String> {
    let extra = command.get_after_long_help().or_else(|| command.get_after_help()).map(ToString::to_string);
    let has_commands = command.has_subcommands();
    let title = name.to_uppercase();
    let made = Page::new(command).title(title).source(concat!("suture ", env!("CARGO_PKG_VERSION"))).manual("Suture");
    let mut page = Vec::new();
    let rendered = (|| {
        made.render_title(&mut page)?;
        made.render_name_section(&mut page)?;
        made.render_synopsis_section(&mut page)?;
        made.render_description_section(&mut page)?;
        made.render_options_section(&mut page)?;
        if has_commands { made.render_subcommands_section(&mut page) } else { Ok(()) }
    })();
    rendered.map_err(|error: Error| format!("the page cannot be made: {}", error.kind()))?;
    let mut more = String::new();
    if let Some(extra) = extra.filter(|extra| !has_commands && !extra.is_empty()) {
        more.push_str(&examples(&extra));
    }
    more.push_str(&listed("EXIT STATUS", ENDS));
    more.push_str(&listed("ENVIRONMENT", ENVIRONMENT));
    page.extend(more.into_bytes());
    Ok(page)
}

/// The examples of a command's help, line by line as they are; what comes after them, as text.
fn examples(extra: &str) -> String {
    let mut section = ".SH EXAMPLES\n".to_owned();
    for block in extra.split("\n\n") {
        let (fixed, block) = match block.strip_prefix("Examples:\n").or_else(|| block.strip_prefix("Example:\n")) {
            Some(block) => (true, block),
            None => (block.lines().any(|line| line.starts_with("  ")), block),
        };
        section.push_str(if fixed { ".PP\n.nf\n" } else { ".PP\n" });
        for line in block.lines() {
            let _ = writeln!(section, "{}", roff(line));
        }
        section.push_str(if fixed { ".fi\n" } else { "" });
    }
    section
}

fn listed(heading: &str, items: &[(&str, &str)]) -> String {
    let mut section = format!(".SH \"{heading}\"\n");
    for (name, text) in items {
        let _ = write!(section, ".TP\n\\fB{}\\fR\n{}\n", roff(name), roff(text));
    }
    section
}

/// A line of text as roff has it: no control line, no escape, hyphens that can be copied.
fn roff(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

/// Says what this program was built of.
pub fn version(arguments: &Version) -> bool {
    let [commit, date, rustc, target, profile] = [
        env!("SUTURE_COMMIT"),
        env!("SUTURE_DATE"),
        env!("SUTURE_RUSTC"),
        env!("SUTURE_TARGET"),
        env!("SUTURE_PROFILE"),
    ];
    let version = env!("CARGO_PKG_VERSION");
    if arguments.json {
        let built = json!({
            "schema": "suture.version/1", "version": version, "commit": commit, "date": date, "rustc": rustc,
            "target": target, "profile": profile,
        });
        println!("{built}");
    } else {
        println!("suture {version}");
        for (label, value) in
            [("commit", commit), ("date", date), ("rustc", rustc), ("target", target), ("profile", profile)]
        {
            println!("{label:<8} {value}");
        }
    }
    true
}

/// Prints bytes; whoever stops reading early has enough.
fn print(bytes: &[u8]) -> Result<bool, String> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {}", error.kind()))
        }
        _ => Ok(true),
    }
}
