"""Which features say the same: variance inflation, clusters of correlated ones, what each is worth, and a map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage  # type: ignore[import-untyped]
from scipy.spatial.distance import squareform  # type: ignore[import-untyped]
from sklearn.manifold import TSNE  # type: ignore[import-untyped]

from service.events.vocabulary import KINDS
from service.features import table as features
from service.model.sequences import pad
from service.progress import Progress
from training.evaluation.tables import Sheet
from training.fitting.calibrated import Fitted
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.network.predict import predict
from training.samples.samples import Samples

TABLE_FILE, MATRIX_PLOT, WORTH_PLOT, MAP_PLOT = "redundancy.csv", "correlation.png", "importance.png", "tsne.png"
SAME = 0.9
"""Absolute correlation from which two features are put into one cluster."""

_MOST_WINDOWS = 4_000  # of validation, by which importance is measured
_MAP_EVENTS = 2_000
_MOST_VIF = 1e6  # shown for a feature that the others determine
_SHOWN = 15


def study_redundancy(fitted: Fitted, out: Path, seed: int, progress: Progress) -> list[Sheet]:
    """Study the features of the validation part; the folder ``out`` gets a table and three plots."""
    part, causal = (first_windows(check, _MOST_WINDOWS) for check in fitted.check)
    r = correlation_matrix(part.features)
    cluster = clusters(r)
    rng = np.random.default_rng(seed)
    worth = importance(fitted, part, rng, lambda name, done: progress(f"importance of {name}", 0.4 * done))
    later = importance(
        fitted, causal, rng, lambda name, done: progress(f"causal importance of {name}", 0.4 + 0.4 * done)
    )
    beside = np.abs(r - np.eye(len(r)))
    table = pd.DataFrame(
        {
            "feature": features.NAMES,
            "kind": [kind for _, kind, _ in features.FEATURES],
            "vif": variance_inflation(r),
            "cluster": cluster,
            "nearest": [features.NAMES[index] for index in beside.argmax(axis=0)],
            "correlation": beside.max(axis=0),
            "importance_retrospective": worth,
            "importance_causal": later,
        }
    )
    table.to_csv(out / TABLE_FILE, index=False)
    _plot_matrix(r, out / MATRIX_PLOT)
    _plot_importance(table, out / WORTH_PLOT)
    progress("t-SNE", 0.9)
    _plot_map(fitted, part, rng, out / MAP_PLOT)
    return _sheets(table)


def first_windows(part: Samples, count: int) -> Samples:
    """Return the samples of the first ``count`` windows and of the events that they answer for."""
    inside = part.windows.window_of < count
    end = int((part.windows.start + part.windows.length)[:count].max())
    inside[end:] = False
    windows = replace(
        part.windows,
        start=part.windows.start[:count],
        length=part.windows.length[:count],
        window_of=part.windows.window_of[inside],
        offset_of=part.windows.offset_of[inside],
    )
    return Samples(part.features[:end], part.labels[inside], windows, part.index[inside])


def correlation_matrix(table: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return Pearson's r [F, F] of the columns of ``table`` [N, F]; 0 where one does not vary."""
    centred = table - table.mean(axis=0, dtype=np.float64)
    spread = np.sqrt((centred**2).sum(axis=0))
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-6 * np.sqrt(len(table)))
    r: NDArray[np.float64] = np.clip(scaled.T @ scaled, -1, 1)
    np.fill_diagonal(r, 1.0)
    return r


