"""What an epoch draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from service.features import table as features
from service.model.sequences import Windows
from training.fitting.config import TrainConfig
from training.fitting.loop import _average, _batches, _passes, _time_noise, _weights, fit
from training.network.lstm import EpcLstm
from training.network.predict import predict
from training.samples.samples import Samples, concatenate


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
    batches = list(_batches(part, part.windows, _weights(part, part, config, None), config, np.random.default_rng(0)))
    drawn = np.concatenate([batch.start for batch in batches])
    assert len(drawn) == 20_000
    assert max(len(batch.start) for batch in batches) == 64
    expected = 3 * 100 / (3 * 100 + 900)
    assert (drawn < 100 * 3).mean() == pytest.approx(expected, rel=0.05)


def test_windows_of_a_kind_are_drawn_oftener_by_the_weight_of_the_kind() -> None:
    part = windows_of([True] * 100 + [False] * 900)
    part.labels[: 40 * 3, 0] = part.labels[: 40 * 3, 2]  # of two kinds: the one with the greater weight counts
    weights = {"epcFake": 6.0, "epcDup": 1.0, "locErr": 3.0, "evtOrderErr": 1.0, "jump": 1.0}
    config = TrainConfig(windows_per_epoch=40_000, anomalous_weight=weights)
    weight = _weights(part, part, config, None)
    batches = _batches(part, part.windows, weight, config, np.random.default_rng(0))
    drawn = np.concatenate([batch.start for batch in batches])
    shares = np.bincount(np.digitize(drawn, [40 * 3, 100 * 3]), minlength=3) / len(drawn)
    expected = np.array([40 * 6, 60 * 3, 900]) / (40 * 6 + 60 * 3 + 900)
    np.testing.assert_allclose(shares, expected, rtol=0.05)
    with pytest.raises(ValueError, match="a weight by kind names each kind"):
        TrainConfig(anomalous_weight={"jump": 6.0})


def test_windows_are_drawn_as_often_as_they_say() -> None:
    part = replace(windows_of([False] * 1_000), oftener=np.repeat(np.float32([9, 1]), [100, 900]))
    config = TrainConfig(windows_per_epoch=40_000)
    weight = _weights(part, part, config, None)
    batches = _batches(part, part.windows, weight, config, np.random.default_rng(0))
    drawn = np.concatenate([batch.start for batch in batches])
    assert (drawn < 100 * 3).mean() == pytest.approx(0.5, rel=0.05)
    joined = concatenate([part, windows_of([False] * 10)])
    np.testing.assert_array_equal(joined.draws, [9.0] * 100 + [1.0] * 910)


def test_windows_of_which_the_network_is_not_sure_are_drawn_oftener() -> None:
    torch.manual_seed(0)
    part, config = (
        windows_of([True] * 10 + [False] * 190),
        TrainConfig(hidden=4, anomalous_weight=3, undecided_weight=5),
    )
    part.features[:] = np.random.default_rng(3).normal(size=part.features.shape)
    causal = replace(part, features=part.features.copy())
    causal.features[:, features.INDEX["causal"]] = 1
    so_far = EpcLstm(config.model())
    most = predict(so_far, part).reshape(200, -1).max(axis=1)
    so_far.head.bias.data -= float(np.median(most)) - np.log(0.01 / 0.99)  # of a half it is sure that they are normal
    for of_mode in (part, causal):
        probability = 1 / (1 + np.exp(-predict(so_far, of_mode)))
        undecided = ((probability > 0.01) & (probability < 0.97)).reshape(200, -1).any(axis=1)
        assert 10 < undecided.sum() < 190
        expected = np.where(np.arange(200) < 10, 3.0, 1.0) * np.where(undecided, 5.0, 1.0)
        np.testing.assert_array_equal(_weights(of_mode, part, config, so_far), expected)
        plain = config.model_copy(update={"undecided_weight": 1.0})
        np.testing.assert_array_equal(np.unique(_weights(of_mode, part, plain, so_far)), [1, 3])


def fitted_from(start: EpcLstm, **settings: float) -> EpcLstm:
    """Return what a short training on three like windows makes of ``start``."""
    part = windows_of([True, False, True])
    part.features[:] = np.random.default_rng(3).normal(size=part.features.shape)
    config = TrainConfig(
        **({"hidden": 4, "epochs": 2, "windows_per_epoch": 64, "batch": 8, "learning_rate": 0.05} | settings)
    )  # type: ignore[arg-type]
    return fit(config, lambda _rng: (part, part), [part, part], lambda _curves: None, start=start)[0]


def test_the_last_epoch_is_kept_where_that_is_asked_for() -> None:
    """The best one of a part on which nothing ever gets better is the first."""
    torch.manual_seed(0)
    start, part = EpcLstm(TrainConfig(hidden=4).model()), windows_of([True, False, True])
    check = replace(part, labels=np.zeros_like(part.labels))
    kept = {}
    for epochs, keeps_last in ((1, True), (3, False), (3, True)):
        config = TrainConfig(hidden=4, epochs=epochs, windows_per_epoch=64, batch=8, patience=1)
        kept[epochs, keeps_last], curves = fit(
            config, lambda _rng: (part, part), [check, check], lambda _curves: None, start=start, keeps_last=keeps_last
        )
        assert len(curves) == (epochs if keeps_last else 2)
    last, best = (kept[3, keeps_last].state_dict() for keeps_last in (True, False))
    assert any(not torch.equal(last[name], weight) for name, weight in best.items())


def moved(start: EpcLstm, end: EpcLstm) -> dict[str, float]:
    return {name: float((end.state_dict()[name] - value).abs().max()) for name, value in start.state_dict().items()}


def test_a_training_begins_with_given_weights_and_an_anchor_holds_it_there() -> None:
    torch.manual_seed(0)
    start = EpcLstm(TrainConfig(hidden=4).model())
    before = {name: value.clone() for name, value in start.state_dict().items()}
    free, held = moved(start, fitted_from(start)), moved(start, fitted_from(start, anchor=1e4, weight_decay=0))
    assert max(held.values()) < 0.3 * max(free.values())
    assert all(torch.equal(before[name], value) for name, value in start.state_dict().items()), "start stays as it is"


def test_a_frozen_encoder_stays() -> None:
    torch.manual_seed(0)
    start = EpcLstm(TrainConfig(hidden=4).model())
    far = moved(start, fitted_from(start, frozen_encoder=True))
    assert {name for name, distance in far.items() if distance == 0} == {
        "encoding.mean",
        "encoding.scale",
        "project.weight",
        "project.bias",
    }


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
