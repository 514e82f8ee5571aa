"""See the package."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from service.commands.flow.learning import HistoryOptions, _history
from service.flow.forecast import stock
from service.flow.forecast.stock import STALLED, StockFlow
from service.flow.series import MEASURES
from training.flow.history import FlowHistory, Rolling
from training.flow.origins import HORIZONS, origins_of
from training.flow.scores import score
from training.flow.trials import Trials, groups_of, try_out


def tried(history: FlowHistory, share: float) -> Trials:
    """Return the forecasts of all origins, an item being stalled where fewer than ``share`` stay so long."""
    stock.STALLED = share
    origins = origins_of(history.series, 0.8)
    groups = groups_of(history.series)
    rolling = Rolling.of(history, groups.members)
    days = np.r_[origins.deciding, origins.testing]
    return try_out(rolling, groups, [StockFlow()], days, HORIZONS[-1], lambda _what, _done: None)


def main() -> None:
    """Print a row of WAPEs for each way."""
    history = _history([Path(sys.argv[1])], HistoryOptions())
    known = history.stock(history.series.last_day)
    if known is None:
        sys.exit("the history knows no items: give a folder of scans")
    share = known.stalled.sum() / known.there.sum()
    print(f"{share:.2%} of the stock of the last day has stalled")
    print(
        "| What has stalled | "
        + " | ".join(f"{name}, {' / '.join(map(str, HORIZONS))} days" for name in MEASURES)
        + " |"
    )
    print("| --- |" + " --- |" * len(MEASURES))
    for title, least in (("leaves as the rest", 0.0), ("stays", STALLED)):
        trials = tried(history, least)
        said = trials.forecasts[StockFlow.name]
        cells = [
            " / ".join(
                f"{score(said[:, :, day - 1, at], trials.truth[:, :, day - 1, at]).wape:.4f}" for day in HORIZONS
            )
            for at in range(len(MEASURES))
        ]
        print(f"| {title} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
