//! Reads what a part is like. The only file here that calls AWS; it decides nothing, and there is nothing to write.

use crate::{Change, Deployment, Kind, Part, State, Tampering, Touch, Weakness};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TimeToLiveStatus};
use aws_sdk_eventbridge::types::RuleState;
use aws_sdk_kms::types::KeyState;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};
use remediation::fault::Attempt;
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region, shown};
use s3::{Block, BucketName, own_block};

/// What services say of what does not exist.
const MISSING: &[&str] = &["NotFound", "NotFoundException", "ResourceNotFoundException", "TableNotFoundException"];
/// What a listing's place begins with, for [`Cloud::list`].
const RULES: &str = "rules";
/// The same, for functions.
const FUNCTIONS: &str = "functions";
/// The most of a name from outside. A role's session has an ARN of some 200 characters at most.
const LONGEST: usize = 256;

/// The deployment's parts, as this control needs them. Clients are made anew for each look: looks are rare, and clients share
/// their connections.
#[derive(Debug)]
pub struct Parts {
    sdk: SdkConfig,
    buckets: s3::Clients,
    deployment: Deployment,
}

/// What reading a part shows.
#[derive(Debug, Default)]
struct Look {
    weak: Vec<Weakness>,
    unheard: bool,
}

impl Parts {
    /// The parts of this deployment as this configuration reaches them. No call is made yet.
    pub fn new(sdk: &SdkConfig, deployment: Deployment) -> Self {
        Self { sdk: sdk.clone(), buckets: s3::Clients::new(sdk), deployment }
    }

    async fn look(&self, place: &Place<Part>) -> Result<Look, Fault> {
        match place.target.kind {
            Kind::Bucket => self.bucket(place).await,
            Kind::Function => self.function(place).await,
            Kind::Key => self.key(place).await,
            Kind::Rule => self.rule(place).await,
            Kind::Table => self.table(place).await,
            Kind::Topic => self.topic(place).await,
            // What these are like says nothing that the call does not.
            Kind::LogGroup | Kind::Role | Kind::Stack | Kind::Subscription => Ok(Look::default()),
        }
    }

    async fn rule(&self, place: &Place<Part>) -> Result<Look, Fault> {
        let (client, name) = (self.events(&place.region), place.target.name.as_str());
        let rule = async {
            let sent = client.describe_rule().name(name).send().await;
            found(sent, "events:DescribeRule", &place.target)
        };
        let targets = async {
            let sent = client.list_targets_by_rule().rule(name).limit(1).send().await;
            found(sent, "events:ListTargetsByRule", &place.target)
        };
        let (rule, targets) = tokio::try_join!(rule, targets)?;
        let Some(rule) = rule else { return Ok(gone()) };
        let targets = targets.and_then(|answer| answer.targets).unwrap_or_default();
        Ok(weak([
            (rule.state == Some(RuleState::Disabled), Weakness::Disabled),
            (targets.is_empty(), Weakness::NoTarget),
        ]))
    }

    async fn function(&self, place: &Place<Part>) -> Result<Look, Fault> {
        let (client, name) = (self.lambda(&place.region), place.target.name.as_str());
        let reserved = async {
            let sent = client.get_function_concurrency().function_name(name).send().await;
            found(sent, "lambda:GetFunctionConcurrency", &place.target)
        };
        let mappings = async {
            let sent = client.list_event_source_mappings().function_name(name).send().await;
            found(sent, "lambda:ListEventSourceMappings", &place.target)
        };
        let (reserved, mappings) = tokio::try_join!(reserved, mappings)?;
        let Some(reserved) = reserved else { return Ok(gone()) };
        let mappings = mappings.and_then(|answer| answer.event_source_mappings).unwrap_or_default();
        // https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
        let off = |state: &Option<String>| state.as_deref().is_some_and(|state| state.starts_with("Disabl"));
        Ok(weak([
            (reserved.reserved_concurrent_executions == Some(0), Weakness::Stopped),
            (mappings.iter().any(|mapping| off(&mapping.state)), Weakness::MappingOff),
            (mappings.is_empty() && self.deployment.is_recorder(name), Weakness::MappingGone),
        ]))
    }

