//! What a call needs to be allowed: which actions, each on which resource, and what conditions can ask of it.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use super::actions::{action, is_free};
use super::policy::Need;
use crate::call::Call;
use crate::understand::{form, s3};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the lab must know of what is there, to tell what a call needs.
#[derive(Debug, Default)]
pub(super) struct Estate {
    /// The tables, each with the attribute that is its partition key.
    pub(super) tables: BTreeMap<String, String>,
    /// The ARNs of the keys with which tables, buckets and topics are encrypted, by the ARN of what is.
    pub(super) keys: BTreeMap<String, String>,
}

/// What only others can tell of what a call is about.
#[derive(Debug, Default)]
pub(super) struct About {
    /// The ARN of the key that a call of KMS names, perhaps by an alias; none where there is no such alias, which KMS tells
    /// whoever asks.
    pub(super) key: Option<String>,
    /// The organisation of the account whose role a call of STS wants; none if it is in none.
    pub(super) organization: Option<String>,
}

/// What this call needs, all of it.
pub(super) fn needs(call: &Call, estate: &Estate, about: &About) -> Vec<Need> {
    let name = format!("{}:{}", call.service, call.operation);
    if is_free(&name) {
        return Vec::new();
    }
    let own = action(&name);
    let needs = match call.service.as_str() {
        "dynamodb" => estate.items(call),
        "s3" => estate.objects(call, own),
        "sns" => estate.messages(call, own),
        "ec2" => machines(call, own),
        "iam" => vec![Need::new(own, identity(call))],
        "kms" => about.key.iter().map(|key| Need::new(own, key)).collect(),
        "events" => vec![Need::new(own, rule(call))],
        "lambda" => vec![Need::new(own, function(call))],
        "sqs" => vec![Need::new(own, queue(call))],
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourceorgid
        "sts" => {
            let need = Need::new(own, role_wanted(call).unwrap_or_else(|| "*".to_owned()));
            vec![need.with("aws:resourceorgid", about.organization.clone())]
        }
        "securityhub" => findings(call, own),
        // AWS Config's actions, as far as we call them, and those of S3 on the account know no resource.
        _ => vec![Need::new(own, "*")],
    };
    // Everything is HTTPS where it is not the lab.
    let shared = |need: Need| {
        let need = need.with("aws:securetransport", ["true".to_owned()]);
        need.with("aws:requestedregion", [call.region.clone()])
    };
    needs.into_iter().map(shared).collect()
}

/// The name by which a call of KMS names its key.
pub(super) fn key_named(call: &Call) -> Option<String> {
    (call.service == "kms").then(|| body(call).get("KeyId")?.as_str().map(str::to_owned)).flatten()
}

/// The ARN of the role that a call of STS wants.
pub(super) fn role_wanted(call: &Call) -> Option<String> {
    (call.service == "sts").then(|| field(call, "RoleArn")).flatten()
}

/// The ARN of something in the call's region and the caller's account.
pub(super) fn arn(call: &Call, rest: &str) -> String {
    format!("arn:aws:{}:{}:{}:{rest}", call.service, call.region, call.account)
}

fn body(call: &Call) -> Value {
    serde_json::from_slice(&call.request.body).unwrap_or_default()
}

/// A field of a call in JSON or of a form.
fn field(call: &Call, name: &str) -> Option<String> {
    let json = body(call).get(name).and_then(Value::as_str).map(str::to_owned);
    json.or_else(|| form(&call.request).into_iter().find(|(field, _)| field == name).map(|(_, value)| value))
}

impl Estate {
    /// What the service needs KMS to do in the caller's name with the key of this table, bucket or topic, if it has one.
    /// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service>
    fn through<'a>(&'a self, call: &Call, of: &str, actions: &'a [&str]) -> impl Iterator<Item = Need> + 'a {
        let via = format!("{}.{}.amazonaws.com", call.service, call.region);
        let key = self.keys.get(of);
        let needs = key.into_iter().flat_map(|key| actions.iter().map(move |action| (action, key)));
        needs.map(move |(action, key)| Need::new(*action, key).with("kms:viaservice", [via.clone()]))
    }

    /// A publication; to a topic that is encrypted, with the key as well.
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html>
    fn messages(&self, call: &Call, own: &str) -> Vec<Need> {
        let topic = field(call, "TopicArn").or_else(|| field(call, "TargetArn")).unwrap_or_else(|| "*".to_owned());
        let publishes = ["Publish", "PublishBatch"].contains(&call.operation.as_str());
        let with_key: &[&str] = if publishes { &["kms:GenerateDataKey", "kms:Decrypt"] } else { &[] };
        let with_key: Vec<_> = self.through(call, &topic, with_key).collect();
        [Need::new(own, topic)].into_iter().chain(with_key).collect()
    }

