"""Strict checks of custom resources by the types and schemas of the npm packages @kubernetes-models.

TypeScript finds fields that do not exist, the packages' own schemas find wrong values. Needs node and npm.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from typing import Any

from tests.support.gateway import ROOT

FOLDER = ROOT / "build" / "crds"
PACKAGES = (
    "typescript@5.9.3",
    "@kubernetes-models/argo-rollouts@2.0.0",
    "@kubernetes-models/argo-workflows@2.0.0",
    "@kubernetes-models/gateway-api@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
)
WORKFLOWS = ("Workflow", "WorkflowTemplate", "CronWorkflow")
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
        module = "@kubernetes-models/argo-workflows" if kind in WORKFLOWS else MODULES[group]
        imports[kind] = f'import {{ {kind}, type I{kind} }} from "{module}/{group}/{version}/{kind}";'
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


EVENTS = ("EventSource", "Sensor")
_HERA = "hera==7.1.0"


@functools.cache
def missing_events() -> str:
    """Install the types of Argo Events once, of which npm has none; return why that is not possible."""
    target, mark = FOLDER / "hera", FOLDER / "hera.txt"
    if mark.is_file() and mark.read_text() == _HERA:
        return ""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", target, _HERA]
    if subprocess.run(command, capture_output=True, timeout=240, check=False).returncode:
        return "pip cannot install hera: is there a network?"
    mark.write_text(_HERA)
    return ""


def problems_of_events(objects: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with each object of Argo Events: values of a wrong type, and fields that do not exist."""
    done = subprocess.run(
        [sys.executable, "-c", _CHECK_EVENTS], input=json.dumps(objects), text=True, capture_output=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(FOLDER / "hera")}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


_CHECK_EVENTS = """
import json, sys
from hera.events.models.github.com.argoproj.argo_events.pkg.apis.events import v1alpha1

def lost(given, kept, path):
    if isinstance(given, dict):
        for key, value in given.items():
            if key not in (kept or {}):
                yield f"{path}: there is no {key}"
            elif not f"{path}.{key}".endswith(".source.resource"):  # any object, checked by itself
                yield from lost(value, kept[key], f"{path}.{key}")
    elif isinstance(given, list):
        for at, value in enumerate(given):
            yield from lost(value, kept[at], f"{path}[{at}]")

told = []
for one in json.load(sys.stdin):
    for name in ("apiVersion", "kind"):
        del one[name]
    # In YAML the fields of webhookContext stand beside filter; the types have them as they are in protobuf.
    for name, source in one["spec"].get("webhook", {}).items():
        context = {key: value for key, value in source.items() if key != "filter"}
        rest = {key: source[key] for key in source.keys() & {"filter"}}
        one["spec"]["webhook"][name] = rest | {"webhookContext": context}
    model = v1alpha1.Sensor if "triggers" in one["spec"] else v1alpha1.EventSource
    try:
        kept = model.model_validate(one).model_dump(by_alias=True, exclude_none=True, mode="json")
        told.append("; ".join(lost(one, kept, model.__name__)))
    except ValueError as error:
        told.append(str(error))
print(json.dumps(told))
"""
