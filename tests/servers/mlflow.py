"""A real MLflow server on loopback, with SQLite. Not part of the product."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import end, free_ports

START_S = 600.0


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Yield the URL of a server whose files are in ``folder``."""
    [port] = free_ports(1)
    log = folder / "mlflow.log"
    changes = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # it starts uvicorn by its name
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port),
                "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder),
                "--workers", "1",
            ],
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder,
            env=os.environ | changes,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_S
        while not _answers(port):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
