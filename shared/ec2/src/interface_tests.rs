//! What interfaces belong to.

use super::*;
use aws_sdk_ec2::types::builders::NetworkInterfaceBuilder;
use aws_sdk_ec2::types::{
    GroupIdentifier, NetworkInterfaceAssociation, NetworkInterfaceAttachment, NetworkInterfaceIpv6Address,
};

fn plain() -> NetworkInterfaceBuilder {
    NetworkInterface::builder().network_interface_id("eni-903004f8").interface_type(NetworkInterfaceType::Interface)
}

fn attached() -> NetworkInterfaceBuilder {
    plain().attachment(NetworkInterfaceAttachment::builder().instance_id("i-903004f8").build())
}

#[test]
fn what_an_interface_belongs_to() {
    let typed = |kind: &str| plain().interface_type(NetworkInterfaceType::from(kind));
    let service = |description: &str| plain().description(description).requester_managed(true);
    for (interface, kind) in vec![
        (attached(), Kind::Instance),
        (plain(), Kind::Unattached),
        (plain().requester_managed(true), Kind::Other),
        (service("ELB app/web/0123456789abcdef").requester_id("amazon-elb"), Kind::LoadBalancer),
        (service("ELB classic").requester_id("amazon-elb"), Kind::LoadBalancer),
        (service("ELB net/tcp/0123456789abcdef").requester_id("amazon-elb"), Kind::NetworkLoadBalancer),
        (typed("network_load_balancer"), Kind::NetworkLoadBalancer),
        (service("RDSNetworkInterface").requester_id("amazon-rds"), Kind::Database),
        (service("ElastiCache web-001"), Kind::Cache),
        (service("EFS mount target for fs-903004f8 (fsmt-903004f8)"), Kind::FileSystem),
        (typed("efs"), Kind::FileSystem),
        (typed("lambda"), Kind::Lambda),
        (service("AWS Lambda VPC ENI-web-0123"), Kind::Lambda),
        (service("Amazon EKS prod"), Kind::Kubernetes),
        (attached().description("aws-K8S-i-903004f8"), Kind::Kubernetes),
        (typed("branch"), Kind::Kubernetes),
        (service("arn:aws:ecs:us-east-1:111122223333:attachment/0123"), Kind::Task),
        (typed("vpc_endpoint"), Kind::Endpoint),
        (typed("nat_gateway"), Kind::Gateway),
        (typed("something_new").requester_managed(true), Kind::Other),
    ] {
        let interface = interface.build();
        assert_eq!(Interface::read(&interface).unwrap().kind, kind, "{interface:?}");
    }
}

#[test]
fn what_can_be_reached_from_outside() {
    let elastic = NetworkInterfaceAssociation::builder().public_ip("198.51.100.24").build();
    let ipv6 = NetworkInterfaceIpv6Address::builder().ipv6_address("2001:db8::1").build();
    for (interface, public) in [
        (plain(), false),
        (plain().association(elastic), true),
        (plain().ipv6_addresses(ipv6.clone()), true),
        (plain().ipv6_addresses(ipv6).deny_all_igw_traffic(true), false),
    ] {
        assert_eq!(Interface::read(&interface.build()).unwrap().public, public);
    }
}

#[test]
fn what_is_kept_of_an_interface() {
    let group = |id: &str| GroupIdentifier::builder().group_id(id).build();
    let interface = attached().vpc_id("vpc-903004f8").groups(group("sg-903004f9")).groups(group("sg-903004f8"));
    let read = Interface::read(&interface.build()).unwrap();
    let groups: Vec<&str> = read.groups.iter().map(SecurityGroupId::as_str).collect();
    assert_eq!(groups, ["sg-903004f9", "sg-903004f8"], "in EC2's order");
    assert_eq!(read.instance.as_ref().map(InstanceId::as_str), Some("i-903004f8"));
    assert!(!read.managed);
    let json = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Interface>(&json).unwrap(), read);
    assert!(Interface::read(&NetworkInterface::builder().build()).is_none());
}

#[test]
fn users_for_people() {
    let read = |interface: NetworkInterfaceBuilder| Interface::read(&interface.build()).unwrap();
    let three = [read(attached()), read(attached()), read(plain())];
    assert_eq!(Users::count(&three, false).to_string(), "3 interfaces (instances 2, unattached interfaces 1)");
    assert_eq!(Users::count(&three[..1], false).to_string(), "1 interface (instances 1)");
    assert_eq!(Users::count(&three[..1], true).to_string(), "more than 1 interfaces (instances 1)");
    assert_eq!(Users::count(&[], false).to_string(), "0 interfaces");
}
