//! Reads a bucket and its keys, and makes single writes to the bucket. The only file here that knows the AWS SDK; it
//! decides nothing.

use crate::policy::{self, KeyPolicy};
use crate::rules::Rule;
use crate::state::{Key, Look, Seen, State, Surroundings, Wanted};
use crate::{Change, Parameters, WeakEncryption};
use aws_config::SdkConfig;
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::types::KeyManagerType;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::types::{
    BlockedEncryptionTypes, EncryptionType, ReplicationRule, ReplicationRuleStatus, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    SseKmsEncryptedObjectsStatus,
};
use kms::KeyArn;
use remediation::fault::Attempt;
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use s3::{BucketName, Clients, fault, found};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The elements of S3's answer that a [`Rule`] holds. The SDK passes over any other without a word.
const KNOWN: &[&str] = &[
    "ServerSideEncryptionConfiguration",
    "Rule",
    "ApplyServerSideEncryptionByDefault",
    "SSEAlgorithm",
    "KMSMasterKeyID",
    "BucketKeyEnabled",
    "BlockedEncryptionTypes",
    "EncryptionType",
];

/// S3's group that delivers server access logs.
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// S3 and KMS, as this control needs them.
#[derive(Debug)]
pub struct Encryption {
    clients: Clients,
    kms: kms::Clients,
    looks: RefCell<Looks>,
    parameters: Parameters,
}

/// What was seen of keys on one occasion. A sweep meets the same few keys on thousands of buckets.
#[derive(Debug, Default)]
struct Looks {
    /// When: the occasion's time, in nanoseconds since 1970.
    at: i128,
    keys: HashMap<String, Seen>,
    /// Key policies; none for one that we may not read.
    policies: HashMap<String, Option<String>>,
}

