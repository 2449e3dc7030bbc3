use super::*;
use crate::understand::understand;
use http::Method;

const TABLE: &str = "arn:aws:dynamodb:us-east-1:111122223333:table/ledger";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1";
const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:suture";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The role `suture` with these statements, and a table, a bucket and a topic with a key.
fn permissions(statements: &Value) -> Permissions {
    let rights = Rights { statements: statements.as_array().cloned().unwrap(), ..Rights::default() };
    let mut estate = Estate { tables: BTreeMap::from([("ledger".to_owned(), "pk".to_owned())]), ..Estate::default() };
    for of in [TABLE, "arn:aws:s3:::evidence", TOPIC] {
        estate.keys.insert(of.to_owned(), KEY.to_owned());
    }
    let roles = BTreeMap::from([((ACCOUNT.to_owned(), "suture".to_owned()), rights)]);
    Permissions(RwLock::new(State { roles, estate }))
}

fn key() -> About {
    About { key: Some(KEY.to_owned()), organization: None }
}

fn by_role(service: &str, request: ApiRequest) -> Call {
    let scope = format!("x Credential=ASIA/20260101/us-east-1/{service}/aws4_request, Signature=0");
    let role = |_: &str| Caller::Role {
        account: ACCOUNT.to_owned(),
        role: "suture".to_owned(),
        session: "recorder".to_owned(),
        access_key: "ASIA".to_owned(),
    };
    understand(request.header("authorization", &scope), &role)
}

fn post(body: impl Into<String>) -> ApiRequest {
    ApiRequest::new(Method::POST, "/").body(body.into())
}

fn json_call(service: &str, target: &str, body: &Value) -> Call {
    by_role(service, post(body.to_string()).header("x-amz-target", target))
}

fn dynamodb(operation: &str, body: &Value) -> Call {
    json_call("dynamodb", &format!("DynamoDB_20120810.{operation}"), body)
}

fn form_call(service: &str, body: &str) -> Call {
    by_role(service, post(body).header(FORM.0, FORM.1))
}

/// What a call needs, one line each.
fn needed(call: &Call) -> Vec<String> {
    let all = permissions(&json!([]));
    let state = all.read();
    let needs = needs::needs(call, &state.estate, &key());
    needs.iter().map(|need| format!("{} {}", need.action, need.resource)).collect()
}

