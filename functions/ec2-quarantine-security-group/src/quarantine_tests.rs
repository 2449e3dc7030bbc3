//! What is written to cut off, to finish what broke off, and to put back.

use super::model::Model;
use super::*;

fn forensic(cidrs: &str) -> Vec<Rule> {
    Forensics::try_from(cidrs.to_owned()).unwrap().rules()
}

#[test]
fn the_first_quarantine_of_a_vpc() {
    let first = state([interface(within(&[1, 2]))], None, None);
    let expected = [
        "create quarantine",
        "revoke quarantine: all traffic to 0.0.0.0/0, all traffic to ::/0",
        "create opening",
        "authorize opening: all traffic from 0.0.0.0/0, all traffic from ::/0",
        "authorize opening: all traffic to ::/0",
        "mark 1: 1,2",
        "open 1 from 1,2",
        "isolate 1",
        "delete opening",
    ];
    assert_eq!(told(&fix(&first)), expected);
}

#[test]
fn a_quarantine_group_that_is_there_serves_again() {
    let again = state([interface(within(&[1]))], group(QUARANTINED, vec![]), None);
    let expected = [
        "create opening",
        "authorize opening: all traffic from 0.0.0.0/0, all traffic from ::/0",
        "authorize opening: all traffic to ::/0",
        "mark 1: 1",
        "open 1 from 1",
        "isolate 1",
        "delete opening",
    ];
    assert_eq!(told(&fix(&again)), expected);
}

#[test]
fn every_interface_of_an_instance_is_moved_one_by_one() {
    let both = state([interface(within(&[1])), interface(within(&[2]))], group(QUARANTINED, vec![]), None);
    let moves = told(&fix(&both)).split_off(3);
    let expected =
        ["mark 1: 1", "mark 2: 2", "open 1 from 1", "isolate 1", "open 2 from 2", "isolate 2", "delete opening"];
    assert_eq!(moves, expected);
}

#[test]
fn where_connections_may_live_on_nothing_is_opened() {
    let mut leave = state([interface(within(&[1]))], group(QUARANTINED, vec![]), None);
    leave.established = Established::Leave;
    assert_eq!(told(&fix(&leave)), ["mark 1: 1", "set 1 from 1 to quarantine"]);
}

#[test]
fn an_interface_that_stands_open_is_taken_out_at_once() {
    let opened = || Interface { mark: Some(vec![sg(1)]), ..interface(vec![Member::Opening(sg(OPENED))]) };
    for established in [Established::Cut, Established::Leave] {
        let mut broken = state([opened()], group(QUARANTINED, vec![]), group(OPENED, open()));
        broken.established = established;
        assert_eq!(told(&fix(&broken)), ["isolate 1", "delete opening"]);
        // Even if another target's request opened it.
        broken.vpcs.get_mut(&vpc(1)).unwrap().opening = None;
        assert_eq!(told(&fix(&broken)), ["isolate 1"]);
    }
}

#[test]
fn what_is_in_quarantine_is_compliant() {
    let marked = Interface { mark: Some(vec![sg(1)]), ..interface(vec![Member::Quarantine]) };
    for inside in [marked, interface(vec![Member::Quarantine])] {
        assert_eq!(told(&fix(&state([inside], group(QUARANTINED, vec![]), None))), [""; 0]);
    }
    assert_eq!(told(&fix(&state([], None, None))), [""; 0], "nothing to cut off, nothing to make");
}

#[test]
fn a_quarantine_beside_other_groups_is_none() {
    let inside = Interface { mark: Some(vec![sg(7)]), ..interface(vec![Member::Quarantine, Member::Group(sg(9))]) };
    let moves = told(&fix(&state([inside], group(QUARANTINED, vec![]), None))).split_off(3);
    let expected = ["unmark 1: 7", "mark 1: 9", "open 1 from a1,9", "isolate 1", "delete opening"];
    assert_eq!(moves, expected, "and the mark is what is true now");
}

