//! The calls against recorded answers of IAM: which requests they make, and what they make of the answers.

use super::*;
use remediation::fault::DeniedBy;
use remediation::testing::{Answer, Fake, SECRET, Sent, account, answer, occasion, ok};
use std::sync::atomic::{AtomicUsize, Ordering};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

fn iam(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Iam, Fake) {
    let fake = Fake::new(answer);
    (Iam::new(&fake.sdk()), fake)
}

/// An answer in IAM's query protocol.
fn result(call: &str, inner: &str) -> Answer {
    ok(format!("<{call}Response><{call}Result>{inner}</{call}Result></{call}Response>"))
}

fn error(status: u16, code: &str) -> Answer {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{SECRET}</Message></Error>");
    answer(status, format!("<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>"))
}

fn alice() -> UserName {
    UserName::parse("alice").unwrap()
}

fn key() -> AccessKeyId {
    AccessKeyId::parse(KEY).unwrap()
}

fn id() -> UserId {
    UserId::parse("AIDAEXAMPLEEXAMPLE000").unwrap()
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().map(|sent| sent.operation().unwrap()).collect()
}

fn member(key: &str, status: &str) -> String {
    format!(
        "<member><UserName>alice</UserName><AccessKeyId>{key}</AccessKeyId><Status>{status}</Status>\
         <CreateDate>2026-01-02T03:04:05Z</CreateDate></member>"
    )
}

fn member_user(name: &str, id: &str) -> String {
    format!(
        "<member><Path>/</Path><UserName>{name}</UserName><UserId>{id}</UserId>\
         <Arn>arn:aws:iam::111122223333:user/{name}</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate></member>"
    )
}

#[tokio::test]
async fn every_page_of_keys_is_read_and_the_user_is_named() {
    let (iam, fake) = iam(|sent| match sent.field("Marker").as_deref() {
        None => result(
            "ListAccessKeys",
            &format!(
                "<AccessKeyMetadata>{}</AccessKeyMetadata><IsTruncated>true</IsTruncated><Marker>m+1</Marker>",
                member(KEY, "Active")
            ),
        ),
        Some("m+1") => result(
            "ListAccessKeys",
            &format!(
                "<AccessKeyMetadata>{}</AccessKeyMetadata><IsTruncated>false</IsTruncated>",
                member("AKIAIOSFODNN8EXAMPLE", "Inactive")
            ),
        ),
        other => panic!("{other:?}"),
    });
    let keys = iam.keys(&alice()).await.unwrap();
    assert_eq!(
        keys.iter().map(|key| (key.id.as_str(), key.active)).collect::<Vec<_>>(),
        [(KEY, true), ("AKIAIOSFODNN8EXAMPLE", false)]
    );
    assert_eq!(keys[0].created.unix_timestamp(), 1_767_323_045);
    assert!(fake.sent().iter().all(|sent| sent.field("UserName").as_deref() == Some("alice")));
    assert_eq!(fake.sent().len(), 2);
}

#[tokio::test]
async fn a_listing_without_an_end_ends() {
    let (iam, fake) =
        iam(|_| result("ListAccessKeys", "<AccessKeyMetadata/><IsTruncated>true</IsTruncated><Marker>again</Marker>"));
    assert!(matches!(iam.keys(&alice()).await, Err(Fault::GiveUp(_))));
    assert_eq!(fake.sent().len(), MOST_PAGES);
}

#[tokio::test]
async fn half_of_a_key_is_no_key() {
    for half in [
        format!("<member><UserName>alice</UserName><AccessKeyId>{KEY}</AccessKeyId><Status>Active</Status></member>"),
        format!("<member><AccessKeyId>{KEY}</AccessKeyId><CreateDate>2026-01-02T03:04:05Z</CreateDate></member>"),
        "<member><Status>Active</Status><CreateDate>2026-01-02T03:04:05Z</CreateDate></member>".to_owned(),
    ] {
        let (iam, _) =
            iam(move |_| result("ListAccessKeys", &format!("<AccessKeyMetadata>{half}</AccessKeyMetadata>")));
        assert!(matches!(iam.keys(&alice()).await, Err(Fault::Lost(_))));
    }
}

