use super::*;
use crate::state::Seen;
use remediation::testing::ACCOUNT;
use remediation::{AccountId, Region, laws};
use s3::Names;

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER: &str = "arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
const THEIRS: &str = "arn:aws:kms:us-west-2:444455556666:key/1111aaaa-22bb-33cc-44dd-555555eeeeee";

fn rule(algorithm: &str, key: Option<&str>) -> Rule {
    Rule { algorithm: Some(algorithm.to_owned()), key: key.map(str::to_owned), ..Rule::default() }
}

fn with_bucket_key(rule: Rule) -> Rule {
    Rule { bucket_key: true, ..rule }
}

fn wanted() -> Wanted {
    Wanted {
        account: AccountId::parse(ACCOUNT).unwrap(),
        region: Region::parse("us-west-2").unwrap(),
        algorithm: Algorithm::AwsKms,
        key: None,
        aws_managed_key: AwsManagedKey::Accept,
        key_accounts: vec![],
        rule_keys: vec![],
    }
}

fn own_key() -> Wanted {
    Wanted { key: Some(KeyArn::parse(KEY).unwrap()), ..wanted() }
}

fn sound() -> Key {
    Key {
        arn: Some(KeyArn::parse(KEY).unwrap()),
        state: "Enabled".to_owned(),
        usage: "ENCRYPT_DECRYPT".to_owned(),
        spec: "SYMMETRIC_DEFAULT".to_owned(),
        aws_managed: false,
        multi_region: false,
    }
}

fn look(key: &str, seen: Seen) -> Look {
    Look { key: key.to_owned(), seen }
}

fn state(rules: Vec<Rule>, wanted: Wanted) -> State {
    let key = wanted.key.as_ref().map(|key| look(key.as_str(), Seen::Key(sound())));
    let surroundings = Some(Surroundings { key, ..Surroundings::default() });
    State { rules, unknown: vec![], keys: vec![], wanted, surroundings }
}

fn names(of: &[&str]) -> Names {
    let mut names = Names::default();
    for name in of {
        names.add(*name);
    }
    names
}

fn stuck(state: &State) -> Option<&'static str> {
    WeakEncryption::hindrance(state).map(|hindrance| hindrance.id)
}

#[test]
fn what_becomes_of_a_rule() {
    use Algorithm::{Aes256, AwsKms, AwsKmsDsse};
    let (aes, kms, dsse) = (rule("AES256", None), rule("aws:kms", None), rule("aws:kms:dsse", None));
    let mine = |algorithm| rule(algorithm, Some(KEY));
    let table = [
        // What it is; the target, and the region's key if one is set; what becomes of it.
        (aes.clone(), Aes256, None, aes.clone()),
        (aes.clone(), AwsKms, None, with_bucket_key(kms.clone())),
        (with_bucket_key(aes.clone()), AwsKms, None, with_bucket_key(kms.clone())),
        (aes.clone(), AwsKms, Some(KEY), with_bucket_key(mine("aws:kms"))),
        (aes.clone(), AwsKmsDsse, Some(KEY), mine("aws:kms:dsse")),
        (with_bucket_key(aes), AwsKmsDsse, None, dsse.clone()),
        // Stronger is fine, and another key of ours too.
        (kms.clone(), Aes256, Some(KEY), kms.clone()),
        (kms.clone(), AwsKms, None, kms.clone()),
        (kms.clone(), AwsKms, Some(KEY), kms.clone()),
        (dsse.clone(), AwsKms, Some(KEY), dsse.clone()),
        (rule("aws:kms", Some(OTHER)), AwsKms, Some(KEY), rule("aws:kms", Some(OTHER))),
        (rule("aws:kms", Some(OTHER)), AwsKms, None, rule("aws:kms", Some(OTHER))),
        (rule("aws:kms", Some("alias/phi")), AwsKms, Some(KEY), rule("aws:kms", Some("alias/phi"))),
        (rule("aws:kms", Some(THEIRS)), AwsKms, Some(KEY), rule("aws:kms", Some(THEIRS))),
        // DSSE instead of KMS keeps the key; and it has no bucket keys.
        (with_bucket_key(rule("aws:kms", Some(OTHER))), AwsKmsDsse, Some(KEY), rule("aws:kms:dsse", Some(OTHER))),
        (with_bucket_key(kms), AwsKmsDsse, Some(KEY), dsse),
        // What other services chose is left alone.
        (rule("aws:fsx", None), AwsKmsDsse, Some(KEY), rule("aws:fsx", None)),
        (rule("aws:backup", None), AwsKms, None, rule("aws:backup", None)),
        // A rule that sets no default.
        (Rule::default(), Aes256, Some(KEY), rule("AES256", None)),
        (Rule::default(), AwsKms, None, with_bucket_key(rule("aws:kms", None))),
    ];
    for (before, algorithm, key, after) in table {
        let wanted = Wanted { algorithm, key: key.map(|key| KeyArn::parse(key).unwrap()), ..wanted() };
        let state = state(vec![before.clone()], wanted);
        assert_eq!(WeakEncryption::desired(&state).rules, [after], "{before:?} for {algorithm:?} with {key:?}");
        assert_eq!(stuck(&state), None, "{before:?}");
        laws::check::<WeakEncryption>(&state);
    }
}

