"""Baselines see what the network sees, no more, and learn what can be learned."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from service.events.journeys import Journeys
from service.features import table as features
from service.model.sequences import Windows, prefix_windows, whole_windows
from tests.support.worlds import normal_scans, to_events
from training.evaluation import baselines
from training.metrics import ranking
from training.samples.samples import Samples

F = len(features.NAMES)
GAP = features.INDEX["gap_prev"]
BUDGET = 0.02


def journeys(count: int, length: int) -> Journeys:
    scans = [scan for scan in normal_scans() if int(scan.code[-9:]) < 4_000 + count]
    found = Journeys.of(to_events(scans))
    assert (found.length >= length).all()
    return found


def random_samples(windows: Windows, seed: int) -> Samples:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(len(windows.window_of), F)).astype(np.float32)
    return Samples(table, np.zeros((len(table), 5), np.float32), windows, np.arange(len(table)))


def varying(name: str) -> int:
    """Return the place of a feature among those that vary."""
    names = [features.NAMES[column] for column in baselines._VARYING]
    return names.index(name)


def test_window_features_are_neighbours_and_aggregates() -> None:
    found = journeys(3, 10)
    part = random_samples(whole_windows(found, 32), 0)
    table, width = baselines.window_features(part), len(baselines._VARYING)
    assert table.shape == (len(part.features), F + 5 * width)
    np.testing.assert_array_equal(table[:, :F], part.features)
    gap, column = part.features[:, GAP], varying("gap_prev")
    before, after, low, high, mean = (table[:, F + place * width + column] for place in range(5))
    assert np.isnan(before[found.start]).all()
    assert np.isnan(after[found.start + found.length - 1]).all()
    np.testing.assert_array_equal(before[1:10], gap[:9])
    np.testing.assert_array_equal(after[:9], gap[1:10])
    np.testing.assert_allclose([low[4], high[4], mean[4]], [gap[:10].min(), gap[:10].max(), gap[:10].mean()], rtol=1e-5)


def test_causal_window_features_know_nothing_of_the_future() -> None:
    found = journeys(3, 10)
    part = random_samples(prefix_windows(found, 32), 0)
    before = baselines.window_features(part)
    changed = part.features.copy()
    later = found.position >= 5
    changed[later] += 100
    after = baselines.window_features(Samples(changed, part.labels, part.windows, part.index))
    np.testing.assert_array_equal(after[~later], before[~later])
    assert not np.array_equal(after[later], before[later])


def labelled(seed: int, count: int = 6_000) -> Samples:
    """Return single events of which a large gap is a jump, and one far out in many features a forgery."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, F)).astype(np.float32)
    labels = np.zeros((count, 5), dtype=np.float32)
    jump, forged = rng.random(count) < 0.05, rng.random(count) < 0.05
    table[jump, GAP] += 6
    table[forged] += 4
    labels[jump, 4], labels[forged, 0] = 1, 1
    rows = np.arange(count)
    return Samples(table, labels, Windows(rows, np.ones(count, np.intp), rows, np.zeros(count, np.intp)), rows)


@pytest.fixture(scope="module")
def fitted() -> dict[str, baselines.Baseline]:
    found = baselines.fit([labelled(0), labelled(1)], labelled(2), BUDGET, 7, lambda _: None)
    return {baseline.name: baseline for baseline in found}


def ap(scores: NDArray[np.float32], part: Samples) -> dict[str, float]:
    found = ranking.rank(part.labels, scores, np.zeros(len(scores), np.intp), ranking.original(1))
    return {kind: float(row["ap"][0]) for kind, row in found.items()}


def test_boosting_learns_each_kind(fitted: dict[str, baselines.Baseline]) -> None:
    part = labelled(3)
    found = ap(fitted[baselines.LIGHTGBM].score(part), part)
    assert found["jump"] > 0.95
    assert found["epcFake"] > 0.99
    assert np.isnan(found["epcDup"]), "never seen"


def test_the_forest_finds_what_is_far_out(fitted: dict[str, baselines.Baseline]) -> None:
    part = labelled(3)
    scores = fitted[baselines.FOREST].score(part)
    assert (scores == scores[:, :1]).all(), "it knows no kinds"
    assert ap(scores, part)["epcFake"] > 0.9


def test_thresholds_flag_the_budgeted_share_of_normal_events(fitted: dict[str, baselines.Baseline]) -> None:
    part, forest = labelled(3), fitted[baselines.FOREST]
    flags = forest.score(part) >= np.array(forest.thresholds)
    assert flags[part.labels[:, 0] == 0, 0].mean() == pytest.approx(BUDGET, abs=0.01)


def test_the_same_seed_gives_the_same_scores(fitted: dict[str, baselines.Baseline]) -> None:
    part = labelled(3, 500)
    again = baselines.fit([labelled(0), labelled(1)], labelled(2), BUDGET, 7, lambda _: None)
    for baseline in again:
        np.testing.assert_array_equal(baseline.score(part), fitted[baseline.name].score(part))
