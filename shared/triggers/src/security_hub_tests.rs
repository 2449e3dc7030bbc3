use crate::samples::*;
use crate::{Act, Reply, Trigger, read};
use serde_json::{Value, json};

fn imported(path: &str, value: impl Into<Option<Value>>) -> Value {
    hub(IMPORTED, &[with(asff(), path, value)])
}

#[test]
fn a_failed_finding() {
    let notice = only(read(&hub(IMPORTED, &[asff()])));
    assert_eq!(
        (notice.event.as_deref(), notice.control_ids.as_slice()),
        (Some("S3.2"), ["S3.2".to_owned()].as_slice())
    );
    assert_eq!(notice.resources[0].name.as_deref(), Some("clinic-scans"));
    let id = "arn:aws:securityhub:eu-central-1:111122223333:security-control/S3.2/finding/1".to_owned();
    let product_arn = "arn:aws:securityhub:eu-central-1::product/aws/securityhub".to_owned();
    assert_eq!(notice.cause.unwrap().event_id, Some(id.clone()));
    assert_eq!(notice.reply, Some(Reply::Finding { id, product_arn }));
    // Aggregated from elsewhere: the finding says where it is, and the envelope where it arrived.
    let event = imported("/Region", json!("us-west-2"));
    assert_eq!(only(read(&event)).region.unwrap().as_str(), "us-west-2");
    let event = hub(IMPORTED, &[with(with(asff(), "/Region", None), "/Resources/0/Region", json!("us-west-1"))]);
    assert_eq!(only(read(&event)).region.unwrap().as_str(), "us-west-1");
    let event = hub(IMPORTED, &[with(with(asff(), "/Region", None), "/Resources/0/Region", None)]);
    assert_eq!(only(read(&with(event, "/region", json!("us-west-2")))).region.unwrap().as_str(), "eu-central-1");
}

#[test]
fn findings_that_need_nothing_done() {
    let table = [
        ("/RecordState", json!("ARCHIVED"), "record is \"ARCHIVED\""),
        ("/Workflow/Status", json!("RESOLVED"), "status is \"RESOLVED\""),
        ("/Workflow/Status", json!("SUPPRESSED"), "status is \"SUPPRESSED\""),
        ("/Compliance/Status", json!("PASSED"), "compliance is \"PASSED\""),
        ("/Compliance/Status", json!("WARNING"), "compliance is \"WARNING\""),
        ("/Compliance/Status", json!("NOT_AVAILABLE"), "compliance is \"NOT_AVAILABLE\""),
    ];
    for (path, value, says) in table {
        for kind in [IMPORTED, ACTION] {
            let why = ignored(read(&hub(kind, &[with(asff(), path, value.clone())])));
            assert!(why.contains(says), "{why}");
        }
    }
    for good in ["NEW", "NOTIFIED"] {
        assert_eq!(only(read(&imported("/Workflow/Status", json!(good)))).act, Act::Evaluate);
    }
    // GuardDuty's and Inspector's findings have no compliance. Who presses the button means the resource.
    assert!(ignored(read(&imported("/Compliance", None))).contains("not about compliance"));
    let notice = only(read(&hub(ACTION, &[with(asff(), "/Compliance", None)])));
    assert_eq!((notice.trigger, notice.act), (Trigger::SecurityHubAction, Act::Evaluate));
}