#[test]
fn a_key_by_its_alias_is_named_whole_when_the_rule_is_written_anew() {
    let layered = Wanted { algorithm: Algorithm::AwsKmsDsse, ..wanted() };
    let mut state = state(vec![rule("aws:kms", Some("alias/phi"))], layered);
    assert_eq!((WeakEncryption::desired(&state), stuck(&state)), (state.clone(), Some("key-unusable")));
    state.keys = vec![look("alias/phi", Seen::Denied)];
    let says = WeakEncryption::hindrance(&state).unwrap().says;
    assert!(says.contains("kms:DescribeKey"), "what is missing is named: {says}");
    state.keys = vec![look("alias/phi", Seen::Key(sound()))];
    assert_eq!(WeakEncryption::desired(&state).rules, [rule("aws:kms:dsse", Some(KEY))]);
    assert!(WeakEncryption::notes(&state).iter().any(|note| note.contains("the account of whoever writes")));
    // Whoever uses the bucket has that key already: what another key would break does not count.
    state.surroundings.as_mut().unwrap().outsiders.add("arn:aws:iam::444455556666:root");
    assert_eq!(WeakEncryption::risks(&state, &WeakEncryption::desired(&state)), []);
}

#[test]
fn everything_else_in_a_rule_is_kept() {
    for blocked in
        [None, Some(vec![]), Some(vec!["SSE-C".to_owned()]), Some(vec!["NONE".to_owned(), "SSE-X".to_owned()])]
    {
        let before = Rule { blocked: blocked.clone(), ..rule("AES256", None) };
        let state = state(vec![before.clone()], own_key());
        let after = WeakEncryption::desired(&state);
        assert_eq!(after.rules[0].blocked, blocked);
        let changes = WeakEncryption::changes(&state, &after);
        let put = Change::PutBucketEncryption { instead_of: vec![before.clone()], rules: after.rules.clone() };
        assert_eq!(changes, [put]);
        let back = Change::PutBucketEncryption { instead_of: after.rules.clone(), rules: vec![before] };
        assert_eq!(WeakEncryption::changes(&after, &WeakEncryption::restored(&state)), [back]);
    }
}

#[test]
fn several_rules_are_judged_each_by_itself() {
    let rules = vec![rule("aws:kms", Some(OTHER)), rule("AES256", None), Rule::default()];
    let fixed = WeakEncryption::desired(&state(rules, own_key())).rules;
    let mine = with_bucket_key(rule("aws:kms", Some(KEY)));
    assert_eq!(fixed, [rule("aws:kms", Some(OTHER)), mine.clone(), mine]);
    // One that is stuck holds back the others: they are written together.
    let rules = vec![rule("aws:new", None), rule("AES256", None)];
    let held = state(rules.clone(), own_key());
    assert_eq!((WeakEncryption::desired(&held).rules, stuck(&held)), (rules, Some("not-understood")));
}

#[test]
fn only_where_nothing_was_configured_an_undo_deletes() {
    let none = state(vec![], wanted());
    let fixed = WeakEncryption::desired(&none);
    assert_eq!(fixed.rules, [with_bucket_key(rule("aws:kms", None))]);
    let back = WeakEncryption::changes(&fixed, &WeakEncryption::restored(&none));
    assert_eq!(back, [Change::DeleteBucketEncryption { instead_of: fixed.rules }]);
}

