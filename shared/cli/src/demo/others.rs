//! The other controls: each of them mends something of its own, once, in mode enforce.

use super::stage::Stage;
use super::step::Step;
use super::story::UNDO;
use crate::account::HOME_REGION;
use crate::account::making::{SETTINGS, block, first, grants, group, instance, open_bucket, public_policy, text, user};
use ::lab::Client;
use ::lab::call::ACCOUNT;
use ::lab::http::ApiResponse;
use ::lab::runtime::Report;
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::pin::Pin;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What will be seen.
type Seen<'a> = Pin<Box<dyn Future<Output = Result<Step, String>> + 'a>>;

/// A control, and the play in which it appears.
pub struct Scene {
    /// The control.
    pub control: &'static str,
    play: for<'a> fn(&'a Stage<'a>) -> Seen<'a>,
}

/// In the order in which they are played.
pub const SCENES: [Scene; 11] = [
    Scene { control: "s3-public-policy", play: |stage| Box::pin(policy(stage)) },
    Scene { control: "s3-public-acl", play: |stage| Box::pin(acl(stage)) },
    Scene { control: "s3-public-account", play: |stage| Box::pin(account(stage)) },
    Scene { control: "s3-weak-encryption", play: |stage| Box::pin(encryption(stage)) },
    Scene { control: "ebs-unencrypted-default", play: |stage| Box::pin(volumes(stage)) },
    Scene { control: "iam-stale-access-key", play: |stage| Box::pin(stale(stage)) },
    Scene { control: "iam-exposed-access-key", play: |stage| Box::pin(exposed(stage)) },
    Scene { control: "ec2-open-security-group", play: |stage| Box::pin(world(stage)) },
    Scene { control: "ec2-default-security-group", play: |stage| Box::pin(default(stage)) },
    Scene { control: "ec2-quarantine-security-group", play: |stage| Box::pin(quarantine(stage)) },
    Scene { control: "suture-tampering", play: |stage| Box::pin(tampering(stage)) },
];

/// Plays a scene.
pub async fn play(stage: &Stage<'_>, scene: &Scene) -> Result<Step, String> {
    // The others only plan meanwhile: one event can wake several of them, and each is to be seen by itself.
    for function in stage.lab.gateway.functions.names().into_iter().filter(|name| name.contains('-')) {
        let mode = if function == scene.control { "enforce" } else { "plan" };
        let config = stage.lab.gateway.functions.config(&function);
        // Set again it would start anew.
        if config.is_some_and(|config| config.environment.get("SUTURE_MODE").is_none_or(|set| set != mode)) {
            stage.lab.set(&function, &[("SUTURE_MODE", mode)])?;
        }
    }
    (scene.play)(stage).await
}

