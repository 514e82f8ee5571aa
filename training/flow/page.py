"""A backtest as one HTML file: tables, and fans of what was forecast beside what came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.dates import AutoDateLocator
from matplotlib.figure import Figure

from service.flow.forecast.intervals import PROBABILITIES, band_of
from service.flow.series import MEASURES
from training.evaluation.html_report import page_html, picture_html, sheet_html
from training.evaluation.plots import png
from training.flow.backtest import Backtest
from training.flow.report import sheets_of

_SHOWN_DAYS = 60
_SERIES = 6
_LABELS = {"wip": "items there", "throughput": "items that left", "cycle_h": "hours of cycle time"}
_FAN = ((0.005, 0.995), (0.05, 0.95), (0.2, 0.8))
"""Probabilities of the edges, the widest first."""


def write_backtest(found: Backtest, path: Path) -> None:
    """Write the page; texts of the data are escaped."""
    body = ["<h1>Backtest of flow</h1>", *map(sheet_html, sheets_of(found))]
    at, covered = _origin(found), found.coverage()
    held = {measure: covered[measure, 0][0] for measure in MEASURES}
    for series in _shown(found):
        name = found.testing.groups.name[series] or "Everything"
        day = np.datetime64(int(found.testing.origin[at]), "D")
        note = f"forecast on {day}: 99 %, 90 % and 60 % intervals; the black line is what came"
        body.append(picture_html(name, note, png(_fans(found, at, series, held))))
    path.write_text(page_html("Backtest of flow", body), encoding="utf-8")


def _origin(found: Backtest) -> int:
    """Return the latest origin after which all days came, or else the first."""
    whole = np.flatnonzero(~np.isnan(found.testing.truth[..., 0]).any(axis=(1, 2)))
    return int(whole[-1]) if len(whole) else 0


def _shown(found: Backtest) -> list[int]:
    """Return all together, and the first of what has one dimension: groups are sorted by departures."""
    grain = found.testing.groups.grain
    single = [at for at in range(len(grain)) if grain[at] and "," not in grain[at]]
    return [0, *single[: _SERIES - 1]]


def _fans(found: Backtest, at: int, series: int, held: dict[str, float]) -> Figure:
    """Return the fans of a series; ``held`` has which share of all that came lay in the 90 % intervals, by measure."""
    trials, served = found.testing, found.served(found.testing)
    whole, origin = found.rolling.whole, int(trials.origin[at])
    grain = str(trials.groups.grain[series])
    known = whole.days - (whole.last_day - origin)
    begin = max(known - _SHOWN_DAYS, 0)
    first = whole.last_day - whole.days + 1
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    for number, axes in enumerate(figure.subplots(1, 3).tolist()):
        measure = MEASURES[number]
        said, width = served[at, series, :, number], trials.width[at, series, :, number]
        kind = int(trials.kind[at, series])
        table = np.array(found.chosen[measure].grains[grain].quantiles[kind])[band_of(len(said))]
        days = (origin + 1 + np.arange(len(said))).astype("datetime64[D]")
        for step, edges in enumerate(_FAN):
            low, high = (table[:, np.abs(PROBABILITIES - edge).argmin()] for edge in edges)
            lower = np.maximum(said + np.minimum(low, 0) * width, 0)
            axes.fill_between(
                days, lower, said + np.maximum(high, 0) * width, color="C0", alpha=0.15 + 0.1 * step, lw=0
            )
        axes.plot(days, said, color="C0")
        came = whole.stacked()[series, begin : known + len(said), number]
        axes.plot((first + begin + np.arange(len(came))).astype("datetime64[D]"), came, color="black", lw=1)
        axes.set_title(f"{_LABELS[measure]}\n90 % intervals of all series held {held[measure]:.0%}", fontsize="medium")
        axes.xaxis.set_major_locator(AutoDateLocator(maxticks=5))  # type: ignore[no-untyped-call]
    return figure
