"""The ensemble combines the logits of two models, and answers with what it combined."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from service.api.responses import build_responses
from service.detect.detector import Judgement
from service.detect.ensemble import SUSPICION, Members, _resolutions, combine, logit, weigh
from service.detect.names import DetectorName
from service.detect.rules import RULES, Opinion
from service.errors import ModelUnavailable
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.gateway.build import build_wiring
from service.model.manifest import Ensemble, Thresholds
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.settings import Settings
from tests.support.gateway import Gateway
from tests.support.requests import call, many, request, scan
from tests.support.worlds import code, journey, to_events
from training.network.calibration import fit_weights

HALF = [0.5] * 5
BOUNDS = Thresholds(retrospective=HALF, causal=HALF)
SCORES = ("lstm_sequence_score", "svm_outlier_score", "rule_score", "ml_combined_score")


def opinion(evidence: NDArray[np.float32], certain: int = -1) -> Opinion:
    """Return rules' opinion of this evidence [N, 5]; ``certain`` is a rule that is met in every event and kind."""
    return Opinion(evidence, np.zeros(evidence.shape, np.intp), np.full(evidence.shape, certain, np.intp))


def drawn(seed: int, n: int = 20_000) -> tuple[Members, NDArray[np.float32]]:
    """Return what three independent members say, [N, 5] each, and labels of which all know something."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.5, (3, n, len(KINDS)))
    truth = rng.random(z[0].shape) < 1 / (1 + np.exp(-(1.5 * z[0] + 0.5 * z[1] + 0.7 * z[2] - 0.3)))
    first, second, third = (1 / (1 + np.exp(-z))).astype(np.float32)
    return Members(first, second, opinion(third)), truth.astype(np.float32)


def test_the_weights_are_those_that_the_labels_were_drawn_with() -> None:
    members, labels = zip(drawn(0), drawn(1), strict=True)
    found = fit_weights(members, labels)
    for name, expected in (("lstm", 1.5), ("svm", 0.5), ("rules", 0.7), ("bias", -0.3)):
        np.testing.assert_allclose(found[name], expected, atol=0.12)


def test_a_member_that_is_wrong_more_often_than_not_is_left_out() -> None:
    members, labels = drawn(0)
    assert members.svm is not None
    contrary = Members(members.lstm, 1 - members.svm, members.rules)
    found = fit_weights([contrary] * 2, [labels] * 2)
    assert found["svm"] == [[0.0] * 5] * 2
    assert np.min(found["lstm"]) > 1
    assert np.min(found["rules"]) > 0.4


def test_a_kind_that_does_not_occur_keeps_the_score_of_the_network() -> None:
    members, labels = drawn(0, 500)
    labels[:, 2] = 0
    weighed = weigh(members, Ensemble(**fit_weights([members] * 2, [labels] * 2), thresholds=BOUNDS), 0)
    np.testing.assert_allclose(weighed[:, 2], members.lstm[:, 2], atol=1e-5)
    assert np.abs(weighed[:, 1] - members.lstm[:, 1]).max() > 0.01


LSTM = np.array([[0.0, 1.0, 0.2, 0.5, 0.9]], np.float32)
SVM = np.array([[1.0, 1.0, 0.2, 0.5, 0.1]], np.float32)
NOTHING = opinion(np.zeros((1, 5), np.float32))
BOTH = Ensemble(lstm=[HALF, HALF], svm=[HALF, HALF], bias=[[0.0] * 5, [1.0] * 5], thresholds=BOUNDS)


def test_the_mode_chooses_the_weights_and_certain_scores_stay_finite() -> None:
    whole, causal = (weigh(Members(LSTM, SVM, NOTHING), BOTH, mode) for mode in (0, 1))
    np.testing.assert_allclose(
        whole, [[0.001, 1.0, 0.2, 0.5, 0.5]], atol=1e-4
    )  # the network may be surer than the SVMs
    np.testing.assert_allclose((logit(causal) - logit(whole))[0, [0, 2, 3, 4]], 1, atol=1e-3)
    assert np.isfinite(logit(causal)).all()


def test_an_ensemble_of_an_earlier_release_has_no_ear_for_weak_rules() -> None:
    loud = opinion(np.ones((1, 5), np.float32))
    for rules in (loud, NOTHING):
        np.testing.assert_array_equal(
            weigh(Members(LSTM, SVM, rules), BOTH, 0), weigh(Members(LSTM, SVM, NOTHING), BOTH, 0)
        )


def test_what_a_member_does_not_say_is_left_out() -> None:
    alone = 1 / (1 + np.exp(-0.5 * logit(LSTM)))
    np.testing.assert_allclose(weigh(Members(LSTM, None, NOTHING), BOTH, 0), alone, atol=1e-6)


def test_what_the_network_ranks_far_below_everything_keeps_its_order() -> None:
    """Out of its depth it gives nearly all events less than a millionth."""
    lstm = np.repeat(np.array([[1e-9], [1e-8], [6e-8], [1e-7]], np.float32), 5, axis=1)
    weighed = weigh(Members(lstm, np.ones_like(lstm), opinion(np.zeros_like(lstm))), BOTH, 0)
    assert (np.diff(weighed, axis=0) > 0).all()


def test_svms_that_are_sure_of_everything_do_not_outweigh_the_network() -> None:
    lstm = np.full((1, 5), 1e-7, np.float32)
    weighed = weigh(Members(lstm, np.ones_like(lstm), opinion(np.zeros_like(lstm))), BOTH, 0)
    assert weighed.max() < 0.5


@pytest.mark.parametrize("said", [0.0, 1.0])
def test_svms_are_as_sure_as_one_in_a_thousand_at_most(said: float) -> None:
    svms = [np.full((1, 5), abs(said - doubt), np.float32) for doubt in (1e-3, 1e-6)]
    sure, surest = (weigh(Members(LSTM[:1], svm, NOTHING), BOTH, 0) for svm in svms)
    np.testing.assert_allclose(sure, surest, rtol=1e-4)


RULED = BOTH.model_copy(update={"rules": [[1.0] * 5] * 2})
UNSUSPECTED = np.full((3, 5), 0.01, np.float32)


def test_a_certain_rule_wins_over_both_models() -> None:
    members = Members(UNSUSPECTED, UNSUSPECTED, opinion(np.full((3, 5), 0.92, np.float32), certain=0))
    assert combine(members, RULED, 0).min() == pytest.approx(0.99)


def test_weak_rules_never_decide_alone_and_keep_their_order() -> None:
    evidence = np.repeat(np.array([[0.999], [0.995], [0.0]], np.float32), 5, axis=1)
    alone = combine(Members(UNSUSPECTED, UNSUSPECTED, opinion(evidence)), RULED, 0)
    assert weigh(Members(UNSUSPECTED, UNSUSPECTED, opinion(evidence)), RULED, 0)[:2].min() > 0.5
    assert alone.max() < 0.5
    assert (alone[0] > alone[1]).all()
    assert (alone[1] > alone[2]).all()
    for suspecting in range(2):  # with one of the models they decide
        models = [UNSUSPECTED, UNSUSPECTED]
        models[suspecting] = np.full((3, 5), SUSPICION + 0.001, np.float32)
        assert combine(Members(models[0], models[1], opinion(evidence)), RULED, 0)[:2].min() > 0.5
    assert combine(Members(UNSUSPECTED, None, opinion(evidence)), RULED, 0).max() < 0.5


def test_of_places_rules_say_less_in_somebody_elses_network() -> None:
    lstm, spared, place = np.full((2, 5), 0.2, np.float32), np.array([False, True]), KINDS.index("locErr")
    loud, silent = (
        weigh(Members(lstm, None, opinion(np.full((2, 5), said, np.float32)), spared), RULED, 0) for said in (0.7, 0)
    )
    np.testing.assert_array_equal(silent[0], silent[1])
    np.testing.assert_array_equal(np.delete(loud, place, axis=1)[0], np.delete(loud, place, axis=1)[1])
    assert silent[1, place] < loud[1, place] < loud[0, place]


def analyze(gateway: Gateway, asked: pb.AnalyzeRequest) -> pb.AnalyzeResponse:
    return pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", asked.SerializeToString()))


def test_answers_have_the_scores_that_were_combined(gateway: Gateway) -> None:
    answers = {
        name: analyze(gateway, request(scan(1, epc_code="forged"), scan(2), detector=pb.Detector.Value(name)))
        for name in ("DETECTOR_LSTM", "DETECTOR_SVM", "DETECTOR_RULES", "DETECTOR_ENSEMBLE")
    }
    answer = answers["DETECTOR_ENSEMBLE"]
    assert (answer.method, answer.warning) == ("ensemble", "")
    assert answer.model_version == "epc_lstm/1+epc_svm/1"
    found = answer.event_history[0]
    assert found.epc_fake
    assert found.epc_fake_score >= 99
    for name, field in zip(list(answers)[:3], SCORES[:3], strict=True):
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


def test_a_stream_is_judged_causally_by_all(gateway: Gateway) -> None:
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


def test_a_finding_on_which_the_members_disagree_says_why_it_is_one(gateway: Gateway) -> None:
    answer = analyze(gateway, request(scan(1, epc_code="forged"), scan(2), detector=pb.DETECTOR_ENSEMBLE))
    [found] = answer.event_history
    assert found.rule_score == 100
    assert found.HasField("resolution") == (found.svm_outlier_score < 50)


class Failing:
    """A backend whose model cannot be asked: as one of a server that is gone."""

    any_length, on_trial = False, False

    async def infer(self, *_asked: object) -> NDArray[np.float32]:
        raise ModelUnavailable("the model server cannot be reached")


def judged(repository: Path, dead: str, events: Events, **settings: bool) -> Judgement:
    """Return what an ensemble says whose model ``dead`` fails whenever it is asked."""
    wiring = build_wiring(Settings(backend=f"onnx:{repository}", **settings))
    [served] = [served for served in wiring.models if served.model.name == dead] or [None]
    if served is not None:
        served.detector._backend = Failing()

    async def judge() -> Judgement:
        return await wiring.analyzer.analyze(events, DetectorName.ENSEMBLE)

    return asyncio.run(judge())


EVENTS = to_events([*journey(code(4_000)), *journey("forged")])


def test_without_the_svms_network_and_rules_judge_and_say_so(bundled_repository: Path) -> None:
    whole, without = (judged(bundled_repository, dead, EVENTS) for dead in ("nobody", "epc_svm"))
    assert (without.method, without.model_version, without.degraded) == ("ensemble", "epc_lstm/1", True)
    assert without.warning == (
        "The one-class SVMs could not answer (the model server cannot be reached); the network and the rules judged"
        " these events."
    )
    assert (whole.warning, whole.degraded) == ("", False)
    assert without.member_scores is not None
    assert whole.member_scores is not None
    assert np.isnan(without.member_scores[:, 1]).all()
    np.testing.assert_array_equal(without.member_scores[:, [0, 2]], whole.member_scores[:, [0, 2]])
    forged = np.flatnonzero(EVENTS.epc == 1)
    assert without.flags[forged, 0].all()
    [answer] = build_responses(EVENTS, without)
    assert not answer.event_history[0].HasField("svm_outlier_score")
    assert not answer.ml_summary_stats.HasField("mean_svm_outlier_score")
    assert answer.ml_summary_stats.mean_rule_score > 0


def test_without_the_network_the_rules_judge_alone(bundled_repository: Path) -> None:
    without = judged(bundled_repository, "epc_lstm", EVENTS)
    assert (without.method, without.model_version, without.degraded) == ("rule-based-fallback", "", True)


def test_where_nobody_may_take_its_place_a_dead_model_is_an_error(bundled_repository: Path) -> None:
    for dead in ("epc_svm", "epc_lstm"):
        with pytest.raises(ModelUnavailable):
            judged(bundled_repository, dead, EVENTS, fallback=False)


def test_resolutions_name_the_sides_and_the_reason() -> None:
    yes, no = np.array([[True] * 5]), np.array([[False] * 5])
    says = [np.full((1, 5), score, np.float32) for score in (0.98, 0.07, 0.6)]
    flags = np.array([[True, False, False, False, True]])
    votes = {"network": (says[0], yes), "SVMs": (says[1], no), "rules": (says[2], yes)}
    rules = opinion(says[2])
    rules.strongest[0, 4] = len(RULES) - 1
    rules.certain[0, 0] = 0
    assert _resolutions(says[0], flags, votes, rules) == {
        0: "epcFake: network 98 and rules 60 against SVMs 7, resolved by a rule that is certain (the code is"
        " malformed); jump: network 98 and rules 60 against SVMs 7, resolved by their weights, which make 98 (rule:"
        " its mates took another time)."
    }
    assert not _resolutions(says[0], flags, votes | {"SVMs": (says[1], yes)}, rules)
    assert not _resolutions(says[0], no, votes, rules)
    alone = _resolutions(
        says[0], flags & (np.arange(5) > 0), {name: (each, no) for name, (each, _) in votes.items()}, rules
    )
    assert alone[0].startswith("jump: none alone, network 98, SVMs 7 and rules 60, resolved by their weights")
