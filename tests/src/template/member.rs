//! `member.yaml`, whole: what a member account lends to the hub, made from what the controls say of themselves. It is plain
//! CloudFormation: a service-managed StackSet refuses macros, and SAM's transform is one.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackSet.html> (`CAPABILITY_AUTO_EXPAND`)

mod forwarding;
mod frame;

use super::{pascal_case, roles};
use crate::About;
use forwarding::{calls, findings};
use frame::{FORWARDING, HEAD, TAIL};
use std::fmt::Write;

/// The most characters of an event pattern.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>
pub const LONGEST_PATTERN: usize = 2048;

/// The most characters of a role's or a rule's name.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const LONGEST_NAME: usize = 64;

/// The longest that a region's name is: `ap-southeast-2`, `cn-northwest-1`.
const LONGEST_REGION: usize = 14;

/// The template of a member account.
///
/// # Panics
/// If a control is allowed something on what only the hub's template has.
pub fn member(controls: &[About]) -> String {
    let lenders: Vec<About> = controls.iter().filter(|about| about.works_in_members()).cloned().collect();
    let longest = lenders.iter().map(|about| about.id.len()).max().unwrap_or_default();
    // The hub's roles carry the control and the region: <stack>-<control>-<region>.
    let longest_stack = LONGEST_NAME - LONGEST_REGION - longest - 2;
    let mut text = HEAD.replace("{longest_stack}", &(longest_stack - 1).to_string());
    for about in &lenders {
        text.push_str(&role(about));
    }
    text.push_str(&undo_role(&lenders));
    text.push_str(FORWARDING);
    for rule in calls(&lenders, longest_stack).iter().chain(&findings(&lenders)) {
        text.push_str(&rule.text());
    }
    text.push_str(TAIL);
    text
}

fn role(about: &About) -> String {
    let statements = roles::control(about);
    for variable in statements.split("${").skip(1) {
        assert!(variable.starts_with("AWS::"), "{}: only the hub has ${{{variable}", about.id);
    }
    let mut text = format!("\n  # --- {}: {} ---\n", about.id, about.title);
    text.push_str(&lent(&about.id, &pascal_case(&about.id)));
    text.push_str(
        "      Policies:
        - PolicyName: control
          PolicyDocument:
            Version: \"2012-10-17\"
            Statement:
",
    );
    text.push_str(&statements);
    text.push_str(
        "        - PolicyName: replies
          PolicyDocument:
            Version: \"2012-10-17\"
            Statement:
              - Effect: Allow
                Action:
",
    );
    for action in roles::replies(about) {
        let _ = writeln!(text, "                  - {action}");
    }
    text.push_str("                Resource: \"*\"\n");
    text
}

fn undo_role(lenders: &[About]) -> String {
    let mut text = "\n  # --- undo: takes fixes back, when a person asks for it ---\n".to_owned();
    text.push_str(&lent("undo", "Undo"));
    text.push_str(
        "      Policies:
        - PolicyName: undo
          PolicyDocument:
            Version: \"2012-10-17\"
            Statement:
",
    );
    text.push_str(&roles::undo(lenders));
    text
}

/// A role's properties down to its policies: who may take it on.
fn lent(id: &str, logical: &str) -> String {
    format!(
        "
  {logical}Role:
    Type: AWS::IAM::Role
    Condition: LendsRoles
    Properties:
      RoleName: !Sub ${{HubStack}}-member-{id}
      Description: \"Suture: lent to {id}\"
      MaxSessionDuration: 3600
      PermissionsBoundary: !If [Bounded, !Sub \"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:policy/${{PermissionsBoundary}}\", !Ref AWS::NoValue]
      Tags:
        - {{Key: suture-lent-to, Value: !Ref HubAccount}}
      AssumeRolePolicyDocument:
        Version: \"2012-10-17\"
        Statement:
          - Effect: Allow
            Principal: {{AWS: !Sub \"arn:${{AWS::Partition}}:iam::${{HubAccount}}:role/${{HubStack}}-{id}-${{HubRegion}}\"}}
            Action: sts:AssumeRole
            Condition:
              StringEquals:
                sts:ExternalId: !Ref ExternalId
                aws:PrincipalOrgID: !Ref OrganizationId
"
    )
}
