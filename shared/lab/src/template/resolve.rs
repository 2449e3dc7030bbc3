//! CloudFormation's intrinsic functions, as far as our template uses them. What is not known is an error that names the
//! place, never a guess.
//!
//! Only what is asked for is resolved, so an intrinsic that the lab does not know does no harm where it does not look.

use super::World;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// References may go round in a circle, which CloudFormation refuses; so deep does no template nest.
const DEEPEST: usize = 64;

/// The label of every table's stream. DynamoDB makes it of the moment at which the stream was switched on; the lab's must
/// be known before.
pub(crate) const STREAM: &str = "2026-01-01T00:00:00.000";

/// Resolves the values of one template in one world.
pub(super) struct Resolver<'a> {
    pub(super) world: &'a World,
    parameters: BTreeMap<&'a str, Value>,
    conditions: Option<&'a Map<String, Value>>,
    resources: &'a Map<String, Value>,
}

/// Whether an object is a reference or a function rather than a map of properties.
pub(super) fn is_intrinsic(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().any(|key| key == "Ref" || key.starts_with("Fn::"))
}

/// Takes a resolved value; returns it as text, as CloudFormation hands numbers and booleans over.
pub(super) fn text(value: &Value, place: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(yes) => Ok(yes.to_string()),
        other => Err(format!("{place}: {other} is not text; CloudFormation wants a plain value here")),
    }
}

impl<'a> Resolver<'a> {
    /// Takes a template in long form; returns what resolves its values, or an error if the parameters do not fit.
    pub(super) fn new(template: &'a Value, world: &'a World) -> Result<Self, String> {
        let section = |name: &str| template.get(name).and_then(Value::as_object);
        let resources = section("Resources").ok_or("no Resources; is this a CloudFormation template?")?;
        let declared = section("Parameters");
        if let Some(unknown) = world.parameters.keys().find(|name| declared.is_none_or(|all| !all.contains_key(*name)))
        {
            return Err(format!("no parameter {unknown}; the template's are under Parameters"));
        }
        let mut parameters = BTreeMap::new();
        for (name, declaration) in declared.into_iter().flatten() {
            parameters.insert(name.as_str(), parameter(name, declaration, world)?);
        }
        Ok(Self { world, parameters, conditions: section("Conditions"), resources })
    }