#[test]
fn rules_that_somebody_gave_the_quarantine_group_are_taken_away() {
    let inside = || Interface { mark: Some(vec![sg(1)]), ..interface(vec![Member::Quarantine]) };
    let back_door = state([inside()], group(QUARANTINED, open()), None);
    let expected = [
        "revoke quarantine: all traffic from 0.0.0.0/0, all traffic from ::/0",
        "revoke quarantine: all traffic to 0.0.0.0/0, all traffic to ::/0",
    ];
    assert_eq!(told(&fix(&back_door)), expected);
    // Its description is nobody's way in.
    let mut described = state([inside()], group(QUARANTINED, forensic("10.9.8.0/24")), None);
    described.forensics = forensic("10.9.8.0/24");
    described.vpcs.get_mut(&vpc(1)).unwrap().quarantine.as_mut().unwrap().rules[0].description = None;
    assert_eq!(told(&fix(&described)), [""; 0]);
    // Where nothing of ours is inside, it is none of our business.
    let held = Interface { held_by: Some("databases".to_owned()), ..interface(within(&[1])) };
    assert_eq!(told(&fix(&state([held], group(QUARANTINED, open()), None))), [""; 0]);
}

#[test]
fn forensic_tools_may_come_from_where_the_operator_says() {
    let mut set = state([interface(within(&[1]))], None, None);
    set.forensics = forensic("10.9.8.0/24");
    assert_eq!(
        told(&fix(&set))[..3],
        [
            "create quarantine",
            "revoke quarantine: all traffic to 0.0.0.0/0, all traffic to ::/0",
            "authorize quarantine: all traffic from 10.9.8.0/24",
        ]
    );
    // And not from where the operator said before.
    let mut changed = state([interface(vec![Member::Quarantine])], group(QUARANTINED, forensic("10.1.0.0/24")), None);
    changed.forensics = forensic("10.9.8.0/24");
    let expected =
        ["revoke quarantine: all traffic from 10.1.0.0/24", "authorize quarantine: all traffic from 10.9.8.0/24"];
    assert_eq!(told(&fix(&changed)), expected);
}

#[test]
fn an_open_group_that_was_left_behind_goes() {
    let left = |rules| state([interface(vec![Member::Quarantine])], group(QUARANTINED, vec![]), group(OPENED, rules));
    assert_eq!(told(&fix(&left(open()))), ["delete opening"]);
    assert_eq!(told(&fix(&left(vec![]))), ["delete opening"]);
    let mut unused = left(open());
    unused.interfaces.clear();
    assert_eq!(told(&fix(&unused)), ["delete opening"]);
    // One that was left half made is made whole before it is used.
    let half = state([interface(within(&[1]))], group(QUARANTINED, vec![]), group(OPENED, open().split_off(2)));
    let expected = [
        "authorize opening: all traffic from 0.0.0.0/0, all traffic from ::/0",
        "mark 1: 1",
        "open 1 from 1",
        "isolate 1",
        "delete opening",
    ];
    assert_eq!(told(&fix(&half)), expected);
}

#[test]
fn what_a_service_holds_is_named_and_left() {
    let held = |by: &str| Interface { held_by: Some(by.to_owned()), instance: None, ..interface(within(&[1])) };
    let mixed = state([held("load balancers"), interface(within(&[1]))], group(QUARANTINED, vec![]), None);
    assert!(told(&fix(&mixed)).iter().all(|change| !change.contains(" 1 ") && !change.contains(" 1:")), "{mixed:?}");
    let hindrance = Quarantine::hindrance(&mixed).unwrap();
    assert_eq!(hindrance.id, "held-by-others");
    for says in ["eni-00000000000000001 (\"load balancers\")", "take away the rules"] {
        assert!(hindrance.says.contains(says), "{}", hindrance.says);
    }
    assert!(!hindrance.says.contains("eni-00000000000000002"), "{}", hindrance.says);
    let only = state([held("account 444455556666")], None, None);
    assert_eq!(told(&fix(&only)), [""; 0], "no group is made for nothing");
    assert!(Quarantine::hindrance(&only).is_some());
    assert_eq!(Quarantine::hindrance(&state([interface(within(&[1]))], None, None)), None);
    let many = state((0..40).map(|_| held("databases")), None, None);
    let says = Quarantine::hindrance(&many).unwrap().says;
    assert!(says.contains("and 30 more") && says.len() < 1000, "{says}");
}

