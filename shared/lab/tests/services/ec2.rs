//! Security groups and their rules.

use crate::{assert_error, event, of, one, shared, text};
use lab::Client;
use lab::http::ApiResponse;
use serde_json::json;

/// A new VPC of one's own, and a security group in it.
pub(crate) async fn group(client: &Client) -> (String, String) {
    let vpc = client.must_query("ec2", "CreateVpc", &[("CidrBlock", "10.0.0.0/16")]).await.unwrap();
    let vpc = one(&vpc, "vpcId");
    let id = group_in(client, &vpc, "clinic").await;
    (vpc, id)
}

pub(crate) async fn group_in(client: &Client, vpc: &str, name: &str) -> String {
    let parameters = [("GroupName", name), ("GroupDescription", "of the clinic"), ("VpcId", vpc)];
    one(&client.must_query("ec2", "CreateSecurityGroup", &parameters).await.unwrap(), "groupId")
}

/// The VPC's default group.
async fn default_group(client: &Client, vpc: &str) -> String {
    let filters = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", vpc),
        ("Filter.2.Name", "group-name"),
        ("Filter.2.Value.1", "default"),
    ];
    one(&client.must_query("ec2", "DescribeSecurityGroups", &filters).await.unwrap(), "groupName");
    let all = client.must_query("ec2", "DescribeSecurityGroups", &filters).await.unwrap();
    all.texts("groupId")[0].clone()
}

/// TCP 22 from these ranges, in one permission.
async fn open(client: &Client, group: &str, ranges: &[&str]) -> ApiResponse {
    let names: Vec<_> = (1..=ranges.len()).map(|at| format!("IpPermissions.1.IpRanges.{at}.CidrIp")).collect();
    let mut parameters = vec![
        ("GroupId", group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
    ];
    parameters.extend(names.iter().map(String::as_str).zip(ranges.iter().copied()));
    client.query("ec2", "AuthorizeSecurityGroupIngress", &parameters).await.unwrap()
}

async fn rules(client: &Client, group: &str) -> ApiResponse {
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
    client.must_query("ec2", "DescribeSecurityGroupRules", &filter).await.unwrap()
}

#[test]
fn a_default_group_lets_itself_in_and_everything_out() {
    shared(async |lab| {
        let client = of(lab, "100000000001");
        let (vpc, own) = group(&client).await;
        let default = default_group(&client, &vpc).await;
        let there = rules(&client, &default).await;
        assert_eq!(there.texts("isEgress"), ["true", "false"], "{}", text(&there));
        assert_eq!(there.texts("cidrIpv4"), ["0.0.0.0/0"]);
        assert!(
            text(&there).contains(&format!("<referencedGroupInfo><groupId>{default}</groupId>")),
            "{}",
            text(&there)
        );
        // A group of one's own lets everything out and nothing in.
        let there = rules(&client, &own).await;
        assert_eq!((there.texts("isEgress"), there.texts("ipProtocol")), (vec!["true".into()], vec!["-1".into()]));
        let refused = client.query("ec2", "DeleteSecurityGroup", &[("GroupId", &default)]).await.unwrap();
        assert_error(&refused, 400, "CannotDelete");
    });
}

#[test]
fn rules_are_shown_one_by_one() {
    shared(async |lab| {
        let client = of(lab, "100000000002");
        let (_, id) = group(&client).await;
        let parameters = [
            ("GroupId", id.as_str()),
            ("IpPermissions.1.IpProtocol", "6"),
            ("IpPermissions.1.FromPort", "22"),
            ("IpPermissions.1.ToPort", "22"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "10.1.2.3/8"),
            ("IpPermissions.1.IpRanges.1.Description", "office & ward"),
            ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "0:0::/0"),
            ("IpPermissions.2.IpProtocol", "-1"),
            ("IpPermissions.2.Groups.1.GroupId", id.as_str()),
            ("IpPermissions.2.Groups.1.Description", "itself"),
            ("TagSpecification.1.ResourceType", "security-group-rule"),
            ("TagSpecification.1.Tag.1.Key", "owner"),
            ("TagSpecification.1.Tag.1.Value", "ward-7"),
        ];
        let made = client.must_query("ec2", "AuthorizeSecurityGroupIngress", &parameters).await.unwrap();
        assert_eq!(made.texts("cidrIpv4"), ["10.0.0.0/8"]);
        assert_eq!(made.texts("cidrIpv6"), ["::/0"]);
        assert_eq!(made.texts("groupOwnerId"), ["100000000002"; 3]);
        let ids = made.texts("securityGroupRuleId");
        let asked = [("SecurityGroupRuleId.1", ids[0].as_str()), ("SecurityGroupRuleId.2", ids[2].as_str())];
        let there = client.must_query("ec2", "DescribeSecurityGroupRules", &asked).await.unwrap();
        assert_eq!(there.texts("description"), ["office & ward", "itself"]);
        assert_eq!(
            (there.texts("fromPort"), there.texts("ipProtocol")),
            (vec!["22".into(), "-1".into()], vec!["tcp".into(), "-1".into()])
        );
        assert_eq!(there.texts("value"), ["ward-7", "ward-7"]);
        let tagged = [("Filter.1.Name", "tag:owner"), ("Filter.1.Value.1", "ward-7")];
        let tagged = client.must_query("ec2", "DescribeSecurityGroupRules", &tagged).await.unwrap();
        assert_eq!(tagged.texts("securityGroupRuleId").len(), 3);
        for (name, value, code) in
            [("colour", "red", "InvalidParameterValue"), ("group-id", "sg-XYZ", "InvalidGroupId.Malformed")]
        {
            let filter = [("Filter.1.Name", name), ("Filter.1.Value.1", value)];
            assert_error(&client.query("ec2", "DescribeSecurityGroupRules", &filter).await.unwrap(), 400, code);
        }
        // One permission for each protocol and port range.
        let whole = client.must_query("ec2", "DescribeSecurityGroups", &[("GroupId.1", &id)]).await.unwrap();
        let mut protocols = whole.texts("ipProtocol");
        protocols.sort();
        assert_eq!(protocols, ["-1", "-1", "tcp"]);
        assert!(text(&whole).contains("<description>office &amp; ward</description>"), "{}", text(&whole));
    });
}

