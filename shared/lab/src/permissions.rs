//! What the functions' roles may do, by the policies that the template spells out: the calls that Suture makes for itself
//! (its ledger, its evidence, its announcements), so that a permission that was forgotten is missed in the lab too.
//!
//! The controls' own calls are not weighed here: the system tests hold each of those against what its control declares.
//! Of conditions only those on the partition keys of items are weighed. Any other of an Allow counts as met, and each of a
//! Deny as not met.

use crate::call::{Call, Caller};
use crate::http::ApiResponse;
use crate::quirks::{error::respond, wildcard};
use crate::template::Template;
use crate::understand::{form, s3};
use http::StatusCode;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What roles may do, and with which buckets the lab is concerned.
#[derive(Debug, Default)]
pub struct Permissions {
    /// The statements of each role that the template spells out.
    roles: BTreeMap<String, Vec<Value>>,
    /// The template's own buckets.
    buckets: BTreeSet<String>,
    /// The template's own tables, each with the attribute that is its partition key.
    tables: BTreeMap<String, String>,
}

/// Something that a call needs to be allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Need {
    /// `dynamodb:PutItem`
    action: String,
    /// The ARN of what it is needed for.
    resource: String,
    /// The partition keys of the items that it is about, where it names them.
    keys: BTreeSet<String>,
}

impl Need {
    fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), keys: BTreeSet::new() }
    }
}

impl Permissions {
    /// What a template says.
    pub fn of(template: &Template) -> Self {
        let roles = template.functions.iter().map(|spec| (spec.role_name.clone(), spec.permissions.clone()));
        let buckets = template.resources.iter().filter(|spec| spec.kind == "AWS::S3::Bucket");
        let tables = template.resources.iter().filter(|spec| spec.kind == "AWS::DynamoDB::Table").filter_map(|spec| {
            let keys = spec.properties.get("KeySchema")?.as_array()?;
            let hash = keys.iter().find(|key| key.get("KeyType").and_then(Value::as_str) == Some("HASH"))?;
            Some((spec.name.clone(), hash.get("AttributeName")?.as_str()?.to_owned()))
        });
        Self {
            roles: roles.collect(),
            buckets: buckets.map(|spec| spec.name.clone()).collect(),
            tables: tables.collect(),
        }
    }

    /// Whether a role may do something with a resource. Of a role that the template does not spell out nothing is known,
    /// and everything allowed.
    pub fn allow(&self, role: &str, action: &str, resource: &str) -> bool {
        self.allows(role, &Need::new(action, resource))
    }

    fn allows(&self, role: &str, need: &Need) -> bool {
        let Some(statements) = self.roles.get(role) else { return true };
        let fits = |effect: &str| {
            statements.iter().any(|statement| {
                let condition = statement.get("Condition");
                let met = if effect == "Deny" { condition.is_none() } else { condition.is_none_or(|c| met(c, need)) };
                statement.get("Effect").and_then(Value::as_str) == Some(effect)
                    && met
                    && listed(statement, "Action", |pattern| {
                        wildcard(&pattern.to_ascii_lowercase(), &need.action.to_ascii_lowercase())
                    })
                    && listed(statement, "Resource", |pattern| wildcard(pattern, &need.resource))
            })
        };
        fits("Allow") && !fits("Deny")
    }

    /// AWS's refusal of a call that its role may not make; none if it may.
    pub fn refuse(&self, call: &Call) -> Option<ApiResponse> {
        let Caller::Role { role, .. } = &call.caller else { return None };
        let Need { action, resource, .. } = self.needed(call).into_iter().find(|need| !self.allows(role, need))?;
        let who = call.caller.arn();
        let message = format!(
            "User: {who} is not authorized to perform: {action} on resource: {resource} because no identity-based policy \
             allows the {action} action"
        );
        let (status, code) = match call.service.as_str() {
            "dynamodb" => (StatusCode::BAD_REQUEST, "AccessDeniedException"),
            "sns" => (StatusCode::FORBIDDEN, "AuthorizationError"),
            "s3" => (StatusCode::FORBIDDEN, "AccessDenied"),
            _ => (StatusCode::FORBIDDEN, "AccessDeniedException"),
        };
        Some(respond(call, status, code, &message, &[]))
    }

