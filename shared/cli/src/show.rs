//! How things look in a terminal: colour where it has it, one progress line, tables that fit.
//!
//! Colour is written always, and taken out again by anstream where standard output is no terminal, `NO_COLOR` is set or
//! `TERM` is `dumb`; `CLICOLOR_FORCE` keeps it. <https://no-color.org>, <https://bixense.com/clicolors/>

mod table;

pub use table::{Cell, Table, wrap};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::{Arguments, Display};
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;
use terminal_size::{Width, terminal_size_of};

/// Prints to standard output: see [`put`].
macro_rules! print_out {
    ($($what:tt)*) => { $crate::show::put(format_args!($($what)*)) };
}

/// The same, and ends the line.
macro_rules! print_line {
    () => { $crate::show::put(format_args!("\n")) };
    ($($what:tt)*) => { $crate::show::put(format_args!("{}\n", format_args!($($what)*))) };
}

/// A line on standard error. Where nobody can be told, there is nobody to tell that.
macro_rules! print_error {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(anstream::stderr(), $($what)*);
    }};
}

pub(crate) use print_error as eprintln;
pub(crate) use print_line as println;
pub(crate) use print_out as print;

/// What kept standard output from being written, the first time.
static LOST: OnceLock<ErrorKind> = OnceLock::new();

/// Prints to standard output. What is done is not given up because it cannot be told: [`lost`] has it for the end. Who
/// stopped reading has seen enough.
pub fn put(what: Arguments<'_>) {
    note(anstream::stdout().write_fmt(what));
}

/// Writes out what is held back, and says what kept standard output from being written, if something did.
pub fn lost() -> Option<String> {
    note(std::io::stdout().flush());
    LOST.get().map(|kind| {
        format!("what was to be printed could not be written ({kind}); what was asked for may have been done")
    })
}

fn note(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error.kind());
    }
}

/// The narrowest terminal that a table is made for.
const LEAST: usize = 40;

fn painted(style: Style, text: &dyn Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Something good.
pub fn good(text: impl Display) -> String {
    painted(AnsiColor::Green.on_default().bold(), &text)
}

/// Something bad.
pub fn bad(text: impl Display) -> String {
    painted(AnsiColor::Red.on_default().bold(), &text)
}

/// Something to look at.
pub fn mind(text: impl Display) -> String {
    painted(AnsiColor::Yellow.on_default().bold(), &text)
}

/// Something that matters less.
pub fn faint(text: impl Display) -> String {
    painted(Style::new().dimmed(), &text)
}

/// A heading.
pub fn head(text: impl Display) -> String {
    painted(Style::new().bold(), &text)
}

/// An outcome in its colour.
pub fn outcome(name: &str) -> String {
    painted(style_of(name), &name)
}

fn style_of(outcome: &str) -> Style {
    let colour = match outcome {
        "fixed" | "compliant" | "undone" | "gone" => AnsiColor::Green,
        "planned" | "refused" | "unverified" | "partly-fixed" | "exempt" | "awaiting-approval" => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    colour.on_default().bold()
}

/// An empty table with these headings.
pub fn table<const N: usize>(headings: [String; N]) -> Table {
    Table::new(headings)
}

/// How many columns there are for a table: what `COLUMNS` says, or those of the terminal; none in a pipe, where nothing is
/// wrapped.
pub fn width() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    let said: Option<usize> = said.filter(|columns| *columns >= LEAST);
    let stdout = std::io::stdout();
    said.or_else(|| {
        let (Width(columns), _) = terminal_size_of(&stdout).filter(|_| stdout.is_terminal())?;
        Some(usize::from(columns).max(LEAST))
    })
}

/// Milliseconds as people read them.
pub fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// A line that says what is being waited for, where the terminal can show one; quiet in a pipe.
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows it.
    pub fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what is being waited for.
    pub fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Takes the line away.
    pub fn end(self) {
        self.0.finish_and_clear();
    }
}
