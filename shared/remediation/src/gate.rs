//! The gates: what must be so before anything is read or written, on every path. They fail closed.
//!
//! A manual request can override a gate by naming it in `override`; the record then shows that it did.

use crate::accounts::ACCOUNT;
use crate::control::{Control, Place, Safety, Scope};
use crate::event::{Order, Request};
use crate::settings::{Limits, Mode, Settings};
use ledger::{Posture, Standing};
use time::OffsetDateTime;
use triggers::ids::{AccountId, Region, shown};

/// A gate or a control's guard that said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gate's or the guard's name.
    pub by: String,
    /// Why, and the next step.
    pub why: String,
}

/// Whether the event is about a call that our own role made. Such calls are fixes and undos; acting on them would make
/// us answer ourselves.
pub fn own_doing<C: Control>(request: &Request<C>, settings: &Settings) -> bool {
    let role = request.cause.as_ref().and_then(|cause| cause.role.as_deref());
    let ours = |arn: &String| arn.replace(ACCOUNT, request.place.account.as_str());
    role.is_some_and(|role| settings.role_arns.iter().any(|arn| ours(arn) == role))
}

/// The gates that need no look at the resource: is its account ours to change, and its region? `place` is where the
/// request says that the resource is, or where it turned out to be.
pub fn place<C: Control>(request: &Request<C>, place: &Place<C::Target>, settings: &Settings) -> Result<(), Refusal> {
    let at_home = settings.own_account.as_ref() == Some(&place.account);
    if C::ABOUT.scope == Scope::Deployment && !at_home {
        let why =
            format!("{} looks after this deployment alone, and this is about account {}", C::ABOUT.id, place.account);
        return Err(Refusal { by: "own-account".to_owned(), why });
    }
    if !C::ABOUT.names_account && !at_home && settings.member_role.is_none() {
        let why = format!(
            "the calls of {} mean the account of this function, and this is about account {}; deploy it there, or make that \
             account a member (docs/many-accounts.md)",
            C::ABOUT.id,
            place.account
        );
        return Err(Refusal { by: "own-account".to_owned(), why });
    }
    listed::<C>(&place.account, &place.region, &request.overrides, settings)
}

/// The gates of an account and a region that are asked before anything is read there: also before a sweep lists anything.
pub fn listed<C: Control>(
    account: &AccountId,
    region: &Region,
    overrides: &[String],
    settings: &Settings,
) -> Result<(), Refusal> {
    // The deployment looks after itself wherever it is.
    if C::ABOUT.scope == Scope::Deployment {
        return Ok(());
    }
    // What is in no region is in every one.
    let in_region = C::ABOUT.scope == Scope::Global || settings.regions.contains(region);
    for (gate, ours, value, setting) in [
        ("account", settings.accounts.contains(account), account.as_str(), "SUTURE_ACCOUNTS"),
        ("region", in_region, region.as_str(), "SUTURE_REGIONS"),
    ] {
        if !ours && !overrides.iter().any(|given| given == gate) {
            let why = format!("{gate} {value} is not one of ours to change; if it should be, add it to {setting}");
            return Err(Refusal { by: gate.to_owned(), why });
        }
    }
    Ok(())
}

/// The kill switch: while it is on, nothing is written. A person can override it by name; the record shows that.
pub fn kill_switch<C: Control>(request: &Request<C>, posture: &Posture) -> Result<(), Refusal> {
    match &posture.stop {
        Some(stop) if !overridden(request, "kill-switch") => Err(Refusal {
            by: "kill-switch".to_owned(),
            why: format!(
                "everything was stopped by {} ({}); suture resume lets it go on, and \"override\": [\"kill-switch\"] in a \
                 manual request this one write",
                shown(&stop.by),
                shown(&stop.reason)
            ),
        }),
        _ => Ok(()),
    }
}

