use super::*;
use serde_json::json;

/// A function with nothing but what must be there, and `more` lines of properties.
fn small(head: &str, more: &str) -> String {
    let more = more.replace('\n', "\n      ");
    format!(
        "{head}
Resources:
  Role: {{Type: AWS::IAM::Role, Properties: {{RoleName: !Sub '${{AWS::StackName}}-role', Path: /suture/}}}}
  Queue: {{Type: AWS::SQS::Queue}}
  Log: {{Type: AWS::Logs::LogGroup, Properties: {{LogGroupName: /suture/log}}}}
  One:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/one/
      Role: !GetAtt Role.Arn
      {more}
"
    )
}

fn function(text: &str, world: &World) -> Result<FunctionSpec, String> {
    Template::parse(text, world).map(|template| template.functions.into_iter().next().unwrap())
}

/// The function of this logical id.
fn named<'a>(template: &'a Template, id: &str) -> &'a FunctionSpec {
    template.functions.iter().find(|function| function.logical_id == id).unwrap()
}

/// Resolves one value, as an environment variable.
fn resolved(head: &str, value: &str) -> Result<String, String> {
    let text = small(head, &format!("Environment: {{Variables: {{X: {value}}}}}"));
    let mut environment = function(&text, &World::default())?.environment;
    environment.remove("X").ok_or_else(|| "left out".to_owned())
}

#[test]
fn reads_a_whole_function() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/template/fixture.yaml"));
    let template = Template::read(path, &World::default()).unwrap();
    let function = named(&template, "S3PublicBucket");
    assert_eq!(function.code_dir, "s3-public-bucket");
    assert_eq!(function.role_name, "suture-s3-public-bucket-us-east-1");
    assert_eq!(function.role_arn, "arn:aws:iam::111122223333:role/suture-s3-public-bucket-us-east-1");
    assert_eq!((function.memory_mb, function.timeout), (256, 60));
    assert_eq!((function.reserved_concurrency, function.max_retries), (Some(5), 2));
    let environment: Vec<(&str, &str)> = function.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        environment,
        [
            ("SUTURE_ACCOUNTS", "111122223333"),
            ("SUTURE_MODE", "plan"),
            ("SUTURE_PARAMETERS", r#"{"phi_tag":"data-classification=phi","public_websites":"refuse"}"#),
            ("SUTURE_REGIONS", "us-east-1"),
            ("SUTURE_ROLE_ARN", function.role_arn.as_str()),
        ]
    );
    let [rule] = function.rules.as_slice() else { panic!("{:?}", function.rules) };
    assert_eq!(rule.name, "suture-s3-public-bucket");
    assert_eq!(rule.pattern["detail"]["errorCode"], json!([{"exists": false}]));
    let own = "/detail/$or/1/userIdentity/sessionContext/sessionIssuer/arn/0/anything-but";
    assert_eq!(rule.pattern.pointer(own), Some(&json!(function.role_arn)));
}

/// Whatever the template has by now, each of its functions can be run and something wakes it.
#[test]
fn reads_the_template_that_is_deployed() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml"));
    for function in Template::read(path, &World::default()).unwrap().functions {
        let id = &function.logical_id;
        assert!(function.role_arn.starts_with("arn:aws:iam::111122223333:role/"), "{id}: {}", function.role_arn);
        assert!(function.environment.contains_key("SUTURE_MODE"), "{id}");
        // The undo is nobody's but a person's to ask for.
        let woken = !function.rules.is_empty() || !function.schedules.is_empty() || !function.mappings.is_empty();
        assert_eq!(woken, function.code_dir != "undo", "{id}");
        assert!(!function.permissions.is_empty(), "{id}");
        assert!(function.schedules.iter().all(|schedule| schedule.function == function.code_dir), "{id}");
    }
}