    /// What S3 answers in place of "there is no such object" to a role that may not list its bucket.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    pub fn veil(&self, call: &Call, answer: ApiResponse) -> ApiResponse {
        let Caller::Role { role, .. } = &call.caller else { return answer };
        let reads = call.service == "s3" && ["GetObject", "HeadObject"].contains(&call.operation.as_str());
        let bucket = call.resource.as_ref().filter(|bucket| self.buckets.contains(*bucket));
        match bucket {
            Some(bucket) if reads && answer.status == StatusCode::NOT_FOUND => {
                let bucket = format!("arn:aws:s3:::{bucket}");
                if self.allow(role, "s3:ListBucket", &bucket) {
                    return answer;
                }
                respond(call, StatusCode::FORBIDDEN, "AccessDenied", "Access Denied", &[])
            }
            _ => answer,
        }
    }

    /// The IAM actions that a call needs, each with the resource that it needs it for.
    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>
    fn needed(&self, call: &Call) -> Vec<Need> {
        let (region, account) = (call.region.as_str(), call.account.as_str());
        match call.service.as_str() {
            "dynamodb" => self.items(call),
            "sns" => {
                let fields = form(&call.request);
                let topic = fields.iter().find(|(name, _)| matches!(name.as_str(), "TopicArn" | "TargetArn"));
                let resource = topic.map_or_else(|| "*".to_owned(), |(_, arn)| arn.clone());
                vec![Need::new(format!("sns:{}", call.operation), resource)]
            }
            "securityhub" if call.operation == "BatchImportFindings" => {
                let body: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
                let products = body.get("Findings").and_then(Value::as_array).into_iter().flatten();
                let products: BTreeSet<_> = products.filter_map(|one| one.get("ProductArn")?.as_str()).collect();
                let needed = products.into_iter().map(|arn| Need::new("securityhub:BatchImportFindings", arn));
                needed.collect()
            }
            "s3" => self.objects(call),
            "lambda" if call.operation == "Invoke" => {
                let name = call.resource.as_deref().unwrap_or_default();
                let name = name.rsplit(':').next().unwrap_or(name);
                let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
                vec![Need::new("lambda:InvokeFunction", arn)]
            }
            _ => Vec::new(),
        }
    }

    /// What a call needs that is about the objects of one of the template's own buckets.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
    fn objects(&self, call: &Call) -> Vec<Need> {
        let (bucket, key) = s3::bucket_and_key(&call.request);
        let Some(bucket) = bucket.filter(|bucket| self.buckets.contains(bucket)) else { return Vec::new() };
        let listing = ["ListObjects", "ListObjectsV2", "HeadBucket"].contains(&call.operation.as_str());
        let Some(key) = key else {
            let versions = (call.operation == "ListObjectVersions").then_some("s3:ListBucketVersions");
            let action = versions.or(listing.then_some("s3:ListBucket"));
            return action.map(|action| Need::new(action, format!("arn:aws:s3:::{bucket}"))).into_iter().collect();
        };
        let version = call.request.query().iter().any(|(name, _)| name == "versionId");
        let has = |header: &str| call.request.headers.contains_key(header);
        let mut actions = vec![match call.operation.as_str() {
            "GetObject" | "HeadObject" if version => "s3:GetObjectVersion",
            "HeadObject" => "s3:GetObject",
            "DeleteObject" if version => "s3:DeleteObjectVersion",
            "CopyObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "s3:PutObject",
            other => return vec![Need::new(format!("s3:{other}"), format!("arn:aws:s3:::{bucket}/{key}"))],
        }];
        if has("x-amz-bypass-governance-retention") {
            actions.push("s3:BypassGovernanceRetention");
        }
        actions.into_iter().map(|action| Need::new(action, format!("arn:aws:s3:::{bucket}/{key}"))).collect()
    }

    /// What a call to DynamoDB needs: a transaction is as many actions as it has kinds of writes.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
    fn items(&self, call: &Call) -> Vec<Need> {
        let body: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
        let arn = |table: &str| {
            if table.starts_with("arn:") {
                return table.to_owned();
            }
            format!("arn:aws:dynamodb:{}:{}:table/{table}", call.region, call.account)
        };
        let action = |operation: &str| format!("dynamodb:{operation}");
        match (call.operation.as_str(), body.get("TableName").and_then(Value::as_str)) {
            ("TransactWriteItems" | "TransactGetItems", _) => {
                let mut needed: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
                let items = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
                for (kind, part) in items.filter_map(Value::as_object).flatten() {
                    let Some(table) = part.get("TableName").and_then(Value::as_str) else { continue };
                    let keys = needed.entry((action(&format!("{kind}Item")), arn(table))).or_default();
                    keys.extend(self.leading_key(table, part));
                }
                let needs = needed.into_iter();
                needs.map(|((action, resource), keys)| Need { action, resource, keys }).collect()
            }
            ("BatchWriteItem" | "BatchGetItem", _) => {
                let tables = body.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
                tables.map(|(table, _)| Need::new(action(&call.operation), arn(table))).collect()
            }
            (operation, Some(table)) => {
                let index = body.get("IndexName").and_then(Value::as_str);
                let resource = index.map_or_else(|| arn(table), |index| format!("{}/index/{index}", arn(table)));
                let keys = self.leading_key(table, &body).into_iter().collect();
                vec![Need { action: action(operation), resource, keys }]
            }
            (operation, None) => vec![Need::new(action(operation), "*")],
        }
    }

    /// The partition key of the item that one write or read names; none where it names none, as a query does not.
    fn leading_key(&self, table: &str, part: &Value) -> Option<String> {
        let hash = self.tables.get(table.rsplit('/').next().unwrap_or(table))?;
        let named = part.get("Item").or_else(|| part.get("Key"))?.get(hash)?;
        named.as_object()?.values().next()?.as_str().map(str::to_owned)
    }
}