#[test]
fn each_call_needs_its_action_on_what_it_is_about() {
    let get = |target: &str| ApiRequest::new(Method::GET, target);
    let put = |target: &str| ApiRequest::new(Method::PUT, target);
    let account = get("/v20180820/configuration/publicAccessBlock").header("x-amz-account-id", ACCOUNT);
    let sg = "arn:aws:ec2:us-east-1:111122223333:security-group";
    for (call, expected) in [
        (
            by_role("s3", get("/clinic-scans?publicAccessBlock")),
            vec!["s3:GetBucketPublicAccessBlock arn:aws:s3:::clinic-scans"],
        ),
        (by_role("s3", get("/")), vec!["s3:ListAllMyBuckets *"]),
        (
            by_role("s3", get("/clinic-scans/a/b?versionId=1")),
            vec!["s3:GetObjectVersion arn:aws:s3:::clinic-scans/a/b"],
        ),
        (
            by_role("s3", put("/evidence/a").header("x-amz-object-lock-mode", "GOVERNANCE")),
            vec![
                "s3:PutObject arn:aws:s3:::evidence/a",
                "s3:PutObjectRetention arn:aws:s3:::evidence/a",
                "kms:GenerateDataKey arn:aws:kms:us-east-1:111122223333:key/1",
            ],
        ),
        (by_role("s3", account), vec!["s3:GetAccountPublicAccessBlock *"]),
        (form_call("ec2", "Action=DescribeSecurityGroups&GroupId.1=sg-1"), vec!["ec2:DescribeSecurityGroups *"]),
        (
            form_call(
                "ec2",
                "Action=AuthorizeSecurityGroupIngress&GroupId=sg-1&TagSpecification.1.ResourceType=security-group-rule&TagSpecification.1.Tag.1.Key=a",
            ),
            vec![
                &format!("ec2:AuthorizeSecurityGroupIngress {sg}/sg-1"),
                &format!("ec2:AuthorizeSecurityGroupIngress {sg}-rule/*"),
                &format!("ec2:CreateTags {sg}-rule/*"),
            ],
        ),
        (
            form_call("ec2", "Action=CreateSecurityGroup&GroupName=q&VpcId=vpc-1"),
            vec![
                &format!("ec2:CreateSecurityGroup {sg}/*"),
                "ec2:CreateSecurityGroup arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1",
            ],
        ),
        (
            form_call("ec2", "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId=eni-1&SecurityGroupId.1=sg-1"),
            vec![
                "ec2:ModifyNetworkInterfaceAttribute arn:aws:ec2:us-east-1:111122223333:network-interface/eni-1",
                &format!("ec2:ModifyNetworkInterfaceAttribute {sg}/sg-1"),
            ],
        ),
        (
            form_call("ec2", "Action=CreateTags&ResourceId.1=eni-1&ResourceId.2=weird&Tag.1.Key=a"),
            vec![
                "ec2:CreateTags arn:aws:ec2:us-east-1:111122223333:network-interface/eni-1",
                "ec2:CreateTags arn:aws:ec2:us-east-1:111122223333:*/weird",
            ],
        ),
        (
            form_call("iam", "Action=UpdateAccessKey&UserName=bob&AccessKeyId=AKIA"),
            vec!["iam:UpdateAccessKey arn:aws:iam::111122223333:user/bob"],
        ),
        (form_call("iam", "Action=GetAccessKeyLastUsed&AccessKeyId=AKIA"), vec!["iam:GetAccessKeyLastUsed *"]),
        (json_call("kms", "TrentService.DescribeKey", &json!({"KeyId": "1"})), vec![&format!("kms:DescribeKey {KEY}")]),
        (
            json_call("events", "AWSEvents.ListTargetsByRule", &json!({"Rule": "suture-x"})),
            vec!["events:ListTargetsByRule arn:aws:events:us-east-1:111122223333:rule/suture-x"],
        ),
        (json_call("events", "AWSEvents.ListRules", &json!({"NamePrefix": "suture"})), vec!["events:ListRules *"]),
        (
            by_role("lambda", get("/2019-09-30/functions/suture-undo/concurrency")),
            vec!["lambda:GetFunctionConcurrency arn:aws:lambda:us-east-1:111122223333:function:suture-undo"],
        ),
        (
            by_role("lambda", ApiRequest::new(Method::POST, "/2015-03-31/functions/suture-undo/invocations")),
            vec!["lambda:InvokeFunction arn:aws:lambda:us-east-1:111122223333:function:suture-undo"],
        ),
        (by_role("lambda", get("/2015-03-31/functions/")), vec!["lambda:ListFunctions *"]),
        (
            json_call("sqs", "AmazonSQS.SendMessageBatch", &json!({"QueueUrl": "https://sqs.x/111122223333/sweeps"})),
            vec!["sqs:SendMessage arn:aws:sqs:us-east-1:111122223333:sweeps"],
        ),
        (
            form_call("sts", "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2Fmember"),
            vec!["sts:AssumeRole arn:aws:iam::444455556666:role/member"],
        ),
        (form_call("sts", "Action=GetCallerIdentity"), vec![]),
        (
            by_role("securityhub", ApiRequest::new(Method::PATCH, "/findingsv2/batchupdatev2").body("{}")),
            vec!["securityhub:BatchUpdateFindings arn:aws:securityhub:us-east-1:111122223333:hub/default"],
        ),
        (json_call("config", "StarlingDoveService.PutEvaluations", &json!({})), vec!["config:PutEvaluations *"]),
        (
            form_call("sns", "Action=Publish&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A111122223333%3Asuture&Message=x"),
            vec![&format!("sns:Publish {TOPIC}"), &format!("kms:GenerateDataKey {KEY}"), &format!("kms:Decrypt {KEY}")],
        ),
        (dynamodb("DescribeTable", &json!({"TableName": "ledger"})), vec![&format!("dynamodb:DescribeTable {TABLE}")]),
        (
            dynamodb("Query", &json!({"TableName": "ledger", "IndexName": "by-id"})),
            vec![&format!("dynamodb:Query {TABLE}/index/by-id"), &format!("kms:Decrypt {KEY}")],
        ),
        (
            dynamodb(
                "TransactWriteItems",
                &json!({"TransactItems": [
                    {"Put": {"TableName": "ledger"}}, {"Update": {"TableName": "ledger"}},
                    {"Put": {"TableName": "ledger"}}, {"ConditionCheck": {"TableName": TABLE}},
                ]}),
            ),
            vec![
                &format!("dynamodb:ConditionCheckItem {TABLE}"),
                &format!("dynamodb:PutItem {TABLE}"),
                &format!("dynamodb:UpdateItem {TABLE}"),
                &format!("kms:Decrypt {KEY}"),
            ],
        ),
        // What the lab does not know needs an action that no policy has.
        (by_role("guardduty", ApiRequest::new(Method::POST, "/detector")), vec!["guardduty:Unknown *"]),
    ] {
        assert_eq!(needed(&call), expected, "{}:{}", call.service, call.operation);
    }
}

