"""What is served beside the best baseline: of afterwards, which nobody knew, and of before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.flow.forecast.baselines import BASELINES, LastDay, SeasonalNaive
from service.flow.forecast.middle import MEDIAN
from tests.training.flow.plants import CONFIG, plants
from training.flow.backtest import Backtest
from training.flow.choice import choose
from training.flow.history import FlowHistory, Rolling
from training.flow.methods.learners import learn
from training.flow.origins import Origins
from training.flow.report import sheets_of
from training.flow.scores import ratio_error, surely_nearer
from training.flow.trials import Trials, groups_of

OFF = {"seasonal naive": 3.0, "weekday mean": 2.0, "last value": 1.0}


def trials(first_day: int, off: dict[str, float]) -> Trials:
    """Return forecasts of 100 of everything, which are off by so much on all days ahead."""
    groups = groups_of(plants())
    shape = (12, len(groups.name), 7, 3)
    truth = np.full(shape, 100, np.float32)
    noise = np.random.default_rng(first_day).normal(0, 0.1, shape)
    everyone = {**off, MEDIAN: float(np.median([*off.values()]))}
    said = {name: (truth + by + noise).astype(np.float32) for name, by in everyone.items()}
    return Trials(
        np.arange(first_day, first_day + 12), groups, truth, np.ones(shape, np.float32), np.ones(shape[:2], int), said
    )


def test_the_baseline_that_was_best_before_is_told_beside_that_of_afterwards() -> None:
    rolling = Rolling.of(FlowHistory(plants()), groups_of(plants()).members)
    learned = learn(rolling, rolling.whole.last_day - 20, 7, CONFIG, lambda _what, _done: None)
    before = trials(20_300, OFF)
    after = trials(20_320, {**OFF, SeasonalNaive.name: 0.5})
    origins = Origins(before.origin, after.origin, 20_300, 20_320, 7)
    found = Backtest(origins, rolling, choose(before, 20_320), before, after, learned)
    sheet = sheets_of(found)[3]
    assert sheet.title == "Beside the best baseline"
    assert [row[1] for row in sheet.rows] == ["1 d", "7 d"] * 3
    assert all((row[2], row[4]) == (SeasonalNaive.name, LastDay.name) for row in sheet.rows)
    assert all(float(row[5].rstrip("%")) == pytest.approx(100, abs=15) for row in sheet.rows)
    assert sheet.note.endswith("at most 2% above it in 0, the best baseline of before in 0")
    assert set(OFF) == {one.name for one in BASELINES}
    once = replace(after, origin=after.origin[:1], truth=after.truth[:1], width=after.width[:1], kind=after.kind[:1],
                   forecasts={name: said[:1] for name, said in after.forecasts.items()})  # fmt: skip
    sheet = sheets_of(replace(found, testing=once))[3]
    assert not any("nan" in row[3] or "±" in row[3] for row in sheet.rows), "of one day nobody knows how sure it is"


def test_a_ratio_is_the_less_sure_the_more_origins_share_their_luck() -> None:
    generator, truth = np.random.default_rng(2), np.zeros((36, 50), np.float32)
    ratios, errors = [], []
    for _ in range(300):
        ours = np.repeat(generator.uniform(1, 2, 6), 6)[:, None] * np.ones((1, 50))
        ratios.append(ours.mean())
        errors.append(ratio_error(ours.astype(np.float32), np.ones((36, 50), np.float32), truth))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(ratios), rel=0.15)
    assert np.isnan(ratio_error(truth[:1], truth[:1], truth[:1]))


def test_who_is_nearer_by_luck_of_a_few_weeks_is_not_surely_nearer() -> None:
    """Of two that are as good as each other one looks surely nearer in one of 20 cases at most, as its share says."""
    generator, truth = np.random.default_rng(4), np.zeros((36, 20), np.float32)
    theirs = np.ones((36, 20), np.float32)
    for stretches, least, most in ((6.0, 0.01, 0.08), (3.5, 0.01, 0.08), (2.9, 0.0, 0.0)):
        parts = np.array_split(np.arange(36), int(stretches))
        luck, better = [], []
        for _ in range(300):
            ours = np.empty((36, 20), np.float32)
            for part in parts:
                ours[part] = generator.uniform(0.7, 1.3)
            luck.append(surely_nearer(ours, theirs, truth, stretches))
            better.append(surely_nearer(ours - 0.6, theirs, truth, stretches))
        assert least <= np.mean(luck) <= most
        assert np.mean(better) > 0.95 or stretches < 3
