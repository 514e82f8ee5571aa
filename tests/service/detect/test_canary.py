"""A second version of the model in one gateway: its share of the files, and that a file stays with its version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.detect.canary import share_of
from service.errors import CommandError
from service.gateway.build import build_wiring
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.settings import Settings
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import Gateway
from tests.support.requests import call, many, request, scan
from tests.support.versions import add_version

FILES = range(1, 121)


def ask(gateway: Gateway, *files: int) -> pb.AnalyzeResponse:
    """Return the answer to a normal scan of each file."""
    body = request(*(scan(at, file_id=file_id) for at, file_id in enumerate(files)))
    method = "Analyze" if len(files) == 1 else "AnalyzeFiles"
    raw = call(gateway.target, method, body.SerializeToString())
    return pb.AnalyzeResponse.FromString(raw) if len(files) == 1 else pb.AnalyzeFilesResponse.FromString(raw).files[0]


def test_files_are_spread_evenly_and_for_ever() -> None:
    places = np.array([share_of(file_id) for file_id in range(-5_000, 5_000)])
    assert places.min() >= 0
    assert places.max() < 100
    for percent in (1, 10, 50, 90):
        expected, spread = percent / 100, np.sqrt(percent / 100 * (1 - percent / 100) / len(places))
        assert abs((places < percent).mean() - expected) < 4 * spread
    assert share_of(7) == pytest.approx(90.35659)  # the same in every gateway and in every release


def test_a_file_is_always_judged_by_the_same_version(two_versions: Path, start_gateway: Callable[..., Gateway]) -> None:
    first, second = (
        start_gateway("--backend", f"onnx:{two_versions}", "--model-version", "1", "--canary-model-version", "2",
                      "--canary-percent", percent)
        for percent in ("25", "50")
    )  # fmt: skip
    assert first.log()[0]["canary"] == "epc_lstm/2"
    versions = {file_id: ask(first, file_id).model_version for file_id in FILES}
    assert versions == {file_id: f"epc_lstm/{2 if share_of(file_id) < 25 else 1}" for file_id in FILES}
    assert versions == {file_id: ask(first, file_id).model_version for file_id in FILES}
    grown = {file_id: ask(second, file_id).model_version for file_id in FILES}
    assert grown == {file_id: f"epc_lstm/{2 if share_of(file_id) < 50 else 1}" for file_id in FILES}
    assert {ask(first, *files).model_version for files in ((1, 2), (2, 1))} == {versions[1]}  # as its lowest file_id


def test_a_canary_that_cannot_answer_costs_no_answer(
    two_versions: Path, bundled_repository: Path, start_gateway: Callable[..., Gateway]
) -> None:
    with TritonServer(bundled_repository) as triton:  # it has version 1 alone
        gateway = start_gateway(
            "--backend", f"triton://{triton.url}", "--model-repository", str(two_versions), "--model-version", "1",
            "--canary-model-version", "2", "--canary-percent", "100", "--no-fallback",
        )  # fmt: skip
        answer = ask(gateway, 1)
        assert (answer.method, answer.model_version) == ("lstm-deep-learning", "epc_lstm/1")
        assert answer.warning.startswith("epc_lstm/2 could not answer (the model server does not serve this version")


def test_both_versions_are_served_by_one_triton(two_versions: Path, start_gateway: Callable[..., Gateway]) -> None:
    with TritonServer(two_versions) as triton:
        gateway = start_gateway(
            "--backend", f"triton://{triton.url}", "--model-repository", str(two_versions), "--model-version", "1",
            "--canary-model-version", "2", "--canary-percent", "50",
        )  # fmt: skip
        found = {file_id: ask(gateway, file_id).model_version for file_id in FILES[:20]}
        assert found == {file_id: f"epc_lstm/{2 if share_of(file_id) < 50 else 1}" for file_id in FILES[:20]}


def test_the_rules_are_no_canary(two_versions: Path, start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(
        "--backend", f"onnx:{two_versions}", "--model-version", "1", "--canary-model-version", "2",
        "--canary-percent", "100",
    )  # fmt: skip
    answer = call(gateway.target, "Analyze", many(5, detector=pb.DETECTOR_RULES).SerializeToString())
    assert pb.AnalyzeResponse.FromString(answer).method == "rule-based"


def test_a_version_is_not_its_own_canary(two_versions: Path) -> None:
    with pytest.raises(CommandError, match="name the version in use with --model-version"):
        build_wiring(Settings(backend=f"onnx:{two_versions}", canary_model_version=2))


def test_a_canary_of_other_features_is_refused(bundled_repository: Path, tmp_path: Path) -> None:
    repository = add_version(bundled_repository, tmp_path / "repository", spec_hash="0" * 64)
    with Gateway("--backend", f"onnx:{repository}", "--model-version", "1") as gateway:
        assert gateway.health() == "SERVING"
    with pytest.raises(RuntimeError, match="trained on other features"):
        Gateway("--backend", f"onnx:{repository}", "--model-version", "1", "--canary-model-version", "2")