#[test]
fn an_action_is_one_notice_for_each_finding() {
    let other = with(asff(), "/AwsAccountId", json!(THEIRS));
    let wrong = with(asff(), "/Resources/0/Id", json!("arn:aws:s3:::*"));
    let reading = read(&hub(ACTION, &[asff(), other, wrong, json!(5), with(asff(), "/AwsAccountId", json!("{{x}}"))]));
    let accounts: Vec<_> = reading.notices.iter().map(|notice| notice.account.as_ref().unwrap().as_str()).collect();
    assert_eq!(accounts, [OURS, THEIRS]);
    let whys: Vec<&str> = reading.rejected.iter().map(|rejected| rejected.why.as_str()).collect();
    assert_eq!(whys.len(), 3, "{whys:?}");
    assert!(
        whys[0].contains("it is a pattern") && whys[1].contains("is a number") && whys[2].contains("never filled in")
    );
    for findings in [json!([]), json!(5), json!(null)] {
        refused(read(&with(hub(ACTION, &[]), "/detail/findings", findings)));
    }
    let reading = read(&hub(ACTION, &vec![asff(); 150]));
    assert_eq!(reading.notices.len(), 100);
    assert!(reading.rejected[0].why.contains("150 findings"));
}

#[test]
fn the_control_of_a_finding() {
    let cis = "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/4.1";
    let table = [
        (json!("S3.2"), json!({"ControlId": "PCI.S3.2"}), "pci-dss/v/3.2.1/PCI.S3.2", vec!["S3.2", "PCI.S3.2"]),
        (
            json!(null),
            json!({"ControlId": "EC2.7"}),
            "aws-foundational-security-best-practices/v/1.0.0/EC2.7",
            vec!["EC2.7"],
        ),
        (json!(null), json!({"RuleId": "4.1"}), cis, vec!["4.1", "cis-aws-foundations-benchmark/v/1.2.0/4.1"]),
        (json!(null), json!(null), "pci-dss/v/3.2.1/PCI.EC2.5", vec!["PCI.EC2.5"]),
        (json!(null), json!(null), "somebody-elses-check", vec![]),
    ];
    for (consolidated, fields, generator, wanted) in table {
        let finding = with(asff(), "/Compliance/SecurityControlId", consolidated);
        let finding = with(with(finding, "/ProductFields", fields), "/GeneratorId", json!(generator));
        assert_eq!(only(read(&hub(IMPORTED, &[finding]))).control_ids, wanted);
    }
}