    /// The template's resources, by logical id.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.resources.iter().map(|(name, resource)| (name.as_str(), resource))
    }

    /// A resource's physical name, as CloudFormation gives it.
    pub(super) fn name(&self, logical_id: &str, place: &str) -> Result<String, String> {
        let (kind, name) = self.named(logical_id, place, 0)?;
        Ok(if kind == "AWS::KMS::Key" { self.key_id(logical_id) } else { name })
    }

    /// Whether the resource's own condition holds, if it has one.
    pub(super) fn exists(&self, logical_id: &str) -> Result<bool, String> {
        match self.resources.get(logical_id).and_then(|resource| resource.get("Condition")) {
            Some(condition) => self.named_condition(condition, &format!("{logical_id}.Condition"), 0),
            None => Ok(true),
        }
    }

    /// Takes a value and the place where it stands; returns it without intrinsics, or none for `AWS::NoValue`.
    pub(super) fn resolve(&self, value: &Value, place: &str) -> Result<Option<Value>, String> {
        self.value(value, place, 0)
    }

    /// The ARN of one of the template's resources.
    pub(super) fn arn(&self, logical_id: &str, place: &str) -> Result<String, String> {
        self.attribute(logical_id, "Arn", place, 0)
    }

    fn value(&self, value: &Value, place: &str, depth: usize) -> Result<Option<Value>, String> {
        if depth > DEEPEST {
            return Err(format!("{place} refers to itself; break the circle"));
        }
        match value {
            Value::Object(object) if is_intrinsic(object) => match object.iter().next() {
                Some((name, operand)) => self.intrinsic(name, operand, place, depth + 1),
                None => Ok(None),
            },
            Value::Object(object) => {
                let mut resolved = Map::new();
                for (key, value) in object {
                    if let Some(value) = self.value(value, &format!("{place}.{key}"), depth + 1)? {
                        resolved.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(resolved)))
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.value(item, place, depth + 1));
                Ok(Some(Value::Array(items.filter_map(Result::transpose).collect::<Result<_, _>>()?)))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    fn intrinsic(&self, name: &str, operand: &Value, place: &str, depth: usize) -> Result<Option<Value>, String> {
        let wrong = |form: &str| format!("{place}: {name} takes {form}, not {operand}");
        let list = |value: &Value| -> Result<Vec<Value>, String> {
            match self.value(value, place, depth)? {
                Some(Value::Array(items)) => Ok(items),
                _ => Err(wrong("a list there")),
            }
        };
        let string = |value: &Value| match self.value(value, place, depth)? {
            Some(value) => text(&value, place),
            None => Ok(String::new()),
        };
        match (name, operand) {
            ("Ref", Value::String(target)) => self.reference(target, place, depth),
            ("Fn::GetAtt", Value::Array(path)) => match path.as_slice() {
                [Value::String(target), Value::String(attribute)] => {
                    self.attribute(target, attribute, place, depth).map(|arn| Some(arn.into()))
                }
                _ => Err(wrong("a resource and an attribute")),
            },
            ("Fn::GetAtt", Value::String(path)) => {
                let (target, attribute) = path.split_once('.').ok_or_else(|| wrong("Resource.Attribute"))?;
                self.attribute(target, attribute, place, depth).map(|arn| Some(arn.into()))
            }
            ("Fn::Sub", Value::String(text)) => self.substitute(text, &Map::new(), place, depth).map(Some),
            ("Fn::Sub", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(text), Value::Object(own)] => self.substitute(text, own, place, depth).map(Some),
                _ => Err(wrong("a text and a map")),
            },
            ("Fn::Join", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(between), items] => {
                    let items: Vec<String> =
                        list(items)?.iter().map(|item| text(item, place)).collect::<Result<_, _>>()?;
                    Ok(Some(items.join(between).into()))
                }
                _ => Err(wrong("a delimiter and a list")),
            },
            ("Fn::Split", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(at), whole] if !at.is_empty() => {
                    Ok(Some(string(whole)?.split(at.as_str()).map(Value::from).collect()))
                }
                _ => Err(wrong("a delimiter and a text")),
            },
            ("Fn::Select", Value::Array(parts)) => match parts.as_slice() {
                [index, items] => {
                    let index: usize = string(index)?.parse().map_err(|_| wrong("an index and a list"))?;
                    let item = list(items)?.into_iter().nth(index);
                    item.map(Some).ok_or_else(|| wrong("an index within its list"))
                }
                _ => Err(wrong("an index and a list")),
            },
            ("Fn::If", Value::Array(parts)) => match parts.as_slice() {
                [condition, yes, no] => {
                    let chosen = if self.named_condition(condition, place, depth)? { yes } else { no };
                    self.value(chosen, place, depth)
                }
                _ => Err(wrong("a condition and two values")),
            },
            _ => Err(format!(
                "{place}: {name} of {operand} is nothing the lab can resolve; it knows Ref, GetAtt, Sub, Join, Split, Select \
                 and If"
            )),
        }
    }

    fn reference(&self, target: &str, place: &str, depth: usize) -> Result<Option<Value>, String> {
        let world = self.world;
        Ok(Some(match target {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => world.account.clone().into(),
            "AWS::Region" => world.region.clone().into(),
            "AWS::Partition" => world.partition.clone().into(),
            "AWS::StackName" => world.stack.clone().into(),
            "AWS::URLSuffix" => self.url_suffix().into(),
            _ => match self.parameters.get(target) {
                Some(value) => value.clone(),
                None => self.physical_id(target, place, depth)?.into(),
            },
        }))
    }

    fn url_suffix(&self) -> &'static str {
        if self.world.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }

    /// What `Ref` gives for a resource: its name, except that a queue's is its address, a topic's its ARN and a key's its
    /// id.
    fn physical_id(&self, target: &str, place: &str, depth: usize) -> Result<String, String> {
        let (kind, name) = self.named(target, place, depth)?;
        let World { account, region, .. } = self.world;
        Ok(match kind {
            "AWS::SQS::Queue" => format!("https://sqs.{region}.{}/{account}/{name}", self.url_suffix()),
            "AWS::SNS::Topic" => self.attribute(target, "TopicArn", place, depth)?,
            "AWS::KMS::Key" => self.key_id(target),
            _ => name,
        })
    }

    /// A resource's type and physical name. Where the template leaves the name to CloudFormation, that begins with the
    /// stack's name and the logical id; the lab has no use for the random letters behind them.
    fn named(&self, target: &str, place: &str, depth: usize) -> Result<(&'a str, String), String> {
        let unknown =
            || format!("{place} refers to {target}, which is neither a parameter nor a resource of the template");
        let resource = self.resources.get(target).ok_or_else(unknown)?;
        let kind = resource.get("Type").and_then(Value::as_str).ok_or_else(|| format!("{target} has no Type"))?;
        let key = match kind {
            "AWS::IAM::Role" => "RoleName",
            "AWS::Serverless::Function" | "AWS::Lambda::Function" => "FunctionName",
            "AWS::SQS::Queue" => "QueueName",
            "AWS::Logs::LogGroup" => "LogGroupName",
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::S3::Bucket" => "BucketName",
            "AWS::SNS::Topic" => "TopicName",
            "AWS::KMS::Alias" => "AliasName",
            _ => "Name",
        };
        let place = format!("{target}.{key}");
        let named = match resource.get("Properties").and_then(|properties| properties.get(key)) {
            Some(name) => self.value(name, &place, depth + 1)?,
            None => None,
        };
        let made = || {
            let name = format!("{}-{target}", self.world.stack);
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
            if kind == "AWS::S3::Bucket" { name.to_ascii_lowercase() } else { name }
        };
        let name = named.map_or_else(|| Ok(made()), |name| text(&name, &place))?;
        Ok((kind, name))
    }

    /// The id of a KMS key, which no template can choose: made up from where it is, so that it is the same in each lab.
    fn key_id(&self, target: &str) -> String {
        let World { account, region, stack, .. } = self.world;
        // FNV-1a, with another beginning for each half.
        let seed = format!("{account}/{region}/{stack}/{target}");
        let half = |from: u64| seed.bytes().fold(from, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let (high, low) = (half(0xcbf2_9ce4_8422_2325), half(0x8422_2325_cbf2_9ce4));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0x0fff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }

    fn attribute(&self, target: &str, attribute: &str, place: &str, depth: usize) -> Result<String, String> {
        let (kind, name) = self.named(target, place, depth)?;
        let World { account, region, partition, .. } = self.world;
        let regional = |service: &str, rest: &str| format!("arn:{partition}:{service}:{region}:{account}:{rest}{name}");
        Ok(match (kind, attribute) {
            ("AWS::IAM::Role", "Arn") => {
                let path = self.resources.get(target).and_then(|role| role.pointer("/Properties/Path"));
                let path = path.map_or(Ok(None), |path| self.value(path, &format!("{target}.Path"), depth))?;
                let path = path.map_or_else(|| Ok("/".to_owned()), |path| text(&path, target))?;
                format!("arn:{partition}:iam::{account}:role{path}{name}")
            }
            ("AWS::Serverless::Function" | "AWS::Lambda::Function", "Arn") => regional("lambda", "function:"),
            ("AWS::SQS::Queue", "Arn") => regional("sqs", ""),
            ("AWS::SQS::Queue", "QueueName") | ("AWS::SNS::Topic", "TopicName") => name,
            ("AWS::Logs::LogGroup", "Arn") => format!("{}:*", regional("logs", "log-group:")),
            ("AWS::Events::Rule", "Arn") => regional("events", "rule/"),
            ("AWS::DynamoDB::Table", "Arn") => regional("dynamodb", "table/"),
            ("AWS::DynamoDB::Table", "StreamArn") => format!("{}/stream/{STREAM}", regional("dynamodb", "table/")),
            ("AWS::S3::Bucket", "Arn") => format!("arn:{partition}:s3:::{name}"),
            ("AWS::S3::Bucket", "DomainName") => format!("{name}.s3.{}", self.url_suffix()),
            ("AWS::S3::Bucket", "RegionalDomainName") => format!("{name}.s3.{region}.{}", self.url_suffix()),
            ("AWS::SNS::Topic", "TopicArn" | "Arn") => regional("sns", ""),
            ("AWS::KMS::Key", "Arn") => format!("arn:{partition}:kms:{region}:{account}:key/{}", self.key_id(target)),
            ("AWS::KMS::Key", "KeyId") => self.key_id(target),
            _ => {
                return Err(format!(
                    "{place}: the lab does not know the {attribute} of {target} ({kind}); add it here"
                ));
            }
        })
    }

    /// `${Name}`, `${Resource.Attribute}`, `${AWS::Region}`, and `${!Literal}` for a `${Literal}` that stays.
    fn substitute(&self, text_in: &str, own: &Map<String, Value>, place: &str, depth: usize) -> Result<Value, String> {
        let mut result = String::new();
        let mut rest = text_in;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("{place}: a ${{ without its }}"))?;
            result.push_str(before);
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.extend(["${", literal, "}"]);
                continue;
            }
            let value = match (own.get(name), name.split_once('.')) {
                (Some(value), _) => self.value(value, place, depth)?,
                (None, Some((target, attribute))) => Some(self.attribute(target, attribute, place, depth)?.into()),
                (None, None) => self.reference(name, place, depth)?,
            };
            result.push_str(&value.map_or_else(|| Ok(String::new()), |value| text(&value, place))?);
        }
        Ok((result + rest).into())
    }

    fn named_condition(&self, name: &Value, place: &str, depth: usize) -> Result<bool, String> {
        let missing = || format!("{place}: there is no condition {name}; the template's are under Conditions");
        let found = name.as_str().and_then(|name| self.conditions?.get(name));
        self.condition(found.ok_or_else(missing)?, place, depth + 1)
    }

    fn condition(&self, condition: &Value, place: &str, depth: usize) -> Result<bool, String> {
        if depth > DEEPEST {
            return Err(format!("{place}: a condition refers to itself; break the circle"));
        }
        let wrong = || format!("{place}: {condition} is no condition; use Equals, Not, And, Or or Condition");
        let object = condition.as_object().filter(|object| object.len() == 1).ok_or_else(wrong)?;
        let (name, operand) = object.iter().next().ok_or_else(wrong)?;
        let every = |parts: &[Value]| -> Result<Vec<bool>, String> {
            parts.iter().map(|part| self.condition(part, place, depth + 1)).collect()
        };
        match (name.as_str(), operand, operand.as_array().map_or(&[] as &[Value], Vec::as_slice)) {
            ("Condition", name, _) => self.named_condition(name, place, depth),
            ("Fn::Equals", _, [left, right]) => {
                Ok(self.value(left, place, depth + 1)? == self.value(right, place, depth + 1)?)
            }
            ("Fn::Not", _, [part]) => Ok(!self.condition(part, place, depth + 1)?),
            ("Fn::And", _, parts @ [_, _, ..]) => Ok(every(parts)?.into_iter().all(|yes| yes)),
            ("Fn::Or", _, parts @ [_, _, ..]) => Ok(every(parts)?.into_iter().any(|yes| yes)),
            _ => Err(wrong()),
        }
    }
}

/// A parameter's value: the world's, or the default, held against the values that are allowed.
fn parameter(name: &str, declaration: &Value, world: &World) -> Result<Value, String> {
    let place = format!("Parameters.{name}");
    let given = world.parameters.get(name).cloned();
    let default = declaration.get("Default").map(|default| text(default, &place)).transpose()?;
    let value = given.or(default).ok_or_else(|| format!("{place} has no default; give it a value"))?;
    let kind = declaration.get("Type").and_then(Value::as_str).unwrap_or_default();
    if kind.starts_with("AWS::SSM::") {
        return Err(format!("{place}: the lab has no parameter store to look up {value} in; use a plain parameter"));
    }
    if let Some(Value::Array(allowed)) = declaration.get("AllowedValues") {
        let allowed: Vec<String> = allowed.iter().map(|one| text(one, &place)).collect::<Result<_, _>>()?;
        if !allowed.contains(&value) {
            return Err(format!("{place}: {value} is not one of {}", allowed.join(", ")));
        }
    }
    let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    Ok(if is_list { value.split(',').map(|item| Value::from(item.trim())).collect() } else { value.into() })
}
