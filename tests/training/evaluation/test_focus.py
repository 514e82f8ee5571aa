"""Where the attention looks: weights of the answer, by thirds of what an event may see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.events.journeys import Journeys
from service.events.vocabulary import KINDS, MODES
from service.model.sequences import prefix_windows, whole_windows
from tests.support.worlds import normal_scans, to_events
from training.evaluation.detectors import MODEL
from training.evaluation.focus import (
    EVEN,
    EVENTS,
    FOCUS,
    ITSELF,
    NORMAL,
    PEAK,
    SHARE,
    THIRDS,
    attention_weights,
    focus_rows,
    thirds,
)
from training.evaluation.slices import DetectorVerdicts, Judged, Row
from training.network.lstm import EpcLstm, ModelConfig
from training.samples.samples import Samples

F = 5


@pytest.fixture
def model() -> EpcLstm:
    torch.manual_seed(0)
    return EpcLstm(ModelConfig(F, 8)).eval()


def answer(model: EpcLstm, journey: NDArray[np.float32]) -> Tensor:
    return model(torch.from_numpy(journey), torch.tensor([[journey.shape[1]]])).detach()


def test_weights_of_a_journey_leave_the_model_as_it_was(model: EpcLstm) -> None:
    journey = np.random.default_rng(1).normal(size=(1, 7, F)).astype(np.float32)
    before, seven = answer(model, journey), np.array([[7]])
    (weights,) = attention_weights(model, journey, seven)
    assert weights.shape == (7, 7)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
    assert torch.equal(answer(model, journey), before)
    changed = journey.copy()
    changed[0, 3] += 5
    assert not np.allclose(attention_weights(model, changed, seven)[0], weights)


def test_thirds_have_all_the_weight_and_know_what_an_even_look_would_give() -> None:
    weights = np.array([[0.5, 0.2, 0.1, 0.1, 0.1, 0, 0], [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2]], dtype=np.float32)
    share, even = thirds(weights, np.array([5, 7]))
    np.testing.assert_allclose(share, [[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], atol=1e-6)
    np.testing.assert_allclose(even, [[2 / 5, 2 / 5, 1 / 5], [3 / 7, 2 / 7, 2 / 7]], atol=1e-6)


def looking_at(model: EpcLstm, feature: int) -> EpcLstm:
    """Make every event of a journey look at that with the highest ``feature``, whatever it is itself."""
    attention = model.attention
    assert attention is not None
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.project.weight[0, feature] = 1.0
        lstm = model.recurrent.layers[0].lstm
        lstm.weight_ih_l0[2 * 8, 0] = 1.0  # the cell's gate of unit 0 takes it, and nothing is remembered
        lstm.bias_ih_l0[:8] = lstm.bias_ih_l0[3 * 8 :] = 10.0
        lstm.bias_ih_l0[8 : 2 * 8] = -10.0
        inner = attention.out.in_features
        attention.query_key_value.bias[0] = 30.0
        attention.query_key_value.weight[inner, 0] = 30.0
    return model


def focused(model: EpcLstm, first: bool, *, causal: bool) -> tuple[list[Row], Samples]:
    """Return the rows of a model that looks at one marked event of each journey, its first or its last."""
    journeys = Journeys.of(to_events(normal_scans()))
    count = len(journeys.order)
    table, labels = np.zeros((count, F), dtype=np.float32), np.zeros((count, 5), dtype=np.float32)
    last = journeys.spread(journeys.length) - 1
    table[journeys.position == (0 if first else last), 0] = 3.0
    table[:, -1] = causal
    labels[journeys.position == last, 4] = 1
    cut = prefix_windows if causal else whole_windows
    part = Samples(table, labels, cut(journeys, 32), journeys.order)
    judged = Judged(part, {MODEL: DetectorVerdicts(labels, [0.5] * 5)})
    other = Judged(Samples(table[:0], labels[:0], part.windows.answering(np.arange(0)), part.index[:0]), {})
    both = {MODES[0]: other, MODES[1]: judged} if causal else {MODES[0]: judged, MODES[1]: other}
    return list(focus_rows(looking_at(model, 0), both, seed=0)), part


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_it_says_which_third_is_looked_at_by_kind(model: EpcLstm, first: bool, causal: bool) -> None:
    rows, part = focused(model, first, causal=causal)
    assert {row.mode for row in rows} == {MODES[int(causal)]}
    assert {row.kind for row in rows} == {KINDS[4], NORMAL}
    found = {(row.slice, row.metric): row.value for row in rows if row.kind == KINDS[4]}
    expected = THIRDS[0] if first else THIRDS[2]
    assert found[f"{FOCUS} {expected}", SHARE] > 0.9
    assert sum(found[f"{FOCUS} {third}", SHARE] for third in THIRDS) == pytest.approx(1)
    assert sum(found[f"{FOCUS} {third}", EVEN] for third in THIRDS) == pytest.approx(1)
    assert found[FOCUS, PEAK] == (0.0 if first else 1.0)
    assert found[FOCUS, ITSELF] == (0.0 if first else 1.0), "the judged event is the last one"
    known = part.windows.length[part.windows.window_of]
    assert found[FOCUS, EVENTS] == ((part.labels[:, 4] == 1) & (known >= 3)).sum()


def test_a_network_without_attention_has_no_focus() -> None:
    bare = EpcLstm(ModelConfig(F, 8, attention=False)).eval()
    assert list(focus_rows(bare, {}, seed=0)) == []
    with pytest.raises(ValueError, match="no attention"):
        attention_weights(bare, np.zeros((1, 2, F), dtype=np.float32), np.array([[2]]))