#[test]
fn resources_of_findings() {
    let user = "arn:aws:iam::111122223333:user/AIDAEXAMPLEEXAMPLE123";
    let instance = "arn:aws:rds:eu-central-1:111122223333:dbinstance:db-ABC";
    let table = [
        (json!({"Type": "AwsAccount", "Id": "AWS::::Account:111122223333"}), "AWS::::Account", OURS, None),
        (json!({"Type": "AwsIamUser", "Id": user}), "AWS::IAM::User", user, None),
        (
            json!({"Type": "AwsIamUser", "Id": user, "Details": {"AwsIamUser": {"UserName": "anna"}}}),
            "AWS::IAM::User",
            user,
            Some("anna"),
        ),
        (
            json!({"Type": "AwsIamAccessKey", "Id": "AWS::IAM::AccessKey:AKIAEXAMPLEEXAMPLE00|null",
            "Details": {"AwsIamAccessKey": {"PrincipalName": "anna"}}}),
            "AWS::IAM::AccessKey",
            "AKIAEXAMPLEEXAMPLE00",
            Some("anna"),
        ),
        (json!({"Type": "AwsRdsDbInstance", "Id": instance}), "AWS::RDS::DBInstance", instance, None),
        (
            json!({"Type": "AwsRdsDbInstance", "Id": instance,
            "Details": {"AwsRdsDbInstance": {"DBInstanceIdentifier": "records"}}}),
            "AWS::RDS::DBInstance",
            instance,
            Some("records"),
        ),
        (json!({"Type": "AwsEc2Instance", "Id": "i-0a1b"}), "AWS::EC2::Instance", "i-0a1b", Some("i-0a1b")),
        (
            json!({"Type": "AwsElbv2LoadBalancer", "Id": "front"}),
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "front",
            Some("front"),
        ),
        (json!({"Type": "AwsEc2Vpc", "Id": "vpc-1"}), "AWS::EC2::VPC", "vpc-1", Some("vpc-1")),
        (json!({"Type": "AWS::EC2::Volume", "Id": "vol-1"}), "AWS::EC2::Volume", "vol-1", Some("vol-1")),
        (
            json!({"Type": "Other", "Id": "arn:aws:kms:eu-central-1:111122223333:key/1"}),
            "AWS::KMS::Key",
            "arn:aws:kms:eu-central-1:111122223333:key/1",
            Some("1"),
        ),
        (json!({"Type": "Container", "Id": "web"}), "Container", "web", Some("web")),
    ];
    for (resource, r#type, id, name) in table {
        let notice = only(read(&imported("/Resources", json!([resource]))));
        let found = &notice.resources[0];
        assert_eq!((found.r#type.as_str(), found.id.as_str(), found.name.as_deref()), (r#type, id, name));
    }
    let wrong = [
        (json!({"Type": "AwsAccount", "Id": "AWS::::Account:444455556666"}), "is not the one that the event is about"),
        (json!({"Type": "Other", "Id": "what"}), "nothing says what"),
        (json!({"Type": "AwsS3Bucket"}), "no Type or no Id"),
        (json!({"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::clinic-scans/a.png"}), "is no id of"),
        (json!({"Type": "AwsS3Bucket", "Id": "arn:aws:sqs:eu-central-1:111122223333:clinic"}), "ARN of something else"),
        (
            json!({"Type": "AwsEc2SecurityGroup", "Id": "arn:aws:ec2:eu-central-1:111122223333:instance/sg-1"}),
            "something else",
        ),
        (json!({"Type": "AwsEc2SecurityGroup", "Id": "arn:aws:ec2"}), "half an ARN"),
        (json!(7), "no Type or no Id"),
    ];
    for (resource, says) in wrong {
        let why = refused(read(&imported("/Resources", json!([resource]))));
        assert!(why.contains(says), "{why}");
    }
    assert!(refused(read(&imported("/Resources", json!([])))).contains("names no resource"));
}

#[test]
fn findings_of_the_second_version() {
    let notice = only(read(&ocsf()));
    assert_eq!(
        (notice.control_ids.as_slice(), notice.event.as_deref()),
        (["S3.2".to_owned()].as_slice(), Some("S3.2"))
    );
    assert_eq!(
        notice.reply,
        Some(Reply::FindingV2 {
            metadata_uid: Some("m-1".to_owned()),
            account: OURS.to_owned(),
            finding: "f-1".to_owned(),
            product: "arn:aws:securityhub:eu-central-1::productv2/aws/securityhub".to_owned(),
        })
    );
    let finding = |path: &str, value: Value| with(ocsf(), &format!("/detail/findings/0{path}"), value);
    let table = [
        ("/status_id", json!(3), "suppressed"),
        ("/status_id", json!(4), "resolved"),
        ("/status_id", json!(5), "archived"),
        ("/status_id", json!(99), "status is 99"),
        ("/activity_id", json!(3), "closed"),
        ("/compliance/status_id", json!(1), "compliance is \"Fail\""),
        ("/class_uid", json!(2004), "not about compliance"),
        ("/class_uid", json!("2003"), "not about compliance"),
    ];
    for (path, value, says) in table {
        let why = ignored(read(&finding(path, value)));
        assert!(why.contains(says), "{why}");
    }
    for (path, value) in [("/status_id", json!(0)), ("/status_id", json!(2)), ("/compliance/status_id", json!(null))] {
        assert_eq!(only(read(&finding(path, value))).act, Act::Evaluate, "{path}");
    }
    let theirs = only(read(&finding("/resources/0/owner/account/uid", json!(THEIRS))));
    assert_eq!(theirs.account.unwrap().as_str(), THEIRS, "the owner's, not the one that the finding was made in");
    let named_by_uid = only(read(&finding("/resources/0/uid_alt", json!(null))));
    assert_eq!(named(&named_by_uid), [("AWS::S3::Bucket", "clinic-scans")]);
    assert!(refused(read(&finding("/resources/0", json!({"type": "AWS::S3::Bucket"})))).contains("uid of a resource"));
}
