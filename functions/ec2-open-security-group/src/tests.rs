//! What the control knows, without any AWS.

use super::*;

#[path = "event_tests.rs"]
mod events;
#[path = "law_tests.rs"]
mod holding;
#[path = "says_tests.rs"]
mod saying;

pub(crate) const GROUP: &str = "sg-0123456789abcdef0";

pub(crate) fn traffic(protocol: &str, ports: Option<(i32, i32)>, source: &str) -> Traffic {
    let peer = match source {
        list if list.starts_with("pl-") => ec2::Peer::PrefixList(list.to_owned()),
        "?" => ec2::Peer::Unknown,
        cidr if cidr.contains(':') => ec2::Peer::CidrIpv6(cidr.to_owned()),
        cidr => ec2::Peer::CidrIpv4(cidr.to_owned()),
    };
    Traffic {
        direction: ec2::Direction::Ingress,
        protocol: protocol.to_owned(),
        from_port: ports.map(|ports| ports.0),
        to_port: ports.map(|ports| ports.1),
        peer,
    }
}

/// A rule as `tcp 22-23 0.0.0.0/0`; its id is made of its place in the list.
pub(crate) fn rule(text: &str) -> Rule {
    let words: Vec<&str> = text.split(' ').collect();
    let (protocol, ports, source) = match words.as_slice() {
        [protocol, ports, source] => (*protocol, *ports, *source),
        [protocol, source] => (*protocol, "*", *source),
        other => panic!("{other:?}"),
    };
    let number = |text: &str| text.parse::<i32>().unwrap();
    let ports = match ports.split_once('-') {
        _ if ports == "*" => Some((-1, -1)),
        Some((first, last)) => Some((number(first), number(last))),
        None => Some((number(ports), number(ports))),
    };
    let id = format!("sgr-{text}").replace([' ', '/', '.', ':'], "");
    Rule { id: Some(id), traffic: traffic(protocol, ports, source), description: None, tags: BTreeMap::new() }
}

pub(crate) fn state(rules: &[&str]) -> State {
    let mut rules: Vec<Rule> = rules.iter().map(|text| rule(text)).collect();
    rules.sort_by(|a, b| a.traffic.cmp(&b.traffic));
    State {
        group: Group {
            id: SecurityGroupId::parse(GROUP).unwrap(),
            name: "web".to_owned(),
            vpc: Some("vpc-0123456789abcdef0".to_owned()),
            owner: Some("111122223333".to_owned()),
            keepers: vec![],
        },
        foreign: None,
        rules,
        policy: Parameters::default().policy(None).unwrap(),
        wide_ranges: WideRanges::Revoke,
        lists: Lists::new(),
        users: None,
    }
}

pub(crate) fn split(rules: &[&str]) -> State {
    State { wide_ranges: WideRanges::Split, ..state(rules) }
}

/// The changes that fix a state, as `+tcp 22 from 0.0.0.0/0` and `-…`.
pub(crate) fn fix(state: &State) -> Vec<String> {
    shown(&OpenSecurityGroup::changes(state, &OpenSecurityGroup::desired(state)))
}

fn shown(changes: &[Change]) -> Vec<String> {
    let each = |change: &Change| -> Vec<String> {
        let (sign, rules) = match change {
            Change::Revoke(rules) => ('-', rules),
            Change::Authorize(rules) => ('+', rules),
        };
        rules.iter().map(|rule| format!("{sign}{}", rule.traffic)).collect()
    };
    changes.iter().flat_map(each).collect()
}

