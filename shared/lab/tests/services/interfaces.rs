//! Network interfaces, instances and EBS.

use crate::ec2::{group, group_in};
use crate::{assert_error, of, one, shared, text};
use lab::Client;
use serde_json::json;

/// A subnet, and an instance in it with these groups; its id and its interface's.
async fn instance(client: &Client, vpc: &str, groups: &[(&str, &str)]) -> (String, String, String) {
    let parameters = [("VpcId", vpc), ("CidrBlock", "10.0.1.0/24")];
    let subnet = one(&client.must_query("ec2", "CreateSubnet", &parameters).await.unwrap(), "subnetId");
    let parameters = [("ImageId", "ami-12c6146b"), ("MinCount", "1"), ("MaxCount", "1"), ("SubnetId", subnet.as_str())];
    let all: Vec<_> = parameters.iter().chain(groups).copied().collect();
    let run = client.must_query("ec2", "RunInstances", &all).await.unwrap();
    (one(&run, "instanceId"), one(&run, "networkInterfaceId"), subnet)
}

/// The groups of an interface, as DescribeNetworkInterfaces shows them.
async fn groups_of(client: &Client, interface: &str) -> Vec<String> {
    let there =
        client.must_query("ec2", "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", interface)]).await.unwrap();
    there.texts("groupId")
}

#[test]
fn an_interfaces_groups_are_replaced() {
    shared(async |lab| {
        let client = of(lab, "100000000020");
        let (vpc, first) = group(&client).await;
        let second = group_in(&client, &vpc, "quarantine").await;
        let (id, interface, _) = instance(&client, &vpc, &[("SecurityGroupId.1", &first)]).await;
        assert_eq!(groups_of(&client, &interface).await, std::slice::from_ref(&first));
        let change = [("NetworkInterfaceId", interface.as_str()), ("SecurityGroupId.1", second.as_str())];
        client.must_query("ec2", "ModifyNetworkInterfaceAttribute", &change).await.unwrap();
        assert_eq!(groups_of(&client, &interface).await, std::slice::from_ref(&second), "replaced, not added");
        // The instance shows them too, twice: its own and its interface's.
        let shown = client.must_query("ec2", "DescribeInstances", &[("InstanceId.1", &id)]).await.unwrap();
        assert_eq!(shown.texts("groupId"), [second.clone(), second.clone()], "{}", text(&shown));
        let filter = |group: &str| {
            [("Filter.1.Name".to_owned(), "group-id".to_owned()), ("Filter.1.Value.1".to_owned(), group.to_owned())]
        };
        for (group, found) in [(&first, 0), (&second, 1)] {
            let filter = filter(group);
            let filter: Vec<_> = filter.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let users = client.must_query("ec2", "DescribeNetworkInterfaces", &filter).await.unwrap();
            assert_eq!(users.texts("interfaceType").len(), found, "{group}");
        }
        let refused = client.query("ec2", "DeleteSecurityGroup", &[("GroupId", &second)]).await.unwrap();
        assert_error(&refused, 400, "DependencyViolation");
        client.must_query("ec2", "DeleteSecurityGroup", &[("GroupId", &first)]).await.unwrap();
        for (group, code) in
            [("sg-0123456789abcdef0", "InvalidGroup.NotFound"), ("nonsense", "InvalidGroupId.Malformed")]
        {
            let change = [("NetworkInterfaceId", interface.as_str()), ("SecurityGroupId.1", group)];
            let refused = client.query("ec2", "ModifyNetworkInterfaceAttribute", &change).await.unwrap();
            assert_error(&refused, 400, code);
        }
        assert_eq!(groups_of(&client, &interface).await, [second]);
    });
}

