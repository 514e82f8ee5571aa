"""Shares of the traffic and the shadow in a running gateway."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from service.detect.traffic import Traffic
from service.features.table import feature_spec_hash
from service.feedback.sql import open_verdicts
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.register import Register
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.command import assert_one_line, run
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.processes import wait_for
from tests.support.requests import analyze, many, request, scan
from tests.support.versions import add_version, edit

FILES = range(1, 61)


@pytest.fixture(scope="module")
def repository(bundled_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions that score otherwise, both with SVMs."""
    made = add_version(bundled_repository, tmp_path_factory.mktemp("traffic") / "repository", logit_shift=4.0)
    folder = shutil.copytree(made / "epc_svm" / "1", made / "epc_svm" / "2")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": 2}))
    edit(made, reference=manifest["reference"])
    return made


def judged(gateway: Gateway, detector: pb.Detector.ValueType = pb.DETECTOR_UNSPECIFIED) -> dict[int, str]:
    """Return who judged each file."""
    answers = {at: analyze(gateway.target, request(scan(1, file_id=at), detector=detector)) for at in FILES}
    return {at: answer.model_version or answer.method for at, answer in answers.items()}


def test_files_are_shared_as_the_log_says_and_svms_and_ensemble_follow_the_version(
    repository: Path, tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    where = ("--lifecycle", str(tmp_path / "lifecycle"))
    gateway = start_gateway("--backend", f"onnx:{repository}", "--model-version", "1", *where)
    by_command = ("--repository", str(repository), *where)
    assert set(judged(gateway).values()) == {"epc_lstm/1"}
    assert run("models", "load", "2", "--why", "to be compared", *by_command).returncode == 0
    done = run("models", "traffic", "lstm@challenger=30,rules=20", "--why", "canary", *by_command)
    assert done.stdout.strip() == "lstm@challenger=30,rules@champion=20,lstm@champion=50"
    traffic = Traffic.parse("lstm@challenger=30,rules=20")
    chosen = {at: traffic.choose(at, {"champion": 1, "challenger": 2}).name for at in FILES}
    names = {"lstm@challenger": "epc_lstm/2", "rules@champion": "rule-based", "lstm@champion": "epc_lstm/1"}
    expected = {at: names[name] for at, name in chosen.items()}
    wait_for(lambda: judged(gateway) == expected)
    assert min(Counter(expected.values()).values()) > 5
    by_svm = judged(gateway, pb.DETECTOR_SVM)
    assert by_svm == {at: f"epc_svm/{2 if name == 'lstm@challenger' else 1}" for at, name in chosen.items()}
    by_both = judged(gateway, pb.DETECTOR_ENSEMBLE)
    assert by_both == {
        at: "epc_lstm/2+epc_svm/2" if name == "lstm@challenger" else "epc_lstm/1+epc_svm/1"
        for at, name in chosen.items()
    }
    assert set(judged(gateway, pb.DETECTOR_RULES).values()) == {"rule-based"}
    assert_one_line(run("models", "traffic", "rules=101", "--why", "x", *by_command), 2, "adds up to 101 %")
    assert_one_line(run("models", "traffic", "lstm@9=1", "--why", "x", *by_command), 1, "no version 9")
    assert run("models", "traffic", "", "--why", "over", *by_command).returncode == 0
    wait_for(lambda: set(judged(gateway).values()) == {"epc_lstm/1"})


def test_a_challenger_in_the_shadow_is_compared_and_answers_nobody(
    repository: Path, tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    where = ("--lifecycle", str(tmp_path / "lifecycle"))
    register = Register(repository, PromotionLog(tmp_path / "lifecycle"), feature_spec_hash())
    register.promote(1, who="key:ops", why="in use")
    register.load(2, who="key:ops", why="to be compared")
    asked = ("--verdicts", str(tmp_path / "verdicts"), "--audit-share", "1")
    flags = ("--shadow-percent", "100", "--metrics-port", "0", *asked)
    gateway = start_gateway("--backend", f"onnx:{repository}", *where, *flags)
    plain = start_gateway("--backend", f"onnx:{repository}", "--model-version", "1")
    wait_for(lambda: [line for line in gateway.log() if line.get("model") == "epc_lstm/2"])
    for _ in range(20):
        assert analyze(gateway.target, many(50)) == analyze(plain.target, many(50))

    def compared() -> float:
        return value(samples(scrape(gateway)), "shadow_events_total", model_version="epc_lstm/2")

    wait_for(lambda: compared() + 50 * value(samples(scrape(gateway)), "shadow_shed_total") == 1_000)
    assert compared() > 0
    found = samples(scrape(gateway))
    told = {"model_version": "epc_lstm/2", "kind": "epcFake"}
    assert value(found, "shadow_difference_total", **told) > 0
    assert value(found, "shadow_disagreements_total", **told, by="champion") == 0, "it scores higher in all"
    assert value(found, "shadow_failed_total") == 0
    assert math.isnan(value(found, "events_total", model_version="epc_lstm/2")), "it answered nobody"
    gateway.stop()
    store = open_verdicts(str(tmp_path / "verdicts"))
    assert {one.model_version for one in store.sample()} == {"epc_lstm/1"}
    beside = {one.event_id: one for one in store.shadow("epc_lstm/2")}
    both = [(one.scores, beside[one.event_id].scores) for one in store.sample() if one.event_id in beside]
    assert len(both) == 50, "each event once, however often it was sent"
    assert all(challenger > champion for champion, challenger in both)
    store.close()
