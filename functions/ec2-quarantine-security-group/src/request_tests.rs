//! Whole requests: the engine's driver, this control and its SDK client, against an EC2 that can die between two
//! writes.

use super::*;

const QUARANTINE_ID: &str = "sg-0000000000000f001";

fn fix(name: &str, mode: Mode) -> Request<Quarantine> {
    testing::asks(at(name), Order::Fix(Some(mode)), &[])
}

fn undo(name: &str, record: &Record) -> Request<Quarantine> {
    let past: Past = serde_json::from_value(serde_json::to_value(record).unwrap()).unwrap();
    Request { order: Order::Undo(Box::new(past)), ..fix(name, Mode::Enforce) }
}

async fn run_by(ec2: &Ec2, request: &Request<Quarantine>) -> Record {
    testing::run(ec2, request, Mode::Enforce).await
}

async fn run(fake: &Fake, request: &Request<Quarantine>) -> Record {
    run_by(&ec2(fake), request).await
}

fn groups(world: &Arc<Mutex<World>>, eni: &str) -> Vec<String> {
    world.lock().unwrap().enis[eni].groups.iter().cloned().collect()
}

fn is_isolated(world: &World, eni: &str) -> bool {
    let quarantine = world.groups.iter().find(|(_, group)| group.name == QUARANTINE).map(|(id, _)| id.clone());
    Some(&world.enis[eni].groups) == quarantine.map(|id| BTreeSet::from([id])).as_ref()
}