/// The mode that a request runs under. `posture` is what the ledger says, where there is a ledger. A manual request can ask
/// for less than the control's mode, and for more only by overriding the gate.
pub fn mode<C: Control>(request: &Request<C>, settings: &Settings, posture: Option<&Posture>) -> Result<Mode, Refusal> {
    let live =
        posture.and_then(|posture| posture.mode_of(C::ABOUT.id)).unwrap_or_else(|| settings.mode_of(C::ABOUT.id));
    match &request.order {
        // Both are a person's decision in themselves.
        Order::Undo(_) | Order::Approved(_) => Ok(Mode::Enforce),
        // What cannot be taken back never runs unattended.
        Order::Fix(None) if C::ABOUT.safety == Safety::Irreversible => Ok(live.min(Mode::Approve)),
        Order::Fix(None) => Ok(live),
        Order::Fix(Some(asked)) if *asked <= live || overridden(request, "mode") => Ok(*asked),
        Order::Fix(Some(asked)) => Err(Refusal {
            by: "mode".to_owned(),
            why: format!(
                "the mode of {} is {}, and the request asks for {}; to do it all the same, add \"override\": [\"mode\"] to \
                 it, or change the mode: suture mode {} {}",
                C::ABOUT.id,
                live.name(),
                asked.name(),
                C::ABOUT.id,
                asked.name()
            ),
        }),
    }
}

/// Whether somebody or something keeps undoing what we do. Then doing it again is noise, and may be harm.
pub fn flapping<C: Control>(
    request: &Request<C>,
    standing: &Standing,
    limits: &Limits,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let returns: Vec<_> = standing.returns_since(now - limits.flap_window).collect();
    if returns.len() < limits.flaps || overridden(request, "flapping") || !matches!(request.order, Order::Fix(_)) {
        return Ok(());
    }
    let mut by: Vec<&str> = Vec::new();
    for each in &returns {
        let name = each.by.as_deref().unwrap_or("nobody that an event named");
        if !by.contains(&name) {
            by.push(name);
        }
    }
    Err(Refusal {
        by: "flapping".to_owned(),
        why: format!(
            "it was brought back {} times in {} hours, and each time undone again, by: {}; see to that first, then add \
             \"override\": [\"flapping\"] to a manual request, or exempt it",
            returns.len(),
            limits.flap_window.as_secs() / 3600,
            by.join("; ")
        ),
    })
}

