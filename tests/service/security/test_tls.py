"""TLS on a real gateway: with Python's client and with grpcurl, and while certificates change."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from service.errors import SettingsError
from service.security.tls import http_context, server_credentials
from service.security.watched_files import CHECK_S
from tests.servers.prometheus import BINARY, MISSING, Prometheus
from tests.support.gateway import SERVICE, Gateway
from tests.support.processes import GRPCURL, wait_for
from tests.support.requests import request, scan
from tests.support.secrets import Identity, authority, key_entry, new_token
from tests.support.tls import CA, flags, open_channel, wait_ready

BODY = request(scan(1)).SerializeToString()

ANALYZE = f"/{SERVICE}/Analyze"


@pytest.fixture(scope="module")
def client() -> Identity:
    return CA.issue("backend-7")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with ca.pem, server.pem, server-key.pem."""
    (tmp_path / "ca.pem").write_bytes(CA.cert_pem)
    CA.issue("gateway").write(tmp_path, "server")
    return tmp_path


def answer(target: str, ca: Identity = CA, client: Identity | None = None, request_id: str = "") -> str:
    """Return the status of a call over a connection of its own."""
    with open_channel(target, ca, client) as channel:
        try:
            channel.unary_unary(ANALYZE)(BODY, timeout=10, metadata=(("x-request-id", request_id or "-"),))
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


@pytest.fixture
def mutual(start_gateway: Callable[..., Gateway], files: Path) -> Gateway:
    gateway = start_gateway(*flags(files, mutual=True), ready=False)
    wait_ready(gateway)
    return gateway


def test_a_client_certificate_lets_in_and_names_the_caller(mutual: Gateway, client: Identity) -> None:
    assert answer(mutual.target, client=client, request_id="named") == "OK"
    [line] = [line for line in mutual.log() if line.get("request_id") == "named"]
    assert line["caller"] == "cert:backend-7"
    assert answer(mutual.target) == "UNAVAILABLE"
    assert answer(mutual.target, client=authority("somebody else").issue("backend-7")) == "UNAVAILABLE"
    assert answer(mutual.target, ca=authority("somebody else"), client=client) == "UNAVAILABLE"
    with grpc.insecure_channel(mutual.target) as plain, pytest.raises(grpc.RpcError):
        plain.unary_unary(ANALYZE)(BODY, timeout=5)


def test_certificates_without_a_common_name_are_known_by_their_other_names(mutual: Gateway) -> None:
    uris = [x509.UniformResourceIdentifier(f"spiffe://example.org/{'long/' * 60}{name}") for name in "ab"]
    dns = x509.DNSName("scanner-3.example.org")
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificates = {
        "uri-a": CA.issue("", dns, uris[0]), "uri-b": CA.issue("", uris[1]), "dns": CA.issue("", dns),
        "neither-a": CA.issue("", address), "neither-b": CA.issue("", address), "both": CA.issue("backend-7", uris[0]),
    }  # fmt: skip
    for request_id, certificate in certificates.items():
        assert answer(mutual.target, client=certificate, request_id=request_id) == "OK"
    callers = {line["request_id"]: line["caller"] for line in mutual.log() if line.get("request_id") in certificates}
    assert len(set(callers.values())) == len(certificates), callers
    assert callers["uri-a"].startswith("cert:spiffe://example.org/")
    assert callers["dns"] == "cert:scanner-3.example.org"
    assert callers["neither-a"].startswith("cert:sha256-")
    assert callers["both"] == "cert:backend-7"


