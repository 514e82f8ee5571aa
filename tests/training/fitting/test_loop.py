"""What an epoch draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from service.features import table as features
from service.model.sequences import Windows
from training.fitting.config import TrainConfig
from training.fitting.loop import _average, _batches, _passes, _time_noise
from training.network.lstm import EpcLstm
from training.samples.samples import Samples


def windows_of(anomalous: list[bool], length: int = 3) -> Samples:
    """Return windows of equal length, one event of each anomalous one labelled."""
    count = len(anomalous)
    labels = np.zeros((count * length, 5), dtype=np.float32)
    labels[np.flatnonzero(anomalous) * length + 1, 2] = 1
    start = np.arange(count) * length
    windows = Windows(
        start, np.full(count, length), np.repeat(np.arange(count), length), np.tile(np.arange(length), count)
    )
    table = np.zeros((count * length, len(features.NAMES)), dtype=np.float32)
    return Samples(table, labels, windows, np.arange(count * length))


def test_anomalous_windows_are_drawn_oftener_by_their_weight() -> None:
    part = windows_of([True] * 100 + [False] * 900)
    config = TrainConfig(windows_per_epoch=40_000, batch=64, anomalous_weight=3.0)
    batches = list(_batches(part, part.windows, config, np.random.default_rng(0)))
    drawn = np.concatenate([batch.start for batch in batches])
    assert len(drawn) == 20_000
    assert max(len(batch.start) for batch in batches) == 64
    expected = 3 * 100 / (3 * 100 + 900)
    assert (drawn < 100 * 3).mean() == pytest.approx(expected, rel=0.05)


def test_a_small_world_is_passed_over_until_an_epoch_is_full() -> None:
    passes = 0

    def draw(rng: np.random.Generator) -> tuple[Samples, Samples]:
        nonlocal passes
        passes += 1
        return windows_of([True] * 10), windows_of([True] * int(rng.integers(1, 10)))

    retrospective, causal = _passes(draw, TrainConfig(windows_per_epoch=70), epoch=0)
    assert (passes, len(retrospective.windows.start)) == (4, 40)
    again = _passes(draw, TrainConfig(windows_per_epoch=70), epoch=0)[1]
    assert len(again.windows.start) == len(causal.windows.start), "an epoch is drawn from its own seed"
    passes = 0
    _passes(draw, TrainConfig(windows_per_epoch=20), epoch=0)
    assert passes == 1


def test_noise_falls_on_the_time_features_alone_by_their_deviation() -> None:
    model = EpcLstm(TrainConfig(hidden=1).model())
    deviation = torch.linspace(0.5, 2.0, len(features.NAMES))
    model.encoding.scale.copy_(1 / deviation)
    noise = _time_noise(model, 0.1)
    for column, (_, kind, _) in enumerate(features.FEATURES):
        assert noise[column].item() == pytest.approx(0.1 * deviation[column].item() if kind == "jump" else 0.0)
    model.encoding.scale.zero_()
    assert not _time_noise(model, 0.1).any(), "a constant feature stays constant"


def test_the_average_is_of_the_last_steps_and_forgets_the_first() -> None:
    average = [torch.zeros(1)]
    for step in range(1, 20_001):
        _average(average, [torch.tensor([float(step)])], step)
        if step == 20:
            assert 15 < average[0].item() < 20, "few steps: nearly the last ones"
    assert 20_000 - average[0].item() == pytest.approx(0.998 / 0.002, rel=0.02), "500 steps behind a steady climb"