#[test]
fn interfaces_in_several_vpcs_have_a_quarantine_each() {
    let mut two = state([interface(within(&[1])), Interface { vpc: vpc(2), ..interface(within(&[2])) }], None, None);
    two.vpcs.insert(vpc(2), Groups::default());
    let made: Vec<(String, VpcId)> = fix(&two)
        .into_iter()
        .filter_map(|change| match change {
            Change::CreateGroup { name, vpc } => Some((name, vpc)),
            _ => None,
        })
        .collect();
    let both = |name: String| [(name.clone(), vpc(1)), (name, vpc(2))];
    assert_eq!(made, [both(QUARANTINE.to_owned()), both(two.target.opening())].concat());
}

fn risks(state: &State) -> Vec<(&'static str, bool)> {
    let risks = Quarantine::risks(state, &Quarantine::desired(state));
    assert!(risks.iter().all(|risk| !risk.says.is_empty() && !risk.says.contains(char::is_control)));
    risks.into_iter().map(|risk| (risk.id, risk.refuses)).collect()
}

#[test]
fn what_cutting_off_would_break() {
    let (cut, opened) = (("cut-off", false), ("open-for-a-moment", false));
    let mut one = state([interface(within(&[1]))], None, None);
    assert_eq!(risks(&one), [cut, opened]);
    one.established = Established::Leave;
    assert_eq!(risks(&one), [cut]);
    one.instances.insert(
        instance(1),
        Instance { auto_scaling_group: Some("web\u{7}".to_owned()), cluster: Some("prod".to_owned()), spot: true },
    );
    // Somebody else's node.
    one.instances.insert(instance(2), Instance { auto_scaling_group: Some("db".to_owned()), ..Instance::default() });
    assert_eq!(risks(&one), [cut, ("auto-scaling", false), ("kubernetes", false)]);
    let says = Quarantine::risks(&one, &Quarantine::desired(&one)).remove(0).says;
    assert!(says.contains("eni-00000000000000001 of i-00000000000000001"), "{says}");
    for nothing in
        [state([], None, None), state([interface(vec![Member::Quarantine])], group(QUARANTINED, open()), None)]
    {
        assert_eq!(risks(&nothing), []);
    }
}

#[test]
fn a_group_that_many_use_is_not_cut_off_by_a_slip() {
    let many = |count: usize| state((0..count).map(|_| interface(within(&[1]))), None, None);
    assert_eq!(risks(&many(21))[0], ("many-interfaces", true));
    assert!(risks(&many(20)).iter().all(|(id, _)| *id != "many-interfaces"));
    let mut inside = many(21);
    inside.interfaces.values_mut().take(1).for_each(|interface| interface.groups = vec![Member::Quarantine]);
    assert!(risks(&inside).iter().all(|(_, refuses)| !refuses), "those that are in quarantine do not count");
}

#[test]
fn what_a_person_should_know() {
    let notes = |state: &State| Quarantine::notes(state).join("\n");
    let mut one = state([interface(within(&[1]))], None, None);
    for says in ["DNS resolver", "metadata", "NAT gateways", "the rules of sg-00000000000000001 stay"] {
        assert!(notes(&one).contains(says), "{says}: {}", notes(&one));
    }
    one.target = Target::Instance(instance(1));
    assert!(!notes(&one).contains("stay as they are"));
    one.instances.insert(instance(1), Instance { spot: true, ..Instance::default() });
    assert!(notes(&one).contains("Spot Instance"));
    one.interfaces.get_mut(&eni(1)).unwrap().mark = Some(vec![sg(7), sg(8)]);
    one.gone.insert(sg(8));
    assert!(notes(&one).contains("was in sg-00000000000000008 before"), "{}", notes(&one));
    let lost = state([interface(vec![Member::Opening(sg(OPENED))])], None, None);
    assert!(notes(&lost).contains("nothing says which groups"), "{}", notes(&lost));
    assert_eq!(notes(&state([], None, None)), "no interface uses sg-00000000000000001");
}

