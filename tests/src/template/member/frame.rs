//! What `member.yaml` says whatever the controls are.

/// From the beginning to the first role. `{longest_stack}` stands for the most characters behind the first of a stack's name.
pub(super) const HEAD: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Description: "Suture, in a member account: lends the hub one role for each control, and forwards to it the events that its controls answer"

# How to read this file
#
#   Parameters   who the hub is
#   Roles        one for each control, and one for taking fixes back: what the hub's functions may do in this account
#   Forwarding   rules that hand the events that the hub's functions answer to the hub's event bus
#
# All of it is made from what the functions say of themselves: BLESS=1 cargo test -p system-tests --test member_template
#
# For a StackSet with service-managed permissions, in every region that is watched; docs/many-accounts.md says what to type.
# No transform: such a StackSet refuses macros. Roles are global, so they are made in one region, RolesRegion; the rules are
# made in every one. In the hub's own account the same template makes the rules for the hub's other regions, and no roles.
#
# Needed beside it, in the account: a CloudTrail trail that logs management events, such as the organization's. EventBridge
# hears of API calls only through one. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html

Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups:
      - Label: {default: The hub}
        Parameters: [HubAccount, HubRegion, HubStack, OrganizationId, ExternalId]
      - Label: {default: This account}
        Parameters: [RolesRegion, Findings, PermissionsBoundary]

# ---------------------------------------------------------------------------------------------------------------------
Parameters:
# ---------------------------------------------------------------------------------------------------------------------
  HubAccount:
    Description: The account id of the hub.
    Type: String
    AllowedPattern: ^[0-9]{12}$

  HubRegion:
    Description: The region of the hub's stack.
    Type: String
    AllowedPattern: ^[a-z]{2}(-[a-z]+)+-[0-9]+$

  HubStack:
    Description: The name of the hub's stack. The names of roles and rules begin with it.
    Type: String
    # A role's name has 64 characters, and the hub's have the control and the region in theirs.
    AllowedPattern: ^[a-zA-Z][a-zA-Z0-9-]{0,{longest_stack}}$
    Default: suture

  OrganizationId:
    Description: The organization that the hub belongs to. Nobody from outside takes on a role.
    Type: String
    AllowedPattern: ^o-[a-z0-9]{10,32}$

  ExternalId:
    Description: What the hub has to say when it takes on a role; the same as the hub's parameter of this name. Not a secret.
    Type: String
    MinLength: 2
    MaxLength: 1224
    AllowedPattern: ^[a-zA-Z0-9_+=,.@:/-]+$

  RolesRegion:
    Description: The region in which the roles are made, one of those that the StackSet is deployed to.
    Type: String
    AllowedPattern: ^[a-z]{2}(-[a-z]+)+-[0-9]+$
    Default: us-east-1

  Findings:
    Description: "all: forward every finding. local: not those of Security Hub and GuardDuty, which the hub hears by itself where it is their delegated administrator."
    Type: String
    AllowedValues: [all, local]
    Default: all

  PermissionsBoundary:
    Description: The name, with its path, of a policy in this account that bounds every role here. Empty means none.
    Type: String
    AllowedPattern: ^([a-zA-Z0-9_+=,.@/-]{1,512})?$
    Default: ""

Conditions:
  InHub: !Equals [!Ref AWS::AccountId, !Ref HubAccount]
  LendsRoles: !And
    - !Not [!Condition InHub]
    - !Equals [!Ref AWS::Region, !Ref RolesRegion]
  AtHub: !And
    - !Condition InHub
    - !Equals [!Ref AWS::Region, !Ref HubRegion]
  Forwards: !Not [!Condition AtHub]
  ForwardsFindings: !And
    - !Not [!Condition AtHub]
    - !Equals [!Ref Findings, all]
  Bounded: !Not [!Equals [!Ref PermissionsBoundary, ""]]

Resources:
# ---------------------------------------------------------------------------------------------------------------------
# Roles
# ---------------------------------------------------------------------------------------------------------------------
#
# What each may do is what the hub's own role may (control), and to answer AWS Config and Security Hub, whose rules and
# findings are this account's (replies).
#
# Each trusts one role of the hub, which has to say the external id and to belong to the organization. Where the hub's role
# is made anew, a trust that was made before no longer means it: IAM keeps the role, not its name. A new ExternalId, here and
# in the hub, makes all trusts anew.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
#
# An hour is the longest session that a role taken on by a role can have.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
"#;

/// From the last role to the first rule.
pub(super) const FORWARDING: &str = r#"
# ---------------------------------------------------------------------------------------------------------------------
# Forwarding
# ---------------------------------------------------------------------------------------------------------------------

  # What EventBridge hands events to the hub with. With the region, since every region's stack has one: a rule cannot be made
  # before its role is there, and StackSets do not promise which region comes first.
  ForwardRole:
    Type: AWS::IAM::Role
    Condition: Forwards
    Properties:
      RoleName: !Sub ${HubStack}-member-forward-${AWS::Region}
      Description: "Suture: hands events to the hub's event bus"
      PermissionsBoundary: !If [Bounded, !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/${PermissionsBoundary}", !Ref AWS::NoValue]
      Tags:
        - {Key: suture-lent-to, Value: events.amazonaws.com}
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          # https://docs.aws.amazon.com/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sts:AssumeRole
            Condition:
              StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}
              ArnLike:
                aws:SourceArn: !Sub arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${HubStack}-member-*
      Policies:
        - PolicyName: forward
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: events:PutEvents
                Resource: !Sub arn:${AWS::Partition}:events:${HubRegion}:${HubAccount}:event-bus/default

  # The events that EventBridge could not hand over within a day. The hub's sweeps find what they were about; nothing reads
  # them but a person who wants to know why. So there is no alarm: one in each region of each account would cost more than
  # all else here, and tell nobody in particular.
  UnhandledEvents:
    Type: AWS::SQS::Queue
    Condition: Forwards
    Properties:
      SqsManagedSseEnabled: true # a customer's KMS key would need a grant for EventBridge as well
      MessageRetentionPeriod: 1209600 # 14 days, the longest SQS offers
      Tags:
        - {Key: suture-lent-to, Value: events.amazonaws.com}

  UnhandledEventsPolicy:
    Type: AWS::SQS::QueuePolicy
    Condition: Forwards
    Properties:
      Queues: [!Ref UnhandledEvents]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
          - Sid: RulesOfThisStack
            Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sqs:SendMessage
            Resource: !GetAtt UnhandledEvents.Arn
            Condition:
              ArnLike:
                aws:SourceArn: !Sub arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${HubStack}-member-*
          - Sid: EncryptedInTransit
            Effect: Deny
            Principal: "*"
            Action: sqs:*
            Resource: !GetAtt UnhandledEvents.Arn
            Condition:
              Bool: {aws:SecureTransport: "false"}

  # The rules. One for each service and each kind of finding, so that no pattern grows too long and no event is forwarded
  # twice. They leave out calls that failed, which changed nothing, and what was our own doing in this account. EventBridge
  # tries for a day, the longest it offers.
  # anything-but wants the field to be there, and an IAM user or the root user has no session: hence the first half of $or.
  # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
"#;

/// Behind the last rule.
pub(super) const TAIL: &str = r"
  # In the hub's own region the hub's rules hear everything already. A stack has to have a resource; this one is nothing.
  Nothing:
    Type: AWS::CloudFormation::WaitConditionHandle
    Condition: AtHub
";