#[tokio::test]
async fn what_a_last_use_says() {
    let used = "<UserName>alice</UserName><AccessKeyLastUsed><LastUsedDate>2026-03-13T10:45:00Z</LastUsedDate>\
                <ServiceName>s3</ServiceName><Region>us-west-2</Region></AccessKeyLastUsed>";
    // So it is for a key that was never used: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html
    let never = "<UserName>alice</UserName><AccessKeyLastUsed><ServiceName>N/A</ServiceName><Region>N/A</Region></AccessKeyLastUsed>";
    let nobody = "<AccessKeyLastUsed><ServiceName>N/A</ServiceName><Region>N/A</Region></AccessKeyLastUsed>";
    let root = "<UserName>&lt;root_account&gt;</UserName>";
    for (inner, user, at) in [
        (used, Some(alice()), Some(1_773_398_700)),
        (never, Some(alice()), None),
        (nobody, None, None),
        (root, None, None),
    ] {
        let (iam, fake) = iam(move |_| result("GetAccessKeyLastUsed", inner));
        let told = iam.last_use(&key()).await.unwrap();
        assert_eq!((told.user, told.last.map(|last| last.at.unix_timestamp())), (user, at), "{inner}");
        assert_eq!(fake.sent()[0].field("AccessKeyId").as_deref(), Some(KEY));
    }
    let (iam, _) = iam(|_| {
        result(
            "GetAccessKeyLastUsed",
            "<AccessKeyLastUsed><LastUsedDate>2026-03-13T10:45:00Z</LastUsedDate><ServiceName>s3\u{1b}[31m x</ServiceName>\
             <Region>*</Region></AccessKeyLastUsed>"
                .replace('\u{1b}', "&lt;")
                .as_str(),
        )
    });
    let last = iam.last_use(&key()).await.unwrap().last.unwrap();
    assert_eq!((last.service.as_str(), last.region.as_str()), ("s331mx", ""), "words only");
}

#[tokio::test]
async fn keys_that_are_gone_by_now_have_no_last_use() {
    let other = AccessKeyId::parse("AKIAIOSFODNN8EXAMPLE").unwrap();
    let gone = other.to_string();
    let (iam, _) = iam(move |sent| {
        if sent.field("AccessKeyId").as_ref() == Some(&gone) {
            return error(404, "NoSuchEntity");
        }
        result("GetAccessKeyLastUsed", "<UserName>alice</UserName>")
    });
    let uses = iam.last_uses(&[other, key()]).await.unwrap();
    assert_eq!(uses, [None, Some(LastUse { user: Some(alice()), last: None })]);
}

#[tokio::test]
async fn a_profile() {
    let (iam, _) = iam(|_| {
        result(
            "GetUser",
            "<User><Path>/ward/</Path><UserName>alice</UserName><UserId>AIDAEXAMPLEEXAMPLE000</UserId>\
             <Arn>arn:aws:iam::111122223333:user/ward/alice</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate>\
             <Tags><member><Key>team</Key><Value>scans</Value></member></Tags></User>",
        )
    });
    let profile = iam.user(&alice()).await.unwrap();
    assert_eq!((profile.account.as_str(), profile.path.as_str()), ("111122223333", "/ward/"));
    assert_eq!(profile.tags, [("team".to_owned(), "scans".to_owned())]);
}

