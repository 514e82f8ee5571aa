"""The journey of the golden probe: one whose answer a changed model does not give."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from service.effects.operation import sigmoid
from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import KINDS
from service.features.table import feature_spec_hash
from service.model.backend import PROBE_TOLERANCE
from service.model.manifest import MODEL_NAME, SVM_NAME
from service.model.repository import load
from service.model.sequences import whole_windows
from tests.support.gateway import ROOT
from tests.support.worlds import code, journey, to_events
from training.runs import telling_journey as module
from training.runs.telling_journey import telling_journey
from training.samples.samples import Samples

_SURE = 12.0
"""A logit so high that the probability stays within the tolerance of the probe, however much higher it were."""


def _events(lengths: list[int]) -> Events:
    return to_events([scan for at, length in enumerate(lengths) for scan in journey(code(at))[:length]])


def _part(lengths: list[int], logits: NDArray[np.float32], limit: int = 64) -> Samples:
    """Return journeys of so many events, whose features are the logits [N, 5] that `_said` answers with."""
    journeys = Journeys.of(_events(lengths))
    return Samples(logits, np.zeros_like(logits), whole_windows(journeys, limit), np.arange(len(logits)))


def _said(part: Samples) -> NDArray[np.float32]:
    """Answer window by window, as a network does."""
    windows = part.windows
    rows = windows.start[windows.window_of] + windows.offset_of
    return sigmoid(part.features[rows]).astype(np.float32)


def _moved(probe: list[list[float]]) -> float:
    """Return how far the answer moves if all logits are a tenth higher."""
    logits = np.array(probe)
    return float(np.abs(sigmoid(logits + 0.1) - sigmoid(logits)).max())


def test_a_kind_that_is_always_sure_does_not_choose_a_journey_that_is_sure_in_all() -> None:
    nearly_sure = [9.0] * len(KINDS)
    unsure_but_in_one = [*[0.5] * (len(KINDS) - 1), -_SURE]
    logits = np.array([nearly_sure] * 2 + [unsure_but_in_one] * 2 + [[_SURE] * len(KINDS)] * 2, dtype=np.float32)
    probe = telling_journey(_part([2, 2, 2], logits), 2, _said)
    assert _moved(probe) > 100 * PROBE_TOLERANCE
    assert probe == logits[2:4].tolist()


def test_more_kinds_that_tell_are_better_than_one() -> None:
    one, three = [0.0, *[_SURE] * 4], [1.5, 1.5, 1.5, _SURE, _SURE]
    logits = np.array([one, three], dtype=np.float32)
    assert telling_journey(_part([1, 1], logits), 4, _said) == [three]


@pytest.mark.parametrize("lengths", [[1], [1, 1, 1], [1, 3, 2], [7, 3, 9]])
def test_there_is_a_journey_whatever_the_network_says(lengths: list[int]) -> None:
    """The first of the longest, where all are sure of all."""
    logits = np.full((sum(lengths), len(KINDS)), 1e3, dtype=np.float32)
    logits[:, 0] *= np.where(np.arange(len(logits)) % 2, 1, -1)
    probe = telling_journey(_part(lengths, logits, limit=4), 4, _said)
    longest = [min(length, 4) for length in lengths]
    first = sum(lengths[: longest.index(max(longest))])
    assert probe == logits[first : first + max(longest)].tolist()


def test_of_very_many_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOKED_AT", 5)
    logits = np.full((11, len(KINDS)), _SURE, dtype=np.float32)
    logits[[3, 9]] = 0.0
    assert telling_journey(_part([1] * 11, logits), 1, _said) == [[0.0] * len(KINDS)]


@pytest.mark.parametrize("name", [MODEL_NAME, SVM_NAME])
def test_the_bundled_probe_notices_other_weights(name: str) -> None:
    model = load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash(), name=name)
    said = np.array(model.manifest.probe.probabilities)
    assert 0.1 * (said * (1 - said)).max() > 5 * PROBE_TOLERANCE  # of logits moved by 0.1
