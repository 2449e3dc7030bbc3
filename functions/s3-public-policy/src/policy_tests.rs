//! Policies as people write them, and what is to go of them.

use super::*;
use crate::statement::Verdict;
use proptest::prelude::*;
use serde_json::json;

/// The verdict on a statement that is given in short: what is left out is the same in all of them.
fn verdict(mut statement: Value) -> Verdict {
    for (key, value) in [("Effect", "Allow"), ("Action", "s3:GetObject"), ("Resource", "arn:aws:s3:::clinic-scans/*")] {
        if statement.get(key).is_none() && statement.get(format!("Not{key}")).is_none() {
            statement[key] = json!(value);
        }
    }
    judge(&statement)
}

/// The verdict on a statement for everybody under this condition, in a word.
fn under(condition: &Value) -> &'static str {
    word(&verdict(json!({"Principal": "*", "Condition": condition})))
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Denies => "denies",
        Verdict::Named { .. } => "named",
        Verdict::Tied => "tied",
        Verdict::Public { .. } => "public",
        Verdict::Unclear(_) => "unclear",
    }
}

#[test]
fn principals() {
    let us = "arn:aws:iam::111122223333:root";
    let oai = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE00000";
    let canonical = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
    for (principal, expected) in [
        (json!("*"), "public"),
        (json!({"AWS": "*"}), "public"),
        (json!({"AWS": ["*"]}), "public"),
        (json!({"AWS": ["*", "*"]}), "public"),
        (json!({"AWS": [us, "*"]}), "public"),
        (json!({"AWS": "*", "Service": "cloudtrail.amazonaws.com"}), "public"),
        (json!({"AWS": us}), "named"),
        (json!({"AWS": [us, "444455556666"]}), "named"),
        (json!({"AWS": "arn:aws-us-gov:iam::111122223333:role/etl"}), "named"),
        (json!({"AWS": "arn:aws-cn:iam::111122223333:user/path/to/alice"}), "named"),
        (json!({"AWS": "arn:aws:sts::111122223333:assumed-role/etl/session"}), "named"),
        (json!({"AWS": "arn:aws:sts::111122223333:federated-user/alice"}), "named"),
        // What is left of a role that was deleted.
        (json!({"AWS": "AROAEXAMPLEEXAMPLE000"}), "named"),
        // CloudFront: origin access identity in both spellings, origin access control.
        (json!({"AWS": oai}), "named"),
        (json!({"CanonicalUser": canonical}), "named"),
        (json!({"Service": "cloudfront.amazonaws.com"}), "named"),
        // Load balancers' accounts and services, and other writers of logs.
        (json!({"AWS": "arn:aws:iam::127311923021:root"}), "named"),
        (
            json!({"Service": ["logdelivery.elasticloadbalancing.amazonaws.com", "delivery.logs.amazonaws.com"]}),
            "named",
        ),
        (json!({"Service": "logging.s3.amazonaws.com", "AWS": us}), "named"),
        (json!({"Service": "config.amazonaws.com.cn"}), "named"),
        (json!({"Federated": "arn:aws:iam::111122223333:saml-provider/clinic"}), "named"),
        // Whoever has an account there; S3 has called that public, and its page does not say any more.
        (json!({"Federated": "graph.facebook.com"}), "unclear"),
        (json!({"Federated": "cognito-identity.amazonaws.com"}), "unclear"),
        (json!({"AWS": "*", "Federated": "graph.facebook.com"}), "unclear"),
        // No forms of AWS's.
        (json!({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity *"}), "unclear"),
        (json!({"AWS": "arn:aws:iam::*:root"}), "unclear"),
        (json!({"AWS": "arn:aws:iam::111122223333:role/*"}), "unclear"),
        (json!({"AWS": "arn:aws:iam::111122223333:role/${aws:username}"}), "unclear"),
        (json!({"AWS": "11112222333"}), "unclear"),
        (json!({"AWS": []}), "unclear"),
        (json!({"AWS": [us, 7]}), "unclear"),
        (json!({"AWS": null}), "unclear"),
        (json!({"aws": "*"}), "unclear"),
        (json!({"Service": "*"}), "unclear"),
        (json!({"CanonicalUser": "*"}), "unclear"),
        (json!({"Anything": "*"}), "unclear"),
        (json!(["*"]), "unclear"),
        (json!({}), "unclear"),
        (json!("alice"), "unclear"),
    ] {
        assert_eq!(word(&verdict(json!({"Principal": principal}))), expected, "{principal}");
    }
    assert_eq!(word(&verdict(json!({"NotPrincipal": {"AWS": us}}))), "public", "everybody but one");
    assert_eq!(word(&verdict(json!({}))), "unclear");
    assert_eq!(word(&verdict(json!({"Principal": "*", "NotPrincipal": {"AWS": us}}))), "unclear");
}

#[test]
fn conditions_that_tie() {
    for condition in [
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": ["o-a1b2c3d4e5", "o-f6g7h8i9j0"]}}),
        json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}),
        json!({"StringEquals": {"AWS:SourceAccount": 111_122_223_333_u64}}),
        json!({"stringequals": {"AWS:SOURCEVPC": "vpc-91237329"}}),
        json!({"StringEquals": {"aws:sourceVpce": "vpce-1a2b3c4d"}}),
        json!({"StringLike": {"aws:SourceVpce": ["vpce-1a2b3c4d", "vpce-2b3c4d5e"]}}),
        json!({"ArnEquals": {"aws:SourceArn": "arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/etl"}}),
        json!({"StringEqualsIgnoreCase": {"aws:PrincipalAccount": "111122223333"}}),
        json!({"StringEquals": {"aws:userid": "AIDAEXAMPLEEXAMPLE000"}}),
        json!({"StringEquals": {"s3:DataAccessPointAccount": "111122223333"}}),
        json!({"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-west-2:111122223333:accesspoint/*"}}),
        // A Multi-Region Access Point.
        json!({"ArnEquals": {"s3:DataAccessPointArn": "arn:aws:s3::111122223333:accesspoint/mfzwi23gnjvgw.mrap"}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        json!({"IpAddress": {"aws:SourceIp": ["198.51.100.7", "2001:db8::/32"]}}),
        json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        json!({"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"}}),
        // One that ties is enough, whatever stands beside it.
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5", "s3:prefix": ["", "home/"]}}),
        json!({"Bool": {"aws:SecureTransport": "true"}, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        json!({"Frobnicate": {"aws:x": "y"}, "StringEquals": {"aws:SourceAccount": "111122223333"}}),
        json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.9/32"}, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
    ] {
        assert_eq!(under(&condition), "tied", "{condition}");
    }
}

#[test]
fn conditions_that_anybody_can_meet() {
    let halves = json!({"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}});
    for condition in [
        json!({}),
        json!({"StringLike": {}}),
        json!({"StringLike": {"aws:Referer": ["https://clinic.example/*"]}}),
        json!({"StringEquals": {"aws:UserAgent": "secret-word"}}),
        json!({"Bool": {"aws:SecureTransport": "true"}}),
        json!({"Bool": {"aws:MultiFactorAuthPresent": true}}),
        json!({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}),
        json!({"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}),
        json!({"StringEquals": {"s3:ExistingObjectTag/public": "yes"}}),
        json!({"StringEquals": {"s3:prefix": "public/"}}),
        json!({"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}),
        json!({"NumericGreaterThan": {"s3:TlsVersion": 1.2}}),
        json!({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}),
        json!({"StringEquals": {"s3:ResourceAccount": "111122223333"}}),
        // Everybody but.
        json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        json!({"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/etl"}}),
        json!({"ArnNotEquals": {"aws:SourceArn": "arn:aws:s3:::clinic-scans"}}),
        // A request without the key passes.
        json!({"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1a2b3c4d"}}),
        json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
        json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/"}}),
        json!({"ForAllValues:StringEquals": {"aws:SourceAccount": "111122223333"}}),
        json!({"Null": {"aws:SourceVpce": "false"}}),
        json!({"Null": {"aws:PrincipalOrgID": "true"}}),
        // Wildcards, and nets that hold the internet.
        json!({"StringLike": {"aws:SourceVpc": "vpc-*"}}),
        json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
        json!({"StringLike": {"aws:PrincipalOrgID": ["o-a1b2c3d4e5", "*"]}}),
        json!({"StringLike": {"aws:SourceAccount": "11112222333?"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/etl"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}),
        json!({"StringLike": {"aws:userid": "*:alice"}}),
        json!({"StringLike": {"aws:userid": "AROA*"}}),
        json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
        json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "::/0"]}}),
        json!({"IpAddress": {"aws:SourceIp": "2000::/16"}}),
        json!({"IpAddressIfExists": {"aws:SourceIp": "203.0.113.0/24"}}),
        halves,
    ] {
        assert_eq!(under(&condition), "public", "{condition}");
    }
}

#[test]
fn conditions_that_cannot_be_told() {
    let sliced: Vec<String> = (0..17).map(|n| format!("{n}.0.0.0/8")).collect();
    for condition in [
        // Any account can give its users any tag.
        json!({"StringEquals": {"aws:PrincipalTag/team": "radiology"}}),
        json!({"Bool": {"aws:PrincipalIsAWSService": "true"}}),
        json!({"StringEquals": {"s3:AccessPointNetworkOrigin": "VPC"}}),
        json!({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/16"}}),
        json!({"StringEquals": {"accounts.google.com:aud": "client"}}),
        json!({"StringEquals": {"aws:SomethingNew": "x"}}),
        // Fixed in part: S3's own judgement decides.
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:111122223333:trail/*"}}),
        json!({"StringLike": {"aws:userid": "AROAEXAMPLEEXAMPLE000:*"}}),
        json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/r-ab12/*"}}),
        json!({"StringLike": {"s3:DataAccessPointArn": "arn:aws:s3:*:111122223333:accesspoint/*"}}),
        // Policy variables, on either side.
        json!({"StringEquals": {"aws:SourceAccount": "${aws:PrincipalAccount}"}}),
        json!({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}),
        // Odd or malformed.
        json!({"Frobnicate": {"aws:SourceAccount": "111122223333"}}),
        json!({"StringEquals": {"aws:SourceIp": "203.0.113.0/24"}}),
        json!({"IpAddress": {"aws:SourceVpc": "203.0.113.0/24"}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/33"}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113/24"}}),
        json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/+24"}}),
        json!({"IpAddress": {"aws:SourceIp": sliced}}),
        json!({"StringEquals": {"aws:SourceAccount": []}}),
        json!({"StringEquals": {"aws:SourceAccount": ""}}),
        json!({"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": []}}),
        json!({"StringEquals": {"aws:SourceAccount": null}}),
        json!({"StringEquals": {"aws:SourceAccount": {"x": "y"}}}),
        json!({"StringEquals": ["aws:SourceAccount"]}),
        json!(["StringEquals"]),
        json!("none"),
        json!(null),
        json!({"StringLike": {"aws:Referer": "a", "aws:referer": "b"}}),
    ] {
        assert_eq!(under(&condition), "unclear", "{condition}");
    }
}

#[test]
fn statements_that_are_malformed_or_deny() {
    for (statement, expected) in [
        // TLS only, as every guide has it; and one that is for everybody but an endpoint.
        (
            json!({"Effect": "Deny", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
            "denies",
        ),
        (json!({"Effect": "Deny", "NotPrincipal": {"AWS": "111122223333"}}), "denies"),
        (json!({"Effect": "Deny", "Principal": "*", "Frobnicate": 1}), "denies"),
        (json!({"Effect": "allow", "Principal": "*"}), "unclear"),
        (json!({"Effect": 1, "Principal": "*"}), "unclear"),
        (json!({"Principal": "*", "Frobnicate": 1}), "unclear"),
        (json!({"Principal": "*", "Action": []}), "unclear"),
        (json!({"Principal": "*", "Action": "s3:GetObject", "NotAction": "s3:PutObject"}), "unclear"),
        (json!({"Principal": "*", "Resource": 7}), "unclear"),
        (json!({"Principal": "*", "Resource": "arn:aws:s3:::clinic-scans/${aws:username}/*"}), "unclear"),
        // Actions that S3 does not have may come to be.
        (json!({"Principal": "*", "Action": "s3:NotASupportedAction"}), "public"),
        (json!({"Principal": "*", "NotAction": "s3:DeleteObject"}), "public"),
        (json!({"Principal": "*", "NotResource": "arn:aws:s3:::clinic-scans/private/*"}), "public"),
        (json!({"Principal": {"AWS": "444455556666"}, "Condition": {"Frobnicate": {}}}), "named"),
    ] {
        assert_eq!(word(&verdict(statement.clone())), expected, "{statement}");
    }
    assert_eq!(word(&judge(&json!("x"))), "unclear");
}

#[test]
fn what_lets_read() {
    for (statement, expected) in [
        (json!({"Action": "s3:GetObject"}), true),
        (json!({"Action": ["s3:PutObject", "S3:getobject"]}), true),
        (json!({"Action": "s3:Get*"}), true),
        (json!({"Action": "s3:*"}), true),
        (json!({"Action": "*"}), true),
        (json!({"Action": "s3:G?tObj*t"}), true),
        (json!({"Action": "s3:GetObject?"}), false),
        (json!({"Action": "s3:PutObject"}), false),
        (json!({"Action": ["s3:ListBucket", "s3:GetObjectAcl"]}), false),
        (json!({"NotAction": "s3:PutObject"}), true),
        (json!({"NotAction": "s3:Get*"}), false),
    ] {
        let mut statement = statement;
        statement["Principal"] = json!("*");
        let Verdict::Public { reads, .. } = verdict(statement.clone()) else { panic!("{statement}") };
        assert_eq!(reads, expected, "{statement}");
    }
}

/// Statements that are kept, spelled so that any rewriting would show.
const TLS: &str = r#"{ "Sid":"TLS" ,"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::b","arn:aws:s3:::b\/*"],
     "Condition" : {"Bool":{"aws:SecureTransport":"false"}}}"#;
const PARTNER: &str = r#"{"Sid":"P\u00e4rtner","Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#;
const PUBLIC: &str =
    r#"{"Sid":"Viewer","Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":"arn:aws:s3:::b/*"}"#;
const ODD: &str = r#"{"Sid":"Odd","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/a":"b"}}}"#;

fn policy(statements: &[&str]) -> String {
    format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {}\n  ]\n}}\n", statements.join(",\n    "))
}

#[test]
fn what_stays_is_byte_for_byte_what_was_there() {
    for (before, after) in [
        (vec![PUBLIC, TLS], Some(vec![TLS])),
        (vec![TLS, PUBLIC], Some(vec![TLS])),
        (vec![PUBLIC, TLS, PUBLIC, PUBLIC, PARTNER, PUBLIC], Some(vec![TLS, PARTNER])),
        (vec![PARTNER, PUBLIC, TLS], Some(vec![PARTNER, TLS])),
        (vec![PUBLIC, ODD], Some(vec![ODD])),
        (vec![TLS, PARTNER, ODD], Some(vec![TLS, PARTNER, ODD])),
        (vec![PUBLIC], None),
        (vec![PUBLIC, PUBLIC], None),
    ] {
        assert_eq!(Policy::read(&policy(&before)).rest, after.as_ref().map(|after| policy(after)), "{before:?}");
    }
}

#[test]
fn a_lone_statement_and_every_element_stay_in_their_place() {
    let lone = format!(r#"{{"Version":"2008-10-17","Id":"x","Statement":{PUBLIC}}}"#);
    assert_eq!(Policy::read(&lone).rest, None);
    let lone = format!(r#"{{"Statement": {TLS} ,"Id":"x"}}"#);
    assert_eq!(Policy::read(&lone).rest, Some(lone.clone()));
    let around = |statements: &str| {
        format!("\u{20}\t{{\"Id\":\"\\u0041\",\"Statement\":[{statements}],\"Version\":\"2008-10-17\"}}\n")
    };
    assert_eq!(Policy::read(&around(&format!("{PUBLIC} , {TLS}"))).rest, Some(around(TLS)));
}

#[test]
fn of_a_list_with_everybody_in_it_only_everybody_goes() {
    let statement = |principal: &str| {
        format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#)
    };
    for (before, after) in [
        (r#"{"AWS":["*","444455556666"]}"#, r#"{"AWS":["444455556666"]}"#),
        (r#"{"AWS":["444455556666" , "*"]}"#, r#"{"AWS":["444455556666"]}"#),
        (
            r#"{ "AWS" : [ "\u002a", "444455556666", "*", "111122223333" ] }"#,
            r#"{ "AWS" : [ "444455556666", "111122223333" ] }"#,
        ),
        (r#"{"AWS":"*","Service":"cloudtrail.amazonaws.com"}"#, r#"{"Service":"cloudtrail.amazonaws.com"}"#),
        (r#"{"Service":"cloudtrail.amazonaws.com" , "AWS":["*"]}"#, r#"{"Service":"cloudtrail.amazonaws.com"}"#),
        (
            r#"{"AWS":["*","444455556666"],"Service":"config.amazonaws.com"}"#,
            r#"{"AWS":["444455556666"],"Service":"config.amazonaws.com"}"#,
        ),
    ] {
        let read = Policy::read(&policy(&[TLS, &statement(before), PUBLIC]));
        assert_eq!(read.rest, Some(policy(&[TLS, &statement(after)])), "{before}");
        assert!(read.shares && read.public.iter().any(|open| open.names_others), "{before}");
        let read = Policy::read(&policy(&[PUBLIC, TLS, PUBLIC, &statement(before), PARTNER]));
        assert_eq!(read.rest, Some(policy(&[TLS, &statement(after), PARTNER])), "{before}, after others that go");
    }
    assert_eq!(Policy::read(&policy(&[&statement(r#"{"AWS":["*","*"]}"#)])).rest, None);
}

#[test]
fn what_is_no_policy_is_unclear_as_a_whole_and_stays() {
    for text in [
        "",
        "policy",
        "[]",
        "{}",
        "null",
        r#"{"Statement":[{"Effect":"Allow"}"#,
        r#"{"Version":"2025-01-01","Statement":[]}"#,
        r#"{"Version":7,"Statement":[]}"#,
        r#"{"Statement":[],"statement":[]}"#,
        // Two readers may take different ones of the two.
        r#"{"Statement":[{"Effect":"Allow","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Princip\u0061l":{"AWS":"111122223333"},"Action":"s3:*","Resource":"*"}]}"#,
    ] {
        let read = Policy::read(text);
        assert_eq!((read.public.len(), read.unclear.len()), (0, 1), "{text}");
        assert_eq!(read.rest.as_deref(), Some(text), "{text}");
    }
    let deep = format!(r#"{{"Statement":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(Policy::read(&deep).unclear.len(), 1);
}

#[test]
fn names_and_actions_are_short_and_harmless() {
    let sid = "x\n".repeat(2000);
    let actions: Vec<String> = (0..40).map(|n| format!("s3:Get{n}\u{7}")).collect();
    let statement = json!({"Sid": sid, "Effect": "Allow", "Principal": "*", "Action": actions, "Resource": "*"});
    let read = Policy::read(&json!({"Statement": [statement, {"Effect": sid}]}).to_string());
    let open = &read.public[0];
    for text in [&open.name, &open.allows, &read.unclear[0]] {
        assert!(text.len() < 600 && !text.contains(char::is_control), "{text}");
    }
    assert!(open.allows.ends_with("and 35 more"), "{}", open.allows);
}

#[test]
fn spelling_is_no_difference() {
    for (one, other) in [
        (r#"{"A":["x"]}"#, r#"{ "A": "x" }"#),
        (r#"{"A":["x","y"],"B":true}"#, r#"{"B":"true","A":["y","x"]}"#),
        (r#"{"Statement":[{"A":"\u0078"}]}"#, r#"{"Statement":{"A":["x"]}}"#),
    ] {
        assert!(same(one, other), "{one} {other}");
    }
    for (one, other) in [
        (r#"{"A":["x","y"]}"#, r#"{"A":"x"}"#),
        (r#"{"A":[{"x":1},{"y":2}]}"#, r#"{"A":[{"y":2},{"x":1}]}"#),
        ("no", "json"),
        ("{}", "no"),
    ] {
        assert!(!same(one, other), "{one} {other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever statements there are in whatever order: those that stay are the very ones, in order, and none lets
    /// everybody in.
    #[test]
    fn a_policy_without_what_is_public(kinds in proptest::collection::vec(0..4_usize, 1..12)) {
        let all = [TLS, PARTNER, PUBLIC, ODD];
        let statements: Vec<&str> = kinds.iter().map(|kind| all[*kind]).collect();
        let kept: Vec<&str> = statements.iter().copied().filter(|statement| *statement != PUBLIC).collect();
        let read = Policy::read(&policy(&statements));
        prop_assert_eq!(read.public.len(), statements.len() - kept.len());
        prop_assert_eq!(&read.rest, &(!kept.is_empty()).then(|| policy(&kept)));
        if let Some(rest) = read.rest {
            let again = Policy::read(&rest);
            prop_assert!(again.public.is_empty());
            prop_assert_eq!(again.unclear, read.unclear);
            prop_assert_eq!(again.rest, Some(rest));
        }
    }

    /// No text at all makes the reader fail, and nothing is cut from what it does not understand.
    #[test]
    fn any_text(text in "(.|[\\[\\]{}\",:*]){0,200}") {
        let read = Policy::read(&text);
        if read.public.is_empty() {
            prop_assert_eq!(read.rest, Some(text));
        }
    }
}
