//! What wakes a control's function: a rule for API calls, one for what others have found, a schedule, and the queue for the parts
//! of a large sweep.

use super::quoted;
use crate::About;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The beginning of a rule that hands its events to a control's function; `what` is the end of its logical id, `name` that of
/// its physical name. UnhandledEventsPolicy and the function's permission know it by how the name begins.
fn rule(logical: &str, what: &str, why: &str, name: &str) -> String {
    format!(
        "
  {logical}{what}: # {why}
    Type: AWS::Events::Rule
    DependsOn: {logical}ForRules # or the first event finds a closed door
    Properties:
      Name: !Sub ${{AWS::StackName}}-{name}
"
    )
}

/// The end of every rule: where its events go, and what becomes of those that cannot be handed over.
fn target(logical: &str) -> String {
    format!(
        "      Targets:
        - Id: function
          Arn: !GetAtt {logical}.Arn
          # Until EventBridge has handed the event to Lambda: the longest it offers, since drift does not heal by itself.
          RetryPolicy: {{MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: 86400}}
          DeadLetterConfig: {{Arn: !GetAtt UnhandledEvents.Arn}}
"
    )
}

pub(super) fn calls(about: &About, logical: &str) -> String {
    if about.watches.is_empty() {
        return String::new();
    }
    let list = |of: fn(&crate::Watch) -> Vec<String>| {
        about.watches.iter().flat_map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let mut text = rule(logical, "Calls", "every API call that can bring the drift about", &about.id);
    text.push_str("      EventPattern:\n");
    text.push_str(&own_account(about));
    let _ = write!(
        text,
        "        source: [{}]
        detail-type: [AWS API Call via CloudTrail]
        detail:
          eventSource: [{}]
          eventName:
",
        list(|watch| vec![watch.source.clone()]).join(", "),
        list(|watch| vec![watch.event_source.clone()]).join(", "),
    );
    for name in list(|watch| watch.events.clone()) {
        let _ = writeln!(text, "            - {name}");
    }
    let _ = write!(
        text,
        "          errorCode: [{{exists: false}}] # a call that was denied changed nothing
          # Not our own calls, or every fix would start another run. anything-but wants the field to be there, and
          # an IAM user or the root user has no session: anything-but alone would be deaf to both.
          # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
          $or:
            - userIdentity: {{sessionContext: {{sessionIssuer: {{arn: [{{exists: false}}]}}}}}}
            - userIdentity: {{sessionContext: {{sessionIssuer: {{arn: [{{anything-but: [!GetAtt {logical}Role.Arn, !GetAtt UndoRole.Arn]}}]}}}}}}
"
    );
    text.push_str(&target(logical));
    text
}

/// What a control that looks after the deployment alone says in its patterns: members' events come by the same bus.
fn own_account(about: &About) -> String {
    if about.works_in_members() {
        return String::new();
    }
    "        account: [!Ref AWS::AccountId] # what members send is none of its business\n".to_owned()
}

/// A rule that is disabled does not deliver the event that says so. A control that watches rules has a second one for its own:
/// each of the two tells of the other's end. What both deliver is the same event, and recorded once.
pub(super) fn watch_over_rules(about: &About, logical: &str) -> String {
    let Some(watch) = about.watches.iter().find(|watch| watch.source == "aws.events") else { return String::new() };
    let why = "the rule above cannot tell of its own end: a disabled rule delivers nothing";
    let mut text = rule(logical, "Rules", why, &format!("{}-rules", about.id));
    text.push_str("      EventPattern:\n");
    text.push_str(&own_account(about));
    let _ = write!(
        text,
        "        source: [aws.events]
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
    text.push_str(&target(logical));
    text
}

/// The alternatives of the pattern for findings, each as one line of YAML.
pub(super) fn alternatives(about: &About) -> Vec<String> {
    let types: Vec<_> = std::iter::once(&about.resource_type).chain(&about.also).map(|name| quoted(name)).collect();
    let types = types.join(", ");
    let hub: Vec<_> = about.security_hub.iter().map(|id| quoted(id)).collect();
    let hub = hub.join(", ");
    let mut lines = Vec::new();
    if about.answers_config() {
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

pub(super) fn findings(about: &About, logical: &str) -> String {
    let alternatives = alternatives(about);
    if alternatives.is_empty() {
        return String::new();
    }
    let mut text = rule(logical, "Findings", "what others have found", &format!("{}-findings", about.id));
    // $or is for two or more.
    match alternatives.as_slice() {
        [line] => {
            let _ = writeln!(text, "      EventPattern: {line}");
        }
        lines => {
            text.push_str("      EventPattern:\n        $or:\n");
            for line in lines {
                let _ = writeln!(text, "          - {line}");
            }
        }
    }
    text.push_str(&target(logical));
    text
}

/// The schedule of a control's sweep, and the queue for the parts of a large one.
pub(super) fn sweep(about: &About, logical: &str) -> String {
    let Some(schedule) = &about.sweeps else { return String::new() };
    let why = "events are delivered at best effort; this finds what none reported";
    let mut text = rule(logical, "Sweep", why, &format!("{}-sweep", about.id));
    let _ = writeln!(text, "      ScheduleExpression: {schedule}");
    text.push_str(&target(logical));
    let _ = write!(
        text,
        "
  {logical}SweepQueue:
    Type: AWS::SQS::Queue
    Properties:
      SqsManagedSseEnabled: true
      VisibilityTimeout: 5400 # six times the function's time-out, as Lambda advises
      RedrivePolicy: {{deadLetterTargetArn: !GetAtt UnhandledEvents.Arn, maxReceiveCount: 5}}
"
    );
    text
}