#[test]
fn an_instances_groups_are_its_primary_interfaces() {
    shared(async |lab| {
        let client = of(lab, "100000000021");
        let (vpc, own) = group(&client).await;
        let (id, interface, subnet) = instance(&client, &vpc, &[]).await;
        let shown = client.must_query("ec2", "DescribeInstances", &[("InstanceId.1", &id)]).await.unwrap();
        assert_eq!(
            text(&shown).matches("<groupName>default</groupName>").count(),
            2,
            "the VPC's default one: {}",
            text(&shown)
        );
        let change = [("InstanceId", id.as_str()), ("GroupId.1", own.as_str())];
        client.must_query("ec2", "ModifyInstanceAttribute", &change).await.unwrap();
        assert_eq!(groups_of(&client, &interface).await, std::slice::from_ref(&own));

        let second = client.must_query("ec2", "CreateNetworkInterface", &[("SubnetId", &subnet)]).await.unwrap();
        let second = one(&second, "networkInterfaceId");
        let attach = [("NetworkInterfaceId", second.as_str()), ("InstanceId", id.as_str()), ("DeviceIndex", "1")];
        client.must_query("ec2", "AttachNetworkInterface", &attach).await.unwrap();
        let shown =
            client.must_query("ec2", "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &second)]).await.unwrap();
        assert_eq!(one(&shown, "groupName"), "default", "not the primary interface's besides");
        let refused = client.query("ec2", "ModifyInstanceAttribute", &change).await.unwrap();
        assert_error(&refused, 400, "InvalidInstanceID");
        // Each interface by itself, as its type and its owner allow.
        let wish = json!({ "account": "100000000021", "networkInterfaceId": second, "requester_managed": true,
            "interface_type": "network_load_balancer" });
        lab.wish("ec2/interface", wish).await.unwrap();
        let change = [("NetworkInterfaceId", second.as_str()), ("SecurityGroupId.1", own.as_str())];
        let refused = client.query("ec2", "ModifyNetworkInterfaceAttribute", &change).await.unwrap();
        assert_error(&refused, 401, "AuthFailure");
        let shown =
            client.must_query("ec2", "DescribeNetworkInterfaces", &[("NetworkInterfaceId.1", &second)]).await.unwrap();
        assert_eq!(one(&shown, "interfaceType"), "network_load_balancer");
    });
}

#[test]
fn interfaces_come_in_pages() {
    shared(async |lab| {
        let client = of(lab, "100000000022");
        let (vpc, _) = group(&client).await;
        let (_, _, subnet) = instance(&client, &vpc, &[]).await;
        for _ in 0..6 {
            client.must_query("ec2", "CreateNetworkInterface", &[("SubnetId", &subnet)]).await.unwrap();
        }
        let first = client.must_query("ec2", "DescribeNetworkInterfaces", &[("MaxResults", "5")]).await.unwrap();
        let token = one(&first, "nextToken");
        let rest = [("MaxResults", "5"), ("NextToken", token.as_str())];
        let rest = client.must_query("ec2", "DescribeNetworkInterfaces", &rest).await.unwrap();
        assert_eq!((first.texts("interfaceType").len(), rest.texts("interfaceType").len()), (5, 2));
        assert!(rest.texts("nextToken").is_empty());
    });
}

#[test]
fn ebs_encryption_by_default_is_set_by_region() {
    shared(async |lab| {
        let (here, there) = (of(lab, "100000000023"), lab.client("100000000023", "eu-west-1"));
        let encrypted = async |client: &Client| {
            one(&client.must_query("ec2", "GetEbsEncryptionByDefault", &[]).await.unwrap(), "ebsEncryptionByDefault")
        };
        let key = async |operation: &str, parameters: &[(&str, &str)]| {
            one(&here.must_query("ec2", operation, parameters).await.unwrap(), "kmsKeyId")
        };
        assert_eq!(encrypted(&here).await, "false");
        here.must_query("ec2", "EnableEbsEncryptionByDefault", &[]).await.unwrap();
        assert_eq!((encrypted(&here).await.as_str(), encrypted(&there).await.as_str()), ("true", "false"));
        here.must_query("ec2", "DisableEbsEncryptionByDefault", &[]).await.unwrap();
        assert_eq!(encrypted(&here).await, "false");

        assert_eq!(key("GetEbsDefaultKmsKeyId", &[]).await, "alias/aws/ebs");
        let own = here.must_json("kms", "CreateKey", &json!({})).await.unwrap();
        let (id, arn) = (&own["KeyMetadata"]["KeyId"], &own["KeyMetadata"]["Arn"]);
        assert_eq!(key("ModifyEbsDefaultKmsKeyId", &[("KmsKeyId", id.as_str().unwrap())]).await, arn.as_str().unwrap());
        assert_eq!(key("GetEbsDefaultKmsKeyId", &[]).await, arn.as_str().unwrap());
        let elsewhere = there.must_query("ec2", "GetEbsDefaultKmsKeyId", &[]).await.unwrap();
        assert_eq!(one(&elsewhere, "kmsKeyId"), "alias/aws/ebs");
        assert_eq!(key("ResetEbsDefaultKmsKeyId", &[]).await, "alias/aws/ebs");
        assert_eq!(key("GetEbsDefaultKmsKeyId", &[]).await, "alias/aws/ebs");
    });
}