#[test]
fn a_bucket_that_takes_logs_stays_on_sse_s3() {
    for algorithm in [Algorithm::AwsKms, Algorithm::AwsKmsDsse] {
        let mut logs = state(vec![rule("AES256", None)], Wanted { algorithm, ..own_key() });
        logs.surroundings.as_mut().unwrap().logs = names(&["load balancer access logs"]);
        assert_eq!(WeakEncryption::desired(&logs), logs);
        assert_eq!(stuck(&logs), None);
        let notes = WeakEncryption::notes(&logs);
        assert!(notes.len() == 1 && notes[0].contains("load balancer access logs"), "{notes:?}");
        logs.rules = vec![];
        assert_eq!(WeakEncryption::desired(&logs).rules, [rule("AES256", None)], "but on that it is");
        // One with KMS is left as it is, whatever is wrong with its key: to go back is to loosen.
        logs.rules = vec![rule("aws:kms", None)];
        logs.wanted.aws_managed_key = AwsManagedKey::Replace;
        assert_eq!(WeakEncryption::desired(&logs), logs);
        assert!(WeakEncryption::notes(&logs)[0].contains("may be lost"));
    }
}

#[test]
fn a_key_that_s3_could_not_use_is_never_written() {
    let bad = |change: fn(&mut Key)| {
        let mut key = sound();
        change(&mut key);
        Seen::Key(key)
    };
    for (seen, says) in [
        (bad(|key| key.state = "Disabled".into()), "Disabled"),
        (bad(|key| key.state = "PendingDeletion".into()), "PendingDeletion"),
        (bad(|key| key.state = "PendingImport".into()), "PendingImport"),
        (bad(|key| key.state = String::new()), "its state is"),
        (bad(|key| key.usage = "SIGN_VERIFY".into()), "SIGN_VERIFY"),
        (bad(|key| key.spec = "RSA_2048".into()), "RSA_2048"),
        (Seen::Missing, "no such key"),
        (Seen::Denied, "kms:DescribeKey"),
    ] {
        let mut state = state(vec![rule("AES256", None)], own_key());
        state.surroundings.as_mut().unwrap().key = Some(look(KEY, seen));
        assert_eq!(WeakEncryption::desired(&state), state);
        let hindrance = WeakEncryption::hindrance(&state).unwrap();
        assert!(hindrance.id == "key-unusable" && hindrance.says.contains(says), "{hindrance:?}");
        laws::check::<WeakEncryption>(&state);
    }
    let mut unread = state(vec![rule("AES256", None)], own_key());
    unread.surroundings.as_mut().unwrap().key = None;
    assert_eq!(stuck(&unread), Some("key-unusable"));
    for wanted in [own_key(), wanted()] {
        let unread = State { surroundings: None, ..state(vec![rule("AES256", None)], wanted) };
        assert_eq!((WeakEncryption::desired(&unread), stuck(&unread)), (unread.clone(), Some("unread")));
    }
}

#[test]
fn the_key_that_aws_manages_where_it_is_not_wanted() {
    let replace = AwsManagedKey::Replace;
    for key in [None, Some("alias/aws/s3"), Some("arn:aws:kms:us-west-2:111122223333:alias/aws/s3")] {
        let before = vec![rule("aws:kms", key)];
        let with = state(before.clone(), Wanted { aws_managed_key: replace, ..own_key() });
        assert_eq!(WeakEncryption::desired(&with).rules, [with_bucket_key(rule("aws:kms", Some(KEY)))], "{key:?}");
        // Never weaker for it: DSSE stays DSSE, and KMS stays where SSE-S3 is the target.
        let strong = state(vec![rule("aws:kms:dsse", key)], Wanted { aws_managed_key: replace, ..own_key() });
        assert_eq!(WeakEncryption::desired(&strong).rules, [rule("aws:kms:dsse", Some(KEY))]);
        let plain = Wanted { aws_managed_key: replace, algorithm: Algorithm::Aes256, ..own_key() };
        assert_eq!(WeakEncryption::desired(&state(before.clone(), plain)).rules, before);
        // With no key for the region there is nothing to put in its place.
        for before in [before, vec![rule("AES256", None)]] {
            let without = state(before.clone(), Wanted { aws_managed_key: replace, ..wanted() });
            assert_eq!((WeakEncryption::desired(&without).rules, stuck(&without)), (before, Some("no-key")));
        }
    }
}

