//! What the control tells people.

use super::*;
use ec2::{Keeper, Kind};

fn users(kinds: &[(Kind, usize)], public: usize) -> Users {
    Users { kinds: kinds.iter().copied().collect(), public, more: false }
}

fn risks(state: &State) -> Vec<(&'static str, bool)> {
    let risks = OpenSecurityGroup::risks(state, &OpenSecurityGroup::desired(state));
    assert!(risks.iter().all(|risk| !risk.says.is_empty() && !risk.says.contains(char::is_control)));
    risks.into_iter().map(|risk| (risk.id, risk.refuses)).collect()
}

#[test]
fn what_closing_breaks() {
    let balancer = users(&[(Kind::LoadBalancer, 2)], 2);
    let network_balancer = users(&[(Kind::NetworkLoadBalancer, 1)], 1);
    let mixed = users(&[(Kind::LoadBalancer, 2), (Kind::Instance, 1)], 2);
    let instance = users(&[(Kind::Instance, 1)], 1);
    let (cut_off, wide) = (("cut-off", false), ("wide-range", false));
    for (rules, users, expected) in [
        (&["tcp 443 0.0.0.0/0"][..], &balancer, vec![]),
        (&["tcp 22 0.0.0.0/0"], &users(&[], 0), vec![]),
        (&["tcp 22 0.0.0.0/0"], &instance, vec![cut_off]),
        (&["tcp 22 0.0.0.0/0"], &balancer, vec![cut_off]),
        (&["-1 0.0.0.0/0"], &instance, vec![cut_off, wide]),
        (&["-1 0.0.0.0/0"], &balancer, vec![cut_off, wide, ("load-balancer", true)]),
        (&["tcp 0-65535 0.0.0.0/0"], &network_balancer, vec![cut_off, wide, ("load-balancer", true)]),
        // Nobody hides an open port of an instance behind a load balancer.
        (&["-1 0.0.0.0/0"], &mixed, vec![cut_off, wide, ("load-balancer", false)]),
        // Their clients have rules of their own.
        (&["tcp 0-65535 0.0.0.0/0", "tcp 80 0.0.0.0/0", "tcp 443 0.0.0.0/0"], &balancer, vec![cut_off, wide]),
        (&["tcp 0-65535 0.0.0.0/0", "tcp 443 0.0.0.0/0"], &balancer, vec![cut_off, wide, ("load-balancer", true)]),
    ] {
        assert_eq!(risks(&State { users: Some(users.clone()), ..state(rules) }), expected, "{rules:?} {users:?}");
    }
    let whole = State { users: Some(balancer.clone()), ..split(&["tcp 0-1000 0.0.0.0/0"]) };
    assert_eq!(risks(&whole), [cut_off], "a split leaves the listeners alone");
    // Also where there is room for little more than them.
    let part = State { users: Some(balancer), ..split(&["-1 0.0.0.0/0"]) };
    assert_eq!(risks(&part), [cut_off, wide, ("other-protocols", false)]);
    let mut list = State { users: None, ..state(&["tcp 22 pl-1"]) };
    list.lists.insert("pl-1".to_owned(), Reach::of(["0.0.0.0/0"]));
    assert_eq!(risks(&list), [("prefix-list", false)]);
}

#[test]
fn what_else_there_is_to_know() {
    let notes = |state: &State| OpenSecurityGroup::notes(state).join("\n");
    let mut open = state(&["tcp 22 0.0.0.0/0"]);
    open.users = Some(users(&[], 0));
    assert!(notes(&open).contains("latent"));
    open.users = Some(users(&[(Kind::Database, 1), (Kind::Instance, 2)], 0));
    assert!(
        notes(&open).contains("3 interfaces (instances 2, databases 1); none of it has a public address"),
        "{}",
        notes(&open)
    );
    open.users = Some(users(&[(Kind::Instance, 1)], 1));
    assert!(notes(&open).contains("1 interface (instances 1); 1 of it with a public address"), "{}", notes(&open));
    open.group.keepers = vec![Keeper::CloudFormation("net\nwork".to_owned()), Keeper::Kubernetes("prod".to_owned())];
    assert!(
        notes(&open).contains(r#"CloudFormation stack "net\nwork""#)
            && notes(&open).contains("loadBalancerSourceRanges")
    );
    assert!(!notes(&open).contains("default group"));
    open.group.name = "default".to_owned();
    assert!(notes(&open).contains("ec2-default-security-group"));
    // A group that is fine is nobody's news.
    let mut fine = State { rules: vec![], ..open.clone() };
    fine.users = None;
    assert_eq!(notes(&fine), "");
    assert_eq!(notes(&state(&["tcp 443 0.0.0.0/0", "tcp 80 ::/0", "tcp 8080 10.0.0.0/8", "icmp 0.0.0.0/0"])), "");
    for besides in ["tcp 8080 0.0.0.0/0", "tcp 443-444 ::/0", "udp 500 0.0.0.0/0"] {
        assert!(notes(&state(&[besides])).contains("AuthorizedPorts"), "{besides}");
    }
    let strict = Parameters { authorized_ports: Ports::parse("80,443").unwrap(), ..Parameters::default() };
    let strict = State { policy: strict.policy(None).unwrap(), ..state(&["tcp 8080 0.0.0.0/0"]) };
    assert_eq!(notes(&strict), "");
}

#[test]
fn long_lists_are_cut_short() {
    let many: Vec<String> = (0..60).map(|n| format!("tcp 22-{} 0.0.0.0/0", 22 + n)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let state = State { users: Some(users(&[(Kind::Instance, 1)], 0)), ..state(&many) };
    let says = &OpenSecurityGroup::risks(&state, &OpenSecurityGroup::desired(&state))[0].says;
    assert!(says.contains("and 55 more") && says.len() < 400, "{says}");
}
