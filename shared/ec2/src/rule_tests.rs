//! Rules as EC2 has them, and back.

use super::*;
use aws_sdk_ec2::types::Tag;

fn row() -> aws_sdk_ec2::types::builders::SecurityGroupRuleBuilder {
    SecurityGroupRule::builder()
        .security_group_rule_id("sgr-1")
        .is_egress(false)
        .ip_protocol("tcp")
        .from_port(22)
        .to_port(22)
}

#[test]
fn each_kind_of_peer_is_read_and_made_again() {
    let tag = Tag::builder().key("ticket").value("7").build();
    let described = || row().description("why").tags(tag.clone());
    let group = ReferencedSecurityGroup::builder()
        .group_id("sg-903004f8")
        .user_id("444455556666")
        .vpc_id("vpc-903004f8")
        .vpc_peering_connection_id("pcx-903004f8")
        .build();
    for (row, says) in [
        (described().cidr_ipv4("0.0.0.0/0").build(), "tcp 22 from 0.0.0.0/0"),
        (described().cidr_ipv6("::/0").build(), "tcp 22 from ::/0"),
        (described().prefix_list_id("pl-1").build(), "tcp 22 from pl-1"),
        (described().referenced_group_info(group).build(), "tcp 22 from sg-903004f8"),
    ] {
        let rule = Rule::from(&row);
        assert_eq!(rule.traffic.to_string(), says);
        assert_eq!((rule.id.as_deref(), rule.description.as_deref()), (Some("sgr-1"), Some("why")));
        assert_eq!(rule.tags.get("ticket").map(String::as_str), Some("7"));
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule, "{json}");
        let made = rule.permission().unwrap();
        assert_eq!((made.ip_protocol(), made.from_port(), made.to_port()), (Some("tcp"), Some(22), Some(22)));
        let sources = made.ip_ranges().len()
            + made.ipv6_ranges().len()
            + made.prefix_list_ids().len()
            + made.user_id_group_pairs().len();
        assert_eq!(sources, 1, "{made:?}");
        let described = format!("{made:?}").matches(r#"description: Some("why")"#).count();
        assert_eq!(described, 1, "{made:?}");
        for pair in made.user_id_group_pairs() {
            assert_eq!((pair.group_id(), pair.user_id()), (Some("sg-903004f8"), Some("444455556666")));
        }
    }
}

#[test]
fn what_is_newer_than_this_program_is_not_taken_for_anything_else() {
    let rule = Rule::from(&row().build());
    assert_eq!(rule.traffic.peer, Peer::Unknown);
    assert!(rule.permission().is_none());
    let bare = Rule::from(&SecurityGroupRule::builder().build());
    assert_eq!((bare.traffic.protocol.as_str(), bare.traffic.direction), ("-1", Direction::Ingress));
}

#[test]
fn traffic_for_people() {
    let says = |direction, protocol: &str, from_port, to_port| {
        let peer = Peer::CidrIpv4("10.0.0.0/8".to_owned());
        Traffic { direction, protocol: protocol.to_owned(), from_port, to_port, peer }.to_string()
    };
    let (ingress, egress) = (Direction::Ingress, Direction::Egress);
    for (said, expected) in [
        (says(ingress, "tcp", Some(20), Some(23)), "tcp 20-23 from 10.0.0.0/8"),
        (says(egress, "udp", Some(53), Some(53)), "udp 53 to 10.0.0.0/8"),
        (says(egress, "-1", Some(-1), Some(-1)), "all traffic to 10.0.0.0/8"),
        (says(ingress, "-1", None, None), "all traffic from 10.0.0.0/8"),
        (says(ingress, "icmp", Some(8), Some(-1)), "icmp 8 from 10.0.0.0/8"),
        (says(ingress, "icmp", Some(-1), Some(-1)), "icmp from 10.0.0.0/8"),
        (says(ingress, "tcp", Some(0), Some(65535)), "tcp 0-65535 from 10.0.0.0/8"),
    ] {
        assert_eq!(said, expected);
    }
}