#[tokio::test]
async fn an_id_is_looked_up_page_by_page_and_remembered_for_a_minute() {
    let (iam, fake) = iam(|sent| {
        let page = match sent.field("Marker").as_deref() {
            None => format!("{}<Marker>m</Marker>", "<IsTruncated>true</IsTruncated>"),
            Some(_) => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        let user = match sent.field("Marker") {
            None => member_user("bob", "AIDAEXAMPLEEXAMPLE111"),
            Some(_) => member_user("alice", "AIDAEXAMPLEEXAMPLE000"),
        };
        result("ListUsers", &format!("<Users>{user}</Users>{page}"))
    });
    let now = occasion().now;
    let name = async |id: &str, now| iam.name_of(&UserId::parse(id).unwrap(), &account(), now).await.unwrap();
    assert_eq!(name("AIDAEXAMPLEEXAMPLE000", now).await, Some(alice()));
    assert_eq!(fake.sent().len(), 2);
    assert!(name("AIDAEXAMPLEEXAMPLE111", now).await.is_some(), "it came with the other");
    assert_eq!(fake.sent().len(), 2);
    assert_eq!(name("AIDAEXAMPLEEXAMPLE222", now).await, None);
    assert_eq!(fake.sent().len(), 4, "who is not remembered may be new");
    assert_eq!(name("AIDAEXAMPLEEXAMPLE000", now + REMEMBERED).await, Some(alice()));
    assert_eq!(fake.sent().len(), 6, "names change");
}

#[tokio::test]
async fn who_asks_for_a_name_during_a_listing_waits_for_it() {
    let (iam, fake) = iam(|_| result("ListUsers", &format!("<Users>{}</Users>", member_user("alice", id().as_str()))));
    let (account, now) = (account(), occasion().now);
    let id = id();
    let listing = iam.names.lock().await;
    let mut other = Box::pin(iam.name_of(&id, &account, now));
    let waited = tokio::time::timeout(std::time::Duration::ZERO, &mut other).await;
    assert!(waited.is_err() && fake.sent().is_empty(), "{waited:?}");
    drop(listing);
    assert_eq!(other.await, Ok(Some(alice())));
    assert_eq!(fake.sent().len(), 1);
}

#[tokio::test]
async fn every_page_of_tags_is_read_and_nobody_has_none() {
    let (tagged, fake) = iam(|sent| {
        let (key, more) = match sent.field("Marker").as_deref() {
            None => ("team", "<IsTruncated>true</IsTruncated><Marker>m+1</Marker>"),
            Some("m+1") => ("ward", "<IsTruncated>false</IsTruncated>"),
            other => panic!("{other:?}"),
        };
        result("ListUserTags", &format!("<Tags><member><Key>{key}</Key><Value>3</Value></member></Tags>{more}"))
    });
    let tags = tagged.tags(&alice()).await.unwrap();
    assert_eq!(tags, [("team".to_owned(), "3".to_owned()), ("ward".to_owned(), "3".to_owned())]);
    assert!(fake.sent().iter().all(|sent| sent.field("UserName").as_deref() == Some("alice")));
    let (nobody, _) = iam(|_| error(404, "NoSuchEntity"));
    assert_eq!(nobody.tags(&alice()).await, Ok(vec![]));
}

#[tokio::test]
async fn a_switch_always_names_the_user() {
    for (active, status) in [(true, "Active"), (false, "Inactive")] {
        let (iam, fake) = iam(|_| ok("<UpdateAccessKeyResponse/>"));
        iam.switch(&alice(), &key(), active).await.unwrap();
        let sent = fake.sent();
        let field = |name| sent[0].field(name).unwrap();
        assert_eq!(field("Action"), "UpdateAccessKey");
        assert_eq!(
            (field("UserName"), field("AccessKeyId"), field("Status")),
            ("alice".to_owned(), KEY.to_owned(), status.to_owned())
        );
    }
}

#[tokio::test]
async fn iam_is_one_for_all_regions() {
    let (iam, fake) = iam(|_| result("GetAccessKeyLastUsed", ""));
    iam.last_use(&key()).await.unwrap();
    assert_eq!(fake.sent()[0].host, "iam.amazonaws.com");
    assert!(fake.sent()[0].header("authorization").unwrap().contains("/us-east-1/iam/"));
}

#[tokio::test]
async fn passwords_and_policies() {
    let (with, _) = iam(|_| {
        result(
            "GetLoginProfile",
            "<LoginProfile><UserName>alice</UserName><CreateDate>2026-01-02T03:04:05Z</CreateDate></LoginProfile>",
        )
    });
    assert_eq!(with.has_password(&alice()).await, Ok(true));
    let (without, _) = iam(|_| error(404, "NoSuchEntity"));
    assert_eq!(without.has_password(&alice()).await, Ok(false));
    let (iam, _) = iam(|sent| {
        let (name, more) = match sent.field("Marker") {
            None => ("A", "<IsTruncated>true</IsTruncated><Marker>m</Marker>"),
            Some(_) => ("B", ""),
        };
        result(
            "ListAttachedUserPolicies",
            &format!("<AttachedPolicies><member><PolicyName>{name}</PolicyName></member></AttachedPolicies>{more}"),
        )
    });
    assert_eq!(iam.attached(&alice()).await.unwrap(), ["A", "B"]);
}

#[tokio::test]
async fn our_own_key_is_known_if_it_is_a_users() {
    use aws_sdk_iam::config::Credentials;
    for (id, own) in [(KEY, Some(key())), ("ASIAIOSFODNN7EXAMPLE", None), ("AKIDEXAMPLE", None)] {
        let fake = Fake::new(|_| panic!("no call"));
        let credentials = Credentials::new(id, SECRET, None, None, "test");
        let sdk = fake.sdk().into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
        assert_eq!(Iam::new(&sdk).own_key().await, Ok(own), "{id}");
    }
}

type Call = fn(&Iam) -> std::pin::Pin<Box<dyn Future<Output = Result<(), Fault>> + '_>>;

/// Every call, with the action that it needs.
const CALLS: &[(&str, Call)] = &[
    ("iam:ListAccessKeys", |iam| Box::pin(async { iam.keys(&alice()).await.map(drop) })),
    ("iam:GetAccessKeyLastUsed", |iam| Box::pin(async { iam.last_use(&key()).await.map(drop) })),
    ("iam:GetUser", |iam| Box::pin(async { iam.user(&alice()).await.map(drop) })),
    ("iam:ListUsers", |iam| Box::pin(async { iam.name_of(&id(), &account(), occasion().now).await.map(drop) })),
    ("iam:ListUserTags", |iam| Box::pin(async { iam.tags(&alice()).await.map(drop) })),
    ("iam:UpdateAccessKey", |iam| Box::pin(async { iam.switch(&alice(), &key(), false).await })),
    ("iam:ListAttachedUserPolicies", |iam| Box::pin(async { iam.attached(&alice()).await.map(drop) })),
    ("iam:GetLoginProfile", |iam| Box::pin(async { iam.has_password(&alice()).await.map(drop) })),
    ("iam:GetCredentialReport", |iam| Box::pin(async { iam.report(occasion().now).await.map(drop) })),
    ("iam:GenerateCredentialReport", |iam| Box::pin(async { iam.ready().await.map(drop) })),
];

#[tokio::test]
async fn trouble_by_consequence() {
    for (action, call) in CALLS {
        let after = async |status, code: &'static str| {
            let (iam, _) = iam(move |_| error(status, code));
            call(&iam).await
        };
        assert!(
            matches!(after(403, "AccessDenied").await, Err(Fault::Denied { action: named, by: DeniedBy::Unsaid, .. }) if named == *action),
            "{action}"
        );
        assert!(matches!(after(400, "Throttling").await, Err(Fault::Retry(_))), "{action}");
        assert!(matches!(after(409, "EntityTemporarilyUnmodifiable").await, Err(Fault::Conflict(_))), "{action}");
        assert!(matches!(after(409, "ConcurrentModification").await, Err(Fault::Conflict(_))), "{action}");
        assert!(matches!(after(500, "ServiceFailure").await, Err(Fault::Lost(_))), "{action}");
        assert!(matches!(after(400, "ValidationError").await, Err(Fault::GiveUp(_))), "{action}");
        let gone = after(404, "NoSuchEntity").await;
        let none = matches!(*action, "iam:GetLoginProfile" | "iam:ListUserTags");
        assert!(gone == if none { Ok(()) } else { Err(Fault::Gone) }, "{action}: {gone:?}");
    }
    let (iam, _) = iam(|_| error(409, "LimitExceeded"));
    assert!(
        matches!(iam.switch(&alice(), &key(), true).await, Err(Fault::GiveUp(_))),
        "a rule that stands, and no race"
    );
}

