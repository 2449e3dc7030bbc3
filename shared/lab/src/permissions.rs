//! What the functions' roles may do, by the policies that the template spells out: the calls that Suture makes for itself
//! (its ledger, its evidence, its announcements), so that a permission that was forgotten is missed in the lab too.
//!
//! The controls' own calls are not weighed here: the system tests hold each of those against what its control declares.
//! A condition of an Allow counts as met and one of a Deny as not met: the lab does not weigh them.

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
}

impl Permissions {
    /// What a template says.
    pub fn of(template: &Template) -> Self {
        let roles = template.functions.iter().map(|spec| (spec.role_name.clone(), spec.permissions.clone()));
        let buckets = template.resources.iter().filter(|spec| spec.kind == "AWS::S3::Bucket");
        Self { roles: roles.collect(), buckets: buckets.map(|spec| spec.name.clone()).collect() }
    }

    /// Whether a role may do something with a resource. Of a role that the template does not spell out nothing is known,
    /// and everything allowed.
    pub fn allow(&self, role: &str, action: &str, resource: &str) -> bool {
        let Some(statements) = self.roles.get(role) else { return true };
        let fits = |effect: &str| {
            statements.iter().any(|statement| {
                let conditional = effect == "Deny" && statement.get("Condition").is_some();
                statement.get("Effect").and_then(Value::as_str) == Some(effect)
                    && !conditional
                    && listed(statement, "Action", |pattern| {
                        wildcard(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
                    })
                    && listed(statement, "Resource", |pattern| wildcard(pattern, resource))
            })
        };
        fits("Allow") && !fits("Deny")
    }

    /// AWS's refusal of a call that its role may not make; none if it may.
    pub fn refuse(&self, call: &Call) -> Option<ApiResponse> {
        let Caller::Role { role, .. } = &call.caller else { return None };
        let (action, resource) =
            self.needed(call).into_iter().find(|(action, resource)| !self.allow(role, action, resource))?;
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
    fn needed(&self, call: &Call) -> Vec<(String, String)> {
        let (region, account) = (call.region.as_str(), call.account.as_str());
        match call.service.as_str() {
            "dynamodb" => tables(call),
            "sns" => {
                let fields = form(&call.request);
                let topic = fields.iter().find(|(name, _)| matches!(name.as_str(), "TopicArn" | "TargetArn"));
                let resource = topic.map_or_else(|| "*".to_owned(), |(_, arn)| arn.clone());
                vec![(format!("sns:{}", call.operation), resource)]
            }
            "securityhub" if call.operation == "BatchImportFindings" => {
                let body: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
                let products = body.get("Findings").and_then(Value::as_array).into_iter().flatten();
                let products: BTreeSet<_> = products.filter_map(|one| one.get("ProductArn")?.as_str()).collect();
                let needed =
                    products.into_iter().map(|arn| ("securityhub:BatchImportFindings".to_owned(), arn.to_owned()));
                needed.collect()
            }
            "s3" => self.objects(call),
            "lambda" if call.operation == "Invoke" => {
                let name = call.resource.as_deref().unwrap_or_default();
                let name = name.rsplit(':').next().unwrap_or(name);
                let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
                vec![("lambda:InvokeFunction".to_owned(), arn)]
            }
            _ => Vec::new(),
        }
    }

    /// What a call needs that is about the objects of one of the template's own buckets.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
    fn objects(&self, call: &Call) -> Vec<(String, String)> {
        let (bucket, key) = s3::bucket_and_key(&call.request);
        let Some(bucket) = bucket.filter(|bucket| self.buckets.contains(bucket)) else { return Vec::new() };
        let listing = ["ListObjects", "ListObjectsV2", "HeadBucket"].contains(&call.operation.as_str());
        let Some(key) = key else {
            let versions = (call.operation == "ListObjectVersions").then_some("s3:ListBucketVersions");
            let action = versions.or(listing.then_some("s3:ListBucket"));
            return action.map(|action| (action.to_owned(), format!("arn:aws:s3:::{bucket}"))).into_iter().collect();
        };
        let version = call.request.query().iter().any(|(name, _)| name == "versionId");
        let has = |header: &str| call.request.headers.contains_key(header);
        let mut actions = vec![match call.operation.as_str() {
            "GetObject" | "HeadObject" if version => "s3:GetObjectVersion",
            "HeadObject" => "s3:GetObject",
            "DeleteObject" if version => "s3:DeleteObjectVersion",
            "CopyObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "s3:PutObject",
            other => return vec![(format!("s3:{other}"), format!("arn:aws:s3:::{bucket}/{key}"))],
        }];
        if has("x-amz-bypass-governance-retention") {
            actions.push("s3:BypassGovernanceRetention");
        }
        actions.into_iter().map(|action| (action.to_owned(), format!("arn:aws:s3:::{bucket}/{key}"))).collect()
    }
}

/// What a call to DynamoDB needs: a transaction is as many actions as it has kinds of writes.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
fn tables(call: &Call) -> Vec<(String, String)> {
    let body: Value = serde_json::from_slice(&call.request.body).unwrap_or_default();
    let arn = |table: &str| {
        if table.starts_with("arn:") {
            return table.to_owned();
        }
        format!("arn:aws:dynamodb:{}:{}:table/{table}", call.region, call.account)
    };
    let table = body.get("TableName").and_then(Value::as_str);
    let needed: BTreeSet<(String, String)> = match (call.operation.as_str(), table) {
        ("TransactWriteItems" | "TransactGetItems", _) => {
            let items = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            let writes = items.filter_map(Value::as_object).flatten();
            let action = |kind: &str| match kind {
                "ConditionCheck" => "dynamodb:ConditionCheckItem".to_owned(),
                other => format!("dynamodb:{other}Item"),
            };
            let named = writes.filter_map(|(kind, write)| {
                let table = write.get("TableName").and_then(Value::as_str)?;
                Some((action(kind), arn(table)))
            });
            named.collect()
        }
        ("BatchWriteItem" | "BatchGetItem", _) => {
            let tables = body.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
            tables.map(|(table, _)| (format!("dynamodb:{}", call.operation), arn(table))).collect()
        }
        (operation, Some(table)) => {
            let index = body.get("IndexName").and_then(Value::as_str);
            let arn = index.map_or_else(|| arn(table), |index| format!("{}/index/{index}", arn(table)));
            BTreeSet::from([(format!("dynamodb:{operation}"), arn)])
        }
        (operation, None) => BTreeSet::from([(format!("dynamodb:{operation}"), "*".to_owned())]),
    };
    needed.into_iter().collect()
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
        let actions: Vec<_> = needed.iter().map(|(action, _)| action.as_str()).collect();
        assert_eq!(actions, ["dynamodb:ConditionCheckItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]);
        assert!(needed.iter().all(|(_, table)| table == TABLE), "{needed:?}");
        let index = dynamodb("Query", &json!({"TableName": "ledger", "IndexName": "by-id"}));
        let needed = permissions(&json!([])).needed(&index);
        assert_eq!(needed, [("dynamodb:Query".to_owned(), format!("{TABLE}/index/by-id"))]);
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
