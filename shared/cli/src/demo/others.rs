//! The second half of the demo: each of the other controls mends something of its own, once, in mode enforce.

use super::{Step, event_of};
use crate::account::{ALICE, HOME_REGION, public_policy};
use ::lab::call::ACCOUNT;
use ::lab::http::ApiResponse;
use ::lab::runtime::Report;
use ::lab::{Client, Lab};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::pin::Pin;

/// What will be seen.
type Seen<'a> = Pin<Box<dyn Future<Output = Result<Step, String>> + 'a>>;

/// A control, and the play in which it appears. The play gets the lab, alice, and a client that nobody sees.
pub struct Scene {
    /// The control.
    pub control: &'static str,
    play: for<'a> fn(&'a Lab, &'a Client, &'a Client) -> Seen<'a>,
}

/// In the order in which they are played.
pub const SCENES: [Scene; 11] = [
    Scene { control: "s3-public-policy", play: |lab, alice, quiet| Box::pin(policy(lab, alice, quiet)) },
    Scene { control: "s3-public-acl", play: |lab, alice, quiet| Box::pin(acl(lab, alice, quiet)) },
    Scene { control: "s3-public-account", play: |lab, alice, quiet| Box::pin(account(lab, alice, quiet)) },
    Scene { control: "s3-weak-encryption", play: |lab, alice, quiet| Box::pin(encryption(lab, alice, quiet)) },
    Scene { control: "ebs-unencrypted-default", play: |lab, alice, quiet| Box::pin(volumes(lab, alice, quiet)) },
    Scene { control: "iam-stale-access-key", play: |lab, alice, quiet| Box::pin(stale(lab, alice, quiet)) },
    Scene { control: "iam-exposed-access-key", play: |lab, alice, quiet| Box::pin(exposed(lab, alice, quiet)) },
    Scene { control: "ec2-open-security-group", play: |lab, alice, quiet| Box::pin(group(lab, alice, quiet)) },
    Scene { control: "ec2-default-security-group", play: |lab, alice, quiet| Box::pin(default(lab, alice, quiet)) },
    Scene {
        control: "ec2-quarantine-security-group",
        play: |lab, alice, quiet| Box::pin(quarantine(lab, alice, quiet)),
    },
    Scene { control: "suture-tampering", play: |lab, alice, quiet| Box::pin(tampering(lab, alice, quiet)) },
];

/// Plays a scene.
pub async fn play(lab: &Lab, scene: &Scene) -> Result<Step, String> {
    // The others only plan meanwhile: one event can wake several of them, and each is to be seen by itself.
    for function in &lab.template.functions {
        let mode = if function.code_dir == scene.control { "enforce" } else { "plan" };
        lab.set(&function.code_dir, &[("SUTURE_MODE", mode)])?;
    }
    (scene.play)(lab, &lab.client(ALICE, HOME_REGION), &lab.quiet_client(HOME_REGION)).await
}