#[test]
fn which_rules_are_revoked() {
    for (text, revoked) in [
        // The world, by either protocol version, to a port of administration or of a database.
        ("tcp 22 0.0.0.0/0", true),
        ("tcp 22 ::/0", true),
        ("tcp 22 0::/0", true),
        ("tcp 3389 0.0.0.0/0", true),
        ("tcp 5432 0.0.0.0/0", true),
        ("udp 11211 0.0.0.0/0", true),
        ("udp 161 ::/0", true),
        ("udp 1434 0.0.0.0/0", true),
        // Numbers for names.
        ("6 22 0.0.0.0/0", true),
        ("17 389 0.0.0.0/0", true),
        // Every port.
        ("-1 0.0.0.0/0", true),
        ("-1 ::/0", true),
        ("tcp 0-65535 0.0.0.0/0", true),
        ("tcp * 0.0.0.0/0", true),
        // Ranges that overlap.
        ("tcp 20-8080 0.0.0.0/0", true),
        ("tcp 1-22 0.0.0.0/0", true),
        ("tcp 24-24 0.0.0.0/0", false),
        ("tcp 1024-3388 0.0.0.0/0", true),
        ("tcp 9301-11210 0.0.0.0/0", false),
        // What the world is for.
        ("tcp 80 0.0.0.0/0", false),
        ("tcp 443 ::/0", false),
        ("udp 443 0.0.0.0/0", false),
        ("udp 53 0.0.0.0/0", false),
        // ICMP has types and codes, and GRE nothing at all.
        ("icmp 22 0.0.0.0/0", false),
        ("icmp * 0.0.0.0/0", false),
        ("icmpv6 22-22 ::/0", false),
        ("1 8-0 0.0.0.0/0", false),
        ("58 * ::/0", false),
        ("47 * 0.0.0.0/0", false),
        // Almost the world.
        ("tcp 22 0.0.0.0/1", true),
        ("tcp 22 128.0.0.0/1", true),
        ("tcp 22 8.0.0.0/8", true),
        ("tcp 22 2600::/12", true),
        // Somebody in particular.
        ("tcp 22 203.0.113.0/24", false),
        ("tcp 22 8.0.0.0/9", false),
        ("tcp 22 10.0.0.0/8", false),
        ("-1 10.0.0.0/8", false),
        ("-1 172.16.0.0/12", false),
        ("-1 100.64.0.0/10", false),
        ("-1 fc00::/7", false),
        ("tcp 22 2001:db8::/32", false),
    ] {
        let state = state(&[text]);
        assert_eq!(fix(&state).len(), usize::from(revoked), "{text}: {:?}", fix(&state));
        assert!(OpenSecurityGroup::hindrance(&state).is_none(), "{text}");
    }
}

#[test]
fn egress_and_other_groups_are_no_openings() {
    let mut egress = rule("-1 0.0.0.0/0");
    egress.traffic.direction = ec2::Direction::Egress;
    let mut itself = rule("-1 0.0.0.0/0");
    let reference = ec2::GroupReference { id: GROUP.to_owned(), account: None, vpc: None, peering: None };
    itself.traffic.peer = ec2::Peer::Group(reference);
    for rule in [egress, itself] {
        let state = State { rules: vec![rule], ..state(&[]) };
        assert_eq!(fix(&state), Vec::<String>::new());
        assert!(OpenSecurityGroup::hindrance(&state).is_none());
    }
}

#[test]
fn only_the_offending_source_goes() {
    // Prowler revokes the whole permission, the office's range and all.
    let mixed =
        state(&["tcp 22 0.0.0.0/0", "tcp 22 203.0.113.0/24", "tcp 22 ::/0", "tcp 443 0.0.0.0/0", "tcp 22 10.0.0.0/8"]);
    assert_eq!(fix(&mixed), ["-tcp 22 from 0.0.0.0/0", "-tcp 22 from ::/0"]);
    let changes = OpenSecurityGroup::changes(&mixed, &OpenSecurityGroup::desired(&mixed));
    let [Change::Revoke(rules)] = changes.as_slice() else { panic!("one call: {changes:?}") };
    assert!(rules.iter().all(|rule| rule.id.is_some()), "by id");
}

#[test]
fn a_restricted_rule_for_all_traffic_stays() {
    // ASR's EC2.18 removed those until 3.1.0.
    assert_eq!(fix(&state(&["-1 203.0.113.7/32", "-1 0.0.0.0/0"])), ["-all traffic from 0.0.0.0/0"]);
}

#[test]
fn every_offending_rule_goes_in_one_look() {
    // c7n #4353 removed only the first.
    let all = state(&["tcp 22 0.0.0.0/0", "tcp 3389 0.0.0.0/0", "tcp 3306 ::/0", "udp 161 0.0.0.0/0", "-1 ::/0"]);
    assert_eq!(fix(&all).len(), 5);
}