#[test]
fn a_key_of_an_account_that_is_not_trusted() {
    let trusts = |accounts: &[&str], wanted: Wanted| {
        let key_accounts = accounts.iter().map(|account| AccountId::parse(account).unwrap()).collect();
        Wanted { key_accounts, ..wanted }
    };
    let theirs = vec![rule("aws:kms", Some(THEIRS))];
    let mine = vec![with_bucket_key(rule("aws:kms", Some(KEY)))];
    let named_loosely = vec![rule("aws:kms", Some("arn:aws:kms:us-west-2:444455556666:alias/ransom"))];
    for (rules, accounts, after) in [
        (&theirs, &[][..], &theirs),
        (&theirs, &["444455556666"][..], &theirs),
        (&theirs, &["555566667777"][..], &mine),
        (&named_loosely, &["555566667777"][..], &mine),
        (&named_loosely, &[][..], &named_loosely),
    ] {
        let state = state(rules.clone(), trusts(accounts, own_key()));
        assert_eq!(WeakEncryption::desired(&state).rules, *after, "{rules:?} {accounts:?}");
        let notes = WeakEncryption::notes(&state).join("; ");
        assert!(notes.contains("belongs to account 444455556666"), "{notes}");
        laws::check::<WeakEncryption>(&state);
    }
    // SSE-S3 in its place would be weaker: a person decides.
    let plain = Wanted { algorithm: Algorithm::Aes256, ..trusts(&["555566667777"], wanted()) };
    let plain = state(theirs.clone(), plain);
    assert_eq!((WeakEncryption::desired(&plain).rules, stuck(&plain)), (theirs, Some("foreign-key")));
    // Nor is such a key written, whoever set it.
    let foreign = Wanted { key: Some(KeyArn::parse(THEIRS).unwrap()), ..trusts(&["555566667777"], wanted()) };
    let foreign = state(vec![rule("AES256", None)], foreign);
    assert_eq!(stuck(&foreign), Some("key-unusable"));
}

#[test]
fn keys_that_the_config_rule_accepts() {
    let arn = |key: &str| KeyArn::parse(key).unwrap();
    let mine = || vec![with_bucket_key(rule("aws:kms", Some(KEY)))];
    let other = || vec![rule("aws:kms", Some(OTHER))];
    let managed = || vec![rule("aws:kms", None)];
    let hinders = Some("config-rule-keys");
    for (rules, listed, key, after, stands) in [
        (other(), vec![], Some(KEY), other(), None),
        (other(), vec![OTHER], Some(KEY), other(), None),
        (other(), vec![KEY], Some(KEY), mine(), None),
        (managed(), vec![KEY], Some(KEY), mine(), None),
        (managed(), vec![], Some(KEY), managed(), None),
        (vec![rule("AES256", None)], vec![KEY], Some(KEY), mine(), None),
        // A key that only the event names is not written: an event can be forged.
        (other(), vec![KEY], None, other(), hinders),
        (managed(), vec![KEY], None, managed(), hinders),
        (other(), vec![THEIRS], Some(KEY), other(), hinders),
        // SSE-S3 is brought up to what the setting has all the same.
        (vec![rule("AES256", None)], vec![OTHER], Some(KEY), mine(), hinders),
        (
            vec![rule("aws:kms", Some("alias/phi"))],
            vec![KEY],
            Some(KEY),
            vec![rule("aws:kms", Some("alias/phi"))],
            hinders,
        ),
    ] {
        let rule_keys = listed.iter().map(|key| arn(key)).collect();
        let wanted = Wanted { key: key.map(arn), rule_keys, ..wanted() };
        let mut state = state(rules.clone(), wanted);
        assert_eq!((WeakEncryption::desired(&state).rules, stuck(&state)), (after, stands), "{rules:?} {listed:?}");
        laws::check::<WeakEncryption>(&state);
        state.keys = vec![look("alias/phi", Seen::Key(sound()))];
        assert!(rules[0].key.as_deref() != Some("alias/phi") || stuck(&state).is_none(), "an alias of a listed key");
        let unlisted = Key { arn: Some(arn(OTHER)), ..sound() };
        state.keys = vec![look("alias/phi", Seen::Key(unlisted))];
        // An alias of a key that is not listed is judged as that key: a better one takes its place.
        let replaced = WeakEncryption::desired(&state).rules == mine() && stuck(&state).is_none();
        assert!(rules[0].key.as_deref() != Some("alias/phi") || replaced, "an alias of another key");
        laws::check::<WeakEncryption>(&state);
    }
}

