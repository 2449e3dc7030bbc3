//! Resources as events spell them, in one form: CloudFormation's types, and ids whose shape is sound.
//!
//! Ids are hostile: they reach URLs, records and terminals. What cannot be the id of its type goes no further than here.

use crate::arn;
use crate::ids::{AccountId, shown};
use crate::value::unsightly;
use crate::{Act, Notice, Resource};
use std::collections::BTreeSet;

/// The most resources of one event. `RunInstances` and a page of affected entities stay far below.
pub(crate) const MOST_RESOURCES: usize = 1000;

/// The longest id. ARNs have at most 2048 characters.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_S3Tag.html>
const LONGEST_ID: usize = 2048;

/// An account's type, in AWS Config's words.
pub(crate) const ACCOUNT: &str = "AWS::::Account";
/// An access key's type.
pub(crate) const ACCESS_KEY: &str = "AWS::IAM::AccessKey";
/// An IAM user's type.
pub(crate) const USER: &str = "AWS::IAM::User";
/// An IAM role's type.
pub(crate) const ROLE: &str = "AWS::IAM::Role";
/// A bucket's type.
pub(crate) const BUCKET: &str = "AWS::S3::Bucket";
/// An instance's type.
pub(crate) const INSTANCE: &str = "AWS::EC2::Instance";
/// A security group's type.
pub(crate) const SECURITY_GROUP: &str = "AWS::EC2::SecurityGroup";

/// Services of ASFF's resource types and CloudFormation's names for them, where they differ by more than `Aws`.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/asff-resources.html>
const ASFF_SERVICES: &[(&str, &str)] = &[
    ("AmazonMq", "AmazonMQ"),
    ("ApiGatewayV2", "ApiGatewayV2"),
    ("ApiGateway", "ApiGateway"),
    ("AppSync", "AppSync"),
    ("Athena", "Athena"),
    ("AutoScaling", "AutoScaling"),
    ("Backup", "Backup"),
    ("CertificateManager", "CertificateManager"),
    ("CloudFormation", "CloudFormation"),
    ("CloudFront", "CloudFront"),
    ("CloudTrail", "CloudTrail"),
    ("CloudWatch", "CloudWatch"),
    ("CodeBuild", "CodeBuild"),
    ("Dms", "DMS"),
    ("DynamoDb", "DynamoDB"),
    ("Ec2", "EC2"),
    ("Ecr", "ECR"),
    ("Ecs", "ECS"),
    ("Efs", "EFS"),
    ("Eks", "EKS"),
    ("ElasticBeanstalk", "ElasticBeanstalk"),
    ("Elasticsearch", "Elasticsearch"),
    ("Elbv2", "ElasticLoadBalancingV2"),
    ("Elb", "ElasticLoadBalancing"),
    ("EventSchemas", "EventSchemas"),
    ("Events", "Events"),
    ("GuardDuty", "GuardDuty"),
    ("Iam", "IAM"),
    ("Kinesis", "Kinesis"),
    ("Kms", "KMS"),
    ("Lambda", "Lambda"),
    ("Msk", "MSK"),
    ("NetworkFirewall", "NetworkFirewall"),
    ("OpenSearchService", "OpenSearchService"),
    ("Rds", "RDS"),
    ("Redshift", "Redshift"),
    ("Route53", "Route53"),
    ("S3", "S3"),
    ("SageMaker", "SageMaker"),
    ("SecretsManager", "SecretsManager"),
    ("Sns", "SNS"),
    ("Sqs", "SQS"),
    ("Ssm", "SSM"),
    ("StepFunction", "StepFunctions"),
    ("WafRegional", "WAFRegional"),
    ("Wafv2", "WAFv2"),
    ("Waf", "WAF"),
    ("Xray", "XRay"),
];

/// Kinds within a service that ASFF spells otherwise than CloudFormation.
const ASFF_KINDS: &[(&str, &str)] = &[
    ("DbCluster", "DBCluster"),
    ("DbClusterSnapshot", "DBClusterSnapshot"),
    ("DbInstance", "DBInstance"),
    ("DbSecurityGroup", "DBSecurityGroup"),
    ("DbSnapshot", "DBSnapshot"),
    ("Eip", "EIP"),
    ("GraphQLApi", "GraphQLApi"),
    ("Vpc", "VPC"),
    ("VpcEndpoint", "VPCEndpoint"),
    ("VpcEndpointService", "VPCEndpointService"),
    ("VpcPeeringConnection", "VPCPeeringConnection"),
    ("VpnConnection", "VPNConnection"),
    ("WebAcl", "WebACL"),
];

