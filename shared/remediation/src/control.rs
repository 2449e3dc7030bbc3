//! What a control is: pure knowledge on one side ([`Control`]), reads and single writes on the other ([`Cloud`]).

use crate::fault::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};
use time::OffsetDateTime;
use triggers::ids::{AccountId, Region};
use triggers::{ApiCall, Cause, ConfigRule, Resource};

/// The facts about a control that are data: what the template, the docs and the tables are made from or held against.
#[derive(Debug, Serialize)]
pub struct About {
    /// Folder, crate, binary, events folder and control id in one: `s3-public-bucket`.
    pub id: &'static str,
    /// What it does, in one line.
    pub title: &'static str,
    /// What it never does, in a few words: the README's third column.
    pub never: &'static str,
    /// The CloudFormation type of what it looks at: `AWS::S3::Bucket`.
    pub resource_type: &'static str,
    /// Other types that events may name and that [`Control::target_of`] makes something of.
    pub also: &'static [&'static str],
    /// Whether its resources are in a region.
    pub scope: Scope,
    /// Whether every call names the account that it is meant for (S3's expected bucket owner). Where none does, a call means
    /// the account of our own credentials, and another account's resource could be mistaken for one of ours: such a control
    /// works in its own account alone, and in those that lend it a role.
    pub names_account: bool,
    /// How much harm its writes can do.
    pub safety: Safety,
    /// Whether the drift that it mends lays data open to the public. Then no exemption holds for a resource that is tagged as
    /// holding health data.
    pub exposes: bool,
    /// The IAM actions that `observe` needs, and `rehearse`.
    pub observes_with: &'static [&'static str],
    /// The IAM actions that `tags` needs.
    pub tags_with: &'static [&'static str],
    /// The IAM actions that `list` needs.
    pub lists_with: &'static [&'static str],
    /// The IAM actions that `apply` needs for a fix.
    pub fixes_with: &'static [&'static str],
    /// The IAM actions that `apply` needs for an undo, and to take an undo back in its turn.
    pub undoes_with: &'static [&'static str],
    /// What its actions are allowed on, by the beginnings of the actions' names; the longest that fits is right (all of them, if
    /// it is there several times), and what none fits is allowed on `*`. In CloudFormation's `Fn::Sub`:
    /// `("s3:", "arn:${AWS::Partition}:s3:::*")`. See [`About::resources_of`].
    pub allowed_on: &'static [(&'static str, &'static str)],
    /// The API calls that may bring the drift about.
    pub watches: &'static [Watch],
    /// Event type codes of AWS Health, finding types of GuardDuty, and IAM Access Analyzer's `Access Analyzer Finding`, that
    /// it answers; or how they begin.
    pub incidents: &'static [&'static str],
    /// The name of the Security Hub custom action that starts it, for a control that no finding starts by itself. A name
    /// has at most 20 characters. Controls without one answer the action `Suture` ([`crate::event::ACTION`]) on findings of
    /// theirs. <https://docs.aws.amazon.com/securityhub/latest/APIReference/API_CreateActionTarget.html>
    pub action: Option<&'static str>,
    /// Identifiers of the AWS Config managed rules that see the same drift.
    pub config_rules: &'static [&'static str],
    /// Security Hub control ids that see the same drift.
    pub security_hub: &'static [&'static str],
    /// Sections of 45 CFR that the control serves.
    pub citations: &'static [&'static str],
    /// How often everything is looked at, in EventBridge's words (`rate(1 day)`); none for a control that only a person or
    /// an incident starts.
    pub sweeps: Option<&'static str>,
    /// What an operator can set: the template's parameters for it.
    pub settings: &'static [Setting],
}

impl About {
    /// What an action of the control's is allowed on.
    pub fn resources_of(&self, action: &str) -> Vec<&'static str> {
        let fits = || self.allowed_on.iter().filter(|(beginning, _)| action.starts_with(beginning));
        let longest = fits().map(|(beginning, _)| beginning.len()).max();
        let on: Vec<_> = fits().filter(|(beginning, _)| Some(beginning.len()) == longest).map(|(_, on)| *on).collect();
        if on.is_empty() { vec!["*"] } else { on }
    }
}

