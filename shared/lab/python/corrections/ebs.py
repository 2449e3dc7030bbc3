"""EBS encryption by default: the key, which moto can set but neither tell nor reset."""

from moto.core.responses import ActionResult
from moto.ec2.responses import EC2Response
from moto.kms.models import kms_backends

# What EC2 answers until another key is set.
AWS_MANAGED = "alias/aws/ebs"


def get_key(self):
    return ActionResult({"KmsKeyId": self.ec2_backend.__dict__.get("lab_ebs_key", AWS_MANAGED)})


def modify_key(self):
    """Takes a key's id, ARN, alias or alias' ARN; answers the key's ARN. EC2 looks at the key later, or never."""
    asked, backend = self._get_param("KmsKeyId"), self.ec2_backend
    keys = kms_backends[backend.account_id][backend.region_name]
    arn = f"arn:aws:kms:{backend.region_name}:{backend.account_id}:key/{asked.rsplit('/', 1)[-1]}"
    try:
        arn = keys.describe_key(keys.get_key_id(asked)).arn
    except Exception:  # noqa: BLE001, S110 - whatever moto says of a key that is not there
        pass
    backend.lab_ebs_key = arn
    return ActionResult({"KmsKeyId": arn})


def reset_key(self):
    self.ec2_backend.__dict__.pop("lab_ebs_key", None)
    return ActionResult({"KmsKeyId": AWS_MANAGED})


EC2Response.get_ebs_default_kms_key_id = get_key
EC2Response.modify_ebs_default_kms_key_id = modify_key
EC2Response.reset_ebs_default_kms_key_id = reset_key
