//! How a deployment is set up: the few facts that come from its environment.

use crate::accounts::{ACCOUNT, MemberRole};
use std::collections::BTreeMap;
use std::time::Duration;
use triggers::ids::{AccountId, Region, shown};

pub use ledger::Mode;

/// A deployment's settings. They hold for every control alike; a control's own parameters are its own type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What is done about drift, until the ledger's live settings say otherwise.
    pub mode: Mode,
    /// The same for single controls, by their ids.
    pub modes: BTreeMap<String, Mode>,
    /// The accounts that may be changed.
    pub accounts: Vec<AccountId>,
    /// The regions that may be changed.
    pub regions: Vec<Region>,
    /// The ARNs of the roles that we run under, fixing and undoing; calls that they made are not drift. In those that member
    /// accounts lend us `{account}` stands for the account.
    pub role_arns: Vec<String>,
    /// The account that our credentials are of.
    pub own_account: Option<AccountId>,
    /// The role that other accounts lend us.
    pub member_role: Option<MemberRole>,
    /// How much may be done.
    pub limits: Limits,
    /// The tag, key and value, that marks a resource as holding health data.
    pub phi_tag: Option<(String, String)>,
    /// The function that takes fixes back, where this one is not to.
    pub undo_function: Option<String>,
    /// The name of this function: where an approval is to be sent.
    pub function: Option<String>,
}

/// How much may be done before a person has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many writes a control may make in an hour.
    pub per_hour: u64,
    /// How many writes one invocation may make.
    pub per_invocation: u64,
    /// How often a resource may be brought back within the window; after that it is left alone.
    pub flaps: usize,
    /// The window.
    pub flap_window: Duration,
    /// For how long a plan waits for approval.
    pub approval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_hour: 100,
            per_invocation: 50,
            flaps: 3,
            flap_window: Duration::from_hours(24),
            approval: Duration::from_hours(72),
        }
    }
}

impl Settings {
    /// Reads the settings from environment variables, looked up through `variable`:
    /// `SUTURE_MODE` (`plan`, the default, `approve` or `enforce`), `SUTURE_ACCOUNTS` and `SUTURE_REGIONS` (comma-separated; by
    /// default only `own_account` and `own_region`), `SUTURE_ROLE_ARN` (comma-separated), `SUTURE_PHI_TAG` (`key=value`),
    /// `SUTURE_MODES` (`control=mode`, comma-separated), `SUTURE_MEMBER_ROLE` (an ARN with `{account}` in it) and
    /// `SUTURE_EXTERNAL_ID`, `SUTURE_UNDO_FUNCTION`, and the [`Limits`] `SUTURE_BUDGET_PER_HOUR`, `SUTURE_BUDGET_PER_INVOCATION`, `SUTURE_FLAPS`,
    /// `SUTURE_FLAP_HOURS` and `SUTURE_APPROVAL_HOURS`. A variable that is set but empty counts as
    /// not set, since `sam local` passes an absent value so. A value that makes no sense is an error that names its
    /// variable: a typing slip must not widen or narrow what is watched.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
        own_account: Option<&AccountId>,
        own_region: Option<&Region>,
    ) -> Result<Self, String> {
        let set = |name: &str| variable(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let mode = match set("SUTURE_MODE").as_deref() {
            None => Mode::Plan,
            Some(name) => Mode::parse(name)
                .ok_or_else(|| format!("SUTURE_MODE is {}; it can be plan, approve or enforce", shown(name)))?,
        };
        let number = |name: &str, default: u64| match set(name) {
            None => Ok(default),
            Some(value) => {
                value.parse().map_err(|_| format!("{name} is {}; it should be a whole number", shown(&value)))
            }
        };
        let hours = |name: &str, default: Duration| {
            number(name, default.as_secs() / 3600).map(|hours| Duration::from_secs(hours.saturating_mul(3600)))
        };
        let usual = Limits::default();
        let limits = Limits {
            per_hour: number("SUTURE_BUDGET_PER_HOUR", usual.per_hour)?,
            per_invocation: number("SUTURE_BUDGET_PER_INVOCATION", usual.per_invocation)?,
            flaps: usize::try_from(number("SUTURE_FLAPS", usual.flaps as u64)?).unwrap_or(usize::MAX),
            flap_window: hours("SUTURE_FLAP_HOURS", usual.flap_window)?,
            approval: hours("SUTURE_APPROVAL_HOURS", usual.approval)?,
        };
        let phi_tag = match set("SUTURE_PHI_TAG") {
            None => None,
            Some(tag) => Some(
                tag.split_once('=')
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .ok_or_else(|| format!("SUTURE_PHI_TAG is {}; it should be key=value", shown(&tag)))?,
            ),
        };
        let mut modes = BTreeMap::new();
        for pair in set("SUTURE_MODES").unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let read = pair.split_once('=').and_then(|(id, mode)| Some((id.trim(), Mode::parse(mode.trim())?)));
            let (id, mode) =
                read.ok_or_else(|| format!("SUTURE_MODES has {}; it should be control=mode, by commas", shown(pair)))?;
            if modes.insert(id.to_owned(), mode).is_some() {
                return Err(format!("SUTURE_MODES has two modes for {}", shown(id)));
            }
        }
        let member_role = set("SUTURE_MEMBER_ROLE").map(|arn| {
            let external_id = set("SUTURE_EXTERNAL_ID");
            // One ARN for all accounts would take one account for another.
            let sound = arn.starts_with("arn:") && arn.matches(ACCOUNT).count() == 1;
            let slip = || format!("SUTURE_MEMBER_ROLE is {}; it should be a role's ARN with {ACCOUNT}", shown(&arn));
            if sound { Ok(MemberRole { arn, external_id }) } else { Err(slip()) }
        });
        let roles = set("SUTURE_ROLE_ARN").unwrap_or_default();
        Ok(Self {
            mode,
            modes,
            member_role: member_role.transpose()?,
            accounts: list("SUTURE_ACCOUNTS", set("SUTURE_ACCOUNTS"), own_account, AccountId::parse)?,
            regions: list("SUTURE_REGIONS", set("SUTURE_REGIONS"), own_region, Region::parse)?,
            role_arns: roles.split(',').map(str::trim).filter(|arn| !arn.is_empty()).map(str::to_owned).collect(),
            own_account: own_account.cloned(),
            limits,
            phi_tag,
            undo_function: set("SUTURE_UNDO_FUNCTION"),
            function: set("AWS_LAMBDA_FUNCTION_NAME"),
        })
    }

    /// What is done about a control's drift, until the ledger's live settings say otherwise.
    pub fn mode_of(&self, control: &str) -> Mode {
        self.modes.get(control).copied().unwrap_or(self.mode)
    }
}