    async fn table(&self, place: &Place<Part>) -> Result<Look, Fault> {
        let (client, name) = (self.dynamodb(&place.region), place.target.name.as_str());
        let table = async {
            let sent = client.describe_table().table_name(name).send().await;
            found(sent, "dynamodb:DescribeTable", &place.target)
        };
        let backups = async {
            let sent = client.describe_continuous_backups().table_name(name).send().await;
            found(sent, "dynamodb:DescribeContinuousBackups", &place.target)
        };
        let lives = async {
            let sent = client.describe_time_to_live().table_name(name).send().await;
            found(sent, "dynamodb:DescribeTimeToLive", &place.target)
        };
        let (table, backups, lives) = tokio::try_join!(table, backups, lives)?;
        let Some(table) = table.and_then(|answer| answer.table) else { return Ok(gone()) };
        let streams = table.stream_specification.as_ref().is_some_and(|stream| stream.stream_enabled);
        let recovery = backups
            .and_then(|answer| answer.continuous_backups_description?.point_in_time_recovery_description)
            .and_then(|recovery| recovery.point_in_time_recovery_status);
        let lives = lives.and_then(|answer| answer.time_to_live_description?.time_to_live_status);
        let lives = matches!(lives, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling));
        let mut look = weak([
            (!streams, Weakness::StreamOff),
            (recovery != Some(PointInTimeRecoveryStatus::Enabled), Weakness::RecoveryOff),
            (table.deletion_protection_enabled != Some(true), Weakness::Deletable),
            (!lives, Weakness::TimeToLiveOff),
        ]);
        let key = table.sse_description.and_then(|encryption| encryption.kms_master_key_arn);
        // Another account's key is not ours to look at.
        if let Some(key) = key.filter(|key| key.split(':').nth(4) == Some(place.account.as_str())) {
            look.weak.extend(match self.key_state(&place.region, &key).await? {
                None => Some(Weakness::KeyGone),
                Some(KeyState::Disabled) => Some(Weakness::KeyDisabled),
                Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => Some(Weakness::KeyGoing),
                Some(_) => None,
            });
        }
        Ok(look)
    }

    /// Whether the ledger's table is encrypted with this key: then it is ours.
    async fn is_ours(&self, key: &Place<Part>) -> Result<bool, Fault> {
        let name = self.deployment.ledger.as_str();
        if name.is_empty() {
            return Ok(false);
        }
        let sent = self.dynamodb(&key.region).describe_table().table_name(name).send().await;
        let answer = found(sent, "dynamodb:DescribeTable", &format_args!("table/{name}"))?;
        let arn = answer.and_then(|answer| answer.table?.sse_description?.kms_master_key_arn).unwrap_or_default();
        Ok(arn.rsplit_once(":key/").is_some_and(|(_, id)| id == key.target.name))
    }

    async fn key(&self, place: &Place<Part>) -> Result<Look, Fault> {
        Ok(match self.key_state(&place.region, &place.target.name).await? {
            None => gone(),
            Some(KeyState::Disabled) => weak([(true, Weakness::Disabled)]),
            Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => weak([(true, Weakness::KeyGoing)]),
            Some(_) => Look::default(),
        })
    }

    async fn key_state(&self, region: &Region, key: &str) -> Result<Option<KeyState>, Fault> {
        let config = aws_sdk_kms::config::Builder::from(&self.sdk);
        let config = config.region(aws_sdk_kms::config::Region::new(region.to_string())).build();
        let sent = aws_sdk_kms::Client::from_conf(config).describe_key().key_id(key).send().await;
        let found = found(sent, "kms:DescribeKey", &format_args!("key {}", shown(key)))?;
        Ok(found.and_then(|answer| answer.key_metadata?.key_state))
    }

    async fn bucket(&self, place: &Place<Part>) -> Result<Look, Fault> {
        let target = BucketName::parse(&place.target.name).map_err(Fault::GiveUp)?;
        let place = Place { account: place.account.clone(), region: place.region.clone(), target };
        match self.bucket_of(&place).await {
            Err(Fault::Gone) => Ok(gone()),
            look => look,
        }
    }

    async fn bucket_of(&self, place: &Place<BucketName>) -> Result<Look, Fault> {
        let (client, bucket, owner) = (self.buckets.at(&place.region), place.target.as_str(), place.account.as_str());
        let versioning = async {
            let sent = client.get_bucket_versioning().bucket(bucket).expected_bucket_owner(owner).send().await;
            sent.map_err(|error| s3::fault(&error, "s3:GetBucketVersioning", place))
        };
        let lock = async {
            let call = client.get_object_lock_configuration().bucket(bucket).expected_bucket_owner(owner);
            match call.send().await {
                Ok(answer) => Ok(answer.object_lock_configuration),
                Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Ok(None),
                Err(error) => Err(s3::fault(&error, "s3:GetBucketObjectLockConfiguration", place)),
            }
        };
        let (versioning, lock, block) = tokio::try_join!(versioning, lock, own_block(&client, place))?;
        let locked = lock.is_some_and(|lock| {
            let keeps = lock.rule.and_then(|rule| rule.default_retention).is_some();
            keeps && lock.object_lock_enabled == Some(ObjectLockEnabled::Enabled)
        });
        Ok(weak([
            (versioning.status != Some(BucketVersioningStatus::Enabled), Weakness::VersioningOff),
            (!locked, Weakness::LockOff),
            (block != Block::FULL, Weakness::Public),
        ]))
    }

    async fn topic(&self, place: &Place<Part>) -> Result<Look, Fault> {
        let config = aws_sdk_sns::config::Builder::from(&self.sdk);
        let config = config.region(aws_sdk_sns::config::Region::new(place.region.to_string())).build();
        let client = aws_sdk_sns::Client::from_conf(config);
        let sent = client.get_topic_attributes().topic_arn(&place.target.name).send().await;
        let Some(answer) = found(sent, "sns:GetTopicAttributes", &place.target)? else { return Ok(gone()) };
        let confirmed = answer.attributes.and_then(|mut attributes| attributes.remove("SubscriptionsConfirmed"));
        Ok(Look { unheard: confirmed.as_deref() == Some("0"), ..Look::default() })
    }

    fn events(&self, region: &Region) -> aws_sdk_eventbridge::Client {
        let config = aws_sdk_eventbridge::config::Builder::from(&self.sdk);
        let region = aws_sdk_eventbridge::config::Region::new(region.to_string());
        aws_sdk_eventbridge::Client::from_conf(config.region(region).build())
    }

    fn lambda(&self, region: &Region) -> aws_sdk_lambda::Client {
        let config = aws_sdk_lambda::config::Builder::from(&self.sdk);
        let region = aws_sdk_lambda::config::Region::new(region.to_string());
        aws_sdk_lambda::Client::from_conf(config.region(region).build())
    }

    fn dynamodb(&self, region: &Region) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.sdk);
        let region = aws_sdk_dynamodb::config::Region::new(region.to_string());
        aws_sdk_dynamodb::Client::from_conf(config.region(region).build())
    }

    /// The rules of the deployment, disabled ones among them, and what is looked for by name.
    async fn rules(&self, region: &Region, token: Option<&str>) -> Result<Page<Part>, Fault> {
        let call = self.events(region).list_rules().name_prefix(self.deployment.prefix()).limit(100);
        let sent = call.set_next_token(token.map(str::to_owned)).send().await;
        let attempt = Attempt { action: "events:ListRules", resource: &format_args!("region {region}") };
        let answer = sent.map_err(|error| attempt.fault(&error))?;
        let names = answer.rules.unwrap_or_default().into_iter().filter_map(|rule| rule.name);
        let mut targets: Vec<_> = names.filter_map(|name| Part::parse(&format!("rule/{name}")).ok()).collect();
        if token.is_none() {
            let Deployment { ledger, evidence, topic, .. } = &self.deployment;
            let fixed = [("table", ledger), ("bucket", evidence), ("topic", topic)];
            targets.extend(fixed.iter().filter_map(|(kind, name)| Part::parse(&format!("{kind}/{name}")).ok()));
        }
        let next = answer.next_token.map_or_else(|| FUNCTIONS.to_owned(), |token| format!("{RULES} {token}"));
        Ok(Page { targets, next: Some(next) })
    }

    async fn functions(&self, region: &Region, marker: Option<&str>) -> Result<Page<Part>, Fault> {
        let sent = self.lambda(region).list_functions().set_marker(marker.map(str::to_owned)).send().await;
        let attempt = Attempt { action: "lambda:ListFunctions", resource: &format_args!("region {region}") };
        let answer = sent.map_err(|error| attempt.fault(&error))?;
        let names = answer.functions.unwrap_or_default().into_iter().filter_map(|function| function.function_name);
        let parts = names.filter_map(|name| Part::parse(&format!("function/{name}")).ok());
        let targets = parts.filter(|part| self.deployment.has(part) == Some(true)).collect();
        Ok(Page { targets, next: answer.next_marker.map(|marker| format!("{FUNCTIONS} {marker}")) })
    }
}

