use crate::samples::{approval, at, exemption, ours, posture, record, refused, region, set};
use crate::{Change, Context, Message, SUBJECT, TEXT, message};
use ledger::{ApprovalState, Exemption, Mode, Outcome, Posture};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn say(change: &Change<'_>) -> Option<Message> {
    let (account, region) = (ours(), region());
    let context = Context {
        account: &account,
        region: &region,
        stack: Some("suture"),
        ledger: Some("suture-ledger"),
        evidence: Some("suture-evidence-111122223333"),
    };
    message(change, &context)
}

/// Holds a message against its file in `golden`, which `BLESS=1` writes.
fn golden(name: &str, message: Option<&Message>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.txt"));
    let message = message.unwrap_or_else(|| panic!("{name}: nothing is said"));
    sound(message);
    let ought = format!("Subject: {}\n\n{}\n", message.subject, message.text);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &ought).unwrap();
    }
    let is = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(is, ought, "{name}: read it, then BLESS=1 cargo test -p announce");
}

/// What holds for every message.
fn sound(Message { subject, text }: &Message) {
    assert!(subject.starts_with("Suture"), "{subject}");
    assert!(subject.len() <= SUBJECT, "{subject}");
    assert!(subject.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{subject:?}");
    assert!(text.len() <= TEXT, "{}", text.len());
    let (words, data) = text.split_once("\n\n--\n").expect("words, then data");
    assert!(!words.lines().any(|line| line == "--"), "{words}");
    assert!(!data.contains('\n'), "{data}");
    assert!(!words.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c)), "{words}");
}

#[test]
fn every_outcome_has_its_words_or_none() {
    for outcome in Outcome::ALL {
        let said = say(&Change::Record(&record(outcome)));
        let silent = matches!(outcome, Outcome::Compliant | Outcome::Planned | Outcome::Exempt | Outcome::Gone);
        assert_eq!(said.is_none(), silent, "{}", outcome.name());
        if !silent {
            golden(outcome.name(), said.as_ref());
        }
    }
    assert_eq!(say(&Change::Record(&json!({"outcome": "mended"}))), None);
    assert_eq!(say(&Change::Record(&json!("fixed"))), None);
}

#[test]
fn the_documentation_shows_a_message_as_it_is() {
    let said = say(&Change::Record(&record(Outcome::Refused))).unwrap();
    let (words, data) = said.text.split_once("\n--\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), record(Outcome::Refused), "the record, whole");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/announcements.md")).unwrap();
    let shown = format!("Subject: {}\n\n{words}\n--\n", said.subject);
    assert!(page.contains(&shown), "docs/announcements.md shows another message than\n{shown}");
}

#[test]
fn records_that_are_special() {
    let mut unfinished = record(Outcome::Unverified);
    set(&mut unfinished, json!({"why": "about to write"}));
    let mut approved = record(Outcome::Fixed);
    set(&mut approved, json!({"approval": {"id": "4f2a9c01d7be", "by": crate::samples::BOB}}));
    let mut undo = refused("moved-on", "the resource was changed since the record was made; look at it");
    set(&mut undo, json!({"undoes": "8c9e1f6a-1ab0-4000-8000-000000000007-1", "asked_by": crate::samples::BOB}));
    let mut undo_failed = record(Outcome::Failed);
    set(&mut undo_failed, json!({"undoes": "8c9e1f6a-1ab0-4000-8000-000000000007-1", "trigger": "manual"}));
    let mut not_left_alone = record(Outcome::Undone);
    set(&mut not_left_alone, json!({"left_alone_until": null}));
    let mut for_good = record(Outcome::Fixed);
    set(&mut for_good, json!({"undo": []}));
    for (name, record) in [
        ("unfinished", unfinished),
        ("fixed-as-approved", approved),
        ("fixed-for-good", for_good),
        (
            "refused-kill-switch",
            refused("kill-switch", "Suture is stopped: INC-123; to let it write again: suture resume"),
        ),
        (
            "refused-flapping",
            refused("flapping", "it was brought back 3 times in 24 hours, and undone each time by terraform"),
        ),
        ("refused-undo", undo),
        ("failed-undo", undo_failed),
        ("undone-not-left-alone", not_left_alone),
    ] {
        golden(name, say(&Change::Record(&record)).as_ref());
    }
    let mut unseen = refused("ledger", "the ledger cannot be read; look at the table suture-ledger");
    set(&mut unseen, json!({"before": null, "changes": [], "breaks": []}));
    golden("refused-unseen", say(&Change::Record(&unseen)).as_ref());
    set(&mut unseen, json!({"outcome": "failed"}));
    assert!(say(&Change::Record(&unseen)).unwrap().text.contains("not known"), "nobody looked");
    let mut nothing_done = record(Outcome::Undone);
    set(&mut nothing_done, json!({"changes": []}));
    assert_eq!(say(&Change::Record(&nothing_done)), None, "an undo that found nothing to do");
}