fn said(answer: &ApiResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// A step in which a function did this.
fn done(id: &'static str, title: &'static str, event: (Report, Duration), outcome: &str, writes: usize) -> Step {
    let mut step = Step::new(id, title);
    step.did_after(event);
    step.expect_outcome(outcome, writes);
    step
}

async fn policy(stage: &Stage<'_>) -> Result<Step, String> {
    open_bucket(&stage.quiet, "clinic-exports").await?;
    let partner = json!({
        "Sid": "PartnerReads", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::clinic-exports/*",
    });
    let mut policy: serde_json::Value = serde_json::from_str(&public_policy("clinic-exports")).unwrap_or_default();
    if let Some(statements) = policy.get_mut("Statement").and_then(serde_json::Value::as_array_mut) {
        statements.push(partner);
    }
    let doing = stage.alice.must(Method::PUT, "/clinic-exports?policy", policy.to_string());
    let event = stage.event_of("s3-public-policy", doing).await?;
    let title = "a policy lets everybody read; the partner's statement stays";
    let mut step = done("policy", title, event, "fixed", 1);
    let left = said(&stage.quiet.s3(Method::GET, "/clinic-exports?policy", Bytes::new()).await?);
    let kept = left.contains("PartnerReads") && !left.contains("EverybodyReads");
    step.see("read independently: the public statement is gone, the partner's is there", kept);
    Ok(step)
}

async fn acl(stage: &Stage<'_>) -> Result<Step, String> {
    open_bucket(&stage.quiet, "clinic-logs").await?;
    let doing = stage.alice.must(Method::PUT, "/clinic-logs?acl", grants(&stage.quiet, "clinic-logs").await?);
    let event = stage.event_of("s3-public-acl", doing).await?;
    let title = "a grant to everybody; that of log delivery stays";
    let mut step = done("acl", title, event, "fixed", 1);
    let left = said(&stage.quiet.s3(Method::GET, "/clinic-logs?acl", Bytes::new()).await?);
    let kept = left.contains("LogDelivery") && !left.contains("AllUsers");
    step.see("read independently: the public grant is gone, that of log delivery is there", kept);
    Ok(step)
}

async fn account(stage: &Stage<'_>) -> Result<Step, String> {
    stage.quiet.account_block(Method::PUT, ACCOUNT, &block(&SETTINGS)).await?;
    let doing = stage.alice.account_block(Method::DELETE, ACCOUNT, "");
    let event = stage.event_of("s3-public-account", doing).await?;
    let title = "the account's block; closing would darken the website";
    let mut step = done("account", title, event, "refused", 0);
    let named = step.record().to_string().contains("clinic-website");
    step.see("it names whom it would cut off", named);
    Ok(step)
}

async fn encryption(stage: &Stage<'_>) -> Result<Step, String> {
    let weak = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256\
                </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    let doing = stage.alice.must(Method::PUT, "/clinic-billing?encryption", weak);
    let event = stage.event_of("s3-weak-encryption", doing).await?;
    let title = "default encryption set back to S3's own keys";
    let mut step = done("encryption", title, event, "fixed", 1);
    let now = said(&stage.quiet.s3(Method::GET, "/clinic-billing?encryption", Bytes::new()).await?);
    step.see(
        "read independently: KMS, with a bucket key",
        now.contains("aws:kms") && now.contains("<BucketKeyEnabled>true"),
    );
    Ok(step)
}

async fn volumes(stage: &Stage<'_>) -> Result<Step, String> {
    stage.quiet.must_query("ec2", "EnableEbsEncryptionByDefault", &[]).await?;
    let doing = stage.alice.must_query("ec2", "DisableEbsEncryptionByDefault", &[]);
    let event = stage.event_of("ebs-unencrypted-default", doing).await?;
    let mut step = done("volumes", "encryption of new volumes switched off", event, "fixed", 1);
    let now = stage.quiet.must_query("ec2", "GetEbsEncryptionByDefault", &[]).await?;
    step.see("read independently: it is on", text(&now, "ebsEncryptionByDefault")? == "true");
    Ok(step)
}

/// The keys of a user that are active.
async fn active(quiet: &Client, name: &str) -> Result<Vec<String>, String> {
    let keys = quiet.must_query("iam", "ListAccessKeys", &[("UserName", name)]).await?;
    let (ids, statuses) = (keys.texts("AccessKeyId"), keys.texts("Status"));
    Ok(ids.into_iter().zip(statuses).filter(|(_, status)| status == "Active").map(|(id, _)| id).collect())
}

async fn stale(stage: &Stage<'_>) -> Result<Step, String> {
    let old = user(stage.lab, &stage.quiet, "ct-scanner", "2024-01-15T08:00:00Z", None).await?;
    let doing = stage.alice.must_query("iam", "CreateAccessKey", &[("UserName", "ct-scanner")]);
    let event = stage.event_of("iam-stale-access-key", doing).await?;
    let title = "a new key; the old one was never used, in years";
    let mut step = done("stale", title, event, "fixed", 1);
    let left = active(&stage.quiet, "ct-scanner").await?;
    step.see("read independently: the new key is active, the old one is not", left.len() == 1 && !left.contains(&old));
    Ok(step)
}

async fn exposed(stage: &Stage<'_>) -> Result<Step, String> {
    let key = user(stage.lab, &stage.quiet, "billing-export", "60 days ago", None).await?;
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let event = json!({
        "version": "0", "id": "6e3a8f52-1d2c-4b7e-8a11-000000000041", "detail-type": "AWS Health Event",
        "source": "aws.health", "account": ACCOUNT, "time": now, "region": HOME_REGION,
        "resources": [key],
        "detail": {
            "eventArn": "arn:aws:health:us-east-1::event/RISK/AWS_RISK_CREDENTIALS_EXPOSED/example",
            "service": "RISK", "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED", "eventTypeCategory": "issue",
            "affectedEntities": [{"entityValue": key}], "affectedAccount": ACCOUNT,
        },
    });
    let doing = async {
        match stage.lab.put_event(&event).as_slice() {
            [] => Err("no rule takes the event".to_owned()),
            _ => Ok(()),
        }
    };
    let event = stage.event_of("iam-exposed-access-key", doing).await?;
    let title = "AWS Health found a key in public";
    let mut step = done("exposed", title, event, "fixed", 1);
    step.see(
        "read independently: no key of billing-export is active",
        active(&stage.quiet, "billing-export").await?.is_empty(),
    );
    step.see("it says what else to do", !step.record().pointer("/notes/0").is_none_or(serde_json::Value::is_null));
    Ok(step)
}

async fn world(stage: &Stage<'_>) -> Result<Step, String> {
    let id = group(&stage.quiet, "clinic-web").await?;
    let rules = [
        ("GroupId", id.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "203.0.113.0/24"),
        ("IpPermissions.1.IpRanges.1.Description", "the clinic's office"),
        ("IpPermissions.1.IpRanges.2.CidrIp", "0.0.0.0/0"),
        ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "::/0"),
    ];
    let doing = stage.alice.must_query("ec2", "AuthorizeSecurityGroupIngress", &rules);
    let event = stage.event_of("ec2-open-security-group", doing).await?;
    let title = "SSH open to the office and the world; the office stays";
    let mut step = done("group", title, event, "fixed", 1);
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", id.as_str())];
    let now = stage.quiet.must_query("ec2", "DescribeSecurityGroupRules", &filter).await?;
    let ingress = now.texts("isEgress").iter().filter(|egress| *egress == "false").count();
    let kept = ingress == 1 && now.texts("cidrIpv4").iter().any(|cidr| cidr == "203.0.113.0/24");
    step.see("read independently: the office may, the world may not", kept);
    Ok(step)
}

async fn default(stage: &Stage<'_>) -> Result<Step, String> {
    let made = stage.quiet.must_query("ec2", "CreateVpc", &[("CidrBlock", "10.9.0.0/16")]).await?;
    let vpc = text(&made, "vpcId")?;
    let id = first(&stage.quiet, "DescribeSecurityGroups", "vpc-id", &vpc, "groupId").await?;
    let rule = [
        ("GroupId", id.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "443"),
        ("IpPermissions.1.ToPort", "443"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
    ];
    let doing = stage.alice.must_query("ec2", "AuthorizeSecurityGroupIngress", &rule);
    let event = stage.event_of("ec2-default-security-group", doing).await?;
    let title = "a VPC's default group, which is to let nothing through";
    let mut step = done("default", title, event, "fixed", 2);
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", id.as_str())];
    let rules = stage.quiet.must_query("ec2", "DescribeSecurityGroupRules", &filter).await?;
    step.see("read independently: it has no rule", rules.texts("securityGroupRuleId").is_empty());
    Ok(step)
}

async fn quarantine(stage: &Stage<'_>) -> Result<Step, String> {
    let id = group(&stage.quiet, "clinic-web-old").await?;
    let instance = instance(&stage.quiet, &id).await?;
    let request = json!({"resource": instance, "mode": "enforce", "reason": "INC-123"});
    let report = stage.lab.invoke("ec2-quarantine-security-group", &request).await?;
    let mut step = Step::new("quarantine", "by hand: a suspicious instance cut off, and released");
    step.did(report);
    let said = step.field("/outcome");
    step.expect(format!("the function says {said}"), said == "fixed");
    let interfaces = [("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", instance.as_str())];
    let now = stage.quiet.must_query("ec2", "DescribeNetworkInterfaces", &interfaces).await?;
    let left = now.texts("groupId");
    step.see("read independently: it has left its group", !left.is_empty() && !left.contains(&id));
    let undo = json!({"mode": "undo", "record": step.record(), "reason": "INC-123 is over"});
    let released = stage.lab.invoke(UNDO, &undo).await?;
    let outcome = released.json().pointer("/records/0/outcome").cloned().unwrap_or_default();
    let now = stage.quiet.must_query("ec2", "DescribeNetworkInterfaces", &interfaces).await?;
    step.see(
        "released by its record, it is back in its group",
        outcome == "undone" && now.texts("groupId").contains(&id),
    );
    Ok(step)
}

async fn tampering(stage: &Stage<'_>) -> Result<Step, String> {
    let pattern = json!({"source": ["aws.s3"]}).to_string();
    let rule = json!({"Name": "suture-s3-public-bucket", "EventPattern": pattern, "State": "ENABLED"});
    stage.quiet.must_json("events", "PutRule", &rule).await?;
    let name = json!({"Name": "suture-s3-public-bucket"});
    let doing = stage.alice.must_json("events", "DisableRule", &name);
    let event = stage.event_of("suture-tampering", doing).await?;
    let title = "its own rule disabled: it tells, and repairs nothing";
    let mut step = done("tampering", title, event, "refused", 0);
    let why = step.field("/why");
    step.see("it names who did what", why.contains("alice") && why.contains("DisableRule"));
    Ok(step)
}