/// Whether a condition is met, as far as it is about partition keys.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>
fn met(condition: &Value, need: &Need) -> bool {
    condition.as_object().into_iter().flatten().all(|(operator, keys)| {
        let leading =
            keys.as_object().into_iter().flatten().find(|(key, _)| key.eq_ignore_ascii_case("dynamodb:LeadingKeys"));
        let Some((_, patterns)) = leading else { return true };
        let fits = |one: &str, key: &str| if operator.ends_with("Like") { wildcard(one, key) } else { one == key };
        let holds = |key: &String| match patterns {
            Value::Array(patterns) => patterns.iter().filter_map(Value::as_str).any(|one| fits(one, key)),
            one => one.as_str().is_some_and(|one| fits(one, key)),
        };
        // No key at all is all of them.
        if operator.starts_with("ForAnyValue:") { need.keys.iter().any(holds) } else { need.keys.iter().all(holds) }
    })
}

/// Whether one of a statement's values, which may stand alone or in an array, fits.
fn listed(statement: &Value, name: &str, fits: impl Fn(&str) -> bool) -> bool {
    match statement.get(name) {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).any(fits),
        Some(one) => one.as_str().is_some_and(fits),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::ApiRequest;
    use crate::understand::understand;
    use http::Method;
    use serde_json::json;

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:111122223333:table/ledger";

    fn permissions(statements: &Value) -> Permissions {
        let statements = statements.as_array().cloned().unwrap();
        Permissions {
            roles: BTreeMap::from([("suture".to_owned(), statements)]),
            buckets: BTreeSet::from(["evidence".to_owned()]),
            tables: BTreeMap::from([("ledger".to_owned(), "pk".to_owned())]),
        }
    }

    fn by_role(service: &str, request: ApiRequest) -> Call {
        let scope = format!("x Credential=ASIA/20260101/us-east-1/{service}/aws4_request, Signature=0");
        let role = |_: &str| Caller::Role {
            account: "111122223333".to_owned(),
            role: "suture".to_owned(),
            session: "recorder".to_owned(),
            access_key: "ASIA".to_owned(),
        };
        understand(request.header("authorization", &scope), &role)
    }

    fn dynamodb(operation: &str, body: &Value) -> Call {
        let target = format!("DynamoDB_20120810.{operation}");
        by_role("dynamodb", ApiRequest::new(Method::POST, "/").header("x-amz-target", &target).body(body.to_string()))
    }

    #[test]
    fn a_role_may_what_its_policies_say() {
        let all = permissions(&json!([
            {"Effect": "Allow", "Action": ["dynamodb:Get*", "dynamodb:PutItem"], "Resource": TABLE},
            {"Effect": "Allow", "Action": "S3:PutObject", "Resource": "arn:aws:s3:::evidence/*"},
            {"Effect": "Deny", "Action": "dynamodb:GetRecords", "Resource": "*"},
            {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ]));
        for (action, resource, allowed) in [
            ("dynamodb:GetItem", TABLE, true),
            ("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:111122223333:table/ledger/index/by-id", false),
            ("dynamodb:PutItem", TABLE, true),
            ("dynamodb:DeleteItem", TABLE, false),
            ("dynamodb:GetRecords", TABLE, false),
            ("s3:PutObject", "arn:aws:s3:::evidence/a/b", true),
            ("s3:PutObject", "arn:aws:s3:::other/a", false),
        ] {
            assert_eq!(all.allow("suture", action, resource), allowed, "{action} {resource}");
        }
        assert!(all.allow("somebody", "iam:CreateUser", "*"));
    }

    #[test]
    fn a_transaction_needs_what_is_in_it() {
        let write = json!({"TransactItems": [
            {"Put": {"TableName": "ledger"}}, {"Update": {"TableName": "ledger"}}, {"Put": {"TableName": "ledger"}},
            {"ConditionCheck": {"TableName": TABLE}},
        ]});
        let needed = permissions(&json!([])).needed(&dynamodb("TransactWriteItems", &write));
        let actions: Vec<_> = needed.iter().map(|need| need.action.as_str()).collect();
        assert_eq!(actions, ["dynamodb:ConditionCheckItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]);
        assert!(needed.iter().all(|need| need.resource == TABLE), "{needed:?}");
        let index = dynamodb("Query", &json!({"TableName": "ledger", "IndexName": "by-id"}));
        let needed = permissions(&json!([])).needed(&index);
        assert_eq!(needed, [Need::new("dynamodb:Query", format!("{TABLE}/index/by-id"))]);
    }

    #[test]
    fn a_role_may_be_kept_to_some_partitions() {
        let some = permissions(&json!([{
            "Effect": "Allow", "Action": "dynamodb:*", "Resource": TABLE,
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["resource#*", "approvals"]}},
        }]));
        let part = |kind: &str, key: &str| {
            let item = if kind == "Put" { "Item" } else { "Key" };
            json!({kind: {"TableName": "ledger", item: {"pk": {"S": key}, "sk": {"S": "deployment"}}}})
        };
        for (parts, allowed) in [
            (json!([part("Put", "resource#a"), part("Update", "approvals")]), true),
            (json!([part("Put", "resource#a"), part("Put", "deployment")]), false),
            (json!([part("Put", "resource#a"), part("Delete", "deployment")]), false),
            (json!([part("ConditionCheck", "approvals#")]), false),
        ] {
            let call = dynamodb("TransactWriteItems", &json!({ "TransactItems": parts }));
            assert_eq!(some.refuse(&call).is_none(), allowed, "{parts}");
        }
        let get = |key: &str| dynamodb("GetItem", &json!({"TableName": TABLE, "Key": {"pk": {"S": key}}}));
        assert!(some.refuse(&get("approvals")).is_none() && some.refuse(&get("deployment")).is_some());
    }

    #[test]
    fn a_refusal_is_in_the_services_words() {
        let none = permissions(&json!([]));
        let form = ("content-type", "application/x-www-form-urlencoded");
        let publish = "Action=Publish&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A111122223333%3Asuture&Message=x";
        let finding =
            json!({"Findings": [{"ProductArn": "arn:aws:securityhub:us-east-1::product/111122223333/default"}]});
        for (call, status, said) in [
            (dynamodb("GetItem", &json!({"TableName": "ledger"})), 400, r#""__type":"AccessDeniedException""#),
            (
                by_role("sns", ApiRequest::new(Method::POST, "/").header(form.0, form.1).body(publish)),
                403,
                "AuthorizationError",
            ),
            (
                by_role("s3", ApiRequest::new(Method::PUT, "/evidence/a")),
                403,
                "s3:PutObject on resource: arn:aws:s3:::evidence/a",
            ),
            (
                by_role("securityhub", ApiRequest::new(Method::POST, "/findings/import").body(finding.to_string())),
                403,
                "securityhub:BatchImportFindings on resource: arn:aws:securityhub",
            ),
        ] {
            let answer = none.refuse(&call).unwrap();
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(answer.status.as_u16() == status && body.contains(said), "{} {body}", answer.status);
        }
        // A bucket that is not the template's, and who is no role.
        assert!(none.refuse(&by_role("s3", ApiRequest::new(Method::PUT, "/clinic-scans/a"))).is_none());
        let mut user = dynamodb("GetItem", &json!({"TableName": "ledger"}));
        user.caller = Caller::User { account: String::new(), name: String::new(), access_key: String::new() };
        assert!(none.refuse(&user).is_none());
    }
}