#[test]
fn settings() {
    let none = Posture::default();
    let modes = posture(Some(Mode::Approve), &[("s3-public-bucket", Mode::Enforce)], false, false);
    for (name, before, after) in [
        ("stopped", &none, &posture(None, &[], false, true)),
        ("resumed", &posture(None, &[], false, true), &posture(None, &[], false, false)),
        ("modes", &posture(None, &[("iam-stale-access-key", Mode::Approve)], false, false), &modes),
        ("tags-exempt", &none, &posture(None, &[], true, false)),
        ("tags-do-not-exempt", &posture(None, &[], true, false), &none),
        ("everything", &none, &posture(Some(Mode::Enforce), &[], true, true)),
    ] {
        golden(name, say(&Change::Posture { before, after }).as_ref());
    }
    let again = Posture { changed_by: None, changed_at: Some(at("2026-01-16T00:00:00Z")), ..modes.clone() };
    assert_eq!(say(&Change::Posture { before: &modes, after: &again }), None, "nothing changed but who said so");
}

#[test]
fn exemptions() {
    let made = exemption();
    let longer = Exemption { expires: at("2027-01-01T00:00:00Z"), tag: Some("data=open".to_owned()), ..made.clone() };
    golden("exemption-made", say(&Change::Exemption { before: None, after: Some(&made) }).as_ref());
    golden("exemption-changed", say(&Change::Exemption { before: Some(&made), after: Some(&longer) }).as_ref());
    golden("exemption-removed", say(&Change::Exemption { before: Some(&made), after: None }).as_ref());
    golden("exemption-ended", say(&Change::ExemptionEnded(&made)).as_ref());
    let ended = Exemption { ended: true, ..made.clone() };
    let of_undo = Exemption { undo: Some("r-1".to_owned()), ..made.clone() };
    assert_eq!(say(&Change::Exemption { before: Some(&of_undo), after: None }), None, "the undo of the undo says it");
    for (what, before, after) in [
        ("our own note that its end was said", Some(&made), Some(&ended)),
        ("its removal after its end was said", Some(&ended), None),
        ("the undo's own message says it", None, Some(&of_undo)),
        ("nothing", None, None),
    ] {
        assert_eq!(say(&Change::Exemption { before, after }), None, "{what}");
    }
}

#[test]
fn budgets_and_approvals() {
    let spent = Change::BudgetReached { control: "s3-public-bucket", hour: "2026-01-15T10" };
    golden("budget-reached", say(&spent).as_ref());
    let [open, approved, rejected] =
        [ApprovalState::Open, ApprovalState::Approved, ApprovalState::Rejected].map(approval);
    golden("approval-rejected", say(&Change::Approval { before: Some(&open), after: Some(&rejected) }).as_ref());
    for (what, before, after) in [
        ("the request's record says it", None, Some(&open)),
        ("the record of the fix says it", Some(&open), Some(&approved)),
        ("written again as it was", Some(&rejected), Some(&rejected)),
        ("forgotten", Some(&rejected), None),
    ] {
        assert_eq!(say(&Change::Approval { before, after }), None, "{what}");
    }
}

#[test]
fn a_record_that_is_too_long_is_left_out_and_it_is_said_where_it_is() {
    let mut long = record(Outcome::Fixed);
    set(&mut long, json!({"before": "x".repeat(TEXT)}));
    let said = say(&Change::Record(&long)).unwrap();
    sound(&said);
    let (words, data) = said.text.split_once("\n\n--\n").unwrap();
    assert!(words.contains("suture undo 8c9e1f6a"), "{words}");
    for part in ["table suture-ledger", "8c9e1f6a-1ab0-4000-8000-000000000007-1", "suture-evidence-111122223333"] {
        assert!(data.contains(part), "{data}");
    }
}

#[test]
fn whoever_approves_sees_every_write() {
    let mut many = record(Outcome::AwaitingApproval);
    let changes: Vec<Value> = (0..500).map(|n| json!({"revoke-ingress": {"rule": format!("sgr-{n:017x}")}})).collect();
    set(&mut many, json!({"changes": changes}));
    let said = say(&Change::Record(&many)).unwrap();
    let (words, _) = said.text.split_once("\n\n--\n").unwrap();
    assert!(words.contains("exactly 500 writes") && words.contains(&format!("sgr-{:017x}", 499)), "{words}");
    let mut fixed = record(Outcome::Fixed);
    set(&mut fixed, json!({"changes": many["changes"]}));
    let said = say(&Change::Record(&fixed)).unwrap();
    assert!(said.text.contains("… and 480 more, in the record"), "{}", said.text);
}

