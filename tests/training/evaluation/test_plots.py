"""What the plots draw: the weights of the attention, and nothing where there is nothing to draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from service.events.journeys import Journeys
from service.model.sequences import whole_windows
from tests.support.worlds import normal_scans, to_events
from training.evaluation import plots
from training.evaluation.detectors import MODEL, RULES
from training.evaluation.slices import DetectorVerdicts, Judged
from training.network.lstm import EpcLstm, MaskedAttention, ModelConfig, visible
from training.samples.samples import Samples

F = 5


@pytest.fixture
def model() -> EpcLstm:
    torch.manual_seed(0)
    return EpcLstm(ModelConfig(F, 8)).eval()


def judged(labels_at: int | None) -> Judged:
    """Return random verdicts on normal journeys, of which one event is labelled a jump."""
    journeys = Journeys.of(to_events(normal_scans()))
    rng = np.random.default_rng(0)
    count = len(journeys.order)
    labels = np.zeros((count, 5), dtype=np.float32)
    if labels_at is not None:
        labels[labels_at, 4] = 1
    table = rng.normal(size=(count, F)).astype(np.float32)
    part = Samples(table, labels, whole_windows(journeys, 32), journeys.order)
    scores = rng.random((count, 5)).astype(np.float32)
    return Judged(part, {MODEL: DetectorVerdicts(scores, [0.5] * 5), RULES: DetectorVerdicts(scores, [0.5] * 5)})


def test_attention_weights_are_those_that_the_answer_was_made_with(model: EpcLstm) -> None:
    attention = model.attention
    assert isinstance(attention, MaskedAttention)
    x, real = torch.randn(2, 6, 16), torch.arange(6) < torch.tensor([[6], [3]])
    seen = visible(real, torch.zeros(2, 1, 1, dtype=torch.bool))
    weights = attention.weights(x, seen)
    value = attention.query_key_value(x).chunk(3, dim=-1)[2]
    torch.testing.assert_close(attention.out(weights @ value), attention(x, seen))
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 6))
    assert (weights[1, :, 3:] == 0).all(), "nothing looks at padding"


def answer(model: EpcLstm, journey: np.ndarray) -> Tensor:
    return model(torch.from_numpy(journey), torch.tensor([journey.shape[1]])).detach()


def test_attention_is_drawn_of_anomalous_journeys_only(model: EpcLstm) -> None:
    events = to_events(normal_scans())
    drawn = plots.attention(model, judged(labels_at=25), events)
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")
    assert plots.attention(model, judged(labels_at=None), events) is None
    assert plots.attention(EpcLstm(ModelConfig(F, 8, attention=False)), judged(labels_at=25), events) is None


def test_curves_are_drawn_for_kinds_without_anomalies_too() -> None:
    part = judged(labels_at=25)
    assert plots.curves(part, "retrospective").startswith(b"\x89PNG")
    assert plots.reliability({"retrospective": part}).startswith(b"\x89PNG")
