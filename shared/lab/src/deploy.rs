//! Makes what the template has beside functions, as CloudFormation would: before anybody watches, so that nothing of it is
//! in the journal and nothing of it is anybody's drift.

use crate::client::Client;
use crate::gateway::Gateway;
use crate::http::ApiRequest;
use crate::quirks::error::escape;
use crate::template::{ResourceSpec, STREAM, Template};
use http::Method;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Makes the template's resources in an account and region, those that need no other beside each other. Each way to fail is
/// one sentence that names the resource.
pub async fn deploy(gateway: &Arc<Gateway>, template: &Template, account: &str, region: &str) -> Result<(), String> {
    for turn in 0..=2 {
        let mut making = JoinSet::new();
        for spec in template.resources.iter().filter(|spec| self::turn(spec) == turn) {
            let (spec, gateway) = (spec.clone(), Arc::clone(gateway));
            let (account, region) = (account.to_owned(), region.to_owned());
            making.spawn(async move {
                let client = Client::past_in(Arc::clone(&gateway), &account, &region);
                let maker = Maker { gateway: &gateway, client, spec: &spec, account: &account, region: &region };
                let made = maker.make().await;
                made.map_err(|why| format!("{} ({}) cannot be deployed: {why}", spec.logical_id, spec.kind))
            });
        }
        while let Some(made) = making.join_next().await {
            made.map_err(|error| error.to_string())??;
        }
    }
    Ok(())
}

/// Makes roles in IAM, with their trust policies; what they may do is weighed by [`crate::permissions`].
pub async fn roles(gateway: &Arc<Gateway>, template: &Template, account: &str) -> Result<(), String> {
    let client = Client::past_in(Arc::clone(gateway), account, "us-east-1");
    for role in &template.roles {
        let trust = json!({ "Version": "2012-10-17", "Statement": role.trust }).to_string();
        let (path, _) =
            role.arn.split_once(":role").map_or(("", ""), |(_, path)| path.rsplit_once('/').unwrap_or_default());
        let (path, longest) = (format!("{path}/"), role.longest_session.to_string());
        let fields = [
            ("RoleName", role.name.as_str()),
            ("Path", path.as_str()),
            ("AssumeRolePolicyDocument", trust.as_str()),
            ("MaxSessionDuration", longest.as_str()),
        ];
        let made = client.must_query("iam", "CreateRole", &fields).await;
        made.map_err(|why| format!("{} (AWS::IAM::Role) cannot be deployed: {why}", role.logical_id))?;
    }
    Ok(())
}

/// What is of something that must be there comes after it: a policy, an alias, a subscription, of which a topic's may be
/// two, and a queue that has another for its dead letters.
fn turn(spec: &ResourceSpec) -> u8 {
    let of_another = ["AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription", "AWS::KMS::Alias"];
    match spec.kind.as_str() {
        "AWS::SQS::QueuePolicy" => 2,
        "AWS::SQS::Queue" if spec.properties.get("RedrivePolicy").is_some() => 1,
        kind if of_another.contains(&kind) => 1,
        _ => 0,
    }
}

/// One resource, while it is made.
struct Maker<'a> {
    gateway: &'a Gateway,
    client: Client,
    spec: &'a ResourceSpec,
    account: &'a str,
    region: &'a str,
}

/// A queue's attributes, as CloudFormation and the API both name them.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sqs-queue.html>
const QUEUE_ATTRIBUTES: [&str; 9] = [
    "DelaySeconds",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "VisibilityTimeout",
];