fn list<T: Clone>(
    name: &str,
    value: Option<String>,
    default: Option<&T>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    match value {
        None => Ok(default.cloned().into_iter().collect()),
        Some(value) => {
            value.split(',').map(|item| parse(item.trim()).map_err(|why| format!("{name}: {why}"))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let own = AccountId::parse("111122223333").unwrap();
        let region = Region::parse("us-east-1").unwrap();
        let find = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Settings::read(find, Some(&own), Some(&region))
    }

    #[test]
    fn nothing_set_is_plan_in_our_own_account_and_region() {
        let settings = read(&[("SUTURE_ROLE_ARN", ""), ("SUTURE_ACCOUNTS", " ")]).unwrap();
        assert_eq!(settings.mode, Mode::Plan);
        assert_eq!(settings.accounts, [AccountId::parse("111122223333").unwrap()]);
        assert_eq!(settings.regions, [Region::parse("us-east-1").unwrap()]);
        assert!(settings.role_arns.is_empty() && settings.phi_tag.is_none());
        assert_eq!(settings.limits, Limits::default());
    }

    #[test]
    fn lists_replace_the_defaults() {
        let settings = read(&[("SUTURE_ACCOUNTS", "444455556666, 777788889999"), ("SUTURE_MODE", "enforce")]).unwrap();
        assert_eq!(settings.mode, Mode::Enforce);
        assert_eq!(settings.accounts.len(), 2);
        assert!(!settings.accounts.contains(&AccountId::parse("111122223333").unwrap()));
    }

    #[test]
    fn a_control_can_have_a_mode_of_its_own() {
        let settings = read(&[("SUTURE_MODES", "a=enforce, b=plan,"), ("SUTURE_MODE", "approve")]).unwrap();
        let modes = ["a", "b", "c"].map(|id| settings.mode_of(id));
        assert_eq!(modes, [Mode::Enforce, Mode::Plan, Mode::Approve]);
    }

    #[test]
    fn member_accounts_lend_a_role() {
        let arn = "arn:aws:iam::{account}:role/suture-member-a";
        let role = read(&[("SUTURE_MEMBER_ROLE", arn), ("SUTURE_EXTERNAL_ID", "x-1")]).unwrap().member_role.unwrap();
        let account = AccountId::parse("444455556666").unwrap();
        assert_eq!(role.of(&account), "arn:aws:iam::444455556666:role/suture-member-a");
        assert_eq!(role.external_id.as_deref(), Some("x-1"));
        assert_eq!(read(&[("SUTURE_EXTERNAL_ID", "x-1"), ("SUTURE_MEMBER_ROLE", "")]).unwrap().member_role, None);
    }

    #[test]
    fn slips_are_named() {
        for (name, value) in [
            ("SUTURE_MODE", "Enforce!"),
            ("SUTURE_ACCOUNTS", "1,2"),
            ("SUTURE_REGIONS", "us-east-1,,"),
            ("SUTURE_BUDGET_PER_HOUR", "-1"),
            ("SUTURE_FLAPS", "three"),
            ("SUTURE_PHI_TAG", "phi"),
            ("SUTURE_MODES", "s3-public-bucket"),
            ("SUTURE_MODES", "s3-public-bucket=on"),
            ("SUTURE_MODES", "a=plan,a=enforce"),
            ("SUTURE_MEMBER_ROLE", "suture-member"),
            ("SUTURE_MEMBER_ROLE", "arn:aws:iam::444455556666:role/suture-member"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
