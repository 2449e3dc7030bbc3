//! What the functions may do: the roles of the controls, and what of the undo function's role is theirs.

use super::quoted;
use crate::About;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What the engine asks of the ledger for every control. A transaction needs what its writes need by themselves.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
pub const LEDGER: [&str; 5] =
    ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "kms:Decrypt"];

/// What a control asks of the ledger: one that writes nothing counts no budget.
pub fn ledger(about: &About) -> Vec<&'static str> {
    LEDGER.into_iter().filter(|action| *action != "dynamodb:UpdateItem" || !about.fixes_with.is_empty()).collect()
}

/// What Lambda does in a function's name. <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
pub const RUNTIME: [&str; 3] = ["logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"];

/// What the engine tells AWS Config and Security Hub, if one of them can ask this control for something.
pub fn replies(about: &About) -> Vec<&'static str> {
    let config = about.answers_config().then_some("config:PutEvaluations");
    let asked = !about.security_hub.is_empty() || about.action.is_some();
    // Also what the API calls BatchUpdateFindingsV2.
    config.into_iter().chain(asked.then_some("securityhub:BatchUpdateFindings")).collect()
}

/// What a control looks with, and no undo of its fixes needs.
const NOT_FOR_UNDO: [&str; 6] = [
    "config:DescribeConfigRules", // what a rule of AWS Config asks for: no rule asks for an undo
    "iam:GenerateCredentialReport", // where to look, when everything is looked at
    "iam:GetCredentialReport",    // the same
    "iam:GetLoginProfile",        // what else the user can do: for who is to be told of an exposed key
    "iam:ListAttachedUserPolicies", // the same
    "iam:ListUserTags", // tags exempt from fixes; from undos they keep only what a fix had closed to the public
];

/// What a control's function, and Lambda for it, asks of the queue of its sweep's parts.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
pub const SWEEP: [&str; 4] = ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// The ARN of the role that a control's function (or `undo`) has in a member account, for `Fn::Sub`.
pub fn member_of(account: &str, id: &str) -> String {
    format!("arn:${{AWS::Partition}}:iam::{account}:role/${{AWS::StackName}}-member-{id}")
}

/// What an action of a control's is allowed on: of the beginnings that fit, the longest decides; with several resources beside
/// it, all of them.
fn allowed_on<'a>(about: &'a About, action: &str) -> Vec<&'a str> {
    let fits = || about.allowed_on.iter().filter(|(beginning, _)| action.starts_with(beginning.as_str()));
    let longest = fits().map(|(beginning, _)| beginning.len()).max();
    let on: Vec<&str> = fits().filter(|(one, _)| Some(one.len()) == longest).map(|(_, on)| on.as_str()).collect();
    if on.is_empty() { vec!["*"] } else { on }
}

/// Actions, a line each.
fn listed<'a>(actions: impl Iterator<Item = &'a str>) -> String {
    actions.fold(String::new(), |mut text, action| {
        let _ = writeln!(text, "                  - {action}");
        text
    })
}

/// Statements that allow each of these actions on what is beside it.
fn statements<'a>(allowed: impl Iterator<Item = (&'a str, Vec<&'a str>)>) -> String {
    let mut by_resource: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
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
        let one = |on: &&str| if on.contains("${") { format!("!Sub {}", quoted(on)) } else { quoted(on) };
        match resource.as_slice() {
            [resource] => {
                let _ = writeln!(text, "                Resource: {}", one(resource));
            }
            several => {
                text.push_str("                Resource:\n");
                for resource in several {
                    let _ = writeln!(text, "                  - {}", one(resource));
                }
            }
        }
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
    let needed = |action: &&String| !about.undoes_with.is_empty() && !NOT_FOR_UNDO.contains(&action.as_str());
    lists.into_iter().flatten().filter(needed)
}

/// What the function that takes fixes back may do: an action, and what it is allowed on. All controls' together, each pair
/// once: a role's policies have 10,240 characters between them.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub fn undo_allowed(controls: &[About]) -> BTreeSet<(&str, &str)> {
    let all: BTreeSet<(&str, &str)> = controls
        .iter()
        .flat_map(|about| undo_actions(about).map(move |action| (action.as_str(), allowed_on(about, action))))
        .flat_map(|(action, on)| on.into_iter().map(move |on| (action, on)))
        .collect();
    // What one control needs on everything, another's narrower resource adds nothing to.
    all.iter().filter(|(action, on)| *on == "*" || !all.contains(&(*action, "*"))).copied().collect()
}

/// The statements of a control's policy `control`.
pub(super) fn control(about: &About) -> String {
    statements(actions(about).iter().map(|action| (action.as_str(), allowed_on(about, action))))
}

/// The statements of the policy `undo`.
pub(super) fn undo(controls: &[About]) -> String {
    statements(undo_allowed(controls).into_iter().map(|(action, on)| (action, vec![on])))
}

pub(super) fn role(about: &About, logical: &str) -> String {
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
    text.push_str(&control(about));
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
{}                Resource: !GetAtt LedgerTable.Arn
                Condition:
                  ForAllValues:StringLike: {{dynamodb:LeadingKeys: [\"resource#*\", approvals, \"budget#{}\"]}}
              - Effect: Allow
                Action: kms:Decrypt
                Resource: !If [MakesKey, !GetAtt Key.Arn, !Ref KeyArn]
                Condition:
                  StringLike: {{kms:ViaService: !Sub \"dynamodb.${{AWS::Region}}.amazonaws.com*\"}}
",
        listed(ledger(about).into_iter().filter(|action| ["dynamodb:PutItem", "dynamodb:UpdateItem"].contains(action))),
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
"
    );
    let replies = replies(about);
    if !replies.is_empty() {
        let _ = write!(
            text,
            "              - Effect: Allow
                Action:
{}                Resource: \"*\" # AWS Config knows no narrower one; findings are of any hub that an event came from
",
            listed(replies.into_iter())
        );
    }
    text.push_str(&sweep(about, logical));
    text.push_str(&members(about));
    text
}

/// The statement of the policy `runtime` about the queue of the control's sweeps, if it has one.
fn sweep(about: &About, logical: &str) -> String {
    let mut text = String::new();
    if about.sweeps.is_some() {
        text.push_str("              - Effect: Allow\n                Action:\n");
        for action in SWEEP {
            let _ = writeln!(text, "                  - {action}");
        }
        let _ = writeln!(text, "                Resource: !GetAtt {logical}SweepQueue.Arn");
    }
    text
}

/// The policy `members`, there only with members.
fn members(about: &About) -> String {
    if !about.works_in_members() {
        return String::new();
    }
    format!(
        "        # In member accounts: its own roles there, and nobody else's.
        - !If
          - HasMembers
          - PolicyName: members
            PolicyDocument:
              Version: \"2012-10-17\"
              Statement:
                - Effect: Allow
                  Action: sts:AssumeRole
                  Resource: !Sub \"{}\"
                  Condition:
                    StringEquals: {{aws:ResourceOrgID: !Ref OrganizationId}}
          - !Ref AWS::NoValue
",
        member_of("*", &about.id)
    )
}
