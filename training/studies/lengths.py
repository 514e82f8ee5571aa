"""How long a sequence has to be: what the past of a journey says of the next event, and validation AP by length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.events.journeys import Journeys
from service.events.vocabulary import KINDS, MODES
from training.evaluation.tables import Sheet
from training.fitting.calibrated import Fitted
from training.fitting.checkpoint import score
from training.samples.labelled_data import Material

LENGTHS = (1, 2, 4, 8, 16, 32)
LEAST = 4  # the shortest length that pays: a shorter one saves nothing, its batches are padded to 4
LAGS = 10
GOOD_ENOUGH = 0.002
"""The shortest length whose AP is at most that much below the best one is chosen."""

LAG_FILE, LENGTH_FILE, PLOT_FILE = "autocorrelation.csv", "lengths.csv", "lengths.png"
FEATURES = "features"


def study_lengths(labelled: Material, trained: Callable[[Material, str], Fitted], out: Path) -> tuple[list[Sheet], int]:
    """Return (tables, the length chosen); the folder ``out`` gets the tables and a plot.

    A model is trained for each of LENGTHS, which limits the windows in training and validation alike; in each, every
    event gets one answer, so that the numbers are of the same events.
    """
    by_lag = autocorrelation(labelled)
    events, _ = labelled.take("train")
    journey = Journeys.of(events).length
    rows = []
    for length in LENGTHS:
        curves = trained(replace(labelled, max_length=length), f"length {length}").curves
        best = max(curves, key=score)
        within = float((journey <= length).mean())
        rows.append({"length": length, "journeys_within": within, **{mode: best[mode] for mode in MODES}})
    by_length = pd.DataFrame(rows).set_index("length")
    scores = by_length[list(MODES)].mean(axis=1)
    chosen = int(by_length.index[scores >= scores.max() - GOOD_ENOUGH][0])
    by_lag.to_csv(out / LAG_FILE)
    by_length.to_csv(out / LENGTH_FILE)
    _plot(by_lag, by_length, out / PLOT_FILE)
    note = f"Chosen: {chosen}, the shortest within {GOOD_ENOUGH} of the best."
    lags = _sheet("Autocorrelation within journeys", "Labels by kind; features: mean of the absolute values.", by_lag)
    return [lags, _sheet("Validation macro AP by the longest window", note, by_length)], chosen


def autocorrelation(labelled: Material) -> pd.DataFrame:
    """Return by lag (events of the same journey) the correlation of labels by kind, and the mean one of features.

    Pearson's r over all pairs of training events ``lag`` apart; retrospective features. The mean is of absolute values
    over the features that vary.
    """
    part = labelled.samples("train", labelled.reference("train"))[0]
    position = Journeys.of(labelled.take("train")[0]).position  # the order of the samples
    rows = []
    for lag in range(1, LAGS + 1):
        later = np.flatnonzero(position >= lag)
        if len(later) < 2:
            break
        of_labels = correlation(part.labels[later], part.labels[later - lag])
        of_features = np.abs(correlation(part.features[later], part.features[later - lag]))
        varying = of_features[np.isfinite(of_features)]
        rows.append(
            {
                "lag": lag,
                "pairs": len(later),
                **dict(zip(KINDS, of_labels.tolist(), strict=True)),
                FEATURES: float(varying.mean()) if len(varying) else float("nan"),
            }
        )
    return pd.DataFrame(rows).set_index("lag")


def correlation(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return Pearson's r [C] of each column of x [N, C] with the same column of y; NaN where one does not vary."""
    x, y = x - x.mean(axis=0, dtype=np.float64), y - y.mean(axis=0, dtype=np.float64)
    spread = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    r: NDArray[np.float64] = np.divide(
        (x * y).sum(axis=0), spread, out=np.full(len(spread), np.nan), where=spread > 1e-9
    )
    return r


def _plot(by_lag: pd.DataFrame, by_length: pd.DataFrame, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4))
    by_lag.drop(columns="pairs").plot(ax=left, marker="o", grid=True, ylabel="autocorrelation", xlabel="lag in events")
    by_length[[*MODES, "journeys_within"]].plot(
        ax=right, marker="o", grid=True, logx=True, xlabel="longest window in events", ylabel="validation macro AP"
    )
    right.set_xticks(list(by_length.index), [str(length) for length in by_length.index])
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _sheet(title: str, note: str, table: pd.DataFrame) -> Sheet:
    rows = [
        [str(index), *(f"{value:g}" if name == "pairs" else f"{value:.4f}" for name, value in row.items())]
        for index, row in table.iterrows()
    ]
    return Sheet(title, note, [str(table.index.name), *map(str, table.columns)], rows)