def variance_inflation(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance inflation factor [F] of each feature: 1 / (1 - R²) of its regression on the others.

    It is the diagonal of the inverse of the correlation matrix; a ridge keeps what the others determine at 10^6.
    """
    inverse = np.linalg.inv(r + np.eye(len(r)) / _MOST_VIF)
    factors: NDArray[np.float64] = np.clip(np.diag(inverse), 1.0, _MOST_VIF).astype(np.float64)
    return factors


def clusters(r: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a cluster [F] of each feature: average linkage of 1 - |r|, cut at SAME."""
    tree = _tree(r)
    found: NDArray[np.int64] = fcluster(tree, 1 - SAME, criterion="distance").astype(np.int64)
    return found


def _tree(r: NDArray[np.float64]) -> NDArray[np.float64]:
    distance = 1 - np.abs(r)
    return np.asarray(linkage(squareform((distance + distance.T) / 2, checks=False), method="average"))


def importance(fitted: Fitted, part: Samples, rng: np.random.Generator, progress: Progress) -> NDArray[np.float64]:
    """Return by how much the macro AP falls when a feature [F] is shuffled among the events (Breiman, 2001).

    Features that say the same stand in for each other: each of them then looks worthless alone.
    """

    def ap(table: NDArray[np.float32]) -> float:
        return per_kind(part.labels, predict(fitted.model, replace(part, features=table)))[MACRO]["ap"]

    whole, found = ap(part.features), np.zeros(len(features.NAMES))
    for column, name in enumerate(features.NAMES):
        progress(name, column / len(features.NAMES))
        if name == "causal" or np.ptp(part.features[:, column]) == 0:
            continue  # the mode of the question, and what does not vary
        shuffled = part.features.copy()
        shuffled[:, column] = rng.permutation(shuffled[:, column])
        found[column] = whole - ap(shuffled)
    return found


@torch.inference_mode()
def embeddings(fitted: Fitted, part: Samples, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return what the head of the network judges [M, D] at the rows [M] of ``part``."""
    windows, window = part.windows, part.windows.window_of[rows]
    length = windows.length[window]
    batch = torch.from_numpy(pad(part.features, windows.start[window], length, int(length.max())))
    embedded = fitted.model.model.embed(batch, torch.from_numpy(length.astype(np.int64)))
    found: NDArray[np.float32] = embedded.numpy()[np.arange(len(rows)), windows.offset_of[rows]]
    return found


def _plot_map(fitted: Fitted, part: Samples, rng: np.random.Generator, path: Path) -> None:
    """Map anomalous events and as many normal ones by t-SNE (van der Maaten and Hinton, 2008) of their embeddings."""
    kind = np.where(part.labels.max(axis=1) >= 0.5, part.labels.argmax(axis=1), -1)
    anomalous = rng.permutation(np.flatnonzero(kind >= 0))[: _MAP_EVENTS // 2]
    normal = rng.permutation(np.flatnonzero(kind < 0))[: max(len(anomalous), 50)]
    rows = np.concatenate([normal, anomalous])
    perplexity = min(30.0, (len(rows) - 1) / 3)
    points = TSNE(perplexity=perplexity, random_state=0).fit_transform(embeddings(fitted, part, rows))
    figure, axes = plt.subplots(figsize=(7, 6))
    for number, name in ((-1, "normal"), *enumerate(KINDS)):
        mine = kind[rows] == number
        axes.scatter(points[mine, 0], points[mine, 1], s=8, label=name, color="lightgrey" if number < 0 else None)
    axes.set_title("Events as the head of the network sees them (t-SNE)")
    axes.set_axis_off()
    axes.legend(markerscale=2)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _plot_matrix(r: NDArray[np.float64], path: Path) -> None:
    order = leaves_list(_tree(r))
    figure, axes = plt.subplots(figsize=(14, 13))
    image = axes.imshow(r[np.ix_(order, order)], cmap="RdBu", vmin=-1, vmax=1)
    names = [features.NAMES[index] for index in order]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    figure.colorbar(image, shrink=0.6, label="correlation")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _plot_importance(table: pd.DataFrame, path: Path) -> None:
    shown = table.set_index("feature")[["importance_retrospective", "importance_causal"]]
    shown = shown.loc[shown.max(axis=1).sort_values().index[-30:]]
    figure, axes = plt.subplots(figsize=(8, 9))
    shown.plot.barh(ax=axes, xlabel="fall of the validation macro AP when shuffled", ylabel="", grid=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _sheets(table: pd.DataFrame) -> list[Sheet]:
    numbers = ["vif", "correlation", "importance_retrospective", "importance_causal"]
    worth = table.assign(worth=table[numbers[2:]].max(axis=1)).sort_values("worth", ascending=False)
    rows = [
        [row["feature"], row["kind"], *(f"{row[name]:.4g}" for name in numbers), row["nearest"]]
        for row in worth.head(_SHOWN).to_dict("records")
    ]
    most = Sheet(
        "Most important features",
        "Importance: fall of the validation macro AP when the feature is shuffled.",
        ["feature", "serves", "VIF", "highest |r|", "importance", "causal", "most like"],
        rows,
    )
    together = [group for _, group in worth.groupby("cluster") if len(group) > 1]
    same = Sheet(
        f"Features correlated by {SAME} and more",
        "The first of a row is the most important of it.",
        ["cluster", "features"],
        [[str(n), ", ".join(group["feature"])] for n, group in enumerate(together, 1)],
    )
    idle = ", ".join(table.loc[table[numbers[2:]].max(axis=1) <= 0, "feature"]) or "none"
    return [
        most,
        same,
        Sheet("Features of no importance alone", "Redundant, or of use to none.", ["features"], [[idle]]),
    ]