#[test]
fn a_duplicate_changes_nothing() {
    shared(async |lab| {
        let client = of(lab, "100000000003");
        let (_, id) = group(&client).await;
        assert_eq!(open(&client, &id, &["0.0.0.0/0"]).await.status, 200);
        let refused = open(&client, &id, &["10.0.0.0/8", "0.0.0.0/0"]).await;
        assert_error(&refused, 400, "InvalidPermission.Duplicate");
        assert!(
            text(&refused).contains("peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW"),
            "{}",
            text(&refused)
        );
        assert_eq!(rules(&client, &id).await.texts("cidrIpv4"), ["0.0.0.0/0", "0.0.0.0/0"], "egress and ingress");
        assert_error(&open(&client, &id, &["10.0.0.0/8", "10.9.9.9/8"]).await, 400, "InvalidParameterValue");
        assert_error(&open(&client, &id, &["10.0.0.0/99"]).await, 400, "InvalidParameterValue");
        assert_error(&open(&client, "sg-0123456789abcdef0", &["10.0.0.0/8"]).await, 400, "InvalidGroup.NotFound");
        assert_error(&open(&client, "sg-XYZ", &["10.0.0.0/8"]).await, 400, "InvalidGroupId.Malformed");
    });
}

#[test]
fn revoking_is_all_or_nothing() {
    shared(async |lab| {
        let client = of(lab, "100000000004");
        let (_, id) = group(&client).await;
        let made = open(&client, &id, &["0.0.0.0/0", "10.0.0.0/8", "10.2.0.0/16"]).await;
        let ids = made.texts("securityGroupRuleId");
        let revoke = async |parameters: &[(&str, &str)]| {
            let group = [("GroupId", id.as_str())];
            let all: Vec<_> = group.iter().chain(parameters).copied().collect();
            client.query("ec2", "RevokeSecurityGroupIngress", &all).await.unwrap()
        };
        let both = [("SecurityGroupRuleId.1", ids[0].as_str()), ("SecurityGroupRuleId.2", "sgr-0123456789abcdef0")];
        assert_error(&revoke(&both).await, 400, "InvalidSecurityGroupRuleId.NotFound");
        let ranges = [
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "22"),
            ("IpPermissions.1.ToPort", "22"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ("IpPermissions.2.IpProtocol", "tcp"),
            ("IpPermissions.2.FromPort", "23"),
            ("IpPermissions.2.ToPort", "23"),
            ("IpPermissions.2.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ];
        assert_error(&revoke(&ranges).await, 400, "InvalidPermission.NotFound");
        assert_eq!(rules(&client, &id).await.texts("securityGroupRuleId").len(), 4, "nothing was revoked");

        // One range of three, by its id; another by its properties, without its description.
        let done = revoke(&[("SecurityGroupRuleId.1", &ids[0])]).await;
        assert_eq!((one(&done, "return"), one(&done, "cidrIpv4")), ("true".into(), "0.0.0.0/0".into()));
        let mut narrow = ranges[..4].to_vec();
        narrow[3].1 = "10.2.0.0/16";
        assert_eq!(revoke(&narrow).await.status, 200);
        assert_eq!(rules(&client, &id).await.texts("securityGroupRuleId")[1..], [ids[1].clone()]);
        assert_error(&revoke(&both[..1]).await, 400, "InvalidSecurityGroupRuleId.NotFound");
    });
}

#[test]
fn in_a_default_vpc_an_unknown_rule_is_named_and_the_others_are_revoked() {
    shared(async |lab| {
        let client = of(lab, "100000000005");
        let filters = [("Filter.1.Name", "is-default"), ("Filter.1.Value.1", "true")];
        let vpc = client.must_query("ec2", "DescribeVpcs", &filters).await.unwrap();
        let id = group_in(&client, &one(&vpc, "vpcId"), "in-default").await;
        open(&client, &id, &["0.0.0.0/0"]).await;
        let parameters = [
            ("GroupId", id.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "22"),
            ("IpPermissions.1.ToPort", "22"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ("IpPermissions.1.IpRanges.2.CidrIp", "10.0.0.0/8"),
        ];
        let done = client.must_query("ec2", "RevokeSecurityGroupIngress", &parameters).await.unwrap();
        assert_eq!(one(&done, "cidrIpv4"), "0.0.0.0/0", "what was revoked");
        assert_eq!(one(&done, "cidrIp"), "10.0.0.0/8", "what was unknown");
        assert_eq!(rules(&client, &id).await.texts("isEgress"), ["true"]);
    });
}

#[test]
fn rules_are_changed_in_place() {
    shared(async |lab| {
        let client = of(lab, "100000000006");
        let (_, id) = group(&client).await;
        let ids = open(&client, &id, &["0.0.0.0/0", "10.0.0.0/8"]).await.texts("securityGroupRuleId");
        let change = async |rule: &str, range: &str| {
            let parameters = [
                ("GroupId", id.as_str()),
                ("SecurityGroupRule.1.SecurityGroupRuleId", rule),
                ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"),
                ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "22"),
                ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "22"),
                ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", range),
            ];
            client.query("ec2", "ModifySecurityGroupRules", &parameters).await.unwrap()
        };
        assert_error(&change(&ids[0], "10.0.0.0/8").await, 400, "InvalidPermission.Duplicate");
        assert_error(&change("sgr-0123456789abcdef0", "10.0.0.0/8").await, 400, "InvalidSecurityGroupRuleId.NotFound");
        assert_eq!(change(&ids[0], "192.0.2.0/24").await.status, 200);
        let there = client
            .must_query("ec2", "DescribeSecurityGroupRules", &[("SecurityGroupRuleId.1", &ids[0])])
            .await
            .unwrap();
        assert_eq!(one(&there, "cidrIpv4"), "192.0.2.0/24");
    });
}

#[test]
fn lists_come_in_pages() {
    shared(async |lab| {
        let client = of(lab, "100000000007");
        let (_, id) = group(&client).await;
        let wish = json!({ "account": "100000000007", "count": 12, "prefix": "many" });
        let made = lab.wish("ec2/fill", wish).await.unwrap();
        assert_eq!(made["groupIds"].as_array().unwrap().len(), 12);
        let ranges: Vec<_> = (0..9).map(|at| format!("10.{at}.0.0/16")).collect();
        open(&client, &id, &ranges.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for (operation, item, filter) in [
            ("DescribeSecurityGroups", "groupDescription", None),
            ("DescribeSecurityGroupRules", "securityGroupRuleId", Some(id.as_str())),
        ] {
            let filter = filter.map(|id| [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", id)]).unwrap_or_default();
            let filter: Vec<_> = filter.into_iter().filter(|(name, _)| !name.is_empty()).collect();
            let whole = client.must_query("ec2", operation, &filter).await.unwrap().texts(item);
            let (mut found, mut token, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let mut parameters = filter.clone();
                parameters.push(("MaxResults", "5"));
                if !token.is_empty() {
                    parameters.push(("NextToken", &token));
                }
                let page = client.must_query("ec2", operation, &parameters).await.unwrap();
                pages += 1;
                assert!(page.texts(item).len() <= 5);
                found.extend(page.texts(item));
                match page.texts("nextToken").pop().filter(|token| !token.is_empty()) {
                    Some(next) => token = next,
                    None => break,
                }
            }
            assert_eq!((found.len(), pages), (whole.len(), whole.len().div_ceil(5)), "{operation}");
            for (name, value) in [("MaxResults", "4"), ("MaxResults", "1001"), ("NextToken", "nothing")] {
                let refused = client.query("ec2", operation, &[(name, value)]).await.unwrap();
                assert_error(&refused, 400, "InvalidParameterValue");
            }
        }
    });
}

#[test]
fn a_dry_run_changes_nothing_and_a_denied_one_is_denied() {
    shared(async |lab| {
        let client = of(lab, "100000000008");
        let (_, id) = group(&client).await;
        let ids = open(&client, &id, &["0.0.0.0/0"]).await.texts("securityGroupRuleId");
        let parameters = [("GroupId", id.as_str()), ("SecurityGroupRuleId.1", ids[0].as_str()), ("DryRun", "true")];
        let dry = async || client.query("ec2", "RevokeSecurityGroupIngress", &parameters).await.unwrap();
        assert_error(&dry().await, 412, "DryRunOperation");
        assert_eq!(rules(&client, &id).await.texts("cidrIpv4").len(), 2);
        lab.gateway.faults.add("ec2:RevokeSecurityGroupIngress=denied*1".parse().unwrap());
        assert_error(&dry().await, 403, "UnauthorizedOperation");
    });
}

#[test]
fn prefix_lists_have_entries_in_pages() {
    shared(async |lab| {
        let client = of(lab, "100000000009");
        let parameters = [
            ("PrefixListName", "ward"),
            ("MaxEntries", "5"),
            ("AddressFamily", "IPv4"),
            ("Entry.1.Cidr", "10.0.0.0/8"),
            ("Entry.2.Cidr", "0.0.0.0/0"),
        ];
        let list =
            one(&client.must_query("ec2", "CreateManagedPrefixList", &parameters).await.unwrap(), "prefixListId");
        let all = client.must_query("ec2", "GetManagedPrefixListEntries", &[("PrefixListId", &list)]).await.unwrap();
        assert_eq!(all.texts("cidr"), ["0.0.0.0/0", "10.0.0.0/8"]);
        let first = [("PrefixListId", list.as_str()), ("MaxResults", "1")];
        let first = client.must_query("ec2", "GetManagedPrefixListEntries", &first).await.unwrap();
        assert_eq!((first.texts("cidr").len(), first.texts("nextToken").len()), (1, 1));
        client.must_query("ec2", "DeleteManagedPrefixList", &[("PrefixListId", &list)]).await.unwrap();
        for gone in [list.as_str(), "pl-0123456789abcdef0"] {
            let refused = client.query("ec2", "GetManagedPrefixListEntries", &[("PrefixListId", gone)]).await.unwrap();
            assert_error(&refused, 400, "InvalidPrefixListID.NotFound");
        }
    });
}

#[test]
fn changes_are_told_as_cloudtrail_tells_them() {
    shared(async |lab| {
        let client = of(lab, "100000000010");
        let mut happenings = lab.listen();
        let (_, id) = group(&client).await;
        open(&client, &id, &["0.0.0.0/0"]).await;
        event(&mut happenings, "AuthorizeSecurityGroupIngress", &id).await;
    });
}
