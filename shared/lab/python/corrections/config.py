"""AWS Config takes evaluations and remembers them. What differs is told in src/quirks/records.rs."""

from moto.config.models import ConfigBackend, config_backends
from moto.core.exceptions import JsonRESTError

FIELDS = ("ComplianceResourceType", "ComplianceResourceId", "ComplianceType", "OrderingTimestamp")
TYPES = ("COMPLIANT", "NON_COMPLIANT", "NOT_APPLICABLE")
taken = ConfigBackend.put_evaluations


def put(self, evaluations=None, result_token=None, test_mode=False):
    """PutEvaluations, with and without TestMode; only without it are they kept, as in AWS."""
    taken(self, evaluations=evaluations, result_token=result_token, test_mode=True)
    if len(evaluations) > 100:
        raise JsonRESTError(
            "ValidationException",
            "1 validation error detected: Value at 'evaluations' failed to satisfy constraint: Member must have length "
            "less than or equal to 100",
        )
    for one in evaluations:
        lacking = [name for name in FIELDS if one.get(name) in (None, "")]
        if lacking or one["ComplianceType"] not in TYPES or len(one.get("Annotation") or "") > 256:
            text = f"Evaluation is not valid: {lacking or one['ComplianceType']}, or an annotation of more than 256"
            raise JsonRESTError("InvalidParameterValueException", text)
    there = self.__dict__.setdefault("lab_evaluations", [])
    there.append({"resultToken": result_token, "testMode": bool(test_mode), "evaluations": evaluations})
    return {"FailedEvaluations": []}


ConfigBackend.put_evaluations = put


def evaluations(account, body):
    """Every call of PutEvaluations so far in the region: its token, its mode, its evaluations."""
    backend = config_backends[account][body.get("region", "us-east-1")]
    return {"calls": getattr(backend, "lab_evaluations", [])}


LAB = {"evaluations": evaluations}
