"""The commands get in at a gateway that asks for certificates and a token."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.client.access import access_by_files
from service.client.gateway import check_reachable
from service.errors import CommandError, SettingsError
from tests.support.command import run
from tests.support.gateway import ROOT, Gateway
from tests.support.secrets import key_entry, new_token
from tests.support.tls import CA, flags, wait_ready

SAMPLE = ROOT / "tests" / "data" / "real_events_sample.tsv"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with certificates of both sides, a token and its key."""
    (tmp_path / "ca.pem").write_bytes(CA.cert_pem)
    for name in ("server", "client"):
        CA.issue(name).write(tmp_path, name)
    token = new_token()
    (tmp_path / "token").write_text(token + "\n")
    (tmp_path / "keys.toml").write_text(key_entry("cli", token, "analyze"))
    return tmp_path


def test_analyze_and_replay_get_in_with_their_files_and_not_without(
    start_gateway: Callable[..., Gateway], files: Path
) -> None:
    gateway = start_gateway(*flags(files, mutual=True), "--auth-keys", str(files / "keys.toml"), ready=False)
    wait_ready(gateway)
    tls = ("--ca-file", files / "ca.pem", "--cert-file", files / "client.pem", "--key-file", files / "client-key.pem")
    token = ("--token-file", files / "token")
    to = ("--target", gateway.target)
    done = run("analyze", SAMPLE, *to, *tls, *token, "--json")
    assert json.loads(done.stdout)["files"][0]["method"] == "lstm-deep-learning", done.stderr
    done = run("replay", SAMPLE, *to, *tls, *token, "--json")
    assert json.loads(done.stdout)["events"] == 13, done.stderr
    assert "UNAUTHENTICATED: send a valid token" in run("analyze", SAMPLE, *to, *tls).stderr
    assert "no gateway answers" in run("analyze", SAMPLE, *to, *token).stderr


def test_files_that_do_not_go_together_are_named(files: Path) -> None:
    ca, cert, key, token = (files / name for name in ("ca.pem", "client.pem", "client-key.pem", "token"))
    with pytest.raises(SettingsError, match="go together"):
        access_by_files(ca, cert, None, None)
    with pytest.raises(SettingsError, match="needs --ca-file"):
        access_by_files(None, cert, key, None)
    with pytest.raises(CommandError, match=r"cannot read .*none: No such file"):
        access_by_files(None, None, None, files / "none")
    access = access_by_files(None, None, None, token)
    before = access.metadata()
    token.write_text("another")
    assert access.metadata() == (("authorization", "Bearer another"),) != before


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "ipv4:127.0.0.1", "dns:///localhost"])
def test_connections_of_this_machine_go_past_a_proxy(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is there
    check_reachable(f"{host}:{gateway.target.rpartition(':')[2]}")


def test_connections_to_other_machines_go_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        proxy.settimeout(10)
        with ThreadPoolExecutor() as pool:
            tried = pool.submit(check_reachable, "gateway.example:50051", within_s=3)
            connection, _ = proxy.accept()
            with connection:
                assert connection.recv(4096).startswith(b"CONNECT gateway.example:50051 ")
                with pytest.raises(CommandError):
                    tried.result()
