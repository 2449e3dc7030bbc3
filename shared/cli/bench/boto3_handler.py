"""The benchmark's baseline: the same fix as most people would write it, in boto3.

    python -m awslambdaric boto3_handler.handler
"""

import boto3
from botocore.exceptions import ClientError

CLOSED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

s3 = boto3.client("s3")


def read(bucket):
    try:
        return s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration":
            return {}
        raise


def handler(event, context):
    bucket = event["detail"]["requestParameters"]["bucketName"]
    before = read(bucket)
    if before == CLOSED:
        print(f"{bucket}: already closed")
        return {"bucket": bucket, "outcome": "unchanged"}

    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=CLOSED)
    after = read(bucket)
    if after != CLOSED:
        raise RuntimeError(f"{bucket}: closed, but reads back as {after}")
    print(f"{bucket}: closed, was {before}")
    return {"bucket": bucket, "outcome": "closed"}
