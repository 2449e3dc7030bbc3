//! What a report says: one value, from which the page, the tables and the JSON are made. Its JSON is `suture.report/1`:
//! fields may be added; those that are there keep their meaning.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// The version of a report's form.
pub const SCHEMA: &str = "suture.report/1";

/// What happened to an estate in a period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made: OffsetDateTime,
    /// What made it: `suture` and its version.
    pub made_by: String,
    /// From when.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Until when; this moment is not in it any more.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// What it was made from.
    pub sources: Sources,
    /// The figures at its head.
    pub summary: Summary,
    /// Each control of the catalogue, also those that found nothing.
    pub controls: Vec<ByControl>,
    /// Each section of 45 CFR that a control serves.
    pub citations: Vec<ByCitation>,
    /// Who caused drift, the most frequent first.
    pub actors: Vec<ByActor>,
    /// Drift by week, the earliest first, without gaps.
    pub weeks: Vec<Week>,
    /// How many episodes were open, whenever that changed; the first point is the beginning of the period.
    pub exposure: Vec<Exposure>,
    /// Each stretch of drift that was open in the period, the latest first.
    pub episodes: Vec<Episode>,
    /// Exemptions in force when it was made, the one that ends first before the others.
    pub exemptions: Vec<Exempted>,
    /// How the deployment stands when it was made.
    pub posture: Posture,
    /// Whether the evidence is sound.
    pub integrity: Integrity,
    /// Every record of the period, the latest first.
    pub records: Vec<Entry>,
    /// What could not be read, each with the next step. A report with any is not whole, and says so at its head.
    pub gaps: Vec<String>,
}

/// What a report was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// The ledger, in words: `the table suture-LedgerTable-1ABC2DEF`.
    pub ledger: String,
    /// The evidence, in words; none if it was not read.
    pub evidence: Option<String>,
    /// The accounts that records are of, in order.
    pub accounts: Vec<String>,
    /// The regions that records are of, in order.
    pub regions: Vec<String>,
    /// Since when records were read, for drift that was open when the period began.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

/// The figures at the head.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Episodes that were open in the period.
    pub episodes: usize,
    /// Of them, those that began in it.
    pub began: usize,
    /// How many ended how, or stand how; all of [`End`], also those with none.
    pub ends: BTreeMap<&'static str, usize>,
    /// Episodes that were open when the report's period ended.
    pub open: usize,
    /// Of those, what nobody answers for: neither exempt nor left alone by an undo, or no longer.
    pub open_unanswered: usize,
    /// Episodes of which it is not known whether they were still open then: [`End::Unseen`].
    pub unseen: usize,
    /// How many episodes the times to mend are of: those that the control mended in the period, whose beginning is known, and
    /// for which nobody answered.
    pub timed: usize,
    /// Median seconds from the beginning of drift to its mending, of those.
    pub median_seconds_to_mend: Option<f64>,
    /// The 95th percentile of the same.
    pub p95_seconds_to_mend: Option<f64>,
    /// The longest of the same.
    pub longest_seconds_to_mend: Option<f64>,
    /// Records in the period.
    pub records: usize,
    /// Records by outcome; all outcomes, also those with none.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// Episodes that were seen before the period, and neither ended nor were seen again: this report leaves them out.
    pub lost_sight_of: usize,
    /// Records of looks that saw nothing: refused before the look, or failed. They say nothing about drift.
    pub unlooked: usize,
    /// Writes that were made to resources; those of an unverified record may have been made.
    pub writes: usize,
}

/// How a stretch of drift ended, or why it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Mended by Suture, read back and seen.
    Fixed,
    /// Found sound again without this control's doing.
    MendedElsewhere,
    /// The resource is gone.
    Gone,
    /// Open: it is planned, and nobody asked for more.
    Planned,
    /// Open: it waits for a person's approval.
    AwaitingApproval,
    /// Open: a gate or guard refused, or an organization's policy forbids.
    Refused,
    /// Open: somebody answers for it.
    Exempt,
    /// Open: a person took the fix back.
    TakenBack,
    /// Open, or not known to be closed: a fix failed, was not whole, or was not seen to work.
    Failed,
    /// Not known: it was left open as it was, which somebody may have mended without a record, and nobody has seen it for days.
    Unseen,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Fixed,
        Self::MendedElsewhere,
        Self::Gone,
        Self::Planned,
        Self::AwaitingApproval,
        Self::Refused,
        Self::Exempt,
        Self::TakenBack,
        Self::Failed,
        Self::Unseen,
    ];

    /// Its name in JSON and tables: `mended-elsewhere`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::MendedElsewhere => "mended-elsewhere",
            Self::Gone => "gone",
            Self::Planned => "planned",
            Self::AwaitingApproval => "awaiting-approval",
            Self::Refused => "refused",
            Self::Exempt => "exempt",
            Self::TakenBack => "taken-back",
            Self::Failed => "failed",
            Self::Unseen => "unseen",
        }
    }

    /// Whether it is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Fixed | Self::MendedElsewhere | Self::Gone)
    }

    /// Whether it is known to be open.
    pub const fn is_open(self) -> bool {
        !self.is_over() && !matches!(self, Self::Unseen)
    }
}

/// One control.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByControl {
    /// Its id.
    pub id: &'static str,
    /// What it mends, in a few words.
    pub title: &'static str,
    /// Its safety class: `reversible`, `disruptive`, `incident` or `irreversible`.
    pub safety: &'static str,
    /// The sections of 45 CFR that it serves.
    pub citations: Vec<&'static str>,
    /// Episodes that were open in the period.
    pub episodes: usize,
    /// How many ended how, or stand how.
    pub ends: BTreeMap<&'static str, usize>,
    /// Median seconds to its mending.
    pub median_seconds_to_mend: Option<f64>,
    /// Seconds of all its episodes together, within the period.
    pub seconds_open: f64,
}

