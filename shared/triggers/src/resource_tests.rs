use super::*;

#[test]
fn sound_ids() {
    let user = "arn:aws:iam::111122223333:user/ward/anna";
    let table = [
        ("AWS::S3::Bucket", "clinic-scans", "clinic-scans", Some("clinic-scans")),
        ("AWS::S3::Bucket", "Old_Bucket.1", "Old_Bucket.1", Some("Old_Bucket.1")),
        ("AwsIamUser", user, user, Some("anna")),
        // Config's and Security Hub's unique ids are no names.
        ("AWS::IAM::User", "AIDAEXAMPLEEXAMPLE123", "AIDAEXAMPLEEXAMPLE123", None),
        ("AWS::RDS::DBInstance", "db-ABCDEF", "db-ABCDEF", None),
        ("AWS::RDS::DBInstance", "records", "records", Some("records")),
        ("AwsAccount", "AWS::::Account:111122223333", "111122223333", None),
        ("AwsAccount", "arn:aws:iam::111122223333:root", "111122223333", None),
        (
            "",
            "arn:aws:logs:us-east-1:111122223333:log-group:/ward/a:*",
            "arn:aws:logs:us-east-1:111122223333:log-group:/ward/a",
            Some("/ward/a"),
        ),
        ("AWS::EC2:: Instance", "i-0a1b", "i-0a1b", Some("i-0a1b")),
        ("AWS::CloudWatch::Alarm", "beds, free?", "beds, free?", Some("beds, free?")),
    ];
    for (r#type, id, wanted, name) in table {
        let found = resource(r#type, id, None).unwrap();
        assert_eq!((found.id.as_str(), found.name.as_deref()), (wanted, name), "{id}");
        assert!(found.r#type.starts_with("AWS::"), "{}", found.r#type);
    }
    let given = |name: &str| resource("AWS::IAM::User", "AIDAEXAMPLEEXAMPLE123", Some(name)).unwrap().name;
    assert_eq!(given("anna").as_deref(), Some("anna"));
    for bad in ["", "*", "{{name}}", "a\u{0}"] {
        assert_eq!(given(bad), None, "the resource is kept, and the name is not");
    }
}

#[test]
fn ids_that_are_none() {
    let long = "a".repeat(3000);
    let table = [
        ("AWS::KMS::Key", "{{key}}", "never filled in"),
        ("AWS::KMS::Key", "../../etc", "it is a path"),
        ("AWS::KMS::Key", "..\\x", "it is a path"),
        ("AWS::KMS::Key", "", "1 to 2048 characters"),
        ("AWS::KMS::Key", &long, "1 to 2048 characters"),
        ("AWS::KMS::Key", " a", "blanks around it"),
        ("AWS::KMS::Key", "a\u{202e}b", "control characters"),
        ("AWS::KMS::Key", "a*", "it is a pattern"),
        ("AWS::KMS::Key", "arn:aws:kms:us-east-1:111122223333:key/a b", "no ARN has such characters"),
        ("AWS::S3::Bucket", "arn:aws:s3:::a/../b?acl&x=", "it is a path"),
        ("AWS::S3::Bucket", "ab", "3 to 63"),
        ("AWS::S3::Bucket", "a..b", "3 to 63"),
        ("AWS::S3::Bucket", "-ab", "3 to 63"),
        ("AWS::S3::Bucket", "a/b/c", "3 to 63"),
        ("AWS::EC2::SecurityGroup", "sg-", "what EC2 gives"),
        ("AWS::EC2::SecurityGroup", "i-0a1b", "what EC2 gives"),
        ("AWS::EC2::Instance", "i-0a1b?x=1", "what EC2 gives"),
        ("AWS::IAM::User", "anna?", "no name in IAM"),
        ("AWS::IAM::Role", "arn:aws:iam::111122223333:role/", "no name in IAM"),
        ("AWS::IAM::Role", "arn:aws:iam::111122223333:user/anna", "ARN of something else"),
        ("AWS::IAM::AccessKey", "AKIA", "a key id is"),
        ("AWS::IAM::AccessKey", "ABCDEXAMPLEEXAMPLE00", "a key id is"),
        ("AWS::::Account", "12345", "twelve digits"),
        ("AWS::S3::Bucket\u{1b}[2J", "clinic-scans", "is no type"),
    ];
    for (r#type, id, says) in table {
        let why = resource(r#type, id, None).unwrap_err();
        assert!(why.contains(says), "{says}\n{why}");
    }
    assert!(resource("Other", "what", None).is_err() && resource("AwsUnheardOf", "what", None).is_err());
}

#[test]
fn types_in_the_words_of_asff() {
    for (asff, wanted) in [
        ("AwsApiGatewayV2Stage", "AWS::ApiGatewayV2::Stage"),
        ("AwsAutoScalingAutoScalingGroup", "AWS::AutoScaling::AutoScalingGroup"),
        ("AwsCloudTrailTrail", "AWS::CloudTrail::Trail"),
        ("AwsDynamoDbTable", "AWS::DynamoDB::Table"),
        ("AwsEc2NetworkAcl", "AWS::EC2::NetworkAcl"),
        ("AwsElbLoadBalancer", "AWS::ElasticLoadBalancing::LoadBalancer"),
        ("AwsRdsDbClusterSnapshot", "AWS::RDS::DBClusterSnapshot"),
        ("AwsWafv2WebAcl", "AWS::WAFv2::WebACL"),
        ("AWS::KMS::Key", "AWS::KMS::Key"),
    ] {
        assert_eq!(cloudformation(asff).as_deref(), Some(wanted));
    }
    assert_eq!(ec2_type("vpce-1"), Some("AWS::EC2::VPCEndpoint"));
    assert_eq!(ec2_type("vpc"), None);
}
