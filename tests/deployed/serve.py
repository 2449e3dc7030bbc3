"""MiniStack, as tests/src/deployed.rs runs it: `python -I -c <this file>`, with the test at the other end of both pipes.

Two ports of 127.0.0.1: one with TLS for the functions, one without for the test. Prints `port N`, the one without, once
both are listened at. Ends when standard input closes: a test that is killed leaves no server behind. The functions are its
children and end when it no longer answers them.
"""

import os
import shutil
import signal
import threading


def end_with_the_test():
    try:
        while os.read(0, 4096):
            pass
    finally:
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
        os._exit(0)


signal.signal(signal.SIGINT, signal.SIG_IGN)
threading.Thread(target=end_with_the_test, daemon=True).start()

# The pipe carries one line; what MiniStack prints goes to standard error, the log.
announce = os.dup(1)
os.dup2(2, 1)

import asyncio  # noqa: E402
import functools  # noqa: E402
import json  # noqa: E402
import socket  # noqa: E402


def listening():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


plain, secure = listening(), listening()
port = secure.getsockname()[1]

# MiniStack reads these when it is imported. What is in its environment is in the functions' too, and this endpoint wins over
# the one that a function declares.
os.environ.update(
    AUTH="true",
    BIND_HOST="127.0.0.1",
    GATEWAY_PORT=str(port),
    USE_SSL="1",
    AWS_ENDPOINT_URL=f"https://127.0.0.1:{port}",
    MINISTACK_ACCOUNT_ID="111122223333",
    MINISTACK_REGION="us-east-1",
    LAMBDA_EXECUTOR="local",
    # It would end containers of Docker that it takes for its own, and listen at ports for other services.
    DOCKER_HOST="unix:///nowhere",
    IOT_MTLS_ENABLED="0",
    SFTP_ENABLED="0",
)

from hypercorn.asyncio import serve  # noqa: E402
from hypercorn.config import Config  # noqa: E402
from ministack.app import app  # noqa: E402
from ministack.core import iam_actions, iam_evaluator, tls  # noqa: E402
from ministack.services import eventbridge, iam, s3  # noqa: E402

certificate, key = tls.resolve_tls_material()
# The one root that the functions trust.
os.environ["SSL_CERT_FILE"] = certificate

# --- Where MiniStack 1.5.33 differs from AWS, and a control's answer would depend on it -------------------------------------

list_objects = s3._list_objects_v1


def list_objects_or_policy_status(bucket, query):
    """GetBucketPolicyStatus: MiniStack authorises it, and then lists the bucket. Whether a policy is public, it knows: it
    refuses such policies under BlockPublicPolicy. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html
    """
    if "policyStatus" not in query:
        return list_objects(bucket, query)
    status, headers, policy = s3._get_bucket_policy(bucket)
    if status != 200:
        return status, headers, policy
    text = policy.decode() if isinstance(policy, bytes) else policy
    is_public = "true" if s3._policy_is_public(text) else "false"
    body = f'<PolicyStatus xmlns="{s3.S3_NS}"><IsPublic>{is_public}</IsPublic></PolicyStatus>'
    return 200, {"Content-Type": "application/xml"}, body.encode()


s3._list_objects_v1 = list_objects_or_policy_status

resource_arn = iam_actions.extract_resource_arn


def resource_arn_of_rules(*arguments, **named):
    """A rule of the default bus is rule/NAME, as MiniStack's own ListRules has it; its authorisation looks for
    rule/default/NAME.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
    """
    return resource_arn(*arguments, **named).replace(":rule/default/", ":rule/")


iam_actions.extract_resource_arn = resource_arn_of_rules

service_context = iam_actions.dynamodb_service_context
enforce = iam_evaluator.enforce
OPERATIONS = {
    "Put": ("PutItem", "Item"),
    "Update": ("UpdateItem", "Key"),
    "Delete": ("DeleteItem", "Key"),
    "ConditionCheck": ("ConditionCheckItem", "Key"),
}


def service_context_with_leading_keys(body):
    """dynamodb:LeadingKeys, the partition keys of the items that a request is about, is not known, and ForAllValues holds
    of what is not there. Each item of a transaction is judged by itself, here all of one action together.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    request = json.loads(body or b"{}")
    leading = {}
    for item in request.get("TransactItems", []):
        for kind, (operation, place) in OPERATIONS.items():
            if kind in item:
                leading.setdefault(f"dynamodb:{operation}", []).append(item[kind][place]["pk"]["S"])
    for operation, place in [*OPERATIONS.values(), ("GetItem", "Key")]:
        if "pk" in request.get(place, {}):
            leading[f"dynamodb:{operation}"] = [request[place]["pk"]["S"]]
    return {**service_context(body), "leading": leading}


def enforce_with_leading_keys(access_key, action, service, region, resource_arn="*", service_context=None):
    context = dict(service_context or {})
    leading = context.pop("leading", {})
    if action in leading:
        context["dynamodb:LeadingKeys"] = leading[action]
    return enforce(access_key, action, service, region, resource_arn=resource_arn, service_context=context)


iam_actions.dynamodb_service_context = service_context_with_leading_keys
iam_evaluator.enforce = enforce_with_leading_keys

# --- What no API of AWS does, and a test must be able to --------------------------------------------------------------------

# The test speaks for AWS's own services here, whose events nobody else may send.
eventbridge._put_events = functools.partial(eventbridge._put_events, allow_aws_source=True)

create_access_key = iam._IAM_HANDLERS["CreateAccessKey"]


def create_access_key_long_ago(parameters):
    """The keys of users in the path /years-ago/ were made then."""
    before = set(iam._access_keys)
    answer = create_access_key(parameters)
    for new in set(iam._access_keys) - before:
        made = iam._access_keys[new]
        if iam._users.get(made["UserName"], {}).get("Path") == "/years-ago/":
            made["CreateDate"] = "2020-01-01T00:00:00Z"
    return answer


iam._IAM_HANDLERS["CreateAccessKey"] = create_access_key_long_ago

config = Config()
config.bind = [f"fd://{secure.fileno()}"]
config.insecure_bind = [f"fd://{plain.fileno()}"]
config.certfile, config.keyfile = certificate, key
config.keep_alive_timeout = 75

os.write(announce, b"port %d\n" % plain.getsockname()[1])
os.close(announce)
asyncio.run(serve(app, config))
