"""Effects are of the score that was given: of whoever judged, also where one of an ensemble could not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service.api.responses import build_responses
from service.detect.detector import Judgement
from service.detect.names import DetectorName, Method
from service.errors import ModelUnavailable
from service.explain.explainer import Explanation, Moved
from service.gateway.build import build_wiring
from service.settings import Settings
from tests.support.worlds import code, journey, to_events

EVENTS = to_events([*journey(code(4_000)), *journey("forged")])


class Failing:
    """A model server that is gone."""

    any_length, on_trial = False, False

    async def infer(self, *_asked: object) -> np.ndarray:
        raise ModelUnavailable("the model server cannot be reached")


def explained(repository: Path, *, stream: bool = False) -> tuple[Explanation, Judgement, list[Moved], str]:
    """Return what is said of the findings of an ensemble whose SVMs are gone."""
    wiring = build_wiring(Settings(backend=f"onnx:{repository}", history="none"))
    [svm] = [served for served in wiring.models if served.model.name == "epc_svm"]
    svm.detector._backend = Failing()  # type: ignore[assignment]

    async def judged() -> Judgement:
        try:
            ask = wiring.analyzer.stream().follow if stream else wiring.analyzer.analyze
            return await ask(EVENTS, DetectorName.ENSEMBLE, explain=True)
        finally:
            await wiring.close()

    judgement = asyncio.run(judged())
    told = wiring.explainer.explain(judgement, "en")
    return told, judgement, *wiring.explainer.moved(told, *told.findings)


def test_an_ensemble_without_its_svms_is_explained_as_what_is_left_of_it(bundled_repository: Path) -> None:
    told, judgement, moved, warning = explained(bundled_repository)
    assert (judgement.method, judgement.model_version, warning) == (Method.ENSEMBLE, "epc_lstm/1", "")
    at, kind = told.findings
    forged = np.flatnonzero((EVENTS.epc[at] == 1) & (kind == 0))
    assert len(forged) == len(journey("forged"))
    for one in forged.tolist():
        effects = dict(moved[one].effects)
        assert effects["rules"] > 0, "the rules have a say in this score"
        # The median normal event has nearly nothing.
        assert sum(effects.values()) == pytest.approx(100 * judgement.scores[at[one], 0], abs=1)


def test_what_a_network_errs_is_not_said_of_an_ensemble_that_lost_its_svms(bundled_repository: Path) -> None:
    told, judgement, _, _ = explained(bundled_repository, stream=True)
    [answer] = build_responses(EVENTS, judgement, told)
    assert answer.event_history
    assert not any(finding.HasField("expected_error") for finding in answer.event_history)
