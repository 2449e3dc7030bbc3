//! `suture report`: what happened in a period, as a page that an auditor can be handed, with its tables beside it.

mod files;

use super::session::{Session, WhichAndWhere, account_of};
use super::verify::{bucket_of, there};
use super::words::{hours, moment, plain};
use crate::show::{eprintln, print, println};
use crate::{End, show};
use evidence::{Folder, Shelf};
use remediation::{AccountId, shown};
use report::model::{Report, Verdict};
use report::{FURTHEST, Sources, Wanted};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

pub use files::Format;

/// Make a report of a period: a page for an auditor, with its tables beside it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  suture report                                           the last 30 days
  suture report --from 2026-10-01 --to 2026-10-31         October, its last day too (UTC)
  suture report --from 90d --out quarter.html --open
  suture report --from 2026-01-01 --evidence s3://suture-evidencebucket-1abc2def
  suture report --from 2026-01-01 --evidence ./records-of-2026 --without-ledger
  suture report --from 7d --json | jq .summary

Writes FILE.html, FILE.csv (stretches of drift), FILE-records.csv and FILE.json, readable for you alone:
they name resources. Ends with 0 if the report is whole, 1 if the evidence is not sound or does not
say what the ledger says (the report is made, and says so), 2 if there is no report, 3 if something
could not be read (the report is made, and says what). docs/report.md says what each figure means.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Arguments {
    /// From when: a day (from its beginning, UTC), a time (RFC 3339), or a span back from now: 30d, 12h.
    #[arg(long, default_value = "30d", value_name = "DAY|TIME|SPAN")]
    from: String,
    /// Until when: a day (until its end, UTC), a time, or a span back. Now, if not given.
    #[arg(long, value_name = "DAY|TIME|SPAN")]
    to: Option<String>,
    /// The page's file; the tables get its name. suture-report-FROM-TO.html, if not given; - prints it.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What to make: all of it, if not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    format: Vec<Format>,
    /// Print the report as one JSON object, and write no file.
    #[arg(long, conflicts_with_all = ["out", "format", "open", "force"])]
    json: bool,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
    /// Where the evidence is: s3://BUCKET (the stack's output Evidence), or a folder. That of a ledger in a file is beside it.
    #[arg(long, env = "SUTURE_EVIDENCE", value_name = "s3://BUCKET|FOLDER")]
    evidence: Option<String>,
    /// The account that owns the evidence's bucket; that of your credentials, if not given.
    #[arg(long, value_name = "ACCOUNT")]
    evidence_account: Option<String>,
    /// Use the ledger alone.
    #[arg(long, conflicts_with_all = ["without_ledger", "without_checking"])]
    without_evidence: bool,
    /// Use the evidence alone.
    #[arg(long)]
    without_ledger: bool,
    /// Do not check that no evidence is missing or was changed, which reads all that there is, whatever the period.
    #[arg(long)]
    without_checking: bool,
    /// Records of this account alone; can be given several times. All that the ledger and the evidence know, if not given.
    #[arg(long)]
    account: Vec<String>,
    /// How far before the period to look for the beginning of drift that was open then; 400d at most.
    #[arg(long, default_value = "90d", value_name = "SPAN")]
    look_back: String,
    #[command(flatten)]
    which: WhichAndWhere,
}

