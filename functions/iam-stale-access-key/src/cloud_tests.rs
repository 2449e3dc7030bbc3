//! `cloud.rs` against recorded answers of IAM: which requests it makes, in which order, and what it makes of the answers.

use super::*;
use crate::{Mark, Rotation};
use remediation::Control;
use remediation::fault::DeniedBy;
use remediation::testing::{self, Answer, Fake, SECRET, Sent, account, answer, occasion, ok, region};
use time::Duration;

const OLD: &str = "AKIAIOSFODNN7EXAMPLE";
const NEW: &str = "AKIAIOSFODNN8EXAMPLE";
const ID: &str = "AIDAEXAMPLEEXAMPLE000";

fn result(call: &str, inner: &str) -> Answer {
    ok(format!("<{call}Response><{call}Result>{inner}</{call}Result></{call}Response>"))
}

fn error(status: u16, code: &str) -> Answer {
    answer(
        status,
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></ErrorResponse>"),
    )
}

fn date(days: i64) -> String {
    let moment = occasion().now - Duration::days(days);
    moment.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// A user with an old key that was last used 200 days ago, and a new one that is used daily.
fn iam(sent: &Sent) -> Answer {
    let member = |id: &str, days| {
        format!(
            "<member><UserName>alice</UserName><AccessKeyId>{id}</AccessKeyId><Status>Active</Status>\
             <CreateDate>{}</CreateDate></member>",
            date(days)
        )
    };
    match sent.operation().unwrap().as_str() {
        "ListAccessKeys" => result(
            "ListAccessKeys",
            &format!("<AccessKeyMetadata>{}{}</AccessKeyMetadata>", member(OLD, 400), member(NEW, 30)),
        ),
        "GetUser" => profile("arn:aws:iam::111122223333:user/alice", "/", &[]),
        "GetAccessKeyLastUsed" => last_used(if sent.field("AccessKeyId").unwrap() == OLD { 200 } else { 0 }),
        "UpdateAccessKey" => ok("<UpdateAccessKeyResponse/>"),
        "ListUsers" => users(&[("bob", "AIDAEXAMPLEEXAMPLE111"), ("alice", ID)], None),
        other => panic!("asked for {other}"),
    }
}

fn profile(arn: &str, path: &str, tags: &[(&str, &str)]) -> Answer {
    let tags: Vec<String> =
        tags.iter().map(|(key, value)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>")).collect();
    let user = format!(
        "<User><Path>{path}</Path><UserName>alice</UserName><UserId>{ID}</UserId><Arn>{arn}</Arn>\
         <CreateDate>{}</CreateDate><Tags>{}</Tags></User>",
        date(500),
        tags.concat()
    );
    result("GetUser", &user)
}

fn last_used(days: i64) -> Answer {
    let used = format!(
        "<UserName>alice</UserName><AccessKeyLastUsed><LastUsedDate>{}</LastUsedDate><ServiceName>s3</ServiceName>\
         <Region>us-east-1</Region></AccessKeyLastUsed>",
        date(days)
    );
    result("GetAccessKeyLastUsed", &used)
}

fn users(users: &[(&str, &str)], marker: Option<&str>) -> Answer {
    let members: Vec<String> = users
        .iter()
        .map(|(name, id)| {
            format!(
                "<member><Path>/</Path><UserName>{name}</UserName><UserId>{id}</UserId>\
                 <Arn>arn:aws:iam::111122223333:user/{name}</Arn><CreateDate>{}</CreateDate></member>",
                date(500)
            )
        })
        .collect();
    let more = marker.map(|marker| format!("<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>"));
    result("ListUsers", &format!("<Users>{}</Users>{}", members.concat(), more.unwrap_or_default()))
}

fn fake(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Users, Fake) {
    with(Parameters::default(), answer)
}

fn with(parameters: Parameters, answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Users, Fake) {
    let fake = Fake::new(answer);
    (Users::new(&fake.sdk(), parameters), fake)
}

fn place(name: &str) -> Place<User> {
    testing::place::<StaleAccessKey>(name)
}

async fn observe(users: &Users, name: &str) -> Result<Option<State>, Fault> {
    users.observe(&place(name), &occasion()).await
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().map(|sent| sent.operation().unwrap()).collect()
}

fn key(id: &str) -> AccessKeyId {
    AccessKeyId::parse(id).unwrap()
}

fn idle(id: &str, days: Option<i64>) -> Change {
    let at = |days| Use {
        at: occasion().now - Duration::days(days),
        service: "s3".to_owned(),
        region: "us-east-1".to_owned(),
    };
    let because = Because::Idle { last_used: days.map(at) };
    Change::Deactivate { user: UserName::parse("alice").unwrap(), key: key(id), because }
}

#[tokio::test]
async fn a_look_is_two_calls_and_one_for_each_active_key() {
    let (users, fake) = fake(iam);
    let state = observe(&users, "alice").await.unwrap().unwrap();
    assert_eq!(asked(&fake), ["ListAccessKeys", "GetUser", "GetAccessKeyLastUsed", "GetAccessKeyLastUsed"]);
    assert_eq!(state.owner.to_string(), "alice");
    assert_eq!(state.at, occasion().now);
    assert_eq!(StaleAccessKey::changes(&state, &StaleAccessKey::desired(&state)), [idle(OLD, Some(200))]);
    assert_eq!(StaleAccessKey::hindrance(&state), None);
}

#[tokio::test]
async fn no_active_key_no_further_question() {
    for keys in [
        String::new(),
        format!(
            "<member><UserName>alice</UserName><AccessKeyId>{OLD}</AccessKeyId><Status>Inactive</Status><CreateDate>{}</CreateDate></member>",
            date(400)
        ),
    ] {
        let (users, fake) = fake(move |sent| match sent.operation().as_deref() {
            Some("ListAccessKeys") => {
                result("ListAccessKeys", &format!("<AccessKeyMetadata>{keys}</AccessKeyMetadata>"))
            }
            _ => iam(sent),
        });
        let state = observe(&users, "alice").await.unwrap().unwrap();
        assert_eq!(StaleAccessKey::desired(&state), state);
        assert_eq!(asked(&fake), ["ListAccessKeys", "GetUser"]);
    }
}

#[tokio::test]
async fn a_user_by_unique_id_by_key_and_by_arn() {
    for (name, first) in [
        (ID, Some("ListUsers")),
        (OLD, Some("GetAccessKeyLastUsed")),
        ("arn:aws:iam::111122223333:user/AIDAEXAMPLEEXAMPLE000", Some("ListUsers")),
        ("arn:aws:iam::111122223333:user/alice", None),
    ] {
        let (users, fake) = fake(iam);
        let state = observe(&users, name).await.unwrap().unwrap();
        assert_eq!(state.owner.to_string(), "alice", "{name}");
        assert_eq!(fake.sent().len(), 4 + usize::from(first.is_some()), "{name}");
        assert_eq!(asked(&fake)[0], first.unwrap_or("ListAccessKeys"), "{name}");
    }
}

#[tokio::test]
async fn who_is_not_there_is_gone() {
    for name in ["alice", ID, OLD] {
        let (users, _) = fake(|sent| match sent.operation().as_deref() {
            Some("ListUsers") => users(&[("bob", "AIDAEXAMPLEEXAMPLE111")], None),
            _ => error(404, "NoSuchEntity"),
        });
        assert_eq!(observe(&users, name).await, Ok(None), "{name}");
    }
}

#[tokio::test]
async fn nobody_hides_behind_a_name_that_looks_like_an_id() {
    for name in [ID, OLD] {
        let (users, fake) = fake(|sent| match (sent.operation().as_deref(), sent.field("UserName")) {
            (Some("ListUsers"), _) => users(&[("bob", "AIDAEXAMPLEEXAMPLE111")], None),
            (Some("GetAccessKeyLastUsed"), _) => error(404, "NoSuchEntity"),
            (Some("ListAccessKeys"), Some(_)) => result("ListAccessKeys", "<AccessKeyMetadata/>"),
            _ => iam(sent),
        });
        assert!(observe(&users, name).await.unwrap().is_some());
        assert_eq!(fake.sent()[1].field("UserName").as_deref(), Some(name));
    }
}

#[tokio::test]
async fn a_key_that_is_deleted_during_the_look_is_no_key() {
    let (users, _) = fake(|sent| match sent.field("AccessKeyId").as_deref() {
        Some(OLD) => error(404, "NoSuchEntity"),
        _ => iam(sent),
    });
    let state = observe(&users, "alice").await.unwrap().unwrap();
    assert_eq!(state.keys.iter().map(|found| found.id.clone().unwrap()).collect::<Vec<_>>(), [key(NEW)]);
}

#[tokio::test]
async fn another_accounts_user_of_the_same_name_is_not_touched() {
    let (users, _) = fake(|sent| match sent.operation().as_deref() {
        Some("GetUser") => profile("arn:aws:iam::444455556666:user/alice", "/", &[]),
        _ => iam(sent),
    });
    assert!(matches!(observe(&users, "alice").await, Err(Fault::GiveUp(_))));
    // Nor is anything asked where the ARN itself says so.
    let (users, fake) = fake(iam);
    let there = observe(&users, "arn:aws:iam::444455556666:user/alice").await;
    assert!(matches!(there, Err(Fault::GiveUp(ref why)) if why.contains("444455556666")), "{there:?}");
    assert_eq!(fake.sent().len(), 0);
}

#[tokio::test]
async fn the_key_that_signs_our_own_calls_is_known() {
    use aws_sdk_iam::config::{Credentials, SharedCredentialsProvider};
    for (signs, ours) in [(OLD, true), ("ASIAIOSFODNN7EXAMPLE", false)] {
        let fake = Fake::new(iam);
        let credentials = SharedCredentialsProvider::new(Credentials::new(signs, SECRET, None, None, "test"));
        let sdk = fake.sdk().into_builder().credentials_provider(credentials).build();
        let state = observe(&Users::new(&sdk, Parameters::default()), "alice").await.unwrap().unwrap();
        assert_eq!(state.keys.iter().map(|key| key.ours).collect::<Vec<_>>(), [ours, false]);
        let hindered = StaleAccessKey::hindrance(&state).map(|hindrance| hindrance.id);
        assert_eq!(hindered, ours.then_some("own-key"));
    }
}

#[tokio::test]
async fn path_and_tags_come_into_the_state() {
    let of = async |path: &'static str, tags: &'static [(&str, &str)]| {
        let (users, _) = fake(move |sent| match sent.operation().as_deref() {
            Some("GetUser") => profile("arn:aws:iam::111122223333:user/alice", path, tags),
            _ => iam(sent),
        });
        observe(&users, "alice").await.unwrap().unwrap()
    };
    assert_eq!(of("/break-glass/", &[]).await.break_glass, Some(Mark::Path));
    assert_eq!(of("/", &[("break-glass", "true")]).await.break_glass, Some(Mark::Tag));
    let quarterly = of("/", &[("drift-key-max-idle-days", "250")]).await;
    assert_eq!(quarterly.limits.idle_days, 250);
    assert_eq!(StaleAccessKey::desired(&quarterly), quarterly, "used 200 days ago, and that is allowed");
}

#[tokio::test]
async fn a_write_looks_at_the_last_use_again_and_names_the_user() {
    let (users, fake) = fake(iam);
    assert_eq!(users.apply(&place("alice"), &idle(OLD, Some(200))).await, Ok(()));
    assert_eq!(asked(&fake), ["GetAccessKeyLastUsed", "UpdateAccessKey"]);
    let sent = fake.sent();
    let field = |name| sent[1].field(name);
    assert_eq!(field("UserName").as_deref(), Some("alice"));
    assert_eq!((field("AccessKeyId").as_deref(), field("Status").as_deref()), (Some(OLD), Some("Inactive")));
}

#[tokio::test]
async fn a_key_that_was_used_meanwhile_is_not_deactivated() {
    for decided_on in [Some(201), Some(199), None] {
        let (users, fake) = fake(iam);
        let done = users.apply(&place("alice"), &idle(OLD, decided_on)).await;
        assert!(matches!(done, Err(Fault::Moved(_))), "{decided_on:?}: {done:?}");
        assert_eq!(asked(&fake), ["GetAccessKeyLastUsed"]);
    }
    // For its age alone, its use does not matter.
    let (users, fake) = fake(iam);
    for because in [Because::Old, Because::Undone] {
        let change = Change::Deactivate { user: UserName::parse("alice").unwrap(), key: key(OLD), because };
        assert_eq!(users.apply(&place("alice"), &change).await, Ok(()));
    }
    assert_eq!(asked(&fake), ["UpdateAccessKey", "UpdateAccessKey"]);
}

#[tokio::test]
async fn a_key_that_was_deleted_meanwhile_asks_for_another_look() {
    for gone in ["GetAccessKeyLastUsed", "UpdateAccessKey"] {
        let (users, _) =
            fake(move |sent| if sent.operation().unwrap() == gone { error(404, "NoSuchEntity") } else { iam(sent) });
        let done = users.apply(&place("alice"), &idle(OLD, Some(200))).await;
        assert!(matches!(done, Err(Fault::Moved(_))), "{gone}: {done:?}");
    }
    let (users, _) = fake(|_| error(404, "NoSuchEntity"));
    let back = Change::Reactivate { user: UserName::parse("alice").unwrap(), key: key(OLD) };
    assert_eq!(users.apply(&place("alice"), &back).await, Err(Fault::Gone));
}

#[tokio::test]
async fn an_undo_is_one_call() {
    let (users, fake) = fake(iam);
    let back = Change::Reactivate { user: UserName::parse("alice").unwrap(), key: key(OLD) };
    assert_eq!(users.apply(&place("alice"), &back).await, Ok(()));
    assert_eq!(fake.sent()[0].field("Status").as_deref(), Some("Active"));
    assert_eq!(fake.sent()[0].field("UserName").as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_denied_call_names_the_action_that_is_missing() {
    for (call, action) in [
        ("ListAccessKeys", "iam:ListAccessKeys"),
        ("GetUser", "iam:GetUser"),
        ("GetAccessKeyLastUsed", "iam:GetAccessKeyLastUsed"),
        ("ListUsers", "iam:ListUsers"),
    ] {
        let (users, _) =
            fake(move |sent| if sent.operation().unwrap() == call { error(403, "AccessDenied") } else { iam(sent) });
        let Err(Fault::Denied { action: named, by: DeniedBy::Unsaid, .. }) = observe(&users, ID).await else {
            panic!("{call}")
        };
        assert_eq!(named, action);
        assert!(StaleAccessKey::ABOUT.observes_with.contains(&action), "{action}");
    }
    let (users, _) = fake(|_| error(403, "AccessDenied"));
    let change = Change::Deactivate { user: UserName::parse("alice").unwrap(), key: key(OLD), because: Because::Old };
    let Err(Fault::Denied { action, .. }) = users.apply(&place("alice"), &change).await else { panic!() };
    assert_eq!(action, "iam:UpdateAccessKey");
    assert!(StaleAccessKey::ABOUT.fixes_with.contains(&action) && StaleAccessKey::ABOUT.undoes_with == [action]);
}

mod sweeps {
    use super::*;

    const HEAD: &str = "user,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,\
                        access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date";

    /// Without padding: the SDK reads base64 only if it is whole, so the text is filled up with line breaks.
    fn base64(text: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(3), b'\n');
        let letters = bytes.chunks(3).flat_map(|chunk| {
            let bits = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
            [18, 12, 6, 0].map(|shift| LETTERS[(bits >> shift & 63) as usize] as char)
        });
        letters.collect()
    }

    fn report(rows: &[String]) -> Answer {
        let text = base64(&format!("{HEAD}\n{}", rows.join("\n")));
        result("GetCredentialReport", &format!("<Content>{text}</Content><GeneratedTime>{}</GeneratedTime>", date(0)))
    }

    fn row(name: &str, created: i64, used: Option<i64>) -> String {
        format!("{name},true,{},{},false,N/A,N/A", date(created), used.map_or("N/A".to_owned(), date))
    }

    async fn list(users: &Users, after: Option<&str>) -> Result<Page<User>, Fault> {
        users.list(&account(), &region(), &occasion(), after).await
    }

    fn names(page: &Page<User>) -> Vec<String> {
        page.targets.iter().map(User::to_string).collect()
    }

    #[tokio::test]
    async fn only_whom_the_report_shows_to_be_near_a_limit() {
        let rows = vec![
            row("<root_account>", 400, Some(200)),
            row("fresh", 5, None),
            row("daily", 50, Some(0)),
            row("idle", 50, Some(91)),
            row("near", 50, Some(80)),
            row("unused", 91, None),
            row("forgotten", 20, None),
            row("old", 91, Some(0)),
            format!("keyless,false,N/A,N/A,false,{},N/A", date(400)),
            format!("second,false,N/A,N/A,true,{},N/A", date(400)),
            "odd,true,whenever,N/A,false,N/A,N/A".to_owned(),
        ];
        let (users, fake) = fake(move |_| report(&rows));
        let page = list(&users, None).await.unwrap();
        assert_eq!(names(&page), ["<root_account>", "idle", "near", "unused", "forgotten", "old", "second", "odd"]);
        assert_eq!(page.next, None);
        assert_eq!(asked(&fake), ["GetCredentialReport"]);
    }

    #[tokio::test]
    async fn where_age_does_not_matter_an_old_key_in_use_is_not_looked_at() {
        let parameters = Parameters { max_age_days: 0, rotation: Rotation::Hard, ..Parameters::default() };
        let (users, _) = with(parameters, |_| report(&[row("old", 3000, Some(0))]));
        assert_eq!(names(&list(&users, None).await.unwrap()), [] as [&str; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_report_every_user_is_looked_at_page_by_page() {
        let (users, fake) = fake(|sent| match (sent.operation().as_deref(), sent.field("Marker").as_deref()) {
            (Some("GetCredentialReport"), _) => error(410, "ReportNotPresent"),
            (Some("GenerateCredentialReport"), _) => result("GenerateCredentialReport", "<State>STARTED</State>"),
            (_, None) => users(&[("alice", ID)], Some("m")),
            (_, Some(_)) => users(&[("bob", "AIDAEXAMPLEEXAMPLE111")], None),
        });
        let first = list(&users, None).await.unwrap();
        assert_eq!((names(&first), first.next.as_deref()), (vec!["alice".to_owned()], Some("m")));
        let asked_so_far = fake.sent().len();
        let last = list(&users, first.next.as_deref()).await.unwrap();
        assert_eq!((names(&last), last.next), (vec!["bob".to_owned()], None));
        assert_eq!(fake.sent().len(), asked_so_far + 1, "the report is not asked for again");
    }

    #[tokio::test]
    async fn a_denied_report_is_told_and_not_worked_around() {
        for call in ["GetCredentialReport", "GenerateCredentialReport"] {
            let (users, _) = fake(move |sent| match sent.operation().unwrap() {
                asked if asked == call => error(403, "AccessDenied"),
                _ => error(410, "ReportNotPresent"),
            });
            let Err(Fault::Denied { action, .. }) = list(&users, None).await else { panic!("{call}") };
            assert_eq!(action, format!("iam:{call}"));
            assert!(StaleAccessKey::ABOUT.lists_with.contains(&action));
            assert!(StaleAccessKey::ABOUT.observes_with.contains(&action), "for root");
        }
    }

    #[tokio::test]
    async fn roots_keys_are_read_from_the_report_and_only_told_of() {
        let (users, fake) = fake(|_| report(&[row("<root_account>", 400, Some(200)), row("alice", 400, None)]));
        let state = observe(&users, "<root_account>").await.unwrap().unwrap();
        assert_eq!((state.owner.clone(), state.keys.len()), (Owner::Root, 1));
        assert_eq!(StaleAccessKey::desired(&state), state);
        assert_eq!(StaleAccessKey::hindrance(&state).unwrap().id, "root-key");
        assert_eq!(asked(&fake), ["GetCredentialReport"]);
    }

    #[tokio::test(start_paused = true)]
    async fn root_without_a_report_is_for_later() {
        let (users, _) = fake(|sent| match sent.operation().as_deref() {
            Some("GenerateCredentialReport") => result("GenerateCredentialReport", "<State>STARTED</State>"),
            _ => error(410, "ReportNotPresent"),
        });
        assert!(matches!(observe(&users, "<root_account>").await, Err(Fault::Retry(_))));
    }
}

#[tokio::test]
async fn tags_are_the_users_own_however_it_is_named() {
    let tagged = |sent: &Sent| match sent.operation().as_deref() {
        Some("ListUserTags") => {
            result("ListUserTags", "<Tags><member><Key>team</Key><Value>scans</Value></member></Tags>")
        }
        _ => iam(sent),
    };
    let arn = "arn:aws:iam::111122223333:user/ward/alice";
    for (name, first) in [("alice", None), (arn, None), (ID, Some("ListUsers")), (OLD, Some("GetAccessKeyLastUsed"))] {
        let (users, fake) = fake(tagged);
        assert_eq!(users.tags(&place(name)).await, Ok(vec![("team".to_owned(), "scans".to_owned())]), "{name}");
        let expected: Vec<&str> = first.into_iter().chain(["ListUserTags"]).collect();
        assert_eq!(asked(&fake), expected, "{name}");
        assert_eq!(fake.sent().last().unwrap().field("UserName").as_deref(), Some("alice"));
        assert!(expected.iter().all(|call| StaleAccessKey::ABOUT.tags_with.contains(&format!("iam:{call}").as_str())));
    }
    let (users, fake) = fake(tagged);
    assert_eq!(users.tags(&place("<root_account>")).await, Ok(vec![]), "root has none");
    let theirs = users.tags(&place("arn:aws:iam::444455556666:user/alice")).await;
    assert!(matches!(theirs, Err(Fault::GiveUp(_))), "our own alice is another: {theirs:?}");
    assert_eq!(asked(&fake), Vec::<String>::new());
}
