//! Whole policies in the style of real projects, and what of each is to go.

use crate::policy::Policy;
use serde_json::{Value, json};

/// The policy's public statements, those that are not understood, and whether conditions alone hold the public off.
fn read(policy: &Value) -> (usize, usize, bool) {
    let read = Policy::read(&policy.to_string());
    (read.public.len(), read.unclear.len(), read.tied)
}

fn statements(statements: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

const CLOSED: (usize, usize, bool) = (0, 0, false);
const TIED: (usize, usize, bool) = (0, 0, true);
const PUBLIC: (usize, usize, bool) = (1, 0, false);
const UNCLEAR: (usize, usize, bool) = (0, 1, false);

fn tls_only() -> Value {
    json!({
        "Sid": "AllowSSLRequestsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::clinic-scans", "arn:aws:s3:::clinic-scans/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    })
}

fn allow(principal: &Value, action: &Value, condition: &Value) -> Value {
    let mut statement =
        json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "arn:aws:s3:::clinic-scans/*"});
    if !condition.is_null() {
        statement["Condition"] = condition.clone();
    }
    statement
}

fn check(table: &[(&str, Value, (usize, usize, bool))]) {
    for (what, policy, expected) in table {
        assert_eq!(read(policy), *expected, "{what}: {policy}");
    }
}

#[test]
fn services_that_deliver_and_read() {
    let put = json!("s3:PutObject");
    let full_control = json!({"s3:x-amz-acl": "bucket-owner-full-control"});
    check(&[
        (
            "CloudFront, origin access control",
            statements(&json!([allow(
                &json!({"Service": "cloudfront.amazonaws.com"}),
                &json!("s3:GetObject"),
                &json!({"StringEquals": {"AWS:SourceArn": "arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE"}}),
            )])),
            CLOSED,
        ),
        (
            "CloudFront, origin access identity, as the console wrote it",
            json!({"Version": "2008-10-17", "Id": "PolicyForCloudFrontPrivateContent", "Statement": [{
                "Sid": " 1", "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE00000"},
                "Action": "s3:GetObject", "Resource": "arn:aws:s3:::clinic-scans/*",
            }]}),
            CLOSED,
        ),
        (
            "load balancer logs, old and new regions",
            statements(&json!([
                allow(&json!({"AWS": "arn:aws:iam::127311923021:root"}), &put, &Value::Null),
                allow(&json!({"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}), &put, &Value::Null),
                allow(&json!({"Service": "delivery.logs.amazonaws.com"}), &put, &json!({"StringEquals": full_control}),),
            ])),
            CLOSED,
        ),
        (
            "CloudTrail and Config",
            statements(&json!([
                allow(
                    &json!({"Service": "cloudtrail.amazonaws.com"}),
                    &put,
                    &json!({"StringEquals": {
                        "s3:x-amz-acl": "bucket-owner-full-control",
                        "aws:SourceArn": "arn:aws:cloudtrail:us-east-1:111122223333:trail/main",
                    }}),
                ),
                allow(
                    &json!({"Service": "config.amazonaws.com"}),
                    &json!(["s3:GetBucketAcl", "s3:ListBucket"]),
                    &json!({"StringEquals": {"AWS:SourceAccount": "111122223333"}}),
                ),
            ])),
            CLOSED,
        ),
        (
            "server access logs, GovCloud",
            statements(&json!([{
                "Sid": "S3ServerAccessLogsPolicy", "Effect": "Allow", "Principal": {"Service": ["logging.s3.amazonaws.com"]},
                "Action": ["s3:PutObject"], "Resource": "arn:aws-us-gov:s3:::clinic-logs/*",
                "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws-us-gov:s3:::clinic-scans"},
                    "StringEquals": {"aws:SourceAccount": "111122223333"}},
            }])),
            CLOSED,
        ),
        (
            "logs that anybody may deliver, if only he says so",
            statements(&json!([allow(&json!("*"), &put, &json!({"StringEquals": full_control}))])),
            PUBLIC,
        ),
    ]);
}

#[test]
fn sharing_with_accounts_organizations_and_networks() {
    let get = json!("s3:GetObject");
    let everybody = json!({"AWS": "*"});
    let under = |condition: Value| statements(&json!([tls_only(), allow(&everybody, &get, &condition)]));
    check(&[
        (
            "cross-account, roles and accounts mixed",
            statements(&json!([
                tls_only(),
                allow(
                    &json!({"AWS": ["444455556666", "arn:aws:iam::111122223333:role/service-role/etl"]}),
                    &json!(["s3:Get*", "s3:List*"]),
                    &Value::Null,
                ),
            ])),
            CLOSED,
        ),
        ("the organization", under(json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})), TIED),
        (
            "an organizational unit",
            under(
                json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": ["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"]}}),
            ),
            UNCLEAR,
        ),
        (
            "the organization, but for Terraform's IfExists",
            under(json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})),
            PUBLIC,
        ),
        ("an endpoint", under(json!({"StringEquals": {"aws:sourceVpce": "vpce-1a2b3c4d"}})), TIED),
        (
            "an endpoint, the other way round: Allow all, Deny others; by itself open",
            statements(&json!([
                allow(&json!("*"), &get, &Value::Null),
                {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
                    "Condition": {"StringNotEquals": {"aws:sourceVpce": "vpce-1a2b3c4d"}}},
            ])),
            PUBLIC,
        ),
        ("the office", under(json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8:1234::/48"]}})), TIED),
        (
            "the office less one, as AWS's own example",
            under(
                json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "NotIpAddress": {"aws:SourceIp": "192.0.2.188/32"}}),
            ),
            TIED,
        ),
        ("everybody but the office", under(json!({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}})), PUBLIC),
        ("the world as a range", under(json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})), PUBLIC),
        (
            "access delegated to access points",
            statements(&json!([allow(
                &json!({"AWS": "*"}),
                &json!("*"),
                &json!({"StringEquals": {"s3:DataAccessPointAccount": "111122223333"}}),
            )])),
            TIED,
        ),
        (
            "all roles of an account",
            under(json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}})),
            UNCLEAR,
        ),
        ("a team's tag", under(json!({"StringEquals": {"aws:PrincipalTag/team": "radiology"}})), UNCLEAR),
    ]);
}

