//! What a control is: pure knowledge on one side ([`Control`]), reads and single writes on the other ([`Cloud`]).

use crate::event::ApiCall;
use crate::fault::Fault;
use crate::ids::{AccountId, Region};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};

/// The facts about a control that are data: what the template, the docs and the tables are held against.
#[derive(Debug, Serialize)]
pub struct About {
    /// Folder, crate, binary, events folder and control id in one: `s3-public-bucket`.
    pub id: &'static str,
    /// What it does, in one line.
    pub title: &'static str,
    /// The CloudFormation type of what it looks at: `AWS::S3::Bucket`.
    pub resource_type: &'static str,
    /// How much harm its writes can do.
    pub safety: Safety,
    /// The IAM actions that `observe` needs.
    pub observes_with: &'static [&'static str],
    /// The IAM actions that `apply` needs for a fix.
    pub fixes_with: &'static [&'static str],
    /// The IAM actions that `apply` needs for an undo.
    pub undoes_with: &'static [&'static str],
    /// The API calls that may bring the drift about.
    pub watches: &'static [Watch],
    /// Identifiers of the AWS Config managed rules that see the same drift.
    pub config_rules: &'static [&'static str],
    /// Security Hub control ids that see the same drift.
    pub security_hub: &'static [&'static str],
    /// Sections of 45 CFR that the control serves.
    pub citations: &'static [&'static str],
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

/// Where a resource is: its account, its region, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<T> {
    /// The account that is to own the resource.
    pub account: AccountId,
    /// The region where the event says that the resource is.
    pub region: Region,
    /// The resource.
    pub target: T,
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

    /// The names of the resources that an API call touched, as the call spells them: the engine passes each to `target`.
    fn touched(call: &ApiCall) -> Vec<String>;

    /// Whether the call, if it worked, must have left drift behind. Then a `compliant` that is read within seconds of it
    /// is likely a stale answer, and the engine looks again.
    fn announces_drift(_call: &ApiCall) -> bool {
        false
    }

    /// What `state` ought to be; `state` itself where it is fine.
    fn desired(state: &Self::State) -> Self::State;

    /// The writes that turn `from` into `to`, in order.
    fn changes(from: &Self::State, to: &Self::State) -> Vec<Self::Change>;

    /// What the step from `from` to `to` would break.
    fn risks(_from: &Self::State, _to: &Self::State) -> Vec<Risk> {
        Vec::new()
    }
}

/// The I/O half of a control: reads and single writes, no decisions.
#[expect(async_fn_in_trait, reason = "one thread, static dispatch: the futures need no Send")]
pub trait Cloud<C: Control> {
    /// Reads the resource's state; none if there is no such resource.
    async fn observe(&self, place: &Place<C::Target>) -> Result<Option<C::State>, Fault>;

    /// Makes one write. What is already so counts as done.
    async fn apply(&self, place: &Place<C::Target>, change: &C::Change) -> Result<(), Fault>;
}