def test_the_port_of_the_probes_answers_health_alone(mutual: Gateway) -> None:
    port = mutual.wait_log("listening")["health_port"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ANALYZE)(BODY, timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_grpcurl_with_certificates_and_a_token(start_gateway: Callable[..., Gateway], files: Path) -> None:
    token = new_token()
    (files / "keys.toml").write_text(key_entry("curl", token, "analyze"))
    CA.issue("curl").write(files, "client")
    gateway = start_gateway(*flags(files, mutual=True), "--auth-keys", str(files / "keys.toml"), ready=False)
    wait_ready(gateway)
    trust = ["-cacert", str(files / "ca.pem")]
    mine = ["-cert", str(files / "client.pem"), "-key", str(files / "client-key.pem")]
    ask = ["-d", '{"data": [{"eventId": 1, "epcCode": "x", "eventTime": "2025-07-01T10:00:00Z"}]}']

    def grpcurl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(GRPCURL), *arguments, gateway.target, f"{SERVICE}/Analyze"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    done = grpcurl(*trust, *mine, "-H", f"authorization: Bearer {token}", *ask)
    assert json.loads(done.stdout)["EventHistory"][0]["epcFake"], done.stderr
    assert "Unauthenticated" in grpcurl(*trust, *mine, *ask).stderr
    assert grpcurl(*trust, "-H", f"authorization: Bearer {token}", *ask).returncode != 0
    assert "certificate" in grpcurl(*mine, "-H", f"authorization: Bearer {token}", *ask).stderr


def test_certificates_and_authorities_change_while_calls_run(mutual: Gateway, files: Path, client: Identity) -> None:
    """The old connection goes on, new ones see the new certificate, and no call fails on either side of it."""
    other = authority("the new authority")
    statuses: list[str] = []
    stop = threading.Event()

    def keep_calling() -> None:
        with open_channel(mutual.target, client=client) as channel:
            while not stop.is_set():
                try:
                    channel.unary_unary(ANALYZE)(BODY, timeout=10)
                    statuses.append("OK")
                except grpc.RpcError as error:
                    statuses.append(error.code().name)

    caller = threading.Thread(target=keep_calling)
    caller.start()
    try:
        time.sleep(CHECK_S)  # so that the next handshake looks at the files
        (files / "server.pem").write_bytes(b"-----BEGIN CERT")  # half-written
        assert answer(mutual.target, client=client) == "OK"
        other.issue("gateway").write(files, "server")
        (files / "ca.pem").write_bytes(other.cert_pem)
        time.sleep(CHECK_S)
        assert answer(mutual.target, ca=other, client=other.issue("renewed")) == "OK"
        assert answer(mutual.target, ca=other, client=client) == "UNAVAILABLE"  # its authority is no longer one
        assert answer(mutual.target, ca=CA, client=client) == "UNAVAILABLE"
        wait_for(lambda: len(statuses) > 20)
    finally:
        stop.set()
        caller.join()
    assert set(statuses) == {"OK"}
    events = [line["event"] for line in mutual.log()]
    assert events.count("cannot reload") == 1
    assert events.count("certificate") == 2


def scrape(port: int, ca: Identity = CA, client: Path | None = None) -> str:
    """Return the metrics over HTTPS, or the reason why there are none."""
    context = ssl.create_default_context(cadata=ca.cert_pem.decode())
    if client:
        context.load_cert_chain(client / "client.pem", client / "client-key.pem")
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/metrics", timeout=20, context=context) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError) as error:  # the latter: TLS 1.3 refuses a client after the handshake
        return f"refused: {error}"


def test_metrics_have_the_gateways_certificate_and_ask_for_that_of_the_client(
    start_gateway: Callable[..., Gateway], files: Path, client: Identity
) -> None:
    client.write(files, "client")
    gateway = start_gateway(*flags(files, mutual=True), "--metrics-port", "0", "--metrics-tls", ready=False)
    port = gateway.wait_log("listening")["metrics_port"]
    with socket.create_connection(("127.0.0.1", port)):  # says nothing, and keeps nobody waiting
        assert "epc_sentinel_model_info" in scrape(port, client=files)
    assert scrape(port).startswith("refused")
    assert scrape(port, ca=authority("somebody else"), client=files).startswith("refused")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)
    other = authority("the new authority")
    other.issue("gateway").write(files, "server")
    time.sleep(CHECK_S)
    assert "epc_sentinel_model_info" in scrape(port, ca=other, client=files)
    assert not [line for line in gateway.log() if line["level"] == "error"]


@pytest.mark.needs(BINARY is not None, MISSING)
def test_a_real_prometheus_scrapes_over_tls(start_gateway: Callable[..., Gateway], files: Path) -> None:
    gateway = start_gateway(*flags(files, mutual=False), "--metrics-port", "0", "--metrics-tls", ready=False)
    target = f"127.0.0.1:{gateway.wait_log('listening')['metrics_port']}"
    with Prometheus({target: {}}, tls_config={"ca_file": str(files / "ca.pem")}) as prometheus:
        deadline = time.monotonic() + 20
        while not prometheus.query("epc_sentinel_model_info"):
            assert time.monotonic() < deadline, prometheus.query("up")
            time.sleep(0.1)


@pytest.mark.parametrize("name", ["server.pem", "server-key.pem", "ca.pem"])
def test_metrics_do_not_start_with_files_of_no_use(files: Path, name: str) -> None:
    (files / name).write_bytes(b"of no use")
    with pytest.raises(
        SettingsError, match="--metrics-tls: certificate, key and authority do not go together"
    ) as caught:
        http_context(files / "server.pem", files / "server-key.pem", files / "ca.pem")
    assert "\n" not in str(caught.value)


def test_the_server_alone_may_have_a_certificate(start_gateway: Callable[..., Gateway], files: Path) -> None:
    gateway = start_gateway(*flags(files, mutual=False), ready=False)
    wait_ready(gateway)
    assert answer(gateway.target, request_id="alone") == "OK"
    [line] = [line for line in gateway.log() if line.get("request_id") == "alone"]
    assert line["caller"] == "anonymous@127.0.0.1"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("server.pem", b"no certificate", "holds no PEM certificate"),
        ("server.pem", None, "cannot read .*server.pem: No such file"),
        ("server-key.pem", b"no key", "holds no PEM private key"),
        ("server-key.pem", authority().key_pem, "the key is not that of the first certificate"),
        ("ca.pem", b"", "holds no PEM certificate"),
    ],
)
def test_files_of_no_use_are_refused_in_one_line(files: Path, name: str, content: bytes | None, says: str) -> None:
    if content is None:
        (files / name).unlink()
    else:
        (files / name).write_bytes(content)
    with pytest.raises(SettingsError, match=says) as caught:
        server_credentials(files / "server.pem", files / "server-key.pem", files / "ca.pem")
    assert "\n" not in str(caught.value)
    assert "--tls-cert" in str(caught.value)


def test_a_gateway_with_a_bad_file_does_not_start(files: Path) -> None:
    (files / "server-key.pem").write_bytes(b"no key")
    with pytest.raises(RuntimeError, match='"reason": "--tls-cert, --tls-key, --tls-client-ca: the key file holds no'):
        Gateway(*flags(files, mutual=False))


def test_the_metrics_say_when_the_certificate_expires(start_gateway: Callable[..., Gateway], files: Path) -> None:
    gateway = start_gateway(*flags(files, mutual=False), "--metrics-port", "0", ready=False)
    wait_ready(gateway)
    identity = CA.issue("gateway")
    identity.write(files, "server")
    port = gateway.wait_log("listening")["metrics_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = dict(line.rsplit(" ", 1) for line in page.read().decode().splitlines() if not line.startswith("#"))
    expires_s = float(lines["epc_sentinel_certificate_expiry_timestamp_seconds"])
    assert expires_s == identity.cert.not_valid_after_utc.timestamp()
