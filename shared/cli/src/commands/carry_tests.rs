use super::super::session::Place;
use super::*;
use ledger::Ledger;
use remediation::testing::{Answer, Fake, SECRET, answer, ok};
use serde_json::json;
use std::rc::Rc;

async fn asked(answering: impl Fn() -> Answer + Send + Sync + 'static) -> (Result<Value, String>, Fake) {
    let fake = Fake::new(move |_| answering());
    let store = Rc::new(ledger::Memory::default());
    let session = Session::with(Place::Table("suture-LedgerTable".to_owned()), Ledger::new(store), fake.sdk());
    let request = json!({"mode": "undo", "record": "7c1f-1"});
    (through(&session, "suture-undo", &request).await, fake)
}

fn failed(kind: &str, message: &str) -> Answer {
    let body = json!({"errorType": kind, "errorMessage": message}).to_string();
    Answer { headers: vec![("x-amz-function-error", "Unhandled".to_owned())], ..ok(body) }
}

#[tokio::test]
async fn the_functions_answer_is_the_answer() {
    let (given, fake) = asked(|| ok(r#"{"control":"undo","records":[]}"#)).await;
    assert_eq!(given, Ok(json!({"control": "undo", "records": []})));
    let [sent] = &fake.sent()[..] else { panic!("{:?}", fake.sent()) };
    assert_eq!(sent.path, "/2015-03-31/functions/suture-undo/invocations");
    assert_eq!(sent.body, r#"{"mode":"undo","record":"7c1f-1"}"#);
}

#[tokio::test]
async fn nothing_is_sent_twice_and_what_may_have_been_done_is_said() {
    for (status, perhaps) in [(500, true), (502, true), (429, false), (403, false)] {
        let denied = || vec![("x-amzn-errortype", "AccessDeniedException".to_owned())];
        let headers = move || if status == 403 { denied() } else { Vec::new() };
        let answering =
            move || Answer { headers: headers(), ..answer(status, format!("{{\"Message\":\"{SECRET}\"}}")) };
        let (given, fake) = asked(answering).await;
        let why = given.unwrap_err();
        assert_eq!(fake.sent().len(), 1, "{status}");
        assert_eq!(why.contains("suture history"), perhaps, "{status}: {why}");
        assert_eq!(why.contains("ask for lambda:InvokeFunction"), status == 403, "{status}: {why}");
        assert!(!why.contains(SECRET), "{status}: {why}");
    }
}

#[tokio::test]
async fn each_way_to_fail_is_one_sentence_with_the_next_step() {
    let missing = || Answer {
        headers: vec![("x-amzn-errortype", "ResourceNotFoundException".to_owned())],
        ..answer(404, format!("{{\"Message\":\"{SECRET}\"}}"))
    };
    let (given, _) = asked(missing).await;
    assert!(given.unwrap_err().contains("there is no function \"suture-undo\" in this account and region"));
    for (answering, says) in [
        (failed("Suture.Retry", "the table suture throttles"), "the table suture throttles"),
        (failed("Runtime.ExitError", SECRET), "its log says why"),
        (ok("not JSON"), "no answer that can be read"),
    ] {
        let (given, _) = asked(move || answering.clone()).await;
        let why = given.unwrap_err();
        assert!(why.contains(says) && !why.contains(SECRET), "{why}");
    }
}

#[test]
fn ids_are_ids() {
    let id = format!("{}-1", id());
    assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id}");
}
