"""Whose verdicts are not to be learned from: auditors who contradict the evidence oftener than the others do.

The evidence is never the model that is in use, or is to take its place: whoever agrees with it would be right. It is
what the other auditors say of the same event and kind; where none did, boosted trees over the features, that learned
from the truth of earlier worlds and from the verdicts of the other auditors alone. Both err, on some days much (a
forger changes his way); but alike for all auditors. So the rate of an auditor is compared with that of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom  # type: ignore[import-untyped]

from service.events.vocabulary import KINDS
from training.errors import DataError
from training.retraining.verdicts import Verdicts

ALONE, LEAST_RATE = 0.10, 0.025
"""What an auditor without others is compared with, and the least that anybody is: of people who mean well 5 % of the
verdicts are wrong, and of the trees as many."""

LEAST_VERDICTS = 30
"""Of an auditor with fewer sure verdicts nothing can be said; they are few enough to do no harm."""

_CHANCE = 0.001
"""Of an honest auditor among all to be set aside."""

_MARGIN = 0.03
"""Nobody is set aside who contradicts the evidence hardly oftener than the others, however many verdicts he gave."""

MOST_CONTRADICTED = 0.25
"""Share that the median auditor contradicts the evidence from which on the evidence, or everybody, is wrong."""

_SURE = 0.2
"""Trees count as evidence where they give less than that, or more than one minus that."""

_TREES = 60
_TREE_SETTINGS = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "feature_fraction": 0.3,
    "min_child_samples": 10,
    "min_sum_hessian_in_leaf": 1.0,
    "num_threads": 1,
    "deterministic": True,
    "verbosity": -1,
}
_VERDICT_WEIGHT = 5.0  # of a verdict beside an event of an earlier world, which tells less of these days

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AuditorQuality:
    """How often an auditor contradicts the evidence."""

    who: str
    verdicts: int  # sure ones
    compared: int  # those of which there is evidence
    contradicted: int
    expected: float  # share of the same of the others
    set_aside: bool

    @property
    def share(self) -> float:
        """The share of the compared verdicts that contradict the evidence."""
        return self.contradicted / max(self.compared, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Schooling:
    """Events of earlier worlds whose truth is known: what the trees begin with."""

    features: Rows  # [N, F]
    labels: NDArray[np.float32]  # [N, 5] 0 .. 1, NaN unknown


def judge_auditors(verdicts: Verdicts, features: Rows, schooling: Schooling | None, seed: int) -> list[AuditorQuality]:
    """Return how good each auditor's verdicts on events with ``features`` [N, F] are, the worst first.

    Raises:
        DataError: verdicts and evidence contradict each other so often that nobody can be told from the others.
    """
    wrong = {who: _contradicted(who, verdicts, features, schooling, seed) for who in verdicts.auditors}
    rates = [bad / n for n, bad in map(_counts, wrong.values()) if n >= LEAST_VERDICTS]
    if rates and np.median(rates) > MOST_CONTRADICTED:
        raise DataError(
            f"{np.median(rates):.0%} of the verdicts contradict all evidence: are confirmed and rejected"
            " swapped, or the ids those of other files?"
        )
    found = []
    for who, each in wrong.items():
        n, bad = _counts(each)
        of_others = _rate([other for name, other in wrong.items() if name != who])
        chance = float(binom.sf(bad - 1, n, of_others)) if n else 1.0
        aside = n >= LEAST_VERDICTS and chance < _CHANCE / len(wrong) and bad / n > of_others + _MARGIN
        sure = int((~np.isnan(verdicts.anomalous[verdicts.who == who])).sum())
        found.append(AuditorQuality(who, sure, n, bad, of_others, aside))
    return sorted(found, key=lambda one: -one.share)


def _counts(wrong: NDArray[np.float64]) -> tuple[int, int]:
    known = ~np.isnan(wrong)
    return int(known.sum()), int(np.nansum(wrong))


def _rate(others: list[NDArray[np.float64]]) -> float:
    """Return the share of the verdicts of all others that contradict, of the median one of them where there are many.

    The median: a second bad auditor among the others does not hide the first.
    """
    rates = [bad / n for n, bad in map(_counts, others) if n >= LEAST_VERDICTS]
    return max(float(np.median(rates)), LEAST_RATE) if rates else ALONE


def _contradicted(
    who: str, verdicts: Verdicts, features: Rows, schooling: Schooling | None, seed: int
) -> NDArray[np.float64]:
    """Return whether each sure verdict of an auditor contradicts the evidence, 0 or 1, NaN where there is none."""
    others = verdicts.without([who])
    said = others.labels(len(features))
    mine = (verdicts.who == who) & ~np.isnan(verdicts.anomalous)
    row, kind, word = verdicts.row[mine], verdicts.kind[mine], verdicts.anomalous[mine]
    evidence = said[row, kind].astype(np.float64)
    for number in range(len(KINDS)):
        alone = np.flatnonzero((kind == number) & np.isnan(evidence))
        if len(alone):
            evidence[alone] = _by_trees(number, features, row[alone], said, schooling, seed)
    return np.where(np.isnan(evidence), np.nan, (evidence > 0.5) != (word > 0.5))


def _by_trees(  # noqa: PLR0913, PLR0917
    kind: int,
    features: Rows,
    asked: NDArray[np.intp],
    said: NDArray[np.float32],
    schooling: Schooling | None,
    seed: int,
) -> NDArray[np.float64]:
    """Return what trees that others taught say of the ``asked`` events, 0 or 1, NaN where they are not sure."""
    taught = np.flatnonzero(~np.isnan(said[:, kind]))
    tables, labels = [features[taught]], [said[taught, kind]]
    weights = [np.full(len(taught), _VERDICT_WEIGHT)]
    if schooling is not None:
        known = ~np.isnan(schooling.labels[:, kind])
        tables.append(schooling.features[known])
        labels.append(schooling.labels[known, kind])
        weights.append(np.ones(int(known.sum())))
    truth = np.concatenate(labels) >= 0.5
    if not truth.any() or truth.all():
        return np.full(len(asked), np.nan)
    data = lgb.Dataset(np.concatenate(tables), truth, weight=np.concatenate(weights))
    found = np.asarray(lgb.train(_TREE_SETTINGS | {"seed": seed}, data, _TREES).predict(features[asked]))
    sure: NDArray[np.float64] = np.where(found < _SURE, 0.0, np.where(found > 1 - _SURE, 1.0, np.nan))
    return sure
