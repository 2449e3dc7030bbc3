//! Security groups, network interfaces and EBS settings.

use super::{Act, Quirk};
use crate::understand::form;
use http::StatusCode;

pub(super) const DRY_RUN: Quirk = Quirk {
    id: "dry-run",
    aws: "Every call of EC2 with DryRun answers 412 DryRunOperation if the caller may make it, and changes nothing.",
    moto: "Knows DryRun in some calls only, after looking at what they name, and answers 400.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html",
    act: Act::Instead(|scene| {
        Box::pin(async move {
            let asked = |(name, value): (String, String)| name == "DryRun" && value.eq_ignore_ascii_case("true");
            let dry = scene.call.service == "ec2" && form(&scene.call.request).into_iter().any(asked);
            let message = "Request would have succeeded, but DryRun flag is set.";
            Ok(dry.then(|| scene.refuse(StatusCode::PRECONDITION_FAILED, "DryRunOperation", message)))
        })
    }),
};

pub(super) const PAGES: Quirk = Quirk {
    id: "ec2-pages",
    aws: "DescribeSecurityGroups, DescribeSecurityGroupRules, DescribeNetworkInterfaces and others give MaxResults (5 to \
          1000) items and a token for the rest.",
    moto: "Gives everything at once, whatever was asked for.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html",
    act: Act::Inside("ec2"),
};

pub(super) const RULES_BY_THEMSELVES: Quirk = Quirk {
    id: "security-group-rules",
    aws: "A rule is its protocol, ports and one peer, in canonical form: a second one like it is \
          InvalidPermission.Duplicate, whatever its description; a call that holds one of those changes nothing. Rules \
          keep the descriptions of prefix lists and groups, and say whose group they are in.",
    moto: "Takes a description for part of a group's rule, keeps 10.1.2.3/8 as it is written, adds the rules before the \
           duplicate, drops the descriptions of prefix lists and the group's owner, and fails at a filter it lacks.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html",
    act: Act::Inside("ec2"),
};

pub(super) const REVOKE_ALL_OR_NOTHING: Quirk = Quirk {
    id: "revoke-all-or-nothing",
    aws: "A revoke with an unknown rule id is InvalidSecurityGroupRuleId.NotFound; with properties that no rule has it is \
          InvalidPermission.NotFound in a VPC of one's own, and in a default VPC a success that names them. An error means \
          that nothing was revoked; a success names what was.",
    moto: "Answers InvalidPermission.NotFound to all of it, after revoking the permissions before.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html",
    act: Act::Inside("ec2"),
};

pub(super) const MODIFY_RULES: Quirk = Quirk {
    id: "modify-security-group-rules",
    aws: "ModifySecurityGroupRules changes a rule of any kind in place: all of them or none.",
    moto: "Knows IPv4 ranges alone, wants ports for every protocol, and keeps what it changed before an error.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySecurityGroupRules.html",
    act: Act::Inside("ec2"),
};

pub(super) const PREFIX_LIST_GONE: Quirk = Quirk {
    id: "prefix-list-gone",
    aws: "The entries of a prefix list that does not exist, or is not shared with the caller, are \
          InvalidPrefixListID.NotFound.",
    moto: "Says that it has none, and goes on telling those of a list that was deleted.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html",
    act: Act::Inside("ec2"),
};

pub(super) const DEFAULT_GROUP: Quirk = Quirk {
    id: "default-security-group",
    aws: "A VPC's default group starts with two rules: everything from itself in, everything out. It cannot be deleted, \
          and no group can that an interface has.",
    moto: "Starts it without the first, and deletes any group.",
    source: "https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html",
    act: Act::Inside("ec2"),
};

pub(super) const GROUPS_REPLACED: Quirk = Quirk {
    id: "interface-groups",
    aws: "ModifyNetworkInterfaceAttribute with groups replaces the interface's groups; an unknown group is \
          InvalidGroup.NotFound, more than five are too many, and a service's own interface cannot be changed.",
    moto: "Goes on showing the instance's groups beside the new ones, and takes any text for a group.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyNetworkInterfaceAttribute.html",
    act: Act::Inside("interfaces"),
};

pub(super) const INSTANCE_GROUPS: Quirk = Quirk {
    id: "instance-groups",
    aws: "An instance's groups are those of its primary interface, from the start the VPC's default group. \
          ModifyInstanceAttribute sets them if there is one interface, and is refused if there are more.",
    moto: "Keeps the instance's groups apart from its interfaces', and starts without one.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html",
    act: Act::Inside("interfaces"),
};

pub(super) const EBS_DEFAULT_KEY: Quirk = Quirk {
    id: "ebs-default-key",
    aws: "The default key for EBS encryption is alias/aws/ebs until another is set; it can be read and reset.",
    moto: "Can set it only.",
    source: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetEbsDefaultKmsKeyId.html",
    act: Act::Inside("ebs"),
};