impl Encryption {
    /// S3 and KMS as this configuration reaches them. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: Parameters) -> Self {
        Self { clients: Clients::new(sdk), kms: kms::Clients::new(sdk), looks: RefCell::default(), parameters }
    }

    /// The rules, and the names of what else is in the answer.
    async fn rules(&self, client: &Client, place: &Place<BucketName>) -> Result<(Vec<Rule>, Vec<String>), Fault> {
        // expected_bucket_owner on every call: bucket names are global, and a name can be somebody else's by now.
        let call =
            client.get_bucket_encryption().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        let elements = Elements::default();
        let sent = call.customize().interceptor(elements.clone()).send().await;
        let configuration = found(sent, "s3:GetEncryptionConfiguration", place)?
            .and_then(|answer| answer.server_side_encryption_configuration);
        let rules = configuration.map(|configuration| configuration.rules).unwrap_or_default();
        Ok((rules.into_iter().map(rule).collect(), elements.unknown()))
    }

    async fn policy(&self, client: &Client, place: &Place<BucketName>) -> Result<Option<String>, Fault> {
        let call =
            client.get_bucket_policy().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        Ok(found(call.send().await, "s3:GetBucketPolicy", place)?.and_then(|answer| answer.policy))
    }

    /// Whether the bucket's ACL has a grant for S3's log delivery group.
    async fn log_grant(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call = client.get_bucket_acl().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        let grants = found(call.send().await, "s3:GetBucketAcl", place)?.and_then(|answer| answer.grants);
        let mut grantees = grants.unwrap_or_default().into_iter().filter_map(|grant| grant.grantee);
        Ok(grantees.any(|grantee| grantee.uri.as_deref() == Some(LOG_DELIVERY)))
    }

    /// Whether a replication rule skips objects that are encrypted with KMS.
    async fn replication_skips_kms(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call =
            client.get_bucket_replication().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        let configuration = found(call.send().await, "s3:GetReplicationConfiguration", place)?
            .and_then(|answer| answer.replication_configuration);
        let selects = |rule: &ReplicationRule| {
            let criteria = rule.source_selection_criteria.as_ref();
            let kms = criteria.and_then(|criteria| criteria.sse_kms_encrypted_objects.as_ref());
            kms.is_some_and(|kms| kms.status == SseKmsEncryptedObjectsStatus::Enabled)
        };
        let rules = configuration.map(|configuration| configuration.rules).unwrap_or_default();
        Ok(rules.iter().any(|rule| rule.status == ReplicationRuleStatus::Enabled && !selects(rule)))
    }

    /// Looks at a key, once on an occasion. `address` is a full ARN.
    async fn key(&self, region: &Region, address: &str, occasion: &Occasion) -> Result<Seen, Fault> {
        if let Some(seen) = self.remembered(occasion, |looks| looks.keys.get(address).cloned()) {
            return Ok(seen);
        }
        let sent = self.kms.at(region).describe_key().key_id(address).send().await;
        let seen = match sent.map(|answer| answer.key_metadata) {
            Ok(Some(key)) => Seen::Key(Key {
                arn: key.arn.and_then(|arn| KeyArn::parse(&arn).ok()),
                state: key.key_state.map(|state| word(state.as_str())).unwrap_or_default(),
                usage: key.key_usage.map(|usage| word(usage.as_str())).unwrap_or_default(),
                spec: key.key_spec.map(|spec| word(spec.as_str())).unwrap_or_default(),
                aws_managed: key.key_manager == Some(KeyManagerType::Aws),
                multi_region: key.multi_region.unwrap_or(false),
            }),
            Ok(None) => Seen::Missing,
            Err(error) if matches!(error.code(), Some("NotFoundException" | "InvalidArnException")) => Seen::Missing,
            Err(error) => {
                let attempt = Attempt { action: "kms:DescribeKey", resource: &format_args!("key {}", shown(address)) };
                match attempt.fault(&error) {
                    Fault::Denied { .. } => Seen::Denied,
                    fault => return Err(fault),
                }
            }
        };
        self.looks.borrow_mut().keys.insert(address.to_owned(), seen.clone());
        Ok(seen)
    }

    /// The policy of a key, once on an occasion; none if we may not read it.
    async fn key_policy(&self, region: &Region, key: &KeyArn, occasion: &Occasion) -> Result<Option<String>, Fault> {
        if let Some(policy) = self.remembered(occasion, |looks| looks.policies.get(key.as_str()).cloned()) {
            return Ok(policy);
        }
        let sent = self.kms.at(region).get_key_policy().key_id(key.as_str()).send().await;
        let policy = match sent {
            Ok(answer) => answer.policy,
            Err(error) if error.code() == Some("NotFoundException") => None,
            Err(error) => {
                let attempt = Attempt { action: "kms:GetKeyPolicy", resource: &format_args!("key {key}") };
                match attempt.fault(&error) {
                    // A key that is disabled or about to go has a policy all the same; one being made may not.
                    Fault::Denied { .. } | Fault::GiveUp(_) => None,
                    fault => return Err(fault),
                }
            }
        };
        self.looks.borrow_mut().policies.insert(key.to_string(), policy.clone());
        Ok(policy)
    }

    fn remembered<T>(&self, occasion: &Occasion, of: impl Fn(&Looks) -> Option<T>) -> Option<T> {
        let mut looks = self.looks.borrow_mut();
        let now = occasion.now.unix_timestamp_nanos();
        if looks.at != now {
            *looks = Looks { at: now, ..Looks::default() };
        }
        of(&looks)
    }

    /// Looks at the keys that the rules name, without the one that AWS manages.
    async fn keys(&self, rules: &[Rule], place: &Place<BucketName>, occasion: &Occasion) -> Result<Vec<Look>, Fault> {
        let mut looks: Vec<Look> = Vec::new();
        for rule in rules {
            let Some(address) = rule.named().and_then(|named| named.address(&place.account, &place.region)) else {
                continue;
            };
            let name = rule.key.clone().unwrap_or_default();
            if looks.iter().all(|look| look.key != name) {
                let seen = self.key(&place.region, &address, occasion).await?;
                looks.push(Look { key: name, seen });
            }
        }
        Ok(looks)
    }

    /// The key that would be written, and its policy. What we may not look at, we must not write.
    async fn wanted_key(&self, wanted: &Wanted, occasion: &Occasion) -> Result<(Option<Look>, Option<String>), Fault> {
        let Some(key) = &wanted.key else { return Ok((None, None)) };
        let policy = async {
            // "Cross-account use: No." https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
            if *key.account() == wanted.account {
                self.key_policy(&wanted.region, key, occasion).await
            } else {
                Ok(None)
            }
        };
        let (seen, policy) = tokio::try_join!(self.key(&wanted.region, key.as_str(), occasion), policy)?;
        Ok((Some(Look { key: key.to_string(), seen }), policy))
    }

    async fn surroundings(
        &self,
        client: &Client,
        place: &Place<BucketName>,
        wanted: &Wanted,
        occasion: &Occasion,
    ) -> Result<Surroundings, Fault> {
        let (policy, log_grant, replication_skips_kms, (key, key_policy)) = tokio::try_join!(
            self.policy(client, place),
            self.log_grant(client, place),
            self.replication_skips_kms(client, place),
            self.wanted_key(wanted, occasion),
        )?;
        let aws_managed = matches!(&key, None | Some(Look { seen: Seen::Key(Key { aws_managed: true, .. }), .. }));
        let away = key.is_some() && wanted.key.as_ref().is_some_and(|key| *key.account() != wanted.account);
        let key_policy = match &key_policy {
            _ if wanted.algorithm == crate::Algorithm::Aes256 => KeyPolicy::NoKey,
            _ if aws_managed => KeyPolicy::AwsManaged,
            Some(text) => KeyPolicy::Text(text),
            None if away => KeyPolicy::Unread("the key's policy, which only the key's own account can read"),
            None => KeyPolicy::Unread("the key's policy, which could not be read (kms:GetKeyPolicy)"),
        };
        let read = policy::read(policy.as_deref(), log_grant, key_policy, &place.account);
        Ok(Surroundings {
            logs: read.logs,
            key,
            services: read.services,
            outsiders: read.outsiders,
            unclear: read.unclear,
            replication_skips_kms,
        })
    }

    fn wanted(&self, account: &AccountId, region: &Region, occasion: &Occasion) -> Wanted {
        let rule = occasion.rule.as_ref().and_then(|rule| rule.parameters.as_ref());
        Wanted {
            account: account.clone(),
            region: region.clone(),
            algorithm: self.parameters.algorithm,
            key: self.parameters.keys.of(region).cloned(),
            aws_managed_key: self.parameters.aws_managed_key,
            key_accounts: self.parameters.key_accounts.0.clone(),
            rule_keys: rule.and_then(|rule| rule.get("kmsKeyArns")?.as_str()).map(listed).unwrap_or_default(),
        }
    }

    async fn look(&self, place: &Place<BucketName>, occasion: &Occasion) -> Result<State, Fault> {
        let client = self.clients.at(&place.region);
        let (rules, unknown) = self.rules(&client, place).await?;
        let wanted = self.wanted(&place.account, &place.region, occasion);
        let state = State { rules, unknown, keys: vec![], wanted, surroundings: None };
        let around = async {
            if state.is_fine() {
                return Ok(None);
            }
            // Boxed: it is large, and most looks end without it.
            Box::pin(self.surroundings(&client, place, &state.wanted, occasion)).await.map(Some)
        };
        let (keys, surroundings) = tokio::try_join!(self.keys(&state.rules, place, occasion), around)?;
        let state = State { keys, surroundings, ..state };
        if state.surroundings.is_some() || state.is_fine() {
            return Ok(state);
        }
        // A key that is named loosely shows only once it was looked at that it falls short.
        let around = Box::pin(self.surroundings(&client, place, &state.wanted, occasion)).await?;
        Ok(State { surroundings: Some(around), ..state })
    }

    /// Whether the bucket still has the rules that a change was decided on.
    async fn stands(&self, client: &Client, place: &Place<BucketName>, rules: &[Rule]) -> Result<(), Fault> {
        let (now, unknown) = self.rules(client, place).await?;
        if now == rules && unknown.is_empty() {
            return Ok(());
        }
        Err(Fault::Moved(format!("somebody else changed the default encryption of bucket {}", place.target)))
    }
}

