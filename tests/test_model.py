"""The network: what it may look at, and what calibration does."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.model import CLIP, CalibratedModel, EpcLstm, ModelConfig

B, T, F = 6, 7, 5


CONFIGS = (
    ModelConfig(F, 8),
    ModelConfig(F, 8, layers=2),
    ModelConfig(F, 8, attention=False),
    ModelConfig(F, 8, bidirectional=False, attention=False),
)


@pytest.fixture(params=CONFIGS, ids=str)
def model(request: pytest.FixtureRequest) -> EpcLstm:
    torch.manual_seed(0)
    return EpcLstm(request.param).eval()


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(B, T, F, generator=generator), torch.tensor([7, 1, 3, 5, 7, 2])


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


def test_normalisation_removes_constant_features_and_clips(model: EpcLstm, batch: tuple[Tensor, Tensor]) -> None:
    features, lengths = batch
    scale = torch.tensor([0.0, 2.0, 1.0, 1.0, 1.0])
    model.set_normalisation(torch.full((F,), 0.5), scale)
    before = model(features, lengths)
    other = features.clone()
    other[..., 0] = 1e9
    assert torch.equal(model(other, lengths), before)
    far, further = features.clone(), features.clone()
    far[..., 1], further[..., 1] = 0.5 + CLIP / 2, 1e9
    torch.testing.assert_close(model(far, lengths), model(further, lengths))


def test_dropout_only_in_training(batch: tuple[Tensor, Tensor]) -> None:
    model = EpcLstm(ModelConfig(F, 8, dropout=0.5))
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
    model = EpcLstm(ModelConfig(F, 8, dropout=0.0))
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
    causal = 2
    features[:, :, causal] = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])[:, None]
    a, b = torch.rand(2, 5) + 0.5, torch.randn(2, 5)
    probabilities = CalibratedModel(model, causal, a, b).eval()(features, lengths[:, None])
    logits = model(features, lengths)
    for i, length in enumerate(lengths.tolist()):
        mode = int(features[i, 0, causal])
        expected = torch.sigmoid(a[mode] * logits[i, :length] + b[mode])
        torch.testing.assert_close(probabilities[i, :length], expected)
        assert torch.count_nonzero(probabilities[i, length:]) == 0


def test_impossible_lengths_are_clamped(model: EpcLstm, batch: tuple[Tensor, Tensor]) -> None:
    features, _ = batch
    calibrated = CalibratedModel(model, 0).eval()
    wild = torch.tensor([[-3], [0], [1], [T], [T + 1], [10**12]])
    assert torch.equal(calibrated(features, wild), calibrated(features, wild.clamp(1, T)))
