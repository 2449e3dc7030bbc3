"""Users, access keys and the credential report as IAM has them. What differs is told in src/quirks/iam.rs."""

from datetime import datetime, timedelta, timezone

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.models import AccessKey, AccessKeyLastUsed, User, iam_backends
from moto.iam.responses import IamResponse
from moto.iam.utils import generate_access_key_id_from_account_id

from lab_paging import IamError, paged

LIST = {"size": "MaxItems", "token": "Marker", "limits": (1, 1000), "default": 100, "truncated": True}


def name_of(item):
    """The key by which a list is in order: a tag's key, a policy's name, a date of making and an id."""
    if isinstance(item, str):
        return item
    if isinstance(item, dict):
        return item.get("Key") or item.get("PolicyName") or item.get("UserName") or str(item)
    return item.name


paged(IamResponse, "list_users", "Users", lambda user: f"{user.path}{user.name}", **LIST)
paged(IamResponse, "list_user_tags", "Tags", name_of, **LIST)
paged(IamResponse, "list_user_policies", "PolicyNames", name_of, **LIST)


def by_age(key):
    """The older key first, as people know it from the console."""
    return f"{key.create_date:%Y%m%d%H%M%S%f}{key.access_key_id}"


paged(IamResponse, "list_access_keys", "AccessKeyMetadata", by_age, **LIST)

# --- users -----------------------------------------------------------------------------------------------------------

make_user = User.__init__


def with_id(self, account_id, *args, **kwargs):
    make_user(self, account_id, *args, **kwargs)
    self.id = generate_access_key_id_from_account_id(account_id, prefix="AIDA", total_length=21)


User.__init__ = with_id

# --- access keys -----------------------------------------------------------------------------------------------------


def find_key(backend, access_key_id):
    """A key of this account, and whether it is another account's; moto does not tell the two apart."""
    key = backend.access_keys.get(access_key_id)
    if key is not None and key.user_name is not None:
        return key
    if any(access_key_id in account[backend.partition].access_keys for account in list(iam_backends.values())):
        # IAM says no more of a key that is somebody else's.
        text = f"not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key {access_key_id}"
        raise IamError("AccessDenied", f"User: arn:aws:iam::{backend.account_id}:root is {text}")
    raise IamError("NoSuchEntity", f"The Access Key with id {access_key_id} cannot be found.")


def get_last_used(self):
    key = find_key(self.backend, self._get_param("AccessKeyId"))
    use = {"Region": "N/A", "ServiceName": "N/A"}
    if key.last_used:
        last = key.last_used
        use = {"LastUsedDate": last.timestamp, "Region": last.region, "ServiceName": last.service}
    return ActionResult({"UserName": key.user_name, "AccessKeyLastUsed": use})


def update_key(self):
    """UpdateAccessKey: without a user's name it is about the caller's own, which no control of ours may rely on."""
    name, status, key = self._get_param("UserName"), self._get_param("Status"), self._get_param("AccessKeyId")
    if status not in ("Active", "Inactive"):
        text = (
            f"1 validation error detected: Value '{status}' at 'status' failed to satisfy constraint: Member must "
            "satisfy enum value set: [Active, Inactive]"
        )
        raise IamError("ValidationError", text)
    if name is not None and name not in self.backend.users:
        raise IamError("NoSuchEntity", f"The user with name {name} cannot be found.")
    found = self.backend.access_keys.get(key)
    if found is None or (name is not None and found.user_name != name):
        raise IamError("NoSuchEntity", f"The Access Key with id {key} cannot be found.")
    found.status = status
    return EmptyResult()


IamResponse.get_access_key_last_used = get_last_used
IamResponse.update_access_key = update_key

# --- the credential report -------------------------------------------------------------------------------------------

# As long as IAM keeps a report before it makes another.
KEPT = timedelta(hours=4)
COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)


def moment(date):
    return date.strftime("%Y-%m-%dT%H:%M:%SZ")


def truth(value):
    return "true" if value else "false"


def key_columns(key):
    if key is None:
        return ["false", "N/A", "N/A", "N/A", "N/A"]
    use = ["N/A"] * 3
    if key.last_used:
        use = [moment(key.last_used.timestamp), key.last_used.region, key.last_used.service]
    rotated = getattr(key, "lab_rotated", None) or key.create_date
    return [truth(key.status == "Active"), moment(rotated), *use]


def row(user):
    keys = sorted(user.access_keys, key=lambda key: (key.create_date, key.access_key_id))
    keys += [None] * (2 - len(keys))
    password = ["false", "N/A", "N/A", "N/A"]
    if user.password:
        used = moment(user.password_last_used) if user.password_last_used else "no_information"
        password = ["true", used, moment(user.create_date), "N/A"]
    return [user.name, user.arn, moment(user.create_date), *password, truth(user.mfa_devices)] + [
        *key_columns(keys[0]),
        *key_columns(keys[1]),
        *["false", "N/A", "false", "N/A"],
    ]