#[test]
fn an_undo_puts_each_interface_back_into_its_very_groups() {
    let before = state([interface(within(&[1, 2])), interface(within(&[3]))], None, None);
    let mut ec2 = Model::new(before.clone(), false);
    ec2.write_all(&fix(&before));
    let undo = Quarantine::changes(&ec2.state, &Quarantine::restored(&before));
    let expected = ["set 1 from f001 to 1,2", "set 2 from f001 to 3", "unmark 1: 1,2 all", "unmark 2: 3 all"];
    assert_eq!(told(&undo), expected, "and the quarantine group stays, for the next time");
}

#[test]
fn an_undo_passes_over_what_is_gone_and_puts_the_rest_back_first() {
    let before = state([interface(within(&[1])), interface(within(&[2])), interface(within(&[3]))], None, None);
    let mut ec2 = Model::new(before.clone(), false);
    ec2.write_all(&fix(&before));
    ec2.state.interfaces.remove(&eni(2));
    ec2.state.gone.insert(sg(1));
    let undo = told(&Quarantine::changes(&ec2.state, &Quarantine::restored(&before)));
    assert_eq!(undo, ["set 3 from f001 to 3", "set 1 from f001 to 1", "unmark 3: 3 all", "unmark 1: 1 all"]);
}

#[test]
fn an_undo_leaves_new_interfaces_and_the_others_quarantine_alone() {
    let before = state([interface(within(&[1]))], group(QUARANTINED, open()), None);
    let mut ec2 = Model::new(before.clone(), false);
    ec2.write_all(&fix(&before));
    ec2.state.interfaces.insert(eni(9), interface(within(&[1])));
    let undo = told(&Quarantine::changes(&ec2.state, &Quarantine::restored(&before)));
    assert_eq!(undo, ["set 1 from a1 to 1", "unmark 1: 1 all"], "the quarantine's back door is not opened again");
}

#[test]
fn an_interface_whose_groups_nobody_knows_stays_in_quarantine() {
    let before =
        state([interface(vec![Member::Opening(sg(OPENED))])], group(QUARANTINED, vec![]), group(OPENED, open()));
    let mut ec2 = Model::new(before.clone(), false);
    ec2.write_all(&fix(&before));
    let undo = told(&Quarantine::changes(&ec2.state, &Quarantine::restored(&before)));
    assert_eq!(undo, ["unmark 1:  all"]);
}

fn members() -> impl Strategy<Value = Vec<Member>> {
    let others = || proptest::collection::btree_set(1..4_u32, 1..3);
    prop_oneof![
        4 => others().prop_map(|ids| ids.into_iter().map(|id| Member::Group(sg(id))).collect()),
        2 => Just(vec![Member::Quarantine]),
        1 => others().prop_map(|ids| {
            std::iter::once(Member::Quarantine).chain(ids.into_iter().map(|id| Member::Group(sg(id)))).collect()
        }),
    ]
}

fn interfaces() -> impl Strategy<Value = Interface> {
    let mark = proptest::option::of(proptest::collection::btree_set(1..4_u32, 0..3));
    let held = proptest::option::weighted(0.2, Just("load balancers".to_owned()));
    (members(), mark, 1..3_u32, proptest::option::of(1..3_u32), held).prop_map(|(groups, mark, of, at, held_by)| {
        let mark = mark.map(|ids| ids.into_iter().map(sg).collect());
        Interface { vpc: vpc(of), groups, mark, instance: at.map(instance), held_by }
    })
}

/// Rules of a group of ours, by their traffic in order.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop_oneof![
        3 => Just(vec![]),
        2 => Just(open()),
        1 => proptest::sample::subsequence(open(), 0..4),
        1 => Just(forensic("10.9.8.0/24")),
    ]
}

