//! What a deployment of Suture consists of, and how one tells its parts from everything else in the account.

use remediation::{Resource, shown};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name: those of log groups and parameters, and ARNs of what we look at, are shorter.
const LONGEST: usize = 512;

/// A kind of part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The bucket of the evidence.
    Bucket,
    /// A function.
    Function,
    /// The key of ledger, evidence and announcements.
    Key,
    /// A function's log.
    LogGroup,
    /// A function's role.
    Role,
    /// A rule that wakes a function, schedules among them.
    Rule,
    /// The CloudFormation stack itself.
    Stack,
    /// A subscription to the announcements.
    Subscription,
    /// The ledger.
    Table,
    /// The topic of the announcements.
    Topic,
}

/// Each kind's word, and its type in CloudFormation.
pub(crate) const KINDS: &[(Kind, &str, &str)] = &[
    (Kind::Bucket, "bucket", "AWS::S3::Bucket"),
    (Kind::Function, "function", "AWS::Lambda::Function"),
    (Kind::Key, "key", "AWS::KMS::Key"),
    (Kind::LogGroup, "log-group", "AWS::Logs::LogGroup"),
    (Kind::Role, "role", "AWS::IAM::Role"),
    (Kind::Rule, "rule", "AWS::Events::Rule"),
    (Kind::Stack, "stack", "AWS::CloudFormation::Stack"),
    (Kind::Subscription, "subscription", "AWS::SNS::Subscription"),
    (Kind::Table, "table", "AWS::DynamoDB::Table"),
    (Kind::Topic, "topic", "AWS::SNS::Topic"),
];

impl Kind {
    /// The word for it: `log-group`.
    pub fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("part", |(_, word, _)| word)
    }
}

/// One part: `rule/suture-recorder-hourly`. Topics and subscriptions go by their ARNs, everything else by its name or id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl Part {
    /// Takes `kind/name`, and says what is wrong with anything else.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (word, name) = text.split_once('/').ok_or_else(|| {
            format!(
                "{} is no part of a deployment: name it as kind/name, such as rule/suture-recorder-hourly",
                shown(text)
            )
        })?;
        let kind = KINDS.iter().find(|(_, known, _)| *known == word).map(|(kind, ..)| *kind).ok_or_else(|| {
            let known: Vec<_> = KINDS.iter().map(|(_, word, _)| *word).collect();
            format!("{} is no kind of part: they are {}", shown(word), known.join(", "))
        })?;
        Self::new(kind, name)
    }

    /// The part that an event names.
    pub fn of(resource: &Resource) -> Result<Self, String> {
        let kind = KINDS.iter().find(|(.., of)| *of == resource.r#type).map(|(kind, ..)| *kind);
        let kind = kind.ok_or_else(|| format!("{} is no part of a deployment of Suture", shown(&resource.r#type)))?;
        let (id, name) = (resource.id.as_str(), resource.name.as_deref().unwrap_or(&resource.id));
        let name = match kind {
            Kind::Topic | Kind::Subscription => id,
            Kind::Key => id.rsplit_once(":key/").map_or(id, |(_, key)| key),
            // `111122223333:function:NAME`, with or without a version, is a name to Lambda.
            // https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html
            Kind::Function => {
                let name = name.rsplit_once("function:").map_or(name, |(_, name)| name);
                name.split(':').next().unwrap_or_default()
            }
            _ => name,
        };
        Self::new(kind, name)
    }

    fn new(kind: Kind, name: &str) -> Result<Self, String> {
        let sound = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@+=,#".contains(&b);
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(sound) {
            return Err(format!("{} is no name of a {}", shown(name), kind.word()));
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.name)
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        part.to_string()
    }
}

impl TryFrom<String> for Part {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

/// The deployment that this function belongs to, as the template tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The stack's name. The names of its rules, roles, functions and log groups begin with it and a dash.
    pub stack: String,
    /// The ledger's table.
    pub ledger: String,
    /// The bucket of the evidence.
    pub evidence: String,
    /// The ARN of the topic of the announcements.
    pub topic: String,
}

impl Deployment {
    /// Whether a part is of this deployment; none for a key, whose name does not tell.
    pub fn has(&self, part: &Part) -> Option<bool> {
        let name = part.name.as_str();
        let same = |ours: &str| !ours.is_empty() && name == ours;
        let begins = |name: &str| !self.stack.is_empty() && self.own(name);
        Some(match part.kind {
            Kind::Key => return None,
            Kind::Bucket => same(&self.evidence),
            Kind::Table => same(&self.ledger),
            Kind::Topic => same(&self.topic),
            Kind::Subscription => {
                !self.topic.is_empty() && name.strip_prefix(&self.topic).is_some_and(|rest| rest.starts_with(':'))
            }
            Kind::Stack => same(&self.stack),
            Kind::LogGroup => begins(name.strip_prefix("/aws/lambda/").unwrap_or(name)),
            Kind::Function | Kind::Role | Kind::Rule => begins(name),
        })
    }

    /// How the names of its rules, roles and functions begin.
    pub fn prefix(&self) -> String {
        format!("{}-", self.stack)
    }

    /// Whether a name is made from the stack's and a resource's of it.
    fn own(&self, name: &str) -> bool {
        name.strip_prefix(&self.stack).is_some_and(|rest| rest.starts_with('-'))
    }

    /// Whether a function is the recorder, which must have a mapping to the ledger's stream. SAM names functions
    /// `stack-LogicalId-random`.
    pub fn is_recorder(&self, function: &str) -> bool {
        function.strip_prefix(&self.prefix()).is_some_and(|rest| rest.starts_with("Recorder"))
    }
}
