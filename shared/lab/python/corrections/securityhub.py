"""Security Hub takes findings and updates, and remembers them. What differs is told in src/quirks/records.rs."""

import json
import re

from moto.core.exceptions import JsonRESTError
from moto.securityhub import urls
from moto.securityhub.models import Finding, securityhub_backends
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


# https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html
REQUIRED = (
    "AwsAccountId",
    "CreatedAt",
    "Description",
    "GeneratorId",
    "Id",
    "ProductArn",
    "Resources",
    "SchemaVersion",
    "Severity",
    "Title",
    "Types",
    "UpdatedAt",
)
LEVELS = ("INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL")
# https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html
LONGEST = {"Title": 256, "Description": 1024, "Id": 512, "GeneratorId": 512, "ProductArn": 2048}
# What an import leaves as BatchUpdateFindings set it.
# https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html
KEPT = ("Note", "UserDefinedFields", "VerificationState", "Workflow")


def whole(finding):
    """A finding with what its provider says in FindingProviderFields, where it does not say it itself."""
    # https://docs.aws.amazon.com/securityhub/latest/userguide/finding-update-batchimportfindings.html
    provided = finding.get("FindingProviderFields") or {}
    return {**{name: provided[name] for name in ("Severity", "Types") if name in provided}, **finding}


def wrong_with(finding):
    """Why a finding is none; none if it is one."""
    missing = [name for name in REQUIRED if finding.get(name) in (None, "", [])]
    if missing:
        return f"{missing[0]} is required"
    if finding["SchemaVersion"] != "2018-10-08":
        return "SchemaVersion must be 2018-10-08"
    if finding["Severity"].get("Label") not in LEVELS and "Normalized" not in finding["Severity"]:
        return f"Severity.Label must be one of {', '.join(LEVELS)}"
    for name, longest in LONGEST.items():
        if len(finding[name]) > longest:
            return f"{name} is longer than {longest} characters"
    for name in ("CreatedAt", "UpdatedAt"):
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)", finding[name]):
            return f"{name} is not a valid date-time"
    resources = finding["Resources"]
    if not 1 <= len(resources) <= 32 or any(not (one.get("Type") and one.get("Id")) for one in resources):
        return "Resources must have between 1 and 32 members, each with a Type and an Id"
    if len(json.dumps(finding)) > 240 * 1024:
        return "the finding is larger than 240 KB"
    return None


def import_findings(self):
    """BatchImportFindings: up to 100 of one product of the caller's; what is wrong with one fails only that one."""
    findings, backend = json.loads(self.body).get("Findings") or [], self.securityhub_backend
    if not 1 <= len(findings) <= 100:
        raise refuse("Findings must have between 1 and 100 members")
    # An account's own product is named after it.
    ours = f"arn:aws:securityhub:{backend.region_name}:{backend.account_id}:product/{backend.account_id}/default"
    products = {finding.get("ProductArn") for finding in findings}
    if len(products) > 1 or any(product and product != ours for product in products):
        raise JsonRESTError("InvalidAccessException", f"The account is not subscribed to the product; use {ours}")
    failed = []
    for finding in map(whole, findings):
        why = wrong_with(finding)
        if why:
            failed.append({"Id": finding.get("Id") or "", "ErrorCode": "InvalidInput", "ErrorMessage": why})
            continue
        there = next((one for one in backend.findings if one.id == finding["Id"]), None)
        if there is None:
            backend.findings.append(Finding(finding["Id"], finding))
        elif there.data["UpdatedAt"] <= finding["UpdatedAt"]:
            kept_fields = {name: there.data[name] for name in KEPT if name in there.data}
            there.data = {**finding, **kept_fields}
    done = len(findings) - len(failed)
    return json.dumps({"FailedCount": len(failed), "SuccessCount": done, "FailedFindings": failed})


def imported(account, body):
    """Every finding that was imported to the region, as it is by now."""
    there = securityhub_backends[account][body.get("region", "us-east-1")].findings
    return {"findings": [finding.data for finding in there]}


SecurityHubResponse.batch_import_findings = import_findings
SecurityHubResponse.batch_update_findings = update
SecurityHubResponse.batch_update_findings_v2 = update_v2


def updates(account, body):
    """Every update of findings so far in the region."""
    return {"calls": getattr(securityhub_backends[account][body.get("region", "us-east-1")], "lab_updates", [])}


LAB = {"imported": imported, "updates": updates}
