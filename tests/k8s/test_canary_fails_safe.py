"""The operator's script of a canary: whatever ends it, the canary is taken back, or the last line says what stands."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.gateway import ROOT
from tests.support.processes import wait_for

ROUTES = ROOT / "k8s" / "components" / "envoy" / "routes.yaml"


class Answers(BaseHTTPRequestHandler):
    """Answers every question with ``body``."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROUTES, tmp_path / "routes.yaml"))


@pytest.fixture
def prometheus() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Answers,), {}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def say(server: ThreadingHTTPServer, body: bytes) -> str:
    """Have the server answer ``body``; return its address."""
    server.RequestHandlerClass.body = body  # type: ignore[attr-defined]
    return f"http://127.0.0.1:{server.server_port}"


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "k8s" / "canary.py", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def weight(path: Path) -> int:
    [line] = [line for line in path.read_text().splitlines() if line.endswith("# canary")]
    return int(line.split()[-3])


def shows(live: Path) -> bool:
    """Return whether the proxy's file is there, and not half copied."""
    return live.exists() and "# canary\n" in live.read_text()


def applied(tmp_path: Path) -> tuple[Path, str]:
    """Return (the file that a proxy works by, the command that gives it the operator's file)."""
    live = tmp_path / "live.yaml"
    return live, f"cp {tmp_path / 'routes.yaml'} {live}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_takes_the_canary_back(routes: Path, tmp_path: Path, number: signal.Signals) -> None:
    live, apply = applied(tmp_path)
    script = start(
        "rollout", "--file", routes, "--apply", apply, "--prometheus", "http://127.0.0.1:9", "--step-s", "60"
    )
    wait_for(lambda: shows(live))
    assert weight(live) == 10
    script.send_signal(number)
    out, _ = script.communicate(timeout=30)
    assert script.returncode == 128 + number
    assert (weight(routes), weight(live)) == (0, 0)
    assert out.splitlines()[-1] == "stands: the canary gets 0 %"


@pytest.mark.parametrize("hangs", [False, True])
def test_a_failing_apply_is_tried_again_and_further_signals_do_not_stop_that(
    routes: Path, tmp_path: Path, hangs: bool
) -> None:
    """It works for the first step, fails at the second, and for the first two tries of the rollback."""
    live, apply = applied(tmp_path)
    tries = tmp_path / "tries"
    pause = "sleep 60;" if hangs else ""
    command = f"echo >> {tries}; case $(wc -l < {tries}) in 2) {pause} exit 1;; 3|4) exit 1;; esac; {apply}"
    quick = ("--steps", "10,50", "--step-s", "0.1", "--interval-s", "0.2", "--template", always_good(tmp_path))
    script = start("rollout", "--file", routes, "--apply", command, "--prometheus", "http://127.0.0.1:9", *quick)
    wait_for(lambda: tries.exists() and len(tries.read_text()) >= (2 if hangs else 3))
    script.terminate()
    wait_for(lambda: len(tries.read_text()) >= 3)  # the rollback has begun
    script.send_signal(signal.SIGINT)
    out, _ = script.communicate(timeout=60)
    assert script.returncode == (128 + signal.SIGTERM if hangs else 1)
    assert (weight(routes), weight(live)) == (0, 0)
    assert out.count("rollback failed") == 2
    assert out.splitlines()[-1] == "stands: the canary gets 0 %"


def always_good(tmp_path: Path) -> Path:
    """Return an analysis that asks nothing."""
    path = tmp_path / "analysis.yaml"
    path.write_text(json.dumps({"spec": {"args": [{"name": "prometheus", "value": ""}], "metrics": []}}))
    return path


def test_what_cannot_be_taken_back_is_said_with_what_stands(routes: Path) -> None:
    for arguments in (["weight", "30", "--apply", "false"], ["rollback", "--apply", "exit 7"]):
        script = start(*arguments, "--file", routes)
        out, _ = script.communicate(timeout=60)
        assert script.returncode == 3
        last = out.splitlines()[-1]
        assert last.startswith("NOT ROLLED BACK")
        assert "says 0 %" in last
        assert arguments[-1] in last


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data": null}', b'{"data": {"result": [{}]}}'])
def test_what_is_no_answer_of_prometheus_takes_the_canary_back(
    routes: Path, prometheus: ThreadingHTTPServer, body: bytes
) -> None:
    url = say(prometheus, body)
    script = start("rollout", "--file", routes, "--prometheus", url, "--step-s", "30", "--interval-s", "0.1",
                   "--arg", "window=1s")  # fmt: skip
    out, err = script.communicate(timeout=60)
    assert script.returncode == 1
    assert "Traceback" not in err
    assert weight(routes) == 0
    assert out.splitlines()[-1] == "stands: the canary gets 0 %"


def test_a_closed_stdout_takes_the_canary_back_at_its_end_too(routes: Path, tmp_path: Path) -> None:
    live, apply = applied(tmp_path)
    script = start(
        "rollout", "--file", routes, "--apply", apply, "--prometheus", "http://127.0.0.1:9", "--step-s", "60"
    )
    assert script.stdout is not None
    script.stdout.close()
    wait_for(lambda: shows(live))
    script.terminate()
    script.wait(30)
    assert (weight(routes), weight(live)) == (0, 0)


def test_nothing_is_changed_by_a_call_that_makes_no_sense(tmp_path: Path, routes: Path) -> None:
    for arguments in (
        ["rollout", "--file", tmp_path / "missing.yaml"],
        ["rollout", "--file", routes, "--steps", "10,101"],
        ["rollback", "--file", tmp_path / "missing.yaml"],
    ):
        script = start(*arguments)
        _, err = script.communicate(timeout=30)
        assert script.returncode != 0
        assert "error: " in err
        assert "Traceback" not in err
    assert routes.read_text() == ROUTES.read_text()
