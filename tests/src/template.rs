//! The parts of `template.yaml` that are made from what the functions' binaries say of themselves: fifty controls are
//! fifty sections alike, and a hand that writes the fiftieth slips. What is written by hand stays as it is.

mod roles;

pub use roles::{LEDGER, RUNTIME, actions, undo_actions, undo_allowed};

use crate::{About, Kind, Setting};
use roles::{role, undo};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Where the made parts begin and end.
const BEGIN: &str = "# made from the code: BLESS=1 cargo test -p system-tests --test agree";
const END: &str = "# end of what is made from the code";

/// The template with its made parts made anew.
///
/// # Panics
/// If the marks are not there in pairs.
pub fn remade(template: &str, controls: &[About]) -> String {
    let parts = [parameters(controls), undo(controls), sections(controls), outputs(controls)];
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

fn sections(controls: &[About]) -> String {
    controls.iter().map(section).collect::<String>() + "\n"
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
      Description: {}
      CodeUri: functions/{id}/
      Role: !GetAtt {logical}Role.Arn
      LoggingConfig:
        LogGroup: !Ref {logical}Log
      Environment:
        Variables:
          SUTURE_ROLE_ARN: !Sub ${{{logical}Role.Arn}},${{UndoRole.Arn}} # our own calls come back as events; the code knows them by this
",
        quoted(&about.title)
    );
    if !about.settings.is_empty() {
        let _ = writeln!(text, "          SUTURE_PARAMETERS: !Sub '{}'", settings(&about.settings));
    }
    text.push_str("      Events:\n");
    text.push_str(&calls(about, &logical));
    text.push_str(&watch_over_rules(about));
    text.push_str(&findings(about));
    text.push_str(&sweep(about));
    let _ = write!(
        text,
        "      # Until the function has answered. An old event does no harm: it only says where to look.
      EventInvokeConfig:
        MaximumRetryAttempts: 2
        MaximumEventAgeInSeconds: 21600
        DestinationConfig:
          OnFailure:
            Type: SQS
            Destination: !GetAtt UnhandledEvents.Arn

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
"
    );
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

/// What every rule says about an event that cannot be handed over.
fn handed_over(text: &mut String) {
    text.push_str(
        "            # Until EventBridge has handed the event to Lambda: the longest it offers, since drift does not heal by itself.
            RetryPolicy:
              MaximumRetryAttempts: 185
              MaximumEventAgeInSeconds: 86400
            DeadLetterConfig:
              Arn: !GetAtt UnhandledEvents.Arn
",
    );
}

fn calls(about: &About, logical: &str) -> String {
    if about.watches.is_empty() {
        return String::new();
    }
    let list = |of: fn(&crate::Watch) -> Vec<String>| {
        about.watches.iter().flat_map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let mut text = format!(
        "        Calls: # every API call that can bring the drift about
          Type: EventBridgeRule
          Properties:
            RuleName: !Sub ${{AWS::StackName}}-{} # UnhandledEventsPolicy knows the rules by this beginning
            Pattern:
              source: [{}]
              detail-type: [AWS API Call via CloudTrail]
              detail:
                eventSource: [{}]
                eventName:
",
        about.id,
        list(|watch| vec![watch.source.clone()]).join(", "),
        list(|watch| vec![watch.event_source.clone()]).join(", "),
    );
    for name in list(|watch| watch.events.clone()) {
        let _ = writeln!(text, "                  - {name}");
    }
    let _ = write!(
        text,
        "                errorCode: [{{exists: false}}] # a call that was denied changed nothing
                # Not our own calls, or every fix would start another run. anything-but wants the field to be there, and
                # an IAM user or the root user has no session: anything-but alone would be deaf to both.
                # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
                $or:
                  - userIdentity: {{sessionContext: {{sessionIssuer: {{arn: [{{exists: false}}]}}}}}}
                  - userIdentity: {{sessionContext: {{sessionIssuer: {{arn: [{{anything-but: [!GetAtt {logical}Role.Arn, !GetAtt UndoRole.Arn]}}]}}}}}}
"
    );
    handed_over(&mut text);
    text
}

/// A rule that is disabled does not deliver the event that says so. A control that watches rules has a second one for its own:
/// each of the two tells of the other's end. What both deliver is the same event, and recorded once.
fn watch_over_rules(about: &About) -> String {
    let Some(watch) = about.watches.iter().find(|watch| watch.source == "aws.events") else { return String::new() };
    let mut text = format!(
        "        Rules: # the rule above cannot tell of its own end: a disabled rule delivers nothing
          Type: EventBridgeRule
          Properties:
            RuleName: !Sub ${{AWS::StackName}}-{0}-rules
            Pattern:
              source: [aws.events]
              detail-type: [AWS API Call via CloudTrail]
              detail:
                eventSource: [{1}]
                eventName: [{2}]
                errorCode: [{{exists: false}}]
                $or:
                  - requestParameters: {{name: [{{prefix: !Sub \"${{AWS::StackName}}-{0}\"}}]}}
                  - requestParameters: {{rule: [{{prefix: !Sub \"${{AWS::StackName}}-{0}\"}}]}}
",
        about.id,
        watch.event_source,
        watch.events.join(", "),
    );
    handed_over(&mut text);
    text
}

/// The alternatives of the pattern for findings, each as one line of YAML.
fn alternatives(about: &About) -> Vec<String> {
    let types: Vec<_> = std::iter::once(&about.resource_type).chain(&about.also).map(|name| quoted(name)).collect();
    let types = types.join(", ");
    let hub: Vec<_> = about.security_hub.iter().map(|id| quoted(id)).collect();
    let hub = hub.join(", ");
    let mut lines = Vec::new();
    if about.safety != "incident" && !about.config_rules.is_empty() {
        lines.push(format!(
            "{{source: [aws.config], detail-type: [Config Rules Compliance Change], detail: {{resourceType: [{types}], \
             newEvaluationResult: {{complianceType: [NON_COMPLIANT]}}}}}}"
        ));
    }
    if let Some(action) = &about.action {
        lines.push(format!(
            "{{source: [aws.securityhub], detail-type: [Security Hub Findings - Custom Action], detail: {{actionName: [{}]}}}}",
            quoted(action)
        ));
    } else if !hub.is_empty() {
        lines.push(format!(
            "{{source: [aws.securityhub], detail-type: [Security Hub Findings - Imported], detail: {{findings: \
             {{Compliance: {{SecurityControlId: [{hub}], Status: [FAILED]}}, RecordState: [ACTIVE], \
             Workflow: {{Status: [NEW, NOTIFIED]}}}}}}}}"
        ));
        lines.push(format!(
            "{{source: [aws.securityhub], detail-type: [Security Hub Findings - Custom Action], detail: {{actionName: \
             [Suture], findings: {{Compliance: {{SecurityControlId: [{hub}]}}}}}}}}"
        ));
        lines.push(format!(
            "{{source: [aws.securityhub], detail-type: [Findings Imported V2], detail: {{findings: \
             {{compliance: {{control: [{hub}]}}}}}}}}"
        ));
    }
    for incident in &about.incidents {
        lines.push(match incident.as_str() {
            "Access Analyzer Finding" => format!(
                "{{source: [aws.access-analyzer], detail-type: [Access Analyzer Finding], detail: {{status: [ACTIVE], \
                 isPublic: [true], resourceType: [{types}]}}}}"
            ),
            code if code.starts_with("AWS_") => format!(
                "{{source: [aws.health], detail-type: [AWS Health Event], detail: {{eventTypeCode: [{{prefix: {code}}}]}}}}"
            ),
            finding => format!(
                "{{source: [aws.guardduty], detail-type: [GuardDuty Finding], detail: {{type: [{{prefix: {}}}]}}}}",
                quoted(finding)
            ),
        });
    }
    lines
}

fn findings(about: &About) -> String {
    let alternatives = alternatives(about);
    if alternatives.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "        Findings: # what others have found
          Type: EventBridgeRule
          Properties:
            RuleName: !Sub ${{AWS::StackName}}-{}-findings
",
        about.id
    );
    // $or is for two or more.
    match alternatives.as_slice() {
        [line] => {
            let _ = writeln!(text, "            Pattern: {line}");
        }
        lines => {
            text.push_str("            Pattern:\n              $or:\n");
            for line in lines {
                let _ = writeln!(text, "                - {line}");
            }
        }
    }
    handed_over(&mut text);
    text
}

fn sweep(about: &About) -> String {
    let Some(schedule) = &about.sweeps else { return String::new() };
    let mut text = format!(
        "        Sweep: # events are delivered at best effort; this finds what none reported
          Type: Schedule
          Properties:
            Name: !Sub ${{AWS::StackName}}-{}-sweep
            Schedule: {schedule}
",
        about.id
    );
    handed_over(&mut text);
    text
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
