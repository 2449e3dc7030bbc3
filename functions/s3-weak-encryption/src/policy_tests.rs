use super::*;
use serde_json::json;

const KEY_FOR_ALL: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}"#;

fn account() -> AccountId {
    AccountId::parse("111122223333").unwrap()
}

fn statement(principal: impl Into<Value>, action: &Value) -> Value {
    json!({"Effect": "Allow", "Principal": principal.into(), "Action": action, "Resource": "arn:aws:s3:::clinic-scans/*"})
}

fn reading(statements: impl Into<Value>, key: KeyPolicy<'_>) -> Reading {
    let policy = json!({"Version": "2012-10-17", "Statement": statements.into()}).to_string();
    read(Some(&policy), false, key, &account())
}

#[test]
fn who_delivers_logs_that_need_sse_s3() {
    let put = json!("s3:PutObject");
    for (principal, logs) in [
        (json!({"Service": "logging.s3.amazonaws.com"}), Some(ACCESS_LOGS)),
        (json!({"Service": ["cloudtrail.amazonaws.com", "logging.s3.amazonaws.com"]}), Some(ACCESS_LOGS)),
        (json!({"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}), Some(ELB_LOGS)),
        (json!({"Service": "logdelivery.elb.amazonaws.com"}), Some(ELB_LOGS)),
        (json!({"AWS": "arn:aws:iam::127311923021:root"}), Some(ELB_LOGS)),
        (json!({"AWS": "127311923021"}), Some(ELB_LOGS)),
        (json!({"AWS": ["arn:aws-us-gov:iam::048591011584:root"]}), Some(ELB_LOGS)),
        (json!({"AWS": "arn:aws-cn:iam::638102146993:root"}), Some(ELB_LOGS)),
        (json!({"Service": "redshift.amazonaws.com"}), Some(REDSHIFT_LOGS)),
        (json!({"Service": "redshift.ap-east-1.amazonaws.com"}), Some(REDSHIFT_LOGS)),
        (json!({"AWS": "arn:aws:iam::193672423079:user/logs"}), Some(REDSHIFT_LOGS)),
        // These can deliver to a bucket with KMS, if the key's policy lets them in.
        (json!({"Service": "delivery.logs.amazonaws.com"}), None),
        (json!({"Service": "cloudtrail.amazonaws.com"}), None),
        (json!({"Service": "config.amazonaws.com"}), None),
        (json!({"AWS": "arn:aws:iam::444455556666:root"}), None),
    ] {
        let found = reading(json!([statement(principal.clone(), &put)]), KeyPolicy::Text(KEY_FOR_ALL)).logs;
        assert_eq!(found.first.first().map(String::as_str), logs, "{principal}");
    }
    assert_eq!(read(None, true, KeyPolicy::AwsManaged, &account()).logs.first, [ACCESS_LOGS]);
    assert_eq!(read(None, false, KeyPolicy::AwsManaged, &account()), Reading::default());
}

#[test]
fn a_prefix_for_load_balancers_tells_too_unless_only_the_log_service_writes_there() {
    let at = |principal: Value, resource: Value| {
        let statement =
            json!({"Effect": "Allow", "Principal": principal, "Action": "s3:PutObject", "Resource": resource});
        reading(statement, KeyPolicy::Text(KEY_FOR_ALL)).logs
    };
    let own = json!({"AWS": "arn:aws:iam::111122223333:role/ship"});
    let elb = json!(["arn:aws:s3:::b/web/AWSLogs/111122223333/elasticloadbalancing/*"]);
    assert_eq!(at(own.clone(), elb.clone()).first, [ELB_LOGS]);
    assert!(at(own, json!("arn:aws:s3:::b/AWSLogs/111122223333/CloudTrail/*")).is_empty());
    // Network load balancers deliver to buckets with KMS.
    assert!(at(json!({"Service": "delivery.logs.amazonaws.com"}), elb).is_empty());
}

#[test]
fn a_deny_lets_nobody_in() {
    let deny = json!([{"Effect": "Deny", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "*"}]);
    assert_eq!(reading(deny, KeyPolicy::AwsManaged), Reading::default());
}

#[test]
fn nobody_from_outside_gets_in_to_the_key_that_aws_manages() {
    let get = json!(["s3:GetObject"]);
    let found = reading(
        json!([
            statement(json!({"AWS": ["arn:aws:iam::444455556666:role/partner", "444455556666"]}), &get),
            statement(json!({"Service": "cloudtrail.amazonaws.com"}), &json!("s3:Put*")),
            statement(json!("*"), &get),
            statement(json!({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}), &get),
            statement(json!({"AWS": "arn:aws:iam::111122223333:role/own"}), &get),
            statement(json!({"AWS": "AROAEXAMPLEEXAMPLE000"}), &get),
            // Neither reads nor writes objects.
            statement(json!({"Service": "config.amazonaws.com"}), &json!(["s3:GetBucketAcl", "s3:ListBucket"])),
        ]),
        KeyPolicy::AwsManaged,
    );
    assert_eq!(found.services.first, ["cloudtrail.amazonaws.com"]);
    let cut = [
        "444455556666",
        "arn:aws:iam::444455556666:role/partner",
        "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1",
        "everybody",
    ];
    assert_eq!(found.outsiders.first, cut);
    assert!(found.unclear.is_empty() && found.logs.is_empty(), "{found:?}");
}

#[test]
fn whom_a_key_policy_lets_in() {
    let key = |principal: Value, action: Value| {
        json!({"Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*"},
            {"Effect": "Allow", "Principal": principal, "Action": action},
        ]})
    };
    let both = json!(["kms:Decrypt", "kms:GenerateDataKey*"]);
    let partner = json!({"AWS": "arn:aws:iam::444455556666:role/partner"});
    let service = json!({"Service": "delivery.logs.amazonaws.com"});
    // Who uses the bucket, and how; the key's policy; no, perhaps or yes.
    let (no, perhaps, yes) = (Answer::No, Answer::Unclear, Answer::Yes);
    for (who, action, key, answer) in [
        (&partner, "s3:GetObject", key(partner.clone(), json!("kms:Decrypt")), yes),
        (&partner, "s3:*", key(partner.clone(), both.clone()), yes),
        (&partner, "s3:*", key(partner.clone(), json!("kms:Decrypt")), no),
        (&partner, "s3:PutObject", key(partner.clone(), json!("kms:Decrypt")), no),
        (&partner, "s3:GetObject", key(json!({"AWS": "444455556666"}), json!("kms:*")), yes),
        (&partner, "s3:GetObject", key(json!({"AWS": "arn:aws:iam::444455556666:root"}), json!("KMS:decrypt")), yes),
        (
            &partner,
            "s3:GetObject",
            key(json!({"AWS": "arn:aws:iam::444455556666:role/other"}), json!("kms:*")),
            perhaps,
        ),
        (&partner, "s3:GetObject", key(json!({"AWS": "arn:aws:iam::555566667777:root"}), json!("kms:*")), no),
        (&partner, "s3:GetObject", key(json!("*"), json!("kms:*")), yes),
        (&partner, "s3:GetObject", key(partner.clone(), json!("kms:DescribeKey")), no),
        (&service, "s3:PutObject", key(service.clone(), both.clone()), yes),
        (&service, "s3:PutObject", key(partner.clone(), both.clone()), no),
        (&service, "s3:PutObject", key(json!("*"), both.clone()), perhaps),
    ] {
        let key = key.to_string();
        let found = reading(json!([statement(who.clone(), &json!(action))]), KeyPolicy::Text(&key));
        let seen = match (found.services.count + found.outsiders.count, found.unclear.count) {
            (1, 0) => no,
            (0, 1) => perhaps,
            (0, 0) => yes,
            _ => panic!("{found:?}"),
        };
        assert!(seen == answer, "{who} {action} {key}: {found:?}");
    }
    let conditional = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*",
        "Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-example"}}}]}"#;
    let found = reading(json!([statement(partner, &json!("s3:GetObject"))]), KeyPolicy::Text(conditional));
    assert_eq!((found.outsiders.count, found.unclear.count), (0, 1), "conditions are not weighed: {found:?}");
}

