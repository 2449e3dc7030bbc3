//! What a scan found, as it is found: a table for people, lines of JSON for scripts, SARIF for tools.

use super::said;
use crate::End;
use crate::commands::words::{list, text};
use crate::show;
use anstream::{print, println};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The most rows of a table. A longer one nobody reads, and the lines of JSON have no end.
const ROWS: usize = 500;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// One JSON object a line.
    Lines,
    /// SARIF 2.1.0. <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
    Sarif,
}

/// What has become of a control's resources.
#[derive(Clone, Debug, Default)]
struct Sum {
    /// How many ended how.
    outcomes: BTreeMap<String, usize>,
    /// What could not be listed, and why.
    cut_short: Vec<String>,
}

/// Tells what is found.
pub struct Teller {
    form: Form,
    rows: Vec<[String; 5]>,
    left_out: usize,
    results: usize,
    sums: BTreeMap<String, Sum>,
    /// Why what could not be looked at could not, and how often.
    unknown: BTreeMap<String, usize>,
}

/// What an outcome means to somebody who only looks.
fn meaning(outcome: &str) -> &'static str {
    match outcome {
        "compliant" | "gone" => "sound",
        "planned" | "awaiting-approval" => "drifted",
        "refused" | "blocked-by-organization" => "drifted, and not to be mended so",
        "exempt" => "exempt",
        _ => "unknown",
    }
}

impl Teller {
    /// Begins.
    pub fn begin(form: Form) -> Self {
        if form == Form::Sarif {
            print!("{}", sarif_head());
        }
        Self { form, rows: Vec::new(), left_out: 0, results: 0, sums: BTreeMap::new(), unknown: BTreeMap::new() }
    }

    /// A resource that is not as it ought to be, or could not be looked at.
    pub fn found(&mut self, record: &Value) {
        let outcome = text(record, "/outcome");
        let known = meaning(&outcome);
        if known == "unknown" {
            *self.unknown.entry(text(record, "/why")).or_default() += 1;
        }
        match self.form {
            Form::Lines => println!("{record}"),
            // Told in the end, each reason once.
            Form::Sarif | Form::Table if known == "unknown" => {}
            Form::Sarif => {
                print!("{}{}", if self.results > 0 { ",\n" } else { "" }, sarif_result(record));
                self.results += 1;
            }
            Form::Table if self.rows.len() == ROWS => self.left_out += 1,
            Form::Table => {
                let writes = list(record, "/changes").len();
                let breaks: Vec<String> = list(record, "/breaks").iter().map(|risk| text(risk, "/id")).collect();
                let besides = match outcome.as_str() {
                    "planned" => breaks.join(", "),
                    "exempt" => text(record, "/exemption/owner"),
                    _ => text(record, "/refused_by"),
                };
                self.rows.push([
                    text(record, "/control"),
                    text(record, "/resource/id"),
                    text(record, "/resource/region"),
                    format!(
                        "{} {}",
                        show::outcome(&outcome),
                        if writes > 0 { writes.to_string() } else { String::new() }
                    ),
                    besides,
                ]);
            }
        }
    }

    /// How many of a page's resources ended how.
    pub fn counted(&mut self, control: &str, outcomes: &BTreeMap<String, usize>, cut_short: Option<&str>) {
        let sum = self.sums.entry(control.to_owned()).or_default();
        for (outcome, count) in outcomes {
            *sum.outcomes.entry(outcome.clone()).or_default() += count;
        }
        sum.cut_short.extend(cut_short.map(said));
    }

    /// Ends, and says what all comes to.
    pub fn end(self, account: &str) -> End {
        let of = |known: &str| -> usize {
            let outcomes = self.sums.values().flat_map(|sum| &sum.outcomes);
            outcomes.filter(|(outcome, _)| meaning(outcome).starts_with(known)).map(|(_, count)| count).sum()
        };
        let drifted = of("drifted");
        let whole = of("unknown") == 0 && self.sums.values().all(|sum| sum.cut_short.is_empty());
        match self.form {
            Form::Table => self.table(),
            Form::Lines => println!("{}", self.summary(account, drifted, whole)),
            Form::Sarif => println!("{}", sarif_tail(whole)),
        }
        match (drifted, whole) {
            (0, true) => End::Done,
            (0, false) => End::Partly,
            _ => End::Not,
        }
    }

