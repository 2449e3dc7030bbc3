//! Reads `template.yaml` as CloudFormation and SAM would, as far as the lab needs it: each function with its role,
//! settings and rules, every reference resolved. The lab runs what is deployed, not a second description of it.
//!
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification.html>

mod event_sources;
mod forwards;
mod mappings;
mod queues;
mod resolve;
mod resources;
mod roles;
mod whole;
pub mod yaml;

pub use forwards::ForwardSpec;
pub use mappings::MappingSpec;
pub use queues::QueueSpec;
pub(crate) use resolve::STREAM;
pub use resources::ResourceSpec;
pub use roles::RoleSpec;
pub use whole::whole;

use resolve::Resolver;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Where a template is read as if it were deployed there.
#[derive(Clone, Debug)]
pub struct World {
    /// The account's twelve digits.
    pub account: String,
    /// The region, such as `us-east-1`.
    pub region: String,
    /// The partition: `aws`, `aws-us-gov`, `aws-cn`.
    pub partition: String,
    /// The stack's name, with which physical names begin.
    pub stack: String,
    /// Values for the template's parameters, in place of their defaults.
    pub parameters: BTreeMap<String, String>,
}

impl Default for World {
    /// The account and region of `events/`, and the stack name of `samconfig.toml`.
    fn default() -> Self {
        Self {
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            partition: "aws".to_owned(),
            stack: "suture".to_owned(),
            parameters: BTreeMap::new(),
        }
    }
}

/// What the lab takes from a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// The functions, in the order of their logical ids.
    pub functions: Vec<FunctionSpec>,
    /// What else the lab deploys: tables, buckets, topics, queues, keys and what belongs to them, in the order of their
    /// logical ids.
    pub resources: Vec<ResourceSpec>,
    /// Every role that the template spells out, in the order of their logical ids.
    pub roles: Vec<RoleSpec>,
    /// The rules that send events on to another bus.
    pub forwards: Vec<ForwardSpec>,
    /// The statements of the policies on the default bus: who may put events on it.
    pub bus_policy: Vec<Value>,
}

/// One function, as it would be deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionSpec {
    /// Its name in the template, such as `S3PublicBucket`.
    pub logical_id: String,
    /// Its physical name, by which people invoke it.
    pub name: String,
    /// The folder below `functions/`, which is the name of the crate and of the binary too.
    pub code_dir: String,
    /// The physical name of the role that it runs in.
    pub role_name: String,
    /// The ARN of that role.
    pub role_arn: String,
    /// Its memory in MB. SAM leaves it to Lambda where the template is silent: 128.
    pub memory_mb: u32,
    /// Its time-out in seconds. Lambda's default is 3.
    pub timeout: u32,
    /// Its environment variables. AWS's own (`AWS_REGION`, …) are not among them.
    pub environment: BTreeMap<String, String>,
    /// How many may run at once, if that is set.
    pub reserved_concurrency: Option<u32>,
    /// The enabled event rules that wake it.
    pub rules: Vec<RuleSpec>,
    /// Its enabled schedules. The lab has no clock: they wait to be fired.
    pub schedules: Vec<ScheduleSpec>,
    /// The enabled mappings that hand it the records of a table's stream.
    pub mappings: Vec<MappingSpec>,
    /// The enabled event sources that hand it the messages of a queue.
    pub queues: Vec<QueueSpec>,
    /// The ARN of where Lambda tells what it failed with, when the caller did not wait and every try has failed.
    pub on_failure: Option<String>,
    /// The statements of the policies that its role spells out, resolved.
    pub permissions: Vec<Value>,
    /// How often Lambda calls again after an error, when the caller does not wait. Lambda's default is 2.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
    pub max_retries: u32,
}

/// One rule on the default event bus.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// Its physical name.
    pub name: String,
    /// Its event pattern.
    pub pattern: Value,
    /// The ARN of the queue for events that could not be handed to the function.
    pub dead_letters: Option<String>,
    /// Whether the function lets the rule invoke it: SAM sees to that, a rule by itself needs a permission.
    pub permitted: bool,
}

/// One schedule: an EventBridge rule with an expression instead of a pattern, or one of EventBridge Scheduler's.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleSpec {
    /// Its physical name.
    pub name: String,
    /// The folder of the function's code.
    pub function: String,
    /// When: `rate(1 day)`, `cron(0 3 * * ? *)`.
    pub expression: String,
    /// Whether it is EventBridge Scheduler's, whose events are another source's.
    pub scheduler: bool,
    /// What it sends instead of an event.
    pub input: Option<Value>,
}