#[test]
fn another_world_gives_other_names() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/template/fixture.yaml"));
    let mut world = World { partition: "aws-us-gov".into(), region: "us-gov-west-1".into(), ..World::default() };
    let parameters = [("Mode", "enforce"), ("Accounts", "111122223333,444455556666"), ("PublicWebsites", "close")];
    world.parameters.extend(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let template = Template::read(path, &world).unwrap();
    let function = named(&template, "S3PublicBucket");
    assert_eq!(function.role_arn, "arn:aws-us-gov:iam::111122223333:role/suture-s3-public-bucket-us-gov-west-1");
    assert_eq!(function.environment["SUTURE_MODE"], "enforce");
    assert_eq!(function.environment["SUTURE_ACCOUNTS"], "111122223333,444455556666");
    assert_eq!(function.environment["SUTURE_REGIONS"], "us-gov-west-1");
    assert!(function.environment["SUTURE_PARAMETERS"].contains(r#""public_websites":"close""#));
    world.parameters.insert("Mode".into(), "hope".into());
    assert!(Template::read(path, &world).unwrap_err().ends_with("Parameters.Mode: hope is not one of plan, enforce"));
    world.parameters = BTreeMap::from([("Nope".to_owned(), String::new())]);
    assert!(Template::read(path, &world).unwrap_err().contains("no parameter Nope"));
}

#[test]
fn intrinsics_in_both_forms() {
    let head = "Parameters: {P: {Type: String, Default: p}, L: {Type: CommaDelimitedList, Default: 'a, b'}, N: {Type: Number, Default: 7}}
Conditions:
  IsP: !Equals [!Ref P, p]
  NotP: !Not [!Condition IsP]
  Both: !And [{Condition: IsP}, !Not [{Condition: NotP}]]
  Either: {'Fn::Or': [{Condition: NotP}, !Equals [!Ref 'AWS::Region', eu-west-1]]}";
    for (value, expected) in [
        ("!Ref P", "p"),
        ("{Ref: P}", "p"),
        ("!Ref N", "7"),
        ("12", "12"),
        ("true", "true"),
        ("!Ref AWS::AccountId", "111122223333"),
        ("!Ref AWS::URLSuffix", "amazonaws.com"),
        ("!Ref Role", "suture-role"),
        ("!Ref Queue", "https://sqs.us-east-1.amazonaws.com/111122223333/suture-Queue"),
        ("!GetAtt Role.Arn", "arn:aws:iam::111122223333:role/suture/suture-role"),
        ("!GetAtt [Role, Arn]", "arn:aws:iam::111122223333:role/suture/suture-role"),
        ("{'Fn::GetAtt': [Queue, Arn]}", "arn:aws:sqs:us-east-1:111122223333:suture-Queue"),
        ("{'Fn::GetAtt': Log.Arn}", "arn:aws:logs:us-east-1:111122223333:log-group:/suture/log:*"),
        ("!GetAtt One.Arn", "arn:aws:lambda:us-east-1:111122223333:function:suture-One"),
        ("!Sub 'arn:${AWS::Partition}:x:${P}/${Queue.QueueName}/${!P}$'", "arn:aws:x:p/suture-Queue/${P}$"),
        ("!Sub ['${P}-${Own}', {Own: !Join ['+', [1, !Ref P]]}]", "p-1+p"),
        ("{'Fn::Sub': '${AWS::Region}'}", "us-east-1"),
        ("!Join ['-', !Ref L]", "a-b"),
        ("!Select [1, !Ref L]", "b"),
        ("!Select ['0', !Split [':', 'x:y']]", "x"),
        ("!If [IsP, yes, no]", "yes"),
        ("!If [NotP, yes, !If [Both, inner, no]]", "inner"),
        ("{'Fn::If': [Either, yes, !Ref P]}", "p"),
    ] {
        assert_eq!(resolved(head, value).as_deref(), Ok(expected), "{value}");
    }
    assert_eq!(resolved(head, "!If [NotP, yes, !Ref AWS::NoValue]"), Err("left out".to_owned()));
}

#[test]
fn what_cannot_be_resolved_names_the_place() {
    let circle = "Conditions: {A: {Condition: B}, B: {Condition: A}}";
    for (head, value, expected) in [
        ("", "!ImportValue other", "One.Environment.Variables.X: Fn::ImportValue"),
        ("", "!Ref Nothing", "One.Environment.Variables.X refers to Nothing"),
        ("", "!GetAtt Queue.Colour", "does not know the Colour of Queue (AWS::SQS::Queue)"),
        ("", "!Sub '${Role'", "One.Environment.Variables.X: a ${ without its }"),
        ("", "!If [Nope, 1, 2]", "there is no condition \"Nope\""),
        ("", "!Select [3, [a]]", "an index within its list"),
        ("", "[a]", "One.Environment.Variables.X: [\"a\"] is not text"),
        ("Parameters: {P: {Type: String}}", "x", "Parameters.P has no default"),
        (circle, "!If [A, 1, 2]", "a condition refers to itself"),
    ] {
        let error = resolved(head, value).unwrap_err();
        assert!(error.contains(expected), "{value}: {error}");
    }
    for (text, expected) in [
        ("a: [", "not YAML"),
        ("---\na: 1\n---\nb: 1", "2 YAML documents"),
        ("a: 1", "no Resources"),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: x}}}", "F has no Role"),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: {Role: x}}}", "F.CodeUri: \"\" names no folder"),
    ] {
        let error = Template::parse(text, &World::default()).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = Template::read(Path::new("no-such-template.yaml"), &World::default()).unwrap_err();
    assert!(error.starts_with("no-such-template.yaml: "), "{error}");
}