prop_compose! {
    /// Any state that EC2 can be in: who is in a group finds it there, and at most one interface stands open.
    fn states()(
        interfaces in proptest::collection::vec(interfaces(), 0..5),
        opened in proptest::option::weighted(0.3, 0..5_usize),
        quarantines in proptest::collection::vec(proptest::option::of(rules()), 2),
        openings in proptest::collection::vec(proptest::option::weighted(0.3, rules()), 2),
        cut in any::<bool>(),
        forensics in prop_oneof![Just(""), Just("10.9.8.0/24")],
        gone in proptest::collection::btree_set(4..6_u32, 0..2),
    ) -> State {
        let mut state = state(interfaces, None, None);
        state.established = if cut { Established::Cut } else { Established::Leave };
        state.forensics = forensic(forensics);
        state.gone = gone.into_iter().map(sg).collect();
        for (number, (quarantine, opening)) in (1..).zip(quarantines.into_iter().zip(openings)) {
            let here = |it: &Interface| it.vpc == vpc(number);
            let used = state.interfaces.values().any(|it| here(it) && it.groups.contains(&Member::Quarantine));
            let quarantine = quarantine.or(used.then(Vec::new)).map(|rules| group(0xa0 + number, rules));
            let opening = opening.map(|rules| group(0xb0 + number, rules));
            state.vpcs.insert(vpc(number), Groups { quarantine, opening });
        }
        let free = state.interfaces.values_mut().filter(|it| it.held_by.is_none());
        if let Some(interface) = opened.and_then(|index| free.into_iter().nth(index)) {
            let number = if interface.vpc == vpc(1) { 1 } else { 2 };
            interface.groups = vec![Member::Opening(sg(0xb0 + number))];
            let opening = &mut state.vpcs.get_mut(&interface.vpc).unwrap().opening;
            opening.get_or_insert_with(|| group(0xb0 + number, open()));
        }
        state
    }
}

fn finished(state: &State) -> bool {
    let movable = |interface: &&Interface| interface.held_by.is_none();
    state.interfaces.values().filter(movable).all(Interface::is_isolated)
        && state.vpcs.values().all(|groups| groups.opening.is_none())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold(state in states()) {
        laws::check::<Quarantine>(&state);
    }

    /// Whatever write is the last before the function dies, a second look finishes, and the records of either request
    /// lead back to the groups that each interface was in.
    #[test]
    fn a_request_that_dies_is_finished_by_the_next(before in states(), dual in any::<bool>(), dies in 0..40_usize) {
        let changes = fix(&before);
        let mut ec2 = Model::new(before.clone(), dual);
        ec2.write_all(&changes[..dies.min(changes.len())]);

        let second = ec2.state.clone();
        ec2.write_all(&fix(&second));
        prop_assert!(finished(&ec2.state), "{:?}", ec2.state);
        prop_assert_eq!(told(&fix(&ec2.state)), Vec::<String>::new());
        for (id, interface) in &before.interfaces {
            if interface.held_by.is_some() || interface.is_isolated() {
                prop_assert_eq!(&ec2.state.interfaces[id], interface, "touched without need");
            }
        }

        let fixed = ec2.state.clone();
        for (record, is_second) in [(&before, false), (&second, true)] {
            let mut ec2 = Model::new(fixed.clone(), dual);
            let aim = Quarantine::restored(record);
            ec2.write_all(&Quarantine::changes(&fixed, &aim));
            prop_assert_eq!(told(&Quarantine::changes(&ec2.state, &aim)), Vec::<String>::new(), "an undo never ends");
            for (id, was) in &before.interfaces {
                let now = &ec2.state.interfaces[id];
                prop_assert!(!now.is_open(), "put back into the open");
                // What the second request found in quarantine, it has nothing to take back from.
                if was.is_open() || (is_second && second.interfaces[id].is_isolated()) {
                    continue;
                }
                // A mark leaves out our own group: half in quarantine is not worth going back to.
                let mut expected = was.groups.clone();
                expected.retain(|member| !(is_second && second.interfaces[id].is_open() && *member == Member::Quarantine));
                prop_assert_eq!(&now.groups, &expected, "{} by {:?}", id, record);
            }
        }
    }

    /// Each opening is followed by its end, at once.
    #[test]
    fn nothing_comes_between_opening_and_closing(state in states()) {
        let changes = fix(&state);
        for (index, change) in changes.iter().enumerate() {
            if let Change::Open { interface, into, .. } = change {
                let isolate = Change::Isolate { interface: interface.clone(), into: into.clone() };
                prop_assert_eq!(changes.get(index + 1), Some(&isolate));
                prop_assert_eq!(state.established, Established::Cut);
            }
        }
    }
}
