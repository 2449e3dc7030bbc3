//! How things look in a terminal: colour where it has it, one progress line, tables that fit.

use anstyle::{AnsiColor, Style};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::time::Duration;

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
    match name {
        "fixed" | "compliant" | "undone" | "gone" => good(name),
        "planned" | "refused" | "unverified" | "partly-fixed" => mind(name),
        _ => bad(name),
    }
}

/// An empty table with these headings.
pub fn table<const N: usize>(headings: [String; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(headings);
    // anstream takes the colours out again where the terminal has none.
    table.enforce_styling();
    table
}

/// A table's cell for something good or bad.
pub fn cell(text: &str, good: bool) -> Cell {
    Cell::new(text).fg(if good { Color::Green } else { Color::Red })
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