impl Template {
    /// Takes the path of a template; returns what it would deploy in `world`, or an error that names the place.
    pub fn read(path: &Path, world: &World) -> Result<Self, String> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
        Self::parse(&text, world).map_err(|error| at(&error))
    }

    /// Takes a template's text; returns what it would deploy in `world`, or an error that names the place.
    pub fn parse(text: &str, world: &World) -> Result<Self, String> {
        let document = yaml::parse(text)?;
        let resolver = Resolver::new(&document, world)?;
        let globals = document.pointer("/Globals/Function").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let resources = resources::read(&resolver)?;
        let (roles, forwards) = (roles::read(&resolver)?, forwards::read(&resolver)?);
        let bus_policy = forwards::bus_policy(&resolver)?;
        let mut functions = Vec::new();
        for (logical_id, resource) in resolver.resources() {
            if !is_function(resource) || !resolver.exists(logical_id)? {
                continue;
            }
            let own = resource.get("Properties").cloned().unwrap_or_default();
            functions.push(
                Function { logical_id, resource, properties: merged(&globals, &own), resolver: &resolver }.spec()?,
            );
        }
        Ok(Self { functions, resources, roles, forwards, bus_policy })
    }
}

fn is_function(resource: &Value) -> bool {
    resource.get("Type").and_then(Value::as_str) == Some("AWS::Serverless::Function")
}

/// SAM's rule for Globals: maps are merged, lists are put behind one another, and of two plain values the function's
/// own wins. An intrinsic looks like a map, but is a value.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html>
fn merged(global: &Value, own: &Value) -> Value {
    match (global, own) {
        (Value::Object(global), Value::Object(own))
            if !resolve::is_intrinsic(global) && !resolve::is_intrinsic(own) =>
        {
            let mut all = global.clone();
            for (key, value) in own {
                let value = all.get(key).map_or_else(|| value.clone(), |global| merged(global, value));
                all.insert(key.clone(), value);
            }
            Value::Object(all)
        }
        (Value::Array(global), Value::Array(own)) => Value::Array(global.iter().chain(own).cloned().collect()),
        (global, Value::Null) => global.clone(),
        (_, own) => own.clone(),
    }
}

/// One function of the template, while it is read.
struct Function<'a> {
    logical_id: &'a str,
    resource: &'a Value,
    properties: Value,
    resolver: &'a Resolver<'a>,
}

