"""The contract file is clean, and the committed stubs are made from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import google
import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_health.v1 import health_pb2

from service.pb.epcsentinel.v1 import anomaly_pb2, feedback_pb2, flow_pb2, models_pb2
from tests.support.gateway import ROOT

BIN = Path(sys.executable).parent
PROTOS = {"anomaly": anomaly_pb2, "feedback": feedback_pb2, "flow": flow_pb2, "models": models_pb2}


def test_all_protos_are_tested_here() -> None:
    assert {path.stem for path in (ROOT / "protos/epcsentinel/v1").glob("*.proto")} == set(PROTOS)


@pytest.mark.parametrize("name", PROTOS)
def test_committed_stubs_are_those_of_the_contract(name: str, tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", f"--python_out={tmp_path}", f"--mypy_out={tmp_path}",
            f"--plugin=protoc-gen-mypy={BIN / 'protoc-gen-mypy'}", f"epcsentinel/v1/{name}.proto",
        ],
        cwd=ROOT, check=True,
    )  # fmt: skip
    generated = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob(f"{name}_pb2.py*")}
    assert len(generated) == 2
    for path, text in generated.items():
        assert (ROOT / "service" / "pb" / path).read_text() == text, f"service/pb/{path} is stale: run 'make proto'"


def test_the_transcoders_descriptors_are_those_of_the_contract(tmp_path: Path) -> None:
    [packages] = {Path(path).parent for path in google.__path__ if (Path(path) / "api" / "http.proto").is_file()}
    made = tmp_path / "made.binpb"
    files = [*(f"epcsentinel/v1/{name}.proto" for name in sorted(PROTOS)), "grpc/health/v1/health.proto"]
    files += ["google/rpc/status.proto", "google/rpc/error_details.proto"]
    include = ["-Iprotos", f"-I{packages}", "--include_imports", f"--descriptor_set_out={made}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *include, *files], cwd=ROOT, check=True)
    committed = ROOT / "k8s" / "components" / "envoy" / "epcsentinel.binpb"
    assert committed.read_bytes() == made.read_bytes(), "epcsentinel.binpb is stale: run 'make proto'"


def test_the_copied_health_service_is_the_standard_one_and_a_path() -> None:
    copied = FileDescriptorSet.FromString((ROOT / "k8s/components/envoy/epcsentinel.binpb").read_bytes())
    [ours] = [file for file in copied.file if file.package == "grpc.health.v1"]
    standard = FileDescriptorProto.FromString(health_pb2.DESCRIPTOR.serialized_pb)
    [check] = ours.service[0].method
    assert check.options.Extensions[annotations_pb2.http].get == "/health"
    check.ClearField("options")
    shape = [(m.name, [(f.name, f.number, f.type) for f in m.field], list(m.enum_type)) for m in ours.message_type]
    assert shape == [
        (m.name, [(f.name, f.number, f.type) for f in m.field], list(m.enum_type)) for m in standard.message_type[:2]
    ]
    assert check == standard.service[0].method[0]


@pytest.mark.parametrize("name", ["annotations", "http"])
def test_the_copied_google_protos_are_those_of_the_package(name: str) -> None:
    [package] = [Path(path) for path in google.__path__ if (Path(path) / "api" / "http.proto").is_file()]
    assert (ROOT / f"protos/google/api/{name}.proto").read_text() == (package / f"api/{name}.proto").read_text()


@pytest.mark.parametrize("command", [["lint"], ["format", "--diff", "--exit-code"]], ids=" ".join)
def test_buf_is_content(command: list[str]) -> None:
    done = subprocess.run([BIN / "buf", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", PROTOS)
def test_every_field_has_its_json_name_written_down(name: str) -> None:
    text = (ROOT / f"protos/epcsentinel/v1/{name}.proto").read_text()
    fields = sum(len(message.fields) for message in PROTOS[name].DESCRIPTOR.message_types_by_name.values())
    assert text.count("[json_name = ") == fields
