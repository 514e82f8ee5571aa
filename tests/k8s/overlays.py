"""The manifests as kustomize builds them, and every combination of components that makes sense.

``python -m tests.k8s.overlays`` builds and validates all combinations; the tests build some in which every pair occurs.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.k8s import crds
from tests.support.dockerfile import image_env
from tests.support.gateway import ROOT

KUBECTL = Path(sys.executable).parent / "kubectl"
OLDEST = "1.30"  # as base/kustomization.yaml says

Object = dict[str, Any]
Choice = tuple[str, ...]  # components, in the order of the overlay

FIRST = ("", "canary", "canary-gateway")
BACKENDS = ("", "embedded-only", "triton-gpu")
OPTIONS = (
    "model-canary", "valkey", "auth", "signed-models", "envoy", "network-policies", "autoscaling", "monitoring", "web",
    "tls",
)  # fmt: skip
TOGETHER = ("model-image", "priority", "audit-log", "detection-log")
"""Each is on its own: they touch nothing that others touch. All or none, or there would be too many combinations."""
LAST = ("", "canary-argo")
REFUSED = {  # who does not go together, and what the failing build names
    ("tls", "canary-gateway"): "tls-goes-not-with-canary-gateway",
    ("tls", "canary-argo"): "tls-goes-not-with-canary-argo",
    ("embedded-only", "triton-gpu"): "embedded-only-goes-not-with-triton-gpu",
    ("model-canary", "retraining-argo"): "model-canary-goes-not-with-retraining-argo",
    ("model-image", "retraining-argo"): "model-image-goes-not-with-retraining-argo",
    ("canary", "canary-gateway"): "epc-sentinel-canary",
    ("canary", "canary-argo"): "epc-sentinel-canary",
    ("canary-gateway", "canary-argo"): "epc-sentinel",
}


class Refused(Exception):
    """The components cannot be built together."""


def build(folder: Path) -> list[Object]:
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise Refused(done.stderr)
    assert done.stderr == "", folder
    return list(yaml.load_all(done.stdout, yaml.CSafeLoader))


def overlay(*components: str, **more: object) -> list[Object]:
    """Build the base with components."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "k8s").symlink_to(ROOT / "k8s")
        text = {"resources": ["k8s/base"], "components": [f"k8s/components/{name}" for name in components]}
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(text | more))
        return build(Path(folder))


def choices() -> Iterator[Choice]:
    """Yield every combination that makes sense."""
    there = [name for name in OPTIONS if (ROOT / "k8s/components" / name / "kustomization.yaml").is_file()]
    subsets = [s for count in range(len(there) + 1) for s in itertools.combinations(there, count)]
    for first, backend, options, more, last in itertools.product(FIRST, BACKENDS, subsets, ((), TOGETHER), LAST):
        choice = tuple(filter(None, (first, backend, *options, *more, last)))
        if not any(set(pair) <= set(choice) for pair in REFUSED):
            yield choice


def some_choices() -> list[Choice]:
    """Return combinations in which every pair of components occurs that occurs at all."""
    every = list(choices())
    pairs_of = {choice: set(itertools.combinations(choice, 2)) for choice in every}
    missing = set().union(*pairs_of.values())
    found = [choice for choice in every if len(choice) == 1]
    draw = random.Random(0)
    while missing:
        best = max(draw.sample(every, 60), key=lambda choice: len(pairs_of[choice] & missing))
        if pairs_of[best] & missing:
            found.append(best)
            missing -= pairs_of[best]
    return found


BASE = build(ROOT / "k8s" / "base")
WITH_TRITON = overlay("triton-gpu")
POD_OF = {o["metadata"]["name"]: o["spec"]["template"] for o in WITH_TRITON if o["kind"] == "Deployment"}
GATEWAY, TRITON = POD_OF["epc-sentinel"]["spec"], POD_OF["triton"]["spec"]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def find(kind: str, name: str, objects: list[Object] = WITH_TRITON) -> Object:
    [found] = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def workloads(objects: list[Object]) -> list[Object]:
    return [o for o in objects if o["kind"] in ("Deployment", "StatefulSet")]


def containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def gateway_env(pod: Object = GATEWAY) -> dict[str, str]:
    """Return the variables of the gateway's container: the image's, and the Deployment's over them."""
    own = {name: value for name, value in image_env().items() if name != "PATH"}
    env = {entry["name"]: entry.get("value", "SECRET") for entry in pod["containers"][0]["env"]}
    for name, value in env.items():  # as Kubernetes does, with the variables before it
        env[name] = value.replace("$(VALKEY_PASSWORD)", env.get("VALKEY_PASSWORD", "$(VALKEY_PASSWORD)"))
    return own | env


def check(objects: list[Object], known: set[str]) -> None:
    """Validate strictly what Kubernetes itself knows, each object once."""
    for o in objects:
        text = json.dumps(o, sort_keys=True)
        if text not in known and not crds.is_custom(o):
            for version in (OLDEST, kubernetes_validate.latest_version()):
                kubernetes_validate.validate(o, version, strict=True)
        known.add(text)


def main() -> None:
    """Build and validate every combination."""
    known: set[str] = set()
    custom: dict[str, Object] = {}
    every = list(choices())
    with ThreadPoolExecutor() as pool:  # of kubectl, a process each
        for number, objects in enumerate(pool.map(lambda choice: overlay(*choice), every), 1):
            check(objects, known)
            custom |= {json.dumps(o, sort_keys=True): o for o in objects if crds.is_custom(o)}
            print(f"\r{number} of {len(every)} combinations, {len(known)} distinct objects", end="", flush=True)
    reason = crds.missing()
    found = "" if reason else crds.problems(list(custom.values()))
    print(f"\ncustom resources: {reason or found or 'valid'}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
