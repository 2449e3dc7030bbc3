//! Plans that wait for a person, and what an approval is good for.

use super::*;

/// A plan that waits, and its approval.
async fn waiting(clinic: &Clinic, house: &House) -> (Record, Request<Doors>) {
    clinic.posture(|posture| posture.mode = Some(Mode::Approve)).await;
    let asked = clinic.at(0, "r-1", house, &event("e-1")).await;
    let request = approve(clinic, &asked).await;
    (asked, request)
}

async fn approve(clinic: &Clinic, asked: &Record) -> Request<Doors> {
    let id = &asked.approval.as_ref().unwrap().id;
    let (approval, version) = clinic.ledger.approval(id).await.unwrap().unwrap();
    let by = "arn:aws:iam::111122223333:user/alice".to_owned();
    manual(Order::Approved(Box::new(Decided { approval, version, by })), &[])
}

async fn state(clinic: &Clinic, asked: &Record) -> Approval {
    clinic.ledger.approval(&asked.approval.as_ref().unwrap().id).await.unwrap().unwrap().0
}

#[tokio::test(start_paused = true)]
async fn a_plan_waits_for_a_person_and_is_then_the_very_plan() {
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let (asked, yes) = waiting(&clinic, &house).await;
    assert_eq!((asked.outcome, asked.mode), (Outcome::AwaitingApproval, Mode::Approve));
    let id = asked.approval.as_ref().unwrap().id.clone();
    assert!(house.writes().is_empty() && asked.why.contains(&format!("suture approve {id}")), "{}", asked.why);
    let stored = state(&clinic, &asked).await;
    assert_eq!(stored.record["changes"], json!(asked.changes));
    assert_eq!(stored.record["cause"]["actor"], json!("arn:aws:iam::111122223333:role/deployer"));

    // The same drift again: it waits already, and nobody is told twice of the same event.
    let again = clinic.at(1, "r-2", &house, &event("e-1")).await;
    assert_eq!((again.outcome, again.approval.unwrap().id), (Outcome::AwaitingApproval, id));
    assert_eq!(clinic.outcomes(), ["awaiting-approval"]);

    let done = clinic.at(2, "r-3", &house, &yes).await;
    assert_eq!((done.outcome, house.door()), (Outcome::Fixed, Some(SHUT)), "{}", done.why);
    assert_eq!(done.approval.as_ref().unwrap().by.as_deref(), Some("arn:aws:iam::111122223333:user/alice"));
    let stored = state(&clinic, &asked).await;
    assert_eq!(
        (stored.state, stored.by.as_deref()),
        (ApprovalState::Approved, Some("arn:aws:iam::111122223333:user/alice"))
    );

    // It came about again: a new question, and the old answer is good for nothing.
    let house = House::new(OPEN, []);
    assert_eq!(refused_by(&clinic.at(3, "r-4", &house, &yes).await), (Outcome::Refused, Some("approval")));
    assert_eq!(clinic.at(3, "r-5", &house, &event("e-3")).await.outcome, Outcome::AwaitingApproval);
    assert!(house.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_the_plan_is_not_carried_out() {
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let (asked, yes) = waiting(&clinic, &house).await;
    let moved = House::new(Door { bolts: 1, ..OPEN }, []);
    let refused = clinic.at(1, "r-2", &moved, &yes).await;
    assert_eq!(refused.refused_by.as_deref(), Some("approval"));
    let new = refused.approval.as_ref().unwrap();
    assert_ne!(new.id, asked.approval.as_ref().unwrap().id, "the new plan is offered");
    assert!(refused.why.contains(&format!("suture approve {}", new.id)), "{}", refused.why);
    assert!(moved.writes().is_empty());
    let yes = approve(&clinic, &refused).await;
    assert_eq!(clinic.at(1, "r-3", &moved, &yes).await.outcome, Outcome::Fixed);
    // And what needs nothing any more is said to.
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let (_, yes) = waiting(&clinic, &house).await;
    assert_eq!(clinic.at(1, "r-2", &House::new(SHUT, []), &yes).await.outcome, Outcome::Compliant);
}

#[tokio::test(start_paused = true)]
async fn an_approval_has_an_end_and_a_rejection_holds_until_then() {
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let (_, yes) = waiting(&clinic, &house).await;
    assert_eq!(refused_by(&clinic.at(72, "r-2", &house, &yes).await), (Outcome::Refused, Some("approval")));
    let asked = clinic.at(73, "r-3", &house, &event("e-1")).await;
    assert_eq!(asked.outcome, Outcome::AwaitingApproval);
    let yes = approve(&clinic, &asked).await;
    let id = &asked.approval.as_ref().unwrap().id;
    clinic.ledger.reject(id, "arn:aws:iam::111122223333:user/bob", now()).await.unwrap();
    assert_eq!(refused_by(&clinic.at(74, "r-4", &house, &yes).await), (Outcome::Refused, Some("approval")));
    let refused = clinic.at(75, "r-5", &house, &event("e-5")).await;
    assert_eq!(refused_by(&refused), (Outcome::Refused, Some("rejected")));
    assert!(refused.why.contains("user/bob"), "{}", refused.why);
    assert_eq!(clinic.at(146, "r-6", &house, &event("e-6")).await.outcome, Outcome::AwaitingApproval);
    assert!(house.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_who_approve_one_has_it_carried_out() {
    let (clinic, house) = (Clinic::new(), House::new(OPEN, []));
    let (_, yes) = waiting(&clinic, &house).await;
    let (one, other) = tokio::join!(clinic.at(1, "r-2", &house, &yes), clinic.at(1, "r-3", &house, &yes));
    let fixed = [&one, &other].into_iter().filter(|record| record.outcome == Outcome::Fixed).count();
    assert_eq!((fixed, house.writes().len()), (1, 2), "{} / {}", one.why, other.why);
}

#[tokio::test(start_paused = true)]
async fn what_changes_by_itself_makes_no_other_plan_and_is_not_said_again() {
    let clinic = Clinic::new();
    clinic.posture(|posture| posture.mode = Some(Mode::Approve)).await;
    let go = async |id: &str, request: Request<StreetDoors>, door: Door| {
        let minute = Duration::from_mins(1);
        let house = Street(House::new(door, []));
        kept_as(id, now(), &house, &request, &clinic.settings, &clinic.ledger, minute).await
    };
    let blocked = Door { blocked: true, ..OPEN };
    let asked = go("r-1", of(event("e-1")), OPEN).await;
    let again = go("r-2", of(event("e-1")), blocked.clone()).await;
    assert_eq!(again.approval, asked.approval);
    assert_eq!(clinic.outcomes().len(), 1);
    let yes = approve(&clinic, &asked).await;
    assert_eq!(go("r-3", of(yes), blocked).await.outcome, Outcome::Fixed);
}
