"""Plots of an evaluation as PNG images: PR and ROC curves, reliability, and where the network looked."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve  # type: ignore[import-untyped]

from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, KINDS, UNKNOWN
from service.model.sequences import pad
from training.evaluation.detectors import MODEL
from training.evaluation.focus import attention_weights
from training.evaluation.slices import Judged
from training.network.lstm import EpcLstm
from training.samples.samples import Samples

Png = bytes

_BINS = 10
_DPI = 90
_LEAST_FPR = 1e-4  # left end of the ROC's logarithmic axis: what matters happens below 1 %
_SHORTEST = 4  # events of a journey whose attention is worth a look


def curves(judged: Judged, title: str) -> Png:
    """Draw precision over recall, and recall over the false-positive rate, of each detector and kind."""
    figure, grid = _grid(2)
    figure.suptitle(title)
    labels = judged.samples.labels >= 0.5
    for column, kind in enumerate(KINDS):
        above, below = grid[0][column], grid[1][column]
        above.set(title=kind, xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        below.set(xlabel="false-positive rate", ylabel="recall", xscale="log", xlim=(_LEAST_FPR, 1), ylim=(0, 1.02))
        truth = labels[:, column]
        if truth.all() or not truth.any():
            continue
        for name, verdicts in judged.detectors.items():
            score, width = verdicts.scores[:, column], 2.0 if name == MODEL else 1.0
            precision, recall, _ = precision_recall_curve(truth, score, drop_intermediate=True)
            fpr, tpr, _ = roc_curve(truth, score)
            above.plot(recall, precision, label=name, linewidth=width)
            below.plot(np.maximum(fpr, _LEAST_FPR), tpr, label=name, linewidth=width)
        below.axvline(0.01, color="grey", linestyle=":", linewidth=1)
    handles, names = grid[1][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=max(len(names), 1))
    return png(figure)


def reliability(judged: dict[str, Judged]) -> Png:
    """Draw how often events of a probability are anomalous, of the model, by mode and kind."""
    figure, grid = _grid(len(judged))
    for row, (mode, part) in enumerate(judged.items()):
        probabilities = part.detectors[MODEL].scores
        for column, kind in enumerate(KINDS):
            axes = grid[row][column]
            mean, share, count = _bins(probabilities[:, column], part.samples.labels[:, column] >= 0.5)
            axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
            axes.plot(mean, share, marker="o")
            for x, y, n in zip(mean.tolist(), share.tolist(), count.tolist(), strict=True):
                axes.annotate(str(n), (x, y), xytext=(4, -10), textcoords="offset points", fontsize=7)
            axes.set(title=f"{mode}, {kind}", xlabel="probability", ylabel="share of anomalous events")
    return png(figure)


def attention(model: EpcLstm, judged: Judged, events: Events) -> Png | None:
    """Draw how much each event of a few anomalous journeys looks at each other one, None without attention.

    Of each kind, that journey is drawn whose anomalous event has the highest score.
    """
    part, scores = judged.samples, judged.detectors[MODEL].scores
    found = [
        (kind, window)
        for column, kind in enumerate(KINDS)
        if (window := _clearest(part, column, scores[:, column])) is not None
    ]
    if model.attention is None or not found:
        return None
    figure = Figure(figsize=(4.4 * len(found), 4.8), layout="constrained")
    for axes, (kind, window) in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        start, length = int(part.windows.start[window]), int(part.windows.length[window])
        journey = pad(part.features, np.array([start]), np.array([length]), length)
        (weights,) = attention_weights(model, journey, np.array([[length]]))
        inside = slice(start, start + length)
        anomalous = part.labels[inside, KINDS.index(kind)] >= 0.5
        types = events.event_type[part.index[inside]].tolist()
        names = [
            ("* " if marked else "") + ("unknown" if code == UNKNOWN else EVENT_TYPES[code])
            for code, marked in zip(types, anomalous.tolist(), strict=True)
        ]
        image = axes.imshow(weights, cmap="viridis", vmin=0, vmax=1)
        axes.set_xticks(range(length), names, rotation=90, fontsize=7)
        axes.set_yticks(range(length), names, fontsize=7)
        axes.set(title=f"{kind} (*)", xlabel="looks at", ylabel="event judged")
    figure.colorbar(image, ax=axes)
    return png(figure)


def _grid(rows: int) -> tuple[Figure, NDArray[np.object_]]:
    """Return a figure of ``rows`` by kinds; its fixed margins take a third of the time of a computed layout."""
    figure = Figure(figsize=(3.4 * len(KINDS), 3.6 * rows))
    figure.subplots_adjust(left=0.04, right=0.99, bottom=0.3 / rows, top=1 - 0.2 / rows, wspace=0.25, hspace=0.3)
    return figure, figure.subplots(rows, len(KINDS), squeeze=False)


def _clearest(part: Samples, column: int, score: NDArray[np.float32]) -> int | None:
    """Return the window of the anomalous event with the highest score, None if there is no such journey."""
    long_enough = part.windows.length[part.windows.window_of] >= _SHORTEST
    rows = np.flatnonzero((part.labels[:, column] >= 0.5) & long_enough)
    return int(part.windows.window_of[rows[score[rows].argmax()]]) if len(rows) else None


def _bins(
    probability: NDArray[np.float32], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return mean probability, share of anomalous events and number of events of the bins that have any."""
    bin_of = np.minimum((probability * _BINS).astype(np.intp), _BINS - 1)
    count = np.bincount(bin_of, minlength=_BINS)
    used = count > 0
    mean = np.bincount(bin_of, probability, minlength=_BINS)[used] / count[used]
    share = np.bincount(bin_of, truth, minlength=_BINS)[used] / count[used]
    return mean, share, count[used]


def png(figure: Figure) -> Png:
    """Return a drawn figure as an image."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
