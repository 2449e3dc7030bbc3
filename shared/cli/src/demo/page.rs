//! How the demo reads in a terminal: short chapters, of lines that fit.

use super::step::{Line, Shown, Step};
use crate::lab::of_the_ledger;
use crate::show;
use crate::show::println;
use ::lab::runtime::Report;
use serde_json::Value;
use std::time::Duration;

/// How wide a line may be: what can be read in one sweep, or less where the terminal is narrower.
const WIDEST: usize = 112;

/// How wide a line is here.
fn width() -> usize {
    show::width().map_or(WIDEST, |here| here.clamp(40, WIDEST))
}

/// A number of things: `1 write`, `2 writes`.
pub fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// Breaks a text into lines of this width, at its spaces, and a word that is longer behind its commas.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let wide = |text: &str| text.chars().count();
    for word in text.split(' ') {
        let parts: Vec<&str> = if wide(word) > width { word.split_inclusive(',').collect() } else { vec![word] };
        for (number, part) in parts.iter().enumerate() {
            let gap = usize::from(number == 0);
            match lines.last_mut() {
                Some(line) if line.is_empty() => line.push_str(part),
                Some(line) if wide(line) + gap + wide(part) <= width => {
                    line.extend((gap == 1).then_some(' '));
                    line.push_str(part);
                }
                _ => lines.push((*part).to_owned()),
            }
        }
    }
    lines
}

/// Prints a text behind a sign, its lines below one another, each painted.
fn put(sign: &str, indent: usize, text: &str, paint: impl Fn(&str) -> String) {
    let room = width().saturating_sub(indent);
    for (number, line) in wrapped(text, room).iter().enumerate() {
        let begin = if number == 0 { sign } else { "" };
        let space = indent.saturating_sub(begin.chars().count());
        let before = if begin.is_empty() { 0 } else { 3 };
        let (before, space) = (before.min(space), space.saturating_sub(before));
        println!("{:before$}{}{:space$}{}", "", show::head(begin), "", paint(line));
    }
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// The heading of a chapter.
pub fn heading(number: usize, title: &str) {
    println!("\n{}", show::head(format!("{number:>2} {title}")));
}

/// A step, whole.
pub fn step(step: &Step) {
    let mut told = step.lines.iter().filter(|line| !matches!(line, Line::Seen(_, true, false))).peekable();
    while let Some(line) = told.next() {
        match line {
            Line::Happened(what) => put("", 3, what, as_it_is),
            Line::Did(report, after) => {
                let mut times = 1;
                while told.next_if(|next| is_same(report, next)).is_some() {
                    times += 1;
                }
                did(report, *after, times);
            }
            Line::Typed(typed, shown) => {
                put("$", 5, &typed.command, |line| show::head(line));
                for line in lines(&typed.said, *shown) {
                    let inner = line.len() - line.trim_start().len();
                    put("", 5 + inner, line.trim_start(), |line| show::faint(line));
                }
            }
            Line::Told(subject) => put("✉", 5, subject, as_it_is),
            Line::Seen(what, seen, aloud) => check(what, *seen, *aloud),
        }
    }
}

/// The lines of what a command said that are shown.
fn lines(said: &str, shown: Shown) -> Vec<&str> {
    let all = || said.lines().filter(|line| !line.trim().is_empty());
    match shown {
        Shown::All => all().collect(),
        Shown::Nothing => Vec::new(),
        Shown::With(any) => {
            let some: Vec<&str> = all().filter(|line| any.iter().any(|text| line.contains(text))).collect();
            if some.is_empty() { all().collect() } else { some }
        }
    }
}

fn check(what: &str, seen: bool, aloud: bool) {
    if !seen {
        put("✘", 5, &format!("not seen: {what}"), |line| show::bad(line));
    } else if aloud {
        put("✔", 5, what, |line| show::good(line));
    }
}

/// Whether this is another time that a function did the same to the same.
fn is_same(report: &Report, next: &Line) -> bool {
    let what = |report: &Report| {
        let answer = report.json();
        ["/records/0/outcome", "/records/0/resource/id", "/records/0/why"]
            .map(|pointer| answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned))
    };
    matches!(next, Line::Did(next, _) if next.function == report.function && what(next) == what(report))
}

/// What a function did: a line for each record.
fn did(report: &Report, after: Option<Duration>, times: usize) {
    let answer = report.json();
    let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let cost = match times {
        1 => cost(report, after),
        times => format!("{times} times, the first {}", cost(report, after)),
    };
    for record in list("records") {
        let (outcome, resource) = (text(&record, "/outcome"), text(&record, "/resource/id"));
        let said = format!("{}: {outcome} {resource} ({cost}): {}", report.function, text(&record, "/why"));
        put("→", 5, &said, |line| line.replacen(&outcome, &show::outcome(&outcome), 1));
    }
    for unread in list("unread") {
        let said = format!("{}: {} ({cost}): {}", report.function, text(&unread, "/as"), text(&unread, "/why"));
        put("→", 5, &said, as_it_is);
    }
    if let Err(error) = &report.answer {
        put("→", 5, &format!("{}: failed: {}", report.function, error.error_message), |line| show::bad(line));
    }
}

/// When, and with how many calls. Those to the ledger are the same for every control, and left out.
fn cost(report: &Report, after: Option<Duration>) -> String {
    let own = report.calls.iter().filter(|call| !of_the_ledger(call)).count();
    let calls = if report.calls.is_empty() { "no call".to_owned() } else { count(own, "AWS call") };
    let cold = if report.init.is_some() { ", a cold start" } else { "" };
    format!("{}, {calls}{cold}", show::ms(after.unwrap_or(report.duration)))
}

/// What the signs mean.
pub fn legend() {
    let signs = "→ a Lambda function, how long after the call    $ typed    ✉ a message    ✔ seen independently";
    println!("   {}", show::faint(signs));
}

/// A step in one line: what the control did, how fast, and what it was about. What was not seen follows.
pub fn brief(step: &Step) {
    let (function, time) = step.reports().next().map_or(("", Duration::ZERO), |it| (it.function.as_str(), it.duration));
    let outcome = step.field("/outcome");
    let sign = if step.ok() { show::good("✔") } else { show::bad("✘") };
    // Padded before it is painted: a colour has no width.
    let painted = format!("{outcome:7}").replacen(&outcome, &show::outcome(&outcome), 1);
    println!("   {sign} {function:29} {painted} {:>7}  {}", show::ms(time), show::faint(step.title));
    for line in &step.lines {
        if let Line::Seen(what, false, _) = line {
            check(what, false, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrapped("a bc d", 4), ["a bc", "d"]);
        assert_eq!(wrapped("a long-word b", 4), ["a", "long-word", "b"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("a {b:1,c:2} d", 6), ["a", "{b:1,", "c:2} d"]);
    }

    #[test]
    fn of_what_a_command_said_some_lines_are_shown() {
        let said = "fixed it\n\n  record: x\n  note: y";
        assert_eq!(lines(said, Shown::All).len(), 3);
        assert!(lines(said, Shown::Nothing).is_empty());
        assert_eq!(lines(said, Shown::With(&["record", "fixed"])), ["fixed it", "  record: x"]);
        // Words that a command does not use any more hide nothing.
        assert_eq!(lines(said, Shown::With(&["gone"])).len(), 3);
    }

    #[test]
    fn one_is_one() {
        assert_eq!((count(1, "write"), count(0, "write")), ("1 write".to_owned(), "0 writes".to_owned()));
    }
}