#[test]
fn what_cannot_be_told_is_said() {
    let get = json!("s3:GetObject");
    let statements = json!([
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        statement(json!({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}), &get),
        statement(json!({"Federated": "cognito-identity.amazonaws.com"}), &get),
    ]);
    assert_eq!(reading(statements, KeyPolicy::Text(KEY_FOR_ALL)).unclear.count, 3);
    let partner = json!([statement(json!({"AWS": "444455556666"}), &get)]);
    for key in [KeyPolicy::Unread("the key's policy"), KeyPolicy::Text("{not json")] {
        let found = reading(partner.clone(), key);
        assert!(found.unclear.first[0].starts_with("the key's policy") && found.outsiders.is_empty(), "{found:?}");
    }
    assert_eq!(read(None, false, KeyPolicy::Unread("the key's policy"), &account()).unclear.count, 1);
    assert_eq!(read(Some("{"), false, KeyPolicy::AwsManaged, &account()).unclear.count, 1);
    assert_eq!(reading(partner, KeyPolicy::NoKey), Reading::default());
}

#[test]
fn odd_shapes_are_borne() {
    for policy in [
        "null",
        "[]",
        "{}",
        r#"{"Statement":[]}"#,
        r#"{"Statement":5}"#,
        r#"{"Statement":[5,null,"x",[]]}"#,
        r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":[5,null]},"Action":7}}"#,
        r#"{"Statement":{"Effect":["Allow"],"Principal":[],"NotAction":{}}}"#,
    ] {
        assert_eq!(read(Some(policy), false, KeyPolicy::AwsManaged, &account()), Reading::default(), "{policy}");
    }
    let odd = json!({"Service": "evil\n.amazonaws.com"});
    let found = reading(json!(statement(odd, &json!("*"))), KeyPolicy::AwsManaged);
    assert!(!found.services.to_string().contains('\n'), "{found:?}");
    // Whom NotPrincipal leaves in is everybody, near enough; what NotAction leaves in is nearly everything.
    let not = json!({"Effect": "Allow", "NotPrincipal": {"AWS": "444455556666"}, "NotAction": "s3:DeleteObject"});
    assert_eq!(reading(not, KeyPolicy::AwsManaged).outsiders.first, ["everybody"]);
}

#[test]
fn many_principals_stay_few_in_a_record() {
    let many: Vec<String> = (0..400).map(|n| format!("{:012}", 900_000_000_000_u64 + n)).collect();
    let found = reading(json!([statement(json!({"AWS": many}), &json!("s3:GetObject"))]), KeyPolicy::AwsManaged);
    assert_eq!((found.outsiders.count, found.outsiders.first.len()), (400, Names::KEPT));
}

#[test]
fn patterns() {
    for (pattern, text, fits) in [
        ("*", "s3:PutObject", true),
        ("s3:*", "s3:PutObject", true),
        ("S3:PUTOBJECT", "s3:PutObject", true),
        ("s3:Put*", "s3:PutObject", true),
        ("s3:*Object", "s3:PutObject", true),
        ("s3:P?tObject", "s3:PutObject", true),
        ("s3:PutObject?", "s3:PutObject", false),
        ("s3:Put", "s3:PutObject", false),
        ("s3:*Acl", "s3:PutObject", false),
        ("", "s3:PutObject", false),
        ("**a**b*", "xxaxxbxx", true),
        ("*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    ] {
        assert_eq!(like(pattern, text), fits, "{pattern} {text}");
    }
}