#[test]
fn a_role_may_be_kept_to_some_partitions() {
    let some = permissions(&json!([
        {
            "Effect": "Allow", "Action": "dynamodb:*", "Resource": TABLE,
            "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["resource#*", "approvals"]}},
        },
        {
            "Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY,
            "Condition": {"StringEquals": {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}},
        },
    ]));
    let part = |kind: &str, key: &str| {
        let item = if kind == "Put" { "Item" } else { "Key" };
        json!({kind: {"TableName": "ledger", item: {"pk": {"S": key}, "sk": {"S": "deployment"}}}})
    };
    for (parts, allowed) in [
        (json!([part("Put", "resource#a"), part("Update", "approvals")]), true),
        (json!([part("Put", "resource#a"), part("Put", "deployment")]), false),
        (json!([part("Put", "resource#a"), part("Delete", "deployment")]), false),
        (json!([part("ConditionCheck", "approvals#")]), false),
    ] {
        let call = dynamodb("TransactWriteItems", &json!({ "TransactItems": parts }));
        assert_eq!(some.refusal(&call, &About::default()).is_none(), allowed, "{parts}");
    }
    let get = |key: &str| dynamodb("GetItem", &json!({"TableName": TABLE, "Key": {"pk": {"S": key}}}));
    assert!(
        some.refusal(&get("approvals"), &About::default()).is_none()
            && some.refusal(&get("deployment"), &About::default()).is_some()
    );
    // The key, for nothing but DynamoDB.
    let decrypt = json_call("kms", "TrentService.Decrypt", &json!({"KeyId": KEY}));
    assert!(some.refusal(&decrypt, &key()).is_some());
}

#[test]
fn roles_of_one_organisation_may_be_wanted_and_of_no_other() {
    let members = permissions(&json!([{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/suture-member-undo",
        "Condition": {"StringEquals": {"aws:ResourceOrgID": "o-a1b2c3d4e5"}},
    }]));
    let of = |organization: Option<&str>, role: &str| {
        let call =
            form_call("sts", &format!("Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A444455556666%3Arole%2F{role}"));
        members.refusal(&call, &About { key: None, organization: organization.map(str::to_owned) }).is_none()
    };
    assert!(of(Some("o-a1b2c3d4e5"), "suture-member-undo"));
    assert!(!of(Some("o-a1b2c3d4e5"), "suture-member-s3-public-bucket"));
    assert!(!of(Some("o-0000000000"), "suture-member-undo") && !of(None, "suture-member-undo"));
}