impl Cloud<WeakEncryption> for Encryption {
    async fn observe(&self, place: &Place<BucketName>, occasion: &Occasion) -> Result<Option<State>, Fault> {
        match Box::pin(self.look(place, occasion)).await {
            Err(Fault::Gone) => Ok(None),
            state => state.map(Some),
        }
    }

    async fn apply(&self, place: &Place<BucketName>, change: &Change) -> Result<(), Fault> {
        let (client, bucket, owner) = (self.clients.at(&place.region), place.target.as_str(), place.account.as_str());
        match change {
            Change::PutBucketEncryption { instead_of, rules } => {
                let configuration = configuration(rules, place)?;
                self.stands(&client, place, instead_of).await?;
                let call = client.put_bucket_encryption().bucket(bucket).expected_bucket_owner(owner);
                let sent = call.server_side_encryption_configuration(configuration).send().await;
                sent.map(drop).map_err(|error| fault(&error, "s3:PutEncryptionConfiguration", place))
            }
            Change::DeleteBucketEncryption { instead_of } => {
                self.stands(&client, place, instead_of).await?;
                let sent = client.delete_bucket_encryption().bucket(bucket).expected_bucket_owner(owner).send().await;
                sent.map(drop).map_err(|error| fault(&error, "s3:PutEncryptionConfiguration", place))
            }
        }
    }

