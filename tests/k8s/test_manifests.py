"""k8s: every combination of components builds, is valid, and says what the gateway says: settings, ports, names, times.

``python -m tests.k8s.test_manifests`` builds and validates all combinations; the tests build some in which every pair
occurs.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import ENV_PREFIX, Settings, load_settings
from tests.k8s import crds
from tests.servers.envoy import CONFIG as ENVOY_CONFIG
from tests.servers.envoy import canary_py
from tests.servers.triton.fixture import TritonServer
from tests.servers.valkey import Valkey
from tests.support.dockerfile import all_of, image_env
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import need

KUBECTL = Path(sys.executable).parent / "kubectl"
OLDEST = "1.30"  # as base/kustomization.yaml says
VALKEY_CLI = shutil.which("valkey-cli") or shutil.which("redis-cli")
TRITON_PORTS = {"http": 8000, "grpc": 8001, "metrics": 8002}  # Triton's own, when no flag changes them
TRITON_EXIT_S = 30  # Triton's --exit-timeout-secs, when no flag changes it

needs_valkey_cli = pytest.mark.needs(VALKEY_CLI is not None, "needs redis-cli: apt-get install redis-tools")

Object = dict[str, Any]
Choice = tuple[str, ...]  # components, in the order of the overlay

FIRST = ("", "canary", "canary-gateway")
BACKENDS = ("", "embedded-only", "triton-gpu")
OPTIONS = (
    "model-canary", "valkey", "auth", "signed-models", "envoy", "network-policies", "autoscaling", "monitoring", "tls",
)  # fmt: skip
LAST = ("", "canary-argo")
REFUSED = {  # who does not go together, and what the failing build names
    ("tls", "envoy"): "tls-goes-not-with-envoy",
    ("tls", "canary-gateway"): "tls-goes-not-with-canary-gateway",
    ("tls", "canary-argo"): "tls-goes-not-with-canary-argo",
    ("embedded-only", "triton-gpu"): "embedded-only-goes-not-with-triton-gpu",
    ("canary", "canary-gateway"): "epc-sentinel-canary",
    ("canary", "canary-argo"): "epc-sentinel-canary",
    ("canary-gateway", "canary-argo"): "epc-sentinel",
}
APART = (*map(set, REFUSED), {"canary", "tls"})  # the last two build, for nothing: who tells them apart is Envoy


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
    for first, backend, options, last in itertools.product(FIRST, BACKENDS, subsets, LAST):
        choice = tuple(filter(None, (first, backend, *options, last)))
        if not any(pair <= set(choice) for pair in APART):
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


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in gateway_env().items():
        if name.startswith(ENV_PREFIX):
            monkeypatch.setenv(name, value)
    return load_settings()


def check(objects: list[Object], known: set[str]) -> None:
    """Validate strictly what Kubernetes itself knows, each object once."""
    for o in objects:
        text = json.dumps(o, sort_keys=True)
        if text not in known and not crds.is_custom(o):
            for version in (OLDEST, kubernetes_validate.latest_version()):
                kubernetes_validate.validate(o, version, strict=True)
        known.add(text)


@pytest.fixture(scope="module")
def combinations() -> dict[Choice, list[Object]]:
    return {choice: overlay(*choice) for choice in some_choices()}


def test_combinations_build_and_every_object_is_valid(combinations: dict[Choice, list[Object]]) -> None:
    known: set[str] = set()
    for objects in (BASE, *combinations.values(), build(ROOT / "k8s" / "overlays" / "example")):
        check(objects, known)
        names = [(o["kind"], o["metadata"]["name"]) for o in objects]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("pair", REFUSED, ids=" ".join)
def test_components_that_do_not_go_together_fail_to_build_and_say_so(pair: Choice) -> None:
    for order in (pair, pair[::-1]):
        with pytest.raises(Refused, match=f"already registered id: .*/{REFUSED[pair]}\\b"):
            overlay(*order)
    text = (ROOT / "docs" / "runbook.md").read_text()
    [line] = [line for line in text.splitlines() if line.startswith(f"| `{pair[0]}` |")]
    assert pair[1] in line or "canary" in pair[1], "the runbook says so"


def test_custom_resources_are_valid(combinations: dict[Choice, list[Object]]) -> None:
    reason = crds.missing()
    need(not reason, reason)
    distinct = {
        json.dumps(o, sort_keys=True): o for objects in combinations.values() for o in objects if crds.is_custom(o)
    }
    assert {o["kind"] for o in distinct.values()} >= {"Rollout", "AnalysisTemplate", "GRPCRoute", "Gateway"}
    assert crds.problems(list(distinct.values())) == ""
    [route] = [
        o for o in combinations[next(c for c in combinations if "canary-gateway" in c)] if o["kind"] == "GRPCRoute"
    ]
    for broken in ({"rulez": []}, {"rules": [{"backendRefs": [{"name": "x", "port": "many"}]}]}):
        assert crds.problems([route | {"spec": broken}])  # the check can fail


def test_every_variable_is_a_setting_and_every_gateway_accepts_its_own(
    combinations: dict[Choice, list[Object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {ENV_PREFIX + field.upper() for field in Settings.model_fields}
    seen = set()
    for choice, objects in combinations.items():
        for o in workloads(objects):
            if o["metadata"]["labels"]["app.kubernetes.io/component"] != "gateway":
                continue
            env = {k: v for k, v in gateway_env(o["spec"]["template"]["spec"]).items() if k.startswith(ENV_PREFIX)}
            assert env.keys() <= known, choice
            seen |= env.keys()
            with monkeypatch.context() as patch:
                for name, value in env.items():
                    patch.setenv(name, value)
                load_settings()
    assert len(seen) >= 12


def test_components_change_the_canary_as_they_change_the_stable_gateways(
    combinations: dict[Choice, list[Object]],
) -> None:
    checked = 0
    for objects in combinations.values():
        pods = {o["metadata"]["name"]: o["spec"]["template"] for o in workloads(objects)}
        if canary := pods.get("epc-sentinel-canary"):
            stable, checked = pods["epc-sentinel"], checked + 1
            assert canary["metadata"]["labels"]["track"] == "canary"
            assert stable["metadata"]["labels"]["track"] == "stable"
            mine, its = canary["spec"]["containers"][0], stable["spec"]["containers"][0]
            assert {**mine, "image": ""} == {**its, "image": ""}
    assert checked > 2


def test_selectors_tell_the_canary_from_the_stable_gateways() -> None:
    objects = overlay("canary", "envoy")
    pods = {o["metadata"]["name"]: o["spec"]["template"]["metadata"]["labels"] for o in workloads(objects)}
    for o in objects:
        if o["kind"] == "Service":
            matched = [name for name, labels in pods.items() if o["spec"]["selector"].items() <= labels.items()]
            assert matched == [o["metadata"]["name"]]


def test_network_policies_name_pods_and_ports_that_exist() -> None:
    objects = overlay("canary", "triton-gpu", "valkey", "envoy", "network-policies", "monitoring")
    ports: dict[str, set[int]] = {}
    for o in workloads(objects):
        own = {
            port["containerPort"] for c in o["spec"]["template"]["spec"]["containers"] for port in c.get("ports", ())
        }
        ports.setdefault(o["metadata"]["labels"]["app.kubernetes.io/component"], set()).update(own)
    policies = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "NetworkPolicy"}
    assert policies.keys() == ports.keys() | {"deny-all"}
    for component, own in ports.items():
        allowed = {port["port"] for rule in policies[component]["ingress"] for port in rule["ports"]}
        assert allowed <= own
        for rule in policies[component]["egress"]:
            for peer in rule["to"]:
                if "namespaceSelector" not in peer:
                    to = peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                    assert {port["port"] for port in rule["ports"]} <= ports[to]


def test_prometheus_reads_every_gateway_once_and_knows_its_track() -> None:
    for choice in (
        ("monitoring",),
        ("canary", "monitoring"),
        ("canary-gateway", "monitoring"),
        ("monitoring", "canary-argo"),
    ):
        objects = overlay(*choice)
        monitor = find("ServiceMonitor", "epc-sentinel", objects)["spec"]
        assert monitor["podTargetLabels"] == ["track"]
        asked = monitor["selector"]["matchLabels"].items()
        services = [o for o in objects if o["kind"] == "Service" and asked <= o["metadata"]["labels"].items()]
        scraped = [o for o in services if "metrics" in {port["name"] for port in o["spec"]["ports"]}]
        for gateway in workloads(objects):
            labels = gateway["spec"]["template"]["metadata"]["labels"].items()
            [_] = [o for o in scraped if o["spec"]["selector"].items() <= labels]
            container = gateway["spec"]["template"]["spec"]["containers"][0]
            assert [port["containerPort"] for port in container["ports"] if port["name"] == "metrics"] == [9464]


def test_the_autoscaler_follows_the_workload_that_makes_the_pods() -> None:
    plain, argo = overlay("autoscaling"), overlay("autoscaling", "canary-argo")
    assert "replicas" not in find("Deployment", "epc-sentinel", plain)["spec"]
    assert find("HorizontalPodAutoscaler", "epc-sentinel", plain)["spec"]["scaleTargetRef"]["kind"] == "Deployment"
    assert find("HorizontalPodAutoscaler", "epc-sentinel", argo)["spec"]["scaleTargetRef"]["kind"] == "Rollout"
    assert find("PodDisruptionBudget", "epc-sentinel", plain)


def test_the_examples_routes_are_those_of_envoy_with_weights_of_its_own(tmp_path: Path) -> None:
    own, made = "k8s/overlays/example/routes/routes.yaml", (ENVOY_CONFIG / "routes.yaml").read_text()
    assert re.sub(r"weight: \d+", "weight: N", (ROOT / own).read_text()) == re.sub(r"weight: \d+", "weight: N", made)
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    canary_py("weight", "7", "--file", str(tmp_path / own))
    routes = find("ConfigMap", "envoy-routes", build(tmp_path / "k8s" / "overlays" / "example"))["data"]["routes.yaml"]
    assert routes == made.replace("weight: 0 # canary", "weight: 7 # canary").replace("weight: 100 #", "weight: 93 #")


def test_the_rollout_and_its_routes_agree() -> None:
    objects = overlay("canary-argo")
    canary = find("Rollout", "epc-sentinel", objects)["spec"]["strategy"]["canary"]
    [template] = canary["analysis"]["templates"]
    assert find("AnalysisTemplate", template["templateName"], objects)
    services = [canary["stableService"], canary["canaryService"]]
    *_, rule = find("GRPCRoute", "epc-sentinel", objects)["spec"]["rules"]
    assert [backend["name"] for backend in rule["backendRefs"]] == services
    for name in services:
        assert find("Service", name, objects)["spec"]["ports"][0]["port"] == rule["backendRefs"][0]["port"]


def test_tls_is_for_the_gateway_and_probes_ask_another_port() -> None:
    objects = overlay("tls")
    pod = find("Deployment", "epc-sentinel", objects)["spec"]["template"]["spec"]
    env, [container] = gateway_env(pod), pod["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {str(Path(env[name]).parent) for name in ("EPC_SENTINEL_TLS_CERT", "EPC_SENTINEL_TLS_KEY")} <= mounts
    assert {container[probe]["grpc"]["port"] for probe in PROBES} == {int(env["EPC_SENTINEL_HEALTH_PORT"])}
    assert "appProtocol" not in find("Service", "epc-sentinel", objects)["spec"]["ports"][0]


def test_prometheus_scrapes_over_tls_where_gateways_speak_it() -> None:
    objects = overlay("monitoring", "tls")
    [endpoint] = find("ServiceMonitor", "epc-sentinel", objects)["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["scheme"]) == ("metrics", "https")
    pod = find("Deployment", "epc-sentinel", objects)["spec"]["template"]["spec"]
    assert gateway_env(pod)["EPC_SENTINEL_METRICS_TLS"] == "true"
    [secret] = [volume["secret"]["secretName"] for volume in pod["volumes"] if volume["name"] == "tls"]
    assert endpoint["tlsConfig"]["ca"]["secret"] == {"name": secret, "key": "ca.crt"}
    [plain] = find("ServiceMonitor", "epc-sentinel", overlay("monitoring"))["spec"]["endpoints"]
    assert "scheme" not in plain


def test_gateways_and_triton_trust_the_same_keys() -> None:
    objects = overlay("triton-gpu", "signed-models")
    gateway, triton = (
        find("Deployment", name, objects)["spec"]["template"]["spec"] for name in ("epc-sentinel", "triton")
    )
    verify = triton["initContainers"][1]
    trusted = gateway_env(gateway)["EPC_SENTINEL_TRUST"]
    assert verify["args"] == ["verify", "/models", f"--trust={trusted}"]
    for pod, container in ((gateway, gateway["containers"][0]), (triton, verify)):
        [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "trust"]
        [volume] = [volume for volume in pod["volumes"] if volume["name"] == "trust"]
        assert mount["mountPath"] == str(Path(trusted).parent)
        assert volume["configMap"] == {"name": "epc-sentinel-trust"}


def test_the_patch_for_encrypted_volumes_is_one() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    patch = yaml.safe_load(page.split("```yaml\n", 1)[1].split("```", 1)[0])
    [claim] = find("StatefulSet", "valkey", overlay("valkey", **patch))["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "encrypted"


def test_the_gateway_works_with_the_valkey_that_is_deployed(start_gateway: Callable[..., Gateway]) -> None:
    objects = overlay("valkey")
    program, *arguments = find("StatefulSet", "valkey", objects)["spec"]["template"]["spec"]["containers"][0]["args"]
    assert program == "valkey-server"
    assert arguments[-2:] == ["--maxmemory-policy", "noeviction"]
    own = [a.replace("$(VALKEY_PASSWORD)", "SECRET") for a in arguments if a not in ("--dir", "/data")]
    env = gateway_env(find("Deployment", "epc-sentinel", objects)["spec"]["template"]["spec"])
    with Valkey(*own) as valkey:
        env["EPC_SENTINEL_HISTORY"] = env["EPC_SENTINEL_HISTORY"].replace("valkey:6379", f"127.0.0.1:{valkey.port}")
        running = start_gateway(**env)
        running.wait_log("ready")
        assert "history degraded" not in [line["event"] for line in running.log()]


@needs_valkey_cli
def test_the_probes_of_valkey_notice_that_it_hangs_and_let_it_load(tmp_path: Path) -> None:
    [container] = find("StatefulSet", "valkey", overlay("valkey"))["spec"]["template"]["spec"]["containers"]
    (tmp_path / "valkey-cli").symlink_to(str(VALKEY_CLI))

    def passes(probe: str, port: int, password: str = "secret") -> bool:
        command = [part.replace("valkey-cli", f"valkey-cli -p {port}") for part in container[probe]["exec"]["command"]]
        env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "VALKEY_PASSWORD": password}
        limit_s = container[probe]["timeoutSeconds"]
        return subprocess.run(command, env=env, capture_output=True, timeout=limit_s, check=False).returncode == 0

    with Valkey("--requirepass", "secret") as valkey:
        assert passes("readinessProbe", valkey.port)
        assert passes("livenessProbe", valkey.port)
        assert not passes("readinessProbe", valkey.port, "wrong")
        assert passes("livenessProbe", valkey.port, "wrong"), "a server that refuses lives, as one that loads its data"
        valkey.kill(signal.SIGSTOP)
        assert not passes("readinessProbe", valkey.port)
        assert not passes("livenessProbe", valkey.port)
        valkey.kill()
        assert not passes("livenessProbe", valkey.port)


def test_envoy_gets_its_files_where_it_looks_for_them() -> None:
    objects = overlay("envoy")
    pod = find("Deployment", "envoy", objects)["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    files = set()
    for volume in pod["volumes"]:
        if "configMap" in volume:
            config = find("ConfigMap", volume["configMap"]["name"], objects)
            files |= {
                f"{mounts[volume['name']]}/{name}" for name in (config.get("data", {}) | config.get("binaryData", {}))
            }
    text = (ENVOY_CONFIG / "envoy.yaml").read_text()
    assert pod["containers"][0]["args"][:2] == ["--config-path", "/etc/envoy/config/envoy.yaml"]
    for path in ("/etc/envoy/config/epcsentinel.binpb", "/etc/envoy/routes/routes.yaml"):
        assert path in text
        assert path in files
    listening = {port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert {
        int(line.split("port_value: ")[1].split("}")[0]) for line in text.splitlines() if "0.0.0.0" in line
    } == listening
    for name in ("epc-sentinel", "epc-sentinel-canary"):
        assert f"address: {name}, port_value: 50051" in text
    assert find("Service", "epc-sentinel-canary", overlay("canary"))


def test_both_workloads_have_all_their_objects() -> None:
    kinds = {(o["kind"], o["metadata"]["name"]) for o in WITH_TRITON}
    workload = {"Deployment", "Service", "PodDisruptionBudget"}
    assert kinds == {(kind, name) for kind in workload for name in POD_OF} | {("ServiceAccount", "epc-sentinel")}


@pytest.mark.parametrize("name", POD_OF)
def test_the_selectors_match_the_pods_of_their_workload_and_no_other(name: str) -> None:
    selectors = [
        find("Deployment", name)["spec"]["selector"]["matchLabels"],
        find("Service", name)["spec"]["selector"],
        find("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"],
        *(c["labelSelector"]["matchLabels"] for c in POD_OF[name]["spec"].get("topologySpreadConstraints", ())),
    ]
    for selector in selectors:
        matched = [n for n, pod in POD_OF.items() if selector.items() <= pod["metadata"]["labels"].items()]
        assert matched == [name]


def test_objects_have_the_standard_labels() -> None:
    for o in WITH_TRITON:
        assert o["metadata"]["labels"].keys() >= {"app.kubernetes.io/name", "app.kubernetes.io/part-of"}


@pytest.mark.parametrize("name", POD_OF)
def test_pods_are_confined(name: str) -> None:
    pod = POD_OF[name]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is find("ServiceAccount", "epc-sentinel")["automountServiceAccountToken"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "epc-sentinel"
    assert pod["enableServiceLinks"] is False
    for container in containers(pod):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert "emptyDir" in volumes[mounts["/tmp"]]


def test_the_gateway_runs_as_the_user_of_its_image() -> None:
    security = GATEWAY["securityContext"]
    assert all_of("USER") == [f"{security['runAsUser']}:{security['runAsGroup']}"]


def test_the_images_are_pinned_and_an_overlay_changes_all_of_them() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = [container["image"] for pod in POD_OF.values() for container in containers(pod["spec"])]
    [triton] = set(images) - {f"epc-sentinel:{version}"}
    assert triton.startswith("nvcr.io/nvidia/tritonserver:")

    changed = overlay("triton-gpu", images=[{"name": "epc-sentinel", "newName": "registry/gateway", "newTag": "9"}])
    built = [o["spec"]["template"]["spec"] for o in changed if o["kind"] == "Deployment"]
    assert [c["image"] for pod in built for c in containers(pod)].count("registry/gateway:9") == 3


def test_the_variables_are_settings_of_a_gateway_behind_triton(settings: Settings) -> None:
    named = {entry["name"] for entry in GATEWAY["containers"][0]["env"]}
    assert named <= {ENV_PREFIX + field.upper() for field in Settings.model_fields}
    port = find("Service", "triton")["spec"]["ports"][0]
    assert settings.backend == f"triton://triton:{port['port']}"
    assert settings.fallback, "liveness would restart gateways for a Triton that is down: see gateway.yaml"


def test_the_ports_agree(settings: Settings) -> None:
    [container_port] = GATEWAY["containers"][0]["ports"]
    [service_port] = find("Service", "epc-sentinel")["spec"]["ports"]
    assert find("Service", "epc-sentinel")["spec"]["clusterIP"] == "None"  # so that no port is translated
    assert container_port["containerPort"] == service_port["port"] == settings.port
    assert service_port["targetPort"] == container_port["name"]
    assert {GATEWAY["containers"][0][probe]["grpc"]["port"] for probe in PROBES} == {settings.port}

    [triton] = TRITON["containers"]
    ports = {port["name"]: port["containerPort"] for port in triton["ports"]}
    assert ports == TRITON_PORTS
    assert not [argument for argument in triton["args"] if "-port" in argument]
    [service_port] = find("Service", "triton")["spec"]["ports"]
    assert ports[service_port["targetPort"]] == service_port["port"] == TRITON_PORTS["grpc"]
    assert all(triton[probe]["httpGet"]["port"] in ports for probe in PROBES)


def test_grpc_ports_say_that_they_speak_http2() -> None:
    for name in POD_OF:
        assert [p["appProtocol"] for p in find("Service", name)["spec"]["ports"]] == ["kubernetes.io/h2c"]


def test_a_gateway_has_time_to_drain(settings: Settings) -> None:
    wait_s = GATEWAY["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert GATEWAY["terminationGracePeriodSeconds"] >= wait_s + settings.drain_s + 5


def test_triton_has_time_to_finish() -> None:
    wait_s = TRITON["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert TRITON["terminationGracePeriodSeconds"] >= wait_s + TRITON_EXIT_S + 5


def test_the_probes_ask_for_names_that_the_gateway_knows_and_a_dead_triton_fails_none(
    start_gateway: Callable[..., Gateway],
) -> None:
    names = {probe: GATEWAY["containers"][0][probe]["grpc"]["service"] for probe in PROBES}
    assert names == {"startupProbe": "", "readinessProbe": "epcsentinel.v1.AnomalyService", "livenessProbe": ""}
    running = start_gateway(**gateway_env() | {"EPC_SENTINEL_BACKEND": "triton://127.0.0.1:9"})  # nobody is there
    assert {name: running.health(name) for name in names.values()} == dict.fromkeys(names.values(), "SERVING")
    running.wait_log("svm degraded")
    assert {line["event"] for line in running.log()} == {"listening", "degraded", "svm degraded"}


def test_the_gateway_and_triton_work_together(start_gateway: Callable[..., Gateway], bundled_repository: Path) -> None:
    program, repository, *arguments = TRITON["containers"][0]["args"]
    assert (program, repository) == ("tritonserver", "--model-repository=/models")
    with TritonServer(bundled_repository, extra_args=arguments) as triton:
        running = start_gateway(**gateway_env() | {"EPC_SENTINEL_BACKEND": f"triton://{triton.url}"})
        assert [line["event"] for line in running.log()] == ["listening", "ready"]


def test_the_model_goes_from_the_gateways_image_to_triton(settings: Settings) -> None:
    copy, verify = TRITON["initContainers"]
    [workdir] = [folder for folder in all_of("WORKDIR") if folder != "/src"]
    assert copy["image"] == GATEWAY["containers"][0]["image"]
    assert copy["command"] == ["cp", "-r", f"{workdir}/{settings.repository}/.", "/models"]
    [written] = copy["volumeMounts"]
    [read] = [m for m in TRITON["containers"][0]["volumeMounts"] if m["name"] == written["name"]]
    assert written["mountPath"] == read["mountPath"] == "/models"
    assert verify["image"] == copy["image"]
    [seen] = verify["volumeMounts"]
    assert seen == read, "what is verified is what Triton reads"
    command = [*json.loads(all_of("ENTRYPOINT")[0]), *verify["args"]]
    assert command == ["epc-sentinel", "verify", "/models"]
    arguments = [str(ROOT / settings.repository) if word == "/models" else word for word in command[1:]]
    done = subprocess.run([sys.executable, "-m", "service", *arguments], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0


def test_triton_gets_a_gpu_and_no_queue_policies() -> None:
    assert TRITON["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    config = (ROOT / "model_repository" / "epc_lstm" / "config.pbtxt").read_text()
    assert "KIND_GPU" in config
    for policy in ("priority_levels", "max_queue_size", "default_timeout_microseconds", "allow_timeout_override"):
        assert policy not in config


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
