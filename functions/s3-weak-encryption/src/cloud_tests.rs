//! `cloud.rs` against recorded answers of S3 and KMS: which requests it makes, and what it makes of the answers.

use super::*;
use crate::{Algorithm, AwsManagedKey, Keys};
use remediation::Control;
use remediation::fault::DeniedBy;
use remediation::testing::{self, Answer, Fake, SECRET, Sent, answer, occasion, ok};
use std::time::Duration;

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const THEIRS: &str = "arn:aws:kms:us-west-2:444455556666:key/1111aaaa-22bb-33cc-44dd-555555eeeeee";

/// `GET encryption`, `kms DescribeKey`, …
fn about(sent: &Sent) -> String {
    if let Some(operation) = sent.operation().filter(|_| sent.host.starts_with("kms.")) {
        return format!("kms {operation}");
    }
    let about = sent.query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    let about: String = about.filter(|name| *name != "x-id").collect();
    format!("{} {about}", sent.method)
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"))
}

fn kms_error(status: u16, code: &str) -> Answer {
    answer(status, format!(r#"{{"__type":"{code}","message":"{SECRET}"}}"#))
}

fn rules_xml(rules: &str) -> Answer {
    ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ServerSideEncryptionConfiguration \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{rules}</ServerSideEncryptionConfiguration>"
    ))
}

const AES: &str = "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
    </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled>\
    <BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>";

fn kms_xml(key: &str) -> String {
    format!(
        "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>\
         <KMSMasterKeyID>{key}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>\
         <BucketKeyEnabled>true</BucketKeyEnabled></Rule>"
    )
}

fn key_json(state: &str) -> Answer {
    ok(format!(
        r#"{{"KeyMetadata":{{"KeyId":"1234abcd","Arn":"{KEY}","KeyState":"{state}","KeyUsage":"ENCRYPT_DECRYPT",
            "KeySpec":"SYMMETRIC_DEFAULT","KeyManager":"CUSTOMER","MultiRegion":true}}}}"#
    ))
}

