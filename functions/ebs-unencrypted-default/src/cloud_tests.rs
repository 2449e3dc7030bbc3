//! Which requests go out, in which order, and what their answers mean.

use super::*;
use crate::Keys;
use remediation::fault::DeniedBy;
use remediation::testing::{Answer, Fake, REGION, SECRET, Sent, answer, occasion, ok, place};
use remediation::{Control, testing};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "arn:aws:kms:us-west-2:111122223333:key/0ea3fef3-80a7-4778-9d8c-1c0c60000000";
const MANAGED: &str = "alias/aws/ebs";

fn error(code: &str) -> Answer {
    let status = if code == "DryRunOperation" { 412 } else { 400 };
    answer(
        status,
        format!("<Response><Errors><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></Errors></Response>"),
    )
}

fn kms_error(code: &str) -> Answer {
    let mut answer = answer(400, format!(r#"{{"__type":"{code}","message":"{SECRET}"}}"#));
    answer.headers.push(("content-type", "application/x-amz-json-1.1".to_owned()));
    answer
}

fn described(state: &str) -> Answer {
    ok(format!(
        r#"{{"KeyMetadata":{{"KeyId":"x","KeyState":"{state}","KeyUsage":"ENCRYPT_DECRYPT","KeySpec":"SYMMETRIC_DEFAULT"}}}}"#
    ))
}

fn seen(state: &str) -> Seen {
    Seen::Found { state: state.to_owned(), usage: "ENCRYPT_DECRYPT".to_owned(), spec: "SYMMETRIC_DEFAULT".to_owned() }
}

/// An account with this default and this default key, whose keys are all well.
fn account(encrypted: bool, key: &'static str) -> impl Fn(&Sent) -> Answer + Clone + Send + Sync + 'static {
    move |sent| match sent.operation().as_deref() {
        Some("DescribeKey") => described("Enabled"),
        Some("GetEbsDefaultKmsKeyId") => {
            ok(format!("<GetEbsDefaultKmsKeyIdResponse><kmsKeyId>{key}</kmsKeyId></GetEbsDefaultKmsKeyIdResponse>"))
        }
        Some(operation) => ok(format!(
            "<{operation}Response><ebsEncryptionByDefault>{encrypted}</ebsEncryptionByDefault></{operation}Response>"
        )),
        None => error("InvalidAction"),
    }
}

fn here() -> Place<AccountId> {
    place::<UnencryptedDefault>(testing::ACCOUNT)
}

fn ebs(fake: &Fake, wanted: Option<&str>) -> Ebs {
    let keys = wanted.map(|key| format!("{REGION}={key}")).unwrap_or_default();
    Ebs::new(&fake.sdk(), Parameters { ebs_keys: Keys::try_from(keys).unwrap() })
}

async fn look(fake: &Fake, wanted: Option<&str>) -> Result<State, Fault> {
    ebs(fake, wanted).observe(&here(), &occasion()).await.map(Option::unwrap)
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().filter_map(Sent::operation).collect()
}

#[tokio::test]
async fn a_look_is_two_reads_and_a_third_where_a_key_is_set() {
    let fake = Fake::new(account(true, MANAGED));
    let expected = State { encrypted: true, key: MANAGED.to_owned(), wanted: None, keys: BTreeMap::new() };
    assert_eq!(look(&fake, None).await, Ok(expected));
    assert_eq!(asked(&fake), ["GetEbsEncryptionByDefault", "GetEbsDefaultKmsKeyId"]);
    for sent in fake.sent() {
        assert_eq!(sent.host, format!("ec2.{REGION}.amazonaws.com"), "the request's region, not our own");
    }

    let fake = Fake::new(account(false, KEY));
    let state = look(&fake, Some(KEY)).await.unwrap();
    assert_eq!((state.encrypted, state.key.as_str()), (false, KEY));
    assert_eq!(state.keys, BTreeMap::from([(KEY.to_owned(), seen("Enabled"))]));
    assert_eq!(asked(&fake), ["GetEbsEncryptionByDefault", "GetEbsDefaultKmsKeyId", "DescribeKey"]);
    let sent = fake.sent().pop().unwrap();
    assert_eq!(sent.host, format!("kms.{REGION}.amazonaws.com"));
    assert!(sent.body.contains(KEY), "{}", sent.body);
}

#[tokio::test]
async fn a_customers_default_key_is_looked_at_besides() {
    for (wanted, asks) in [(None, 1), (Some(OTHER), 2)] {
        let fake = Fake::new(account(true, KEY));
        let state = look(&fake, wanted).await.unwrap();
        assert_eq!(asked(&fake).iter().filter(|operation| *operation == "DescribeKey").count(), asks);
        assert_eq!(state.keys.get(KEY), Some(&seen("Enabled")));
        assert_eq!(state.keys.len(), asks);
    }
}

#[tokio::test]
async fn a_key_set_for_another_region_is_not_asked_about() {
    let fake = Fake::new(account(true, MANAGED));
    let keys = Keys::try_from(format!("us-east-1={}", KEY.replace(REGION, "us-east-1"))).unwrap();
    let state = Ebs::new(&fake.sdk(), Parameters { ebs_keys: keys }).observe(&here(), &occasion()).await;
    assert_eq!(state.unwrap().unwrap().wanted, None);
    assert_eq!(fake.sent().len(), 2);
}

#[tokio::test]
async fn what_kms_says_of_a_key() {
    for (said, expected) in [
        (described("Disabled"), seen("Disabled")),
        (described("PendingDeletion"), seen("PendingDeletion")),
        (described("SomethingNew"), seen("SomethingNew")),
        (kms_error("NotFoundException"), Seen::Missing),
        (kms_error("AccessDeniedException"), Seen::Unreadable),
        (ok("{}"), Seen::Unreadable),
    ] {
        let (rest, reply) = (account(false, MANAGED), said.clone());
        let fake =
            Fake::new(
                move |sent| {
                    if sent.operation().as_deref() == Some("DescribeKey") { reply.clone() } else { rest(sent) }
                },
            );
        assert_eq!(
            look(&fake, Some(KEY)).await.unwrap().keys,
            BTreeMap::from([(KEY.to_owned(), expected)]),
            "{said:?}"
        );
    }
    let rest = account(false, MANAGED);
    let fake = Fake::new(move |sent| {
        if sent.operation().as_deref() == Some("DescribeKey") { kms_error("ThrottlingException") } else { rest(sent) }
    });
    assert!(matches!(look(&fake, Some(KEY)).await, Err(Fault::Retry(_))));
}

#[tokio::test]
async fn an_answer_that_does_not_say_proves_nothing() {
    for silent in ["GetEbsEncryptionByDefault", "GetEbsDefaultKmsKeyId"] {
        let rest = account(true, MANAGED);
        let fake = Fake::new(move |sent| {
            if sent.operation().as_deref() == Some(silent) {
                ok(format!("<{silent}Response></{silent}Response>"))
            } else {
                rest(sent)
            }
        });
        assert!(matches!(look(&fake, None).await, Err(Fault::Lost(_))), "{silent}");
    }
}

#[tokio::test]
async fn another_account_than_the_requests_is_refused_before_any_call() {
    let fake = Fake::new(account(true, MANAGED));
    let place = Place { target: AccountId::parse("444455556666").unwrap(), ..here() };
    let fault = ebs(&fake, None).observe(&place, &occasion()).await.unwrap_err();
    assert!(matches!(&fault, Fault::GiveUp(why) if why.contains("444455556666")), "{fault:?}");
    assert_eq!(fake.sent().len(), 0);
}

fn changes() -> [(Change, &'static str, &'static [&'static str]); 4] {
    let was = || MANAGED.to_owned();
    [
        (Change::Enable, "ec2:EnableEbsEncryptionByDefault", &["EnableEbsEncryptionByDefault"]),
        (Change::Disable, "ec2:DisableEbsEncryptionByDefault", &["DisableEbsEncryptionByDefault"]),
        (
            Change::SetKey { from: was(), to: KEY.to_owned() },
            "ec2:ModifyEbsDefaultKmsKeyId",
            &["GetEbsDefaultKmsKeyId", "ModifyEbsDefaultKmsKeyId"],
        ),
        (
            Change::ResetKey { from: was() },
            "ec2:ResetEbsDefaultKmsKeyId",
            &["GetEbsDefaultKmsKeyId", "ResetEbsDefaultKmsKeyId"],
        ),
    ]
}

#[tokio::test]
async fn the_writes() {
    for (change, _, calls) in changes() {
        let fake = Fake::new(account(true, MANAGED));
        ebs(&fake, None).apply(&here(), &change).await.unwrap();
        assert_eq!(asked(&fake), calls, "{change:?}");
        let sent = fake.sent().pop().unwrap();
        assert_eq!(sent.field("DryRun"), None);
        let key = matches!(change, Change::SetKey { .. }).then(|| KEY.to_owned());
        assert_eq!(sent.field("KmsKeyId"), key, "{change:?}");
    }
}

#[tokio::test]
async fn a_default_key_that_somebody_changed_meanwhile_is_left_alone() {
    for change in
        [Change::SetKey { from: MANAGED.to_owned(), to: KEY.to_owned() }, Change::ResetKey { from: MANAGED.to_owned() }]
    {
        let fake = Fake::new(account(true, OTHER));
        assert!(matches!(ebs(&fake, None).apply(&here(), &change).await, Err(Fault::Moved(_))));
        assert_eq!(asked(&fake), ["GetEbsDefaultKmsKeyId"], "nothing was written");
    }
}

#[tokio::test]
async fn a_plan_asks_whether_we_may() {
    for (change, action, calls) in changes() {
        let fake = Fake::new(|_| error("DryRunOperation"));
        assert_eq!(ebs(&fake, None).rehearse(&here(), &change).await, Ok(true), "{change:?}");
        let [sent] = fake.sent().try_into().unwrap();
        assert_eq!(
            (sent.operation().as_deref(), sent.field("DryRun").as_deref()),
            (calls.last().copied(), Some("true"))
        );

        let fake = Fake::new(|_| error("UnauthorizedOperation"));
        let denied = ebs(&fake, None).rehearse(&here(), &change).await;
        assert!(matches!(denied, Err(Fault::Denied { action: named, .. }) if named == action), "{denied:?}");

        // Whoever does not know dry runs has not said that we may.
        let fake = Fake::new(account(true, MANAGED));
        assert_eq!(ebs(&fake, None).rehearse(&here(), &change).await, Ok(false));
    }
}

#[tokio::test]
async fn a_denied_request_names_the_action_that_is_missing() {
    let about = UnencryptedDefault::ABOUT;
    for operation in ["GetEbsEncryptionByDefault", "GetEbsDefaultKmsKeyId"] {
        let rest = account(true, MANAGED);
        let fake = Fake::new(move |sent| {
            if sent.operation().as_deref() == Some(operation) { error("UnauthorizedOperation") } else { rest(sent) }
        });
        let Err(Fault::Denied { action, resource, by }) = look(&fake, None).await else { panic!("{operation}") };
        assert_eq!((action, by), (format!("ec2:{operation}").as_str(), DeniedBy::Unsaid));
        assert_eq!(resource, "account 111122223333");
        assert!(about.observes_with.contains(&action));
    }
    for (change, action, _) in changes() {
        let rest = account(true, MANAGED);
        let fake = Fake::new(move |sent| {
            if sent.operation().unwrap().starts_with("Get") { rest(sent) } else { error("UnauthorizedOperation") }
        });
        let Err(Fault::Denied { action: named, .. }) = ebs(&fake, None).apply(&here(), &change).await else { panic!() };
        assert_eq!(named, action);
        let declared = if change == Change::Enable { about.fixes_with } else { about.undoes_with };
        assert!(declared.contains(&action), "{action}");
    }
}

#[tokio::test]
async fn trouble_by_consequence() {
    for (code, retry) in [("RequestLimitExceeded", true), ("Unavailable", true), ("OptInRequired", false)] {
        let fake = Fake::new(move |_| error(code));
        let expected =
            |fault: Fault| if retry { matches!(fault, Fault::Retry(_)) } else { matches!(fault, Fault::GiveUp(_)) };
        assert!(expected(look(&fake, None).await.unwrap_err()), "{code}");
        assert!(expected(ebs(&fake, None).apply(&here(), &Change::Enable).await.unwrap_err()), "{code}");
    }
    for broken in [answer(500, "<html>"), ok("hello"), answer(502, "")] {
        let again = broken.clone();
        let fake = Fake::new(move |_| again.clone());
        assert!(matches!(look(&fake, None).await, Err(Fault::Lost(_))), "{broken:?}");
    }
}

#[tokio::test]
async fn no_fault_repeats_what_aws_said() {
    for reply in [
        error("UnauthorizedOperation"),
        error(SECRET),
        answer(500, SECRET),
        ok(SECRET),
        kms_error("KMSInternalException"),
    ] {
        let fake = Fake::new(move |_| reply.clone());
        for fault in [
            look(&fake, Some(KEY)).await.unwrap_err(),
            ebs(&fake, None).apply(&here(), &Change::Enable).await.unwrap_err(),
        ] {
            let text = format!("{fault} {fault:?}");
            assert!(!text.contains(SECRET) && !text.contains('<') && text.len() < 600, "{text}");
        }
    }
}

#[tokio::test]
async fn a_sweep_is_the_one_account() {
    let fake = Fake::new(|_| error("InvalidAction"));
    let (account, region) = (testing::account(), testing::region());
    let page = ebs(&fake, None).list(&account, &region, &occasion(), None).await.unwrap();
    assert_eq!(page, Page { targets: vec![account], next: None });
    assert_eq!(fake.sent().len(), 0);
}

#[tokio::test]
async fn an_accounts_settings_have_no_tags() {
    let fake = Fake::new(|_| error("InvalidAction"));
    assert_eq!(ebs(&fake, None).tags(&here()).await, Ok(vec![]));
    assert_eq!((fake.sent().len(), UnencryptedDefault::ABOUT.tags_with.len()), (0, 0));
}
