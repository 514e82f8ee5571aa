"""The contract file is clean, and the committed stubs are made from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.gateway import ROOT

BIN = Path(sys.executable).parent


def test_committed_stubs_are_those_of_the_contract(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", f"--python_out={tmp_path}", f"--mypy_out={tmp_path}",
            f"--plugin=protoc-gen-mypy={BIN / 'protoc-gen-mypy'}", "epcsentinel/v1/anomaly.proto",
        ],
        cwd=ROOT, check=True,
    )  # fmt: skip
    generated = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("anomaly_pb2.py*")}
    assert len(generated) == 2
    for path, text in generated.items():
        assert (ROOT / "service" / "pb" / path).read_text() == text, f"service/pb/{path} is stale: run 'make proto'"


@pytest.mark.parametrize("command", [["lint"], ["format", "--diff", "--exit-code"]], ids=" ".join)
def test_buf_is_content(command: list[str]) -> None:
    done = subprocess.run([BIN / "buf", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_field_has_its_json_name_written_down() -> None:
    text = (ROOT / "protos/epcsentinel/v1/anomaly.proto").read_text()
    fields = sum(len(message.fields) for message in pb.DESCRIPTOR.message_types_by_name.values())
    assert text.count("[json_name = ") == fields
