"""Keys as KMS has them. What differs is told in src/quirks/kms.rs."""

import hashlib
import json
import uuid

from moto.core.exceptions import JsonRESTError
from moto.kms.models import KmsBackend, kms_backends
from moto.kms.responses import KmsResponse

# The services whose key is there from the account's first use of the console: what our controls ask for.
MANAGED = ("alias/aws/s3", "alias/aws/ebs", "alias/aws/rds")


def managed_key(backend, alias):
    """The key behind an AWS managed alias: made when it is first asked for, the same each time, AWS's to manage."""
    there = getattr(backend, "lab_managed", None)
    if there is None:
        there = backend.lab_managed = {}
    if alias not in there:
        service = alias.rsplit("/", 1)[-1]
        about = f"Default key that protects my {service.upper()} data when no other key is defined"
        key = backend.create_key("", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", about, None)
        del backend.keys[key.id]
        digest = hashlib.sha256(f"{backend.account_id} {backend.region_name} {alias}".encode()).digest()
        key.id = str(uuid.UUID(bytes=digest[:16], version=4))
        key.arn = f"arn:aws:kms:{backend.region_name}:{backend.account_id}:key/{key.id}"
        key.key_manager = "AWS"
        key.policy = json.dumps(
            {
                "Version": "2012-10-17",
                "Id": f"auto-{service}-2",
                "Statement": [
                    {
                        "Sid": "Allow access through the service for all principals in the account",
                        "Effect": "Allow",
                        "Principal": {"AWS": "*"},
                        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
                        "Resource": "*",
                        "Condition": {
                            "StringEquals": {
                                "kms:CallerAccount": backend.account_id,
                                "kms:ViaService": f"{service}.{backend.region_name}.amazonaws.com",
                            }
                        },
                    }
                ],
            }
        )
        backend.keys[key.id] = key
        backend.create_alias(key.id, alias)
        there[alias] = key.id
    return there[alias]


def alias_in(name):
    """The alias in a name of a key: `alias/x`, or the alias' ARN."""
    return name if name.startswith("alias/") else "alias/" + name.split(":alias/", 1)[1] if ":alias/" in name else None


def missing(backend, name):
    here = f"arn:aws:kms:{backend.region_name}:{backend.account_id}:"
    if alias_in(name):
        return JsonRESTError("NotFoundException", f"Alias {here}{alias_in(name)} is not found.")
    key = name if name.startswith("arn:") else f"{here}key/{name}"
    return JsonRESTError("NotFoundException", f"Key '{key}' does not exist")


def find(self, name):
    """The key of a name (id, ARN, alias, alias' ARN) in its account and this region, or why there is none."""
    backend = self.kms_backend
    if name.startswith("arn:"):
        parts = name.split(":")
        if len(parts) < 6 or parts[3] != backend.region_name:
            raise JsonRESTError("NotFoundException", f"Invalid arn {parts[3] if len(parts) > 3 else name}")
        if parts[4] != backend.account_id:
            return foreign(backend, name, kms_backends[parts[4]][parts[3]])
    alias = alias_in(name)
    if alias in MANAGED:
        return backend.keys[managed_key(backend, alias)]
    if alias:
        found = [key for key in backend.keys.values() if alias in key.aliases]
    else:
        found = [key for key in backend.keys.values() if key.id == name.rsplit("/", 1)[-1]]
    if not found:
        raise missing(backend, name)
    return found[0]


def foreign(backend, name, theirs):
    """Another account's key, if its policy names ours."""
    key = theirs.keys.get(name.rsplit("/", 1)[-1])
    if key is None or backend.account_id not in key.policy:
        told = (
            f"User: arn:aws:iam::{backend.account_id}:root is not authorized to perform: kms:DescribeKey on resource: "
            f"{name} because the resource does not exist in this Region, no resource-based policies allow access, or a "
            "resource-based policy explicitly denies access"
        )
        raise JsonRESTError("AccessDeniedException", told)
    return key


def describe(self):
    return json.dumps(find(self, self._get_param("KeyId")).to_dict())


def get_policy(self):
    """GetKeyPolicy: by id or ARN; an alias is no key's id to it."""
    name = self._get_param("KeyId")
    if alias_in(name):
        raise JsonRESTError("NotFoundException", f"Invalid keyId {name}")
    return json.dumps({"Policy": find(self, name).policy, "PolicyName": "default"})


def list_aliases(self):
    """ListAliases: in order, in pages, AWS's own only where the key is there."""
    name, limit, mark = self._get_param("KeyId"), self._get_param("Limit"), self._get_param("Marker")
    key = find(self, name).id if name else None
    for alias in MANAGED:
        managed_key(self.kms_backend, alias)
    aliases = sorted(
        (alias for key in self.kms_backend.keys.values() for alias in key.aliases.values()),
        key=lambda alias: alias.alias_name,
    )
    after = bytes.fromhex(mark).decode() if mark else ""
    rest = [alias for alias in aliases if alias.alias_name > after and key in (None, alias.target_key_id)]
    limit = 50 if limit is None else int(limit)
    page = [
        {"AliasArn": a.alias_arn, "AliasName": a.alias_name, "TargetKeyId": a.target_key_id} for a in rest[:limit]
    ]
    more = {"NextMarker": rest[limit - 1].alias_name.encode().hex()} if len(rest) > limit else {}
    return json.dumps({"Aliases": page, "Truncated": bool(more), **more})


KmsResponse.describe_key = describe
KmsResponse.get_key_policy = get_policy
KmsResponse.list_aliases = list_aliases


def usable(operation):
    """The operation refuses a key that is about to be deleted, as KMS does."""

    def checked(self):
        key = find(self, self._get_param("KeyId"))
        if key.key_state == "PendingDeletion":
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        # moto finds these keys by their ids alone; KMS takes ARNs too.
        self.body = json.dumps({**json.loads(self.body), "KeyId": key.id})
        return operation(self)

    return checked


for name in ("enable_key", "disable_key", "enable_key_rotation", "schedule_key_deletion"):
    setattr(KmsResponse, name, usable(getattr(KmsResponse, name)))

made = KmsBackend.create_key


def create_key(self, policy, key_usage, key_spec, description, tags, multi_region=False, origin="AWS_KMS"):
    usage = key_usage or "ENCRYPT_DECRYPT"
    return made(self, policy, usage, key_spec, description, tags, bool(multi_region), origin or "AWS_KMS")


KmsBackend.create_key = create_key


# --- the lab's own ---------------------------------------------------------------------------------------------------


def key(account, body):
    """A key of this id, as CloudFormation makes one: nobody else can choose an id."""
    backend = kms_backends[account][body["region"]]
    about = body.get("description") or ""
    made = backend.create_key(body.get("policy"), "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", about, None)
    del backend.keys[made.id]
    made.id = body["id"]
    made.arn = f"arn:aws:kms:{body['region']}:{account}:key/{made.id}"
    made.key_rotation_status = bool(body.get("rotates"))
    backend.keys[made.id] = made
    return {}


LAB = {"key": key}