    /// What a call about a bucket or its objects needs.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
    fn objects(&self, call: &Call, own: &str) -> Vec<Need> {
        let (bucket, key) = s3::bucket_and_key(&call.request);
        let Some(bucket) = bucket else { return vec![Need::new(own, "*")] };
        let bucket = format!("arn:aws:s3:::{bucket}");
        let Some(key) = key else { return vec![Need::new(own, bucket)] };
        let version = call.request.query().iter().any(|(name, _)| name == "versionId");
        let of_version = ["GetObject", "HeadObject", "DeleteObject"].contains(&call.operation.as_str()) && version;
        let main = if of_version { format!("{own}Version") } else { own.to_owned() };
        let writes = own == "s3:PutObject";
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        let more = [
            ("x-amz-bypass-governance-retention", "s3:BypassGovernanceRetention", true),
            ("x-amz-object-lock-mode", "s3:PutObjectRetention", writes),
            ("x-amz-object-lock-legal-hold", "s3:PutObjectLegalHold", writes),
            ("x-amz-tagging", "s3:PutObjectTagging", writes),
            ("x-amz-acl", "s3:PutObjectAcl", writes),
        ];
        let more = more.iter().filter(|(header, _, if_so)| *if_so && call.request.headers.contains_key(*header));
        let actions = std::iter::once(main).chain(more.map(|(_, action, _)| (*action).to_owned()));
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms
        let with_key: &[&str] = match call.operation.as_str() {
            "GetObject" => &["kms:Decrypt"],
            "PutObject" => &["kms:GenerateDataKey"],
            "CopyObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => {
                &["kms:GenerateDataKey", "kms:Decrypt"]
            }
            _ => &[],
        };
        let with_key: Vec<_> = self.through(call, &bucket, with_key).collect();
        actions.map(|action| Need::new(action, format!("{bucket}/{key}"))).chain(with_key).collect()
    }

    /// What a call to DynamoDB needs: a transaction is as many actions as it has kinds of writes. Whoever reads or writes
    /// the items of a table with a key of its own needs that key, too: DynamoDB has KMS decrypt the table's key in the
    /// caller's name.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html>
    fn items(&self, call: &Call) -> Vec<Need> {
        let body = body(call);
        let arn = |table: &str| {
            if table.starts_with("arn:") { table.to_owned() } else { arn(call, &format!("table/{table}")) }
        };
        let action = |operation: &str| format!("dynamodb:{operation}");
        let with_key = |tables: BTreeSet<String>| {
            let of_items = !call.operation.starts_with("Describe") && !call.operation.starts_with("List");
            let decrypt: &[&str] = if of_items { &["kms:Decrypt"] } else { &[] };
            tables.iter().flat_map(|table| self.through(call, table, decrypt).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        match (call.operation.as_str(), body.get("TableName").and_then(Value::as_str)) {
            ("TransactWriteItems" | "TransactGetItems", _) => {
                let mut needed: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
                let items = body.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
                for (kind, part) in items.filter_map(Value::as_object).flatten() {
                    let Some(table) = part.get("TableName").and_then(Value::as_str) else { continue };
                    let keys = needed.entry((action(&format!("{kind}Item")), arn(table))).or_default();
                    keys.extend(self.leading_key(table, part));
                }
                let tables = needed.keys().map(|(_, table)| table.clone()).collect();
                let needs = needed.into_iter();
                let needs =
                    needs.map(|((action, table), keys)| Need::new(action, table).with("dynamodb:leadingkeys", keys));
                needs.chain(with_key(tables)).collect()
            }
            ("BatchWriteItem" | "BatchGetItem", _) => {
                let tables = body.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
                let tables: BTreeSet<String> = tables.map(|(table, _)| arn(table)).collect();
                let needs = tables.iter().map(|table| Need::new(action(&call.operation), table));
                needs.collect::<Vec<_>>().into_iter().chain(with_key(tables)).collect()
            }
            (operation, Some(table)) => {
                let index = body.get("IndexName").and_then(Value::as_str);
                let resource = index.map_or_else(|| arn(table), |index| format!("{}/index/{index}", arn(table)));
                let need =
                    Need::new(action(operation), resource).with("dynamodb:leadingkeys", self.leading_key(table, &body));
                [need].into_iter().chain(with_key(BTreeSet::from([arn(table)]))).collect()
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

/// What a call of EC2 needs. What only describes, and what is about the account's settings, knows no resource.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>
fn machines(call: &Call, own: &str) -> Vec<Need> {
    let fields = form(&call.request);
    let values = |name: &str| -> Vec<String> {
        let numbered = format!("{name}.");
        let is = |field: &str| {
            field == name || field.strip_prefix(&numbered).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        };
        fields.iter().filter(|(field, _)| is(field)).map(|(_, value)| value.clone()).collect()
    };
    let of = |kind: &str, name: &str| -> Vec<String> {
        values(name).iter().map(|id| arn(call, &format!("{kind}/{id}"))).collect()
    };
    // What is made has no id yet.
    let new = |kind: &str| vec![arn(call, &format!("{kind}/*"))];
    let tagged: Vec<String> = fields
        .iter()
        .filter(|(field, _)| field.starts_with("TagSpecification.") && field.ends_with(".ResourceType"))
        .map(|(_, kind)| kind.clone())
        .collect();
    let resources = match call.operation.as_str() {
        "AuthorizeSecurityGroupIngress" | "AuthorizeSecurityGroupEgress" => {
            // The rules are resources of their own only where they are made with tags.
            [of("security-group", "GroupId"), tagged.iter().flat_map(|kind| new(kind)).collect()].concat()
        }
        "RevokeSecurityGroupIngress" | "RevokeSecurityGroupEgress" | "DeleteSecurityGroup" => {
            of("security-group", "GroupId")
        }
        "CreateSecurityGroup" => [new("security-group"), of("vpc", "VpcId")].concat(),
        "ModifyNetworkInterfaceAttribute" => {
            [of("network-interface", "NetworkInterfaceId"), of("security-group", "SecurityGroupId")].concat()
        }
        "GetManagedPrefixListEntries" => of("prefix-list", "PrefixListId"),
        "CreateTags" | "DeleteTags" => {
            values("ResourceId").iter().map(|id| arn(call, &format!("{}/{id}", kind_of(id)))).collect()
        }
        _ => vec!["*".to_owned()],
    };
    let resources = if resources.is_empty() { vec!["*".to_owned()] } else { resources };
    let needs = resources.into_iter().map(|resource| Need::new(own, resource));
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    let tags = tagged.iter().map(|kind| Need::new("ec2:CreateTags", arn(call, &format!("{kind}/*"))));
    needs.chain(tags).collect()
}

/// What an id of EC2's is the id of, as far as somebody tags it; what is not known fits nothing but everything.
fn kind_of(id: &str) -> &str {
    match id.split('-').next().unwrap_or_default() {
        "eni" => "network-interface",
        "i" => "instance",
        "sg" => "security-group",
        "sgr" => "security-group-rule",
        "vpc" => "vpc",
        _ => "*",
    }
}

/// The user that a call of IAM's is about. The request does not say the user's path, which is in the ARN that AWS weighs:
/// what allows only some paths would be allowed too little here, and no role of ours does.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html>
fn identity(call: &Call) -> String {
    let of_user = |name: String| format!("arn:aws:iam::{}:user/{name}", call.account);
    match call.operation.as_str() {
        // Whose key it is, AWS finds out itself; a key that nobody has is nobody's resource.
        "GetAccessKeyLastUsed" => "*".to_owned(),
        _ => field(call, "UserName").map_or_else(|| "*".to_owned(), of_user),
    }
}

/// The rule that a call of EventBridge's is about.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html>
fn rule(call: &Call) -> String {
    let name = match call.operation.as_str() {
        "ListTargetsByRule" | "PutTargets" | "RemoveTargets" => field(call, "Rule"),
        "DescribeRule" | "DisableRule" | "EnableRule" | "DeleteRule" | "PutRule" => field(call, "Name"),
        _ => None,
    };
    let Some(name) = name else { return "*".to_owned() };
    match field(call, "EventBusName").filter(|bus| bus != "default") {
        Some(bus) => arn(call, &format!("rule/{bus}/{name}")),
        None => arn(call, &format!("rule/{name}")),
    }
}

/// The function that a call of Lambda's is about: in its path.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html>
fn function(call: &Call) -> String {
    let path: Vec<_> = call.request.path().trim_matches('/').split('/').collect();
    let [_, "functions", name, ..] = path.as_slice() else { return "*".to_owned() };
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let name = name.rsplit(':').next().unwrap_or_default();
    arn(call, &format!("function:{name}"))
}

/// The queue that a call of SQS' is about, by the end of its address.
fn queue(call: &Call) -> String {
    let url = field(call, "QueueUrl").unwrap_or_default();
    let mut parts = url.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(name), Some(account)) if !name.is_empty() => format!("arn:aws:sqs:{}:{account}:{name}", call.region),
        _ => "*".to_owned(),
    }
}

/// What Security Hub is told: new findings by their products, changes to findings by the hub.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecurityhubcspm.html>
fn findings(call: &Call, own: &str) -> Vec<Need> {
    match call.operation.as_str() {
        "BatchImportFindings" => {
            let body = body(call);
            let products = body.get("Findings").and_then(Value::as_array).into_iter().flatten();
            let products: BTreeSet<_> = products.filter_map(|one| one.get("ProductArn")?.as_str()).collect();
            products.into_iter().map(|product| Need::new(own, product)).collect()
        }
        _ => vec![Need::new(own, arn(call, "hub/default"))],
    }
}
