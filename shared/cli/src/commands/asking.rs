//! Asking a person, once.

use crate::show;
use crate::show::{eprintln, print};
use std::io::{BufRead, IsTerminal, Write};

/// Whether to go on: asks on the terminal, unless `yes` says so already. Where nobody can be asked, the answer is no.
pub fn goes_on(question: &str, yes: bool) -> Result<bool, String> {
    if yes {
        return Ok(true);
    }
    let mut terminal = std::io::stdin().lock();
    if !terminal.is_terminal() {
        eprintln!(
            "{}: there is no terminal to ask on, and nothing was done; if the above is what you want, add --yes",
            show::mind("refused")
        );
        return Ok(false);
    }
    print!("{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdout().flush().and_then(|()| terminal.read_line(&mut answer));
    read.map_err(|error| format!("the terminal cannot be read: {}", error.kind()))?;
    let goes_on = matches!(answer.trim(), "y" | "Y" | "yes" | "Yes");
    if !goes_on {
        eprintln!("Nothing was done.");
    }
    Ok(goes_on)
}