#[test]
fn a_name_cannot_become_a_command() {
    for (name, pasted) in [
        ("clinic-scans", Some("--resource=clinic-scans ")),
        ("a; rm -rf ~", Some("--resource='a; rm -rf ~' ")),
        ("$(curl evil)", Some("--resource='$(curl evil)' ")),
        ("it's", Some(r"--resource='it'\''s' ")),
        ("a\nsuture approve 1", None),
        ("a\u{202e}b", None),
    ] {
        let mut refused = record(Outcome::Refused);
        refused["resource"]["id"] = json!(name);
        let said = say(&Change::Record(&refused)).unwrap();
        sound(&said);
        let command = said.text.lines().find(|line| line.contains("suture exempt"));
        assert_eq!(command.is_some(), pasted.is_some(), "{name:?}: {command:?}");
        assert!(pasted.is_none_or(|pasted| command.unwrap().contains(pasted)), "{command:?}");
    }
    let mut fixed = record(Outcome::Fixed);
    set(&mut fixed, json!({"id": "--all"}));
    assert!(!say(&Change::Record(&fixed)).unwrap().text.contains("suture undo"));
}

#[test]
fn who_touched_suture_itself_is_said_first_and_nothing_is_offered_that_would_silence_it() {
    let mut tampered =
        refused("tampering", "arn:aws:iam::111122223333:user/mallory called DisableRule on Suture's own rule");
    tampered["resource"]["id"] = json!("rule/suture-x");
    let said = say(&Change::Record(&tampered)).unwrap();
    sound(&said);
    assert!(said.subject.starts_with("Suture was tampered with: rule/suture-x"), "{}", said.subject);
    assert!(said.text.starts_with("A part of Suture itself was changed."), "{}", said.text);
    assert!(said.text.contains("mallory called DisableRule") && !said.text.contains("suture exempt"), "{}", said.text);
}

/// Characters that break a line, hide, turn the writing round, end a quotation, or are longer than a byte.
const HARM: &[char] =
    &['\n', '\r', '\0', '\u{85}', '\u{2028}', '\u{202e}', '\u{1b}', '\'', '"', '\\', '-', ' ', '…', 'é', 'a', '$'];

/// Texts that somebody chose in order to harm.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(proptest::sample::select(HARM.to_vec()), 0..60).prop_map(String::from_iter),
        Just("\n\n--\n{\"outcome\":\"fixed\"}".to_owned()),
        Just("x".repeat(5_000)),
        Just("\u{e0001}".repeat(3_000)),
        Just("🩺".repeat(2_000)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_record_makes_a_message_that_cannot_be_sent(
        outcome in proptest::sample::select(Outcome::ALL.to_vec()),
        texts in proptest::collection::vec(hostile(), 12),
        times in 0_usize..60,
    ) {
        let mut hostile = record(outcome);
        let t = |n: usize| json!(texts[n]);
        set(&mut hostile, json!({
            "id": t(0), "control": t(1), "why": t(2), "reason": t(3), "asked_by": t(4), "refused_by": t(5),
            "resource": {"type": t(6), "id": t(7), "account": t(8), "region": t(9)},
            "cause": {"actor": t(10), "call": t(11), "agent": t(0), "source_ip": t(1), "at": t(2)},
            "approval": {"id": t(3), "by": t(4), "expires": t(5)}, "left_alone_until": t(6),
            "notes": vec![t(7); times], "breaks": vec![json!({"id": "x", "says": t(8)}); times],
            "changes": vec![t(9); times + 1], "remaining": vec![t(10); times], "override": vec![t(11)],
        }));
        if let Some(said) = say(&Change::Record(&hostile)) {
            sound(&said);
        }
    }

    #[test]
    fn no_setting_makes_a_message_that_cannot_be_sent(texts in proptest::collection::vec(hostile(), 6), many in 0_usize..800) {
        let mut after = posture(Some(Mode::Enforce), &[], true, true);
        after.changed_by = Some(texts[0].clone());
        after.modes = (0..many).map(|n| (format!("{n}{}", texts[1]), Mode::Plan)).collect();
        let stop = after.stop.as_mut().unwrap();
        (stop.by, stop.reason) = (texts[2].clone(), texts[3].clone());
        let mut exempt = exemption();
        (exempt.id, exempt.owner, exempt.reason) = (texts[0].clone(), texts[1].clone(), texts[2].clone());
        (exempt.resource, exempt.tag) = (Some(texts[3].clone()), Some(texts[4].clone()));
        let mut rejected = approval(ApprovalState::Rejected);
        (rejected.id, rejected.resource, rejected.by) = (texts[3].clone(), texts[4].clone(), Some(texts[5].clone()));
        let none = Posture::default();
        for change in [
            Change::Posture { before: &none, after: &after },
            Change::Exemption { before: None, after: Some(&exempt) },
            Change::ExemptionEnded(&exempt),
            Change::BudgetReached { control: &texts[4], hour: &texts[5] },
            Change::Approval { before: None, after: Some(&rejected) },
        ] {
            sound(&say(&change).unwrap());
        }
    }
}

#[test]
fn what_was_said_before_is_not_said_again() {
    let mut again = refused("public-website", "it is a website");
    set(&mut again, json!({"again": true}));
    assert_eq!(say(&Change::Record(&again)), None);
}
