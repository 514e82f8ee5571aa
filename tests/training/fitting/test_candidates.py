"""Averages of two networks' weights, and which of them held-out items choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from service.events.vocabulary import KINDS
from service.model.sequences import Windows
from training.fitting import candidates
from training.fitting.candidates import averaged, chosen
from training.fitting.config import TrainConfig
from training.network.lstm import EpcLstm
from training.network.predict import predict
from training.samples.samples import Samples

EVENTS = 400


def network(seed: int) -> EpcLstm:
    torch.manual_seed(seed)
    return EpcLstm(TrainConfig(hidden=4).model()).eval()


def events_of(seed: int) -> Samples:
    """Return single events with random features, of which nothing is anomalous."""
    one = np.ones(EVENTS, dtype=np.intp)
    index = np.arange(EVENTS)
    features = np.random.default_rng(seed).normal(size=(EVENTS, len(network(0).encoding.mean))).astype(np.float32)
    windows = Windows(index, one, index, 0 * one)
    return Samples(features, np.zeros((EVENTS, len(KINDS)), dtype=np.float32), windows, index)


def true_to(model: EpcLstm, seed: int, wrong: float = 0.0) -> list[Samples]:
    """Return samples of both modes whose labels are what a model says, but for a share that is drawn."""
    part = events_of(seed)
    said = predict(model, part)
    part.labels[:] = said >= np.quantile(said, 0.9, axis=0)
    flipped = np.random.default_rng(seed).random(part.labels.shape) < wrong
    part.labels[flipped] = 1 - part.labels[flipped]
    return [part, part]


def test_an_average_lies_between_and_leaves_both_as_they_are() -> None:
    one, other = network(1), network(2)
    before = {name: value.clone() for name, value in one.state_dict().items()}
    mixed = averaged(one, other, 0.25).state_dict()
    for name, value in one.state_dict().items():
        assert torch.equal(before[name], value)
        torch.testing.assert_close(mixed[name], 0.75 * value + 0.25 * other.state_dict()[name])
    for share, same in ((0.0, one), (1.0, other)):
        ends = averaged(one, other, share).state_dict()
        assert all(torch.equal(ends[name], value) for name, value in same.state_dict().items())


def test_either_end_is_taken_only_where_it_is_better_for_certain() -> None:
    start, trained, epc = network(1), network(2), np.arange(EVENTS)
    assert chosen(start, trained, true_to(trained, 3), epc)[1] == 1.0
    kept, share = chosen(start, trained, true_to(start, 3), epc)
    assert share == 0.0
    assert all(torch.equal(kept.state_dict()[name], value) for name, value in start.state_dict().items())


def test_where_nothing_tells_it_is_half() -> None:
    start, trained = network(1), network(2)
    nothing = [events_of(3)] * 2
    assert chosen(start, trained, nothing, np.arange(EVENTS))[1] == 0.5
    assert chosen(start, start, true_to(start, 3, wrong=0.2), np.arange(EVENTS))[1] == 0.5


def test_few_anomalous_items_tell_nothing() -> None:
    """19 of them, all as the start says, move nothing; one more does."""
    start, trained, epc = network(3), network(4), np.arange(EVENTS)
    check = true_to(start, 3)
    few = np.flatnonzero(check[0].labels.any(axis=1))[19:]
    check[0].labels[few[1:]] = 0
    assert chosen(start, trained, check, epc)[1] < 0.5
    check[0].labels[few[0]] = 0
    assert chosen(start, trained, check, epc)[1] == 0.5


def test_what_is_ahead_by_less_than_chance_is_not_gone_to(monkeypatch: pytest.MonkeyPatch) -> None:
    start, trained, epc = network(3), network(4), np.arange(EVENTS)
    check = true_to(trained, 5, wrong=0.4)
    share = chosen(start, trained, check, epc)[1]
    monkeypatch.setattr(candidates, "_ERRORS", 0.0)
    assert share < chosen(start, trained, check, epc)[1] == 1.0