#[test]
fn prefix_lists_are_what_they_hold() {
    let list = "tcp 22 pl-0123456789abcdef0";
    let with = |reach| State { lists: Lists::from([("pl-0123456789abcdef0".to_owned(), reach)]), ..state(&[list]) };
    let world = Reach::of(["203.0.113.0/24", "0.0.0.0/0"]);
    assert_eq!(fix(&with(world)), ["-tcp 22 from pl-0123456789abcdef0"]);
    assert_eq!(fix(&with(Reach::of(["0.0.0.0/1", "128.0.0.0/1"]))).len(), 1);
    assert_eq!(fix(&with(Reach::of(["::/0"]))).len(), 1);
    assert_eq!(fix(&with(Reach::of(["203.0.113.0/24", "10.0.0.0/8"]))), Vec::<String>::new());
    for unread in [with(None), state(&[list])] {
        assert_eq!(fix(&unread), Vec::<String>::new());
        assert_eq!(OpenSecurityGroup::hindrance(&unread).map(|hindrance| hindrance.id), Some("source-unknown"));
    }
    // Whom a rule for permitted ports lets in does not matter.
    let web = State { lists: Lists::new(), ..state(&["tcp 443 pl-0123456789abcdef0"]) };
    assert!(OpenSecurityGroup::hindrance(&web).is_none());
}

#[test]
fn what_cannot_be_told_does_not_keep_the_rest_open() {
    let both = state(&["tcp 22 pl-0123456789abcdef0", "tcp 22 0.0.0.0/0", "tcp 22 ?"]);
    assert_eq!(fix(&both), ["-tcp 22 from 0.0.0.0/0"]);
    let hindrance = OpenSecurityGroup::hindrance(&both).unwrap();
    assert!(hindrance.says.contains("pl-0123456789abcdef0"), "{hindrance:?}");
}

#[test]
fn a_group_of_another_account_is_left_alone() {
    let shared = State { foreign: Some("444455556666".to_owned()), ..state(&["tcp 22 0.0.0.0/0"]) };
    assert_eq!(fix(&shared), Vec::<String>::new());
    let hindrance = OpenSecurityGroup::hindrance(&shared).unwrap();
    assert_eq!(hindrance.id, "other-account");
    assert!(hindrance.says.contains("444455556666"), "{hindrance:?}");
    let closed = State { foreign: Some("444455556666".to_owned()), ..state(&["tcp 443 0.0.0.0/0"]) };
    assert!(OpenSecurityGroup::hindrance(&closed).is_none());
}

#[test]
fn a_split_leaves_open_what_may_be() {
    let mut wide = split(&["tcp 20-8080 0.0.0.0/0"]);
    wide.policy = Policy { tcp: Ports::parse("22,3389").unwrap(), ..wide.policy };
    assert_eq!(
        fix(&wide),
        [
            "+tcp 20-21 from 0.0.0.0/0",
            "+tcp 23-3388 from 0.0.0.0/0",
            "+tcp 3390-8080 from 0.0.0.0/0",
            "-tcp 20-8080 from 0.0.0.0/0",
        ]
    );
    let there = State { rules: vec![rule("tcp 20-21 0.0.0.0/0"), wide.rules[0].clone()], ..wide.clone() };
    assert_eq!(fix(&there).len(), 3, "EC2 refuses a duplicate, and with it the whole call: {:?}", fix(&there));
    let exact = State { policy: wide.policy.clone(), ..split(&["tcp 22 0.0.0.0/0"]) };
    assert_eq!(fix(&exact), ["-tcp 22 from 0.0.0.0/0"]);
}

#[test]
fn a_split_of_everything_keeps_tcp_udp_and_icmp() {
    for (source, icmp) in [("0.0.0.0/0", "icmp"), ("::/0", "icmpv6"), ("pl-0123456789abcdef0", "icmpv6")] {
        let mut everything = split(&[&format!("-1 {source}")]);
        everything.lists.insert("pl-0123456789abcdef0".to_owned(), Reach::of(["::/0"]));
        let closed = || Ports::parse("22").unwrap();
        everything.policy = Policy { tcp: closed(), udp: closed(), ..everything.policy };
        let expected = [
            format!("+{icmp} from {source}"),
            format!("+tcp 0-21 from {source}"),
            format!("+tcp 23-65535 from {source}"),
            format!("+udp 0-21 from {source}"),
            format!("+udp 23-65535 from {source}"),
            format!("-all traffic from {source}"),
        ];
        assert_eq!(fix(&everything), expected);
    }
}