#[test]
fn a_refusal_is_in_the_services_words() {
    let none = permissions(&json!([]));
    let finding = json!({"Findings": [{"ProductArn": "arn:aws:securityhub:us-east-1::product/111122223333/default"}]});
    let publish = "Action=Publish&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A111122223333%3Asuture&Message=x";
    let publishes = permissions(&json!([{"Effect": "Allow", "Action": "sns:Publish", "Resource": TOPIC}]));
    let denies = permissions(&json!([{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}]));
    for (who, call, status, said) in [
        (&none, dynamodb("GetItem", &json!({"TableName": "ledger"})), 400, r#""__type":"AccessDeniedException""#),
        (&none, form_call("sns", publish), 403, "AuthorizationError"),
        (&publishes, form_call("sns", publish), 400, "<Code>KMSAccessDenied</Code>"),
        (
            &none,
            by_role("s3", ApiRequest::new(Method::PUT, "/evidence/a")),
            403,
            "<Code>AccessDenied</Code><Message>User: arn:aws:sts::111122223333:assumed-role/suture/recorder is not \
             authorized to perform: s3:PutObject on resource: &quot;arn:aws:s3:::evidence/a&quot; because no \
             identity-based policy allows the s3:PutObject action",
        ),
        (
            &none,
            form_call("ec2", "Action=DeleteSecurityGroup&GroupId=sg-1"),
            403,
            "<Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation. User: ",
        ),
        (&none, form_call("iam", "Action=ListUsers"), 403, "<Code>AccessDenied</Code>"),
        (&denies, form_call("iam", "Action=ListUsers"), 403, "with an explicit deny in an identity-based policy"),
        (&none, json_call("kms", "TrentService.DescribeKey", &json!({})), 400, "AccessDeniedException"),
        (
            &none,
            by_role("securityhub", ApiRequest::new(Method::POST, "/findings/import").body(finding.to_string())),
            403,
            "securityhub:BatchImportFindings on resource: arn:aws:securityhub",
        ),
    ] {
        let answer = who.refusal(&call, &key()).unwrap();
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status.as_u16() == status && body.contains(said), "{} {body}", answer.status);
    }
    let mut user = dynamodb("GetItem", &json!({"TableName": "ledger"}));
    user.caller = Caller::User { account: String::new(), name: String::new(), access_key: String::new() };
    assert!(none.refusal(&user, &About::default()).is_none());
    assert!(none.allow("somebody", "iam:CreateUser", "*") && !none.allow("suture", "iam:CreateUser", "*"));
}

#[test]
fn what_is_taken_away_is_missed_and_what_was_used_is_known() {
    let all = permissions(&json!([
        {"Effect": "Allow", "Action": ["s3:GetBucketAcl", "s3:PutBucketAcl"], "Resource": "arn:aws:s3:::*"},
        {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
    ]));
    let grant = |action: &str, resource: &str| Grant { action: action.to_owned(), resource: resource.to_owned() };
    let acl = grant("s3:GetBucketAcl", "arn:aws:s3:::*");
    let call = by_role("s3", ApiRequest::new(Method::GET, "/clinic-scans?acl"));
    assert!(all.refusal(&call, &About::default()).is_none());
    assert_eq!(all.used(ACCOUNT, "suture"), BTreeSet::from([acl.clone()]));
    assert_eq!(all.grants(ACCOUNT, "suture").len(), 3);
    all.withhold(ACCOUNT, "suture", [acl]);
    assert!(all.refusal(&call, &About::default()).is_some());
    all.withhold(ACCOUNT, "suture", []);
    all.forget(ACCOUNT, "suture");
    assert!(all.used(ACCOUNT, "suture").is_empty() && all.refusal(&call, &About::default()).is_none());
    // Of the same name, in another account.
    assert!(all.allows("444455556666", "suture", "iam:CreateUser", "*"));
}
