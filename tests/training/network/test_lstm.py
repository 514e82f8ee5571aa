"""The network: what it may look at, and what calibration does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from training.network.encoding import Scales
from training.network.lstm import CalibratedModel, EpcLstm, ModelConfig, visible

B, T, F = 6, 7, 5


CAUSAL = 3

CONFIGS = (
    ModelConfig(F, hidden=8, causal_index=CAUSAL),
    ModelConfig(F, hidden=8, causal_index=CAUSAL, pieces=4),
    ModelConfig(F, hidden=8, causal_index=CAUSAL, layers=2),
    ModelConfig(F, hidden=8, causal_index=CAUSAL, attention=False),
    ModelConfig(F, hidden=8, causal_index=CAUSAL, bidirectional=False, attention=False),
)


@pytest.fixture(params=CONFIGS, ids=str)
def model(request: pytest.FixtureRequest) -> EpcLstm:
    torch.manual_seed(0)
    model = EpcLstm(request.param)
    if model.config.pieces:
        column, low, slope = np.array([0, 0, 2, 4]), np.array([-1.0, 0.0, -0.5, 0.5]), np.array([1.0, 0.5, 2.0, 1.0])
        model.encoding.set_scales(Scales(np.zeros(F), np.ones(F), column, low, slope))
    return model.eval()


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(B, T, F, generator=generator)
    features[..., CAUSAL] = 0.0
    return features, torch.tensor([7, 1, 3, 5, 7, 2])


@pytest.mark.parametrize("garbage", [1e6, math.inf, math.nan])
def test_padding_never_matters(model: EpcLstm, batch: tuple[Tensor, Tensor], garbage: float) -> None:
    features, lengths = batch
    real = torch.arange(T) < lengths[:, None]
    dirty = torch.where(real[..., None], features, garbage)
    torch.testing.assert_close(model(dirty, lengths)[real], model(features, lengths)[real], rtol=0, atol=0)


def test_a_sequence_alone_gets_the_answer_it_gets_in_a_batch(model: EpcLstm, batch: tuple[Tensor, Tensor]) -> None:
    features, lengths = batch
    together = model(features, lengths)
    for i, length in enumerate(lengths.tolist()):
        alone = model(features[i : i + 1, :length], lengths[i : i + 1])
        torch.testing.assert_close(alone[0], together[i, :length], rtol=0, atol=1e-6)


def test_lengths_may_be_a_column(model: EpcLstm, batch: tuple[Tensor, Tensor]) -> None:
    features, lengths = batch
    assert torch.equal(model(features, lengths), model(features, lengths[:, None]))


def test_every_event_sees_the_past_and_if_bidirectional_the_future(
    model: EpcLstm, batch: tuple[Tensor, Tensor]
) -> None:
    features, lengths = batch
    before = model(features, lengths)[0]
    for changed, seen, expected in ((0, T - 1, True), (T - 1, 0, model.config.bidirectional)):
        other = features.clone()
        other[0, changed] += 1
        assert torch.allclose(model(other, lengths)[0, seen], before[seen], atol=1e-6) != expected


def test_in_a_causal_sequence_every_event_gets_the_answer_it_has_as_the_last_one(
    model: EpcLstm, batch: tuple[Tensor, Tensor]
) -> None:
    features, lengths = batch
    features[..., CAUSAL] = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 1.0])[:, None]
    whole = model(features, lengths)
    for i, length in enumerate(lengths.tolist()):
        for end in range(1, length):
            prefix = model(features[i : i + 1, :end], torch.tensor([end]))[0, -1]
            same = torch.allclose(prefix, whole[i, end - 1], rtol=0, atol=1e-5)
            assert same == (bool(features[i, 0, CAUSAL]) or not model.config.bidirectional)


def test_what_is_visible() -> None:
    seen = visible(torch.tensor([[True, True, False]] * 2), torch.tensor([[[False]], [[True]]]))
    assert seen.int().tolist() == [[[1, 1, 0]] * 3, [[1, 0, 0], [1, 1, 0], [1, 1, 0]]]


def test_dropout_only_in_training(batch: tuple[Tensor, Tensor]) -> None:
    model = EpcLstm(ModelConfig(F, hidden=8, dropout=0.5))
    assert not torch.equal(model(*batch), model(*batch))
    model.eval()
    assert torch.equal(model(*batch), model(*batch))


def test_half_precision_masks_as_single_does(model: EpcLstm, batch: tuple[Tensor, Tensor]) -> None:
    features, lengths = batch
    real = torch.arange(T) < lengths[:, None]
    with torch.autocast("cpu", dtype=torch.float16):
        half = model(features, lengths)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float()[real], model(features, lengths)[real], rtol=0, atol=0.01)


def test_it_learns(batch: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    features, lengths = batch
    model = EpcLstm(ModelConfig(F, hidden=8, dropout=0.0))
    truth = (features > 0.5).float()
    real = torch.arange(T) < lengths[:, None]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(features, lengths)[real], truth[real])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_calibration_follows_the_mode_of_each_sequence(model: EpcLstm, batch: tuple[Tensor, Tensor]) -> None:
    features, lengths = batch
    features[:, :, CAUSAL] = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])[:, None]
    a, b = torch.rand(2, 5) + 0.5, torch.randn(2, 5)
    probabilities = CalibratedModel(model, a, b).eval()(features, lengths[:, None])
    logits = model(features, lengths)
    for i, length in enumerate(lengths.tolist()):
        mode = int(features[i, 0, CAUSAL])
        expected = torch.sigmoid(a[mode] * logits[i, :length] + b[mode])
        torch.testing.assert_close(probabilities[i, :length], expected)
        assert torch.count_nonzero(probabilities[i, length:]) == 0


def test_impossible_lengths_are_clamped(model: EpcLstm, batch: tuple[Tensor, Tensor]) -> None:
    features, _ = batch
    calibrated = CalibratedModel(model).eval()
    wild = torch.tensor([[-3], [0], [1], [T], [T + 1], [10**12]])
    assert torch.equal(calibrated(features, wild), calibrated(features, wild.clamp(1, T)))