#[test]
fn open_on_purpose_or_by_mistake() {
    let get = json!(["s3:GetObject"]);
    let star = json!("*");
    let under = |condition: Value| statements(&json!([allow(&star, &get, &condition)]));
    check(&[
        (
            "a website, as the guide has it",
            statements(
                &json!([{"Sid": "PublicReadGetObject", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::clinic-scans/*"}]),
            ),
            PUBLIC,
        ),
        ("a lone statement", json!({"Statement": allow(&json!({"AWS": ["*"]}), &get, &Value::Null)}), PUBLIC),
        (
            "hotlinks, which anybody can forge",
            under(json!({"StringLike": {"aws:Referer": "https://clinic.example/*"}})),
            PUBLIC,
        ),
        ("a secret word in a header", under(json!({"StringEquals": {"aws:UserAgent": "s3cret"}})), PUBLIC),
        ("TLS as if it were a lock", under(json!({"Bool": {"aws:SecureTransport": true}})), PUBLIC),
        ("any signed-in caller", under(json!({"StringNotEquals": {"aws:PrincipalType": "Anonymous"}})), PUBLIC),
        ("a session by its name", under(json!({"StringLike": {"aws:userid": "*:deploy"}})), PUBLIC),
        ("a role by its id", under(json!({"StringLike": {"aws:userid": ["AROAEXAMPLEEXAMPLE000:*"]}})), UNCLEAR),
        (
            "homes by user name",
            statements(&json!([{"Effect": "Allow", "Principal": "*", "Action": "s3:*",
            "Resource": "arn:aws:s3:::clinic-scans/${aws:username}/*"}])),
            UNCLEAR,
        ),
        (
            "all but a few",
            statements(&json!([{"Effect": "Allow", "NotPrincipal": {"AWS": "444455556666"}, "Action": "s3:*",
                "Resource": "arn:aws:s3:::clinic-scans"}])),
            PUBLIC,
        ),
        (
            "partners and, by a slip, everybody",
            statements(&json!([allow(&json!({"AWS": ["arn:aws:iam::444455556666:root", "*"]}), &get, &Value::Null)])),
            PUBLIC,
        ),
        (
            "read for everybody, write for everybody",
            statements(&json!([
                allow(&star, &get, &Value::Null),
                allow(&star, &json!("s3:PutObject"), &Value::Null),
                tls_only()
            ])),
            (2, 0, false),
        ),
        (
            "facebook's users",
            statements(&json!([allow(&json!({"Federated": "graph.facebook.com"}), &get, &Value::Null)])),
            UNCLEAR,
        ),
    ]);
}

#[test]
fn denials_alone_are_never_public() {
    check(&[
        ("TLS only", statements(&json!([tls_only()])), CLOSED),
        (
            "the CDK's enforceSSL and auto-delete role",
            statements(&json!([
                tls_only(),
                {"Action": ["s3:PutBucketPolicy", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*"], "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::111122223333:role/Stack-CustomS3AutoDeleteObjects-1ABCDEFG"},
                    "Resource": ["arn:aws:s3:::clinic-scans", "arn:aws:s3:::clinic-scans/*"]},
            ])),
            CLOSED,
        ),
        (
            "encryption or nothing",
            statements(&json!([{"Sid": "DenyUnEncryptedObjectUploads", "Effect": "Deny", "Principal": {"AWS": "*"},
                "Action": "s3:PutObject", "Resource": "arn:aws:s3:::clinic-scans/*",
                "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}}])),
            CLOSED,
        ),
        (
            "nobody but one role",
            statements(&json!([{"Effect": "Deny", "NotPrincipal": {"AWS": ["arn:aws:iam::111122223333:role/admin"]},
                "Action": "s3:*", "Resource": "*"}])),
            CLOSED,
        ),
    ]);
}