fn said(answer: &ApiResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// The first element of this name in an answer.
fn text(answer: &ApiResponse, element: &str) -> Result<String, String> {
    answer.texts(element).into_iter().next().ok_or_else(|| format!("the answer has no {element}"))
}

fn fixed(id: &'static str, title: &'static str, report: Report, writes: usize) -> Step {
    let mut step = Step::new(id, title, Some(report));
    step.see_outcome("fixed");
    step.see_writes(writes);
    step
}

async fn policy(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    quiet.must(Method::PUT, "/clinic-exports", Bytes::new()).await?;
    quiet.must(Method::DELETE, "/clinic-exports?publicAccessBlock", Bytes::new()).await?;
    let partner = json!({
        "Sid": "PartnerReads", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::clinic-exports/*",
    });
    let mut policy: serde_json::Value = serde_json::from_str(&public_policy("clinic-exports")).unwrap_or_default();
    if let Some(statements) = policy.get_mut("Statement").and_then(serde_json::Value::as_array_mut) {
        statements.push(partner);
    }
    let doing = alice.must(Method::PUT, "/clinic-exports?policy", policy.to_string());
    let report = event_of(lab, "s3-public-policy", doing).await?;
    let title = "alice lets everybody read clinic-exports, in a policy that a partner needs too";
    let mut step = fixed("policy", title, report, 1);
    let left = said(&quiet.s3(Method::GET, "/clinic-exports?policy", Bytes::new()).await?);
    let kept = left.contains("PartnerReads") && !left.contains("EverybodyReads");
    step.see("read independently: the public statement is gone, the partner's is there", kept);
    Ok(step)
}

const GRANTS: &str = r#"<AccessControlPolicy><Owner><ID>OWNER</ID></Owner><AccessControlList>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>OWNER</ID></Grantee>
<Permission>FULL_CONTROL</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI></Grantee>
<Permission>WRITE</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>
<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>"#;

async fn acl(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    quiet.must(Method::PUT, "/clinic-logs", Bytes::new()).await?;
    quiet.must(Method::DELETE, "/clinic-logs?publicAccessBlock", Bytes::new()).await?;
    let ownership =
        "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>";
    quiet.must(Method::PUT, "/clinic-logs?ownershipControls", ownership).await?;
    let owner = text(&quiet.s3(Method::GET, "/clinic-logs?acl", Bytes::new()).await?, "ID")?;
    let doing = alice.must(Method::PUT, "/clinic-logs?acl", GRANTS.replace("OWNER", &owner));
    let report = event_of(lab, "s3-public-acl", doing).await?;
    let mut step = fixed("acl", "alice grants everybody to read clinic-logs, where logs are delivered", report, 1);
    let left = said(&quiet.s3(Method::GET, "/clinic-logs?acl", Bytes::new()).await?);
    let kept = left.contains("LogDelivery") && !left.contains("AllUsers");
    step.see("read independently: the public grant is gone, that of log delivery is there", kept);
    Ok(step)
}

async fn account(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    let settings = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    let block: String = settings.map(|name| format!("<{name}>true</{name}>")).concat();
    let block = format!("<PublicAccessBlockConfiguration>{block}</PublicAccessBlockConfiguration>");
    quiet.account_block(Method::PUT, ACCOUNT, &block).await?;
    let doing = alice.account_block(Method::DELETE, ACCOUNT, "");
    let report = event_of(lab, "s3-public-account", doing).await?;
    let title =
        "alice deletes the account's own block. Closing it would darken clinic-website: it says so, and refuses";
    let mut step = Step::new("account", title, Some(report));
    step.see_outcome("refused");
    step.see_writes(0);
    let named = step.record().to_string().contains("clinic-website");
    step.see("it names whom it would cut off", named);
    Ok(step)
}

async fn encryption(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    let weak = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256\
                </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    let doing = alice.must(Method::PUT, "/clinic-billing?encryption", weak);
    let report = event_of(lab, "s3-weak-encryption", doing).await?;
    let mut step =
        fixed("encryption", "alice sets the default encryption of clinic-billing to S3's own keys", report, 1);
    let now = said(&quiet.s3(Method::GET, "/clinic-billing?encryption", Bytes::new()).await?);
    step.see(
        "read independently: KMS, with a bucket key",
        now.contains("aws:kms") && now.contains("<BucketKeyEnabled>true"),
    );
    Ok(step)
}

async fn volumes(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    quiet.must_query("ec2", "EnableEbsEncryptionByDefault", &[]).await?;
    let doing = alice.must_query("ec2", "DisableEbsEncryptionByDefault", &[]);
    let report = event_of(lab, "ebs-unencrypted-default", doing).await?;
    let mut step = fixed("volumes", "alice switches the encryption of new volumes off", report, 1);
    let now = quiet.must_query("ec2", "GetEbsEncryptionByDefault", &[]).await?;
    step.see("read independently: it is on", text(&now, "ebsEncryptionByDefault")? == "true");
    Ok(step)
}

/// A user with a key of this age, in days; the key.
async fn user(lab: &Lab, quiet: &Client, name: &str, created: &str) -> Result<String, String> {
    quiet.must_query("iam", "CreateUser", &[("UserName", name)]).await?;
    let made = quiet.must_query("iam", "CreateAccessKey", &[("UserName", name)]).await?;
    let key = text(&made, "AccessKeyId")?;
    lab.wish("iam/age-key", json!({"accessKeyId": key, "created": created, "lastUsed": null})).await?;
    Ok(key)
}

/// The keys of a user that are active.
async fn active(quiet: &Client, name: &str) -> Result<Vec<String>, String> {
    let keys = quiet.must_query("iam", "ListAccessKeys", &[("UserName", name)]).await?;
    let (ids, statuses) = (keys.texts("AccessKeyId"), keys.texts("Status"));
    Ok(ids.into_iter().zip(statuses).filter(|(_, status)| status == "Active").map(|(id, _)| id).collect())
}

async fn stale(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    let old = user(lab, quiet, "ct-scanner", "2024-01-15T08:00:00Z").await?;
    let doing = alice.must_query("iam", "CreateAccessKey", &[("UserName", "ct-scanner")]);
    let report = event_of(lab, "iam-stale-access-key", doing).await?;
    let title = "alice gives ct-scanner a new key. The old one was never used, in years";
    let mut step = fixed("stale", title, report, 1);
    let left = active(quiet, "ct-scanner").await?;
    step.see("read independently: the new key is active, the old one is not", left.len() == 1 && !left.contains(&old));
    Ok(step)
}

async fn exposed(lab: &Lab, _: &Client, quiet: &Client) -> Result<Step, String> {
    let key = user(lab, quiet, "billing-export", "2026-01-10T08:00:00Z").await?;
    let event = json!({
        "version": "0", "id": "6e3a8f52-1d2c-4b7e-8a11-000000000041", "detail-type": "AWS Health Event",
        "source": "aws.health", "account": ACCOUNT, "time": "2026-01-15T10:45:23Z", "region": HOME_REGION,
        "resources": [key],
        "detail": {
            "eventArn": "arn:aws:health:us-east-1::event/RISK/AWS_RISK_CREDENTIALS_EXPOSED/example",
            "service": "RISK", "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED", "eventTypeCategory": "issue",
            "affectedEntities": [{"entityValue": key}], "affectedAccount": ACCOUNT,
        },
    });
    let doing = async {
        match lab.put_event(&event).as_slice() {
            [] => Err("no rule takes the event".to_owned()),
            _ => Ok(()),
        }
    };
    let report = event_of(lab, "iam-exposed-access-key", doing).await?;
    let mut step = fixed("exposed", "AWS Health says that a key of billing-export was found in public", report, 1);
    step.see(
        "read independently: no key of billing-export is active",
        active(quiet, "billing-export").await?.is_empty(),
    );
    step.see("it says what else to do", !step.record().pointer("/notes/0").is_none_or(serde_json::Value::is_null));
    Ok(step)
}

/// The default VPC, or its default group.
async fn first(quiet: &Client, operation: &str, filter: &str, value: &str, element: &str) -> Result<String, String> {
    text(&quiet.must_query("ec2", operation, &[("Filter.1.Name", filter), ("Filter.1.Value.1", value)]).await?, element)
}

async fn made_group(quiet: &Client, name: &str) -> Result<String, String> {
    let vpc = first(quiet, "DescribeVpcs", "is-default", "true", "vpcId").await?;
    let fields = [("GroupName", name), ("GroupDescription", "the clinic's"), ("VpcId", &vpc)];
    text(&quiet.must_query("ec2", "CreateSecurityGroup", &fields).await?, "groupId")
}

async fn group(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    let id = made_group(quiet, "clinic-web").await?;
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
    let doing = alice.must_query("ec2", "AuthorizeSecurityGroupIngress", &rules);
    let report = event_of(lab, "ec2-open-security-group", doing).await?;
    let mut step = fixed("group", "alice opens SSH to the office and, in the same rule, to the world", report, 1);
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", id.as_str())];
    let now = quiet.must_query("ec2", "DescribeSecurityGroupRules", &filter).await?;
    let ingress = now.texts("isEgress").iter().filter(|egress| *egress == "false").count();
    let kept = ingress == 1 && now.texts("cidrIpv4").iter().any(|cidr| cidr == "203.0.113.0/24");
    step.see("read independently: the office may, the world may not", kept);
    Ok(step)
}

async fn default(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    let made = quiet.must_query("ec2", "CreateVpc", &[("CidrBlock", "10.9.0.0/16")]).await?;
    let vpc = text(&made, "vpcId")?;
    let id = first(quiet, "DescribeSecurityGroups", "vpc-id", &vpc, "groupId").await?;
    let rule = [
        ("GroupId", id.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "443"),
        ("IpPermissions.1.ToPort", "443"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
    ];
    let doing = alice.must_query("ec2", "AuthorizeSecurityGroupIngress", &rule);
    let report = event_of(lab, "ec2-default-security-group", doing).await?;
    let mut step = fixed("default", "alice uses a VPC's default group, which is to let nothing through", report, 2);
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", id.as_str())];
    let rules = quiet.must_query("ec2", "DescribeSecurityGroupRules", &filter).await?;
    step.see("read independently: it has no rule", rules.texts("securityGroupRuleId").is_empty());
    Ok(step)
}

async fn quarantine(lab: &Lab, _: &Client, quiet: &Client) -> Result<Step, String> {
    let id = made_group(quiet, "clinic-web-old").await?;
    let image = text(&quiet.must_query("ec2", "DescribeImages", &[]).await?, "imageId")?;
    let fields =
        [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1"), ("SecurityGroupId.1", id.as_str())];
    let instance = text(&quiet.must_query("ec2", "RunInstances", &fields).await?, "instanceId")?;
    let request = json!({"resource": instance, "mode": "enforce", "reason": "INC-123"});
    let report = lab.invoke("ec2-quarantine-security-group", &request).await?;
    let title = "An instance is under suspicion. By hand: cut it off, connections that are open too";
    let mut step = Step::new("quarantine", title, Some(report));
    step.see_outcome("fixed");
    let interfaces = [("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", instance.as_str())];
    let now = quiet.must_query("ec2", "DescribeNetworkInterfaces", &interfaces).await?;
    let left = now.texts("groupId");
    step.see("read independently: it has left its group", !left.is_empty() && !left.contains(&id));
    let undo = json!({"mode": "undo", "record": step.record(), "reason": "INC-123 is over"});
    let released = lab.invoke(super::UNDO, &undo).await?;
    let outcome = released.json().pointer("/records/0/outcome").cloned().unwrap_or_default();
    let now = quiet.must_query("ec2", "DescribeNetworkInterfaces", &interfaces).await?;
    step.see(
        "released by its record, it is back in its group",
        outcome == "undone" && now.texts("groupId").contains(&id),
    );
    Ok(step)
}

async fn tampering(lab: &Lab, alice: &Client, quiet: &Client) -> Result<Step, String> {
    let pattern = json!({"source": ["aws.s3"]}).to_string();
    let rule = json!({"Name": "suture-s3-public-bucket", "EventPattern": pattern, "State": "ENABLED"});
    quiet.must_json("events", "PutRule", &rule).await?;
    let name = json!({"Name": "suture-s3-public-bucket"});
    let doing = alice.must_json("events", "DisableRule", &name);
    let report = event_of(lab, "suture-tampering", doing).await?;
    let title =
        "alice disables the rule that wakes s3-public-bucket. Suture repairs nothing of its own, and tells of it";
    let mut step = Step::new("tampering", title, Some(report));
    step.see_outcome("refused");
    step.see_writes(0);
    let why = step.record().get("why").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    step.see("it names who did what", why.contains("alice") && why.contains("DisableRule"));
    Ok(step)
}
