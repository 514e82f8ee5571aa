"""How well an item's first events are judged, and what of it is owed to its siblings.

An item that has just turned up has no past of its own. Three models judge the same causal events of the test part: one
that knows the item alone, one that also knows what the mates of its lot did (the companion features), and the second
one with a look-up on top: the nearest k events of the training part, in the representation that its head judges.
Whether the look-up is mixed in, and how much of it, is chosen on the validation part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors  # type: ignore[import-untyped]

from service.events.vocabulary import KINDS
from service.features import table as features
from service.progress import Progress
from training.evaluation.tables import Sheet
from training.fitting.calibrated import Fitted
from training.fitting.config import TrainConfig
from training.fitting.loop import fit
from training.metrics.per_kind import KindScores, per_kind
from training.metrics.ranking import MACRO
from training.network.predict import predict
from training.samples.labelled_data import Material, draw_from
from training.samples.samples import Samples, samples
from training.studies.redundancy import embeddings

TABLE_FILE, PLOT_FILE = "coldstart.csv", "coldstart.png"
PLACES = {"first event": (1, 1), "second event": (2, 2), "later events": (3, 10**9)}
"""Events of an item by their place in its journey: at least, at most."""

LEAST = 5
"""Anomalous events that an AP is taken of, at least."""

ALONE, SIBLINGS, NEIGHBOURS = "item alone", "with siblings", "with siblings and nearest journeys"
_K = (10, 30, 100)
_SHARES = (0.0, 0.1, 0.2, 0.4)  # of the look-up in the score
_MOST_KNOWN = 30_000  # events of the training part that are looked among
_CHUNK = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """What the nearest known events were labelled: the mean over the k nearest ones, by kind."""

    search: NearestNeighbors
    labels: NDArray[np.float32]  # [M, 5] of the known events

    @classmethod
    def of(cls, fitted: Fitted, known: Samples, rng: np.random.Generator) -> Lookup:
        """Return a look-up among first and second events, and as many others of ``known``."""
        place = known.windows.length
        early = rng.permutation(np.flatnonzero(place <= 2))[: _MOST_KNOWN // 2]
        rows = np.concatenate([early, rng.permutation(np.flatnonzero(place > 2))[: len(early)]])
        return cls(NearestNeighbors(algorithm="brute").fit(_embedded(fitted, known, rows)), known.labels[rows])

    def scores(self, fitted: Fitted, part: Samples, k: int) -> KindScores:
        """Return the share [N, 5] of each kind among the ``k`` nearest known events."""
        found = np.empty((len(part.features), len(KINDS)), dtype=np.float32)
        for begin in range(0, len(found), _CHUNK):
            rows = np.arange(begin, min(begin + _CHUNK, len(found)))
            near = self.search.kneighbors(
                _embedded(fitted, part, rows), min(k, len(self.labels)), return_distance=False
            )
            found[rows] = self.labels[near].mean(axis=1)
        return found


def study_coldstart(
    labelled: Material, config: TrainConfig, siblings: Fitted, out: Path, progress: Progress
) -> list[Sheet]:
    """Compare the three; ``siblings`` is the model that knows the mates. The folder gets a table and a plot."""
    check = siblings.check[1]
    test = samples(*labelled.take("test"), labelled.reference("train"), causal=True, limit=labelled.max_length)
    progress("training on the item alone", 0.0)
    alone = without_siblings(labelled, config, siblings)
    progress("nearest journeys", 0.8)
    known = draw_from(labelled)(np.random.default_rng(config.seed))[1]
    lookup = Lookup.of(siblings, known, np.random.default_rng(config.seed))
    k, share = _best(siblings, lookup, check)
    plain = predict(siblings.model, test)
    scores = {
        ALONE: alone(test),
        SIBLINGS: plain,
        NEIGHBOURS: mixed(plain, lookup.scores(siblings, test, k), share) if share else plain,
    }
    table = by_place(test, scores)
    table.to_csv(out / TABLE_FILE, index=False)
    _plot(table, out / PLOT_FILE)
    chosen = f"{k} nearest events, {share:.0%} of the score" if share else "not mixed in: on validation it did not help"
    return [_sheet(table, f"Look-up chosen on the validation part: {chosen}.")]


def without_siblings(labelled: Material, config: TrainConfig, like: Fitted) -> Callable[[Samples], KindScores]:
    """Return what judges samples by a model that was trained as ``like``, without any companion feature."""
    draw = draw_from(labelled)

    def blind(rng: np.random.Generator) -> tuple[Samples, Samples]:
        whole, causal = draw(rng)
        return masked(whole), masked(causal)

    model, _ = fit(config, blind, [masked(part) for part in like.check], lambda _curves: None)
    return lambda part: predict(model, masked(part))


def masked(part: Samples) -> Samples:
    """Return the samples with all companion features 0."""
    table = part.features.copy()
    table[:, features.COMPANIONS] = 0.0
    return replace(part, features=table)


def mixed(scores: KindScores, looked_up: KindScores, share: float) -> KindScores:
    """Return the scores with ``share`` 0 .. 1 of the look-up."""
    blend: KindScores = (1 - share) * scores + share * looked_up
    return blend


def by_place(part: Samples, scores: dict[str, KindScores]) -> pd.DataFrame:
    """Return AP by place in the journey, model and kind, the macro mean included; NaN for less than LEAST anomalies."""
    rows = []
    for place, (least, most) in PLACES.items():
        here = (part.windows.length >= least) & (part.windows.length <= most)
        labels = part.labels[here]
        for name, found in scores.items():
            table, anomalous = per_kind(labels, found[here]), (labels >= 0.5).sum(axis=0)
            ap = np.where(anomalous >= LEAST, [table[kind]["ap"] for kind in KINDS], np.nan)
            for kind, value, count in zip(KINDS, ap.tolist(), anomalous.tolist(), strict=True):
                rows.append((place, name, kind, value, count, len(labels)))
            macro = float(np.nanmean(ap)) if np.isfinite(ap).any() else np.nan
            rows.append((place, name, MACRO, macro, int((labels.max(axis=1) >= 0.5).sum()), len(labels)))
    return pd.DataFrame(rows, columns=["place", "knows", "kind", "ap", "anomalous", "events"])


def _embedded(fitted: Fitted, part: Samples, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    return np.concatenate([embeddings(fitted, part, some) for some in np.split(rows, range(_CHUNK, len(rows), _CHUNK))])


def _best(fitted: Fitted, lookup: Lookup, check: Samples) -> tuple[int, float]:
    """Return (k, share of the look-up) with the highest macro AP on first and second events of the check part."""
    early, plain = check.windows.length <= 2, predict(fitted.model, check)
    found = {}
    for k in _K:
        near = lookup.scores(fitted, check, k)
        for share in _SHARES:
            found[k, share] = per_kind(check.labels[early], mixed(plain, near, share)[early])[MACRO]["ap"]
    return max(found, key=lambda tried: (found[tried], -tried[1]))


def _plot(table: pd.DataFrame, path: Path) -> None:
    shown = table[table["kind"] == MACRO].pivot_table(index="place", columns="knows", values="ap")
    figure, axes = plt.subplots(figsize=(8, 4))
    shown.reindex(list(PLACES))[[ALONE, SIBLINGS, NEIGHBOURS]].plot.bar(ax=axes, rot=0, ylabel="macro AP", xlabel="")
    axes.set_title("Causal judgements by the event's place in its journey")
    axes.grid(visible=True, axis="y")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _sheet(table: pd.DataFrame, note: str) -> Sheet:
    knows = [ALONE, SIBLINGS, NEIGHBOURS]
    rows = []
    for (place, kind), group in table.groupby(["place", "kind"], sort=False):
        ap = group.set_index("knows")["ap"]
        rows.append([str(place), str(kind), str(group["anomalous"].iloc[0]), *(f"{ap[name]:.3f}" for name in knows)])
    return Sheet(
        "AP of first, second and later events, causal, test part", note, ["place", "kind", "anomalous", *knows], rows
    )
