"""What answers is chosen, and hedged by the median of all where a short past may have chosen by luck."""

from __future__ import annotations

import numpy as np
import pytest

from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.middle import MEDIAN
from service.flow.forecast.smoothing import Ets
from tests.training.flow.plants import plants
from training.flow.choice import BLEND, choose
from training.flow.trials import Trials, groups_of

LUCKY = Ets.name


def trials(origins: int) -> Trials:
    """Return forecasts 14 days ahead from every other day: `LUCKY` is off by about .4, all others by 2."""
    groups = groups_of(plants())
    shape = (origins, len(groups.name), 14, 3)
    truth = np.full(shape, 100, np.float32)
    generator = np.random.default_rng(1)
    said = {one.name: truth + generator.normal(2, 0.1, shape).astype(np.float32) for one in BASELINES}
    said[LUCKY] = truth + generator.normal(0, 0.5, shape).astype(np.float32)
    said[MEDIAN] = np.median(np.stack([*said.values()]), axis=0).astype(np.float32)
    days = 20_000 + 2 * np.arange(origins)
    return Trials(days, groups, truth, np.ones(shape, np.float32), np.ones(shape[:2], int), said)


def test_what_is_surely_nearer_than_the_median_answers_without_it_as_far_as_anything_tells() -> None:
    for measure in choose(trials(30), None).values():
        for grain in measure.grains.values():
            assert grain.weights[LUCKY][:4] == pytest.approx([1.0] * 4, abs=0.2)
            assert grain.weights[MEDIAN] == [0.0] * 4 + [0.5] * 2
            np.testing.assert_allclose(sum(np.array(share) for share in grain.weights.values()), 1)


def test_half_of_the_answer_is_the_median_where_a_few_weeks_may_have_been_luck() -> None:
    """Six origins in ten days tell of ten days 1 day ahead, and once of who is better 14 days ahead."""
    for measure in choose(trials(6), None).values():
        for grain in measure.grains.values():
            assert grain.method == BLEND
            assert grain.weights[MEDIAN] == [0.0] * 3 + [0.5] * 3
            assert grain.weights[LUCKY][3] == pytest.approx(0.5, abs=0.05)