/// Whether a control's resources are in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// In one region each.
    Regional,
    /// In the account, whatever the region (IAM). Their events arrive in one region only; the regions that may be changed
    /// do not matter to them.
    Global,
    /// In one region each, and parts of the deployment itself: never a member account's.
    Deployment,
}

/// One field of a control's [`Control::Parameters`], and the template's parameter that it comes from.
#[derive(Debug, Serialize)]
pub struct Setting {
    /// The field: `phi_tag`.
    pub field: &'static str,
    /// The template's parameter: `PhiTag`. Controls may share one; then all its facts must be alike.
    pub parameter: &'static str,
    /// What it does, in one line for a person who deploys.
    pub description: &'static str,
    /// What it can be.
    pub kind: Kind,
    /// What it is unless somebody sets it; as text.
    pub default: &'static str,
}

/// What a setting can be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A text that matches this regular expression. It goes into JSON: no quotes, no backslashes.
    Text(&'static str),
    /// One of these.
    Choice(&'static [&'static str]),
    /// A whole number within these bounds.
    Number(i64, i64),
    /// What the stack itself made, or its name: nobody sets it. The parameter is what `Fn::Sub` takes for it (`LedgerTable`),
    /// and there is no default.
    Deployed,
}

/// API calls of one service, as CloudTrail names them.
#[derive(Debug, Serialize)]
pub struct Watch {
    /// EventBridge's source: `aws.s3`.
    pub source: &'static str,
    /// CloudTrail's event source: `s3.amazonaws.com`.
    pub event_source: &'static str,
    /// CloudTrail's event names.
    pub events: &'static [&'static str],
}

/// How much harm a control's writes can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Safety {
    /// Can be taken back whole, and rarely breaks anything that should work.
    Reversible,
    /// Can be taken back, but may well cut off something in use.
    Disruptive,
    /// For an incident: cuts off whatever it is pointed at. Only a person starts it, or an event that says so.
    Incident,
    /// Cannot be taken back; never runs unattended.
    Irreversible,
}

/// Something that a fix would break, or a reason for not making it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// Its name, by which an operator can override it: `public-website`.
    pub id: &'static str,
    /// What would break, for whom.
    pub says: String,
    /// Whether the fix is refused because of it, unless a manual request names it in `override`.
    pub refuses: bool,
}

/// Why drift that was seen is not in the control's power to mend: it would have to guess, or somebody else's resource is in
/// the way. No override helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hindrance {
    /// Its name: `not-understood`.
    pub id: &'static str,
    /// What stands, why it was left alone, and what a person can do.
    pub says: String,
}

/// Where a resource is: its account, its region, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<T> {
    /// The account that is to own the resource.
    pub account: AccountId,
    /// The region where the event says that the resource is; the function's own for global resources.
    pub region: Region,
    /// The resource.
    pub target: T,
}

/// What a look at a resource knows besides the place. What of it `desired` needs, `observe` puts into the state.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// The time of day.
    pub now: OffsetDateTime,
    /// The AWS Config rule that fired, with its parameters, as far as the event brings them.
    pub rule: Option<ConfigRule>,
    /// Who or what caused the look, as far as the event tells.
    pub cause: Option<Cause>,
    /// The API call that caused it, if one did. A hint: what is so is what is read.
    pub call: Option<ApiCall>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The resources.
    pub targets: Vec<T>,
    /// What to ask for the next page with; none if this is the last.
    pub next: Option<String>,
}