#[test]
fn names_that_refer_to_each_other_are_an_error() {
    let text = small("", "Environment: {Variables: {X: !Ref A}}").replace(
        "  Queue:",
        "  A: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt B.QueueName}}
  B: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt A.QueueName}}
  Queue:",
    );
    assert!(function(&text, &World::default()).unwrap_err().contains("refers to itself"));
}

#[test]
fn globals_are_merged_as_sam_does() {
    let head = "Globals: {Function: {Timeout: 60, MemorySize: 256, Environment: {Variables: {A: global, B: global}}}}";
    let text = small(head, "Timeout: 5\nEnvironment:\n  Variables: {B: own, C: own}");
    let function = function(&text, &World::default()).unwrap();
    assert_eq!((function.timeout, function.memory_mb), (5, 256));
    let pairs: Vec<String> = function.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(pairs, ["A=global", "B=own", "C=own"]);
    let bare = super::Template::parse(&small("", ""), &World::default()).unwrap().functions.remove(0);
    assert_eq!((bare.timeout, bare.memory_mb, bare.reserved_concurrency, bare.max_retries), (3, 128, None, 2));
    assert!(bare.environment.is_empty() && bare.rules.is_empty());
}

#[test]
fn rules_and_schedules_of_both_kinds() {
    let text = small(
        "Conditions: {Never: !Equals [1, 2]}",
        "Events:
  Drift: {Type: EventBridgeRule, Properties: {Pattern: {source: [aws.s3]}}}
  Off: {Type: EventBridgeRule, Properties: {State: DISABLED, Pattern: {source: [aws.s3]}}}
  Hourly: {Type: Schedule, Properties: {Schedule: rate(1 hour), Input: '{\"sweep\": true}'}}
  Never: {Type: Schedule, Properties: {Schedule: rate(1 hour), Enabled: false}}
  Nightly: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), Name: nightly}}
  Idle: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), State: DISABLED}}
  Queue: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn}}",
    ) + "
  Apart:
    Type: AWS::Events::Rule
    Properties:
      Name: !Sub '${AWS::StackName}-apart'
      EventPattern: {detail: {arn: [!GetAtt Role.Arn]}}
      Targets: [{Id: q, Arn: !GetAtt Queue.Arn}, {Id: f, Arn: !GetAtt One.Arn}]
  Sweep: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 day), Targets: [{Id: f, Arn: !GetAtt One.Arn}]}}
  Elsewhere: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [x]}, Targets: [{Id: q, Arn: !GetAtt Queue.Arn}]}}
  Absent:
    Type: AWS::Events::Rule
    Condition: Never
    Properties: {EventPattern: {source: [x]}, Targets: [{Id: f, Arn: !GetAtt One.Arn}]}
  Later: {Type: AWS::Scheduler::Schedule, Properties: {ScheduleExpression: rate(2 days), Target: {Arn: !GetAtt One.Arn, Input: !Sub '{\"region\": \"${AWS::Region}\"}'}}}
  Permission: {Type: AWS::Lambda::Permission, Properties: {Action: lambda:InvokeFunction, FunctionName: !Ref One, Principal: config.amazonaws.com}}
  Gone: {Type: AWS::Serverless::Function, Condition: Never, Properties: {}}