impl Cloud<Tampering> for Parts {
    async fn observe(&self, place: &Place<Part>, occasion: &Occasion) -> Result<Option<State>, Fault> {
        let (part, touched) = (place.target.clone(), touch(occasion));
        let ours = match self.deployment.has(&part) {
            Some(ours) => ours,
            None => self.is_ours(place).await?,
        };
        let mut state = State { part, ours, touched, weak: vec![], unread: None, unheard: false };
        if !state.ours {
            return Ok(Some(state));
        }
        // Boxed: it is large, and most looks end without it.
        match Box::pin(self.look(place)).await {
            Ok(Look { weak, unheard }) => {
                state.weak = weak;
                state.unheard = unheard;
            }
            Err(elsewhere @ Fault::Elsewhere(_)) => return Err(elsewhere),
            // That it was touched is to be told now, whatever it is like.
            Err(fault) if state.touched.is_some() => state.unread = Some(fault.to_string()),
            Err(fault) => return Err(fault),
        }
        Ok(Some(state))
    }

    async fn apply(&self, _: &Place<Part>, change: &Change) -> Result<(), Fault> {
        match *change {}
    }

    /// None: nothing that tags could say changes what is told.
    async fn tags(&self, _: &Place<Part>) -> Result<Vec<(String, String)>, Fault> {
        Ok(Vec::new())
    }