impl Maker<'_> {
    async fn make(&self) -> Result<(), String> {
        match self.spec.kind.as_str() {
            "AWS::DynamoDB::Table" => self.table().await,
            "AWS::S3::Bucket" => self.bucket().await,
            "AWS::S3::BucketPolicy" => {
                let (bucket, policy) = (self.text("/Bucket"), self.policy());
                self.put(&format!("/{bucket}?policy"), policy).await
            }
            "AWS::SNS::Topic" => self.topic().await,
            "AWS::SNS::TopicPolicy" => {
                for topic in self.list("/Topics") {
                    let policy = self.policy();
                    let topic = topic.as_str().unwrap_or_default();
                    self.attribute(topic, "Policy", &policy).await?;
                }
                Ok(())
            }
            "AWS::SNS::Subscription" => {
                let (topic, protocol, endpoint) =
                    (self.text("/TopicArn"), self.text("/Protocol"), self.text("/Endpoint"));
                self.subscribe(&topic, &protocol, &endpoint).await
            }
            "AWS::SQS::Queue" => self.queue().await,
            "AWS::SQS::QueuePolicy" => {
                for queue in self.list("/Queues") {
                    let body = json!({ "QueueUrl": queue, "Attributes": { "Policy": self.policy() } });
                    self.client.must_json("sqs", "SetQueueAttributes", &body).await?;
                }
                Ok(())
            }
            "AWS::KMS::Key" => {
                let key = json!({
                    "region": self.region,
                    "id": self.spec.name,
                    "policy": self.property("/KeyPolicy").map(Value::to_string),
                    "description": self.text("/Description"),
                    "rotates": self.is_on("/EnableKeyRotation"),
                });
                self.gateway.wish("kms/key", self.account, key).await.map(|_| ())
            }
            "AWS::KMS::Alias" => {
                let key = self.text("/TargetKeyId");
                let key = key.rsplit('/').next().unwrap_or_default();
                let alias = json!({ "AliasName": self.spec.name, "TargetKeyId": key });
                self.client.must_json("kms", "CreateAlias", &alias).await.map(|_| ())
            }
            other => Err(format!("the lab does not make a {other}")),
        }
    }

    /// A table has the API's own names of its properties, but for those of encryption, deletion and recovery.
    async fn table(&self) -> Result<(), String> {
        let mut body = Map::from_iter([("TableName".to_owned(), json!(self.spec.name))]);
        let same = [
            "AttributeDefinitions",
            "KeySchema",
            "BillingMode",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "ProvisionedThroughput",
            "DeletionProtectionEnabled",
            "Tags",
        ];
        for name in same {
            if let Some(value) = self.spec.properties.get(name) {
                body.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(view) = self.property("/StreamSpecification/StreamViewType") {
            let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
            body.insert("StreamSpecification".to_owned(), stream);
        }
        if let Some(encryption) = self.property("/SSESpecification") {
            let mut fields = encryption.as_object().cloned().unwrap_or_default();
            let enabled = fields.remove("SSEEnabled").unwrap_or_default();
            fields.insert("Enabled".to_owned(), enabled);
            body.insert("SSESpecification".to_owned(), Value::Object(fields));
        }
        self.client.must_json("dynamodb", "CreateTable", &Value::Object(body)).await?;
        let table = &self.spec.name;
        if self.property("/StreamSpecification").is_some() {
            let label = json!({ "region": self.region, "table": table, "label": STREAM });
            self.gateway.wish("streams/label", self.account, label).await?;
        }
        if let Some(lives) = self.property("/TimeToLiveSpecification") {
            let body = json!({ "TableName": table, "TimeToLiveSpecification": lives });
            self.client.must_json("dynamodb", "UpdateTimeToLive", &body).await?;
        }
        if self.is_on("/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled") {
            let body = json!({
                "TableName": table, "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true },
            });
            self.client.must_json("dynamodb", "UpdateContinuousBackups", &body).await?;
        }
        Ok(())
    }

    async fn bucket(&self) -> Result<(), String> {
        let bucket = &self.spec.name;
        let region = self.region;
        let body = if region == "us-east-1" {
            String::new()
        } else {
            format!(
                "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            )
        };
        let mut request = ApiRequest::new(Method::PUT, format!("/{bucket}")).body(body);
        if self.is_on("/ObjectLockEnabled") {
            request = request.header("x-amz-bucket-object-lock-enabled", "true");
        }
        self.sent("CreateBucket", request).await?;
        for (sub_resource, document) in self.settings() {
            self.put(&format!("/{bucket}?{sub_resource}"), document).await?;
        }
        Ok(())
    }

    /// The sub-resources that a bucket's properties come to, with their documents.
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html>
    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        if let Some(status) = self.property("/VersioningConfiguration/Status") {
            let status = element("Status", status);
            all.push(("versioning", format!("<VersioningConfiguration>{status}</VersioningConfiguration>")));
        }
        if let Some(rule) = self.property("/BucketEncryption/ServerSideEncryptionConfiguration/0") {
            let mut inner = String::new();
            if let Some(default) = rule.get("ServerSideEncryptionByDefault") {
                let fields = elements(default);
                let _ =
                    write!(inner, "<ApplyServerSideEncryptionByDefault>{fields}</ApplyServerSideEncryptionByDefault>");
            }
            if let Some(key) = rule.get("BucketKeyEnabled") {
                inner.push_str(&element("BucketKeyEnabled", key));
            }
            let root = "ServerSideEncryptionConfiguration";
            all.push(("encryption", format!("<{root}><Rule>{inner}</Rule></{root}>")));
        }
        if let Some(block) = self.property("/PublicAccessBlockConfiguration") {
            let root = "PublicAccessBlockConfiguration";
            all.push(("publicAccessBlock", format!("<{root}>{}</{root}>", elements(block))));
        }
        if let Some(rule) = self.property("/OwnershipControls/Rules/0") {
            let rule = elements(rule);
            all.push(("ownershipControls", format!("<OwnershipControls><Rule>{rule}</Rule></OwnershipControls>")));
        }
        if let Some(lock) = self.property("/ObjectLockConfiguration") {
            all.push(("object-lock", format!("<ObjectLockConfiguration>{}</ObjectLockConfiguration>", elements(lock))));
        }
        let tags = self.list("/Tags");
        if !tags.is_empty() {
            let tags: String = tags.iter().map(|tag| element("Tag", tag)).collect();
            all.push(("tagging", format!("<Tagging><TagSet>{tags}</TagSet></Tagging>")));
        }
        all
    }

    async fn queue(&self) -> Result<(), String> {
        let text = |value: &Value| if value.is_object() { value.to_string() } else { plain(value) };
        let attributes =
            QUEUE_ATTRIBUTES.into_iter().filter_map(|name| Some((name, text(self.spec.properties.get(name)?))));
        let attributes: Map<_, _> = attributes.map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let body = json!({ "QueueName": self.spec.name, "Attributes": attributes });
        self.client.must_json("sqs", "CreateQueue", &body).await.map(|_| ())
    }

    async fn topic(&self) -> Result<(), String> {
        let answer = self.client.must_query("sns", "CreateTopic", &[("Name", &self.spec.name)]).await?;
        let arn = answer.texts("TopicArn").into_iter().next().unwrap_or_default();
        for name in ["KmsMasterKeyId", "DisplayName"] {
            let value = self.text(&format!("/{name}"));
            if !value.is_empty() {
                self.attribute(&arn, name, &value).await?;
            }
        }
        for subscription in self.list("/Subscription") {
            let text = |name: &str| subscription.get(name).and_then(Value::as_str).unwrap_or_default();
            self.subscribe(&arn, text("Protocol"), text("Endpoint")).await?;
        }
        Ok(())
    }

    async fn attribute(&self, topic: &str, name: &str, value: &str) -> Result<(), String> {
        let fields = [("TopicArn", topic), ("AttributeName", name), ("AttributeValue", value)];
        self.client.must_query("sns", "SetTopicAttributes", &fields).await.map(|_| ())
    }

    async fn subscribe(&self, topic: &str, protocol: &str, endpoint: &str) -> Result<(), String> {
        let fields = [("TopicArn", topic), ("Protocol", protocol), ("Endpoint", endpoint)];
        self.client.must_query("sns", "Subscribe", &fields).await.map(|_| ())
    }

    async fn put(&self, target: &str, document: String) -> Result<(), String> {
        self.sent(target, ApiRequest::new(Method::PUT, target).body(document)).await
    }

    async fn sent(&self, what: &str, request: ApiRequest) -> Result<(), String> {
        let answer = self.client.send("s3", request).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(format!("{what} was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
    }

    fn property(&self, pointer: &str) -> Option<&Value> {
        self.spec.properties.pointer(pointer)
    }

    fn list(&self, pointer: &str) -> &[Value] {
        self.property(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn text(&self, pointer: &str) -> String {
        self.property(pointer).map(plain).unwrap_or_default()
    }

    fn is_on(&self, pointer: &str) -> bool {
        self.text(pointer) == "true"
    }

    fn policy(&self) -> String {
        self.property("/PolicyDocument").map(Value::to_string).unwrap_or_default()
    }
}

/// A plain value as text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An object's fields as XML elements of the same names.
fn elements(object: &Value) -> String {
    let fields = object.as_object().into_iter().flatten();
    fields.map(|(name, value)| element(name, value)).collect()
}

fn element(name: &str, value: &Value) -> String {
    match value {
        Value::Object(_) => format!("<{name}>{}</{name}>", elements(value)),
        value => format!("<{name}>{}</{name}>", escape(&plain(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_become_elements() {
        let lock =
            json!({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 7}}});
        assert_eq!(
            elements(&lock),
            "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>7</Days><Mode>GOVERNANCE</Mode>\
             </DefaultRetention></Rule>"
        );
        assert_eq!(element("Key", &json!("a<b")), "<Key>a&lt;b</Key>");
    }
}
