//! What holds for every state there is.

use super::*;
use proptest::prelude::*;
use remediation::laws;
use std::collections::BTreeSet;

prop_compose! {
    fn rules()(
        traffic in prop::collection::btree_set((
            prop::sample::select(vec!["tcp", "6", "udp", "-1", "icmp", "icmpv6", "47"]),
            prop::sample::select(vec![None, Some((-1, -1)), Some((0, 65535)), Some((22, 22)), Some((20, 8080)), Some((443, 443)), Some((0, 21))]),
            prop::sample::select(vec!["0.0.0.0/0", "::/0", "0.0.0.0/1", "10.0.0.0/8", "203.0.113.0/24", "pl-world", "pl-office", "pl-gone", "?", "bad"]),
        ), 0..8),
        described in any::<u8>(),
    ) -> Vec<Rule> {
        let rule = |(index, traffic): (usize, Traffic)| Rule {
            id: Some(format!("sgr-{index}")),
            traffic,
            description: (described >> (index % 8) & 1 == 1).then(|| "why".to_owned()),
            tags: (index % 3 == 0).then(|| ("ticket".to_owned(), index.to_string())).into_iter().collect(),
        };
        let mut rules: Vec<Rule> = traffic.into_iter().map(|(protocol, ports, source)| super::traffic(protocol, ports, source)).enumerate().map(rule).collect();
        rules.sort_by(|a, b| a.traffic.cmp(&b.traffic));
        rules
    }
}

prop_compose! {
    fn states()(
        rules in rules(), split in any::<bool>(), foreign in prop::bool::weighted(0.1), closed in 0usize..4, counted in any::<bool>(),
    ) -> State {
        let ports = |text: &str| Ports::parse(text).unwrap();
        let (tcp, udp) = [("22,3389", "161"), ("", ""), ("0-79,81-442,444-65535", "0-65535"), ("", "53")][closed];
        let mut state = super::state(&[]);
        state.policy = Policy { tcp: ports(tcp), udp: ports(udp), ..state.policy };
        state.rules = rules;
        state.foreign = foreign.then(|| "444455556666".to_owned());
        state.wide_ranges = if split { WideRanges::Split } else { WideRanges::Revoke };
        state.lists = Lists::from([("pl-world".to_owned(), Reach::of(["0.0.0.0/0"])), ("pl-office".to_owned(), Reach::of(["10.0.0.0/8"])), ("pl-gone".to_owned(), None)]);
        state.users = counted.then(Users::default);
        state
    }
}

/// Whether any of the rules lets a packet through.
fn lets_in(rules: &[Rule], protocol: &str, port: u16, source: &ec2::Peer) -> bool {
    rules.iter().filter(|rule| rule.traffic.peer == *source).any(|rule| {
        let all = matches!(rule.traffic.from_port, None | Some(-1));
        let ports =
            all || (rule.traffic.from_port <= Some(port.into()) && Some(i32::from(port)) <= rule.traffic.to_port);
        match rule.traffic.protocol.as_str() {
            "-1" => true,
            "tcp" | "6" => protocol == "tcp" && ports,
            other => other == protocol && ports,
        }
    })
}

proptest! {
    #[test]
    fn the_laws_hold(state in states()) {
        laws::check::<OpenSecurityGroup>(&state);
    }

    #[test]
    fn a_fix_never_loosens_and_leaves_nothing_forbidden_open(state in states(), port in prop::sample::select(vec![0u16, 21, 22, 53, 80, 161, 443, 3389, 8080, 65535]), udp in any::<bool>()) {
        let protocol = if udp { "udp" } else { "tcp" };
        let mut fixed = OpenSecurityGroup::desired(&state);
        let sources: BTreeSet<ec2::Peer> = state.rules.iter().chain(&fixed.rules).map(|rule| rule.traffic.peer.clone()).collect();
        for source in &sources {
            let before = lets_in(&state.rules, protocol, port, source);
            let after = lets_in(&fixed.rules, protocol, port, source);
            prop_assert!(before || !after, "looser: {protocol} {port} from {source}");
            let world = state.policy.source(source, &state.lists) == Source::World;
            let closed = if udp { &state.policy.udp } else { &state.policy.tcp }.overlaps(port, port);
            if state.foreign.is_none() && world && closed {
                prop_assert!(!after, "still open: {protocol} {port} from {source}");
            }
            if before && !(world && closed) && state.wide_ranges == WideRanges::Split {
                prop_assert!(after, "a split cuts off {protocol} {port} from {source}");
            }
            if before && !world {
                prop_assert!(after, "somebody in particular is cut off: {protocol} {port} from {source}");
            }
        }
        // Nor in between: what is made first adds nothing to what is there.
        for change in OpenSecurityGroup::changes(&state, &fixed.clone()) {
            if let Change::Authorize(made) = change {
                fixed.rules = state.rules.iter().chain(&made).cloned().collect();
                for source in &sources {
                    prop_assert_eq!(lets_in(&fixed.rules, protocol, port, source), lets_in(&state.rules, protocol, port, source));
                }
            }
        }
    }

    #[test]
    fn a_run_that_dies_between_two_writes_is_finished_by_the_next(state in states(), done in 0usize..4) {
        let changes = OpenSecurityGroup::changes(&state, &OpenSecurityGroup::desired(&state));
        let mut now = state.clone();
        for change in changes.iter().take(done) {
            match change {
                Change::Authorize(made) => now.rules.extend(made.iter().cloned()),
                Change::Revoke(gone) => now.rules.retain(|rule| !gone.contains(rule)),
            }
        }
        let left = OpenSecurityGroup::changes(&now, &OpenSecurityGroup::desired(&now));
        prop_assert_eq!(left, changes.into_iter().skip(done).collect::<Vec<_>>());
    }
}
