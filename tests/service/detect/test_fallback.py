"""Detectors around detectors: who judged, and what the caller is warned of, whatever is around what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import numpy as np
import pytest

from service.detect.canary import Canary, share_of
from service.detect.detector import Detector, Judgement
from service.detect.fallback import ModelAsFallback, RulesAsFallback
from service.detect.names import Method
from service.detect.rules_detector import RulesDetector
from service.errors import DeadlineExceeded, ModelUnavailable, SentinelError, UnusableFeatures
from service.events.vocabulary import KINDS
from service.features.case import View
from service.runtime.deadline import Deadline
from tests.support import worlds
from tests.support.worlds import code, journey, to_events


@dataclass
class Fixed:
    """Judges as it is told, or fails so."""

    method: Method
    model_version: str = ""
    error: SentinelError | None = None
    warning: str = ""

    async def judge(self, view: View, deadline: Deadline) -> Judgement:  # noqa: ARG002 (of the protocol)
        if self.error:
            raise self.error
        flags = np.zeros((len(view), len(KINDS)), np.bool_)
        return Judgement(flags.astype(np.float32), flags, self.method, self.model_version, self.warning)


RULES = Fixed(Method.RULES)
DOWN = Fixed(Method.LSTM, "epc_lstm/1", ModelUnavailable("the model server cannot be reached"))
NEW, OLD = Fixed(Method.LSTM, "epc_lstm/2"), Fixed(Method.LSTM, "epc_lstm/1")
BROKEN_NEW = Fixed(Method.LSTM, "epc_lstm/2", ModelUnavailable("it is not loaded"))
WARNING = (
    "The model could not answer (the model server cannot be reached); rules judged these events, with coarser scores."
)


def said(detector: Detector, file_id: int = 1, left_s: float | None = None) -> tuple[str, str, str]:
    """Return (method, model version, warning) of what it says of a journey of this file."""
    events = to_events(journey(code(1)))
    events.file_id[:] = file_id

    async def main() -> Judgement:
        return await detector.judge(View(events, causal=False), Deadline.after(left_s))

    judgement = asyncio.run(main())
    return judgement.method, judgement.model_version, judgement.warning


@pytest.mark.parametrize("causal", [False, True])
def test_an_event_that_cannot_be_judged_is_an_error_and_never_normal(causal: bool) -> None:
    known = worlds.reference()
    rules = RulesDetector(replace(known, lot_serial=known.lot_serial * np.nan))
    view = View(to_events(journey(code(4_000))), causal=causal)
    for detector in (rules, RulesAsFallback(DOWN, rules)):
        with pytest.raises(UnusableFeatures, match="event_id"):
            asyncio.run(detector.judge(view, Deadline.after(None)))


def test_a_model_that_answers_needs_nobody() -> None:
    assert said(RulesAsFallback(OLD, RULES)) == ("lstm-deep-learning", "epc_lstm/1", "")


def test_rules_answer_for_a_model_that_cannot_and_say_so() -> None:
    assert said(RulesAsFallback(DOWN, RULES)) == ("rule-based-fallback", "", WARNING)


def test_a_deadline_that_passed_is_not_answered_by_rules() -> None:
    late = Fixed(Method.LSTM, error=DeadlineExceeded("late"))
    with pytest.raises(DeadlineExceeded):
        said(RulesAsFallback(late, RULES), left_s=0)


def test_a_model_that_takes_too_long_leaves_the_rules_their_time() -> None:
    late = Fixed(Method.LSTM, error=DeadlineExceeded("the model did not answer before the deadline"))
    method, _, warning = said(RulesAsFallback(late, RULES), left_s=1)
    assert method == "rule-based-fallback"
    assert "did not answer before the deadline" in warning


@pytest.mark.parametrize(("left_s", "model_s"), [(2.0, 1.75), (0.2, 0.1), (None, None)])
def test_the_model_gets_the_deadline_less_what_rules_need(left_s: float | None, model_s: float | None) -> None:
    given: list[float | None] = []

    class Noting(Fixed):
        async def judge(self, view: View, deadline: Deadline) -> Judgement:
            given.append(deadline.left_s)
            return await Fixed.judge(self, view, deadline)

    said(RulesAsFallback(Noting(Method.LSTM), RULES), left_s=left_s)
    assert given[0] == (None if model_s is None else pytest.approx(model_s, abs=0.05))


def test_a_canary_takes_its_files_and_its_failures_are_the_models_in_use() -> None:
    mine = next(file_id for file_id in range(1000) if share_of(file_id) < 25)
    other = next(file_id for file_id in range(1000) if share_of(file_id) > 25)
    in_use = RulesAsFallback(OLD, RULES)
    canary = Canary(ModelAsFallback(NEW, "epc_lstm/2", in_use), 25, in_use)
    assert said(canary, mine)[1] == "epc_lstm/2"
    assert said(canary, other)[1] == "epc_lstm/1"
    broken = Canary(ModelAsFallback(BROKEN_NEW, "epc_lstm/2", in_use), 25, in_use)
    warning = "epc_lstm/2 could not answer (it is not loaded)."
    assert said(broken, mine) == ("lstm-deep-learning", "epc_lstm/1", warning)
    assert said(broken, other) == ("lstm-deep-learning", "epc_lstm/1", "")
    nobody = RulesAsFallback(DOWN, RULES)
    broken = Canary(ModelAsFallback(BROKEN_NEW, "epc_lstm/2", nobody), 25, nobody)
    assert said(broken, mine) == ("rule-based-fallback", "", f"{warning} {WARNING}")


def test_what_was_warned_of_inside_is_still_said() -> None:
    coarse = Fixed(Method.RULES, warning="Rules of last year.")
    assert said(RulesAsFallback(DOWN, coarse))[2] == f"{WARNING} Rules of last year."


def test_a_canary_that_takes_too_long_leaves_the_model_in_use_its_time() -> None:
    late = Fixed(Method.LSTM, error=DeadlineExceeded("the model did not answer before the deadline"))
    in_use = RulesAsFallback(OLD, RULES)
    method, version, warning = said(ModelAsFallback(late, "epc_lstm/2", in_use), left_s=1)
    assert (method, version) == ("lstm-deep-learning", "epc_lstm/1")
    assert warning.startswith("epc_lstm/2 could not answer")