/// A split that EC2 refuses for the quota would leave the group open for good.
#[test]
fn a_split_without_room_keeps_the_web_and_then_nothing() {
    let web = ["tcp 24-87", "tcp 390-444", "udp 24-87", "udp 390-444"];
    let left = |state: &State| -> Vec<String> {
        let rules = OpenSecurityGroup::desired(state).rules;
        rules.iter().map(|rule| rule.traffic.to_string()).collect()
    };
    for source in ["0.0.0.0/0", "::/0"] {
        let everything = split(&[&format!("-1 {source}")]);
        assert_eq!(left(&everything), web.map(|ports| format!("{ports} from {source}")), "with the default ports");
    }
    // The other family's rules take no room away; its own do.
    for (others, room) in [(0, true), (59, true)] {
        let mut rules: Vec<String> = (0..others).map(|n| format!("tcp {} ::/0", 10000 + n)).collect();
        rules.push("tcp 0-1000 0.0.0.0/0".to_owned());
        let state = split(&rules.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(left(&state).len() > others + 2, room, "{others}");
    }
    for (others, pieces) in [(50, 9), (51, 2), (57, 2), (58, 0)] {
        let mut rules: Vec<String> = (0..others).map(|n| format!("tcp {} 198.51.100.0/24", 10000 + n)).collect();
        rules.push("tcp 0-1000 0.0.0.0/0".to_owned());
        let state = split(&rules.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(left(&state).len(), others + pieces, "{others}");
    }
}

#[test]
fn what_is_split_keeps_description_and_tags() {
    let mut wide = split(&["tcp 0-65535 0.0.0.0/0"]);
    wide.rules[0].description = Some("vendor".to_owned());
    wide.rules[0].tags.insert("ticket".to_owned(), "7".to_owned());
    let changes = OpenSecurityGroup::changes(&wide, &OpenSecurityGroup::desired(&wide));
    let [Change::Authorize(made), Change::Revoke(_)] = changes.as_slice() else { panic!("{changes:?}") };
    for rule in made {
        assert_eq!(
            (rule.id.as_ref(), &rule.description, &rule.tags),
            (None, &wide.rules[0].description, &wide.rules[0].tags)
        );
    }
}

#[test]
fn the_deployment_and_the_config_rule_decide_which_ports() {
    let parameters = |json: &str| serde_json::from_str::<Parameters>(json).unwrap();
    let with = |parameters: &Parameters, rule: Option<&str>, text: &str| {
        let parsed = rule.map(|json| serde_json::from_str(json).unwrap());
        let rule =
            parsed.map(|parameters| remediation::ConfigRule { name: "x".to_owned(), parameters: Some(parameters) });
        let state = State { policy: parameters.policy(rule.as_ref()).unwrap(), ..state(&[text]) };
        fix(&state).len()
    };
    let ours = parameters("{}");
    assert_eq!(ours, Parameters::default());
    let few = parameters(r#"{"admin_ports": "22", "database_ports": ""}"#);
    let strict = parameters(r#"{"authorized_ports": "80,443"}"#);
    for (parameters, rule, text, revoked) in [
        (&few, None, "tcp 3389 0.0.0.0/0", 0),
        (&few, None, "tcp 22 0.0.0.0/0", 1),
        (&few, None, "tcp 5432 0.0.0.0/0", 0),
        (&ours, None, "tcp 8080 0.0.0.0/0", 0),
        (&strict, None, "tcp 8080 0.0.0.0/0", 1),
        (&strict, None, "tcp 443 0.0.0.0/0", 0),
        (&strict, None, "tcp 22 0.0.0.0/0", 1),
        (&strict, None, "udp 53 0.0.0.0/0", 1),
        (&ours, Some(r#"{"authorizedTcpPorts": "443"}"#), "tcp 8080 0.0.0.0/0", 1),
        (&ours, Some(r#"{"authorizedTcpPorts": "443"}"#), "tcp 443 0.0.0.0/0", 0),
        // What a Config rule authorises is not ours to authorise.
        (&ours, Some(r#"{"authorizedTcpPorts": "22,443"}"#), "tcp 22 0.0.0.0/0", 1),
        (&ours, Some(r#"{"blockedPort1": "8080"}"#), "tcp 8080 0.0.0.0/0", 1),
        (&ours, Some(r#"{"blockedPort1": "8080"}"#), "udp 8080 0.0.0.0/0", 0),
        (&ours, Some(r#"{"restrictPorts": "4444"}"#), "udp 4444 0.0.0.0/0", 1),
    ] {
        assert_eq!(with(parameters, rule, text), revoked, "{text} {rule:?}");
    }
    let wide = parameters(r#"{"world_prefix_ipv4": 0, "world_prefix_ipv6": 0, "wide_ranges": "split"}"#);
    assert_eq!(with(&wide, None, "tcp 22 0.0.0.0/1"), 0);
    assert_eq!(with(&wide, None, "tcp 22 0.0.0.0/0"), 1);
    assert_eq!(wide.wide_ranges, WideRanges::Split);
    for bad in [
        r#"{"admin_ports": "ssh"}"#,
        r#"{"ports": "22"}"#,
        r#"{"wide_ranges": "keep"}"#,
        r#"{"world_prefix_ipv4": -1}"#,
    ] {
        assert!(serde_json::from_str::<Parameters>(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_settings_say_what_the_parameters_are() {
    let of = |setting: &remediation::Setting| match setting.kind {
        remediation::Kind::Number(..) => serde_json::from_str(setting.default).unwrap(),
        _ => serde_json::Value::String(setting.default.to_owned()),
    };
    let settings = OpenSecurityGroup::ABOUT.settings;
    let json: serde_json::Map<String, serde_json::Value> =
        settings.iter().map(|setting| (setting.field.to_owned(), of(setting))).collect();
    let read: Parameters = serde_json::from_value(json.into()).unwrap();
    assert_eq!(read, Parameters::default());
    assert_eq!(settings.len(), 6);
    assert!(!read.admin_ports.is_empty() && !read.database_ports.is_empty());
    // Core ports of the task at hand, and what EC2.13, EC2.14 and EC2.53 ask for.
    for port in [22, 23, 3389, 5900, 5985, 5986] {
        assert!(read.admin_ports.overlaps(port, port), "{port}");
    }
    for port in [1433, 1434, 1521, 2049, 3306, 5432, 5439, 5601, 6379, 8182, 9042, 9092, 9200, 9300, 11211, 27017] {
        assert!(read.database_ports.overlaps(port, port), "{port}");
    }
}

#[test]
fn an_undo_makes_the_very_rules_again_whatever_their_ids_are_now() {
    let mut before = state(&["tcp 22 0.0.0.0/0", "tcp 22 ::/0", "tcp 443 0.0.0.0/0"]);
    before.rules[0].description = Some("bastion".to_owned());
    before.rules[0].tags.insert("ticket".to_owned(), "7".to_owned());
    let after = OpenSecurityGroup::desired(&before);
    let undo = OpenSecurityGroup::changes(&after, &OpenSecurityGroup::restored(&before));
    let [Change::Authorize(one), Change::Authorize(other)] = undo.as_slice() else {
        panic!("one call for each set of tags: {undo:?}")
    };
    let made: Vec<&Rule> = one.iter().chain(other).collect();
    assert_eq!(made.len(), 2);
    for rule in made {
        assert!(before.rules.contains(rule), "description, tags and all: {rule:?}");
    }
    let mut again = before.clone();
    for rule in &mut again.rules {
        rule.id = Some("sgr-new".to_owned());
    }
    assert_eq!(OpenSecurityGroup::changes(&again, &before), [], "another id is no other rule");
}

#[test]
fn an_undo_of_a_split_takes_its_rules_away_last() {
    let before = split(&["tcp 0-65535 0.0.0.0/0"]);
    let mut after = OpenSecurityGroup::desired(&before);
    for (number, rule) in after.rules.iter_mut().enumerate() {
        rule.id = Some(format!("sgr-{number}"));
    }
    let undo = OpenSecurityGroup::changes(&after, &before);
    let [Change::Authorize(wide), Change::Revoke(made)] = undo.as_slice() else { panic!("{undo:?}") };
    assert_eq!((wide.len(), made.len()), (1, after.rules.len()));
}

#[test]
fn many_rules_are_several_calls() {
    let many: Vec<String> = (0..250).map(|n| format!("tcp 22-{} 0.0.0.0/0", 22 + n)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let state = state(&many);
    let changes = OpenSecurityGroup::changes(&state, &OpenSecurityGroup::desired(&state));
    let sizes: Vec<usize> = changes
        .iter()
        .map(|change| match change {
            Change::Revoke(rules) | Change::Authorize(rules) => rules.len(),
        })
        .collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[test]
fn targets() {
    for good in [GROUP, "sg-903004f8", "arn:aws:ec2:us-east-1:111122223333:security-group/sg-903004f8"] {
        assert!(OpenSecurityGroup::target(good).is_ok(), "{good}");
    }
    for bad in ["", "web", "sg-../x", "sgr-0123456789abcdef0", "{{group}}", "*"] {
        assert!(OpenSecurityGroup::target(bad).is_err(), "{bad}");
    }
}