/// Runs it.
///
/// # Errors
/// What was asked makes no sense, nothing could be read, or the files could not be written.
pub async fn run(arguments: Arguments) -> Result<End, String> {
    let now = OffsetDateTime::now_utc();
    let wanted = wanted(&arguments, now)?;
    let target = files::Target::of(arguments.out.as_deref(), &arguments.format, &wanted)?;
    if !arguments.json {
        target.is_free(arguments.force)?;
    }
    let session = if arguments.without_ledger { None } else { Some(Session::open_at(&arguments.which).await?) };
    let own = session.as_ref().and_then(|session| session.place.evidence());
    let place = if arguments.without_evidence { None } else { evidence_of(&arguments, own)? };
    let shelf: Option<Box<dyn Shelf>> = match &place {
        None => None,
        Some(At::Folder(folder)) => Some(Box::new(Folder::new(folder))),
        Some(At::Bucket(bucket)) => {
            let owner = arguments.evidence_account.as_deref().ok_or("--evidence-account");
            Some(Box::new(bucket_of(bucket, owner, &arguments.which).await?))
        }
    };
    let wanted = Wanted { likely: likely(session.as_ref(), &wanted).await, ..wanted };
    let ledger_says = session.as_ref().map(|session| session.place.says()).unwrap_or_default();
    let evidence_says = place.as_ref().map(At::says).unwrap_or_default();
    let sources = Sources {
        ledger: session.as_ref().map(|session| (&session.ledger, ledger_says.as_str())),
        shelf: shelf.as_deref().map(|shelf| (shelf, evidence_says.as_str())),
    };
    let mut made = make(sources, &wanted).await?;
    if place.is_none() && !arguments.without_evidence {
        made.gaps.push(
            "the evidence was not read; name its bucket, the stack's output Evidence: --evidence s3://BUCKET, or say \
             --without-evidence"
                .to_owned(),
        );
    }
    if arguments.json || target.is_printed() {
        let text = if arguments.json { files::text(Format::Json, &made)? } else { target.text(&made)? };
        print!("{text}");
    } else {
        let written = target.write(&made)?;
        tell(&made);
        for path in &written {
            println!("{}", plain(&path.to_string_lossy()));
        }
        if arguments.open {
            files::open(&written);
        }
    }
    for gap in &made.gaps {
        eprintln!("{}: {}", show::mind("not whole"), plain(gap));
    }
    Ok(end(&made))
}

/// How the command ends for this report.
fn end(made: &Report) -> End {
    if made.integrity.verdict == Verdict::NotSound || !made.integrity.differ.is_empty() {
        End::Not
    } else if made.gaps.is_empty() {
        End::Done
    } else {
        End::Partly
    }
}

async fn make(sources: Sources<'_>, wanted: &Wanted) -> Result<Report, String> {
    let progress = show::Progress::start();
    let made_by = concat!("suture ", env!("CARGO_PKG_VERSION")).to_owned();
    let made = Box::pin(report::make(sources, wanted, made_by, &|what| progress.say(what))).await;
    progress.end();
    made
}

/// Where evidence is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    /// In a bucket: `s3://BUCKET`.
    Bucket(String),
    /// In a folder.
    Folder(PathBuf),
}

impl At {
    fn says(&self) -> String {
        match self {
            Self::Bucket(bucket) => format!("the bucket {}", bucket.trim_start_matches("s3://").trim_end_matches('/')),
            Self::Folder(folder) => format!("the folder {}", folder.display()),
        }
    }
}

/// Where the evidence is that was named, or else that goes with the ledger.
fn evidence_of(arguments: &Arguments, own: Option<PathBuf>) -> Result<Option<At>, String> {
    match arguments.evidence.as_deref().map(str::trim).filter(|named| !named.is_empty()) {
        Some(bucket) if bucket.starts_with("s3://") => Ok(Some(At::Bucket(bucket.to_owned()))),
        Some(folder) => {
            there(Path::new(folder), true)?;
            Ok(Some(At::Folder(PathBuf::from(folder))))
        }
        None if arguments.without_ledger => {
            Err("where is the evidence? name its bucket or a folder: --evidence s3://BUCKET".to_owned())
        }
        None => Ok(own.map(At::Folder)),
    }
}

/// The accounts that the ledger may have records of, though nothing in it names them: the caller's own, and those that the
/// deployment's settings list.
async fn likely(session: Option<&Session>, wanted: &Wanted) -> BTreeSet<String> {
    let Some(session) = session.filter(|_| wanted.accounts.is_empty()) else { return BTreeSet::new() };
    let listed = remediation::lambda::variable("SUTURE_ACCOUNTS").unwrap_or_default();
    let listed = listed.split(',').filter_map(|id| AccountId::parse(id.trim()).ok());
    let own = session.caller().await.and_then(|caller| account_of(&caller)).ok();
    listed.chain(own).map(|id| id.to_string()).collect()
}

