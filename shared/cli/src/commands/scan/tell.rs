//! What a scan found, as it is found: a table for people, lines of JSON for scripts, SARIF, ASFF and OCSF for tools.

mod formats;
mod people;

use super::said;
use crate::End;
use crate::commands::words::text;
use crate::show;
use crate::show::{eprintln, print, println};
use remediation::{AccountId, Region};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// The names of what has drifted and could be fixed, one a line.
    Names,
    /// One JSON object a line.
    Lines,
    /// SARIF 2.1.0. <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
    Sarif,
    /// A list of findings in the AWS Security Finding Format.
    /// <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html>
    Asff,
    /// One OCSF Compliance Finding a line. <https://schema.ocsf.io/1.5.0/classes/compliance_finding>
    Ocsf,
}

/// Who scans, and from where.
#[derive(Clone, Debug)]
pub struct By {
    /// The account of the caller, which findings are imported in.
    pub account: AccountId,
    /// The region that is set.
    pub region: Region,
}

impl By {
    /// The partition that the region is in.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
    pub fn partition(&self) -> &'static str {
        match self.region.as_str() {
            china if china.starts_with("cn-") => "aws-cn",
            government if government.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }
}

/// What an outcome means to somebody who only looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// It is as it ought to be.
    Sound,
    /// It has drifted; whether or not it may be mended.
    Drifted,
    /// It is left alone, by somebody's word.
    Exempt,
    /// It could not be looked at.
    Unknown,
}

impl Meaning {
    const ALL: [Self; 4] = [Self::Sound, Self::Drifted, Self::Exempt, Self::Unknown];

    fn of(outcome: &str) -> Self {
        match outcome {
            "compliant" | "gone" => Self::Sound,
            "planned" | "awaiting-approval" | "refused" | "blocked-by-organization" => Self::Drifted,
            "exempt" => Self::Exempt,
            _ => Self::Unknown,
        }
    }
}

/// What has become of a control's resources in an account.
#[derive(Clone, Debug, Default)]
struct Sum {
    /// How many ended how.
    outcomes: BTreeMap<String, usize>,
    /// What could not be listed, and why.
    cut_short: Vec<String>,
}

impl Sum {
    fn of(&self, meaning: Meaning) -> usize {
        let fits = self.outcomes.iter().filter(|(outcome, _)| Meaning::of(outcome) == meaning);
        fits.map(|(_, count)| count).sum()
    }
}

/// Tells what is found.
pub struct Teller {
    form: Form,
    by: By,
    /// The accounts, as far as they are looked at; the last is the one that is.
    accounts: Vec<AccountId>,
    several: bool,
    found: people::Found,
    results: usize,
    /// By account and control.
    sums: BTreeMap<(String, String), Sum>,
    /// Why what could not be looked at could not, and how often.
    unknown: BTreeMap<String, usize>,
    /// Accounts of which nothing could be seen, and why.
    unreached: Vec<(AccountId, String)>,
}

impl Teller {
    /// Begins; whether several accounts are to come.
    pub const fn begin(form: Form, by: By, several: bool) -> Self {
        Self {
            form,
            by,
            accounts: Vec::new(),
            several,
            found: people::Found::new(),
            results: 0,
            sums: BTreeMap::new(),
            unknown: BTreeMap::new(),
            unreached: Vec::new(),
        }
    }

    /// What comes now is of this account.
    pub fn account(&mut self, account: &AccountId) {
        if self.accounts.is_empty() {
            match self.form {
                Form::Sarif => print!("{}", formats::sarif_head()),
                Form::Asff => println!("["),
                Form::Table | Form::Names | Form::Lines | Form::Ocsf => {}
            }
        }
        self.accounts.push(account.clone());
    }

    /// The account has been looked at.
    pub fn account_ended(&self) {
        if let (true, Form::Lines, Some(account)) = (self.several, self.form, self.accounts.last()) {
            println!("{}", self.summary_of(account));
        }
    }

    /// Nothing of this account could be seen.
    pub fn unreached(&mut self, account: &AccountId, why: &str) {
        let why = said(why);
        if self.form == Form::Lines {
            println!("{}", unreached(account, &why));
        }
        self.unreached.push((account.clone(), why));
    }

