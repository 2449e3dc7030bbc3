//! Every role that the template spells out: who may take it on, and what it then may do.

use super::resolve::Resolver;
use serde_json::Value;

/// One role, as CloudFormation would make it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleSpec {
    /// Its name in the template, such as `S3PublicBucketRole`.
    pub logical_id: String,
    /// Its physical name, without its path.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The statements of its trust policy, resolved: who may assume it.
    pub trust: Vec<Value>,
    /// The statements of the policies that the template spells out in it, resolved.
    pub statements: Vec<Value>,
    /// How long its sessions last at most, in seconds. IAM's default is an hour.
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html>
    pub longest_session: u32,
}

/// The roles whose conditions hold, in the order of their logical ids.
pub(super) fn read(resolver: &Resolver<'_>) -> Result<Vec<RoleSpec>, String> {
    let mut roles = Vec::new();
    for (logical_id, resource) in resolver.resources() {
        let is_role = resource.get("Type").and_then(Value::as_str) == Some("AWS::IAM::Role");
        if !is_role || !resolver.exists(logical_id)? {
            continue;
        }
        let property = |name: &str| match resource.pointer(&format!("/Properties/{name}")) {
            Some(value) => resolver.resolve(value, &format!("{logical_id}.{name}")),
            None => Ok(None),
        };
        let policies = property("Policies")?.unwrap_or_default();
        let documents = policies.as_array().into_iter().flatten().filter_map(|policy| policy.get("PolicyDocument"));
        let session =
            property("MaxSessionDuration")?.map(|value| super::resolve::text(&value, logical_id)).transpose()?;
        roles.push(RoleSpec {
            logical_id: logical_id.to_owned(),
            name: resolver.name(logical_id, logical_id)?,
            arn: resolver.arn(logical_id, logical_id)?,
            trust: property("AssumeRolePolicyDocument")?.as_ref().map(statements).unwrap_or_default(),
            statements: documents.flat_map(statements).collect(),
            longest_session: session.and_then(|seconds| seconds.parse().ok()).unwrap_or(3600),
        });
    }
    Ok(roles)
}

/// A policy document's statements, of which there may be one without a list around it.
pub(super) fn statements(document: &Value) -> Vec<Value> {
    match document.get("Statement") {
        Some(Value::Array(several)) => several.clone(),
        one => one.cloned().into_iter().collect(),
    }
}
