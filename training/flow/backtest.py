"""A history, every method from every origin of it, what was chosen, and how good that was afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.manifest import FlowMeasure
from service.flow.series import MEASURES, FlowSeries
from service.progress import Progress
from training.flow.choice import choose
from training.flow.config import FlowConfig
from training.flow.origins import HORIZONS, Origins, origins_of
from training.flow.scores import FlowScore, score
from training.flow.trials import Trials, groups_of, try_out


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a backtest found."""

    origins: Origins
    chosen: dict[str, FlowMeasure]  # by measure, by what was known at the split
    deciding: Trials
    testing: Trials

    def scores(self, grain: str | None = None) -> dict[tuple[str, str, int], FlowScore]:
        """Return the errors of the test by (measure, method, horizon); of one grain, or of all together."""
        trials = self.testing
        inside = trials.groups.grain == grain if grain is not None else slice(None)
        found = {}
        for at, measure in enumerate(MEASURES):
            for method, said in trials.forecasts.items():
                for horizon in (h for h in HORIZONS if h <= self.origins.days):
                    cell = (slice(None), inside, horizon - 1, at)
                    if not np.isnan(trials.truth[cell]).all():
                        found[measure, method, horizon] = score(said[cell], trials.truth[cell])
        return found


def backtest(series: FlowSeries, config: FlowConfig, progress: Progress) -> Backtest:
    """Try every method on ``series``, choose by what lies before the split, and measure by what comes after it.

    Raises:
        DataError: the history is too short.
    """
    origins = origins_of(series, config.train_test_split)
    groups = groups_of(series)
    before = try_out(
        series.until(origins.split_day), groups, BASELINES, origins.deciding, origins.days,
        lambda what, done: progress(what, done / 2),
    )  # fmt: skip
    chosen = choose(before, origins.split_day)
    after = try_out(
        series, groups, BASELINES, origins.testing, origins.days, lambda what, done: progress(what, 0.5 + done / 2)
    )
    return Backtest(origins, chosen, before, after)
