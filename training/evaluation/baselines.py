"""What the model has to beat: gradient boosting, and an isolation forest, on the same features and training events.

Gradient boosting judges single rows, so each row gets what the network sees in its window: the features of the previous
and the next event and aggregates over the window. A causal window ends with its event; nothing of the future is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest  # type: ignore[import-untyped]

from service.events.vocabulary import KINDS
from service.features.table import NAMES
from training.evaluation.detectors import FOREST, LIGHTGBM
from training.metrics.per_kind import KindScores
from training.network.calibration import thresholds
from training.samples.samples import Samples
from training.samples.splits import normal_events

Tell = Callable[[str], None]

_OF_THE_EPC = ("code_", "first_", "lot_", "product_mates", "all_items", "causal")
_VARYING = [i for i, name in enumerate(NAMES) if name == "code_age" or not name.startswith(_OF_THE_EPC)]
"""Columns that differ between the events of an EPC: the others say nothing more of a neighbour."""

# Found on validation: 31 leaves, 255 bins, and twice the rows gave the same AP in three times the time.
_TREES, _PATIENCE = 400, 40
_TREE_SETTINGS = {
    "objective": "binary",
    "metric": "average_precision",
    "learning_rate": 0.08,
    "num_leaves": 15,
    "max_bin": 63,
    "feature_fraction": 0.2,
    "min_child_samples": 20,
    # A leaf's step is its gradient over its hessian, next to nothing for events that the trees are sure of: one forgery
    # among such normal ones made a step of a thousand logits, and a forgery of every event that fell in that leaf.
    "min_sum_hessian_in_leaf": 1.0,
    "feature_pre_filter": False,
    "bin_construct_sample_cnt": 50_000,
    "num_threads": 1,  # OpenMP threads that wait for each other on busy cores take ten times as long
    "deterministic": True,
    "verbosity": -1,
}
_KEPT_NORMAL = 0.25  # share of the normal events that boosting sees, each weighted 1 / share

_ONE_CLASS_ROWS = 40_000


@dataclass(frozen=True, slots=True)
class Baseline:
    """A fitted detector of one mode."""

    name: str
    score: Callable[[Samples], KindScores]  # [N, 5], higher is more anomalous
    thresholds: list[float]  # [5] scores from which an event is flagged


def fit(passes: list[Samples], check: Samples, budget: float, seed: int, tell: Tell) -> list[Baseline]:
    """Fit the baselines of one mode.

    Args:
        passes: samples of passes over the training events, whose tables do not know their own items.
        check: validation samples, for early stopping and for the thresholds.
        budget: share of the normal validation events that may be flagged, per kind.
        seed: of everything random.
        tell: called with what is going on.
    """
    rng = np.random.default_rng(seed)
    scorers = {LIGHTGBM: _boosting(passes, check, rng, tell)}
    table = passes[0].features[normal_events(passes[0].labels)]
    table = table[rng.permutation(len(table))[:_ONE_CLASS_ROWS]]
    tell(FOREST)
    forest = IsolationForest(random_state=seed).fit(table)
    scorers[FOREST] = lambda part: _one_for_all(forest.score_samples(part.features))
    return [
        Baseline(name, score, (thresholds if name == LIGHTGBM else _quantiles)(score(check), check.labels, budget))
        for name, score in scorers.items()
    ]


def _boosting(
    passes: list[Samples], check: Samples, rng: np.random.Generator, tell: Tell
) -> Callable[[Samples], KindScores]:
    tables, labels, weights = [], [], []
    for part in passes:
        normal = normal_events(part.labels)
        kept = ~normal | (rng.random(len(normal)) < _KEPT_NORMAL)
        tables.append(window_features(part)[kept])
        labels.append(part.labels[kept] >= 0.5)
        weights.append(np.where(normal[kept], 1 / _KEPT_NORMAL, 1.0))
    settings = _TREE_SETTINGS | {"seed": int(rng.integers(2**31))}
    truth, checked = np.concatenate(labels), check.labels >= 0.5
    data = lgb.Dataset(np.concatenate(tables), truth[:, 0], weight=np.concatenate(weights), params=settings)
    held_out = lgb.Dataset(window_features(check), checked[:, 0], reference=data, params=settings)
    del tables
    boosters: list[lgb.Booster | None] = []
    for column, kind in enumerate(KINDS):
        tell(f"{LIGHTGBM} {kind}")
        if not truth[:, column].any() or not checked[:, column].any():  # nothing to learn, or to stop by
            boosters.append(None)
            continue
        data.construct().set_label(truth[:, column])
        held_out.construct().set_label(checked[:, column])
        stop = lgb.early_stopping(_PATIENCE, verbose=False)
        boosters.append(lgb.train(settings, data, _TREES, valid_sets=[held_out], callbacks=[stop]))

    def score(part: Samples) -> KindScores:
        table = window_features(part)
        found = [np.zeros(len(table)) if booster is None else booster.predict(table) for booster in boosters]
        return np.stack(found, axis=1).astype(np.float32)

    return score


def window_features(part: Samples) -> NDArray[np.float32]:
    """Return [N, F + 5 V]: each event's features, and of the V that vary between the events of an EPC those of the
    previous and of the next event in its window (NaN without one) and the window's minima, maxima and means.
    """
    windows, table = part.windows, part.features[:, _VARYING]
    rows = np.arange(len(table))
    before, after = np.maximum(rows - 1, 0), np.minimum(rows + 1, len(table) - 1)
    has_before = windows.offset_of > 0
    has_after = windows.offset_of + 1 < windows.length[windows.window_of]
    aggregates = np.empty((len(windows.start), 3 * len(_VARYING)), dtype=np.float32)
    for length in np.unique(windows.length).tolist():
        same = np.flatnonzero(windows.length == length)
        inside = table[windows.start[same, None] + np.arange(length)]  # [W, T, V]
        aggregates[same] = np.concatenate([inside.min(axis=1), inside.max(axis=1), inside.mean(axis=1)], axis=1)
    nothing = np.float32(np.nan)
    return np.concatenate(
        [
            part.features,
            np.where(has_before[:, None], table[before], nothing),
            np.where(has_after[:, None], table[after], nothing),
            aggregates[windows.window_of],
        ],
        axis=1,
    )


def _one_for_all(normality: NDArray[np.float64]) -> KindScores:
    """Return the one score [N] of a detector that knows no kinds, as the score of every kind."""
    return np.repeat(-normality[:, None], len(KINDS), axis=1).astype(np.float32)


def _quantiles(scores: KindScores, labels: NDArray[np.float32], budget: float) -> list[float]:
    """Return the scores [5] that ``budget`` of the normal events reach, by kind."""
    found = []
    for column in range(len(KINDS)):
        normal = scores[labels[:, column] < 0.5, column]
        found.append(float(np.quantile(normal, 1 - budget)) if len(normal) else float("inf"))
    return found
