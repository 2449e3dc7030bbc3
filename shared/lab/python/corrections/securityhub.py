"""Security Hub takes updates of findings and remembers them. What differs is told in src/quirks/records.rs."""

import json

from moto.core.exceptions import JsonRESTError
from moto.securityhub import urls
from moto.securityhub.models import securityhub_backends
from moto.securityhub.responses import SecurityHubResponse

urls.url_paths["{0}/findings/batchupdate$"] = SecurityHubResponse.dispatch
urls.url_paths["{0}/findingsv2/batchupdatev2$"] = SecurityHubResponse.dispatch

STATES = ("NEW", "NOTIFIED", "SUPPRESSED", "RESOLVED")


def refuse(text):
    return JsonRESTError("InvalidInputException", text)


def kept(response, body):
    response.securityhub_backend.__dict__.setdefault("lab_updates", []).append(body)


def update(self):
    """BatchUpdateFindings: up to 100, each named by its id and its product."""
    body = json.loads(self.body)
    named, state = body.get("FindingIdentifiers") or [], (body.get("Workflow") or {}).get("Status")
    if not 1 <= len(named) <= 100:
        raise refuse("FindingIdentifiers must have between 1 and 100 members")
    if state is not None and state not in STATES:
        raise refuse(f"Workflow.Status must be one of {', '.join(STATES)}")
    note = body.get("Note")
    if note is not None and not (0 < len(note.get("Text") or "") <= 512 and note.get("UpdatedBy")):
        raise refuse("Note needs a Text of at most 512 characters and an UpdatedBy")
    done, failed = [], []
    for one in named:
        known = str(one.get("ProductArn", "")).startswith("arn:") and ":product/" in one["ProductArn"] and one.get("Id")
        error = {"ErrorCode": "InvalidProductArn", "ErrorMessage": "The product ARN is not valid"}
        (done if known else failed).append(one if known else {"FindingIdentifier": one, **error})
    kept(self, {"operation": "BatchUpdateFindings", **body, "processed": done})
    return json.dumps({"ProcessedFindings": done, "UnprocessedFindings": failed})


def update_v2(self):
    """BatchUpdateFindingsV2: by metadata uids or by identifiers, not by both."""
    body = json.loads(self.body)
    uids, named = body.get("MetadataUids") or [], body.get("FindingIdentifiers") or []
    if bool(uids) == bool(named) or len(uids) + len(named) > 100:
        raise JsonRESTError("ValidationException", "Give up to 100 MetadataUids or FindingIdentifiers, not both")
    done = [{"MetadataUid": uid} for uid in uids] + [{"FindingIdentifier": one} for one in named]
    kept(self, {"operation": "BatchUpdateFindingsV2", **body, "processed": done})
    return json.dumps({"ProcessedFindings": done, "UnprocessedFindings": []})


SecurityHubResponse.batch_update_findings = update
SecurityHubResponse.batch_update_findings_v2 = update_v2


def updates(account, body):
    """Every update of findings so far in the region."""
    return {"calls": getattr(securityhub_backends[account][body.get("region", "us-east-1")], "lab_updates", [])}


LAB = {"updates": updates}