    fn summary(&self, account: &str, drifted: usize, whole: bool) -> Value {
        let controls = self
            .sums
            .iter()
            .map(|(id, sum)| json!({"control": id, "outcomes": sum.outcomes, "cut_short": sum.cut_short}));
        json!({
            "schema": "suture.scan/1",
            "account": account,
            "drifted": drifted,
            "whole": whole,
            "controls": controls.collect::<Vec<_>>(),
        })
    }

    fn table(&self) {
        if !self.rows.is_empty() {
            let mut table = show::table(
                ["control", "resource", "region", "writes", "what it would break, or who keeps it so"]
                    .map(str::to_owned),
            );
            for row in &self.rows {
                table.add_row(row.clone());
            }
            println!("{table}");
        }
        if self.left_out > 0 {
            println!("{}", show::faint(format!("and {} more: --json has them all", self.left_out)));
        }
        let mut table =
            show::table(["control", "looked at", "sound", "drifted", "exempt", "unknown"].map(str::to_owned));
        for (id, sum) in &self.sums {
            let of = |known: &str| -> usize {
                let fits = sum.outcomes.iter().filter(|(outcome, _)| meaning(outcome).starts_with(known));
                fits.map(|(_, count)| count).sum()
            };
            let all: usize = sum.outcomes.values().sum();
            let counts = [all, of("sound"), of("drifted"), of("exempt"), of("unknown")];
            let [all, sound, drifted, exempt, unknown] = counts.map(|count| count.to_string());
            let drifted = if drifted == "0" { drifted } else { show::bad(drifted) };
            table.add_row([id.clone(), all, sound, drifted, exempt, unknown]);
        }
        println!("{table}");
        for (id, sum) in &self.sums {
            for why in &sum.cut_short {
                println!("{} {id}: {why}", show::mind("not all was looked at"));
            }
        }
        for (why, times) in self.unknown.iter().take(20) {
            println!(
                "{} {why}{}",
                show::mind("unknown"),
                if *times > 1 { format!(" ({times} times)") } else { String::new() }
            );
        }
        if self.rows.is_empty() {
            return;
        }
        println!("{}", show::faint("suture plan CONTROL RESOURCE shows the writes; suture fix makes them."));
    }
}

/// The log as far as the first result.
fn sarif_head() -> String {
    let rule = |about: &remediation::About| {
        json!({
            "id": about.id,
            "shortDescription": {"text": about.title},
            "properties": {"tags": about.citations},
        })
    };
    let rules: Vec<Value> = catalogue::all().iter().map(|entry| rule(entry.about)).collect();
    let driver = json!({"name": "Suture", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
    format!(
        "{{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{{\"driver\":{driver}}},\"results\":[\n"
    )
}

fn sarif_tail(whole: bool) -> String {
    format!("\n],\"invocations\":[{{\"executionSuccessful\":{whole}}}]}}]}}")
}

fn sarif_result(record: &Value) -> Value {
    let field = |pointer: &str| text(record, pointer);
    let (control, resource) = (field("/control"), field("/resource/id"));
    let place =
        format!("{}/{}/{}/{resource}", field("/resource/account"), field("/resource/region"), field("/resource/type"));
    let outcome = field("/outcome");
    let mut result = json!({
        "ruleId": control,
        "level": if outcome == "exempt" { "note" } else { "error" },
        "message": {"text": format!("{resource}: {}", field("/why"))},
        "locations": [{"logicalLocations": [{"name": resource, "fullyQualifiedName": place, "kind": "resource"}]}],
        "partialFingerprints": {"suture/v1": format!("{control}/{place}")},
    });
    if let (true, Some(fields)) = (outcome == "exempt", result.as_object_mut()) {
        let why = field("/exemption/reason");
        fields.insert("suppressions".to_owned(), json!([{"kind": "external", "justification": why}]));
    }
    result
}
