//! What holds of every state, on generated ones.

use super::*;
use proptest::prelude::*;

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let algorithm = prop::sample::select(vec![
        None,
        Some("AES256"),
        Some("aws:kms"),
        Some("aws:kms:dsse"),
        Some("aws:fsx"),
        Some("aws:backup"),
        Some("no value was set"),
    ]);
    let key =
        prop::sample::select(vec![None, Some(KEY), Some(OTHER), Some(THEIRS), Some("alias/aws/s3"), Some("alias/x")]);
    let blocked = prop::option::of(prop::collection::vec(prop::sample::select(vec!["SSE-C", "NONE"]), 0..3));
    let rule = (algorithm, key, any::<bool>(), blocked).prop_map(|(algorithm, key, bucket_key, blocked)| Rule {
        algorithm: algorithm.map(str::to_owned),
        key: key.map(str::to_owned),
        bucket_key,
        blocked: blocked.map(|names| names.into_iter().map(str::to_owned).collect()),
    });
    prop::collection::vec(rule, 0..3)
}

fn seen() -> impl Strategy<Value = Seen> {
    let words = |of: &'static [&'static str]| prop::sample::select(of).prop_map(str::to_owned);
    let key = (
        words(&["Enabled", "Disabled"]),
        words(&["ENCRYPT_DECRYPT", "SIGN_VERIFY"]),
        words(&["SYMMETRIC_DEFAULT", "RSA_2048"]),
        any::<bool>(),
        any::<bool>(),
    );
    let key = key.prop_map(|(state, usage, spec, aws_managed, multi_region)| {
        Seen::Key(Key { arn: None, state, usage, spec, aws_managed, multi_region })
    });
    prop_oneof![4 => Just(Seen::Key(sound())), 2 => key, 1 => Just(Seen::Missing), 1 => Just(Seen::Denied)]
}

fn states() -> impl Strategy<Value = State> {
    let wanted = (
        prop::sample::select(vec![Algorithm::Aes256, Algorithm::AwsKms, Algorithm::AwsKmsDsse]),
        prop::sample::select(vec![None, Some(KEY), Some(THEIRS)]),
        any::<bool>(),
        prop::sample::select(vec![&[][..], &["444455556666"], &["555566667777"]]),
        prop::sample::select(vec![&[][..], &[], &[KEY], &[OTHER, THEIRS]]),
    );
    let wanted = wanted.prop_map(|(algorithm, key, replace, accounts, listed)| Wanted {
        rule_keys: listed.iter().map(|key| KeyArn::parse(key).unwrap()).collect(),
        algorithm,
        key: key.map(|key| KeyArn::parse(key).unwrap()),
        aws_managed_key: if replace { AwsManagedKey::Replace } else { AwsManagedKey::Accept },
        key_accounts: accounts.iter().map(|account| AccountId::parse(account).unwrap()).collect(),
        ..super::wanted()
    });
    let around = (any::<bool>(), prop::option::of(seen()), any::<bool>(), any::<bool>());
    let around = around.prop_map(|(logs, key, outsiders, replication_skips_kms)| Surroundings {
        logs: names(if logs { &["logs"] } else { &[] }),
        key: key.map(|seen| look(KEY, seen)),
        outsiders: names(if outsiders { &["444455556666"] } else { &[] }),
        replication_skips_kms,
        ..Surroundings::default()
    });
    let keys = prop::collection::vec((prop::sample::select(vec![KEY, OTHER, THEIRS, "alias/x"]), seen()), 0..3);
    let unknown = prop_oneof![9 => Just(vec![]), 1 => Just(vec!["BucketPepper".to_owned()])];
    (rules(), unknown, keys, wanted, prop::option::weighted(0.9, around)).prop_map(
        |(rules, unknown, keys, wanted, surroundings)| State {
            rules,
            unknown,
            keys: keys.into_iter().map(|(key, seen)| look(key, seen)).collect(),
            wanted,
            surroundings,
        },
    )
}

fn strength(rule: &Rule) -> usize {
    let order = [None, Some("AES256"), Some("aws:kms"), Some("aws:kms:dsse")];
    order.iter().position(|name| *name == rule.algorithm.as_deref()).unwrap_or(9)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold(state in states()) {
        laws::check::<WeakEncryption>(&state);
    }

    #[test]
    fn a_fix_never_loosens_and_writes_no_key_unseen(state in states()) {
        let fixed = WeakEncryption::desired(&state);
        for (n, after) in fixed.rules.iter().enumerate() {
            let before = state.rules.get(n).cloned().unwrap_or_default();
            prop_assert!(strength(after) >= strength(&before), "{before:?} {after:?}");
            prop_assert_eq!(&after.blocked, &before.blocked);
            if after.key != before.key && let Some(key) = &after.key {
                let look = state.surroundings.as_ref().and_then(|around| around.key.as_ref());
                let wanted = state.wanted.key.as_ref().is_some_and(|wanted| wanted.as_str() == key);
                let resolved = state.keys.iter().any(|look| Some(&look.key) == before.key.as_ref() && look.arn().is_some());
                prop_assert!(resolved || (wanted && look.is_some_and(|look| look.trouble().is_none())));
            }
            if *after != before {
                prop_assert!(after.key.as_ref().is_none_or(|key| KeyArn::parse(key).is_ok()), "{after:?}");
            }
        }
        // Whatever was found is fixed, fine, or stuck for a reason that is said.
        if !fixed.is_fine() {
            prop_assert!(WeakEncryption::hindrance(&state).is_some());
        }
    }
}
