//! The parts of `template.yaml` that are made from what the functions' binaries say of themselves: fifty controls are
//! fifty sections alike, and a hand that writes the fiftieth slips. What is written by hand stays as it is.

mod alarms;
pub mod member;
mod roles;
mod rules;

pub use roles::{LEDGER, RUNTIME, SWEEP, actions, ledger, member_of, replies, undo_actions, undo_allowed};

use crate::{About, Kind, Setting};
use roles::{role, undo};
use rules::{calls, findings, sweep, watch_over_rules};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where the made parts begin and end.
const BEGIN: &str = "# made from the code: BLESS=1 cargo test -p system-tests --test agree";
const END: &str = "# end of what is made from the code";

/// The template with its made parts made anew.
///
/// # Panics
/// If the marks are not there in pairs.
pub fn remade(template: &str, controls: &[About]) -> String {
    let parts = [
        parameters(controls),
        settings_group(controls),
        undo(controls),
        alarms::made(controls),
        sections(controls),
        outputs(controls),
    ];
    let mut remade = String::new();
    let mut rest = template;
    for part in parts {
        let begin = rest.find(BEGIN).expect("a mark") + BEGIN.len() + 1;
        let end = rest.find(END).expect("the mark's other half");
        let indent = rest[..end].rfind('\n').expect("a line before") + 1;
        remade.push_str(&rest[..begin]);
        remade.push_str(&part);
        remade.push_str(&rest[indent..end + END.len()]);
        rest = &rest[end + END.len()..];
    }
    assert!(!rest.contains(BEGIN), "one part too many");
    remade.push_str(rest);
    remade
}

/// `s3-public-bucket` as `S3PublicBucket`.
pub fn pascal_case(id: &str) -> String {
    id.split('-').flat_map(|word| [word[..1].to_uppercase(), word[1..].to_owned()]).collect()
}

/// How many resources the stack has after SAM: it makes a rule and a permission of each rule and schedule, a mapping of a
/// stream or queue, and a configuration of what is to happen to events.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources.html>
///
/// # Panics
/// If it is no template.
pub fn resources(template: &serde_json::Value) -> usize {
    let mut count = 0;
    for resource in template["Resources"].as_object().unwrap().values() {
        count += 1;
        let properties = &resource["Properties"];
        if resource["Type"] == "AWS::Serverless::Function" {
            let events = properties["Events"].as_object();
            let of =
                |event: &serde_json::Value| if event["Type"] == "DynamoDB" || event["Type"] == "SQS" { 1 } else { 2 };
            count += events.map_or(0, |events| events.values().map(of).sum());
            count += usize::from(properties.get("EventInvokeConfig").is_some());
        }
    }
    count
}

/// A text in double quotes, as YAML takes JSON's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn parameters(controls: &[About]) -> String {
    let mut known: BTreeMap<&str, (&Setting, Vec<&str>)> = BTreeMap::new();
    let mut order = Vec::new();
    for control in controls {
        // What the stack itself made is nothing to ask for.
        for setting in control.settings.iter().filter(|setting| setting.kind != Kind::Deployed) {
            let (first, users) = known.entry(&setting.parameter).or_insert_with(|| {
                order.push(&setting.parameter);
                (setting, Vec::new())
            });
            assert!(
                (&first.description, &first.kind, &first.default)
                    == (&setting.description, &setting.kind, &setting.default),
                "{}: the parameter {} means something else elsewhere",
                control.id,
                setting.parameter
            );
            users.push(&control.id);
        }
    }
    let mut text = String::new();
    for name in order {
        let (setting, users) = &known[name.as_str()];
        let _ = write!(text, "\n  {name}: # {}\n    Description: {}\n", users.join(", "), quoted(&setting.description));
        let _ = match &setting.kind {
            Kind::Text(pattern) => write!(text, "    Type: String\n    AllowedPattern: {}\n", quoted(pattern)),
            Kind::Choice(values) => {
                let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
                write!(text, "    Type: String\n    AllowedValues: [{}]\n", values.join(", "))
            }
            Kind::Number(least, most) => {
                write!(text, "    Type: Number\n    MinValue: {least}\n    MaxValue: {most}\n")
            }
            Kind::Deployed => Ok(()),
        };
        let default =
            if matches!(setting.kind, Kind::Number(..)) { setting.default.clone() } else { quoted(&setting.default) };
        let _ = writeln!(text, "    Default: {default}");
    }
    text.push('\n');
    text
}

/// The controls' settings in the order of [`parameters`], for the console's form.
fn settings_group(controls: &[About]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for setting in controls.iter().flat_map(|about| &about.settings).filter(|one| one.kind != Kind::Deployed) {
        if !names.contains(&setting.parameter.as_str()) {
            names.push(&setting.parameter);
        }
    }
    names.iter().fold(String::new(), |mut text, name| {
        let _ = writeln!(text, "          - {name}");
        text
    })
}

