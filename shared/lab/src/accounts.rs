//! The accounts beside the one that Suture is deployed in: the organisation that each belongs to, and the rules that send
//! their events to the hub.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html>

use crate::bus::Bus;
use crate::call::ACCOUNT;
use crate::policies::{Asked, Verdict, judge};
use crate::template::{ForwardSpec, RoleSpec, Template};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// A member account, as [`crate::Lab::open_account`] opens one.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its twelve digits.
    pub account: String,
    /// The id of the organisation that it belongs to: `o-a1b2c3d4e5`.
    pub organization: String,
    /// The template that a stack set deploys to it.
    pub template: PathBuf,
    /// The regions to which it is deployed.
    pub regions: Vec<String>,
    /// Values for the template's parameters.
    pub parameters: BTreeMap<String, String>,
}

/// What the lab knows of accounts.
#[derive(Debug, Default)]
pub struct Accounts(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    organizations: BTreeMap<String, String>,
    /// Roles that the accounts' templates spell out, by their ARNs.
    roles: BTreeMap<String, RoleSpec>,
    /// The default buses that a template has rules on, by account and region.
    buses: BTreeMap<(String, String), Arc<Regional>>,
    /// The statements of the policy on the hub's default bus.
    bus_policy: Vec<Value>,
}

/// The default bus of an account and region from which events are forwarded.
#[derive(Debug)]
pub struct Regional {
    bus: Bus,
    forwards: Vec<ForwardSpec>,
}

impl Regional {
    /// The rules that an event matches.
    pub fn matching(&self, event: &Value) -> Vec<&ForwardSpec> {
        let rules = self.bus.matching(event);
        let found = rules.into_iter().filter_map(|rule| rule.target.parse::<usize>().ok());
        found.filter_map(|number| self.forwards.get(number)).collect()
    }
}

/// Why a bus does not take an event: EventBridge's code and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `NO_PERMISSIONS`
    pub code: &'static str,
    /// The sentence.
    pub why: String,
}

impl Accounts {
    /// The hub: its organisation, if it is in one, and who may put events on its bus.
    pub fn hub(organization: Option<&str>, template: &Template) -> Self {
        let organizations = organization.map(|id| (ACCOUNT.to_owned(), id.to_owned())).into_iter().collect();
        let bus_policy = template.bus_policy.clone();
        Self(RwLock::new(Known { organizations, bus_policy, ..Known::default() }))
    }

