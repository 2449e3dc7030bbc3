//! With whose eyes a scan looks: the caller's in their own account, a role's in every other.

use super::{Arguments, Here, Region, Session, Settings, Tools};
use crate::commands::session::account_of;
use remediation::accounts::{ACCOUNT, Accounts, MemberRole};
use remediation::{AccountId, Fault, shown};
use std::collections::BTreeSet;

/// An account, and the role by which it is looked at; none for the caller's own credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The account.
    pub(super) account: AccountId,
    role: Option<MemberRole>,
}

/// What a look works with.
pub(super) struct Eyes {
    /// The clients.
    pub(super) tools: Tools,
    /// The settings.
    pub(super) here: Here,
    /// The regions to look in.
    pub(super) regions: Vec<Region>,
}

/// The accounts to look at, in the order in which they were named, each once.
///
/// # Errors
/// What does not fit together: an account without a role, a role without an account, an ARN that is none.
pub(super) fn views(arguments: &Arguments, own: &AccountId, partition: &str) -> Result<Vec<View>, String> {
    let external_id = arguments.external_id.clone();
    let named = arguments.role.as_deref();
    if let Some(arn) = named.filter(|role| role.contains(':')) {
        return of_arn(arn, external_id, &arguments.accounts).map(|view| vec![view]);
    }
    if arguments.accounts.is_empty() {
        return match named {
            None => Ok(vec![View { account: own.clone(), role: None }]),
            Some(role) => {
                Err(format!("--role {}: in which account? name it with --account, or give the role's ARN", shown(role)))
            }
        };
    }
    let mut seen = BTreeSet::new();
    let mut views = Vec::new();
    for id in &arguments.accounts {
        let account = AccountId::parse(id)?;
        if !seen.insert(account.to_string()) {
            continue;
        }
        let role = match named {
            _ if account == *own => None,
            // The path of a role is part of its ARN, and so of what is typed.
            Some(name) if is_name(name) => Some(MemberRole {
                arn: format!("arn:{partition}:iam::{ACCOUNT}:role/{name}"),
                external_id: external_id.clone(),
            }),
            Some(name) => return Err(format!("{} is no name of a role", shown(name))),
            None => {
                return Err(format!(
                    "your credentials are of account {own}; to look at {account}, name a role there that you may assume: \
                     --role NAME"
                ));
            }
        };
        views.push(View { account, role });
    }
    Ok(views)
}

/// The view of one role.
fn of_arn(arn: &str, external_id: Option<String>, accounts: &[String]) -> Result<View, String> {
    let is_role = arn.starts_with("arn:") && arn.contains(":role/");
    let account = account_of(arn).ok().filter(|_| is_role);
    let account = account.ok_or_else(|| format!("{} is no ARN of a role", shown(arn)))?;
    if accounts.iter().any(|named| named != account.as_str()) {
        return Err(format!(
            "that role is of account {account}; for several accounts give the name that the role has in each: --role NAME"
        ));
    }
    // The caller's own account is seen with the role, too, if it is the role's.
    Ok(View { account, role: Some(MemberRole { arn: arn.to_owned(), external_id }) })
}

/// Whether it can be the name of a role, with its path or without.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
fn is_name(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte);
    !name.is_empty() && name.bytes().all(sound) && !name.starts_with('/') && !name.ends_with('/')
}

impl View {
    /// Takes the role, if there is one, and finds the regions to look in.
    ///
    /// # Errors
    /// Why the account cannot be looked at.
    pub(super) async fn open(&self, arguments: &Arguments, session: &Session, here: &Here) -> Result<Eyes, String> {
        let sdk = super::patience::patient(session.sdk().await?);
        let mut tools = Tools::with(sdk.clone(), Some(session.ledger.clone()));
        tools.accounts = Accounts::new(sdk, None, self.role.clone());
        let sdk = Box::pin(tools.accounts.sdk(&self.account)).await.map_err(|fault| self.denied(&fault))?;
        let regions = if arguments.all_regions {
            Box::pin(ec2::regions(&sdk)).await.map_err(|fault| fault.to_string())?
        } else if arguments.regions.is_empty() {
            vec![session.region().await?]
        } else {
            arguments.regions.iter().map(|region| Region::parse(region)).collect::<Result<_, _>>()?
        };
        let settings = Settings {
            accounts: vec![self.account.clone()],
            member_role: self.role.clone(),
            regions: regions.clone(),
            ..here.settings.clone()
        };
        Ok(Eyes { tools, here: Here { settings, ..here.clone() }, regions })
    }

    /// Why the role cannot be taken, as somebody who scans can mend it.
    fn denied(&self, fault: &Fault) -> String {
        let Some(role) = self.role.as_ref().filter(|_| matches!(fault, Fault::GiveUp(_) | Fault::Denied { .. })) else {
            return fault.to_string();
        };
        format!(
            "the role {} was not lent: it is not there, it does not trust you, it wants another --external-id, or you may \
             not call sts:AssumeRole on it",
            role.of(&self.account)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        scan: Arguments,
    }

    fn of(line: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let Line { scan } = Line::try_parse_from(format!("scan {line}").split_whitespace()).unwrap();
        let own = AccountId::parse("111122223333").unwrap();
        let views = views(&scan, &own, "aws-us-gov")?.into_iter();
        Ok(views.map(|view| (view.account.to_string(), view.role.map(|role| role.of(&view.account)))).collect())
    }

    #[test]
    fn whose_accounts_and_by_which_role() {
        let (ours, theirs) = ("111122223333".to_owned(), "444455556666".to_owned());
        let role = Some("arn:aws-us-gov:iam::444455556666:role/team/Audit".to_owned());
        assert_eq!(of(""), Ok(vec![(ours.clone(), None)]));
        assert_eq!(of("--account 111122223333"), Ok(vec![(ours.clone(), None)]));
        assert_eq!(
            of("--account 444455556666 --account 111122223333 --account 444455556666 --role team/Audit"),
            Ok(vec![(theirs.clone(), role), (ours.clone(), None)])
        );
        let arn = "arn:aws:iam::444455556666:role/Audit";
        assert_eq!(of(&format!("--role {arn}")), Ok(vec![(theirs.clone(), Some(arn.to_owned()))]));
        assert_eq!(of(&format!("--role {arn} --account 444455556666")).unwrap().len(), 1);
        let own = "arn:aws:iam::111122223333:role/Audit";
        assert_eq!(of(&format!("--role {own}")), Ok(vec![(ours, Some(own.to_owned()))]));
        for (line, says) in [
            ("--account 444455556666", "--role NAME"),
            ("--role Audit", "--account"),
            ("--role arn:aws:iam::444455556666:user/Audit", "no ARN of a role"),
            ("--role arn:aws:iam::444455556666:role/Audit --account 111122223333", "of account 444455556666"),
            ("--account 4444 --role Audit", "4444"),
            ("--account 444455556666 --role /Audit", "no name of a role"),
        ] {
            assert!(of(line).is_err_and(|why| why.contains(says)), "{line}");
        }
    }
}