#[tokio::test]
async fn no_fault_repeats_what_aws_said() {
    for (action, call) in CALLS {
        for (status, code) in
            [(400, "Throttling"), (403, "AccessDenied"), (409, "Weird<b>"), (500, ""), (503, "SlowDown")]
        {
            let (iam, _) = iam(move |_| error(status, code));
            let fault = call(&iam).await.unwrap_err();
            let text = format!("{fault} {fault:?}");
            assert!(
                !text.contains(SECRET) && !text.contains('<') && text.len() < 600,
                "{action} {status} {code}: {text}"
            );
        }
        for body in ["hello", "<html>SECRET-that-no-log-may-show</html>"] {
            let (iam, _) = iam(move |_| ok(body));
            let text = format!("{:?}", call(&iam).await);
            assert!(!text.contains(SECRET), "{action}: {text}");
        }
    }
}

mod reports {
    use super::*;

    const CSV: &str = "user,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_2_active\n\
                       alice,true,2026-01-01T00:00:00+00:00,N/A,false\n";

    fn base64(text: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in text.as_bytes().chunks(3) {
            let byte = |at: usize| u32::from(*chunk.get(at).unwrap_or(&0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
                out.push(if at > chunk.len() { '=' } else { letter as char });
            }
        }
        out
    }

    /// A report made so many hours before the occasion.
    fn report(hours: i64) -> Answer {
        let made =
            (occasion().now - Duration::hours(hours)).format(&time::format_description::well_known::Rfc3339).unwrap();
        result(
            "GetCredentialReport",
            &format!(
                "<Content>{}</Content><ReportFormat>text/csv</ReportFormat><GeneratedTime>{made}</GeneratedTime>",
                base64(CSV)
            ),
        )
    }

    fn state(state: &str) -> Answer {
        result("GenerateCredentialReport", &format!("<State>{state}</State>"))
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_fresh_is_taken_and_read_once() {
        let (iam, fake) = iam(|_| report(3));
        let now = occasion().now;
        assert_eq!(iam.report(now).await.unwrap().unwrap().rows.len(), 1);
        assert!(iam.report(now + Duration::minutes(4)).await.unwrap().is_some());
        assert_eq!(asked(&fake), ["GetCredentialReport"]);
        iam.report(now + REREAD).await.unwrap();
        assert_eq!(fake.sent().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_one_is_asked_for_and_waited_for() {
        for (status, code) in [(410, "ReportNotPresent"), (410, "ReportExpired"), (404, "ReportInProgress"), (0, "")] {
            let asked_for = AtomicUsize::new(0);
            let (iam, fake) = iam(move |sent| match sent.operation().as_deref() {
                Some("GenerateCredentialReport") => match asked_for.fetch_add(1, Ordering::Relaxed) {
                    0 => state("STARTED"),
                    1 => state("INPROGRESS"),
                    _ => state("COMPLETE"),
                },
                _ if asked_for.load(Ordering::Relaxed) > 2 => report(0),
                // An old one, which no code says.
                _ if status == 0 => report(5),
                _ => error(status, code),
            });
            assert!(iam.report(occasion().now).await.unwrap().is_some(), "{code}");
            let expected = [
                "GetCredentialReport",
                "GenerateCredentialReport",
                "GenerateCredentialReport",
                "GenerateCredentialReport",
                "GetCredentialReport",
            ];
            assert_eq!(asked(&fake), expected, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        for never in [state("INPROGRESS"), error(409, "LimitExceeded")] {
            let (iam, fake) = iam(move |sent| match sent.operation().as_deref() {
                Some("GenerateCredentialReport") => never.clone(),
                _ => error(410, "ReportNotPresent"),
            });
            let began = tokio::time::Instant::now();
            assert_eq!(iam.report(occasion().now).await, Ok(None));
            assert!(began.elapsed() < std::time::Duration::from_secs(10));
            assert_eq!(fake.sent().len(), 1 + REPORT_WAITS.len());
        }
    }
}
