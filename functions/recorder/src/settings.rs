//! How a deployment is set up, as far as the recorder needs it.

use triggers::ids::{AccountId, Region, shown};

/// The recorder's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The ledger's table.
    pub ledger: String,
    /// The bucket of the evidence.
    pub evidence: String,
    /// The topic that people listen to; without one nobody is told.
    pub topic: Option<String>,
    /// Whether Security Hub is told.
    pub security_hub: bool,
    /// The accounts whose records are in the ledger.
    pub accounts: Vec<AccountId>,
    /// The account that we run in.
    pub account: AccountId,
    /// The region that we run in.
    pub region: Region,
    /// The CloudFormation stack that we are of.
    pub stack: Option<String>,
}

impl Settings {
    /// Reads the settings from environment variables, looked up through `variable`: `SUTURE_LEDGER`, `SUTURE_EVIDENCE`,
    /// `SUTURE_TOPIC`, `SUTURE_SECURITY_HUB` (`on` or `off`, the default), `SUTURE_ACCOUNTS` (comma-separated; by default our
    /// own), `SUTURE_ACCOUNT` (by default `own_account`), `SUTURE_STACK` and `AWS_REGION`. One that is set but empty counts as
    /// not set.
    ///
    /// # Errors
    /// A variable that is missing or makes no sense, by name.
    pub fn read(variable: impl Fn(&str) -> Option<String>, own_account: Option<&AccountId>) -> Result<Self, String> {
        let set = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let needed = |name: &str, what: &str| set(name).ok_or_else(|| format!("{name} is not set; it names {what}"));
        let named = |name: &'static str| move |why| format!("{name}: {why}");
        let account = match set("SUTURE_ACCOUNT") {
            Some(id) => AccountId::parse(&id).map_err(named("SUTURE_ACCOUNT"))?,
            None => own_account.cloned().ok_or("SUTURE_ACCOUNT is not set; it is the account that we run in")?,
        };
        let region = Region::parse(&needed("AWS_REGION", "the region that we run in")?).map_err(named("AWS_REGION"))?;
        let security_hub = match set("SUTURE_SECURITY_HUB").as_deref() {
            None | Some("off") => false,
            Some("on") => true,
            Some(other) => return Err(format!("SUTURE_SECURITY_HUB is {}; it can be on or off", shown(other))),
        };
        let accounts = match set("SUTURE_ACCOUNTS") {
            None => vec![account.clone()],
            Some(list) => {
                let ids = list.split(',').map(|id| AccountId::parse(id.trim()));
                ids.collect::<Result<_, _>>().map_err(named("SUTURE_ACCOUNTS"))?
            }
        };
        Ok(Self {
            ledger: needed("SUTURE_LEDGER", "the ledger's table")?,
            evidence: needed("SUTURE_EVIDENCE", "the bucket of the evidence")?,
            topic: set("SUTURE_TOPIC"),
            security_hub,
            accounts,
            account,
            region,
            stack: set("SUTURE_STACK"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let all = [("AWS_REGION", "us-east-1"), ("SUTURE_LEDGER", "ledger"), ("SUTURE_EVIDENCE", "evidence")];
        let find = |name: &str| {
            let found = pairs.iter().chain(&all).find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(find, Some(&AccountId::parse("111122223333").unwrap()))
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let settings = read(&[("SUTURE_TOPIC", " "), ("SUTURE_ACCOUNT", "")]).unwrap();
        assert_eq!((settings.topic, settings.security_hub), (None, false));
        assert_eq!(settings.accounts, [AccountId::parse("111122223333").unwrap()]);
    }

    #[test]
    fn what_is_set_holds() {
        let given = [("SUTURE_ACCOUNTS", "111122223333, 444455556666"), ("SUTURE_ACCOUNT", "444455556666")];
        let settings = read(&given).unwrap();
        assert_eq!(settings.accounts.len(), 2);
        assert_eq!(settings.account.as_str(), "444455556666");
        assert!(read(&[("SUTURE_SECURITY_HUB", "on")]).unwrap().security_hub);
    }

    #[test]
    fn slips_are_named() {
        for (name, value) in [
            ("SUTURE_LEDGER", ""),
            ("SUTURE_EVIDENCE", " "),
            ("AWS_REGION", "nowhere!"),
            ("SUTURE_SECURITY_HUB", "yes"),
            ("SUTURE_ACCOUNTS", "1,2"),
            ("SUTURE_ACCOUNT", "me"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