    /// An account joins an organisation.
    pub fn join(&self, account: &str, organization: &str) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.organizations.insert(account.to_owned(), organization.to_owned());
    }

    /// A template is deployed to an account and region: its roles, and its rules for events. Fails if a pattern is none.
    pub fn deployed(&self, account: &str, region: &str, template: &Template) -> Result<(), String> {
        let rules = template.forwards.iter().enumerate();
        let rules = rules.map(|(number, spec)| (spec.name.clone(), number.to_string(), spec.pattern.clone()));
        let regional = Regional { bus: Bus::new(rules)?, forwards: template.forwards.clone() };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.roles.extend(template.roles.iter().map(|role| (role.arn.clone(), role.clone())));
        known.buses.insert((account.to_owned(), region.to_owned()), Arc::new(regional));
        Ok(())
    }

    /// The organisation of an account; none if it is in none.
    pub fn organization(&self, account: &str) -> Option<String> {
        self.known().organizations.get(account).cloned()
    }

    /// The bus that an event of this account and region comes up on; none if no template was deployed there.
    pub fn bus(&self, account: &str, region: &str) -> Option<Arc<Regional>> {
        self.known().buses.get(&(account.to_owned(), region.to_owned())).cloned()
    }

    /// Whether a template was deployed to an account, wherever.
    pub fn is_open(&self, account: &str) -> bool {
        self.known().buses.keys().any(|(open, _)| open == account)
    }

    /// Whether the hub's bus takes what this account's rule of the ARN `source` forwards. `may` says whether a role may do something with a
    /// resource, by its name.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html#eb-cross-account-permissions>
    pub fn takes(
        &self,
        (account, source): (&str, &str),
        forward: &ForwardSpec,
        hub: &str,
        may: impl Fn(&str, &str, &str) -> bool,
    ) -> Result<(), Refused> {
        let refused = |code: &'static str, why: String| Err(Refused { code, why });
        let (bus, known) = (forward.bus.as_str(), self.known());
        if bus != hub {
            return refused("RESOURCE_NOT_FOUND", format!("there is no event bus {bus}"));
        }
        let Some(arn) = &forward.role else {
            return refused("NO_PERMISSIONS", format!("the rule {} has no role to send to {bus} in", forward.name));
        };
        let Some(role) = known.roles.get(arn) else {
            return refused("NO_PERMISSIONS", format!("there is no role {arn}"));
        };
        let service = Asked {
            principals: &[],
            service: Some("events.amazonaws.com"),
            action: "sts:AssumeRole",
            resource: arn,
            context: &[("aws:SourceAccount", account), ("aws:SourceArn", source)],
        };
        if judge(&role.trust, &service) != Verdict::Allowed {
            return refused("NO_PERMISSIONS", format!("the role {arn} does not trust events.amazonaws.com"));
        }
        if !may(&role.name, "events:PutEvents", bus) {
            return refused("NO_PERMISSIONS", format!("the role {arn} may not events:PutEvents on {bus}"));
        }
        // Within an account the bus's own policy need not say anything.
        if account == ACCOUNT {
            return Ok(());
        }
        let organization = known.organizations.get(account).cloned();
        let mut context =
            vec![("aws:PrincipalAccount", account), ("aws:PrincipalArn", arn), ("aws:SecureTransport", "true")];
        context.extend(organization.as_deref().map(|id| ("aws:PrincipalOrgID", id)));
        let asked = Asked {
            principals: &principals(account, arn),
            service: None,
            action: "events:PutEvents",
            resource: bus,
            context: &context,
        };
        if judge(&known.bus_policy, &asked) == Verdict::Allowed {
            return Ok(());
        }
        refused("NO_PERMISSIONS", format!("the policy of {bus} does not let {arn} put events on it"))
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What somebody of an account goes by in a policy.
pub fn principals(account: &str, arn: &str) -> Vec<String> {
    vec![arn.to_owned(), account.to_owned(), format!("arn:aws:iam::{account}:root")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::World;
    use serde_json::json;

    const HUB_BUS: &str = "arn:aws:events:us-east-1:111122223333:event-bus/default";
    const MEMBER: &str = "444455556666";
    const RULE: &str = "arn:aws:events:eu-west-1:444455556666:rule/calls";

    const HUB: &str = "
Resources:
  Members:
    Type: AWS::Events::EventBusPolicy
    Properties:
      StatementId: members
      Statement:
        Effect: Allow
        Principal: '*'
        Action: events:PutEvents
        Resource: !Sub arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default
        Condition: {StringEquals: {aws:PrincipalOrgID: o-a1b2c3d4e5}}
";

    const THEIRS: &str = "
Resources:
  Forward:
    Type: AWS::IAM::Role
    Properties:
      RoleName: forward
      AssumeRolePolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sts:AssumeRole
            Condition: {ArnLike: {aws:SourceArn: !Sub 'arn:aws:events:*:${AWS::AccountId}:rule/calls'}}
  Calls:
    Type: AWS::Events::Rule
    Properties:
      Name: calls
      EventPattern: {source: [aws.s3]}
      Targets: [{Id: hub, Arn: arn:aws:events:us-east-1:111122223333:event-bus/default, RoleArn: !GetAtt Forward.Arn}]
";

    fn accounts(organization: &str, theirs: &str) -> (Accounts, Arc<Regional>) {
        let accounts = Accounts::hub(Some("o-a1b2c3d4e5"), &Template::parse(HUB, &World::default()).unwrap());
        accounts.join(MEMBER, organization);
        let world = World { account: MEMBER.to_owned(), region: "eu-west-1".to_owned(), ..World::default() };
        accounts.deployed(MEMBER, "eu-west-1", &Template::parse(theirs, &world).unwrap()).unwrap();
        let bus = accounts.bus(MEMBER, "eu-west-1").unwrap();
        (accounts, bus)
    }

    #[test]
    fn what_matches_is_forwarded_and_nothing_else() {
        let (accounts, bus) = accounts("o-a1b2c3d4e5", THEIRS);
        assert!(accounts.bus(MEMBER, "us-east-1").is_none() && accounts.bus(ACCOUNT, "us-east-1").is_none());
        assert!(bus.matching(&json!({"source": "aws.ec2"})).is_empty());
        let found = bus.matching(&json!({"source": "aws.s3"}));
        let [rule] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((rule.name.as_str(), rule.bus.as_str()), ("calls", HUB_BUS));
        assert_eq!(accounts.takes((MEMBER, RULE), rule, HUB_BUS, |_, _, _| true), Ok(()));
    }

    #[test]
    fn the_hub_takes_only_what_both_sides_allow() {
        let refused = |organization: &str, theirs: &str, may: bool| {
            let (accounts, bus) = accounts(organization, theirs);
            let rule = bus.matching(&json!({"source": "aws.s3"}))[0].clone();
            let asked = |role: &str, action: &str, resource: &str| {
                assert_eq!((role, action, resource), ("forward", "events:PutEvents", rule.bus.as_str()));
                may
            };
            accounts.takes((MEMBER, RULE), &rule, HUB_BUS, asked).unwrap_err().why
        };
        assert!(refused("o-zzzzzzzzzz", THEIRS, true).starts_with("the policy of arn:aws:events:us-east-1:"));
        assert!(refused("o-a1b2c3d4e5", THEIRS, false).contains("may not events:PutEvents"));
        let untrusting = THEIRS.replace("events.amazonaws.com", "lambda.amazonaws.com");
        assert!(refused("o-a1b2c3d4e5", &untrusting, true).contains("does not trust events.amazonaws.com"));
        let roleless = THEIRS.replace(", RoleArn: !GetAtt Forward.Arn", "");
        assert!(refused("o-a1b2c3d4e5", &roleless, true).contains("has no role"));
        let astray = THEIRS.replace("us-east-1:111122223333", "us-west-2:111122223333");
        assert!(refused("o-a1b2c3d4e5", &astray, true).starts_with("there is no event bus"));
    }
}
