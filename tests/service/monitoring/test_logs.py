"""Nothing secret is in the log, whatever goes wrong, at the most talkative level."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.errors import SettingsError
from service.settings import load_settings
from tests.servers.valkey import Valkey
from tests.support.gateway import Gateway
from tests.support.requests import request, scan
from tests.support.secrets import AUDIENCE, ISSUER, authority, bearer, jwks, key_entry, new_jwt, new_token
from tests.support.tls import open_channel

PASSWORD = "pass-Wurzelgnom-77"
BODY = request(scan(1, epc_code="CODE-Wurzelgnom")).SerializeToString()
ANALYZE = "/epcsentinel.v1.AnomalyService/Analyze"


@pytest.mark.parametrize("password", [PASSWORD, "wrong-" + PASSWORD])
def test_a_gateway_that_logs_everything_logs_no_secret(
    start_gateway: Callable[..., Gateway], tmp_path: Path, password: str
) -> None:
    token, signer, server = new_token(), ec.generate_private_key(ec.SECP256R1()), authority("gateway")
    (tmp_path / "keys.toml").write_text(key_entry("backend", token, "analyze"))
    (tmp_path / "jwks.json").write_text(jwks(a=signer))
    cert, key = server.write(tmp_path, "server")
    with Valkey("--requirepass", PASSWORD) as valkey:
        gateway = start_gateway(
            "--log-level", "debug", "--probe-interval-s", "0.2", "--health-port", "0",
            "--history", f"valkey://default:{password}@127.0.0.1:{valkey.port}", "--history-analyze",
            "--auth-keys", str(tmp_path / "keys.toml"), "--auth-jwks", str(tmp_path / "jwks.json"),
            "--auth-issuer", ISSUER, "--auth-audience", AUDIENCE, "--tls-cert", str(cert), "--tls-key", str(key),
            ready=False,
        )  # fmt: skip
        gateway.wait_log("ready")
        good, bad = new_jwt(signer), new_jwt(signer, exp=1)
        with open_channel(gateway.target, server) as channel:
            ask = channel.unary_unary(ANALYZE)
            for secret in (token, good):
                ask(BODY, metadata=bearer(secret), timeout=20)
            for secret in (bad, token + "x"):
                with pytest.raises(grpc.RpcError):
                    ask(BODY, metadata=bearer(secret), timeout=20)
            valkey.kill()
            ask(BODY, metadata=bearer(token), timeout=20)
        gateway.wait_log("history degraded")
        (tmp_path / "keys.toml").write_text("[[key]]\nsha256 = 1")
        (tmp_path / "server-key.pem").write_bytes(server.key_pem[:150])
    text = json.dumps(gateway.log(), ensure_ascii=False)
    secrets = [PASSWORD, token, token[:20], *good.split(".")[1:], *bad.split(".")[1:], "CODE-Wurzelgnom"]
    for secret in [*secrets, *server.key_pem.decode().splitlines()[1:-1]]:
        assert secret not in text


def test_messages_about_settings_leave_the_password_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (f"ftp://user:{PASSWORD}@host/0", f"valkey//user:{PASSWORD}@host", f"valkey:user:{PASSWORD}@host"):
        with pytest.raises(SettingsError) as caught:
            load_settings(history=url)
        assert PASSWORD not in str(caught.value)
        monkeypatch.setenv("EPC_SENTINEL_BACKEND", url)
        with pytest.raises(SettingsError) as caught:
            load_settings()
        assert PASSWORD not in str(caught.value)
        monkeypatch.delenv("EPC_SENTINEL_BACKEND")


def test_an_unusable_url_is_named_without_its_password() -> None:
    with pytest.raises(RuntimeError) as caught:
        Gateway("--history", f"valkey://user:{PASSWORD}@host:notaport")
    assert "no usable URL" in str(caught.value)
    assert PASSWORD not in str(caught.value)
