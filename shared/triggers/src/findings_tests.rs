use crate::Act;
use crate::read;
use crate::samples::*;
use serde_json::json;

#[test]
fn what_guardduty_names() {
    let key = |id: &str, kind: &str, name: &str| json!({"accessKeyDetails": {"accessKeyId": id, "userType": kind, "userName": name}});
    let table = [
        (
            key("AKIAEXAMPLEEXAMPLE00", "IAMUser", "anna"),
            "AWS::IAM::AccessKey AKIAEXAMPLEEXAMPLE00, AWS::IAM::User anna",
        ),
        (
            key("ASIAEXAMPLEEXAMPLE00", "AssumedRole", "platform"),
            "AWS::IAM::AccessKey ASIAEXAMPLEEXAMPLE00, AWS::IAM::Role platform",
        ),
        (key("AKIAEXAMPLEEXAMPLE00", "Root", "Root"), "AWS::IAM::AccessKey AKIAEXAMPLEEXAMPLE00"),
        (
            json!({"s3BucketDetails": [{"name": "clinic-scans"}, {"arn": "arn:aws:s3:::clinic-bills"}]}),
            "AWS::S3::Bucket clinic-scans, AWS::S3::Bucket arn:aws:s3:::clinic-bills",
        ),
        (
            json!({"resourceType": "Container", "instanceDetails": {"instanceId": "i-0a1b"}}),
            "AWS::EC2::Instance i-0a1b",
        ),
        (json!({"eksClusterDetails": {"name": "ward"}}), "AWS::EKS::Cluster ward"),
        (json!({"lambdaDetails": {"functionName": "triage"}}), "AWS::Lambda::Function triage"),
        (json!({"rdsDbInstanceDetails": {"dbInstanceIdentifier": "records"}}), "AWS::RDS::DBInstance records"),
        // Attack sequences have no single resource; a person has to look.
        (json!({"resourceType": "AttackSequence"}), ""),
    ];
    for (resource, wanted) in table {
        let notice = only(read(&guardduty(resource)));
        let got: Vec<String> = named(&notice).iter().map(|(r#type, id)| format!("{type} {id}")).collect();
        assert_eq!((notice.act, got.join(", ").as_str()), (Act::Incident, wanted));
        assert_eq!(notice.event.as_deref(), Some("UnauthorizedAccess:IAMUser/TorIPCaller"));
    }
    let owner = only(read(&guardduty(crate::samples::key()))).resources[0].name.clone();
    assert_eq!(owner.as_deref(), Some("anna"), "the user whose key it is");
    let session = only(read(&guardduty(key("ASIAEXAMPLEEXAMPLE00", "AssumedRole", "platform"))));
    assert!(session.why.contains("cannot be deactivated"), "{}", session.why);
    // What the call was about, where the finding has no resource.
    let event = with(
        guardduty(json!({})),
        "/detail/service/action",
        json!({"awsApiCallAction": {"affectedResources": {"AWS::IAM::Role": "arn:aws:iam::111122223333:role/platform"}}}),
    );
    assert_eq!(named(&only(read(&event))), [("AWS::IAM::Role", "arn:aws:iam::111122223333:role/platform")]);
}

#[test]
fn findings_of_guardduty_that_need_nothing_done() {
    let real = || guardduty(instance());
    let table = [
        (with(real(), "/detail/service/additionalInfo", json!({"sample": true})), "sample"),
        (with(real(), "/detail/service/additionalInfo", json!({"sample": "true"})), "sample"),
        (with(real(), "/detail/service/additionalInfo", json!({"value": "{\"sample\":true}"})), "sample"),
        (with(real(), "/detail/resource/instanceDetails/instanceId", json!("i-99999999")), "sample"),
        (guardduty(json!({"accessKeyDetails": {"accessKeyId": "GeneratedFindingAccessKeyId"}})), "sample"),
        (with(real(), "/detail/service/archived", json!(true)), "archived"),
    ];
    for (event, says) in table {
        let why = ignored(read(&event));
        assert!(why.contains(says), "{why}");
    }
    assert_eq!(
        only(read(&with(real(), "/detail/service/additionalInfo", json!({"value": "?", "sample": false})))).act,
        Act::Incident
    );
    assert!(refused(read(&with(real(), "/detail/accountId", json!("123456789")))).starts_with("account id"));
    assert!(refused(read(&with(real(), "/detail/type", None))).contains("type is missing"));
    assert!(
        refused(read(&with(real(), "/detail/resource/instanceDetails/instanceId", json!("i-*")))).contains("pattern")
    );
    // A key that is none does not take its user along.
    let reading = read(&guardduty(
        json!({"accessKeyDetails": {"accessKeyId": "****", "userType": "IAMUser", "userName": "anna"}}),
    ));
    assert_eq!(named(&reading.notices[0]), [("AWS::IAM::User", "anna")]);
    assert_eq!(reading.rejected.len(), 1);
}

#[test]
fn what_access_analyzer_says() {
    let notice = only(read(&analyzer()));
    assert_eq!(notice.resources[0].name.as_deref(), Some("clinic-scans"));
    let table = [
        ("/detail/isPublic", json!(false), "not public"),
        ("/detail/isPublic", json!(null), "not public"),
        ("/detail/status", json!("ARCHIVED"), "ARCHIVED"),
        ("/detail/status", json!("RESOLVED"), "RESOLVED"),
        ("/detail/status", json!(null), "status is"),
        ("/detail/isDeleted", json!(true), "deleted"),
        ("/detail/error", json!("ACCESS_DENIED"), "could not look"),
    ];
    for (path, value, says) in table {
        let why = ignored(read(&with(analyzer(), path, value)));
        assert!(why.contains(says), "{why}");
    }
    assert!(refused(read(&with(analyzer(), "/detail/resource", None))).contains("names no resource"));
    let role = with(analyzer(), "/detail/resourceType", json!("AWS::IAM::Role"));
    assert!(refused(read(&role)).contains("ARN of something else"));
}

#[test]
fn what_health_says() {
    let notice = only(read(&health()));
    assert_eq!(named(&notice), [("AWS::IAM::AccessKey", "AKIAEXAMPLEEXAMPLE00")], "named three times, one key");
    assert_eq!(notice.resources[0].name.as_deref(), Some("anna"));
    assert_eq!(notice.event.as_deref(), Some("AWS_RISK_CREDENTIALS_EXPOSED"));
    let path = json!([{"entityValue": "IAM_USER/ben/AKIAEXAMPLEEXAMPLE11"}]);
    let event = with(with(health(), "/detail/affectedEntities", path), "/detail/eventMetadata", None);
    let notice = only(read(&event));
    assert_eq!(named(&notice), [("AWS::IAM::AccessKey", "AKIAEXAMPLEEXAMPLE11")]);
    assert_eq!(notice.resources[0].name.as_deref(), Some("ben"));
    // The envelope has it, too.
    let bare = with(with(health(), "/detail/affectedEntities", None), "/detail/eventMetadata", None);
    assert_eq!(
        only(read(&with(bare.clone(), "/resources", json!(["AKIAEXAMPLEEXAMPLE22"])))).resources[0].id,
        "AKIAEXAMPLEEXAMPLE22"
    );
    assert!(refused(read(&bare)).contains("names no access key"));
    let masked = with(with(bare, "/resources", json!(["AKIA************"])), "/account", json!(OURS));
    assert!(refused(read(&masked)).contains("pattern"));
    let nobody = with(with(health(), "/detail/affectedAccount", None), "/account", None);
    assert_eq!(refused(read(&nobody)), "the event names no account");

    assert!(ignored(read(&with(health(), "/detail/statusCode", json!("closed")))).contains("closed"));
    let retired = with(health(), "/detail/eventTypeCode", json!("AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED"));
    assert!(ignored(read(&retired)).contains("says nothing about drift"));
    assert_eq!(
        only(read(&with(health(), "/detail/eventTypeCode", json!("AWS_RISK_CREDENTIALS_COMPROMISED")))).act,
        Act::Incident
    );
    assert!(refused(read(&with(health(), "/detail/eventTypeCode", json!(3)))).contains("is a number"));
}