    /// A resource that is not as it ought to be, or could not be looked at.
    pub fn found(&mut self, record: &Value) {
        let outcome = text(record, "/outcome");
        let meaning = Meaning::of(&outcome);
        if meaning == Meaning::Unknown {
            // Told in the end, each reason once.
            *self.unknown.entry(text(record, "/why")).or_default() += 1;
        }
        match (self.form, meaning) {
            (Form::Lines, _) => println!("{record}"),
            (Form::Ocsf, _) => println!("{}", formats::ocsf(record, &self.by)),
            (_, Meaning::Unknown) => {}
            (Form::Table, _) => self.found.add(record),
            (Form::Names, _) if outcome == "planned" => println!("{}", text(record, "/resource/id")),
            (Form::Names, _) => {}
            (Form::Sarif, _) => self.one_more(&formats::sarif_result(record)),
            (Form::Asff, _) => self.one_more(&formats::asff(record, &self.by)),
        }
    }

    /// One more of a list.
    fn one_more(&mut self, value: &Value) {
        print!("{}{value}", if self.results > 0 { ",\n" } else { "" });
        self.results += 1;
    }

    /// How many of a page's resources ended how.
    pub fn counted(&mut self, control: &str, outcomes: &BTreeMap<String, usize>, cut_short: Option<&str>) {
        let account = self.accounts.last().map(ToString::to_string).unwrap_or_default();
        let sum = self.sums.entry((account, control.to_owned())).or_default();
        for (outcome, count) in outcomes {
            *sum.outcomes.entry(outcome.clone()).or_default() += count;
        }
        sum.cut_short.extend(cut_short.map(said));
    }

    fn count(&self, meaning: Meaning) -> usize {
        self.sums.values().map(|sum| sum.of(meaning)).sum()
    }

    /// Whether everything could be looked at.
    fn is_whole(&self) -> bool {
        let sums = self.sums.values();
        self.unreached.is_empty() && sums.clone().all(|sum| sum.of(Meaning::Unknown) == 0 && sum.cut_short.is_empty())
    }

    /// Ends, and says what all comes to.
    pub fn end(mut self) -> End {
        let (drifted, whole) = (self.count(Meaning::Drifted), self.is_whole());
        match self.form {
            Form::Table => self.print_people(),
            Form::Lines if self.several => println!("{}", self.summary()),
            Form::Lines => println!("{}", self.accounts.last().map(|one| self.summary_of(one)).unwrap_or_default()),
            Form::Sarif => println!("{}", formats::sarif_tail(whole)),
            Form::Asff => println!("\n]"),
            Form::Names | Form::Ocsf => {}
        }
        if !matches!(self.form, Form::Table | Form::Lines) {
            for line in self.troubles() {
                eprintln!("{line}");
            }
        }
        match (drifted, whole) {
            (0, true) => End::Done,
            (0, false) => End::Partly,
            _ => End::Not,
        }
    }

    /// What one account comes to.
    fn summary_of(&self, account: &AccountId) -> Value {
        let sums = || self.sums.iter().filter(|((of, _), _)| of == account.as_str());
        let whole = sums().all(|(_, sum)| sum.of(Meaning::Unknown) == 0 && sum.cut_short.is_empty());
        let controls =
            sums().map(|((_, id), sum)| json!({"control": id, "outcomes": sum.outcomes, "cut_short": sum.cut_short}));
        json!({
            "schema": SCHEMA,
            "account": account,
            "drifted": sums().map(|(_, sum)| sum.of(Meaning::Drifted)).sum::<usize>(),
            "whole": whole,
            "controls": controls.collect::<Vec<_>>(),
        })
    }

    /// What all accounts come to.
    fn summary(&self) -> Value {
        let unreached = self.unreached.iter().map(|(account, _)| account);
        json!({
            "schema": SCHEMA,
            "accounts": self.accounts,
            "unreached": unreached.collect::<Vec<_>>(),
            "drifted": self.count(Meaning::Drifted),
            "whole": self.is_whole(),
        })
    }

    /// What could not be looked at, and why, a line each.
    fn troubles(&self) -> Vec<String> {
        let unreached = self
            .unreached
            .iter()
            .map(|(account, why)| format!("{} account {account}: {why}", show::mind("not looked at:")));
        let cut = self.sums.iter().flat_map(|((account, id), sum)| {
            let of = if self.several { format!("{id} in {account}") } else { id.clone() };
            sum.cut_short.iter().map(move |why| format!("{} {of}: {why}", show::mind("not all was looked at:")))
        });
        let unknown = self.unknown.iter().take(20).map(|(why, times)| {
            let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
            format!("{} {why}{times}", show::mind("unknown:"))
        });
        unreached.chain(cut).chain(unknown).collect()
    }
}

/// The form of a summary.
const SCHEMA: &str = "suture.scan/1";

fn unreached(account: &AccountId, why: &str) -> Value {
    json!({"schema": SCHEMA, "account": account, "drifted": 0, "whole": false, "controls": [], "unreached": why})
}

#[cfg(test)]
#[path = "tell/tests.rs"]
mod tests;