fn sections(controls: &[About]) -> String {
    let mut text: String = controls.iter().map(section).collect();
    text.push_str(
        "
  # --- every sweep's queue ---

  SweepQueuesPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues:
",
    );
    for About { id, .. } in controls.iter().filter(|about| about.sweeps.is_some()) {
        let _ = writeln!(text, "        - !Ref {}SweepQueue", pascal_case(id));
    }
    text.push_str(
        "      PolicyDocument:
        Version: \"2012-10-17\"
        Statement:
          - Sid: EncryptedInTransit
            Effect: Deny
            Principal: \"*\"
            Action: sqs:*
            Resource: !Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-*SweepQueue-*
            Condition:
              Bool: {aws:SecureTransport: \"false\"}

",
    );
    text
}

fn section(about: &About) -> String {
    let (id, logical) = (&about.id, pascal_case(&about.id));
    let mut text = format!("\n  # --- {id}: {} ---\n\n", about.title);
    let _ = write!(
        text,
        "  {logical}:
    Type: AWS::Serverless::Function
    Metadata:
      BuildMethod: rust-cargolambda # SAM CLI 1.165 or later: earlier ones compile the workspace once per function
    Properties:
      FunctionName: !Sub ${{AWS::StackName}}-{id} # what a person types in an incident
      Description: {}
      CodeUri: functions/{id}/
      Role: !GetAtt {logical}Role.Arn
      LoggingConfig:
        LogGroup: !Ref {logical}Log
      Environment:
        Variables:
          # Our own calls come back as events; the code knows them by these, {{account}} being whichever it was in.
          SUTURE_ROLE_ARN: !Sub \"${{{logical}Role.Arn}},${{UndoRole.Arn}}{}\"
",
        quoted(&about.title),
        if about.works_in_members() {
            [id.as_str(), "undo"].map(|lent| format!(",{}", roles::member_of("{account}", lent))).concat()
        } else {
            String::new()
        }
    );
    if about.works_in_members() {
        let _ = writeln!(
            text,
            "          SUTURE_MEMBER_ROLE: !If [HasMembers, !Sub \"{}\", \"\"]",
            roles::member_of("{account}", id)
        );
    }
    if about.sweeps.is_some() {
        let _ = writeln!(text, "          SUTURE_SWEEP_QUEUE: !Ref {logical}SweepQueue");
    }
    if !about.settings.is_empty() {
        let _ = writeln!(text, "          SUTURE_PARAMETERS: !Sub '{}'", settings(&about.settings));
    }
    if about.sweeps.is_some() {
        let _ = write!(
            text,
            "      Events:
        Parts: # of a sweep that is too large for one invocation
          Type: SQS
          Properties:
            Queue: !GetAtt {logical}SweepQueue.Arn
            BatchSize: 10
            FunctionResponseTypes: [ReportBatchItemFailures] # one part that fails must not take its neighbours with it
            ScalingConfig: {{MaximumConcurrency: 2}} # a sweep leaves room for events
"
        );
    }
    text.push_str(
        "      # Until the function has answered. An old event does no harm: it only says where to look.
      EventInvokeConfig:
        MaximumRetryAttempts: 2
        MaximumEventAgeInSeconds: 21600
        DestinationConfig:
          OnFailure:
            Type: SQS
            Destination: !GetAtt UnhandledEvents.Arn
",
    );
    text.push_str(&calls(about, &logical));
    text.push_str(&watch_over_rules(about, &logical));
    text.push_str(&findings(about, &logical));
    text.push_str(&sweep(about, &logical));
    text.push_str(&permissions(about, &logical));
    text.push_str(&role(about, &logical));
    let _ = write!(
        text,
        "
  {logical}Log:
    Type: AWS::Logs::LogGroup
    # The record outlives the stack. It has no fixed name, so that the next stack can make its own beside it.
    DeletionPolicy: RetainExceptOnCreate
    UpdateReplacePolicy: Retain
    Properties:
      RetentionInDays: !Ref LogRetentionDays
      KmsKeyId: !If [MakesKey, !GetAtt Key.Arn, !Ref KeyArn]
"
    );
    text
}

/// Who may invoke the function: EventBridge for the rules and schedule above, all of them by one permission, since each is a
/// resource of the stack; and AWS Config, for a rule of its own that has the function for its Lambda function.
fn permissions(about: &About, logical: &str) -> String {
    let mut text = format!(
        "
  {logical}ForRules: # all of the above: their names begin alike
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref {logical}
      Principal: events.amazonaws.com
      SourceArn: !Sub arn:${{AWS::Partition}}:events:${{AWS::Region}}:${{AWS::AccountId}}:rule/${{AWS::StackName}}-{}*
",
        about.id
    );
    if about.answers_config() {
        let _ = write!(
            text,
            "
  # Rules of AWS Config may have it for their function.
  # https://docs.aws.amazon.com/config/latest/developerguide/evaluate-config_develop-rules_lambda-functions.html
  {logical}ForConfig:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      FunctionName: !Ref {logical}
      Principal: config.amazonaws.com
      SourceAccount: !Ref AWS::AccountId
"
        );
    }
    text.push('\n');
    text
}

/// The control's parameters as JSON, for `Fn::Sub`.
fn settings(settings: &[Setting]) -> String {
    let field = |setting: &Setting| match setting.kind {
        Kind::Number(..) => format!("\"{}\":${{{}}}", setting.field, setting.parameter),
        _ => format!("\"{}\":\"${{{}}}\"", setting.field, setting.parameter),
    };
    format!("{{{}}}", settings.iter().map(field).collect::<Vec<_>>().join(","))
}

fn outputs(controls: &[About]) -> String {
    let mut text = String::new();
    for About { id, .. } in controls {
        let logical = pascal_case(id);
        let _ = write!(
            text,
            "  {logical}Function:
    Description: The function of {id}
    Value: !Ref {logical}
  {logical}RoleArn:
    Description: The role that {id} acts in
    Value: !GetAtt {logical}Role.Arn
  {logical}LogGroup:
    Description: Where {id} records what it saw and did
    Value: !Ref {logical}Log
"
        );
    }
    text
}
