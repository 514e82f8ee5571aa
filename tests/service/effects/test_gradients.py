"""Effects sum to the change of the score, and are those that Captum finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch import Tensor

from service.detect import rules
from service.detect.ensemble import logit
from service.effects.gradients import OTHER_EVENTS, NormalWindows, effects, integrated_gradients
from service.effects.questions import Member, Mixture, Questions, Step
from service.errors import EffectsUnavailable
from service.features.table import INDEX, NAMES, TYPE_COLUMNS
from tests.service.effects.conftest import Explained
from training.network.lstm import CalibratedModel
from training.network.one_class_svm import OneClassSvms

MODES = pytest.mark.parametrize("causal", [False, True], ids=["retrospective", "causal"])


@MODES
def test_effects_sum_to_the_change_of_the_score(explained: Explained, causal: bool) -> None:
    asked = explained.ask(causal, 60)
    found = effects(Mixture.alone(explained.network), explained.normal, asked)
    moved = found.features.sum(axis=2) + found.other_events
    np.testing.assert_allclose(moved, found.score - found.baseline_score, atol=1e-4)
    assert found.score[:, 0].max() > found.baseline_score[:, 0].max() + 10, "there is something to explain"
    assert (asked.modes == causal).all()


@MODES
def test_the_score_is_the_backends(explained: Explained, causal: bool) -> None:
    asked = explained.ask(causal, 20)
    found = effects(Mixture.alone(explained.network), explained.normal, asked)
    with torch.inference_mode():
        said = explained.run.model(torch.from_numpy(asked.features), torch.from_numpy(asked.lengths)).numpy()
    expected = said[np.arange(20)[:, None], asked.position[:, None], asked.kinds]
    np.testing.assert_allclose(found.score, 100 * expected, atol=0.01)


@MODES
@pytest.mark.parametrize("svm", [False, True], ids=["network", "svm"])
def test_integrated_gradients_are_those_of_captum(explained: Explained, causal: bool, svm: bool) -> None:
    asked = explained.ask(causal, 12)
    start = explained.normal.of(asked)
    network, model = (explained.svm, explained.run.svm) if svm else (explained.network, explained.run.model)
    assert model is not None
    found = integrated_gradients(network, np.stack([start, asked.features], axis=1), asked).moved
    for column in range(2):
        expected = _of_captum(model, start, asked, column)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(found[:, column], expected, atol=1e-3 * np.abs(expected).max())


def _of_captum(
    model: CalibratedModel | OneClassSvms, start: NDArray[np.float32], asked: Questions, column: int
) -> NDArray[np.float64]:
    """Return [M, T, F] of one of the kinds, event by event: windows of different lengths have paths of their own."""
    parts = []
    for row in range(len(asked)):
        lengths = torch.from_numpy(asked.lengths[[row]])
        position, kind = int(asked.position[row]), int(asked.kinds[row, column])

        def forward(features: Tensor, lengths: Tensor = lengths, at: int = position, kind: int = kind) -> Tensor:
            mode = (features[:, 0, INDEX["causal"]] > 0.5).long()
            if isinstance(model, OneClassSvms):
                raw = model._logits(features, mode)
            else:
                raw = model.model(features, lengths.expand(len(features), 1))
            logit: Tensor = model.a[mode, kind] * raw[:, at, kind] + model.b[mode, kind]
            return logit

        pair = (torch.from_numpy(part[[row]]) for part in (asked.features, start))
        parts.append(IntegratedGradients(forward).attribute(*pair, n_steps=32, method="riemann_middle").numpy())
    found: NDArray[np.float64] = np.concatenate(parts)
    return found


@MODES
def test_one_pass_answers_as_one_by_one(explained: Explained, causal: bool) -> None:
    asked = explained.ask(causal, 30)
    assert len(np.unique(asked.lengths)) > 1
    together = effects(Mixture.alone(explained.network), explained.normal, asked)
    for row in range(0, 30, 7):
        alone = effects(Mixture.alone(explained.network), explained.normal, asked.take(np.array([row])))
        np.testing.assert_allclose(alone.features[0], together.features[row], atol=1e-3)
        np.testing.assert_allclose(alone.other_events[0], together.other_events[row], atol=1e-3)


def test_a_median_normal_event_has_no_effects_and_other_events_have_theirs(explained: Explained) -> None:
    asked = explained.ask(False, 60)
    asked = asked.take(np.flatnonzero(asked.lengths[:, 0] > 2))
    normal = explained.normal.of(asked)
    found = effects(Mixture.alone(explained.network), explained.normal, asked.about(normal))
    assert np.abs(found.features).max() == np.abs(found.other_events).max() == 0
    assert found.named(0, 0) == []
    rows = np.arange(len(asked))
    normal[rows, asked.position] = asked.events
    found = effects(Mixture.alone(explained.network), explained.normal, asked.about(normal))
    assert np.abs(found.other_events).max() == 0
    assert np.abs(found.features).max() > 1


def test_effects_are_named_the_most_first(explained: Explained) -> None:
    found = effects(Mixture.alone(explained.network), explained.normal, explained.ask(False, 10))
    named = found.named(3, 0)
    sizes = [abs(points) for _, points in named]
    assert sizes == sorted(sizes, reverse=True)
    assert {name for name, _ in named} <= {*NAMES, OTHER_EVENTS}
    assert "causal" not in dict(named), "the mode is that of the baseline"
    assert sum(dict(named).values()) == pytest.approx(float(found.score[3, 0] - found.baseline_score[3, 0]), abs=1e-4)


@MODES
def test_the_score_of_a_mixture_is_explained_whole(explained: Explained, causal: bool) -> None:
    asked = explained.ask(causal, 15)
    weights = np.random.default_rng(1).uniform(0.2, 1.0, size=(3, 2, 5))

    def by_rules(asked: Questions) -> NDArray[np.float64]:
        return logit(rules.judge(asked.events)[0])

    members = Member(explained.network, weights[0], most=13.8), Member(explained.svm, weights[1], most=13.0)
    mixture = Mixture(members, np.full((2, 5), -1.0), (Step("rules", by_rules, weights[2]),))
    found = effects(mixture, explained.normal, asked)
    moved = found.features.sum(axis=2) + found.other_events + found.steps["rules"]
    np.testing.assert_allclose(moved, found.score - found.baseline_score, atol=1e-4)
    assert np.abs(found.steps["rules"]).max() > 1
    rows = np.arange(15)[:, None]
    expected = np.full((15, 2), -1.0)
    for member in members:
        said = member.network.trace(asked.features, asked.lengths, asked.position).logits[rows, asked.kinds]
        expected += member.weights[int(causal)][asked.kinds] * np.clip(said, -member.most, member.most)
    expected += weights[2][int(causal)][asked.kinds] * by_rules(asked)[rows, asked.kinds]
    np.testing.assert_allclose(found.score, 100 / (1 + np.exp(-expected)), atol=1e-3)


@MODES
def test_the_effects_of_a_mixture_are_the_weighted_ones_of_its_members(explained: Explained, causal: bool) -> None:
    asked = explained.ask(causal, 15)
    weights = np.random.default_rng(1).uniform(0.2, 1.0, size=(2, 2, 5))
    members = (Member(explained.network, weights[0]), Member(explained.svm, weights[1]))
    found = effects(Mixture(members, np.zeros((2, 5))), explained.normal, asked, steps=256)
    ends = np.stack([explained.normal.of(asked), asked.features], axis=1)
    moved = sum(
        one.weights[int(causal)][asked.kinds][:, 0, None, None]
        * integrated_gradients(one.network, ends, asked, steps=256).moved[:, 0]
        for one in members
    )  # [M, T, F] of the first kind
    large = np.flatnonzero(np.abs(found.features[:, 0]).max(axis=1) > 1)
    assert len(large) > 5
    for row in large:
        window = slice(0, int(asked.lengths[row, 0]))
        shared = (asked.features[row, window] == asked.events[row]).all(axis=0)  # counts for all events
        expected = np.where(shared, moved[row, window].sum(axis=0), moved[row, asked.position[row]])
        assert np.corrcoef(expected, found.features[row, 0])[0, 1] > 0.999


def test_the_baseline_is_a_normal_event_of_the_type(explained: Explained) -> None:
    asked = explained.ask(True, 40)
    normal = explained.normal.of(asked)
    real = np.arange(asked.features.shape[1]) < asked.lengths
    seen, put = (part[real][:, TYPE_COLUMNS].argmax(axis=1) for part in (asked.features, normal))
    known = np.isin(seen, list(range(10)))
    assert (seen[known] == put[known]).all()
    assert len(np.unique(seen[known])) > 3
    assert (normal[real][:, INDEX["causal"]] == 1).all()
    scores = effects(Mixture.alone(explained.network), explained.normal, asked.about(normal)).score
    assert np.median(scores) < 10, "normal events are scored as such"


def test_without_normal_events_in_the_manifest_there_are_no_effects(explained: Explained) -> None:
    with pytest.raises(EffectsUnavailable, match="no normal events to compare with"):
        NormalWindows(explained.model.manifest.model_copy(update={"baseline": None}))
    with pytest.raises(EffectsUnavailable, match="of other features"):
        NormalWindows(explained.model.manifest.model_copy(update={"features": ["other"]}))


def test_more_steps_change_little(explained: Explained) -> None:
    asked = explained.ask(False, 20)
    asked = replace(asked, kinds=asked.kinds[:, :1])
    coarse, fine = (
        effects(Mixture.alone(explained.network), explained.normal, asked, steps=steps) for steps in (32, 512)
    )
    np.testing.assert_allclose(coarse.features, fine.features, atol=0.1 * np.abs(fine.features).max())
