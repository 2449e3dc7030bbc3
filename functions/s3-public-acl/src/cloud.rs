//! Reads a bucket's ACL and makes single writes to it. The only file here that knows the AWS SDK; it decides nothing.

use crate::{Acl, Change, Grant, Grantee, Look, Parameters, PublicAcl, State};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{AccessControlPolicy, ObjectOwnership, Owner, Type};
use remediation::{AccountId, Cloud, Fault, Occasion, Page, Place, Region};
use s3::{BucketName, Clients, fault, found, own_block, website};

/// S3, as this control needs it.
#[derive(Debug)]
pub struct S3 {
    clients: Clients,
    parameters: Parameters,
}

impl S3 {
    /// S3 as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig, parameters: Parameters) -> Self {
        Self { clients: Clients::new(sdk), parameters }
    }

    async fn acl(&self, client: &Client, place: &Place<BucketName>) -> Result<Acl, Fault> {
        // expected_bucket_owner on every call: bucket names are global, and a name can be somebody else's by now.
        let call = client.get_bucket_acl().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        let answer = call.send().await.map_err(|error| fault(&error, "s3:GetBucketAcl", place))?;
        let owner = answer.owner.and_then(|owner| owner.id).filter(|id| !id.is_empty());
        Ok(Acl { owner, grants: answer.grants.unwrap_or_default().into_iter().map(grant).collect() })
    }

    async fn acls_disabled(&self, client: &Client, place: &Place<BucketName>) -> Result<bool, Fault> {
        let call = client
            .get_bucket_ownership_controls()
            .bucket(place.target.as_str())
            .expected_bucket_owner(place.account.as_str());
        let found = found(call.send().await, "s3:GetBucketOwnershipControls", place)?;
        let rules =
            found.and_then(|answer| answer.ownership_controls).map(|controls| controls.rules).unwrap_or_default();
        Ok(rules.iter().any(|rule| rule.object_ownership == ObjectOwnership::BucketOwnerEnforced))
    }

    async fn look(&self, client: &Client, place: &Place<BucketName>, acl: &Acl) -> Result<Option<Look>, Fault> {
        if !acl.grants.iter().any(|grant| grant.is_public() || grant.unknown_group().is_some()) {
            return Ok(None);
        }
        let (block, disabled, website) = tokio::try_join!(
            own_block(client, place),
            self.acls_disabled(client, place),
            website(client, place, &self.parameters)
        )?;
        Ok(Some(Look { disabled, ignored: block.ignore_public_acls, website }))
    }

    async fn put(&self, client: &Client, place: &Place<BucketName>, acl: &Acl) -> Result<(), Fault> {
        let public = acl.grants.iter().any(Grant::is_public);
        // Public grants are only ever an undo's.
        if public {
            let block = own_block(client, place).await?;
            if block.block_public_acls || block.ignore_public_acls {
                return Err(refused(place));
            }
        }
        let call = client.put_bucket_acl().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
        let sent = call.access_control_policy(written(acl, place)?).send().await;
        sent.map(drop).map_err(|error| put_fault(&error, place, public))
    }
}

/// A grant as S3 shows it. What it is follows from what it holds: an id, a URI, or neither.
fn grant(grant: aws_sdk_s3::types::Grant) -> Grant {
    let permission = grant.permission.map(|permission| permission.as_str().to_owned()).unwrap_or_default();
    let Some(grantee) = grant.grantee else { return Grant { to: Grantee::Other(String::new()), permission } };
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let to = match (filled(grantee.uri), filled(grantee.id)) {
        (Some(uri), _) => Grantee::Group(uri),
        (None, Some(id)) => Grantee::Account(id),
        (None, None) => Grantee::Other(grantee.r#type.as_str().to_owned()),
    };
    Grant { to, permission }
}

fn written(acl: &Acl, place: &Place<BucketName>) -> Result<AccessControlPolicy, Fault> {
    let whole = |what: &str| Fault::GiveUp(format!("the ACL of bucket {} cannot be written: {what}", place.target));
    let mut grants = Vec::new();
    for Grant { to, permission } in &acl.grants {
        let grantee = aws_sdk_s3::types::Grantee::builder();
        let grantee = match to {
            Grantee::Account(id) => grantee.r#type(Type::CanonicalUser).id(id),
            Grantee::Group(uri) => grantee.r#type(Type::Group).uri(uri),
            Grantee::Other(_) => return Err(whole("it has a grantee of a kind that S3 does not take back")),
        };
        let grantee = grantee.build().map_err(|_| whole("a grantee has no kind"))?;
        let grant = aws_sdk_s3::types::Grant::builder().grantee(grantee).permission(permission.as_str().into());
        grants.push(grant.build());
    }
    let owner = acl.owner.as_deref().ok_or_else(|| whole("its owner is not known"))?;
    Ok(AccessControlPolicy::builder().owner(Owner::builder().id(owner).build()).set_grants(Some(grants)).build())
}

fn refused(place: &Place<BucketName>) -> Fault {
    Fault::GiveUp(format!(
        "a public access block of bucket {} or of its account refuses or hides public ACLs (BlockPublicAcls, \
         IgnorePublicAcls); to undo, take back the record of s3-public-bucket (or s3-public-account) first, then this one",
        place.target
    ))
}

fn put_fault<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    place: &Place<BucketName>,
    public: bool,
) -> Fault {
    match (error.code(), error.message()) {
        // "… because public access control lists (ACLs) are blocked by the BlockPublicAcls block public access setting": the
        // account's block, which is not in the bucket's own, says so too.
        (Some("AccessDenied"), Some(message)) if public && message.contains("BlockPublicAcls") => refused(place),
        (Some("AccessControlListNotSupported"), _) if public => Fault::GiveUp(format!(
            "ACLs are switched off in bucket {} (BucketOwnerEnforced), so its grants cannot be put back; they would have no \
             effect",
            place.target
        )),
        (Some("AccessControlListNotSupported"), _) => {
            Fault::Moved(format!("ACLs were switched off in bucket {} since we read its own", place.target))
        }
        _ => fault(error, "s3:PutBucketAcl", place),
    }
}

impl Cloud<PublicAcl> for S3 {
    async fn observe(&self, place: &Place<BucketName>, _: &Occasion) -> Result<Option<State>, Fault> {
        let client = self.clients.at(&place.region);
        let acl = match self.acl(&client, place).await {
            Err(Fault::Gone) => return Ok(None),
            acl => acl?,
        };
        match self.look(&client, place, &acl).await {
            Err(Fault::Gone) => Ok(None),
            look => Ok(Some(State { look: look?, acl })),
        }
    }

    async fn apply(&self, place: &Place<BucketName>, change: &Change) -> Result<(), Fault> {
        let client = self.clients.at(&place.region);
        let Change::PutBucketAcl { was, acl } = change;
        let now = self.acl(&client, place).await?;
        if now.is_like(acl) {
            return Ok(());
        }
        if !now.is_like(was) {
            return Err(Fault::Moved(format!("the ACL of bucket {} was changed since we read it", place.target)));
        }
        self.put(&client, place, acl).await
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

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