/// A bucket with SSE-S3 and nothing else, and a sound key.
fn bare(sent: &Sent) -> Answer {
    match about(sent).as_str() {
        "GET encryption" => rules_xml(AES),
        "GET policy" => error(404, "NoSuchBucketPolicy"),
        "GET acl" => ok("<AccessControlPolicy><AccessControlList/></AccessControlPolicy>"),
        "GET replication" => error(404, "ReplicationConfigurationNotFoundError"),
        "kms DescribeKey" => key_json("Enabled"),
        "kms GetKeyPolicy" => ok(r#"{"Policy":"{\"Statement\":[]}"}"#),
        "PUT encryption" => ok(""),
        "DELETE encryption" => answer(204, ""),
        other => panic!("asked for {other:?}"),
    }
}

fn with_key() -> Parameters {
    Parameters { keys: Keys::try_from(format!("us-west-2={KEY}")).unwrap(), ..Parameters::default() }
}

fn place() -> Place<BucketName> {
    testing::place::<WeakEncryption>("clinic-scans")
}

fn cloud(parameters: Parameters, answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Fake, Encryption) {
    let fake = Fake::new(answer);
    let cloud = Encryption::new(&fake.sdk(), parameters);
    (fake, cloud)
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().map(about).collect()
}

async fn seen(parameters: Parameters, answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> State {
    let (_, cloud) = cloud(parameters, answer);
    cloud.observe(&place(), &occasion()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_compliant_bucket_costs_one_read_and_a_look_at_its_key() {
    let managed = "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>\
        </ApplyServerSideEncryptionByDefault></Rule>";
    for (rules, reads) in [
        (managed.to_owned(), &["GET encryption"][..]),
        (kms_xml("alias/aws/s3"), &["GET encryption"]),
        (kms_xml(KEY), &["GET encryption", "kms DescribeKey"]),
    ] {
        let (fake, cloud) = cloud(with_key(), move |sent| match about(sent).as_str() {
            "GET encryption" => rules_xml(&rules),
            _ => bare(sent),
        });
        let state = cloud.observe(&place(), &occasion()).await.unwrap().unwrap();
        assert_eq!((WeakEncryption::desired(&state), &state.surroundings), (state.clone(), &None));
        assert_eq!(asked(&fake), reads);
        assert_eq!(fake.sent()[0].host, "s3.us-west-2.amazonaws.com", "the bucket's region, not our own");
    }
}

#[tokio::test]
async fn a_weak_bucket_is_read_with_what_a_change_would_touch() {
    let (fake, cloud) = cloud(with_key(), bare);
    let state = cloud.observe(&place(), &occasion()).await.unwrap().unwrap();
    let blocked = Some(vec!["SSE-C".to_owned()]);
    assert_eq!(state.rules, [Rule { algorithm: Some("AES256".into()), key: None, bucket_key: false, blocked }]);
    let around = state.surroundings.unwrap();
    assert!(around.logs.is_empty() && around.outsiders.is_empty() && !around.replication_skips_kms);
    let key = around.key.unwrap();
    assert_eq!((key.arn().unwrap().as_str(), key.trouble()), (KEY, None));
    assert!(matches!(key.seen, Seen::Key(Key { multi_region: true, aws_managed: false, .. })));
    let mut sent = asked(&fake);
    assert_eq!(sent.remove(0), "GET encryption");
    sent.sort();
    assert_eq!(sent, ["GET acl", "GET policy", "GET replication", "kms DescribeKey", "kms GetKeyPolicy"]);
    for sent in fake.sent() {
        let owner = sent.header("x-amz-expected-bucket-owner");
        assert!(sent.host.starts_with("kms.us-west-2.") || owner == Some(testing::ACCOUNT), "{sent:?}");
        assert!(!sent.host.starts_with("kms.") || sent.body.contains(KEY), "the full ARN: {}", sent.body);
    }
}

#[tokio::test]
async fn with_the_key_that_aws_manages_kms_is_not_asked() {
    let (fake, cloud) = cloud(Parameters::default(), bare);
    let state = cloud.observe(&place(), &occasion()).await.unwrap().unwrap();
    assert_eq!(WeakEncryption::desired(&state).rules[0].key, None);
    assert!(asked(&fake).iter().all(|asked| !asked.starts_with("kms")), "{:?}", asked(&fake));
}

#[tokio::test]
async fn a_key_is_looked_at_once_on_an_occasion() {
    let (fake, cloud) = cloud(with_key(), bare);
    for _ in 0..3 {
        cloud.observe(&place(), &occasion()).await.unwrap();
    }
    let kms = |fake: &Fake| asked(fake).iter().filter(|asked| asked.starts_with("kms")).count();
    assert_eq!(kms(&fake), 2);
    let mut later = occasion();
    later.now += Duration::from_secs(1);
    cloud.observe(&place(), &later).await.unwrap();
    assert_eq!(kms(&fake), 4, "what was so then may not be so now");
}

#[tokio::test]
async fn the_config_rule_says_which_keys_it_accepts() {
    for (keys, listed) in [
        (serde_json::json!(format!("{KEY}, {THEIRS},alias/x")), vec![KEY, THEIRS]),
        (serde_json::json!(""), vec![]),
        (serde_json::json!([KEY]), vec![]),
    ] {
        let parameters = serde_json::json!({"kmsKeyArns": keys}).as_object().cloned();
        let rule = Some(remediation::ConfigRule { name: "s3-default-encryption-kms-abc".to_owned(), parameters });
        let (_, cloud) = cloud(with_key(), bare);
        let state = cloud.observe(&place(), &Occasion { rule, ..occasion() }).await.unwrap().unwrap();
        let names: Vec<&str> = state.wanted.rule_keys.iter().map(KeyArn::as_str).collect();
        assert_eq!(names, listed, "{keys}");
    }
}

#[tokio::test]
async fn an_alias_is_judged_as_the_key_that_it_means() {
    // The bucket's alias means another key than the one that the rule lists and the setting has.
    let parameters = serde_json::json!({"kmsKeyArns": THEIRS}).as_object().cloned();
    let rule = Some(remediation::ConfigRule { name: "s3-default-encryption-kms-abc".to_owned(), parameters });
    let setting = Parameters { keys: Keys::try_from(format!("us-west-2={THEIRS}")).unwrap(), ..Parameters::default() };
    let (fake, cloud) = cloud(setting, |sent| match about(sent).as_str() {
        "GET encryption" => rules_xml(&kms_xml("alias/phi")),
        _ => bare(sent),
    });
    let state = cloud.observe(&place(), &Occasion { rule, ..occasion() }).await.unwrap().unwrap();
    assert_eq!(WeakEncryption::desired(&state).rules[0].key.as_deref(), Some(THEIRS));
    assert!(state.surroundings.is_some(), "what the change would touch is read: {:?}", asked(&fake));
}

#[tokio::test]
async fn log_delivery_and_replication_are_seen() {
    let acl = "<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
        xsi:type=\"Group\"><URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI></Grantee><Permission>WRITE</Permission>\
        </Grant></AccessControlList></AccessControlPolicy>";
    let state = seen(with_key(), move |sent| if about(sent) == "GET acl" { ok(acl) } else { bare(sent) }).await;
    assert_eq!(state.surroundings.unwrap().logs.first, ["S3 server access logs"]);
    let policy = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":"s3:PutObject"}]}"#;
    let state = seen(with_key(), move |sent| if about(sent) == "GET policy" { ok(policy) } else { bare(sent) }).await;
    assert_eq!(WeakEncryption::desired(&state), state);
    let rule = |status: &str, criteria: &str| {
        format!(
            "<ReplicationConfiguration><Role>r</Role><Rule><Status>{status}</Status>{criteria}\
             <Destination><Bucket>b</Bucket></Destination></Rule></ReplicationConfiguration>"
        )
    };
    let selects = |status: &str| {
        format!(
            "<SourceSelectionCriteria><SseKmsEncryptedObjects><Status>{status}</Status></SseKmsEncryptedObjects>\
             </SourceSelectionCriteria>"
        )
    };
    for (xml, skips) in [
        (rule("Enabled", ""), true),
        (rule("Enabled", &selects("Disabled")), true),
        (rule("Enabled", &selects("Enabled")), false),
        (rule("Disabled", ""), false),
    ] {
        let answer = xml.clone();
        let replication =
            move |sent: &Sent| if about(sent) == "GET replication" { ok(answer.clone()) } else { bare(sent) };
        assert_eq!(seen(with_key(), replication).await.surroundings.unwrap().replication_skips_kms, skips, "{xml}");
    }
}

#[tokio::test]
async fn what_kms_says_of_a_key() {
    for (answer, says) in [
        (key_json("PendingDeletion"), Some("PendingDeletion")),
        (key_json("Enabled"), None),
        (kms_error(400, "NotFoundException"), Some("no such key")),
        (kms_error(400, "InvalidArnException"), Some("no such key")),
        (kms_error(400, "AccessDeniedException"), Some("kms:DescribeKey")),
        (ok("{}"), Some("no such key")),
    ] {
        let state = seen(with_key(), {
            let answer = answer.clone();
            move |sent| if about(sent) == "kms DescribeKey" { answer.clone() } else { bare(sent) }
        });
        let state = state.await;
        let trouble = state.surroundings.as_ref().unwrap().key.as_ref().unwrap().trouble();
        assert_eq!(trouble.is_some(), says.is_some(), "{answer:?}");
        assert!(says.is_none_or(|says| trouble.unwrap().contains(says)), "{answer:?}");
        assert_eq!(WeakEncryption::desired(&state) == state, says.is_some());
    }
    // Nothing follows from a passing fault.
    for (status, code) in
        [(500, "KMSInternalException"), (503, "DependencyTimeoutException"), (400, "ThrottlingException")]
    {
        let (_, cloud) =
            cloud(
                with_key(),
                move |sent| if about(sent) == "kms DescribeKey" { kms_error(status, code) } else { bare(sent) },
            );
        let fault = cloud.observe(&place(), &occasion()).await.unwrap_err();
        assert!(fault.is_worth_a_retry() && !fault.to_string().contains(SECRET), "{code}: {fault:?}");
    }
}

#[tokio::test]
async fn a_key_policy_that_we_may_not_read_is_said() {
    let policy = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:GetObject"}]}"#;
    let unread = move |sent: &Sent| match about(sent).as_str() {
        "GET policy" => ok(policy),
        "kms GetKeyPolicy" => kms_error(400, "AccessDeniedException"),
        _ => bare(sent),
    };
    let around = seen(with_key(), unread).await.surroundings.unwrap();
    assert!(around.outsiders.is_empty() && around.unclear.to_string().contains("kms:GetKeyPolicy"), "{around:?}");
    // A key of another account: its policy is not even asked for.
    let theirs = Parameters { keys: Keys::try_from(format!("us-west-2={THEIRS}")).unwrap(), ..Parameters::default() };
    let (fake, cloud) = cloud(theirs, bare);
    cloud.observe(&place(), &occasion()).await.unwrap();
    assert!(!asked(&fake).contains(&"kms GetKeyPolicy".to_owned()));
    let theirs = Parameters { keys: Keys::try_from(format!("us-west-2={THEIRS}")).unwrap(), ..Parameters::default() };
    let around = seen(theirs, move |sent| if about(sent) == "GET policy" { ok(policy) } else { bare(sent) }).await;
    assert!(around.surroundings.unwrap().unclear.to_string().contains("only the key's own account"));
}

#[tokio::test]
async fn an_element_that_the_sdk_does_not_know_is_noticed() {
    for (extra, unknown) in
        [("", &[][..]), ("<BucketPepper><Grind a=\"1\"/></BucketPepper>", &["BucketPepper", "Grind"])]
    {
        let rules = AES.replace("</Rule>", &format!("{extra}</Rule>"));
        let state =
            seen(with_key(), move |sent| if about(sent) == "GET encryption" { rules_xml(&rules) } else { bare(sent) });
        let state = state.await;
        assert_eq!(state.unknown, unknown);
        assert_eq!(WeakEncryption::hindrance(&state).is_some(), !unknown.is_empty());
    }
}

/// Each attempt of the SDK's is looked at. The elements of one that was throttled are no settings of the bucket's.
#[tokio::test]
async fn an_attempt_that_failed_leaves_nothing_behind() {
    let throttled = std::sync::atomic::AtomicBool::new(true);
    let fake = Fake::new(move |sent| match about(sent).as_str() {
        "GET encryption" if throttled.swap(false, std::sync::atomic::Ordering::Relaxed) => error(503, "SlowDown"),
        _ => bare(sent),
    });
    let retrying = aws_sdk_s3::config::retry::RetryConfig::standard()
        .with_initial_backoff(Duration::from_millis(1))
        .with_max_backoff(Duration::from_millis(1));
    let sdk = fake.sdk().into_builder().retry_config(retrying).build();
    let cloud = Encryption::new(&sdk, with_key());
    let state = cloud.observe(&place(), &occasion()).await.unwrap().unwrap();
    assert_eq!(asked(&fake).iter().filter(|name| *name == "GET encryption").count(), 2);
    assert_eq!((state.rules.len(), state.unknown), (1, vec![]));
}

#[tokio::test]
async fn a_bucket_without_a_configuration() {
    let none = |sent: &Sent| {
        if about(sent) == "GET encryption" {
            error(404, "ServerSideEncryptionConfigurationNotFoundError")
        } else {
            bare(sent)
        }
    };
    let state = seen(Parameters::default(), none).await;
    assert_eq!((state.rules.len(), state.unknown.len()), (0, 0), "an error's own elements are no settings");
}

#[tokio::test]
async fn the_whole_rule_is_written_after_a_last_look() {
    let (fake, cloud) = cloud(with_key(), bare);
    let state = cloud.observe(&place(), &occasion()).await.unwrap().unwrap();
    let changes = WeakEncryption::changes(&state, &WeakEncryption::desired(&state));
    cloud.apply(&place(), &changes[0]).await.unwrap();
    let sent = fake.sent();
    let [.., look, put] = &sent[..] else { panic!() };
    assert_eq!((about(look), about(put)), ("GET encryption".to_owned(), "PUT encryption".to_owned()));
    assert_eq!(put.header("x-amz-expected-bucket-owner"), Some(testing::ACCOUNT));
    let rule = format!(
        "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{KEY}</KMSMasterKeyID>\
         </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>\
         <BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>"
    );
    assert!(put.body.contains(&rule), "{}", put.body);
}

#[tokio::test]
async fn what_moved_meanwhile_is_not_overwritten() {
    let other = vec![Rule { algorithm: Some("aws:kms".into()), bucket_key: true, ..Rule::default() }];
    for change in [
        Change::PutBucketEncryption { instead_of: other.clone(), rules: other.clone() },
        Change::DeleteBucketEncryption { instead_of: other },
    ] {
        let (fake, cloud) = cloud(with_key(), bare);
        assert!(matches!(cloud.apply(&place(), &change).await, Err(Fault::Moved(_))));
        assert_eq!(asked(&fake), ["GET encryption"], "nothing was written");
    }
}

#[tokio::test]
async fn an_undo_to_nothing_deletes() {
    let state = seen(with_key(), bare).await;
    let (fake, cloud) = cloud(with_key(), bare);
    let change = Change::DeleteBucketEncryption { instead_of: state.rules };
    cloud.apply(&place(), &change).await.unwrap();
    assert_eq!(asked(&fake), ["GET encryption", "DELETE encryption"]);
    assert!(fake.sent().iter().all(|sent| sent.header("x-amz-expected-bucket-owner") == Some(testing::ACCOUNT)));
}

#[tokio::test]
async fn a_bucket_that_is_gone_denied_or_elsewhere_at_any_read() {
    let reads = [
        ("GET encryption", "s3:GetEncryptionConfiguration"),
        ("GET policy", "s3:GetBucketPolicy"),
        ("GET acl", "s3:GetBucketAcl"),
        ("GET replication", "s3:GetReplicationConfiguration"),
    ];
    for (read, action) in reads {
        let (_, cloud1) =
            cloud(with_key(), move |s| if about(s) == read { error(404, "NoSuchBucket") } else { bare(s) });
        assert_eq!(cloud1.observe(&place(), &occasion()).await, Ok(None), "{read}");
        let (_, cloud2) =
            cloud(with_key(), move |s| if about(s) == read { error(403, "AccessDenied") } else { bare(s) });
        let denied = Fault::Denied { action, resource: "bucket clinic-scans".to_owned(), by: DeniedBy::Unsaid };
        assert_eq!(cloud2.observe(&place(), &occasion()).await, Err(denied), "{read}");
        assert!(WeakEncryption::ABOUT.observes_with.contains(&action), "{action}");
    }
    let (_, away) = cloud(with_key(), |_| Answer {
        headers: vec![("x-amz-bucket-region", "eu-central-1".to_owned())],
        ..error(301, "PermanentRedirect")
    });
    let elsewhere = Fault::Elsewhere(Region::parse("eu-central-1").unwrap());
    assert_eq!(away.observe(&place(), &occasion()).await, Err(elsewhere));
}

#[tokio::test]
async fn a_denied_write_names_its_action_and_no_text_gets_out() {
    for write in ["PUT encryption", "DELETE encryption"] {
        let state = seen(with_key(), bare).await;
        let change = match write {
            "PUT encryption" => Change::PutBucketEncryption { instead_of: state.rules.clone(), rules: state.rules },
            _ => Change::DeleteBucketEncryption { instead_of: state.rules },
        };
        let (_, cloud) =
            cloud(with_key(), move |s| if about(s) == write { error(403, "AccessDenied") } else { bare(s) });
        let fault = cloud.apply(&place(), &change).await.unwrap_err();
        let Fault::Denied { action, .. } = &fault else { panic!("{fault:?}") };
        assert_eq!([*action], WeakEncryption::ABOUT.fixes_with);
        assert!(!format!("{fault} {fault:?}").contains(SECRET));
    }
}

#[tokio::test]
async fn a_client_for_each_region_and_its_own_key() {
    let (fake, cloud) = cloud(with_key(), bare);
    let away = Place { region: Region::parse("eu-central-1").unwrap(), ..place() };
    let state = cloud.observe(&away, &occasion()).await.unwrap().unwrap();
    assert_eq!(state.wanted.key, None, "the key of another region is of no use here");
    assert!(fake.sent().iter().all(|sent| sent.host == "s3.eu-central-1.amazonaws.com"));
    assert_eq!(state.wanted.aws_managed_key, AwsManagedKey::Accept);
    assert_eq!(state.wanted.algorithm, Algorithm::AwsKms);
}

#[tokio::test]
async fn tags_are_the_buckets_own() {
    let tags = "<Tagging><TagSet><Tag><Key>team</Key><Value>x</Value></Tag></TagSet></Tagging>";
    let (fake, tagged) = cloud(with_key(), move |_| ok(tags));
    assert_eq!(tagged.tags(&place()).await, Ok(vec![("team".to_owned(), "x".to_owned())]));
    assert_eq!(asked(&fake), ["GET tagging"]);
    assert_eq!(fake.sent()[0].header("x-amz-expected-bucket-owner"), Some(testing::ACCOUNT));
    let (_, denied) = cloud(with_key(), |_| error(403, "AccessDenied"));
    let Err(Fault::Denied { action, .. }) = denied.tags(&place()).await else { panic!() };
    assert_eq!(WeakEncryption::ABOUT.tags_with, [action]);
}
