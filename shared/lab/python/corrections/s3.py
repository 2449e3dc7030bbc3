"""Buckets' settings as S3 tells them. What differs is told in src/quirks/settings.rs."""

import json
import re

from moto.core.responses import ActionResult
from moto.s3 import models
from moto.s3.exceptions import (
    AccessDeniedByLock,
    InvalidBucketState,
    ReplicationConfigurationNotFoundError,
    S3ClientError,
    ServerSideEncryptionConfigurationNotFoundError,
)
from moto.s3.models import FakeAcl, FakeBucket, FakeGrant, FakeGrantee, PublicAccessBlock, S3Backend, s3_backends
from moto.s3.responses import S3Response
from moto.s3control.models import s3control_backends

# --- ACLs ------------------------------------------------------------------------------------------------------------


def acl_to_dict(acl):
    """One Grant for each grantee and permission; moto shows the first of each."""
    grants = [
        {
            "Grantee": {
                "Type": grantee.type,
                "URI": grantee.uri or None,
                "ID": grantee.id or None,
                "DisplayName": grantee.display_name or None,
            },
            "Permission": permission,
        }
        for grant in acl.grants
        for grantee in grant.grantees
        for permission in grant.permissions
    ]
    return {"Owner": {"ID": models.OWNER, "DisplayName": "webfile"}, "Grants": grants}


S3Response._acl_to_dict = staticmethod(acl_to_dict)
canned = models.get_canned_acl
# The account of EC2's image service, to which S3 gives the reading of bundles. Its name is as good as any.
EC2_ITSELF = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"


def canned_acl(name):
    acl = canned(name)
    if name == "log-delivery-write":
        group = [models.LOG_DELIVERY_GRANTEE]
        acl = FakeAcl([acl.grants[0], FakeGrant(group, ["WRITE"]), FakeGrant(group, ["READ_ACP"])])
    if name == "aws-exec-read":
        acl.grants.append(FakeGrant([FakeGrantee(grantee_id=EC2_ITSELF)], ["READ"]))
    return acl


models.get_canned_acl = canned_acl
S3Response._acl_from_headers.__globals__["get_canned_acl"] = canned_acl
from_headers = S3Response._acl_from_headers


def acl_from_headers(self, headers):
    """The grants of the x-amz-grant headers, each grantee of a header by itself."""
    acl = from_headers(self, headers)
    if acl is not None and not headers.get("x-amz-acl"):
        one = [(grantee, p) for grant in acl.grants for grantee in grant.grantees for p in grant.permissions]
        acl = FakeAcl([FakeGrant([grantee], [permission]) for grantee, permission in one])
    return acl


S3Response._acl_from_headers = acl_from_headers

# --- encryption ------------------------------------------------------------------------------------------------------

new = FakeBucket.__init__


def new_bucket(self, *arguments, **named):
    new(self, *arguments, **named)
    # New buckets block SSE-C since April 2026.
    self.lab_blocked = ["SSE-C"]


FakeBucket.__init__ = new_bucket


def blocked_in(rule):
    types = (rule.get("BlockedEncryptionTypes") or {}).get("EncryptionType") or []
    return [types] if isinstance(types, str) else list(types)


