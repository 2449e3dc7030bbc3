use super::base;
use crate::samples::*;
use crate::{Act, Notice, read};
use serde_json::Value;
use serde_json::json;

fn sent(source: &str, name: &str, parameters: Value, response: Value) -> Notice {
    only(read(&call(source, name, parameters, response)))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_calls_touch() {
    let none = || json!(null);
    let group = "sg-0123456789abcdef0";
    let table = [
        ("s3", "PutBucketPolicy", json!({"bucketName": "clinic-scans"}), none(), "AWS::S3::Bucket clinic-scans"),
        // Some producers make lists of everything.
        ("s3", "PutBucketAcl", json!({"bucketName": ["clinic-scans"]}), none(), "AWS::S3::Bucket clinic-scans"),
        ("s3", "CreateAccessPoint", json!({"name": "lab"}), none(), "AWS::S3::AccessPoint lab"),
        ("iam", "AttachRolePolicy", json!({"roleName": "platform"}), none(), "AWS::IAM::Role platform"),
        (
            "iam",
            "CreatePolicy",
            json!({"policyName": "p"}),
            json!({"policy": {"arn": "arn:aws:iam::111122223333:policy/p"}}),
            "AWS::IAM::Policy arn:aws:iam::111122223333:policy/p",
        ),
        (
            "ec2",
            "AuthorizeSecurityGroupIngress",
            json!({"groupId": group, "ipPermissions": {}}),
            none(),
            "AWS::EC2::SecurityGroup sg-0123456789abcdef0",
        ),
        // In a default VPC a name is enough; the rules that were made tell the id.
        (
            "ec2",
            "AuthorizeSecurityGroupIngress",
            json!({"groupName": "web"}),
            json!({"securityGroupRuleSet": {"items": [{"groupId": group}, {"groupId": group}]}}),
            "AWS::EC2::SecurityGroup sg-0123456789abcdef0",
        ),
        (
            "ec2",
            "ModifySecurityGroupRules",
            json!({"ModifySecurityGroupRulesRequest": {"GroupId": group}}),
            none(),
            "AWS::EC2::SecurityGroup sg-0123456789abcdef0",
        ),
        (
            "ec2",
            "CreateSecurityGroup",
            json!({"groupName": "web", "vpcId": "vpc-1"}),
            json!({"groupId": group}),
            "AWS::EC2::SecurityGroup sg-0123456789abcdef0",
        ),
        (
            "ec2",
            "CreateVpc",
            json!({"cidrBlock": "10.0.0.0/16"}),
            json!({"vpc": {"vpcId": "vpc-0a1b2c3d"}}),
            "AWS::EC2::VPC vpc-0a1b2c3d",
        ),
        (
            "ec2",
            "DeleteVpcEndpoints",
            json!({"DeleteVpcEndpointsRequest": {"VpcEndpointId": {"content": "vpce-1", "tag": 1}}}),
            none(),
            "AWS::EC2::VPCEndpoint vpce-1",
        ),
        (
            "ec2",
            "DeleteVpcEndpoints",
            json!({"DeleteVpcEndpointsRequest": {"VpcEndpointId": [{"content": "vpce-1"},
            {"content": "vpce-2"}]}}),
            none(),
            "AWS::EC2::VPCEndpoint vpce-1, AWS::EC2::VPCEndpoint vpce-2",
        ),
        (
            "ec2",
            "DeleteTags",
            json!({"resourcesSet": {"items": [{"resourceId": "vol-1"}, {"resourceId": "i-2"}]}}),
            none(),
            "AWS::EC2::Volume vol-1, AWS::EC2::Instance i-2",
        ),
        (
            "ec2",
            "StopInstances",
            json!({"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}}),
            none(),
            "AWS::EC2::Instance i-1, AWS::EC2::Instance i-2",
        ),
        ("ec2", "ModifySnapshotAttribute", json!({"snapshotId": "snap-1"}), none(), "AWS::EC2::Snapshot snap-1"),
        (
            "lambda",
            "AddPermission20150331v2",
            json!({"functionName": "triage"}),
            none(),
            "AWS::Lambda::Function triage",
        ),
        ("lambda", "CreateFunction20150331", json!({"functionName": "triage"}), none(), "AWS::Lambda::Function triage"),
        (
            "cloudfront",
            "UpdateDistribution2020_05_31",
            json!({"id": "E1EXAMPLE"}),
            none(),
            "AWS::CloudFront::Distribution E1EXAMPLE",
        ),
        ("rds", "ModifyDBInstance", json!({"dBInstanceIdentifier": "records"}), none(), "AWS::RDS::DBInstance records"),
        ("rds", "ModifyDBInstance", json!({"DBInstanceIdentifier": "records"}), none(), "AWS::RDS::DBInstance records"),
        // The copy is new, not what it was copied from.
        (
            "rds",
            "CopyDBSnapshot",
            json!({"sourceDBSnapshotIdentifier": "a", "targetDBSnapshotIdentifier": "b"}),
            none(),
            "AWS::RDS::DBSnapshot b",
        ),
        (
            "wafv2",
            "DisassociateWebACL",
            json!({"resourceArn": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/front/50dc"}),
            none(),
            "AWS::ElasticLoadBalancingV2::LoadBalancer \
             arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/front/50dc",
        ),
        (
            "sqs",
            "SetQueueAttributes",
            json!({"queueUrl": "https://sqs.eu-central-1.amazonaws.com/111122223333/q"}),
            none(),
            "AWS::SQS::Queue https://sqs.eu-central-1.amazonaws.com/111122223333/q",
        ),
        (
            "apigateway",
            "CreateStage",
            json!({"restApiId": "abc", "createStageInput": {"stageName": "prod"}}),
            none(),
            "AWS::ApiGateway::Stage prod, AWS::ApiGateway::RestApi abc",
        ),
        ("logs", "DeleteRetentionPolicy", json!({"logGroupName": "/ward/a"}), none(), "AWS::Logs::LogGroup /ward/a"),
        (
            "monitoring",
            "DeleteAlarms",
            json!({"alarmNames": ["a b", "c"]}),
            none(),
            "AWS::CloudWatch::Alarm a b, AWS::CloudWatch::Alarm c",
        ),
    ];
    for (source, name, parameters, response, wanted) in table {
        let notice = sent(source, name, parameters, response);
        let got: Vec<String> = named(&notice).iter().map(|(r#type, id)| format!("{type} {id}")).collect();
        assert_eq!((notice.act, got.join(", ").as_str()), (Act::Evaluate, wanted), "{name}");
        assert_eq!(notice.call.unwrap().event_name, name);
    }
}

#[test]
fn names_that_apis_know() {
    let table = [
        ("s3", "PutBucketPolicy", json!({"bucketName": "clinic-scans"}), Some("clinic-scans")),
        (
            "cloudtrail",
            "StopLogging",
            json!({"name": "arn:aws:cloudtrail:eu-central-1:111122223333:trail/main"}),
            Some("main"),
        ),
        ("sns", "SetTopicAttributes", json!({"topicArn": "arn:aws:sns:eu-central-1:111122223333:ward"}), Some("ward")),
        (
            "sqs",
            "SetQueueAttributes",
            json!({"queueUrl": "https://sqs.eu-central-1.amazonaws.com/111122223333/q"}),
            None,
        ),
    ];
    for (source, name, parameters, wanted) in table {
        let notice = sent(source, name, parameters, json!(null));
        assert_eq!(notice.resources[0].name.as_deref(), wanted, "{name}");
    }
}

#[test]
fn calls_on_the_account_or_on_what_the_record_does_not_name() {
    let table = [
        ("s3", "DeleteAccountPublicAccessBlock", json!({"host": ["x"]}), "sets what holds for the account"),
        ("ec2", "DisableEbsEncryptionByDefault", json!(null), "sets what holds for the account"),
        ("iam", "UpdateAccountPasswordPolicy", json!({}), "sets what holds for the account"),
        (
            "iam",
            "DeleteVirtualMFADevice",
            json!({"serialNumber": "arn:aws:iam::111122223333:mfa/a"}),
            "holds for the account",
        ),
        ("s3", "PutBucketPolicy", json!({"bucketPolicy": {}}), "does not say which resource"),
        ("s3", "PutBucketPolicy", json!(null), "does not say which resource"),
        ("iam", "UpdateLoginProfile", json!({}), "does not say which resource"),
    ];
    for (source, name, parameters, says) in table {
        let notice = sent(source, name, parameters, json!(null));
        assert_eq!((notice.act, notice.resources.len()), (Act::EvaluateAccount, 0), "{name}");
        assert!(notice.why.contains(says), "{}", notice.why);
    }
    let notice = sent("config", "StopConfigurationRecorder", json!({"configurationRecorderName": "main"}), json!(null));
    assert_eq!(
        (notice.act, named(&notice)),
        (Act::EvaluateAccount, vec![("AWS::Config::ConfigurationRecorder", "main")])
    );
    // The record's own list of resources is better than nothing.
    let event = call("kms", "DisableKey", json!(null), json!(null));
    let listed = json!([{"type": "AWS::KMS::Key", "ARN": "arn:aws:kms:eu-central-1:111122223333:key/1234"},
                        {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::clinic-scans"}]);
    let notice = only(read(&with(event, "/detail/resources", listed)));
    assert_eq!(named(&notice), [("AWS::KMS::Key", "arn:aws:kms:eu-central-1:111122223333:key/1234")]);
}

#[test]
fn who_acts_on_itself() {
    let own = |identity: Value, response: Value| {
        only(read(&with(call("iam", "CreateAccessKey", json!(null), response), "/detail/userIdentity", identity)))
    };
    let user = json!({"type": "IAMUser", "userName": "anna", "arn": "arn:aws:iam::111122223333:user/anna"});
    assert_eq!(named(&own(user, json!(null))), [("AWS::IAM::User", "anna")]);
    // A role's session has no user; the answer tells whose key it is.
    let session = json!({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"userName": "platform"}}});
    assert_eq!(own(session.clone(), json!(null)).act, Act::EvaluateAccount);
    assert_eq!(named(&own(session, json!({"accessKey": {"userName": "ben"}}))), [("AWS::IAM::User", "ben")]);
    let root = own(json!({"type": "Root", "userName": "root"}), json!(null));
    assert_eq!((root.act, root.resources.len()), (Act::EvaluateAccount, 0));
}

#[test]
fn calls_that_need_nothing_done() {
    let table = [
        ("/detail/errorCode", json!("AccessDenied"), "did not happen: it failed with \"AccessDenied\""),
        ("/detail/errorCode", json!({"code": 5}), "did not happen"),
        ("/detail/errorMessage", json!("no such bucket"), "did not happen"),
        ("/detail/readOnly", json!(true), "only reads"),
        ("/detail/readOnly", json!("true"), "only reads"),
        ("/detail/eventName", json!("GetBucketPolicy"), "only reads"),
        ("/detail/eventName", json!("DeleteBucketPublicAccessBlock\n"), "cannot bring about drift that we know"),
        ("/detail/eventName", json!("PutObject"), "cannot bring about drift that we know"),
        ("/detail/eventSource", json!("ec2.amazonaws.com"), "of \"ec2.amazonaws.com\" cannot bring about drift"),
    ];
    for (path, value, says) in table {
        let notice = only(read(&with(opened(), path, value)));
        assert!(notice.act == Act::Ignore && notice.why.contains(says), "{}", notice.why);
        assert!(notice.event.is_some() && notice.call.is_some());
    }
    // What nothing is done about may be as odd as it likes, and still tells what it was.
    let odd =
        with(with(opened(), "/detail/errorCode", json!("NoSuchBucket")), "/detail/recipientAccountId", json!("12"));
    let notice = only(read(&with(odd, "/detail/awsRegion", json!("nowhere"))));
    assert_eq!((notice.account.as_ref(), notice.region.as_ref()), (None, None));
    assert_eq!(named(&notice), [("AWS::S3::Bucket", "clinic-scans")]);
    let notice = sent("lambda", "PublishVersion20150331", json!({"functionName": "triage"}), json!(null));
    assert_eq!((notice.act, named(&notice)), (Act::Ignore, vec![("AWS::Lambda::Function", "triage")]));
    // Nothing failed here.
    for none in [json!(null), json!("")] {
        assert_eq!(only(read(&with(opened(), "/detail/errorCode", none))).act, Act::Evaluate);
    }
}

#[test]
fn whose_call_it_is() {
    // On a forwarding bus the envelope is the hub's.
    let of = |event: &Value| only(read(event)).account.unwrap().to_string();
    assert_eq!(of(&with(opened(), "/account", json!(THEIRS))), OURS);
    assert_eq!(of(&with(opened(), "/detail/recipientAccountId", json!(THEIRS))), THEIRS);
    assert_eq!(of(&with(opened(), "/detail/recipientAccountId", json!(111_122_223_333_u64))), OURS);
    assert_eq!(of(&with(opened(), "/detail/recipientAccountId", json!(12_345))), "000000012345");
    for odd in [json!(null), json!(""), json!({}), json!(true)] {
        assert_eq!(of(&with(opened(), "/detail/recipientAccountId", odd)), OURS);
    }
    for bad in [json!("{{{account_id}}}"), json!("12345"), json!("111122223333 "), json!(1.5), json!(-3)] {
        let why = refused(read(&with(opened(), "/detail/recipientAccountId", bad)));
        assert!(why.starts_with("account id ") && why.contains("is not twelve digits"), "{why}");
    }
    let nobody = ["/detail/recipientAccountId", "/account", "/detail/userIdentity/accountId"];
    let nobody = nobody.iter().fold(opened(), |event, path| with(event, path, None));
    assert_eq!(refused(read(&nobody)), "the event names no account");
    for bad in ["{{{region}}}", "everywhere", "us-east-1/../x", "cn-northsouth-2r"] {
        assert!(refused(read(&with(opened(), "/detail/awsRegion", json!(bad)))).starts_with("region "));
    }
    let nowhere = with(with(opened(), "/detail/awsRegion", None), "/region", None);
    assert!(refused(read(&nowhere)).contains("awsRegion is missing"));
}

#[test]
fn who_called_and_when() {
    let cause = only(read(&opened())).cause.unwrap();
    assert_eq!(cause.call, "DeleteBucketPublicAccessBlock");
    assert_eq!(cause.event_id.as_deref(), Some("0b6f0c1e-0000-4c55-9a60-000000000001"));
    assert_eq!(cause.actor.as_deref(), Some("arn:aws:sts::111122223333:assumed-role/platform/anna"));
    assert_eq!(cause.role.as_deref(), Some("arn:aws:iam::111122223333:role/platform"));
    assert_eq!(cause.source_ip.as_deref(), Some("192.0.2.10"));
    let at = |event: &Value| only(read(event)).cause.unwrap().at.map(time::OffsetDateTime::unix_timestamp);
    assert_eq!(at(&opened()), Some(1_772_352_000));
    for bad in [json!("2026-03-01 08:00:00.000"), json!(1_772_352_000), json!("yesterday"), json!(null)] {
        let event = with(opened(), "/detail/eventTime", bad);
        assert_eq!(at(&event), Some(1_772_352_005), "the envelope's, then");
        assert_eq!(at(&with(event, "/time", json!("soon"))), None);
    }
    assert_eq!(cause.agent, None);
    let service = json!({"type": "AWSService", "invokedBy": "backup.amazonaws.com"});
    let cause = only(read(&with(opened(), "/detail/userIdentity", service))).cause.unwrap();
    assert_eq!((cause.actor.as_deref(), cause.role), (Some("backup.amazonaws.com"), None));
    assert_eq!(cause.agent.as_deref(), Some("backup.amazonaws.com"));
    let by_tool = with(opened(), "/detail/userAgent", json!("APN/1.0 HashiCorp/1.0 Terraform/1.15.0"));
    assert_eq!(only(read(&by_tool)).cause.unwrap().agent.as_deref(), Some("terraform"));
    let hostile = with(opened(), "/detail/userIdentity/arn", json!("\u{1b}[2J\u{202e}x\n".repeat(10_000)));
    let actor = only(read(&hostile)).cause.unwrap().actor.unwrap();
    assert!(actor.starts_with("[2Jx[2Jx") && actor.chars().count() == 512);
}

#[test]
fn ids_that_are_none_do_not_take_the_others_with_them() {
    for bad in ["a/../b?acl&x=\u{0}", "*", "{{bucket}}", "ab", "../x", "\u{1b}[2J"] {
        let why = refused(read(&with(opened(), "/detail/requestParameters/bucketName", json!(bad))));
        assert!(why.contains("is no id of \"AWS::S3::Bucket\""), "{why}");
    }
    let stop = |ids: &[&str]| {
        let items: Vec<Value> = ids.iter().map(|id| json!({"instanceId": id})).collect();
        read(&call("ec2", "StopInstances", json!({"instancesSet": {"items": items}}), json!(null)))
    };
    let reading = stop(&["i-1", "i-*", "i-2", "sg-3"]);
    assert_eq!(named(&reading.notices[0]), [("AWS::EC2::Instance", "i-1"), ("AWS::EC2::Instance", "i-2")]);
    assert_eq!(reading.rejected.len(), 2);
    let reading = stop(&["i-*", "\u{0}"]);
    assert_eq!((reading.notices.len(), reading.rejected.len()), (0, 2));
    // Too many are cut off, and it is said.
    let many: Vec<String> = (0..1500).map(|n| format!("i-{n}")).collect();
    let reading = stop(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(reading.notices[0].resources.len(), 1000);
    assert!(reading.rejected[0].why.contains("more than 1000 resources"));
}

#[test]
fn versions_of_names() {
    for (name, wanted) in [
        ("AddPermission20150331v2", "AddPermission"),
        ("CreateFunction20150331", "CreateFunction"),
        ("CreateDistribution2020_05_31", "CreateDistribution"),
        ("CreateBucket", "CreateBucket"),
        ("RestoreDBInstanceFromS3", "RestoreDBInstanceFromS3"),
        ("Route53", "Route53"),
        ("20150331v2", ""),
        ("Wrev2", "Wrev2"),
        ("", ""),
    ] {
        assert_eq!(base(name), wanted);
    }
}