/// How the ids of EC2's resources begin.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>
const EC2_IDS: &[(&str, &str)] = &[
    (INSTANCE, "i-"),
    (SECURITY_GROUP, "sg-"),
    ("AWS::EC2::EIP", "eipalloc-"),
    ("AWS::EC2::FlowLog", "fl-"),
    ("AWS::EC2::Image", "ami-"),
    ("AWS::EC2::InternetGateway", "igw-"),
    ("AWS::EC2::LaunchTemplate", "lt-"),
    ("AWS::EC2::NetworkAcl", "acl-"),
    ("AWS::EC2::NetworkInterface", "eni-"),
    ("AWS::EC2::PrefixList", "pl-"),
    ("AWS::EC2::RouteTable", "rtb-"),
    ("AWS::EC2::Snapshot", "snap-"),
    ("AWS::EC2::Subnet", "subnet-"),
    ("AWS::EC2::TransitGateway", "tgw-"),
    ("AWS::EC2::Volume", "vol-"),
    ("AWS::EC2::VPC", "vpc-"),
    ("AWS::EC2::VPCEndpoint", "vpce-"),
    ("AWS::EC2::VPNConnection", "vpn-"),
];

/// The type of an EC2 resource by how its id begins.
pub(crate) fn ec2_type(id: &str) -> Option<&'static str> {
    let prefix = id.split_inclusive('-').next()?;
    EC2_IDS.iter().find(|(_, begins)| *begins == prefix).map(|(r#type, _)| *r#type)
}

/// CloudFormation's name for a type that an event spells in CloudFormation's or ASFF's way; none if it says nothing (`Other`).
fn cloudformation(spelled: &str) -> Option<String> {
    let spelled: String = spelled.chars().filter(|c| !c.is_whitespace()).take(128).collect();
    if spelled.contains("::") {
        return Some(spelled);
    }
    match spelled.as_str() {
        "AwsAccount" => return Some(ACCOUNT.to_owned()),
        "AwsS3AccountPublicAccessBlock" => return Some("AWS::S3::AccountPublicAccessBlock".to_owned()),
        "" | "Other" => return None,
        _ => {}
    }
    let Some(rest) = spelled.strip_prefix("Aws") else { return Some(spelled) };
    let (service, kind) = ASFF_SERVICES.iter().find_map(|(asff, service)| {
        rest.strip_prefix(asff).filter(|kind| !kind.is_empty()).map(|kind| (service, kind))
    })?;
    let kind = ASFF_KINDS.iter().find(|(asff, _)| *asff == kind).map_or(kind, |(_, kind)| kind);
    Some(format!("AWS::{service}::{kind}"))
}

/// A resource as an event spells it. Takes its type as CloudFormation or ASFF has it (empty where only an ARN tells), its
/// id, and the name that the event gives beside it. Otherwise says what cannot be such an id.
pub(crate) fn resource(r#type: &str, id: &str, name: Option<&str>) -> Result<Resource, String> {
    // `AWS::::Account:111122223333`, `AWS::IAM::AccessKey:AKIA…|null`: so Security Hub spells what has no ARN.
    let bare = [ACCOUNT, ACCESS_KEY].iter().find_map(|kind| id.strip_prefix(kind)?.strip_prefix(':'));
    let id = bare.map_or(id, |bare| bare.split('|').next().unwrap_or_default());
    let parsed = arn::parse(id);
    // The ARNs of log groups end in `:*`, which is no part of their name.
    let id = match parsed {
        Some(arn) if arn.service == "logs" => id.strip_suffix(":*").unwrap_or(id),
        _ => id,
    };
    let told = parsed.as_ref().and_then(arn::named);
    let r#type = cloudformation(r#type)
        .or_else(|| told.map(|(r#type, _)| r#type.to_owned()))
        .ok_or_else(|| format!("nothing says what {} is", shown(id)))?;
    // `arn:aws:iam::111122223333:root` is the account.
    let id = match parsed {
        Some(arn) if r#type == ACCOUNT && arn.resource == "root" => id.split(':').nth(4).unwrap_or_default(),
        _ => id,
    };
    if !r#type.bytes().all(|b| b.is_ascii_alphanumeric() || b == b':') {
        return Err(format!("resource type {} is no type", shown(&r#type)));
    }
    check(&r#type, id).map_err(|why| format!("{} is no id of {}: {why}", shown(id), shown(&r#type)))?;
    let name = name.filter(|name| !name.is_empty());
    // A name that is none is not worth losing the resource for, whose id is sound.
    let given = name.filter(|name| *name != id && general(name).is_ok()).or_else(|| told.and_then(|(_, name)| name));
    let plain = parsed.is_none().then_some(id).filter(|_| given.is_none() && is_name(&r#type, id));
    Ok(Resource { name: given.or(plain).map(str::to_owned), r#type, id: id.to_owned() })
}

/// Whether a plain id of a type is also the name that its API takes: Config knows IAM's users and RDS's instances by unique
/// ids.
fn is_name(r#type: &str, id: &str) -> bool {
    let unique = ["AIDA", "AROA", "AGPA", "ANPA", "db-", "cluster-"].iter().any(|begins| id.starts_with(begins));
    !(unique && (r#type.starts_with("AWS::IAM::") || r#type.starts_with("AWS::RDS::")))
        && !matches!(r#type, ACCOUNT | ACCESS_KEY)
        && !id.starts_with("https:")
}

/// What no id has, whatever it is of.
fn general(id: &str) -> Result<(), &'static str> {
    if id.contains("{{") {
        return Err("a template that was never filled in?");
    }
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err("it must have 1 to 2048 characters");
    }
    if id.chars().any(unsightly) || id.trim() != id {
        return Err("it has control characters or blanks around it");
    }
    if id.contains('*') {
        return Err("it is a pattern");
    }
    if id.contains("../") || id.contains("..\\") {
        return Err("it is a path");
    }
    Ok(())
}

fn check(r#type: &str, id: &str) -> Result<(), &'static str> {
    general(id)?;
    let parsed = arn::parse(id);
    // The part of an ARN that is the resource's own: after the last slash, or the name of a bucket.
    let own = match &parsed {
        Some(arn) if r#type == BUCKET => arn.resource,
        Some(arn) => arn.resource.rsplit('/').next().unwrap_or_default(),
        None => id,
    };
    if id.starts_with("arn:") {
        let Some(arn) = &parsed else { return Err("it is half an ARN") };
        let sound =
            |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'|');
        // Alarms may be called anything.
        if arn.service != "cloudwatch" && !id.bytes().all(sound) {
            return Err("no ARN has such characters");
        }
        if arn::named(arn).is_some_and(|(told, _)| well_known(r#type) && told != r#type) {
            return Err("it is the ARN of something else");
        }
    }
    if let Some((_, begins)) = EC2_IDS.iter().find(|(known, _)| *known == r#type) {
        let rest = own.strip_prefix(begins).unwrap_or_default();
        let sound = (1..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        return if sound { Ok(()) } else { Err("its prefix, then letters and digits, are what EC2 gives") };
    }
    match r#type {
        ACCOUNT => AccountId::parse(own).map(drop).map_err(|_| "an account has twelve digits"),
        ACCESS_KEY if is_key(own) => Ok(()),
        ACCESS_KEY => Err("a key id is AKIA or ASIA, then capitals and digits"),
        BUCKET => bucket(own),
        USER | ROLE | "AWS::IAM::Group" => {
            let sound = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
            let long = (1..=128).contains(&own.len());
            if long && own.bytes().all(sound) { Ok(()) } else { Err("no name in IAM is like it") }
        }
        _ => Ok(()),
    }
}

/// Whether ids of a type have a shape that is checked.
fn well_known(r#type: &str) -> bool {
    matches!(r#type, BUCKET | USER | ROLE | "AWS::IAM::Group") || EC2_IDS.iter().any(|(known, _)| *known == r#type)
}

/// Whether a text is the id of an access key: IAM's (`AKIA`) or of a session of STS (`ASIA`).
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html>
pub(crate) fn is_key(id: &str) -> bool {
    (16..=128).contains(&id.len())
        && (id.starts_with("AKIA") || id.starts_with("ASIA"))
        && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>; capitals and underscores, which us-east-1
/// allowed until 2018, are taken too.
fn bucket(name: &str) -> Result<(), &'static str> {
    let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let edges = edge(name.bytes().next()) && edge(name.bytes().last());
    if (3..=63).contains(&name.len()) && sound && edges && !name.contains("..") {
        Ok(())
    } else {
        Err("a bucket's name has 3 to 63 letters, digits, dots, dashes and underscores")
    }
}

/// A notice with the resources that are sound, and what is wrong with the others. If none of several is sound, there is no
/// notice. A notice that asks for nothing has nothing wrong with it.
pub(crate) fn with_resources(mut notice: Notice, named: Vec<Result<Resource, String>>) -> Vec<Result<Notice, String>> {
    let some = !named.is_empty();
    let more = named.len() > MOST_RESOURCES;
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for found in named.into_iter().take(MOST_RESOURCES) {
        let mismatch = |resource: &Resource| {
            let account = notice.account.as_ref().map(AccountId::as_str);
            resource.r#type == ACCOUNT && account.is_some_and(|account| account != resource.id)
        };
        match found {
            Ok(resource) if mismatch(&resource) => {
                wrong.push(format!("account {} is not the one that the event is about", shown(&resource.id)));
            }
            Ok(resource) => {
                if seen.insert((resource.r#type.clone(), resource.id.clone())) {
                    notice.resources.push(resource);
                }
            }
            Err(why) => wrong.push(why),
        }
    }
    if notice.act == Act::Ignore {
        return vec![Ok(notice)];
    }
    if more {
        wrong.push(format!("the event names more than {MOST_RESOURCES} resources; the others were not read"));
    }
    let mut found = Vec::new();
    if !some || !notice.resources.is_empty() {
        found.push(Ok(notice));
    }
    found.extend(wrong.into_iter().map(Err));
    found
}

#[cfg(test)]
#[path = "resource_tests.rs"]
mod tests;