def get_encryption(self):
    self.data["Action"] = "GetBucketEncryption"
    bucket = self.backend.get_bucket(self.bucket_name)
    rule, blocked = (bucket.encryption or {}).get("Rule"), getattr(bucket, "lab_blocked", [])
    if not rule and not blocked:
        raise ServerSideEncryptionConfigurationNotFoundError(bucket_name=self.bucket_name)
    rule = rule or {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    on = str(rule.get("BucketKeyEnabled", "false")).lower() == "true"
    shown = {"BucketKeyEnabled": on}
    if rule.get("ApplyServerSideEncryptionByDefault"):
        shown["ApplyServerSideEncryptionByDefault"] = rule["ApplyServerSideEncryptionByDefault"]
    if blocked:
        shown["BlockedEncryptionTypes"] = {"EncryptionType": blocked}
    return self.serialized(ActionResult({"ServerSideEncryptionConfiguration": {"Rules": [shown]}}))


def put_encryption(self, bucket_name, encryption):
    bucket = self.get_bucket(bucket_name)
    bucket.encryption = encryption
    bucket.lab_blocked = blocked_in(encryption["Rule"])


def delete_encryption(self, bucket_name):
    bucket = self.get_bucket(bucket_name)
    bucket.encryption, bucket.lab_blocked = None, []


S3Response.get_bucket_encryption = get_encryption
S3Backend.put_bucket_encryption = put_encryption
S3Backend.delete_bucket_encryption = delete_encryption

# --- replication and notification ------------------------------------------------------------------------------------

RULE = (
    "ID",
    "Priority",
    "Status",
    "Filter",
    "Prefix",
    "Destination",
    "DeleteMarkerReplication",
    "ExistingObjectReplication",
)


def get_replication(self):
    """All of the rules; moto leaves out SourceSelectionCriteria, which says whether SSE-KMS objects are replicated."""
    self.data["Action"] = "GetBucketReplication"
    replication = self.backend.get_bucket_replication(self.bucket_name)
    if not replication:
        raise ReplicationConfigurationNotFoundError(bucket_name=self.bucket_name)
    rules = []
    for rule in replication["Rule"]:
        shown = {name: rule[name] for name in RULE if rule.get(name) is not None}
        if isinstance(rule.get("Filter"), dict):
            shown["Filter"] = {name: "" if value is None else value for name, value in rule["Filter"].items()}
        if rule.get("SourceSelectionCriteria"):
            shown["SourceSelectionCriteria"] = rule["SourceSelectionCriteria"]
        rules.append(shown)
    whole = {"ReplicationConfiguration": {"Role": replication["Role"], "Rules": rules}}
    return self.serialized(ActionResult(whole))


S3Response.get_bucket_replication = get_replication
get_notification, from_xml = S3Response.get_bucket_notification, S3Response._notification_config_from_body


def notification_from_body(self):
    text = self.body.decode() if isinstance(self.body, bytes) else self.body
    self.backend.get_bucket(self.bucket_name).lab_eventbridge = "EventBridgeConfiguration" in text
    return from_xml(self)


def notification(self):
    self.data["Action"] = "GetBucketNotificationConfiguration"
    answer = get_notification(self)
    if not getattr(self.backend.get_bucket(self.bucket_name), "lab_eventbridge", False):
        return answer
    status, headers, body = answer
    text = (body.decode() if isinstance(body, bytes) else body).strip()
    there = "<EventBridgeConfiguration/>"
    if text.endswith("/>"):
        text = re.sub(r"<(\w+)( [^>]*)?/>$", rf"<\1\2>{there}</\1>", text)
    else:
        text = re.sub(r"</(\w+)>$", rf"{there}</\1>", text)
    return status, headers, text


S3Response._notification_config_from_body = notification_from_body
S3Response.get_bucket_notification = notification

# --- object lock -----------------------------------------------------------------------------------------------------


class Locked(AccessDeniedByLock):
    def __init__(self):
        S3ClientError.__init__(self, "AccessDenied", "Access Denied because object protected by object lock.")


delete = S3Backend.delete_object


def delete_object(self, bucket_name, key_name, version_id=None, bypass=False):
    """moto takes any text for a bypass, and says of the lock only that access is denied."""
    try:
        return delete(self, bucket_name, key_name, version_id, str(bypass).lower() == "true")
    except AccessDeniedByLock:
        raise Locked


def put_retention(self):
    """A retention can be made longer; shorter or weaker only from GOVERNANCE, by who may bypass it."""
    version = self._get_param("versionId")
    key = self.backend.get_object(self.bucket_name, self.parse_key_name(), version_id=version)
    mode, until = self._mode_until_from_body()
    bypass = (self.headers.get("x-amz-bypass-governance-retention") or "").lower() == "true"
    hold, held = getattr(key, "lock_legal_status", None), key is not None
    if held and key.lock_until:
        # A legal hold is another matter.
        key.lock_legal_status = None
        locked = key.is_locked(governance_bypass=bypass)
        key.lock_legal_status = hold
        weaker = (until or "") < key.lock_until or (key.lock_mode == "COMPLIANCE" and mode != "COMPLIANCE")
        if locked and weaker:
            raise Locked
    return put_object_retention(self)


put_object_retention = S3Response.put_object_retention
S3Response.put_object_retention = put_retention
S3Backend.delete_object = delete_object
put_versioning, put_lock = S3Backend.put_bucket_versioning, S3Backend.put_object_lock_configuration


def put_bucket_versioning(self, bucket_name, status):
    if self.get_bucket(bucket_name).object_lock_enabled and status != "Enabled":
        told = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
        raise InvalidBucketState(told)
    return put_versioning(self, bucket_name, status)


def put_object_lock(self, bucket_name, lock_enabled, mode=None, days=None, years=None):
    """S3 takes it for a bucket that has objects too."""
    bucket = self.get_bucket(bucket_name)
    there, bucket.keys = bucket.keys, type(bucket.keys)()
    try:
        put_lock(self, bucket_name, lock_enabled, mode, days or 0, years or 0)
    finally:
        bucket.keys = there


S3Backend.put_bucket_versioning = put_bucket_versioning
S3Backend.put_object_lock_configuration = put_object_lock

# --- policies --------------------------------------------------------------------------------------------------------

permission = FakeBucket.get_permission


def get_permission(self, action, resource):
    """What the policy says of an object, but for statements with a condition, which the lab counts as not met."""
    whole = self.policy
    if whole is None:
        return permission(self, action, resource)
    policy = json.loads(whole)
    statements = policy.get("Statement") or []
    statements = statements if isinstance(statements, list) else [statements]
    stripped = FakeBucket.__new__(FakeBucket)
    plain = [one for one in statements if not one.get("Condition")]
    stripped.policy = json.dumps({**policy, "Statement": plain}).encode() if plain else None
    return permission(stripped, action, resource)


FakeBucket.get_permission = get_permission

# --- the lab's own ---------------------------------------------------------------------------------------------------


def buckets(account, body):
    """The account's buckets, with what ListBuckets says of each."""
    there = s3_backends[account]["aws"].list_buckets(body.get("prefix"), body.get("region"), None)
    return {"buckets": [[b.name, b.creation_date_ISO8601, b.region_name] for b in there]}


SETTINGS = {
    "BlockPublicAcls": "block_public_acls",
    "IgnorePublicAcls": "ignore_public_acls",
    "BlockPublicPolicy": "block_public_policy",
    "RestrictPublicBuckets": "restrict_public_buckets",
}


def on(block):
    return [name for name, attribute in SETTINGS.items() if block is not None and getattr(block, attribute)]


def facts(account, body):
    """What the lab must know of a bucket before an account's call to it, in one answer that costs no HTTP of moto's."""
    name = body["name"]
    partition, owner = s3_backends.bucket_accounts.get(name, (None, None))
    if owner is None:
        return {"state": "missing"}
    if owner != account:
        return {"state": "foreign"}
    bucket = s3_backends[account][partition].get_bucket(name)
    own = s3control_backends[account][partition].public_access_block
    return {
        "state": "own",
        "region": bucket.region_name,
        "policy": bucket.policy.decode() if bucket.policy else None,
        "block": on(bucket.public_access_block) + on(own),
        "ownership": bucket.ownership_rule if isinstance(bucket.ownership_rule, str) else None,
    }


def fill(account, body):
    """Makes `count` buckets named after `prefix`, as S3 makes them; with `open`, without the public access block."""
    backend, region = s3_backends[account]["aws"], body.get("region", "us-east-1")
    names = []
    for number in range(body["count"]):
        bucket = FakeBucket(f"{body['prefix']}-{number:06}", account, region)
        bucket.ownership_rule = body.get("ownership", "BucketOwnerEnforced")
        if not body.get("open"):
            bucket.public_access_block = PublicAccessBlock("true", "true", "true", "true")
        if body.get("policy"):
            bucket.policy = body["policy"].replace("BUCKET", bucket.name).encode()
        if body.get("acl"):
            bucket.acl = canned_acl(body["acl"])
        backend.buckets[bucket.name] = bucket
        names.append(bucket.name)
    return {"names": names}


LAB = {"buckets": buckets, "facts": facts, "fill": fill}
