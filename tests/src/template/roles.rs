//! What the functions may do: the roles of the controls, and what of the undo function's role is theirs.

use super::quoted;
use crate::About;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What the engine asks of the ledger for every control. A transaction needs what its writes need by themselves.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
pub const LEDGER: [&str; 5] =
    ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "kms:Decrypt"];

/// What Lambda does in a function's name, and what the engine does for every control.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
pub const RUNTIME: [&str; 6] = [
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:SendMessage",
    "config:PutEvaluations",
    "securityhub:BatchUpdateFindings",
    "securityhub:BatchUpdateFindingsV2",
];

/// What an action of a control's is allowed on.
fn allowed_on<'a>(about: &'a About, action: &str) -> &'a str {
    let fits = about.allowed_on.iter().filter(|(beginning, _)| action.starts_with(beginning.as_str()));
    fits.max_by_key(|(beginning, _)| beginning.len()).map_or("*", |(_, on)| on.as_str())
}

/// Statements that allow each of these actions on what is beside it.
fn statements<'a>(allowed: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut by_resource: Vec<(&str, Vec<&str>)> = Vec::new();
    for (action, on) in allowed {
        match by_resource.iter_mut().find(|(resource, _)| *resource == on) {
            Some((_, all)) => all.push(action),
            None => by_resource.push((on, vec![action])),
        }
    }
    let mut text = String::new();
    for (resource, actions) in by_resource {
        text.push_str("              - Effect: Allow\n                Action:\n");
        for action in actions {
            let _ = writeln!(text, "                  - {action}");
        }
        let resource = if resource.contains("${") { format!("!Sub {}", quoted(resource)) } else { quoted(resource) };
        let _ = writeln!(text, "                Resource: {resource}");
    }
    text
}

/// The actions of a control's policy `control`: what it looks with, asks for tags with, lists with and fixes with. What only
/// taking a fix back needs is not among them.
pub fn actions(about: &About) -> Vec<String> {
    let mut actions: Vec<String> = Vec::new();
    for action in [&about.observes_with, &about.tags_with, &about.lists_with, &about.fixes_with].into_iter().flatten() {
        if !actions.contains(action) {
            actions.push(action.clone());
        }
    }
    actions
}

/// The actions that taking this control's fixes back needs; none if it makes none.
pub fn undo_actions(about: &About) -> impl Iterator<Item = &String> {
    let lists = [&about.observes_with, &about.tags_with, &about.undoes_with];
    lists.into_iter().flatten().filter(|_| !about.undoes_with.is_empty())
}

/// What the function that takes fixes back may do: an action, and what it is allowed on. All controls' together, each pair
/// once: a role's policies have 10,240 characters between them.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub fn undo_allowed(controls: &[About]) -> BTreeSet<(&str, &str)> {
    let all: BTreeSet<(&str, &str)> = controls
        .iter()
        .flat_map(|about| undo_actions(about).map(|action| (action.as_str(), allowed_on(about, action))))
        .collect();
    // What one control needs on everything, another's narrower resource adds nothing to.
    all.iter().filter(|(action, on)| *on == "*" || !all.contains(&(*action, "*"))).copied().collect()
}

pub(super) fn undo(controls: &[About]) -> String {
    statements(undo_allowed(controls).into_iter())
}

pub(super) fn role(about: &About, logical: &str) -> String {
    let control = actions(about);
    let mut text = format!(
        "  {logical}Role:
    Type: AWS::IAM::Role
    Properties:
      # Named, so that a service control policy or a bucket policy can make room for it before it exists. With the
      # region, because roles are global and stacks are not.
      RoleName: !Sub ${{AWS::StackName}}-{}-${{AWS::Region}}
      AssumeRolePolicyDocument:
        Version: \"2012-10-17\"
        Statement:
          - Effect: Allow
            Principal: {{Service: lambda.amazonaws.com}}
            Action: sts:AssumeRole
      Policies:
        # What the control itself may do: exactly what it declares in its code, and no more.
        - PolicyName: control
          PolicyDocument:
            Version: \"2012-10-17\"
            Statement:
",
        about.id
    );
    text.push_str(&statements(control.iter().map(|action| (action.as_str(), allowed_on(about, action)))));
    let _ = write!(
        text,
        "        # The ledger. The settings and the exemptions in it this role can only read: whatever happens to the function, it
        # neither starts what a person has stopped nor exempts anything.
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
        - PolicyName: ledger
          PolicyDocument:
            Version: \"2012-10-17\"
            Statement:
              - Effect: Allow
                Action:
                  - dynamodb:GetItem
                  - dynamodb:Query
                Resource: !GetAtt LedgerTable.Arn
              - Effect: Allow
                Action:
                  - dynamodb:PutItem
                  - dynamodb:UpdateItem
                Resource: !GetAtt LedgerTable.Arn
                Condition:
                  ForAllValues:StringLike: {{dynamodb:LeadingKeys: [\"resource#*\", approvals, \"budget#{}\"]}}
              - Effect: Allow
                Action: kms:Decrypt
                Resource: !If [MakesKey, !GetAtt Key.Arn, !Ref KeyArn]
                Condition:
                  StringEquals: {{kms:ViaService: !Sub \"dynamodb.${{AWS::Region}}.amazonaws.com\"}}
",
        about.id
    );
    let _ = write!(
        text,
        "        # What Lambda does in its name (write the log, hand over the events that failed), and the answers to AWS Config
        # and Security Hub. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
        - PolicyName: runtime
          PolicyDocument:
            Version: \"2012-10-17\"
            Statement:
              - Effect: Allow
                Action:
                  - logs:CreateLogStream
                  - logs:PutLogEvents
                Resource: !GetAtt {logical}Log.Arn
              - Effect: Allow
                Action: sqs:SendMessage
                Resource: !GetAtt UnhandledEvents.Arn
              - Effect: Allow
                Action:
                  - config:PutEvaluations # AWS Config knows no narrower resource for it
                  - securityhub:BatchUpdateFindings
                  - securityhub:BatchUpdateFindingsV2
                Resource: \"*\"
"
    );
    text
}