/// Whether the request overrides the gate or guard of this name.
pub fn overridden<C: Control>(request: &Request<C>, name: &str) -> bool {
    request.overrides.iter().any(|given| given == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::About;
    use crate::accounts::MemberRole;
    use crate::toy::{Door, Doors, Name, OURS, THEIRS, Turn, account, doors, manual, region, request, settings};

    #[test]
    fn a_place_is_ours_or_refused_by_name() {
        let ours = settings(Mode::Enforce);
        for (of, at, refused_by) in [
            (OURS, "us-east-1", None),
            (OURS, "eu-west-1", None),
            (OURS, "eu-west-2", Some("region")),
            (THEIRS, "us-east-1", Some("account")),
            (THEIRS, "eu-west-2", Some("account")),
        ] {
            let mut request = request();
            request.place.account = account(of);
            request.place.region = region(at);
            let refusal = place(&request, &request.place, &ours).err();
            assert_eq!(refusal.as_ref().map(|refusal| refusal.by.as_str()), refused_by, "{of} {at}");
            if let Some(refusal) = refusal {
                assert!(refusal.why.contains("SUTURE_"), "the next step: {}", refusal.why);
            }
        }
    }

    #[test]
    fn an_override_opens_the_gate_that_it_names_and_no_other() {
        for (overrides, refused_by) in [
            (&[][..], Some("account")),
            (&["region"], Some("account")),
            (&["account"], Some("region")),
            (&["Account", "account ", "*", "all"], Some("account")),
            (&["account", "region"], None),
        ] {
            let mut request = manual(Order::Fix(None), overrides);
            request.place.account = account(THEIRS);
            request.place.region = region("eu-west-2");
            let refusal = place(&request, &request.place, &settings(Mode::Enforce)).err();
            assert_eq!(refusal.map(|refusal| refusal.by).as_deref(), refused_by, "{overrides:?}");
        }
    }

    #[test]
    fn where_nothing_is_allowed_nothing_passes() {
        let none = Settings { accounts: vec![], regions: vec![], ..settings(Mode::Enforce) };
        assert!(place(&request(), &request().place, &none).is_err());
    }

    /// Doors whose calls do not say whose house they mean.
    struct AtHome;

    doors!(AtHome, About { id: "at-home", names_account: false, scope: Scope::Global, ..Doors::ABOUT });

    #[test]
    fn where_calls_name_no_account_only_our_own_is_meant() {
        let of = |id: &str, at: &str| {
            let request = request();
            let place = Place { account: account(id), region: region(at), ..request.place };
            crate::toy::of::<AtHome>(Request { place, ..request })
        };
        let both = Settings { accounts: vec![account(OURS), account(THEIRS)], ..settings(Mode::Enforce) };
        let check = |request: &Request<AtHome>, settings: &Settings| place(request, &request.place, settings);
        assert_eq!(check(&of(OURS, "us-east-1"), &both), Ok(()));
        assert_eq!(check(&of(OURS, "ap-south-1"), &both), Ok(()), "it is in no region");
        let theirs = Request { overrides: vec!["own-account".to_owned()], ..of(THEIRS, "us-east-1") };
        assert_eq!(check(&theirs, &both).unwrap_err().by, "own-account", "no override changes whose account it is");
        let nobody = Settings { own_account: None, ..both.clone() };
        assert_eq!(check(&of(OURS, "us-east-1"), &nobody).unwrap_err().by, "own-account");
        // A member lends its role; whether it is one of ours to change is the next gate's.
        let arn = "arn:aws:iam::{account}:role/suture-member-at-home".to_owned();
        let hub = Settings { member_role: Some(MemberRole { arn, external_id: None }), ..both };
        assert_eq!(check(&of(THEIRS, "us-east-1"), &hub), Ok(()));
        let alone = Settings { accounts: vec![account(OURS)], ..hub };
        assert_eq!(check(&of(THEIRS, "us-east-1"), &alone).unwrap_err().by, "account");
    }

    /// Doors of the deployment's own house.
    struct OurOwn;

    doors!(OurOwn, About { id: "our-own", scope: Scope::Deployment, ..Doors::ABOUT });

    #[test]
    fn a_deployment_looks_after_itself_wherever_it_is_and_after_no_other() {
        let of = |id: &str, at: &str| {
            let request = request();
            let place = Place { account: account(id), region: region(at), ..request.place };
            crate::toy::of::<OurOwn>(Request { place, ..request })
        };
        let elsewhere = Settings { accounts: vec![account(THEIRS)], ..settings(Mode::Enforce) };
        let check = |request: &Request<OurOwn>| place(request, &request.place, &elsewhere);
        assert_eq!(check(&of(OURS, "ap-south-1")), Ok(()));
        assert_eq!(check(&of(THEIRS, "us-east-1")).unwrap_err().by, "own-account");
    }

    #[test]
    fn nobody_gets_more_than_the_deployments_mode_by_asking_alone() {
        use Mode::{Approve, Enforce, Plan};
        let table = [
            (Order::Fix(None), &[][..], Plan, Some(Plan)),
            (Order::Fix(None), &[], Approve, Some(Approve)),
            (Order::Fix(None), &[], Enforce, Some(Enforce)),
            (Order::Fix(Some(Plan)), &[], Plan, Some(Plan)),
            (Order::Fix(Some(Plan)), &["mode"], Enforce, Some(Plan)),
            (Order::Fix(Some(Enforce)), &[], Enforce, Some(Enforce)),
            (Order::Fix(Some(Enforce)), &[], Approve, None),
            (Order::Fix(Some(Enforce)), &[], Plan, None),
            (Order::Fix(Some(Enforce)), &["account"], Plan, None),
            (Order::Fix(Some(Enforce)), &["mode"], Plan, Some(Enforce)),
        ];
        for (order, overrides, live, expected) in table {
            let request = manual(order, overrides);
            // From the deployment, from the ledger for all, from the ledger for this control: the nearest counts.
            let for_all = Posture { mode: Some(live), ..Posture::default() };
            let modes = [("toy-open-door".to_owned(), live)].into();
            let for_one = Posture { mode: Some(Plan), modes, ..Posture::default() };
            for (deployment, posture) in [(live, None), (Enforce, Some(&for_all)), (Enforce, Some(&for_one))] {
                let given = mode(&request, &settings(deployment), posture);
                assert_eq!(given.as_ref().ok(), expected.as_ref(), "{:?} in {live:?}", request.order);
                assert!(given.is_ok() || given.is_err_and(|refusal| refusal.by == "mode"));
            }
        }
    }

    #[test]
    fn a_stop_stops_everything_but_what_names_it() {
        let at = time::OffsetDateTime::UNIX_EPOCH;
        let stop = ledger::Stop { by: "alice".to_owned(), reason: "INC-1".to_owned(), at };
        let stopped = Posture { stop: Some(stop), ..Posture::default() };
        for (request, passes) in [
            (request(), false),
            (manual(Order::Fix(Some(Mode::Enforce)), &["mode", "account"]), false),
            (manual(Order::Fix(Some(Mode::Enforce)), &["kill-switch"]), true),
        ] {
            let given = kill_switch(&request, &stopped);
            assert_eq!(given.is_ok(), passes, "{request:?}");
            assert!(given.is_ok() || given.is_err_and(|no| no.why.contains("alice") && no.why.contains("INC-1")));
            assert_eq!(kill_switch(&request, &Posture::default()), Ok(()));
        }
    }

    #[test]
    fn what_comes_back_too_often_is_left_alone_and_who_undoes_it_is_said() {
        let now = crate::toy::now();
        let back = |hours: i64, by: Option<&str>| ledger::Return {
            at: now - time::Duration::hours(hours),
            by: by.map(str::to_owned),
            record: "r".to_owned(),
        };
        let standing = |returns: &[ledger::Return]| Standing { returns: returns.to_vec(), ..Standing::default() };
        let limits = Limits::default();
        let often = standing(&[back(20, Some("terraform")), back(9, Some("terraform")), back(1, None)]);
        let refusal = flapping(&request(), &often, &limits, now).unwrap_err();
        assert_eq!(refusal.by, "flapping");
        assert!(refusal.why.contains("3 times") && refusal.why.matches("terraform").count() == 1, "{}", refusal.why);
        assert!(flapping(&manual(Order::Fix(None), &["flapping"]), &often, &limits, now).is_ok());
        let long_ago = standing(&[back(25, Some("terraform")), back(9, None), back(1, None)]);
        assert!(flapping(&request(), &long_ago, &limits, now).is_ok());
        assert!(flapping(&request(), &often, &Limits { flaps: 4, ..limits }, now).is_ok());
    }

    #[test]
    fn only_a_role_that_is_known_and_the_same_is_ours() {
        let with = |role: Option<&str>| {
            let mut request = request();
            if let Some(cause) = &mut request.cause {
                cause.role = role.map(str::to_owned);
            }
            request
        };
        let knows = |role: Option<&str>| Settings {
            role_arns: role
                .map(|role| vec!["arn:aws:iam::111122223333:role/other".to_owned(), role.to_owned()])
                .unwrap_or_default(),
            ..settings(Mode::Enforce)
        };
        let ours = "arn:aws:iam::111122223333:role/suture";
        assert!(own_doing(&with(Some(ours)), &knows(Some(ours))));
        // What a member lends us is ours in that account and in no other.
        let lent = "arn:aws:iam::{account}:role/suture-member-a";
        let in_account = |id: &str| lent.replace(ACCOUNT, id);
        assert!(own_doing(&with(Some(&in_account(OURS))), &knows(Some(lent))));
        assert!(!own_doing(&with(Some(&in_account(THEIRS))), &knows(Some(lent))));
        assert!(!own_doing(&with(Some("arn:aws:iam::111122223333:role/suture-x")), &knows(Some(ours))));
        assert!(!own_doing(&with(Some("arn:aws:iam::999988887777:role/suture")), &knows(Some(ours))));
        assert!(!own_doing(&with(None), &knows(Some(ours))));
        assert!(!own_doing(&with(None), &knows(None)));
        assert!(!own_doing(&manual(Order::Fix(None), &[]), &knows(None)));
    }
}