";
    let template = Template::parse(&text, &World::default()).unwrap();
    assert_eq!(template.functions.len(), 1);
    let rules: Vec<(&str, String)> =
        template.functions[0].rules.iter().map(|rule| (rule.name.as_str(), rule.pattern.to_string())).collect();
    assert_eq!(
        rules,
        [
            ("suture-OneDrift", r#"{"source":["aws.s3"]}"#.to_owned()),
            ("suture-apart", r#"{"detail":{"arn":["arn:aws:iam::111122223333:role/suture/suture-role"]}}"#.to_owned()),
        ]
    );
    let schedules: Vec<_> = template.functions[0]
        .schedules
        .iter()
        .map(|one| (one.name.as_str(), one.expression.as_str(), one.scheduler, one.input.clone()))
        .collect();
    assert_eq!(
        schedules,
        [
            ("suture-OneHourly", "rate(1 hour)", false, Some(json!({"sweep": true}))),
            ("nightly", "rate(1 day)", true, None),
            ("suture-Later", "rate(2 days)", true, Some(json!({"region": "us-east-1"}))),
            ("suture-Sweep", "rate(1 day)", false, None),
        ]
    );
    assert!(template.functions[0].schedules.iter().all(|one| one.function == "one"));
    let error = function(&small("", "Events: {E: {Type: Schedule, Properties: {}}}"), &World::default()).unwrap_err();
    assert!(error.starts_with("One.Events.E has no Schedule"), "{error}");
    let error =
        function(&small("", "Events: {E: {Type: EventBridgeRule, Properties: {}}}"), &World::default()).unwrap_err();
    assert!(error.starts_with("One.Events.E has neither a Pattern nor a schedule"), "{error}");
}

const REMEMBERED: &str = r#"
Conditions:
  Never: !Equals [a, b]
Resources:
  Key: {Type: AWS::KMS::Key}
  Alias: {Type: AWS::KMS::Alias, Properties: {AliasName: alias/suture, TargetKeyId: !Ref Key}}
  LedgerTable: {Type: AWS::DynamoDB::Table, Properties: {SSESpecification: {KMSMasterKeyId: !GetAtt Key.Arn}}}
  EvidenceBucket: {Type: AWS::S3::Bucket}
  Topic: {Type: AWS::SNS::Topic}
  Mail: {Type: AWS::SNS::Subscription, Condition: Never, Properties: {TopicArn: !Ref Topic}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument: {Statement: {Effect: Allow, Action: sns:Publish, Resource: !Ref Topic}}
        - PolicyDocument: {Statement: [{Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt LedgerTable.Arn}]}
  Other: {Type: AWS::IAM::Role, Properties: {Policies: [{PolicyDocument: {Statement: [{Effect: Deny}]}}]}}
  One:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/one/
      Role: !GetAtt Role.Arn
      Environment: {Variables: {X: VALUE}}
      Events:
        Ledger:
          Type: DynamoDB
          Properties: {Stream: !GetAtt LedgerTable.StreamArn, StartingPosition: LATEST}
        Off:
          Type: DynamoDB
          Properties: {Stream: !GetAtt LedgerTable.StreamArn, StartingPosition: LATEST, Enabled: false}
        Queue: {Type: SQS, Properties: {Queue: a}}
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: !GetAtt LedgerTable.StreamArn
      FunctionName: !Ref One
      BatchSize: 7
      MaximumRetryAttempts: 4
      MaximumRecordAgeInSeconds: 3600
      BisectBatchOnFunctionError: true
      FunctionResponseTypes: [ReportBatchItemFailures]
      FilterCriteria: {Filters: [{Pattern: '{"eventName": ["INSERT"]}'}]}
      DestinationConfig: {OnFailure: {Destination: arn:aws:sqs:us-east-1:111122223333:lost}}
"#;

#[test]
fn what_is_remembered_has_the_names_that_cloudformation_gives() {
    let value = |value: &str| {
        let text = REMEMBERED.replace("VALUE", value);
        function(&text, &World::default()).unwrap().environment["X"].clone()
    };
    let table = "arn:aws:dynamodb:us-east-1:111122223333:table/suture-LedgerTable";
    for (reference, expected) in [
        ("!Ref LedgerTable", "suture-LedgerTable".to_owned()),
        ("!GetAtt LedgerTable.Arn", table.to_owned()),
        ("!GetAtt LedgerTable.StreamArn", format!("{table}/stream/{STREAM}")),
        // No capitals in the name of a bucket.
        (
            "!Sub '${EvidenceBucket} ${EvidenceBucket.Arn}'",
            "suture-evidencebucket arn:aws:s3:::suture-evidencebucket".to_owned(),
        ),
        ("!Ref Topic", "arn:aws:sns:us-east-1:111122223333:suture-Topic".to_owned()),
        ("!GetAtt Topic.TopicName", "suture-Topic".to_owned()),
        ("!Ref Alias", "alias/suture".to_owned()),
        ("!Sub 'arn:aws:kms:us-east-1:111122223333:key/${Key}'", value("!GetAtt Key.Arn")),
    ] {
        assert_eq!(value(reference), expected, "{reference}");
    }
    let key = value("!Ref Key");
    assert_eq!(key.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert_eq!(key, value("!Ref Key"));
    let template = Template::parse(&REMEMBERED.replace("VALUE", "x"), &World::default()).unwrap();
    let names: Vec<_> = template.resources.iter().map(|spec| (spec.logical_id.as_str(), spec.name.as_str())).collect();
    assert_eq!(
        names,
        [
            ("Alias", "alias/suture"),
            ("EvidenceBucket", "suture-evidencebucket"),
            ("Key", key.as_str()),
            ("LedgerTable", "suture-LedgerTable"),
            ("Topic", "suture-Topic"),
        ]
    );
    let table = template.resources.iter().find(|spec| spec.logical_id == "LedgerTable").unwrap();
    assert!(table.properties["SSESpecification"]["KMSMasterKeyId"].as_str().unwrap().ends_with(&key));
}

#[test]
fn a_functions_mappings_and_permissions_are_its_own() {
    let function = function(&REMEMBERED.replace("VALUE", "x"), &World::default()).unwrap();
    let [by_event, by_itself] = function.mappings.as_slice() else { panic!("{:?}", function.mappings) };
    assert_eq!((by_event.name.as_str(), by_event.table()), ("suture-OneLedger", "suture-LedgerTable"));
    assert_eq!((by_event.batch, by_event.retries, by_event.longest), (100, None, None));
    assert!(!by_event.bisect && !by_event.partial && by_event.filters.is_empty() && by_event.on_failure.is_none());
    assert_eq!((by_itself.name.as_str(), by_itself.batch, by_itself.retries), ("suture-Mapping", 7, Some(4)));
    assert_eq!(by_itself.longest, Some(std::time::Duration::from_hours(1)));
    assert!(by_itself.bisect && by_itself.partial);
    assert_eq!(by_itself.filters, [json!({"eventName": ["INSERT"]})]);
    assert_eq!(by_itself.on_failure.as_deref(), Some("arn:aws:sqs:us-east-1:111122223333:lost"));
    let actions: Vec<_> = function.permissions.iter().map(|one| one["Action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["sns:Publish", "dynamodb:GetItem"]);
    assert_eq!(function.permissions[0]["Resource"], "arn:aws:sns:us-east-1:111122223333:suture-Topic");
}

#[test]
fn the_whole_of_it_is_what_exists_resolved() {
    let head = "Globals: {Function: {Timeout: 60}}
Conditions: {Never: !Equals [1, 2]}
Outputs: {Role: {Value: !GetAtt Role.Arn}}";
    let text = small(head, "MemorySize: !If [Never, 1, 2]") + "  Gone: {Type: AWS::SQS::Queue, Condition: Never}\n";
    let whole = whole(&text, &World::default()).unwrap();
    assert_eq!(whole["Outputs"], json!({"Role": {"Value": "arn:aws:iam::111122223333:role/suture/suture-role"}}));
    let names: Vec<_> = whole["Resources"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["Log", "One", "Queue", "Role"]);
    let one = &whole["Resources"]["One"];
    assert_eq!(one["Type"], "AWS::Serverless::Function");
    assert_eq!((&one["Properties"]["Timeout"], &one["Properties"]["MemorySize"]), (&json!(60), &json!(2)));
    assert_eq!(whole["Resources"]["Queue"]["Properties"], json!({}));
}

#[test]
fn a_rule_by_itself_needs_a_permission() {
    let rule = "
  Apart:
    Type: AWS::Events::Rule
    Properties:
      Name: !Sub '${AWS::StackName}-one-findings'
      EventPattern: {source: [x]}
      Targets: [{Id: f, Arn: !GetAtt One.Arn, DeadLetterConfig: {Arn: !GetAtt Queue.Arn}}]
  Permission:
    Type: AWS::Lambda::Permission
    Properties: {Action: lambda:InvokeFunction, FunctionName: !Ref One, Principal: PRINCIPAL, SourceArn: !Sub 'SOURCE'}
";
    let source = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}";
    for (principal, source, permitted) in [
        ("events.amazonaws.com", format!("{source}-one*"), true),
        ("events.amazonaws.com", format!("{source}-one-findings"), true),
        ("events.amazonaws.com", format!("{source}-two*"), false),
        ("config.amazonaws.com", format!("{source}-one*"), false),
    ] {
        let text = small("", "Timeout: 3") + &rule.replace("PRINCIPAL", principal).replace("SOURCE", &source);
        let rules = function(&text, &World::default()).unwrap().rules;
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].permitted, permitted, "{principal} {source}");
        assert_eq!(rules[0].dead_letters.as_deref(), Some("arn:aws:sqs:us-east-1:111122223333:suture-Queue"));
    }
    let by_sam = small("", "Events: {Drift: {Type: EventBridgeRule, Properties: {Pattern: {source: [x]}}}}");
    assert!(function(&by_sam, &World::default()).unwrap().rules[0].permitted, "SAM makes the permission");
}
