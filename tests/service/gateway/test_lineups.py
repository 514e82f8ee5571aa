"""Versions that take each other's place in a running gateway, and a gateway that has none at first."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from service.features.table import feature_spec_hash
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.register import Register
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.servers.triton.fixture import TritonServer
from tests.support.client import Client
from tests.support.gateway import SERVICE, Gateway
from tests.support.observed import samples, scrape, value
from tests.support.processes import wait_for
from tests.support.requests import analyze, many, request, scan
from tests.support.versions import add_version, flip_last_byte
from tests.tools.swaps.load import embedded, on_triton, swap_under_load

DETECTORS = (pb.DETECTOR_LSTM, pb.DETECTOR_SVM, pb.DETECTOR_ENSEMBLE)


def test_versions_are_swapped_under_load_and_no_call_is_lost(tmp_path: Path) -> None:
    with embedded(tmp_path, 3, "--metrics-port", "0") as (gateway, register):
        found = swap_under_load(gateway, register, swaps=8, versions=3, block=4, quiet=False)
        assert (found.lost, found.versions) == (0, 3)
        assert found.calls > 100
        assert found.rollback_s < 5
        shown = samples(scrape(gateway))
        assert value(shown, "model_swaps_total") == 9
        assert value(shown, "model_behind") == 0
        loaded = {line["model"] for line in gateway.log() if line["event"] == "version loaded"}
        assert loaded == {"epc_lstm/1", "epc_lstm/2", "epc_lstm/3"}, "each of them went at least once, and came back"


def test_a_triton_is_told_to_load_versions_beside_others_and_again_after_it_lost_them(tmp_path: Path) -> None:
    with on_triton(tmp_path, 2) as (gateway, register, triton):
        found = swap_under_load(gateway, register, swaps=3, versions=2, block=4, quiet=False)
        assert (found.lost, found.versions) == (0, 2)
        assert all(is_loaded(triton, name) for name in ("epc_lstm_v1", "epc_lstm_v2", "epc_svm_v1"))
        assert not is_loaded(triton, "epc_lstm"), "no model is loaded under a name that all versions share"
        triton.kill()
        triton.start()
        wait_for(lambda: analyze(gateway.target, many(5)).model_version.startswith("epc_lstm/"))


def is_loaded(triton: TritonServer, name: str) -> bool:
    """Return whether a Triton has a model ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{triton.http_port}/v2/models/{name}/ready", timeout=10):
            return True
    except urllib.error.HTTPError:
        return False


def test_every_worker_follows_a_promotion(
    two_versions: Path, tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    register = Register(two_versions, PromotionLog(tmp_path / "lifecycle"), feature_spec_hash())
    register.begin(1)
    gateway = start_gateway(
        "--backend", f"onnx:{two_versions}", "--lifecycle", str(tmp_path / "lifecycle"), "--workers", "2",
        "--history", "none",
    )  # fmt: skip

    def answering(version: int) -> bool:
        with Client(gateway.target, threads=12, per_s=1000) as client:  # connections, which the kernel deals out
            wait_for(lambda: len(client.answers) > 48)
        return set(client.versions()) == {f"epc_lstm/{version}"}

    assert answering(1)
    register.promote(2, who="key:ops", why="better")
    wait_for(lambda: answering(2))
    used = [line["worker"] for line in gateway.log() if line["event"] == "version in use"]
    assert sorted(used) == [1, 2]


def test_a_version_that_went_bad_on_the_disk_is_not_used_and_the_gateway_says_so(
    two_versions: Path, tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    repository = shutil.copytree(two_versions, tmp_path / "repository")
    register = Register(repository, PromotionLog(tmp_path / "lifecycle"), feature_spec_hash())
    register.begin(1)
    flags = ("--backend", f"onnx:{repository}", "--lifecycle", str(tmp_path / "lifecycle"), "--metrics-port", "0")
    register.promote(2, who="key:ops", why="better")
    flip_last_byte(repository / "epc_lstm" / "2" / "model.onnx")
    later = start_gateway(*flags)  # the version before it judges
    assert analyze(later.target, many(5)).model_version == "epc_lstm/1"
    assert "is not the file that was exported" in later.wait_log("no usable model")["reason"]
    assert value(samples(scrape(later)), "model_behind") == 1
    shutil.copy(two_versions / "epc_lstm/2/model.onnx", repository / "epc_lstm/2/model.onnx")
    wait_for(lambda: analyze(later.target, many(5)).model_version == "epc_lstm/2")
    assert value(samples(scrape(later)), "model_behind") == 0


@pytest.mark.parametrize("damage", ["no repository", "no graph"])
def test_without_a_usable_model_rules_judge_until_one_comes(
    bundled_repository: Path, tmp_path: Path, start_gateway: Callable[..., Gateway], damage: str
) -> None:
    repository = tmp_path / "repository"
    if damage == "no graph":
        shutil.copytree(bundled_repository, repository)
        flip_last_byte(repository / "epc_lstm" / "1" / "model.onnx")
    gateway = start_gateway(
        "--backend", f"onnx:{repository}", "--probe-interval-s", "0.2", "--metrics-port", "0", ready=False
    )
    assert gateway.health(SERVICE) == gateway.health("") == "NOT_SERVING"
    assert gateway.health("liveness") == "SERVING"
    assert gateway.wait_log("no usable model")["level"] == "error"
    assert value(samples(scrape(gateway)), "without_model") == 1
    for detector in DETECTORS:
        answer = analyze(gateway.target, request(scan(1, epc_code="forged"), detector=detector))
        assert answer.method == "rule-based-fallback"
        assert "there is no usable model yet" in answer.warning
        assert str(repository) not in answer.warning
        assert answer.event_history[0].epc_fake
    normal = analyze(gateway.target, many(5))
    assert not normal.event_history, "what is in no table is not suspicious where there are no tables"
    foreign = analyze(gateway.target, request(scan(1, epc_code="001.9999999.1293291.010004.20250701.000004002")))
    assert bool(foreign.event_history) == (damage == "no graph"), "the tables of a damaged graph are used"
    shutil.rmtree(repository, ignore_errors=True)
    shutil.copytree(bundled_repository, repository)
    gateway.wait_health("SERVING")
    assert analyze(gateway.target, many(5)).method == "lstm-deep-learning"
    assert value(samples(scrape(gateway)), "without_model") == 0


def test_with_fallback_off_there_is_no_gateway_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no model in"):
        Gateway("--backend", f"onnx:{tmp_path}", "--no-fallback")


def test_a_stream_goes_on_with_the_version_that_comes(tmp_path: Path, bundled_repository: Path) -> None:
    repository = add_version(bundled_repository, tmp_path / "repository")
    register = Register(repository, PromotionLog(tmp_path / "lifecycle"), feature_spec_hash())
    register.begin(1)
    with (
        Gateway("--backend", f"onnx:{repository}", "--lifecycle", str(register.log.folder), "--history", "none") as one,
        grpc.insecure_channel(one.target) as channel,
    ):
        asked: list[pb.AnalyzeRequest] = []
        again = iter(lambda: asked.append(many(5)) or asked[-1], None)
        answers = channel.stream_stream(
            f"/{SERVICE}/AnalyzeStream", lambda message: message.SerializeToString(), pb.AnalyzeResponse.FromString
        )(again)
        assert next(answers).model_version == "epc_lstm/1"
        register.promote(2, who="key:ops", why="better")
        wait_for(lambda: next(answers).model_version == "epc_lstm/2")
        answers.cancel()