/// The pure half of a control. None of its functions takes `self`: with no client, clock or environment in reach they
/// cannot do I/O, and what they know is what they are given.
///
/// [`crate::laws::check`] holds every implementation to four laws.
pub trait Control: 'static {
    /// The facts about it.
    const ABOUT: About;

    /// Names one resource. Its `Display` is the name that people use.
    type Target: Clone + Debug + Display + PartialEq;
    /// What an operator can set, read from JSON in `SUTURE_PARAMETERS`. Unknown names should be errors.
    type Parameters: Clone + Default + DeserializeOwned;
    /// What was read of the resource: all that `desired` looks at, and no more. Names and settings, never contents.
    type State: Clone + Debug + PartialEq + Serialize + DeserializeOwned;
    /// One API write with every argument decided.
    type Change: Clone + Debug + PartialEq + Serialize;

    /// The resource that a name (or an ARN) means; otherwise why it means none that this control handles.
    fn target(name: &str) -> Result<Self::Target, String>;

    /// The resource that an event names. Its type is the control's own or one of [`About::also`].
    fn target_of(resource: &Resource) -> Result<Self::Target, String> {
        Self::target(&resource.id)
    }

    /// Whether the call, if it worked, must have left drift behind. Then a `compliant` that is read within seconds of it
    /// is likely a stale answer, and the engine looks again.
    fn announces_drift(_call: &ApiCall) -> bool {
        false
    }

    /// What `state` ought to be; `state` itself where it is fine.
    fn desired(state: &Self::State) -> Self::State;

    /// The writes that turn `from` into `to`, in order.
    fn changes(from: &Self::State, to: &Self::State) -> Vec<Self::Change>;

    /// What an undo leads to: `before`, unless there is no way back to the very same (versioning that was never on can only
    /// be suspended).
    fn restored(before: &Self::State) -> Self::State {
        before.clone()
    }

    /// `state` without what changes by itself, such as the time of the look: what tells whether two looks saw the same. A plan
    /// that was approved is good for the same state alone, and a sweep does not say the same every day.
    fn lasting(state: &Self::State) -> Self::State {
        state.clone()
    }

    /// What the step from `from` to `to` would break.
    fn risks(_from: &Self::State, _to: &Self::State) -> Vec<Risk> {
        Vec::new()
    }

    /// The drift in `state` that `desired` leaves alone because the control must not mend it, if there is any.
    fn hindrance(_state: &Self::State) -> Option<Hindrance> {
        None
    }

    /// What a person should know about `state` whether or not anything is written: what is only reported, what a fix does
    /// not reach, what else to do.
    fn notes(_state: &Self::State) -> Vec<String> {
        Vec::new()
    }
}

/// The I/O half of a control: reads and single writes, no decisions.
#[expect(async_fn_in_trait, reason = "one thread, static dispatch: the futures need no Send")]
pub trait Cloud<C: Control> {
    /// Reads the resource's state; none if there is no such resource.
    async fn observe(&self, place: &Place<C::Target>, occasion: &Occasion) -> Result<Option<C::State>, Fault>;

    /// Makes one write. What is already so counts as done. A write that replaces a whole document looks first whether the
    /// document is still the one that the change was decided on, and answers [`Fault::Moved`] if not.
    async fn apply(&self, place: &Place<C::Target>, change: &C::Change) -> Result<(), Fault>;

    /// Asks AWS whether we would be allowed to make the write, where the API can answer that without making it; true if
    /// it did answer. Plans call it.
    async fn rehearse(&self, _place: &Place<C::Target>, _change: &C::Change) -> Result<bool, Fault> {
        Ok(false)
    }

    /// The resource's tags, keys and values; none for what has no tags, and none if there is no such resource. Exemptions by tag
    /// and the mark of health data are looked for among them. What could not be read is a fault: nobody is to take it for
    /// no tags.
    async fn tags(&self, place: &Place<C::Target>) -> Result<Vec<(String, String)>, Fault>;

    /// One page of the resources that a sweep is to look at, from `after` on: those of the account and region, less what
    /// the listing itself shows to be fine.
    async fn list(
        &self,
        account: &AccountId,
        region: &Region,
        occasion: &Occasion,
        after: Option<&str>,
    ) -> Result<Page<C::Target>, Fault>;
}
