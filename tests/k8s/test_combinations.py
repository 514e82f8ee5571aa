"""Combinations of components: they build, are valid, and fit together, or they are refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from service.settings import ENV_PREFIX, STDOUT, Settings, load_settings
from tests.delivery.lock import pins
from tests.k8s import crds
from tests.k8s.overlays import (
    BASE,
    PROBES,
    REFUSED,
    Choice,
    Object,
    Refused,
    build,
    check,
    find,
    gateway_env,
    overlay,
    some_choices,
    workloads,
)
from tests.servers.envoy import CONFIG as ENVOY_CONFIG
from tests.servers.envoy import canary_py
from tests.servers.valkey import Valkey
from tests.support.dockerfile import all_of
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import need
from tests.support.requests import call, many


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


def test_tls_before_envoy_would_leave_it_in_plain_text_and_fails_to_build() -> None:
    assert overlay("envoy", "tls")
    with pytest.raises(Refused, match=r"already registered id: .*/envoy-comes-before-tls\b"):
        overlay("tls", "envoy")


def test_custom_resources_are_valid(combinations: dict[Choice, list[Object]]) -> None:
    reason = crds.missing()
    need(not reason, reason)
    distinct = {
        json.dumps(o, sort_keys=True): o for objects in combinations.values() for o in objects if crds.is_custom(o)
    }
    learning = [o for o in overlay("retraining-argo") if o["kind"] in crds.WORKFLOWS]
    distinct |= {json.dumps(o, sort_keys=True): o for o in learning}
    kinds = {"Rollout", "AnalysisTemplate", "GRPCRoute", "Gateway", "WorkflowTemplate", "CronWorkflow"}
    assert {o["kind"] for o in distinct.values()} >= kinds
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
    assert policies.keys() == ports.keys() | {"deny-all", "dns"}
    for component, own in ports.items():
        allowed = {port["port"] for rule in policies[component]["ingress"] for port in rule["ports"]}
        assert allowed <= own
        for rule in policies[component].get("egress", ()):
            for peer in rule["to"]:
                if "namespaceSelector" not in peer:
                    to = peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                    assert {port["port"] for port in rule["ports"]} <= ports[to]


def test_names_are_resolved_wherever_the_clusters_dns_is() -> None:
    policies = {o["metadata"]["name"]: o["spec"] for o in overlay("network-policies") if o["kind"] == "NetworkPolicy"}
    [rule] = policies["dns"]["egress"]
    assert "to" not in rule, "NodeLocal DNSCache is no pod of any namespace"
    assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {
        (protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)
    }
    assert policies["dns"]["podSelector"] == policies["deny-all"]["podSelector"] == {}
    named = [peer for policy in policies.values() for rule in policy.get("egress", ()) for peer in rule.get("to", ())]
    assert "kube-system" not in json.dumps(named)


def test_replicas_are_spread_over_nodes_and_zones() -> None:
    for o in workloads(overlay("canary", "envoy")):
        pod = o["spec"]["template"]
        spread = {one["topologyKey"]: one for one in pod["spec"]["topologySpreadConstraints"]}
        assert spread.keys() == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        for one in spread.values():
            assert one["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
            assert one["whenUnsatisfiable"] == "ScheduleAnyway", "a cluster of one zone runs them too"


def test_every_pod_has_the_priority_that_the_component_makes() -> None:
    objects = overlay("canary", "triton-gpu", "valkey", "envoy", "priority", namespace="own")
    [made] = [o for o in objects if o["kind"] == "PriorityClass"]
    assert "namespace" not in made["metadata"]
    assert 0 < made["value"] < 1_000_000_000, "more is for the cluster itself"
    named = {o["metadata"]["name"]: o["spec"]["template"]["spec"].get("priorityClassName") for o in workloads(objects)}
    assert named == dict.fromkeys(
        ("epc-sentinel", "epc-sentinel-canary", "triton", "valkey", "envoy"), made["metadata"]["name"]
    )


def test_the_audit_log_goes_where_a_read_only_file_system_lets_it() -> None:
    pod = find("Deployment", "epc-sentinel", overlay("audit-log"))["spec"]["template"]["spec"]
    assert gateway_env(pod)["EPC_SENTINEL_AUDIT_LOG"] == str(STDOUT)


def test_the_detection_log_has_a_volume_that_outlives_pods_and_an_image_that_can_write_it(
    start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    objects = overlay("canary", "detection-log")
    claim = find("PersistentVolumeClaim", "epc-sentinel-detections", objects)["spec"]
    assert claim["accessModes"] == ["ReadWriteMany"]
    for name in ("epc-sentinel", "epc-sentinel-canary"):
        pod = find("Deployment", name, objects)["spec"]["template"]["spec"]
        env, [container] = gateway_env(pod), pod["containers"]
        [mount] = [m for m in container["volumeMounts"] if m["mountPath"] == env["EPC_SENTINEL_DETECTION_LOG"]]
        [volume] = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
        assert volume["persistentVolumeClaim"]["claimName"] == "epc-sentinel-detections"
        assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]
        assert (
            int(env["EPC_SENTINEL_DETECTION_LOG_MAX_BYTES"])
            < int(claim["resources"]["requests"]["storage"].removesuffix("Gi")) * 2**30
        )
    text = (ROOT / "k8s/components/detection-log/kustomization.yaml").read_text()
    [lock] = re.findall(r"--build-arg LOCK=(\S+)", text)
    assert "pyarrow" in {pin.name for pin in pins(lock)}
    running = start_gateway(**env | {"EPC_SENTINEL_DETECTION_LOG": str(tmp_path), "EPC_SENTINEL_HEALTH_PORT": "0"})
    call(running.target, "Analyze", many(20).SerializeToString())
    running.stop()
    assert list(tmp_path.glob("detections-*.parquet"))


@pytest.mark.parametrize("components", [("model-image",), ("canary", "triton-gpu", "model-image", "signed-models")])
def test_a_model_of_an_image_of_its_own_is_verified_before_it_is_loaded(
    components: Choice, bundled_repository: Path, tmp_path: Path
) -> None:
    """It takes the place of the folder in the image: the same checks are made, and with one changed byte it is none."""
    objects = overlay(*components)
    pod = find("Deployment", "epc-sentinel", objects)["spec"]["template"]["spec"]
    [copy], [gateway] = pod["initContainers"], pod["containers"]
    [written], [read] = (
        [mount for mount in one["volumeMounts"] if mount["name"] == "models"] for one in (copy, gateway)
    )
    [workdir] = [folder for folder in all_of("WORKDIR") if folder != "/src"]
    assert written["mountPath"] == read["mountPath"] == f"{workdir}/{Settings.model_fields['model_repository'].default}"
    assert read["readOnly"]
    assert copy["image"].startswith("epc-sentinel-model:")
    [folder] = [rest.split()[-1] for rest in all_of("COPY") if rest.startswith("model_repository /")]
    for deployment in workloads(objects):
        one = deployment["spec"]["template"]["spec"]["initContainers"][0]
        assert one["image"] == copy["image"]
        assert one["command"] == ["cp", "-r", f"{folder}/.", one["volumeMounts"][0]["mountPath"]]

    target = tmp_path / "model_repository"
    target.mkdir()
    subprocess.run(["cp", "-r", f"{bundled_repository}/.", target], check=True)
    model = target / "epc_lstm" / "1" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    with Gateway("--backend", f"onnx:{target}", ready=False) as damaged:
        damaged.wait_health("NOT_SERVING")  # rules judge, and no rollout goes on with it
        reason = damaged.wait_log("no usable model")["reason"]
    assert "is not the file that was exported" in reason


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
