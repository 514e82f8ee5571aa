"""What a score would be without the features of a cause."""

from __future__ import annotations

from itertools import product

import numpy as np

from service.effects.gradients import effects
from service.effects.questions import Mixture
from service.effects.removal import reason_elsewhere
from service.features.table import NAMES
from tests.service.effects.conftest import Explained


def test_without_all_features_of_all_events_the_score_is_that_of_the_baseline(explained: Explained) -> None:
    asked = explained.ask(False, 30)
    mixture = Mixture.alone(explained.network)
    everything = np.ones((*asked.kinds.shape, len(NAMES)), dtype=bool)
    found = effects(mixture, explained.normal, asked)
    without = effects(mixture, explained.normal, asked, everything).score_without
    np.testing.assert_allclose(without, found.baseline_score, atol=1e-3)
    kept = effects(mixture, explained.normal, asked, ~everything).score_without
    np.testing.assert_allclose(kept, found.score, atol=1e-3)
    assert reason_elsewhere(found.score, kept).all(), "nothing was removed, so nothing falls"


def test_features_of_each_kind_go_at_all_events_of_the_window_and_others_stay(explained: Explained) -> None:
    asked = explained.ask(False, 60)
    asked = asked.take(np.flatnonzero(asked.lengths[:, 0] > 2))
    mixture, rng = Mixture.alone(explained.network), np.random.default_rng(1)
    removed = rng.random((*asked.kinds.shape, len(NAMES))) < 0.3
    found = effects(mixture, explained.normal, asked, removed).score_without
    for row, kind in product(range(6), range(asked.kinds.shape[1])):
        one, gone = asked.take(np.array([row])), removed[row, kind]
        changed = one.features.copy()
        changed[:, :, gone] = explained.normal.of(one)[:, :, gone]
        score = effects(mixture, explained.normal, one.about(changed)).score[0, kind]
        np.testing.assert_allclose(found[row, kind], score, atol=1e-3)


def test_the_features_with_the_largest_effects_are_a_reason(explained: Explained) -> None:
    asked = explained.ask(False, 40)
    mixture = Mixture.alone(explained.network)
    found = effects(mixture, explained.normal, asked)
    flagged = np.flatnonzero(found.score[:, 0] > 50)
    assert len(flagged) > 5
    asked = asked.take(flagged)
    most = np.argsort(-found.features[flagged, 0], axis=1)[:, :10]
    removed = np.zeros((*asked.kinds.shape, len(NAMES)), dtype=bool)
    np.put_along_axis(removed[:, 0], most, True, axis=1)
    without = effects(mixture, explained.normal, asked, removed).score_without[:, 0]
    scores = found.score[flagged, 0]
    assert np.mean(~reason_elsewhere(scores, without)) > 0.9