    async fn list(
        &self,
        _: &AccountId,
        region: &Region,
        _: &Occasion,
        after: Option<&str>,
    ) -> Result<Page<Part>, Fault> {
        if self.deployment.stack.is_empty() {
            let why =
                "nothing says which deployment this function belongs to: set SUTURE_PARAMETERS as the template does";
            return Err(Fault::GiveUp(why.to_owned()));
        }
        let (what, token) = match after.map(|after| after.split_once(' ').unwrap_or((after, ""))) {
            None => (RULES, None),
            Some((what, token)) => (what, Some(token).filter(|token| !token.is_empty())),
        };
        if what == FUNCTIONS { self.functions(region, token).await } else { self.rules(region, token).await }
    }
}

/// The call that made us look.
fn touch(occasion: &Occasion) -> Option<Touch> {
    let call = occasion.call.as_ref()?;
    let cause = occasion.cause.clone().unwrap_or_default();
    // Lambda's calls carry the date of their API's version.
    let name = call.event_name.split_once("20").map_or(call.event_name.as_str(), |(name, _)| name);
    Some(Touch {
        call: told(name),
        by: cause.actor.as_deref().map_or_else(|| "somebody whom the event does not name".to_owned(), told),
        from: cause.source_ip.as_deref().map(told),
        // What AWS itself wrote into the record: no caller can make this one up.
        by_cloudformation: cause.agent.as_deref() == Some("cloudformation"),
        with: cause.agent.as_deref().map(told),
    })
}

/// A text from outside, short and plain, and whole if it is an ARN: whom to stop must not be cut off.
fn told(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().map(plain).take(LONGEST).collect()
}

fn gone() -> Look {
    weak([(true, Weakness::Gone)])
}

fn weak<const N: usize>(weak: [(bool, Weakness); N]) -> Look {
    Look { weak: weak.into_iter().filter(|(so, _)| *so).map(|(_, what)| what).collect(), ..Look::default() }
}

/// The answer; none if the service says that there is no such thing.
fn found<T, E: ProvideErrorMetadata>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    action: &'static str,
    resource: &dyn std::fmt::Display,
) -> Result<Option<T>, Fault> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code().is_some_and(|code| MISSING.contains(&code)) => Ok(None),
        Err(error) => Err(Attempt { action, resource }.fault(&error)),
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
