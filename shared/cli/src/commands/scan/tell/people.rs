//! What a scan found, for people: what has drifted, what a fix would write and break, what is exempt, and what to do next.

use super::{Meaning, Sum, Teller};
use crate::commands::words::{list, moment_of, text};
use crate::show;
use crate::show::println;
use anstyle::{AnsiColor, Style};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most rows of a table. A longer one nobody reads, and the lines of JSON have no end.
const ROWS: usize = 500;

/// What is to be shown of the resources that are not as they ought to be.
#[derive(Debug)]
pub(super) struct Found {
    rows: Vec<Row>,
    left_out: usize,
}

/// One resource under one control. In the order of its fields it is shown.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    account: String,
    state: State,
    control: String,
    region: String,
    resource: String,
    writes: String,
    beneath: Vec<(&'static str, String)>,
    breaks: usize,
}

/// What became of it, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Drifted,
    Refused,
    Blocked,
    Exempt,
}

impl State {
    fn of(outcome: &str) -> Self {
        match outcome {
            "exempt" => Self::Exempt,
            "refused" => Self::Refused,
            "blocked-by-organization" => Self::Blocked,
            _ => Self::Drifted,
        }
    }

    fn cell(self) -> show::Cell {
        let (name, colour) = match self {
            Self::Drifted => ("drifted", AnsiColor::Red),
            Self::Refused => ("refused", AnsiColor::Yellow),
            Self::Blocked => ("blocked", AnsiColor::Yellow),
            Self::Exempt => ("exempt", AnsiColor::Cyan),
        };
        show::Cell::new(name, colour.on_default().bold())
    }
}

impl Found {
    pub(super) const fn new() -> Self {
        Self { rows: Vec::new(), left_out: 0 }
    }

    /// One more.
    pub(super) fn add(&mut self, record: &Value) {
        if self.rows.len() == ROWS {
            self.left_out += 1;
        } else {
            self.rows.push(Row::of(record));
        }
    }
}

impl Row {
    fn of(record: &Value) -> Self {
        let field = |pointer: &str| text(record, pointer);
        let state = State::of(&field("/outcome"));
        let risks = list(record, "/breaks");
        let mut beneath: Vec<(&'static str, String)> = Vec::new();
        match state {
            State::Exempt => beneath.push((
                "exempt",
                format!(
                    "until {}, by {}: {} ({})",
                    moment_of(&field("/exemption/expires")),
                    field("/exemption/owner"),
                    field("/exemption/reason"),
                    field("/exemption/id"),
                ),
            )),
            State::Refused | State::Blocked => beneath.push(("why", field("/why"))),
            State::Drifted => {}
        }
        beneath.extend(risks.iter().map(|risk| ("breaks", broken(risk))));
        Self {
            account: field("/resource/account"),
            state,
            control: field("/control"),
            region: field("/resource/region"),
            resource: field("/resource/id"),
            writes: writes(list(record, "/changes")),
            beneath,
            breaks: risks.len(),
        }
    }

    fn is_guarded(&self) -> bool {
        self.beneath.iter().any(|(_, text)| text.contains(GUARDED))
    }
}

/// A command of more characters has what it is for on a line of its own.
const LONG: usize = 60;
/// What is said of a risk because of which a fix is refused.
const GUARDED: &str = "so a fix is refused without --override ";

/// What would break, in words; and by which name an operator overrides it, if it is a guard.
fn broken(risk: &Value) -> String {
    let (id, says) = (text(risk, "/id"), text(risk, "/says"));
    if risk.get("refuses") == Some(&Value::Bool(true)) { format!("{says}; {GUARDED}{id}") } else { says }
}

/// The names of writes: `put-public-access-block`, `revoke-ingress ×3`.
pub(super) fn writes(changes: &[Value]) -> String {
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    for change in changes {
        let name = change.as_object().and_then(|change| change.keys().next()).map(String::as_str).or(change.as_str());
        *by_name.entry(crate::commands::words::plain(name.unwrap_or("a write"))).or_default() += 1;
    }
    let named = |(name, times): (String, usize)| if times > 1 { format!("{name} ×{times}") } else { name };
    by_name.into_iter().map(named).collect::<Vec<_>>().join(", ")
}

impl Teller {
    /// Prints all of it.
    pub(super) fn print_people(&mut self) {
        self.found.rows.sort();
        self.print_rows();
        self.print_sums();
        for line in self.troubles() {
            println!("{line}");
        }
        self.print_next();
    }

