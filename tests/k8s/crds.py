"""Strict checks of custom resources by the types and schemas of the npm packages @kubernetes-models.

TypeScript finds fields that do not exist, the packages' own schemas find wrong values. Needs node and npm.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from typing import Any

from tests.support.gateway import ROOT

FOLDER = ROOT / "build" / "crds"
PACKAGES = (
    "typescript@5.9.3",
    "@kubernetes-models/argo-rollouts@2.0.0",
    "@kubernetes-models/gateway-api@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
)
MODULES = {
    "argoproj.io": "@kubernetes-models/argo-rollouts",
    "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
    "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
}


def is_custom(o: dict[str, Any]) -> bool:
    """Return whether an object is of an API that Kubernetes itself does not have."""
    return o["apiVersion"].partition("/")[0] in MODULES


@functools.cache
def missing() -> str:
    """Install the packages once; return why that is not possible, empty if they are there."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "needs node and npm"
    wanted = json.dumps(PACKAGES)
    mark = FOLDER / "installed.json"
    if mark.is_file() and mark.read_text() == wanted:
        return ""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text('{"private": true, "type": "module"}')
    command = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--fetch-retries=0",
        *PACKAGES,
    ]
    if subprocess.run(command, cwd=FOLDER, capture_output=True, timeout=240, check=False).returncode:
        return "npm cannot install @kubernetes-models: is there a network?"
    mark.write_text(wanted)
    return ""


def problems(objects: list[dict[str, Any]]) -> str:
    """Return what is wrong with custom resources, empty if nothing is."""
    imports, values, checks = {}, [], []
    for number, o in enumerate(objects):
        group, version = o["apiVersion"].split("/")
        kind = o["kind"]
        imports[kind] = f'import {{ {kind}, type I{kind} }} from "{MODULES[group]}/{group}/{version}/{kind}";'
        values.append(f"const o{number}: I{kind} = {json.dumps(o)};")
        checks.append(f"new {kind}(o{number}).validate();")
    (FOLDER / "check.ts").write_text("\n".join([*imports.values(), *values, *checks]))
    options = ["--strict", "--skipLibCheck", "--noEmitOnError", "--target", "es2022"]
    options += ["--module", "nodenext", "--moduleResolution", "nodenext"]
    for command in (["node_modules/.bin/tsc", *options, "check.ts"], ["node", "check.js"]):
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            return done.stdout + done.stderr
    return ""
