"""A real Triton server on loopback, and a small model for it to serve.

A pytest plugin; `TritonServer` works outside of pytest too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pytest
import torch

from export.repository import golden_probe, write_version
from export.to_onnx import export_onnx
from service.events.vocabulary import KINDS
from service.model.manifest import Manifest, Thresholds, digest_of
from tests.support.processes import end, free_ports, made_once
from training.network.lstm import CalibratedModel, EpcLstm, ModelConfig

WHEEL = Path(__file__).parents[3] / ".triton"
START_S = 30.0

FEATURES = ("causal", *(f"feature_{i}" for i in range(9)))
SPEC_HASH = "0" * 64
LENGTHS = (4, 8)


class TritonServer:
    """The real tritonserver serving ``repository``; a context manager that leaves no process behind.

    Packages of its Python backend come from the interpreter that runs this code.
    """

    def __init__(self, repository: Path, config_name: str = "cpu", extra_args: Sequence[str] = ()) -> None:
        """Choose ports; ``config_name`` is the file of ``<model>/configs/`` to use instead of config.pbtxt."""
        self.id = f"epc-sentinel-test-{uuid.uuid4().hex[:12]}"
        self.grpc_port, self.http_port = free_ports(2)
        self.url = f"127.0.0.1:{self.grpc_port}"
        self._repository, self._config_name, self._extra_args = repository, config_name, extra_args
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until every model is ready; again after `stop`, on the same ports."""
        self._root = Path(tempfile.mkdtemp(prefix="triton-"))
        self.log = self._root / "server.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                env=_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its own group: stop() reaches the Python stubs too
            )
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server: terminate, then kill, then whatever is left of its process group."""
        if self._process is None:
            return
        end(self._process)
        self._finish()

    def kill(self) -> None:
        """Let the server die without a goodbye, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._finish()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _finish(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # usually no stub outlives the server
            os.killpg(self.pid, signal.SIGKILL)
        self._process = None
        shutil.rmtree(self._root)

    def _command(self) -> list[str]:
        binaries = _installed() / "tritonserver"
        setpriv = shutil.which("setpriv")  # a test run that is killed takes its server along
        return [
            *([setpriv, "--pdeathsig", "TERM"] if setpriv else []),
            str(binaries / "bin" / "tritonserver"),
            f"--model-repository={self._repository}",
            f"--backend-directory={_copy_backends(binaries, self._root / 'backends')}",
            f"--cache-directory={binaries / 'caches'}",
            f"--model-config-name={self._config_name}",
            f"--id={self.id}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self.grpc_port}",
            "--http-address=127.0.0.1",
            f"--http-port={self.http_port}",
            "--allow-metrics=false",
            "--allow-gpu-metrics=false",
            *self._extra_args,
        ]

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while self._server_at_port() != self.id:
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                lines = self.log.read_text(errors="replace").splitlines()
                tail = "\n".join([line for line in lines if not line.startswith(("|", "+"))][-30:])  # no tables
                raise RuntimeError(f"tritonserver did not get ready on {self.url}; the end of its log:\n{tail}")
            time.sleep(0.05)

    def _server_at_port(self) -> str | None:
        """Return the id of the server that answers on the port once it is ready: it could be somebody else's."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/v2/health/ready", timeout=1):
                pass
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/v2", timeout=1) as answer:
                return str(json.load(answer)["name"])
        except (urllib.error.URLError, OSError):
            return None


def write_small_model(repository: Path, version: int = 1, seed: int = 0) -> CalibratedModel:
    """Export a small model of random weights as ``version`` into ``repository`` and return its torch original."""
    torch.manual_seed(seed)
    calibration = torch.rand(2, len(KINDS)) + 0.5, torch.randn(2, len(KINDS))
    model = CalibratedModel(EpcLstm(ModelConfig(features=len(FEATURES), hidden=16)), *calibration).eval()
    with tempfile.TemporaryDirectory() as scratch:
        onnx = Path(scratch) / "model.onnx"
        export_onnx(model, onnx)
        write_version(repository, version, onnx, small_manifest(onnx, version))
    return model


def small_manifest(onnx: Path, version: int) -> Manifest:
    """Return the manifest of a small model at ``onnx``."""
    sequence = np.linspace(-1, 1, 4 * len(FEATURES), dtype=np.float32).reshape(1, 4, -1)
    return Manifest(
        format=1,
        model="epc_lstm",
        version=version,
        created_at="2025-07-01T00:00:00Z",
        features=list(FEATURES),
        feature_spec_hash=SPEC_HASH,
        kinds=list(KINDS),
        lengths=list(LENGTHS),
        thresholds=Thresholds(retrospective=[0.5] * 5, causal=[0.5] * 5),
        reference={},
        histograms={},
        metrics={},
        lineage={"seed": version},
        files={"model.onnx": digest_of(onnx)},
        probe=golden_probe(onnx, sequence, np.array([[3]])),
    )


@pytest.fixture(scope="session")
def small_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with versions 1 and 2 of a small model; read only."""

    def make(repository: Path) -> None:
        for version in (1, 2):
            write_small_model(repository, version, seed=version)

    return made_once(tmp_path_factory, "small_repository", make)


@pytest.fixture(scope="session")
def triton_server(small_repository: Path) -> Iterator[TritonServer]:
    """A Triton server with ``small_repository``; leave it running."""
    with TritonServer(small_repository) as server:
        yield server


def _installed() -> Path:
    if not (WHEEL / "pytriton" / "tritonserver" / "bin" / "tritonserver").is_file():
        raise RuntimeError(f"no Triton server in {WHEEL}: run 'make .triton'")
    return WHEEL / "pytriton"


def _copy_backends(binaries: Path, target: Path) -> Path:
    """Assemble the backend folder: the wheel's Python backend with its stub, and `onnxruntime` on top of it."""
    ignore = shutil.ignore_patterns("__pycache__")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(binaries / "backends", target, ignore=ignore)
    shutil.copy2(binaries / "python_backend_stubs" / python / "triton_python_backend_stub", target / "python")
    shutil.copytree(Path(__file__).parent / "onnxruntime", target / "onnxruntime", ignore=ignore)
    return target


def _environment() -> dict[str, str]:
    libraries = [str(WHEEL / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR")]
    return os.environ | {
        "LD_LIBRARY_PATH": ":".join(libraries),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # the stub takes the first python3
    }