/// One section of 45 CFR.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByCitation {
    /// The section: `45 CFR 164.312(a)(1)`.
    pub citation: &'static str,
    /// What it asks for, in a few words.
    pub title: &'static str,
    /// The controls that serve it.
    pub controls: Vec<&'static str>,
    /// Episodes of those controls that were open in the period.
    pub episodes: usize,
    /// How many ended how, or stand how.
    pub ends: BTreeMap<&'static str, usize>,
    /// Median seconds to mending.
    pub median_seconds_to_mend: Option<f64>,
    /// Those of them that are open at the period's end.
    pub open: usize,
}

/// Who caused drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ByActor {
    /// The caller's ARN, as CloudTrail has it; none for drift whose cause no event told.
    pub actor: Option<String>,
    /// The tools that the calls were made with, in order.
    pub agents: Vec<String>,
    /// The calls, in order.
    pub calls: Vec<String>,
    /// How many episodes.
    pub episodes: usize,
}

/// A week's new drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Week {
    /// Its Monday, UTC: `2026-11-16`. The first and last may be cut by the period.
    pub monday: String,
    /// How many episodes began in it, by control; controls with none are left out.
    pub began: BTreeMap<String, usize>,
}

/// How many episodes were open from a moment on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// The moment.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How many nobody answered for.
    pub open: usize,
    /// How many were exempt or left alone by an undo.
    pub answered: usize,
}

/// A stretch of drift: a resource was not as a control wants it, from a moment to a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// Its number in this report, from 1, the earliest first.
    pub number: usize,
    /// The control.
    pub control: String,
    /// The resource.
    pub resource: Resource,
    /// When the drift began: the time of the call that caused it, or else of the look that found it first.
    #[serde(with = "time::serde::rfc3339")]
    pub began: OffsetDateTime,
    /// Whether a call is known that began it. If not, it may be older than it says.
    pub cause_known: bool,
    /// Who or what caused it, as the record has it: actor, call, agent, role, source_ip, event_id, at.
    pub cause: Option<Value>,
    /// When it was over; none while it is open.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    /// How it ended, or stands.
    pub end: End,
    /// When a look last showed it.
    #[serde(with = "time::serde::rfc3339")]
    pub last_seen: OffsetDateTime,
    /// Until when somebody answers for it, where it is exempt or was taken back; it can be over.
    #[serde(with = "time::serde::rfc3339::option")]
    pub answered_until: Option<OffsetDateTime>,
    /// The id of the exemption that leaves it open.
    pub exemption: Option<String>,
    /// For how long it was open within the period, in seconds: until its end, the period's end or the report's making. Of
    /// what is [`End::Unseen`], until it was last seen.
    pub seconds_open: f64,
    /// Whether it is one of those that the times to mend are of: see [`Summary::timed`].
    pub timed: bool,
    /// Why it stands or ended so, in the last record's words.
    pub why: String,
    /// The gate or guard that refused, if one did.
    pub refused_by: Option<String>,
    /// Who asked or approved, if a person did.
    pub person: Option<String>,
    /// Its records, the earliest first.
    pub records: Vec<String>,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Resource {
    /// Its CloudFormation type.
    pub r#type: String,
    /// Its name.
    pub id: String,
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
}

/// An exemption in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exempted {
    /// Its id.
    pub id: String,
    /// What it is of, in words: `s3-public-bucket on clinic-website in account 111122223333`.
    pub of: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
    /// Who made it.
    pub made_by: Option<String>,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
    /// How many episodes of this report it left open.
    pub episodes: usize,
}

/// How the deployment stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Posture {
    /// Who stopped everything, when and why, in words; none if nothing is stopped.
    pub stopped: Option<String>,
    /// The mode of every control that has none of its own; none if the template's holds.
    pub mode: Option<&'static str>,
    /// The modes of single controls.
    pub modes: BTreeMap<String, &'static str>,
    /// Who last changed it, and when, in words.
    pub changed: Option<String>,
}

/// Whether the evidence is sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Integrity {
    /// What came of it.
    pub verdict: Verdict,
    /// What `suture verify-evidence` says, line by line; empty if it was not checked.
    pub lines: Vec<String>,
    /// Pieces on the shelf.
    pub pieces: u64,
    /// Pieces that are as they were written.
    pub intact: u64,
    /// The number and hash of the chain's end, as the ledger has it, or else as the shelf has it.
    pub head: Option<String>,
    /// Records of the period that have no evidence yet.
    pub without_evidence: usize,
    /// Records of the period that only the evidence still has.
    pub from_evidence_alone: usize,
    /// Records that ledger and evidence have differently: each one's id.
    pub differ: Vec<String>,
}

/// What came of checking evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing is missing, and nothing was changed.
    Sound,
    /// Something is missing or was changed.
    NotSound,
    /// It was not checked.
    NotChecked,
}

/// A record, and where its evidence is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The record, whole: `docs/records.md`.
    pub record: Value,
    /// The number of the episode that it is of; none for what was no drift.
    pub episode: Option<usize>,
    /// Where its evidence is; none if there is none yet.
    pub evidence: Option<Piece>,
}

/// A piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// Its number in the chain.
    pub seq: u64,
    /// The object's name.
    pub key: String,
    /// The hash of its bytes: `sha256:` and hexadecimal digits.
    pub hash: String,
}
