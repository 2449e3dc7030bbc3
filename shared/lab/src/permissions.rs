//! What roles may do, by the policies that templates spell out: every call that a role of theirs makes is weighed, so that
//! a permission that was forgotten is missed in the lab as it would be in AWS.
//!
//! In doubt the answer is no: an operation whose action or resource is not known, a condition that the lab cannot weigh.
//! Of roles that no template spells out nothing is known, and everything is allowed; so are users.

pub mod actions;
mod needs;
mod policy;

pub use policy::{Grant, KEYS};

use crate::accounts::Accounts;
use crate::call::{ACCOUNT, Call, Caller};
use crate::gateway::denied;
use crate::http::{ApiRequest, ApiResponse, Upstream};
use crate::quirks::{self, error::respond};
use crate::template::{ResourceSpec, Template};
use http::StatusCode;
use needs::{About, Estate};
use policy::{Need, Verdict, grants, weigh};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What roles may do. Roles are known by their account and name: another template can be added for another account.
#[derive(Debug, Default)]
pub struct Permissions(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    /// What each role may do.
    roles: BTreeMap<Role, Rights>,
    /// What the templates have deployed, as far as permissions depend on it.
    estate: Estate,
}

/// A role's account and its name without the path.
type Role = (String, String);

/// What one role may do.
#[derive(Debug, Default)]
struct Rights {
    /// The statements of its policies.
    statements: Vec<Value>,
    /// What was taken away from it.
    withheld: BTreeSet<Grant>,
    /// What of it was made use of.
    used: BTreeSet<Grant>,
}

impl Permissions {
    /// What a template says.
    pub fn of(template: &Template) -> Self {
        let permissions = Self::default();
        permissions.add(template);
        permissions
    }

    /// Adds what another template says: its roles, each in the account of its ARN, and what it encrypts with keys.
    pub fn add(&self, template: &Template) {
        let mut state = self.write();
        for role in &template.roles {
            let account = role.arn.split(':').nth(4).unwrap_or(ACCOUNT).to_owned();
            let rights = Rights { statements: role.statements.clone(), ..Rights::default() };
            state.roles.insert((account, role.name.clone()), rights);
        }
        for spec in &template.resources {
            state.estate.add(spec);
        }
    }

    /// Whether a role of the lab's own account may do something with a resource, as [`Self::allows`] says.
    pub fn allow(&self, role: &str, action: &str, resource: &str) -> bool {
        self.allows(ACCOUNT, role, action, resource)
    }

    /// Whether a role may do something with a resource, no more being known of the call: for what AWS' services do in a
    /// role's name. It counts as use.
    pub fn allows(&self, account: &str, role: &str, action: &str, resource: &str) -> bool {
        self.weighed(account, role, &Need::new(action, resource)) == Weighed::Allowed
    }

    /// What a role is allowed, pair by pair; nothing of a role that no template spells out.
    pub fn grants(&self, account: &str, role: &str) -> BTreeSet<Grant> {
        let state = self.read();
        let rights = state.roles.get(&(account.to_owned(), role.to_owned()));
        rights.into_iter().flat_map(|rights| rights.statements.iter().flat_map(grants)).collect()
    }

    /// What of it was made use of since the lab began, or since [`Self::forget`].
    pub fn used(&self, account: &str, role: &str) -> BTreeSet<Grant> {
        let state = self.read();
        let rights = state.roles.get(&(account.to_owned(), role.to_owned()));
        rights.map(|rights| rights.used.clone()).unwrap_or_default()
    }

    /// Forgets what a role made use of.
    pub fn forget(&self, account: &str, role: &str) {
        if let Some(rights) = self.write().roles.get_mut(&(account.to_owned(), role.to_owned())) {
            rights.used.clear();
        }
    }

    /// Takes these grants away from a role, from the next call on, and gives back all others.
    pub fn withhold(&self, account: &str, role: &str, grants: impl IntoIterator<Item = Grant>) {
        if let Some(rights) = self.write().roles.get_mut(&(account.to_owned(), role.to_owned())) {
            rights.withheld = grants.into_iter().collect();
        }
    }

    /// AWS's refusal of a call that its role may not make; none if it may. Asks `moto` which key an alias means.
    pub async fn refuse(&self, call: &Call, moto: &Upstream, accounts: &Accounts) -> Option<ApiResponse> {
        let Caller::Role { account, role, .. } = &call.caller else { return None };
        if !self.read().roles.contains_key(&(account.clone(), role.clone())) {
            return None;
        }
        let organization = needs::role_wanted(call).and_then(|role| accounts.organization(role.split(':').nth(4)?));
        self.refusal(call, &About { key: key(call, moto).await, organization })
    }

    /// The same, this being known of what the call is about.
    fn refusal(&self, call: &Call, about: &About) -> Option<ApiResponse> {
        let Caller::Role { account, role, .. } = &call.caller else { return None };
        let needs = needs::needs(call, &self.read().estate, about);
        needs.iter().find_map(|need| match self.weighed(account, role, need) {
            Weighed::Allowed => None,
            Weighed::NotAllowed => {
                let why = format!("because no identity-based policy allows the {} action", need.action);
                Some(refused(call, need, &why))
            }
            Weighed::Denied => Some(refused(call, need, "with an explicit deny in an identity-based policy")),
        })
    }

