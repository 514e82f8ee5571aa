"""The base and Triton: the manifests say what the gateway says, settings, ports, names, times."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from service.gateway.supervisor import MINDED_S
from service.settings import ENV_PREFIX, Settings, load_settings
from tests.k8s.overlays import (
    GATEWAY,
    POD_OF,
    PROBES,
    TRITON,
    WITH_TRITON,
    containers,
    find,
    gateway_env,
    overlay,
)
from tests.servers.triton.fixture import TritonServer
from tests.servers.valkey import Valkey
from tests.support.dockerfile import all_of
from tests.support.gateway import ROOT, Gateway

VALKEY_CLI = shutil.which("valkey-cli") or shutil.which("redis-cli")
TRITON_PORTS = {"http": 8000, "grpc": 8001, "metrics": 8002}  # Triton's own, when no flag changes them
TRITON_EXIT_S = 30  # Triton's --exit-timeout-secs, when no flag changes it

needs_valkey_cli = pytest.mark.needs(VALKEY_CLI is not None, "needs redis-cli: apt-get install redis-tools")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in gateway_env().items():
        if name.startswith(ENV_PREFIX):
            monkeypatch.setenv(name, value)
    return load_settings()


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
    assert settings.fallback, "the rules answer for a Triton that is down"


def test_the_ports_agree(settings: Settings) -> None:
    container_port, health_port = GATEWAY["containers"][0]["ports"]
    [service_port] = find("Service", "epc-sentinel")["spec"]["ports"]
    assert find("Service", "epc-sentinel")["spec"]["clusterIP"] == "None"  # so that no port is translated
    assert container_port["containerPort"] == service_port["port"] == settings.port
    assert service_port["targetPort"] == container_port["name"]
    assert {GATEWAY["containers"][0][probe]["grpc"]["port"] for probe in PROBES} == {settings.health_port}
    assert health_port["containerPort"] == settings.health_port

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
    assert GATEWAY["terminationGracePeriodSeconds"] >= wait_s + settings.drain_s + MINDED_S


@pytest.mark.parametrize("file", ["Dockerfile", "README.md"])
def test_a_container_has_time_to_drain(file: str) -> None:
    [given] = re.findall(r"docker run .*--stop-timeout ([0-9]+) ", (ROOT / file).read_text())
    assert int(given) >= Settings.model_fields["drain_s"].default + MINDED_S


def test_triton_has_time_to_finish() -> None:
    wait_s = TRITON["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert TRITON["terminationGracePeriodSeconds"] >= wait_s + TRITON_EXIT_S + 5


def test_the_probes_ask_for_names_that_the_gateway_knows_and_a_dead_triton_fails_none(
    start_gateway: Callable[..., Gateway],
) -> None:
    names = {probe: GATEWAY["containers"][0][probe]["grpc"]["service"] for probe in PROBES}
    assert names == {
        "startupProbe": "liveness",
        "readinessProbe": "epcsentinel.v1.AnomalyService",
        "livenessProbe": "liveness",
    }
    nobody = {"EPC_SENTINEL_BACKEND": "triton://127.0.0.1:9", "EPC_SENTINEL_HEALTH_PORT": "0"}
    running = start_gateway(**gateway_env() | nobody)
    assert {name: running.health(name) for name in names.values()} == dict.fromkeys(names.values(), "SERVING")
    running.wait_log("svm degraded")
    assert {line["event"] for line in running.log()} == {"listening", "degraded", "svm degraded"}
    strict = start_gateway(ready=False, **gateway_env() | nobody | {"EPC_SENTINEL_FALLBACK": "false"})
    assert strict.health("epcsentinel.v1.AnomalyService") == "NOT_SERVING"
    assert strict.health("liveness") == "SERVING", "kubelets would restart gateways for a Triton that is down"


def test_the_gateway_and_triton_work_together(start_gateway: Callable[..., Gateway], bundled_repository: Path) -> None:
    program, repository, *arguments = TRITON["containers"][0]["args"]
    assert (program, repository) == ("tritonserver", "--model-repository=/models")
    with TritonServer(bundled_repository, extra_args=arguments) as triton:
        running = start_gateway(
            **gateway_env() | {"EPC_SENTINEL_BACKEND": f"triton://{triton.url}", "EPC_SENTINEL_HEALTH_PORT": "0"}
        )
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
