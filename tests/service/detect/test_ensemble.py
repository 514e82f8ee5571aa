"""The ensemble combines the logits of two models, and answers with what it combined."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from service.detect.ensemble import combine, logit
from service.events.vocabulary import KINDS
from service.model.manifest import Ensemble, Thresholds
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import Gateway
from tests.support.requests import call, many, request, scan
from training.network.calibration import fit_weights

HALF = [0.5] * 5
BOUNDS = Thresholds(retrospective=HALF, causal=HALF)
SCORES = ("lstm_sequence_score", "svm_outlier_score", "ml_combined_score")


def drawn(seed: int, n: int = 20_000) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return two independent detectors' probabilities [N, 5], and labels of which both know something."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.5, (2, n, len(KINDS)))
    truth = rng.random(z[0].shape) < 1 / (1 + np.exp(-(1.5 * z[0] + 0.5 * z[1] - 0.3)))
    first, second = (1 / (1 + np.exp(-z))).astype(np.float32)
    return first, second, truth.astype(np.float32)


def test_the_weights_are_those_that_the_labels_were_drawn_with() -> None:
    parts = [drawn(0), drawn(1)]
    found = fit_weights(*([part[column] for part in parts] for column in range(3)))
    for name, expected in (("lstm", 1.5), ("svm", 0.5), ("bias", -0.3)):
        np.testing.assert_allclose(found[name], expected, atol=0.12)


def test_a_kind_that_does_not_occur_keeps_the_score_of_the_network() -> None:
    lstm, svm, labels = drawn(0, 500)
    labels[:, 2] = 0
    weights = fit_weights([lstm, lstm], [svm, svm], [labels, labels])
    combined = combine(lstm, svm, Ensemble(**weights, thresholds=BOUNDS), 0)
    np.testing.assert_allclose(combined[:, 2], lstm[:, 2], atol=1e-5)
    assert np.abs(combined[:, 1] - lstm[:, 1]).max() > 0.01


def test_the_mode_chooses_the_weights_and_certain_scores_stay_finite() -> None:
    lstm, svm = np.array([[0.0, 1.0, 0.2, 0.5, 0.9]], np.float32), np.array([[1.0, 1.0, 0.2, 0.5, 0.1]], np.float32)
    weights = Ensemble(lstm=[HALF, HALF], svm=[HALF, HALF], bias=[[0.0] * 5, [1.0] * 5], thresholds=BOUNDS)
    whole, causal = (combine(lstm, svm, weights, mode) for mode in (0, 1))
    np.testing.assert_allclose(whole, [[0.5, 1.0, 0.2, 0.5, 0.5]], atol=1e-5)
    np.testing.assert_allclose((logit(causal) - logit(whole))[0, [0, 2, 3, 4]], 1, atol=1e-3)
    assert np.isfinite(logit(causal)).all()


def analyze(gateway: Gateway, asked: pb.AnalyzeRequest) -> pb.AnalyzeResponse:
    return pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", asked.SerializeToString()))


def test_answers_have_the_scores_that_were_combined(gateway: Gateway) -> None:
    answers = {
        name: analyze(gateway, request(scan(1, epc_code="forged"), scan(2), detector=pb.Detector.Value(name)))
        for name in ("DETECTOR_LSTM", "DETECTOR_SVM", "DETECTOR_ENSEMBLE")
    }
    answer = answers["DETECTOR_ENSEMBLE"]
    assert (answer.method, answer.warning) == ("ensemble", "")
    assert answer.model_version == "epc_lstm/1+epc_svm/1"
    found = answer.event_history[0]
    assert found.epc_fake
    assert found.epc_fake_score >= 99
    for name, field in (("DETECTOR_LSTM", SCORES[0]), ("DETECTOR_SVM", SCORES[1])):
        alone = answers[name].event_history[0]
        highest = max(getattr(alone, f"{kind}_score") for kind in ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump"))  # fmt: skip  # noqa: E501
        assert getattr(found, field) == pytest.approx(highest, abs=0.01)
        assert not alone.HasField(field)
        assert not answers[name].HasField("ml_summary_stats")
    assert found.ml_combined_score >= found.epc_fake_score


def test_the_summary_has_the_means_of_each_file(gateway: Gateway) -> None:
    forged = [scan(at, epc_code=f"forged {at}", file_id=7) for at in range(3)]
    asked = request(*forged, scan(9, file_id=8), detector=pb.DETECTOR_ENSEMBLE)
    body = call(gateway.target, "AnalyzeFiles", asked.SerializeToString())
    first, second = pb.AnalyzeFilesResponse.FromString(body).files
    for field in SCORES:
        mean = np.mean([getattr(found, field) for found in first.event_history])
        assert getattr(first.ml_summary_stats, f"mean_{field}") == pytest.approx(mean, abs=0.01)
        assert getattr(second.ml_summary_stats, f"mean_{field}") < mean


def test_a_stream_is_judged_causally_by_both(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.target) as channel:
        method = channel.stream_stream("/epcsentinel.v1.AnomalyService/AnalyzeStream")
        bodies = [request(scan(at), detector=pb.DETECTOR_ENSEMBLE).SerializeToString() for at in (1, 2)]
        answers = [pb.AnalyzeResponse.FromString(raw) for raw in method(iter(bodies), timeout=30)]
    assert [answer.method for answer in answers] == ["ensemble"] * 2
    assert all(answer.HasField("ml_summary_stats") for answer in answers)


def test_large_requests_are_judged_too(gateway: Gateway) -> None:
    answer = analyze(gateway, many(20_000, pb.DETECTOR_ENSEMBLE))
    assert answer.method == "ensemble"
    assert 0 < answer.ml_summary_stats.mean_svm_outlier_score < 100


def test_without_its_models_the_ensemble_is_not_available(
    start_gateway: Callable[..., Gateway], two_versions: Path
) -> None:
    running = start_gateway("--backend", f"onnx:{two_versions}")  # version 2 has no SVMs
    with pytest.raises(grpc.RpcError) as caught:
        analyze(running, request(scan(1), detector=pb.DETECTOR_ENSEMBLE))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details().startswith("DETECTOR_ENSEMBLE is not available: the model repository has no epc_svm")