    fn weighed(&self, account: &str, role: &str, need: &Need) -> Weighed {
        let mut state = self.write();
        let Some(rights) = state.roles.get_mut(&(account.to_owned(), role.to_owned())) else { return Weighed::Allowed };
        match weigh(&rights.statements, need, &rights.withheld) {
            Verdict::Allowed(by) => {
                rights.used.extend(by);
                Weighed::Allowed
            }
            Verdict::NotAllowed => Weighed::NotAllowed,
            Verdict::Denied => Weighed::Denied,
        }
    }

    /// What S3 answers in place of "there is no such object" to a role that may not list its bucket.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    pub fn veil(&self, call: &Call, answer: ApiResponse) -> ApiResponse {
        let Caller::Role { account, role, .. } = &call.caller else { return answer };
        let reads = call.service == "s3" && ["GetObject", "HeadObject"].contains(&call.operation.as_str());
        match &call.resource {
            Some(bucket) if reads && answer.status == StatusCode::NOT_FOUND => {
                if self.allows(account, role, "s3:ListBucket", &format!("arn:aws:s3:::{bucket}")) {
                    return answer;
                }
                respond(call, StatusCode::FORBIDDEN, "AccessDenied", "Access Denied", &[])
            }
            _ => answer,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of weighing one need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weighed {
    Allowed,
    NotAllowed,
    Denied,
}

impl Estate {
    /// Takes note of a resource that a template deploys.
    fn add(&mut self, spec: &ResourceSpec) {
        let text = |pointer: &str| spec.properties.pointer(pointer).and_then(Value::as_str);
        let key = match spec.kind.as_str() {
            "AWS::DynamoDB::Table" => {
                let keys = spec.properties.get("KeySchema").and_then(Value::as_array).into_iter().flatten();
                let mut hash = keys.filter(|key| key.get("KeyType").and_then(Value::as_str) == Some("HASH"));
                let hash = hash.find_map(|key| key.get("AttributeName")?.as_str());
                self.tables.extend(hash.map(|hash| (spec.name.clone(), hash.to_owned())));
                text("/SSESpecification/KMSMasterKeyId")
            }
            "AWS::S3::Bucket" => text(
                "/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault/KMSMasterKeyID",
            ),
            "AWS::SNS::Topic" => text("/KmsMasterKeyId"),
            _ => None,
        };
        // The stack's key is named by its ARN, which tells the region and the account of what it encrypts, too.
        let Some(key) = key.filter(|key| key.starts_with("arn:")) else { return };
        let mut parts = key.split(':').skip(3);
        let (region, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let name = &spec.name;
        let of = match spec.kind.as_str() {
            "AWS::DynamoDB::Table" => format!("arn:aws:dynamodb:{region}:{account}:table/{name}"),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{name}"),
            _ => format!("arn:aws:sns:{region}:{account}:{name}"),
        };
        self.keys.insert(of, key.to_owned());
    }
}

/// The ARN of the key that a call of KMS is about, which it may name by id, ARN or alias; none if it is about no key, or
/// there is no such alias.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id>
async fn key(call: &Call, moto: &Upstream) -> Option<String> {
    let name = needs::key_named(call)?;
    let is_alias = name.starts_with("alias/") || name.contains(":alias/");
    if !is_alias {
        return Some(if name.starts_with("arn:") { name } else { needs::arn(call, &format!("key/{name}")) });
    }
    let mut describes = call.clone();
    "DescribeKey".clone_into(&mut describes.operation);
    let asked = ApiRequest { body: json!({ "KeyId": name }).to_string().into(), ..call.request.clone() };
    describes.request = asked.header("x-amz-target", "TrentService.DescribeKey");
    let answer = quirks::correct(&describes, moto).await.ok()?;
    let answer: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(answer.pointer("/KeyMetadata/Arn")?.as_str()?.to_owned())
}

/// The refusal of a call for want of one thing, in the words of its service.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
fn refused(call: &Call, need: &Need, why: &str) -> ApiResponse {
    let Need { action, resource, .. } = need;
    let who = call.caller.arn();
    let through = action.starts_with("kms:") && call.service != "kms";
    let (status, code) = match call.service.as_str() {
        // https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors
        "sns" if through => (StatusCode::BAD_REQUEST, "KMSAccessDenied"),
        service => denied(service),
    };
    let message = match call.service.as_str() {
        "ec2" => format!(
            "You are not authorized to perform this operation. User: {who} is not authorized to perform: {action} on \
             resource: {resource} {why}"
        ),
        "s3" | "s3control" => {
            format!("User: {who} is not authorized to perform: {action} on resource: \"{resource}\" {why}")
        }
        "dynamodb" if through => format!(
            "KMS key access denied error: User: {who} is not authorized to perform: {action} on resource: {resource} {why}"
        ),
        _ => format!("User: {who} is not authorized to perform: {action} on resource: {resource} {why}"),
    };
    respond(call, status, code, &message, &[])
}

#[cfg(test)]
mod tests;