def report_of(backend):
    """The report as it is now: the root user's row first."""
    arn, root = f"arn:aws:iam::{backend.account_id}:root", getattr(backend, "lab_root_keys", False)
    keys = ["true", "2020-01-01T00:00:00Z", "N/A", "N/A", "N/A"] if root else key_columns(None)
    first = ["<root_account>", arn, "2019-01-01T00:00:00Z", "not_supported", "no_information", "not_supported"]
    first += ["not_supported", "true", *keys, *key_columns(None), "false", "N/A", "false", "N/A"]
    rows = [first] + [row(user) for user in sorted(backend.users.values(), key=lambda user: user.name)]
    return "\n".join([COLUMNS] + [",".join(columns) for columns in rows])


def generate_report(self):
    """Starts a report; asked again, says that it is under way until it is done, which here takes one more call."""
    backend, now = self.backend, datetime.now(timezone.utc)
    report = getattr(backend, "lab_report", None)
    if report and report["state"] == "COMPLETE" and now - report["made"] < KEPT:
        return ActionResult({"State": "COMPLETE"})
    if report and report["state"] == "STARTED":
        report["asked"] += 1
        if report["asked"] < getattr(backend, "lab_report_takes", 2):
            return ActionResult({"State": "INPROGRESS"})
        report["state"] = "COMPLETE"
        return ActionResult({"State": "COMPLETE"})
    backend.lab_report = {"state": "STARTED", "made": now, "asked": 0, "text": report_of(backend)}
    text = "No report exists. Starting a new report generation task"
    return ActionResult({"State": "STARTED", "Description": text})


def get_report(self):
    report = getattr(self.backend, "lab_report", None)
    if report is None:
        raise IamError("ReportNotPresent", "Credential report not present")
    if report["state"] != "COMPLETE":
        raise IamError("ReportInProgress", "Credential report still in progress")
    if datetime.now(timezone.utc) - report["made"] >= KEPT:
        raise IamError("ReportExpired", "Credential report has expired")
    made = {"ReportFormat": "text/csv", "GeneratedTime": report["made"]}
    return ActionResult({"Content": report["text"].encode(), **made})


IamResponse.generate_credential_report = generate_report
IamResponse.get_credential_report = get_report

# --- the lab's own ---------------------------------------------------------------------------------------------------


def date(text):
    """A date: as ISO 8601 has it, or `200 days ago`, in parts of days if need be."""
    if text.endswith(" days ago"):
        return datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(days=float(text.split()[0]))
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).replace(tzinfo=None)


def used(body):
    last = body.get("lastUsed")
    if not last:
        return None
    return AccessKeyLastUsed(date(last["date"]), last.get("service", "s3"), last.get("region", "us-east-1"))


def age(account, body):
    """Says when a key was made (`created`) and last used (`lastUsed`: {date, service, region}; null: never)."""
    key = iam_backends[account]["aws"].access_keys.get(body["accessKeyId"])
    if key is None:
        raise ValueError(f"there is no access key {body['accessKeyId']}")
    if "created" in body:
        key.create_date = date(body["created"])
    if "lastUsed" in body:
        key.last_used = used(body)
    return {}


def age_user(account, body):
    """Says when a user was made, and last gave the password."""
    user = iam_backends[account]["aws"].users[body["userName"]]
    if "created" in body:
        user.create_date = date(body["created"])
    if "passwordLastUsed" in body:
        user.password_last_used = date(body["passwordLastUsed"])
    return {}


def report(account, body):
    """How many further calls a credential report takes (`takes`), whether the root user has a key (`rootKeys`), how
    many hours ago the report that there is was made (`hoursAgo`)."""
    backend = iam_backends[account]["aws"]
    backend.lab_report_takes = body.get("takes", 2)
    backend.lab_root_keys = body.get("rootKeys", False)
    if "hoursAgo" in body:
        backend.lab_report["made"] -= timedelta(hours=body["hoursAgo"])
    return {}


def fill(account, body):
    """Makes `count` users named after `prefix`, each with `keys` access keys of this age and use."""
    backend, made = iam_backends[account]["aws"], []
    for number in range(body["count"]):
        name = f"{body['prefix']}-{number:06}"
        user = User(account, "us-east-1", name)
        backend.users[name] = user
        for _ in range(body.get("keys", 1)):
            key = AccessKey(name, "AKIA", account)
            key.create_date = date(body["created"]) if "created" in body else key.create_date
            key.last_used = used(body)
            user.access_keys.append(key)
            backend.access_keys[key.access_key_id] = key
            made.append(key.access_key_id)
    return {"accessKeyIds": made}


LAB = {"age-key": age, "age-user": age_user, "report": report, "fill": fill}