    fn print_rows(&self) {
        if self.found.rows.is_empty() {
            return;
        }
        let mut headings = vec!["state", "control", "resource", "region", "a fix would write", "and break"];
        if self.several {
            headings.insert(0, "account");
        }
        let mut table = show::Table::new(headings.into_iter().map(str::to_owned));
        for row in &self.found.rows {
            let breaks = match (row.state, row.breaks) {
                (State::Exempt, 0) => String::new(),
                (_, 0) => "nothing known".to_owned(),
                (_, 1) => "1 thing".to_owned(),
                (_, more) => format!("{more} things"),
            };
            let mut cells: Vec<show::Cell> = vec![
                row.state.cell(),
                row.control.clone().into(),
                row.resource.clone().into(),
                row.region.clone().into(),
                row.writes.clone().into(),
                breaks.into(),
            ];
            if self.several {
                cells.insert(0, row.account.clone().into());
            }
            table.add_row(cells);
            for (label, text) in &row.beneath {
                table.note(label, text.clone());
            }
        }
        println!("{table}");
        if self.found.left_out > 0 {
            println!("{}", show::faint(format!("and {} more: --json has them all", self.found.left_out)));
        }
        println!();
    }

    fn print_sums(&self) {
        let mut headings = vec!["control", "looked at", "sound", "drifted", "exempt", "unknown"];
        if self.several {
            headings.insert(0, "account");
        }
        let mut table = show::Table::new(headings.into_iter().map(str::to_owned));
        for ((account, control), sum) in &self.sums {
            let mut cells: Vec<show::Cell> = vec![control.clone().into(), all(sum).to_string().into()];
            if self.several {
                cells.insert(0, account.clone().into());
            }
            cells.extend(Meaning::ALL.map(|meaning| count(meaning, sum.of(meaning))));
            table.add_row(cells);
        }
        if !table.is_empty() {
            println!("{table}\n");
        }
        let [sound, drifted, exempt, unknown] = Meaning::ALL.map(|meaning| self.count(meaning));
        let looked: usize = self.sums.values().map(all).sum();
        let accounts = match self.accounts.as_slice() {
            [one] => format!("in account {one}"),
            more => format!("in {} accounts", more.len()),
        };
        let verdict =
            format!("{looked} looks {accounts}: {sound} sound, {drifted} drifted, {exempt} exempt, {unknown} unknown.");
        println!(
            "{}",
            if drifted > 0 {
                show::bad(verdict)
            } else if self.is_whole() {
                show::good(verdict)
            } else {
                show::mind(verdict)
            }
        );
    }

    /// What to do next, with the names of this scan.
    fn print_next(&self) {
        // Of what may be mended, what it costs the least.
        let drifted = self.found.rows.iter().filter(|row| row.state == State::Drifted);
        let drifted = drifted.min_by_key(|row| (row.is_guarded(), row.breaks));
        let mut next = Vec::new();
        if let Some(row) = drifted {
            let on = self.on(row);
            let what = format!("{} {}{on}", row.control, quoted(&row.resource));
            next.push((format!("suture plan {what}"), "the very writes, and how they are taken back"));
            next.push((format!("suture fix {what}"), "shows them, asks, writes, and reads back"));
            next.push((
                format!(
                    "suture exempt --control {} --resource {} --owner YOU --reason WHY --until 30d",
                    row.control,
                    quoted(&row.resource)
                ),
                "leaves it as it is, for a time",
            ));
            next.push((format!("suture explain {}", row.control), "what it is about"));
        }
        if self.is_denied() {
            next.push(("suture permissions --scan".to_owned(), "the policy that a whole look needs"));
        }
        if next.is_empty() {
            return;
        }
        println!("\n{}", show::head("Next"));
        let widest = next.iter().map(|(command, _)| command.chars().count()).filter(|width| *width < LONG).max();
        for (command, what) in &next {
            let between = match widest.unwrap_or_default().checked_sub(command.chars().count()) {
                Some(pad) => " ".repeat(pad + 2),
                None => "\n      ".to_owned(),
            };
            println!("  {command}{between}{}", show::faint(format!("# {what}")));
        }
        if drifted.is_some_and(|row| row.account != self.by.account.as_str()) {
            println!(
                "  {}",
                show::faint("plan and fix work with your own credentials: take those of the resource's account")
            );
        }
    }

    /// Where a resource is, if a command has to be told.
    fn on(&self, row: &Row) -> String {
        if row.region == self.by.region.as_str() { String::new() } else { format!(" --region {}", row.region) }
    }

    fn is_denied(&self) -> bool {
        let denied = |why: &String| why.contains("denied");
        self.unknown.keys().any(denied) || self.sums.values().any(|sum| sum.cut_short.iter().any(denied))
    }
}

fn all(sum: &Sum) -> usize {
    sum.outcomes.values().sum()
}

fn count(meaning: Meaning, count: usize) -> show::Cell {
    let style = match (meaning, count) {
        (_, 0) | (Meaning::Sound, _) => Style::new(),
        (Meaning::Drifted, _) => AnsiColor::Red.on_default().bold(),
        (Meaning::Exempt, _) => AnsiColor::Cyan.on_default().bold(),
        (Meaning::Unknown, _) => AnsiColor::Yellow.on_default().bold(),
    };
    show::Cell::new(count, style)
}

/// A name as a shell takes it for one word.
fn quoted(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@=+,-".contains(&byte);
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}