fn leftovers(world: &World) -> usize {
    world.groups.values().filter(|group| group.name.starts_with("suture-opening-")).count()
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_cut_off_and_put_back() {
    for name in [GROUP, MACHINE] {
        let (fake, world) = serve(clinic());
        let record = run(&fake, &fix(name, Mode::Enforce)).await;
        assert_eq!((record.outcome, record.why.as_str()), (Outcome::Fixed, "read back and seen"), "{name}");
        let expected = [
            "CreateSecurityGroup",
            "RevokeSecurityGroupEgress",
            "CreateSecurityGroup",
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "CreateTags",
            "CreateTags",
            "ModifyNetworkInterfaceAttribute",
            "ModifyNetworkInterfaceAttribute",
            "ModifyNetworkInterfaceAttribute",
            "ModifyNetworkInterfaceAttribute",
            "DeleteSecurityGroup",
        ];
        let after = world.lock().unwrap().clone();
        assert_eq!(after.writes, expected, "{name}");
        assert_eq!(after.open_during.len(), 2, "each interface is open between two calls, and no longer");
        assert!(is_isolated(&after, ENI) && is_isolated(&after, SECOND));
        assert_eq!(leftovers(&after), 0);
        assert_eq!(after.groups[QUARANTINE_ID].rules, BTreeMap::new(), "nothing in, nothing out");

        let back = run(&fake, &undo(name, &record)).await;
        assert_eq!(back.outcome, Outcome::Undone, "{}", back.why);
        let now = world.lock().unwrap().clone();
        assert_eq!(now.enis, clinic().enis, "every interface is in its very groups, and without a trace");
        assert_eq!(now.groups.len(), 3, "the quarantine group stays");
    }
}

#[tokio::test(start_paused = true)]
async fn asked_twice_nothing_is_written_twice() {
    let (fake, world) = serve(clinic());
    run(&fake, &fix(GROUP, Mode::Enforce)).await;
    let writes = world.lock().unwrap().writes.len();
    let again = run(&fake, &fix(GROUP, Mode::Enforce)).await;
    assert_eq!((again.outcome, world.lock().unwrap().writes.len()), (Outcome::Compliant, writes));
    // The next incident in the VPC finds the quarantine group.
    world.lock().unwrap().enis.insert("eni-00000000000000009".to_owned(), eni(&[GROUP]));
    let next = run(&fake, &fix(GROUP, Mode::Enforce)).await;
    assert_eq!((next.outcome, next.changes.len()), (Outcome::Fixed, 7));
}

#[tokio::test(start_paused = true)]
async fn a_plan_writes_nothing_and_lists_the_very_writes() {
    let (fake, world) = serve(clinic());
    let planned = run(&fake, &fix(GROUP, Mode::Plan)).await;
    assert_eq!((planned.outcome, world.lock().unwrap().writes.len()), (Outcome::Planned, 0));
    let fixed = run(&fake, &fix(GROUP, Mode::Enforce)).await;
    assert_eq!(planned.changes, fixed.changes);
    assert!(planned.breaks.iter().any(|risk| risk.id == "auto-scaling"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_whether_we_may_where_that_can_be_asked() {
    let (fake, world) = serve(World { dies_after: Some(8), ..clinic() });
    run(&fake, &fix(MACHINE, Mode::Enforce)).await;
    world.lock().unwrap().dies_after = None;
    let left = world.lock().unwrap().clone();
    assert_eq!((left.writes.len(), leftovers(&left)), (8, 1), "one interface stands open");
    // The open group has a member until the plan is carried out: that says nothing about whether we may.
    let planned = run(&fake, &fix(MACHINE, Mode::Plan)).await;
    assert!(!planned.why.contains("would not work") && !planned.why.contains("we may"), "{}", planned.why);
    world.lock().unwrap().enis.get_mut(ENI).unwrap().groups = BTreeSet::from([QUARANTINE_ID.to_owned()]);
    let planned = run(&fake, &fix(MACHINE, Mode::Plan)).await;
    assert!(planned.why.contains("AWS says that we may"), "{}", planned.why);
    assert!(fake.sent().iter().any(|sent| {
        sent.operation().as_deref() == Some("ModifyNetworkInterfaceAttribute") && sent.field("DryRun").is_some()
    }));
    assert_eq!(world.lock().unwrap().writes.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn dying_after_any_write_leaves_nothing_that_a_second_request_does_not_finish() {
    for name in [GROUP, MACHINE] {
        for dies_after in 0..12 {
            let (fake, world) = serve(World { dies_after: Some(dies_after), ..clinic() });
            let first = run(&fake, &fix(name, Mode::Enforce)).await;
            assert_ne!(first.outcome, Outcome::Fixed, "{dies_after}");
            assert_eq!(world.lock().unwrap().writes.len(), dies_after);
            world.lock().unwrap().dies_after = None;

            let second = run(&fake, &fix(name, Mode::Enforce)).await;
            assert_eq!(second.outcome, Outcome::Fixed, "{name} {dies_after}: {}", second.why);
            let after = world.lock().unwrap().clone();
            assert!(is_isolated(&after, ENI) && is_isolated(&after, SECOND), "{dies_after}");
            assert_eq!(leftovers(&after), 0, "{dies_after}");
            assert!(after.groups.values().any(|group| group.name == QUARANTINE && group.rules.is_empty()));

            // The first record was logged before the first write, and says what to go back to.
            let mut intent = first.clone();
            intent.outcome = Outcome::Unverified;
            intent.after.clone_from(&second.after);
            if intent.before.is_some() {
                let back = run(&fake, &undo(name, &intent)).await;
                assert_eq!(back.outcome, Outcome::Undone, "{dies_after}: {}", back.why);
                assert_eq!(world.lock().unwrap().enis, clinic().enis, "{dies_after}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_service_holds_remains_and_is_named() {
    let mut world = clinic();
    let balancer = Eni { managed: true, instance: None, ..eni(&[GROUP]) };
    world.enis.insert("eni-00000000000000003".to_owned(), balancer);
    let (fake, world) = serve(world);
    let record = run(&fake, &fix(GROUP, Mode::Enforce)).await;
    assert_eq!(record.outcome, Outcome::PartlyFixed);
    assert!(record.why.contains("eni-00000000000000003"), "{}", record.why);
    assert!(is_isolated(&world.lock().unwrap(), ENI));
    assert_eq!(groups(&world, "eni-00000000000000003"), [GROUP]);
}

#[tokio::test(start_paused = true)]
async fn no_interface_is_opened_unless_the_way_out_is_free() {
    // A policy lets us use any group but the quarantine's.
    let world = Arc::new(Mutex::new(clinic()));
    let behind = world.clone();
    let fake = Fake::new(move |sent| {
        let out = sent.operation().as_deref() == Some("ModifyNetworkInterfaceAttribute")
            && sent.field("SecurityGroupId.1").as_deref() == Some(QUARANTINE_ID);
        if out { error("UnauthorizedOperation") } else { behind.lock().unwrap().answer(sent) }
    });
    let record = run(&fake, &fix(MACHINE, Mode::Enforce)).await;
    assert!(record.why.contains("ec2:ModifyNetworkInterfaceAttribute"), "{}", record.why);
    let after = world.lock().unwrap().clone();
    assert_eq!(after.open_during, [""; 0]);
    assert_eq!(after.enis[ENI].groups, clinic().enis[ENI].groups);
}

#[tokio::test(start_paused = true)]
async fn an_open_interface_does_not_wait_for_a_retry_that_comes_later() {
    for code in ["RequestLimitExceeded", "InternalError", "Unavailable"] {
        let world = Arc::new(Mutex::new(clinic()));
        let (behind, troubles) = (world.clone(), Mutex::new(0));
        let fake = Fake::new(move |sent| {
            let dry = sent.field("DryRun").is_some();
            if sent.operation().as_deref() == Some("ModifyNetworkInterfaceAttribute") && !dry {
                let mut troubles = troubles.lock().unwrap();
                *troubles += 1;
                // Every other call fails.
                if *troubles % 2 == 0 {
                    return error(code);
                }
            }
            behind.lock().unwrap().answer(sent)
        });
        let record = run(&fake, &fix(MACHINE, Mode::Enforce)).await;
        assert_eq!(record.outcome, Outcome::Fixed, "{code}: {}", record.why);
        assert!(is_isolated(&world.lock().unwrap(), ENI));
    }
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_moved_meanwhile_is_looked_at_again() {
    let world = Arc::new(Mutex::new(clinic()));
    let (behind, moved) = (world.clone(), Mutex::new(false));
    let fake = Fake::new(move |sent| {
        let mut world = behind.lock().unwrap();
        let mut moved = moved.lock().unwrap();
        // A colleague takes the interface out of a group after we marked it.
        if sent.operation().as_deref() == Some("AuthorizeSecurityGroupEgress") && !*moved {
            *moved = true;
            world.enis.get_mut(ENI).unwrap().groups.remove(OTHER);
        }
        world.answer(sent)
    });
    let record = run(&fake, &fix(GROUP, Mode::Enforce)).await;
    assert_eq!(record.outcome, Outcome::Fixed, "{}", record.why);
    let after = world.lock().unwrap().clone();
    assert!(is_isolated(&after, ENI));
    assert!(!after.enis[ENI].tags.contains(&format!("suture-quarantine:{OTHER}")), "{:?}", after.enis[ENI].tags);
    assert!(after.enis[ENI].tags.contains(&format!("suture-quarantine:{GROUP}")));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_gone_keeps_only_its_own_interface_in_quarantine() {
    let (fake, world) = serve(clinic());
    let record = run(&fake, &fix(MACHINE, Mode::Enforce)).await;
    world.lock().unwrap().groups.remove(OTHER);
    let back = run(&fake, &undo(MACHINE, &record)).await;
    assert_eq!(back.outcome, Outcome::PartlyFixed, "{}", back.why);
    assert!(back.why.contains(OTHER) && back.why.contains("by hand"), "{}", back.why);
    assert!(back.notes.iter().any(|note| note.contains(OTHER)), "{:?}", back.notes);
    assert_eq!(groups(&world, SECOND), [GROUP]);
    assert!(is_isolated(&world.lock().unwrap(), ENI));
}

#[tokio::test(start_paused = true)]
async fn two_requests_of_one_process_do_not_mix_up_their_groups() {
    let (fake, world) = serve(clinic());
    let ec2 = ec2(&fake);
    let record = run_by(&ec2, &fix(MACHINE, Mode::Enforce)).await;
    run_by(&ec2, &undo(MACHINE, &record)).await;
    world.lock().unwrap().groups.remove(QUARANTINE_ID);
    let again = run_by(&ec2, &fix(MACHINE, Mode::Enforce)).await;
    assert_eq!(again.outcome, Outcome::Fixed, "{}", again.why);
    assert!(is_isolated(&world.lock().unwrap(), ENI));
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_group_that_somebody_opened_is_closed_again() {
    let (fake, world) = serve(clinic());
    run(&fake, &fix(MACHINE, Mode::Enforce)).await;
    let door = ("sgr-0000000000000aaaa".to_owned(), (false, "0.0.0.0/0".to_owned()));
    world.lock().unwrap().groups.get_mut(QUARANTINE_ID).unwrap().rules.extend([door]);
    let record = run(&fake, &fix(MACHINE, Mode::Enforce)).await;
    assert_eq!(record.outcome, Outcome::Fixed);
    assert_eq!(world.lock().unwrap().groups[QUARANTINE_ID].rules, BTreeMap::new());
    assert_eq!(world.lock().unwrap().writes.last().unwrap(), "RevokeSecurityGroupIngress");
}

#[tokio::test(start_paused = true)]
async fn connections_that_may_live_on_cost_no_opening() {
    let (fake, world) = serve(clinic());
    let parameters = Parameters { established: Established::Leave, ..Parameters::default() };
    let record = run_by(&Ec2::new(&fake.sdk(), parameters), &fix(MACHINE, Mode::Enforce)).await;
    assert_eq!(record.outcome, Outcome::Fixed);
    let after = world.lock().unwrap().clone();
    assert_eq!(after.open_during, [""; 0]);
    assert_eq!(after.writes.iter().filter(|write| write.starts_with("Authorize")).count(), 0);
}