#[test]
fn a_bucket_key_that_cannot_be_used_is_reported_and_kept() {
    for (seen, broken) in [
        (Seen::Key(Key { state: "PendingDeletion".into(), ..sound() }), true),
        (Seen::Key(Key { state: "Disabled".into(), ..sound() }), true),
        (Seen::Missing, true),
        (Seen::Key(sound()), false),
        // Unknown is not broken.
        (Seen::Denied, false),
    ] {
        let keys = vec![look(OTHER, seen.clone())];
        let state = State { keys, surroundings: None, ..state(vec![rule("aws:kms", Some(OTHER))], own_key()) };
        assert_eq!(WeakEncryption::desired(&state), state);
        assert_eq!(stuck(&state), broken.then_some("bucket-key-unusable"), "{seen:?}");
        let unknown = WeakEncryption::notes(&state).iter().any(|note| note.contains("is unknown"));
        assert_eq!(unknown, seen == Seen::Denied);
    }
}

#[test]
fn what_the_api_knows_and_we_do_not_is_never_lost() {
    let odd = State { unknown: vec!["BucketPepper".into()], ..state(vec![rule("AES256", None)], own_key()) };
    assert_eq!((WeakEncryption::desired(&odd), stuck(&odd)), (odd.clone(), Some("not-understood")));
    assert!(WeakEncryption::hindrance(&odd).unwrap().says.contains("BucketPepper"));
    let fine = State { rules: vec![rule("aws:kms", Some(KEY))], ..odd };
    assert_eq!(stuck(&fine), None, "with nothing to write, nothing is lost");
}

fn refusing(from: &State) -> Vec<(&'static str, bool)> {
    let risks = WeakEncryption::risks(from, &WeakEncryption::desired(from));
    risks.into_iter().map(|risk| (risk.id, risk.refuses)).collect()
}

#[test]
fn whom_a_fix_would_cut_off_is_said() {
    let around = Surroundings {
        key: Some(look(KEY, Seen::Key(sound()))),
        services: names(&["cloudtrail.amazonaws.com"]),
        outsiders: names(&["arn:aws:iam::444455556666:root"]),
        unclear: names(&["a canonical user"]),
        replication_skips_kms: true,
        ..Surroundings::default()
    };
    let with = |rules: Vec<Rule>, wanted| State { surroundings: Some(around.clone()), ..state(rules, wanted) };
    let aes = || vec![rule("AES256", None)];
    let cut = [("services", true), ("other-accounts", true), ("replication", true), ("unclear", false)];
    assert_eq!(refusing(&with(aes(), own_key())), [&cut[..], &[("own-roles", false)]].concat());
    assert_eq!(refusing(&with(aes(), wanted())), [&cut[..], &[("aws-managed-key", false)]].concat());
    // A new key for a bucket with KMS: what replication does with KMS objects, it did before.
    let replaced = with(vec![rule("aws:kms", None)], Wanted { aws_managed_key: AwsManagedKey::Replace, ..own_key() });
    let ids: Vec<_> = refusing(&replaced).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["services", "other-accounts", "unclear", "own-roles"]);
    // The same key, in two layers.
    let layered = Wanted { algorithm: Algorithm::AwsKmsDsse, ..own_key() };
    assert_eq!(refusing(&with(vec![rule("aws:kms", Some(OTHER))], layered)), []);
    let calm = Surroundings { key: around.key.clone(), ..Surroundings::default() };
    let calm = State { surroundings: Some(calm), ..state(aes(), own_key()) };
    assert_eq!(refusing(&calm), [("own-roles", false)]);
    let plain = Wanted { algorithm: Algorithm::Aes256, ..own_key() };
    assert_eq!(refusing(&with(vec![], plain)), [], "SSE-S3 cuts nobody off");
}