/// What is asked for, in times.
fn wanted(arguments: &Arguments, now: OffsetDateTime) -> Result<Wanted, String> {
    let from = time_in(&arguments.from, now, false)?;
    let to = arguments.to.as_deref().map_or(Ok(now), |to| time_in(to, now, true))?;
    if from > now {
        return Err(format!("the period begins in the future ({}); nothing has happened in it", moment(from)));
    }
    if from >= to {
        return Err(format!("the period ends ({}) before it begins ({}); turn them round", moment(to), moment(from)));
    }
    let look_back = Duration::hours(hours(&arguments.look_back)?.into());
    if look_back > FURTHEST {
        return Err("--look-back can be 400d at most: no record stays longer in the ledger".to_owned());
    }
    let accounts = arguments.account.iter().map(|id| AccountId::parse(id).map(|id| id.to_string()));
    Ok(Wanted {
        from,
        to,
        look_back,
        accounts: accounts.collect::<Result<_, _>>()?,
        likely: BTreeSet::new(),
        check: !arguments.without_checking,
        now,
    })
}

/// A time as a person gives it: a day (its beginning or, at the end of a period, its end), a time, or a span back from now.
fn time_in(text: &str, now: OffsetDateTime, at_the_end: bool) -> Result<OffsetDateTime, String> {
    let wrong = || format!("{} is no time; write a day (2026-10-01), or a span back from now (30d, 12h)", shown(text));
    if let Ok(hours) = hours(text) {
        return now.checked_sub(Duration::hours(hours.into())).ok_or_else(wrong);
    }
    if let Ok(midnight) = OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339) {
        let over = if at_the_end { Duration::DAY } else { Duration::ZERO };
        return midnight.checked_add(over).ok_or_else(wrong);
    }
    let given = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
    Ok(given.to_offset(time::UtcOffset::UTC))
}

/// The report in five lines.
fn tell(made: &Report) {
    let summary = &made.summary;
    let accounts = match &made.sources.accounts[..] {
        [] => "no account".to_owned(),
        [one] => format!("account {}", plain(one)),
        many => format!("{} accounts", many.len()),
    };
    println!("{} {} to {}, {accounts}", show::head("Report of"), moment(made.from), moment(made.to));
    let open = match (summary.open, summary.open_unanswered) {
        (0, _) => show::good("none open"),
        (open, 0) => format!("{open} open, for each of which somebody answers"),
        (open, unanswered) => show::mind(format!("{open} open, {unanswered} of them with nobody who answers for it")),
    };
    let unseen = match summary.unseen {
        0 => String::new(),
        unseen => format!(", {unseen} not seen for days"),
    };
    let fixed = summary.ends.get("fixed").copied().unwrap_or_default();
    println!("  drift      {} ({} new): {fixed} fixed, {open}{unseen}", summary.episodes, summary.began);
    let mended = match (summary.median_seconds_to_mend, summary.p95_seconds_to_mend) {
        (Some(median), Some(p95)) => {
            format!("after {} in the middle, {} for 95 of 100 ({} timed)", span(median), span(p95), summary.timed)
        }
        _ => "nothing whose beginning is known".to_owned(),
    };
    println!("  mended     {mended}");
    println!("  records    {}, {} writes", summary.records, summary.writes);
    let integrity = &made.integrity;
    let sound = match (integrity.verdict, integrity.differ.len()) {
        (Verdict::NotChecked, 0) => show::mind("not checked"),
        (Verdict::Sound, 0) if integrity.pieces == 0 => "none yet".to_owned(),
        (Verdict::Sound, 0) => format!("{}, {} pieces", show::good("sound"), integrity.pieces),
        (Verdict::NotSound, _) => {
            format!("{}: {} of {} pieces intact", show::bad("NOT SOUND"), integrity.intact, integrity.pieces)
        }
        (_, differ) => show::bad(format!("{differ} records are not what the ledger says")),
    };
    println!("  evidence   {sound}");
}

/// A span as people say it.
fn span(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1000.0),
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
