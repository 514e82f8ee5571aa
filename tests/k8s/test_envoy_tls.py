"""Envoy with the component `tls`: no token in the clear, neither from callers nor to gateways; the real Envoy."""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.k8s.overlays import Object, build, find, gateway_env, overlay
from tests.servers.envoy import CONFIG, Envoy
from tests.support import tls
from tests.support.client import METHOD
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import wait_for
from tests.support.requests import many
from tests.support.secrets import Identity, authority, bearer, key_entry, new_token

TOKEN = new_token()
PATH = "/api/manager/export-and-analyze-async"
BODY = (ROOT / "examples" / "request.json").read_bytes()
OBJECTS = overlay("canary", "envoy", "tls")


def issue(name: str = "epc-sentinel", by: Identity = tls.CA) -> Identity:
    """Return the certificate that the runbook asks for; Envoy's name and its address for the callers of the test."""
    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return by.issue(name, x509.DNSName(name), x509.DNSName("envoy"), *here)


def write_secret(folder: Path, identity: Identity, ca: Identity = tls.CA) -> None:
    """Write the Secret as kubelets do: all of a version in a folder, and one link that leads to it."""
    version = folder / f"..{time.monotonic_ns()}"
    version.mkdir(parents=True)
    for name, content in (("tls.crt", identity.cert_pem), ("tls.key", identity.key_pem), ("ca.crt", ca.cert_pem)):
        (version / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..next").symlink_to(version.name)
    (folder / "..next").rename(folder / "..data")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pod has as /etc/envoy/config."""
    [made] = [o for o in OBJECTS if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith("envoy-config")]
    folder = tmp_path_factory.mktemp("config")
    for name, text in made["data"].items():
        (folder / name).write_text(text)
    for name, text in made["binaryData"].items():
        (folder / name).write_bytes(base64.b64decode(text))
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The Secret epc-sentinel-tls, and the keys of the callers."""
    write_secret(tmp_path / "tls", issue())
    (tmp_path / "keys.toml").write_text(key_entry("backend", TOKEN, "analyze"))
    return tmp_path / "tls"


@pytest.fixture
def start_guarded(start_gateway: Callable[..., Gateway], secret: Path) -> Callable[[Path], Gateway]:
    """Start gateways with a certificate, that want tokens."""

    def start(shows: Path) -> Gateway:
        pair = ("--tls-cert", str(shows / "tls.crt"), "--tls-key", str(shows / "tls.key"), "--health-port", "0")
        running = start_gateway(
            *pair, "--auth-keys", str(secret.parent / "keys.toml"), "--history", "none", ready=False
        )
        tls.wait_ready(running)
        return running

    return start


def ask(target: str, token: str = TOKEN) -> int:
    """POST the example of the README over TLS; return the status."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    trusting = ssl.create_default_context(cadata=tls.CA.cert_pem.decode())
    asked = urllib.request.Request(f"https://{target}{PATH}", BODY, headers)
    try:
        with urllib.request.urlopen(asked, timeout=30, context=trusting) as answer:
            assert json.load(answer)["method"] == "rule-based"
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def serial(target: str) -> int:
    """Return the serial number of the certificate that a new connection gets to see."""
    host, _, port = target.rpartition(":")
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()).serial_number


def test_calls_with_tokens_go_over_tls_all_the_way(
    start_guarded: Callable[[Path], Gateway], secret: Path, files: Path
) -> None:
    stable, canary = start_guarded(secret), start_guarded(secret)
    with Envoy(stable.target, canary.target, 50, files=files, tls=secret) as envoy:
        envoy.wait_healthy("stable", 1)
        envoy.wait_healthy("canary", 1)
        with tls.open_channel(envoy.target) as channel:
            call = channel.unary_unary(METHOD, response_deserializer=pb.AnalyzeResponse.FromString)
            for track in ("always", "never"):
                metadata = (*bearer(TOKEN), ("x-canary", track))
                assert call(many(20).SerializeToString(), timeout=30, metadata=metadata).file_id == 1
            with pytest.raises(grpc.RpcError) as refused:
                call(many(20).SerializeToString(), timeout=30, metadata=bearer(new_token()))
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert [ask(envoy.target), ask(envoy.target, new_token())] == [200, 401]
        with socket.create_connection(("127.0.0.1", envoy.port), 10) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: envoy\r\n\r\n")
            assert plain.recv(100) == b"", "no answer in the clear"


@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_a_gateway_that_cannot_show_who_it_is_gets_no_call(
    start_guarded: Callable[[Path], Gateway], secret: Path, files: Path, tmp_path: Path, wrong: str
) -> None:
    good = start_guarded(secret)
    write_secret(tmp_path / "own", issue("other") if wrong == "name" else issue(by=authority("another")))
    bad = start_guarded(tmp_path / "own")
    with Envoy(good.target, bad.target, 100, files=files, tls=secret) as envoy:
        envoy.wait_healthy("stable", 1)
        assert [ask(envoy.target) for _ in range(3)] == [200] * 3
        assert envoy.healthy("canary") == 0
        reason = f"cluster.canary.ssl.fail_verify_{'san' if wrong == 'name' else 'error'}"
        wait_for(lambda: envoy.stats(reason)[reason])


def test_a_new_certificate_is_taken_while_envoy_runs(
    start_guarded: Callable[[Path], Gateway], secret: Path, files: Path
) -> None:
    with Envoy(start_guarded(secret).target, files=files, tls=secret) as envoy:
        envoy.wait_healthy("stable", 1)
        first, new = serial(envoy.target), issue()
        write_secret(secret, new)
        wait_for(lambda: serial(envoy.target) != first)
        assert serial(envoy.target) == new.cert.serial_number
        assert ask(envoy.target) == 200


def mounted(pod: Object) -> set[tuple[str, str]]:
    """Return path and Secret of each that a pod mounts."""
    secrets = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    return {(m["mountPath"], secrets[m["name"]]) for m in pod["containers"][0]["volumeMounts"] if m["name"] in secrets}


def test_the_pods_have_what_the_configuration_names() -> None:
    envoy, gateway = (
        find("Deployment", name, OBJECTS)["spec"]["template"]["spec"] for name in ("envoy", "epc-sentinel")
    )
    assert mounted(envoy) == {("/etc/envoy/tls", "epc-sentinel-tls")}
    assert mounted(gateway) == {("/etc/epc-sentinel/tls", "epc-sentinel-tls")}
    assert envoy["securityContext"]["fsGroup"] == envoy["securityContext"]["runAsUser"]
    assert "appProtocol" not in find("Service", "envoy", OBJECTS)["spec"]["ports"][0]


def test_without_the_component_nothing_of_it_is_there(files: Path) -> None:
    plain, with_tls = (CONFIG / "envoy.yaml").read_text(), (files / "envoy.yaml").read_text()
    assert "transport_sockets.tls" not in plain
    assert with_tls.count("transport_sockets.tls.v3") == 3
    lines = with_tls.splitlines()
    assert [line for line in plain.splitlines() if "plain text" not in line and line not in lines] == []


def test_no_example_sends_tokens_in_the_clear() -> None:
    objects = build(ROOT / "k8s" / "overlays" / "example")
    checked = 0
    for gateway in (find("Deployment", name, objects) for name in ("epc-sentinel", "epc-sentinel-canary")):
        env = gateway_env(gateway["spec"]["template"]["spec"])
        checked += "EPC_SENTINEL_AUTH_KEYS" in env
        assert {"EPC_SENTINEL_TLS_CERT", "EPC_SENTINEL_TLS_KEY"} <= env.keys()
    assert checked == 2
    [config] = [o["data"]["envoy.yaml"] for o in objects if o["metadata"]["name"].startswith("envoy-config")]
    assert config.count("transport_sockets.tls.v3") == 3
