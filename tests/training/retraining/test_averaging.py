"""How far the weights go: to the tuned ones where these are as good, and not at all where they forget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service.events.vocabulary import KINDS, MODES, OperatingPoint
from service.feedback.sampling import BANDS
from training.datasets.truth import Truth
from training.evaluation.data_under_test import OwnData
from training.fitting.calibrated import Fitted
from training.fitting.candidates import averaged
from training.network.lstm import CalibratedModel
from training.network.predict import predict
from training.retraining import paired
from training.retraining.averaging import SHARES, Proving, average
from training.retraining.gate import refusals
from training.retraining.paired import LEAST_ANOMALIES, MEAN, Comparison, compare
from training.runs.folder import Run
from training.samples.samples import samples

FEW = 100


@pytest.fixture(scope="module")
def champion(tiny_run: Path) -> Run:
    return Run.load(tiny_run)


@pytest.fixture(scope="module")
def home(champion: Run) -> Proving:
    """The validation part of the tiny world, seen with the same tables by both."""
    own = OwnData.of(champion, strangers=False)
    part = own.subject("validation")
    seen = [
        samples(part.events, part.known.labels, own.reference, causal=causal, limit=champion.lengths[-1])
        for causal in (False, True)
    ]
    return Proving("home", part.events, part.known, np.ones(len(part.events)), seen, seen)


def tuned_to(champion: Run, model: CalibratedModel, home: Proving) -> Fitted:
    record = champion.record
    return Fitted(model, record.thresholds, record.operating_points, list(home.champion), [])


def noisy(champion: Run) -> CalibratedModel:
    """The network with noise in its weights: one that has forgotten what it knew."""
    model = averaged(champion.model, champion.model, 0.0)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * weight.std().nan_to_num(0.1) * 3)
    return model


def test_weights_and_calibration_are_averaged_and_neither_network_changes(champion: Run, home: Proving) -> None:
    start, end = champion.model, noisy(champion)
    end.a += 1.0
    part = home.champion[1]
    before = predict(start, part), predict(end, part)
    np.testing.assert_array_equal(predict(averaged(start, end, 0.0), part), before[0])
    np.testing.assert_allclose(predict(averaged(start, end, 1.0), part), before[1], atol=1e-5)
    middle = averaged(start, end, 0.25)
    assert torch.allclose(middle.a, start.a + 0.25)
    np.testing.assert_array_equal(predict(start, part), before[0])
    np.testing.assert_array_equal(predict(end, part), before[1])


def test_what_gains_nothing_stays_where_it_is(champion: Run, home: Proving) -> None:
    config = champion.record.config
    found, record = average(champion, tuned_to(champion, champion.model, home), config, home, home, FEW)
    assert record.share == 0
    assert [step.share for step in record.steps] == list(SHARES)
    assert all(not step.refused and step.gain == 0 for step in record.steps)
    assert found.thresholds.causal == pytest.approx(champion.record.thresholds.causal)
    mute = replace(home, known=Truth(np.full_like(home.known.labels, np.nan)), said_by_people=True)
    silent = [replace(part, labels=np.full_like(part.labels, np.nan)) for part in home.champion]
    mute = replace(mute, champion=silent, challenger=silent)
    assert average(champion, tuned_to(champion, champion.model, home), config, home, mute, FEW)[1].share == 0


def test_a_gain_is_that_of_all_kinds_however_few_their_anomalies(champion: Run, home: Proving) -> None:
    people = replace(home, said_by_people=True)
    tuned = tuned_to(champion, noisy(champion), home)
    kinds = [one.difference for one in compare(people.ground(champion, tuned), resamples=0) if one.kind != MEAN]
    step = average(champion, tuned, champion.record.config, home, people, FEW)[1].steps[-1]
    assert step.gain == pytest.approx(np.mean(kinds), abs=1e-6)


def test_what_forgets_is_not_gone_although_it_gains(champion: Run, home: Proving) -> None:
    """Labels that say what the noisy network says draw towards it, and the replay holds where it was."""
    noise = noisy(champion)
    said = predict(noise, home.champion[1]) >= 0.5
    labels = np.zeros((len(home.events), len(KINDS)), dtype=np.float32)
    labels[home.champion[1].index] = said
    seen = [replace(part, labels=labels[part.index]) for part in home.champion]
    new = replace(home, name="new", known=Truth(labels), champion=seen, challenger=seen)
    found, record = average(champion, tuned_to(champion, noise, home), champion.record.config, home, new, FEW)
    assert record.steps[-1].gain > 0
    assert record.steps[-1].refused
    assert record.share < 1
    kept = next(step for step in record.steps if step.share == record.share)
    assert not kept.refused
    assert kept.gain == max(step.gain for step in record.steps if not step.refused)
    assert found.points is not None
    assert set(found.points) == set(OperatingPoint)


def test_verdicts_of_people_rank_only_what_is_in_doubt(champion: Run, home: Proving) -> None:
    """Sure scores in another order are a difference by the truth, and none by verdicts, of which some are errors."""
    rng = np.random.default_rng(1)
    ground = replace(home, said_by_people=True).ground(champion, tuned_to(champion, champion.model, home))
    sure = ground.champion["causal"].detectors["model"]
    moved = np.where(sure.scores < 0.02, sure.scores * rng.random(sure.scores.shape), sure.scores).astype(np.float32)
    part = ground.champion["causal"].samples
    wrong = part.labels.copy()
    wrong[rng.random(wrong.shape) < 0.05] = 1  # people who err
    judged = replace(ground.champion["causal"], samples=replace(part, labels=wrong))
    other = replace(judged, detectors={"model": replace(sure, scores=moved)})
    both = {**ground.champion, "causal": judged}, {**ground.challenger, "causal": other}

    def differences(*, by_people: bool) -> list[float]:
        told = replace(ground, champion=both[0], challenger=both[1], said_by_people=by_people)
        return [one.difference for one in compare(told, resamples=0) if one.mode == "causal"]

    assert any(differences(by_people=False))
    assert not any(differences(by_people=True))


def test_by_verdicts_the_mean_must_be_no_worse_and_no_kind_known_to_be(champion: Run, home: Proving) -> None:
    """A kind whose interval is wide is no reason; one that is known to be worse is, and so is the mean."""
    worse = replace(home, said_by_people=True).ground(champion, tuned_to(champion, noisy(champion), home))
    found = compare(worse, resamples=FEW)
    assert [one.kind for one in found].count(MEAN) == 1
    mean, kinds = found[-1], [one for one in found[:-1] if one.anomalies >= LEAST_ANOMALIES]
    assert mean.difference == pytest.approx(np.mean([one.difference for one in kinds]))
    assert mean.high < 0
    assert any(f", {MEAN}: is worse" in line for line in refusals(found, []))
    calm: dict[str, Any] = {"ece_difference": 0.0, "cost_low": 0.0}
    wide = [replace(one, difference=0.001, low=-0.01, high=0.012, **calm) for one in kinds]
    sure = replace(mean, difference=0.001, low=-0.001, high=0.003)
    assert refusals([*wide, sure], []) == []
    assert len(refusals([replace(one, by_people=False) for one in wide], [])) == len(kinds)
    [reason] = refusals([replace(wide[0], high=-0.001), *wide[1:], sure], [])
    assert reason.endswith("(-0.0100 to -0.0010), the upper bound must not be below 0")
    [reason] = refusals([*wide, replace(sure, low=-0.003)], [])
    assert reason.endswith("(-0.0030 to +0.0030), the lower bound must be above -0.002")


def test_the_mean_is_of_kinds_of_which_something_is_told_and_counts_an_event_once(champion: Run, home: Proving) -> None:
    """Of a kind of three anomalies luck says which network is better; by people it has no part in the mean."""
    ground = replace(home, said_by_people=True).ground(champion, tuned_to(champion, noisy(champion), home))

    def with_anomalies(most: dict[str, int]) -> list[Comparison]:
        labels = home.known.labels.copy()
        for kind, count in most.items():
            column = labels[:, KINDS.index(kind)]
            column[np.flatnonzero(column >= 0.5)[count:]] = 0
        both = (
            {
                mode: replace(one, samples=replace(one.samples, labels=labels[one.samples.index]))
                for mode, one in judged.items()
            }
            for judged in (ground.champion, ground.challenger)
        )
        return compare(replace(ground, known=Truth(labels), champion=next(both), challenger=next(both)), resamples=FEW)

    found = with_anomalies({"jump": 3})
    told = [one for one in found[:-1] if one.anomalies >= LEAST_ANOMALIES]
    assert 0 < sum(one.anomalies for one in found if one.kind == "jump") <= 6
    assert (found[-1].kind, len(told) < len(found) - 1) == (MEAN, True)
    assert found[-1].difference == pytest.approx(np.mean([one.difference for one in told]))
    assert found[-1].anomalies == max(sum(one.anomalies for one in told if one.mode == mode) for mode in MODES)
    assert all(one.kind != MEAN for one in with_anomalies(dict.fromkeys(KINDS, 3)))


def test_people_rank_between_the_outer_bands_of_the_audit_sample() -> None:
    assert (BANDS[0], BANDS[-1]) == paired._DOUBTFUL
