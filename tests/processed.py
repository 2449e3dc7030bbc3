"""The template as CloudFormation gets it: `processed.py TEMPLATE OUT`, with what SAM makes of it, for linters that know no SAM.

Needs aws-sam-translator, which comes with the SAM CLI. Asks nobody: no region, no credentials.
"""

import json
import os
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """The template names none."""

    def load(self):
        return {}


def main():
    source, target = sys.argv[1:]
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    with open(source, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            # Where `sam package` would have put it.
            resource["Properties"]["CodeUri"] = {"Bucket": "artifacts", "Key": name}
    parameters = {name: declared.get("Default") for name, declared in template["Parameters"].items()}
    processed = transform(template, parameters, NoManagedPolicies())
    with open(target, "w", encoding="utf-8") as file:
        json.dump(processed, file, indent=1)
    print(f"{len(processed['Resources'])} resources")


if __name__ == "__main__":
    main()
