"""Which pieces of an encoding stay, and what the network says without the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from service.features import table as features
from service.model.sequences import Windows
from tests.support.trained import SHORT, TinyWorld, silent
from training.fitting.calibrated import fit_model
from training.fitting.config import TrainConfig
from training.fitting.thinning import thinned
from training.network.encoding import learn_scales
from training.network.lstm import EpcLstm
from training.network.predict import predict
from training.samples.samples import Samples

EVENTS = 3_000


def events_of(seed: int) -> Samples:
    """Return single events with random features."""
    one, index = np.ones(EVENTS, dtype=np.intp), np.arange(EVENTS)
    table = np.random.default_rng(seed).normal(size=(EVENTS, len(features.NAMES))).astype(np.float32)
    windows = Windows(index, one, index, 0 * one)
    return Samples(table, np.zeros((EVENTS, len(KINDS)), dtype=np.float32), windows, index)


def network(part: Samples) -> EpcLstm:
    """Return a network whose encoding is made of ``part``, with random weights."""
    torch.manual_seed(7)
    scales = learn_scales(part.features, 4)
    model = EpcLstm(TrainConfig(hidden=8).model(len(scales.column)))
    model.encoding.set_scales(scales)
    return model.eval()


def units(model: EpcLstm, part: Samples) -> NDArray[np.float32]:
    """Return the sums of the projection [N, H]."""
    with torch.inference_mode():
        sums: NDArray[np.float32] = model.project(model.encoding(torch.from_numpy(part.features))).numpy()
    return sums


def test_what_others_say_goes_and_nothing_changes() -> None:
    part = events_of(1)
    model = network(part)
    assert model.encoding.pieces is not None
    pieces = model.config.pieces
    with torch.no_grad():  # the last forty say what the first forty say, and count differently
        model.encoding.pieces.weight[-40:] = model.encoding.pieces.weight[:40]
        model.encoding.pieces.bias[-40:] = model.encoding.pieces.bias[:40]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    thin = thinned(model, pieces - 40, lambda _rng: (part, part), seed=3)
    assert thin.config.pieces == pieces - 40
    assert thin.encoding.pieces is not None
    assert tuple(thin.encoding.pieces.weight.shape) == (pieces - 40, len(features.NAMES))
    np.testing.assert_allclose(predict(thin, part), predict(model, part), atol=1e-2)  # logits are about 1
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_it_leaves_out_what_costs_least_and_the_others_make_up_for_it() -> None:
    part, unseen = events_of(1), events_of(2)
    model = network(part)
    assert model.encoding.pieces is not None
    half = model.config.pieces // 2
    thin = thinned(model, half, lambda _rng: (part, part), seed=3)
    lost = np.square(units(thin, unseen) - units(model, unseen)).mean()

    def without(gone: NDArray[np.intp]) -> np.floating:
        return np.square(_without(model, unseen, gone) - units(model, unseen)).mean()

    by_weight = np.argsort(np.square(model.project.weight.detach().numpy()[:, len(features.NAMES) :]).sum(axis=0))
    rng = np.random.default_rng(5)
    at_random = [without(rng.permutation(model.config.pieces)[:-half]) for _ in range(5)]
    assert lost < 0.5 * without(by_weight[:-half]) < 0.5 * min(at_random)


def _without(model: EpcLstm, part: Samples, gone: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the sums without some pieces, the others as they are but for the bias, which their means are added to."""
    with torch.inference_mode():
        inputs = model.encoding(torch.from_numpy(part.features))
        inputs[:, len(features.NAMES) + gone] = inputs[:, len(features.NAMES) + gone].mean(dim=0)
        sums: NDArray[np.float32] = model.project(inputs).numpy()
    return sums


@pytest.mark.parametrize("more", [0, 1, 100])
def test_a_network_that_has_no_more_stays_as_it_is(more: int) -> None:
    part = events_of(1)
    model = network(part)
    assert thinned(model, model.config.pieces + more, lambda _rng: (part, part), seed=3) is model


def test_a_training_keeps_as_many_pieces_as_it_was_told(tiny_world: TinyWorld) -> None:
    config = SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 1_000, "most_pieces": 60})
    assert fit_model(tiny_world.labelled, config, silent).model.model.config.pieces == 60