#[test]
fn existing_objects_are_spoken_of_when_something_is_written() {
    let says = |state: &State| WeakEncryption::notes(state).iter().any(|note| note.contains("Batch Operations"));
    assert!(says(&state(vec![rule("AES256", None)], own_key())));
    assert!(!says(&state(vec![rule("aws:kms", None)], own_key())));
}

#[test]
fn parameters_from_json() {
    let read = |text: &str| serde_json::from_str::<Parameters>(text);
    assert_eq!(read("{}").unwrap(), Parameters::default());
    let text = format!(
        r#"{{"algorithm":"aws:kms:dsse","keys":"us-west-2={KEY}","aws_managed_key":"replace","key_accounts":"444455556666"}}"#
    );
    let all = read(&text).unwrap();
    assert_eq!((all.algorithm, all.aws_managed_key), (Algorithm::AwsKmsDsse, AwsManagedKey::Replace));
    assert_eq!(all.keys.of(&Region::parse("us-west-2").unwrap()).unwrap().as_str(), KEY);
    for (bad, says) in [
        (r#"{"keys":"us-west-2=alias/phi"}"#, "is not the ARN of a KMS key"),
        (r#"{"algorithm":"DES"}"#, "unknown variant"),
        (r#"{"key":"x"}"#, "unknown field"),
        (r#"{"key_accounts":"me"}"#, "not twelve digits"),
    ] {
        let error = read(bad).unwrap_err().to_string();
        assert!(error.contains(says), "{bad}: {error}");
    }
}

#[test]
fn settings_are_the_parameters() {
    let settings = WeakEncryption::ABOUT.settings;
    let defaults: serde_json::Map<String, serde_json::Value> =
        settings.iter().map(|setting| (setting.field.to_owned(), setting.default.into())).collect();
    assert_eq!(serde_json::from_value::<Parameters>(defaults.into()).unwrap(), Parameters::default());
    assert_eq!(settings.len(), 4);
}

#[test]
fn the_record_of_the_example_is_one_of_this_control() {
    let request = include_str!("../../../events/s3-weak-encryption/manual-undo.json");
    let record = serde_json::from_str::<serde_json::Value>(request).unwrap()["record"].take();
    let [before, after] = ["before", "after"].map(|at| serde_json::from_value::<State>(record[at].clone()).unwrap());
    let is = |at: &str, changes: &[Change]| assert_eq!(record[at], serde_json::to_value(changes).unwrap(), "{at}");
    is("changes", &WeakEncryption::changes(&before, &WeakEncryption::desired(&before)));
    is("undo", &WeakEncryption::changes(&after, &WeakEncryption::restored(&before)));
    let breaks = WeakEncryption::risks(&before, &WeakEncryption::desired(&before));
    assert_eq!(record["breaks"], serde_json::to_value(breaks).unwrap());
    assert_eq!(record["citations"], serde_json::to_value(WeakEncryption::ABOUT.citations).unwrap());
}

#[test]
fn what_announces_drift() {
    let call = |name: &str, parameters| ApiCall {
        event_source: "s3.amazonaws.com".to_owned(),
        event_name: name.to_owned(),
        parameters,
        response: serde_json::Value::Null,
    };
    let put = |algorithm: &str| {
        let rule = serde_json::json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}});
        [rule.clone(), serde_json::json!([rule])].map(|rule| {
            let parameters = serde_json::json!({"ServerSideEncryptionConfiguration": {"Rule": rule}});
            WeakEncryption::announces_drift(&call("PutBucketEncryption", parameters))
        })
    };
    assert_eq!(put("AES256"), [true, true]);
    assert_eq!(put("aws:kms"), [false, false]);
    let none = serde_json::Value::Null;
    assert!(WeakEncryption::announces_drift(&call("DeleteBucketEncryption", none.clone())));
    for name in ["CreateBucket", "PutBucketEncryption", "PutBucketPolicy"] {
        assert!(!WeakEncryption::announces_drift(&call(name, none.clone())), "{name}");
    }
}

#[path = "properties.rs"]
mod properties;