    async fn tags(&self, place: &Place<BucketName>) -> Result<Vec<(String, String)>, Fault> {
        self.clients.tags(place).await
    }

    async fn list(
        &self,
        account: &AccountId,
        region: &Region,
        _: &Occasion,
        after: Option<&str>,
    ) -> Result<Page<BucketName>, Fault> {
        self.clients.list(account, region, after).await
    }
}

fn rule(rule: ServerSideEncryptionRule) -> Rule {
    let default = rule.apply_server_side_encryption_by_default;
    let (algorithm, key) = default.map_or((None, None), |default| {
        (Some(default.sse_algorithm.as_str().to_owned()), default.kms_master_key_id.filter(|key| !key.is_empty()))
    });
    let types = |blocked: BlockedEncryptionTypes| blocked.encryption_type.unwrap_or_default();
    let names = |blocked| types(blocked).iter().map(|kind| kind.as_str().to_owned()).collect();
    Rule {
        algorithm,
        key,
        bucket_key: rule.bucket_key_enabled.unwrap_or(false),
        blocked: rule.blocked_encryption_types.map(names),
    }
}

fn configuration(rules: &[Rule], place: &Place<BucketName>) -> Result<ServerSideEncryptionConfiguration, Fault> {
    let unfit = || Fault::GiveUp(format!("the rules for bucket {} cannot be put into a request", place.target));
    let mut configuration = ServerSideEncryptionConfiguration::builder();
    for rule in rules {
        let by_default = |algorithm: &str| {
            ServerSideEncryptionByDefault::builder()
                .sse_algorithm(ServerSideEncryption::from(algorithm))
                .set_kms_master_key_id(rule.key.clone())
                .build()
                .map_err(|_| unfit())
        };
        let blocked = rule.blocked.as_ref().map(|names| {
            let types = names.iter().map(|name| EncryptionType::from(name.as_str())).collect();
            BlockedEncryptionTypes::builder().set_encryption_type(Some(types)).build()
        });
        configuration = configuration.rules(
            ServerSideEncryptionRule::builder()
                .set_apply_server_side_encryption_by_default(rule.algorithm.as_deref().map(by_default).transpose()?)
                .bucket_key_enabled(rule.bucket_key)
                .set_blocked_encryption_types(blocked)
                .build(),
        );
    }
    configuration.build().map_err(|_| unfit())
}

/// The keys that the parameter `kmsKeyArns` of `S3_DEFAULT_ENCRYPTION_KMS` lists.
/// <https://docs.aws.amazon.com/config/latest/developerguide/s3-default-encryption-kms.html>
fn listed(keys: &str) -> Vec<KeyArn> {
    keys.split(',').filter_map(|key| KeyArn::parse(key.trim()).ok()).take(50).collect()
}

/// A word of KMS's, kept short and plain.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}

fn shown(address: &str) -> String {
    KeyArn::parse(address).map_or_else(|_| remediation::shown(address), |key| key.to_string())
}

/// The names of the elements of an answer.
#[derive(Clone, Debug, Default)]
struct Elements(Arc<Mutex<Vec<String>>>);

impl Elements {
    /// How many names are kept, and how much of each.
    const KEPT: usize = 8;

    /// Those that are not known, each once.
    fn unknown(&self) -> Vec<String> {
        self.0.lock().map(|names| names.clone()).unwrap_or_default()
    }

    fn read(&self, xml: &str) {
        let Ok(mut names) = self.0.lock() else { return };
        for rest in xml.split('<').skip(1) {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
            let name = rest.split_once(|c| !plain(c)).map_or(rest, |(name, _)| name);
            let name: String = name.chars().take(64).collect();
            if !name.is_empty() && !KNOWN.contains(&name.as_str()) && !names.contains(&name) && names.len() < Self::KEPT
            {
                names.push(name);
            }
        }
    }
}

impl Intercept for Elements {
    fn name(&self) -> &'static str {
        "Elements"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Of every attempt's answer: that of one which failed names no setting, and is not the last.
        if let (true, Some(body)) = (context.response().status().is_success(), context.response().body().bytes()) {
            self.read(&String::from_utf8_lossy(body));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
