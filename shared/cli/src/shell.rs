//! `suture completions` and `suture man`: made from the commands' own definitions.

use clap::CommandFactory;
use clap_complete::Shell;
use std::io::{Error, Write};

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
  suture man > /usr/local/share/man/man1/suture.1")]
pub struct Man {
    /// The command.
    command: Option<String>,
}

/// Prints completions.
pub fn completions<C: CommandFactory>(arguments: &Completions) -> Result<bool, String> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut C::command(), "suture", &mut script);
    print(&script)
}

/// Prints a manual page.
pub fn man<C: CommandFactory>(arguments: &Man) -> Result<bool, String> {
    let suture = C::command();
    let command = match &arguments.command {
        None => suture,
        Some(name) => {
            let found = suture.get_subcommands().find(|command| command.get_name() == name);
            let found = found
                .ok_or_else(|| format!("there is no command {}; suture help lists them", remediation::shown(name)))?;
            // Named as it is typed, or the page would be one of a program of that name.
            let whole: &'static str = Box::leak(format!("suture-{name}").into_boxed_str());
            found.clone().name(whole).display_name(format!("suture {name}")).version(env!("CARGO_PKG_VERSION"))
        }
    };
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(command).source(concat!("suture ", env!("CARGO_PKG_VERSION"))).render(&mut page);
    made.map_err(|error: Error| format!("the page cannot be made: {}", error.kind()))?;
    print(&page)
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
