"""What `sam package` would do, offline: `python -I -c <this file>`, with {"template": PATH, "parameters": {NAME: VALUE},
"bucket": NAME, "programs": {FOLDER: PATH}, "zips": FOLDER} on standard input.

Writes each program into the zip FOLDER/NAME.zip as `bootstrap`, and to standard output, as JSON, the template as SAM's own
transform makes it (`template`) and the types that MiniStack's CloudFormation makes (`makes`).
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

# Of all that SAM's transform asks AWS for, the one thing that it does not do without.
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
answer = os.dup(1)
os.dup2(2, 1)  # MiniStack's modules print while they are imported

from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402


class NoManagedPolicies:
    """Ours name none; SAM's loader would ask IAM for the list."""

    def load(self):
        return {}


def packed(name, program, zips):
    bare = zips / name
    # As the release profile does; a build with line tables is four times as large.
    if shutil.which("strip") is None or subprocess.run(["strip", "-o", bare, program]).returncode != 0:
        shutil.copy(program, bare)
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(zips / f"{name}.zip", "w", compresslevel=1) as archive:
        archive.writestr(entry, bare.read_bytes(), compresslevel=1)
    bare.unlink()


wish = json.load(sys.stdin)
zips = pathlib.Path(wish["zips"])
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    packing = [pool.submit(packed, name, program, zips) for name, program in wish["programs"].items()]
    template = yaml_parse(pathlib.Path(wish["template"]).read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            name = pathlib.PurePath(resource["Properties"]["CodeUri"]).name
            resource["Properties"]["CodeUri"] = {"Bucket": wish["bucket"], "Key": f"{name}.zip"}
    processed = transform(template, wish["parameters"], NoManagedPolicies())
    for one in packing:
        one.result()

with os.fdopen(answer, "w") as out:
    json.dump({"template": processed, "makes": sorted(_RESOURCE_HANDLERS)}, out)
