//! How a deployment is set up: the few facts that come from its environment.

use serde::{Deserialize, Serialize};
use triggers::ids::{AccountId, Region, shown};

/// Whether drift is only planned for or also fixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Say what would be written, and write nothing. What a fresh deployment does.
    #[default]
    Plan,
    /// Write it.
    Enforce,
}

/// A deployment's settings. They hold for every control alike; a control's own parameters are its own type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether drift found by events is fixed or only planned for.
    pub mode: Mode,
    /// The accounts that may be changed.
    pub accounts: Vec<AccountId>,
    /// The regions that may be changed.
    pub regions: Vec<Region>,
    /// The ARN of the role that we run under; calls that it made are not drift.
    pub role_arn: Option<String>,
    /// The account that our credentials are of.
    pub own_account: Option<AccountId>,
}

impl Settings {
    /// Reads the settings from environment variables, looked up through `variable`:
    /// `SUTURE_MODE` (`plan`, the default, or `enforce`), `SUTURE_ACCOUNTS` and `SUTURE_REGIONS` (comma-separated; by
    /// default only `own_account` and `own_region`) and `SUTURE_ROLE_ARN`. A variable that is set but empty counts as
    /// not set, since `sam local` passes an absent value so. A value that makes no sense is an error that names its
    /// variable: a typing slip must not widen or narrow what is watched.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
        own_account: Option<&AccountId>,
        own_region: Option<&Region>,
    ) -> Result<Self, String> {
        let set = |name: &str| variable(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let mode = match set("SUTURE_MODE").as_deref() {
            None | Some("plan") => Mode::Plan,
            Some("enforce") => Mode::Enforce,
            Some(other) => return Err(format!("SUTURE_MODE is {}; it can be plan or enforce", shown(other))),
        };
        Ok(Self {
            mode,
            accounts: list("SUTURE_ACCOUNTS", set("SUTURE_ACCOUNTS"), own_account, AccountId::parse)?,
            regions: list("SUTURE_REGIONS", set("SUTURE_REGIONS"), own_region, Region::parse)?,
            role_arn: set("SUTURE_ROLE_ARN"),
            own_account: own_account.cloned(),
        })
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
        assert_eq!(settings.role_arn, None);
    }

    #[test]
    fn lists_replace_the_defaults() {
        let settings = read(&[("SUTURE_ACCOUNTS", "444455556666, 777788889999"), ("SUTURE_MODE", "enforce")]).unwrap();
        assert_eq!(settings.mode, Mode::Enforce);
        assert_eq!(settings.accounts.len(), 2);
        assert!(!settings.accounts.contains(&AccountId::parse("111122223333").unwrap()));
    }

    #[test]
    fn slips_are_named() {
        for (name, value) in
            [("SUTURE_MODE", "Enforce!"), ("SUTURE_ACCOUNTS", "1,2"), ("SUTURE_REGIONS", "us-east-1,,")]
        {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