impl Function<'_> {
    fn spec(&self) -> Result<FunctionSpec, String> {
        let role_arn = self.text("/Role")?.ok_or_else(|| {
            format!("{} has no Role; the lab's functions run in roles that the template spells out", self.logical_id)
        })?;
        let role_name = role_arn.rsplit('/').next().unwrap_or(&role_arn).to_owned();
        Ok(FunctionSpec {
            logical_id: self.logical_id.to_owned(),
            name: self.resolver.name(self.logical_id, &self.place(""))?,
            code_dir: self.code_dir()?,
            role_name,
            role_arn,
            memory_mb: self.number("/MemorySize")?.unwrap_or(128),
            timeout: self.number("/Timeout")?.unwrap_or(3),
            environment: self.environment()?,
            reserved_concurrency: self.number("/ReservedConcurrentExecutions")?,
            rules: self.rules()?,
            schedules: self.schedules()?,
            mappings: self.mappings()?,
            queues: self.queues()?,
            on_failure: self.text("/EventInvokeConfig/DestinationConfig/OnFailure/Destination")?,
            permissions: self.permissions()?,
            max_retries: self.number("/EventInvokeConfig/MaximumRetryAttempts")?.unwrap_or(2),
        })
    }

    fn place(&self, pointer: &str) -> String {
        format!("{}{}", self.logical_id, pointer.replace('/', "."))
    }

    fn value(&self, pointer: &str) -> Result<Option<Value>, String> {
        match self.properties.pointer(pointer) {
            Some(value) => self.resolver.resolve(value, &self.place(pointer)),
            None => Ok(None),
        }
    }

    fn text(&self, pointer: &str) -> Result<Option<String>, String> {
        let value = self.value(pointer)?;
        value.map(|value| resolve::text(&value, &self.place(pointer))).transpose()
    }

    fn number(&self, pointer: &str) -> Result<Option<u32>, String> {
        // A parameter's value is text, also where its type is Number.
        let parsed = self
            .text(pointer)?
            .map(|text| text.parse().map_err(|_| format!("{}: {text} is not a whole number", self.place(pointer))));
        parsed.transpose()
    }

    fn code_dir(&self) -> Result<String, String> {
        if let Some(binary) = self.resource.pointer("/Metadata/BuildProperties/Binary").and_then(Value::as_str) {
            return Ok(binary.to_owned());
        }
        let uri = self.text("/CodeUri")?.unwrap_or_default();
        let dir = uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if dir.is_empty() || dir == "." {
            return Err(format!("{}: {uri:?} names no folder; write functions/<control>/", self.place("/CodeUri")));
        }
        Ok(dir.to_owned())
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, String> {
        let pointer = "/Environment/Variables";
        let Some(Value::Object(variables)) = self.value(pointer)? else {
            return Ok(BTreeMap::new());
        };
        variables
            .into_iter()
            .map(|(name, value)| Ok((resolve::text(&value, &format!("{}.{name}", self.place(pointer)))?, name)))
            .map(|pair| pair.map(|(value, name)| (name, value)))
            .collect()
    }

    /// The rules that SAM makes of the function's events, and those that stand by themselves and target it.
    fn rules(&self) -> Result<Vec<RuleSpec>, String> {
        let mut rules = Vec::new();
        let none = Map::new();
        for (name, event) in self.properties.get("Events").and_then(Value::as_object).unwrap_or(&none) {
            let kind = event.get("Type").and_then(Value::as_str).unwrap_or_default();
            // Schedules are read below; queues and APIs are not the event bus's.
            if !matches!(kind, "EventBridgeRule" | "CloudWatchEvent") {
                continue;
            }
            let place = format!("{}.Events.{name}", self.logical_id);
            let event = event.get("Properties").cloned().unwrap_or_default();
            let fallback = format!("{}-{}{name}", self.resolver.world.stack, self.logical_id);
            rules.extend(self.rule(&event, ["RuleName", "Pattern"], &event, fallback, &place)?);
        }
        let own = self.resolver.arn(self.logical_id, &self.place(""))?;
        for (name, resource) in self.resolver.resources() {
            let kind = resource.get("Type").and_then(Value::as_str);
            if kind != Some("AWS::Events::Rule") || !self.resolver.exists(name)? {
                continue;
            }
            let properties = resource.get("Properties").cloned().unwrap_or_default();
            let Some(Value::Array(targets)) = properties.get("Targets") else { continue };
            let place = format!("{name}.Targets");
            for target in targets {
                let Some(arn) = target.get("Arn") else { continue };
                if self.resolver.resolve(arn, &place)?.as_ref().and_then(Value::as_str) != Some(&own) {
                    continue;
                }
                let fallback = format!("{}-{name}", self.resolver.world.stack);
                let rule = self.rule(&properties, ["Name", "EventPattern"], target, fallback, name)?;
                if let Some(mut rule) = rule {
                    rule.permitted = self.permits(&rule.name)?;
                    rules.push(rule);
                }
            }
        }
        Ok(rules)
    }

    /// The schedules that SAM makes of the function's events, and those that stand by themselves and target it.
    /// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-schedulev2.html>
    fn schedules(&self) -> Result<Vec<ScheduleSpec>, String> {
        let mut found = Vec::new();
        let none = Map::new();
        for (name, event) in self.properties.get("Events").and_then(Value::as_object).unwrap_or(&none) {
            let (when, scheduler) = match event.get("Type").and_then(Value::as_str) {
                Some("Schedule") => ("Schedule", false),
                Some("ScheduleV2") => ("ScheduleExpression", true),
                _ => continue,
            };
            let place = format!("{}.Events.{name}", self.logical_id);
            let fallback = format!("{}-{}{name}", self.resolver.world.stack, self.logical_id);
            let event = event.get("Properties").cloned().unwrap_or_default();
            found.extend(self.schedule(&event, when, &event, scheduler, fallback, &place)?);
        }
        let own = self.resolver.arn(self.logical_id, &self.place(""))?;
        for (name, resource) in self.resolver.resources() {
            let scheduler = match resource.get("Type").and_then(Value::as_str) {
                Some("AWS::Events::Rule") => false,
                Some("AWS::Scheduler::Schedule") => true,
                _ => continue,
            };
            let properties = resource.get("Properties").cloned().unwrap_or_default();
            if properties.get("ScheduleExpression").is_none() || !self.resolver.exists(name)? {
                continue;
            }
            let targets = match properties.get("Targets") {
                Some(Value::Array(targets)) => targets.clone(),
                _ => properties.get("Target").cloned().into_iter().collect(),
            };
            for target in targets {
                let Some(arn) = target.get("Arn") else { continue };
                if self.resolver.resolve(arn, name)?.as_ref().and_then(Value::as_str) == Some(&own) {
                    let fallback = format!("{}-{name}", self.resolver.world.stack);
                    found.extend(self.schedule(
                        &properties,
                        "ScheduleExpression",
                        &target,
                        scheduler,
                        fallback,
                        name,
                    )?);
                }
            }
        }
        Ok(found)
    }

    /// None if the schedule is switched off. `target` is where the input stands.
    fn schedule(
        &self,
        schedule: &Value,
        expression: &str,
        target: &Value,
        scheduler: bool,
        fallback: String,
        at: &str,
    ) -> Result<Option<ScheduleSpec>, String> {
        let field = |of: &Value, key: &str| match of.get(key) {
            Some(value) => self.resolver.resolve(value, &format!("{at}.{key}")),
            None => Ok(None),
        };
        let text = |key: &str| field(schedule, key)?.map(|value| resolve::text(&value, at)).transpose();
        if text("State")?.as_deref() == Some("DISABLED") || text("Enabled")?.as_deref() == Some("false") {
            return Ok(None);
        }
        let expression = text(expression)?.ok_or_else(|| format!("{at} has no {expression}; give it one"))?;
        let input = field(target, "Input")?.map(|input| resolve::text(&input, at)).transpose()?;
        let input = input
            .map(|input| serde_json::from_str(&input).map_err(|error| format!("{at}.Input is not JSON: {error}")))
            .transpose()?;
        let name = text("Name")?.unwrap_or(fallback);
        Ok(Some(ScheduleSpec { name, function: self.code_dir()?, expression, scheduler, input }))
    }

    /// Whether one of the template's permissions lets EventBridge's rule of this name invoke the function.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-lambda-permissions>
    fn permits(&self, rule: &str) -> Result<bool, String> {
        let world = self.resolver.world;
        let rule = format!("arn:{}:events:{}:{}:rule/{rule}", world.partition, world.region, world.account);
        let own = [self.resolver.arn(self.logical_id, &self.place(""))?, self.resolver.name(self.logical_id, "")?];
        for (name, resource) in self.resolver.resources() {
            let kind = resource.get("Type").and_then(Value::as_str);
            if kind != Some("AWS::Lambda::Permission") || !self.resolver.exists(name)? {
                continue;
            }
            let properties = resource.get("Properties").cloned().unwrap_or_default();
            let properties = self.resolver.resolve(&properties, name)?.unwrap_or_default();
            let text = |field: &str| properties.get(field).and_then(Value::as_str);
            if text("Principal") == Some("events.amazonaws.com")
                && text("Action") == Some("lambda:InvokeFunction")
                && text("FunctionName").is_some_and(|of| own.iter().any(|own| own == of))
                && text("SourceArn").is_none_or(|arn| crate::quirks::wildcard(arn, &rule))
                && text("SourceAccount").is_none_or(|account| account == world.account)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// None if the rule is switched off or is a schedule. `target` is where its queue for dead letters stands.
    fn rule(
        &self,
        rule: &Value,
        [name, pattern]: [&str; 2],
        target: &Value,
        fallback: String,
        at: &str,
    ) -> Result<Option<RuleSpec>, String> {
        let field = |key: &str| match rule.get(key) {
            Some(value) => self.resolver.resolve(value, &format!("{at}.{key}")),
            None => Ok(None),
        };
        let off = field("State")? == Some("DISABLED".into()) || field("Enabled")? == Some(false.into());
        if off || rule.get("ScheduleExpression").is_some() {
            return Ok(None);
        }
        let pattern =
            field(pattern)?.ok_or_else(|| format!("{at} has neither a {pattern} nor a schedule; give it one"))?;
        let name = field(name)?.map(|name| resolve::text(&name, at)).transpose()?.unwrap_or(fallback);
        let dead_letters = match target.pointer("/DeadLetterConfig/Arn") {
            Some(arn) => self.resolver.resolve(arn, at)?.map(|arn| resolve::text(&arn, at)).transpose()?,
            None => None,
        };
        Ok(Some(RuleSpec { name, pattern, dead_letters, permitted: true }))
    }
}

#[cfg(test)]
mod tests;
