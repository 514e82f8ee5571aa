"""What a score would be without the features of a cause."""

from __future__ import annotations

import numpy as np

from service.effects.gradients import effects
from service.effects.questions import Mixture
from service.effects.removal import reason_elsewhere, scores_without
from service.features.table import NAMES
from tests.service.effects.conftest import Explained


def test_without_all_features_of_all_events_the_score_is_that_of_the_baseline(explained: Explained) -> None:
    asked = explained.ask(False, 30)
    mixture = Mixture.alone(explained.network)
    everything = np.ones((30, len(NAMES)), dtype=bool)
    found = effects(mixture, explained.normal, asked)
    without = scores_without(mixture, explained.normal, asked, everything, np.ones(30, dtype=bool))
    np.testing.assert_allclose(without, found.baseline_score, atol=1e-3)
    kept = scores_without(mixture, explained.normal, asked, ~everything, np.ones(30, dtype=bool))
    np.testing.assert_allclose(kept, found.score, atol=1e-3)
    assert reason_elsewhere(found.score, kept).all(), "nothing was removed, so nothing falls"


def test_features_of_the_other_events_go_only_where_asked(explained: Explained) -> None:
    asked = explained.ask(False, 60)
    asked = asked.take(np.flatnonzero(asked.lengths[:, 0] > 2))
    mixture, rows = Mixture.alone(explained.network), np.arange(len(asked))
    removed = np.ones((len(asked), len(NAMES)), dtype=bool)
    everywhere = rows % 2 == 0
    found = scores_without(mixture, explained.normal, asked, removed, everywhere)
    for row in rows[:6]:
        changed = asked.features[[row]].copy()
        normal = explained.normal.of(asked.take(rows[[row]]))
        at = slice(None) if everywhere[row] else int(asked.position[row])
        changed[0, : normal.shape[1]][at] = normal[0, at]
        expected = mixture.scores(asked.take(rows[[row]]).about(changed[:, : normal.shape[1]]))
        np.testing.assert_allclose(found[row], expected[0], atol=1e-3)


def test_the_features_with_the_largest_effects_are_a_reason_and_those_with_none_are_not(explained: Explained) -> None:
    asked = explained.ask(False, 40)
    mixture = Mixture.alone(explained.network)
    found = effects(mixture, explained.normal, asked)
    flagged = np.flatnonzero(found.score[:, 0] > 50)
    assert len(flagged) > 5
    asked = asked.take(flagged)
    most = np.argsort(-found.features[flagged, 0], axis=1)[:, :10]
    removed = np.zeros((len(flagged), len(NAMES)), dtype=bool)
    np.put_along_axis(removed, most, True, axis=1)
    nowhere = np.zeros(len(flagged), dtype=bool)
    without = scores_without(mixture, explained.normal, asked, removed, nowhere)[:, 0]
    scores = found.score[flagged, 0]
    assert np.mean(~reason_elsewhere(scores, without)) > 0.9
    idle = found.features[flagged, 0] == 0
    without = scores_without(mixture, explained.normal, asked, idle, nowhere)[:, 0]
    assert np.mean(reason_elsewhere(scores, without)) > 0.9
