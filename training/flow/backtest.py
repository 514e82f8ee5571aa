"""A history, every method from every origin of it, what was chosen, and how good that was afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.intervals import band_of, bounds
from service.flow.forecast.manifest import FlowMeasure
from service.flow.gate import SERVED
from service.flow.series import MEASURES
from service.progress import Progress, part_of
from training.flow.choice import choose, weighted
from training.flow.config import FlowConfig
from training.flow.history import FlowHistory, Rolling
from training.flow.methods.learners import Learners, learn, plain_methods
from training.flow.origins import HORIZONS, Origins, origins_of
from training.flow.scores import FlowScore, score, share_error
from training.flow.trials import Trials, groups_of, try_out

_Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a backtest found."""

    origins: Origins
    rolling: Rolling
    chosen: dict[str, FlowMeasure]  # by measure, by what was known at the split
    deciding: Trials
    testing: Trials
    learned: Learners  # what the testing forecasts came of

    def served(self, trials: Trials) -> NDArray[np.float32]:
        """Return the chosen forecasts [O, S, H, 3]."""
        served = np.empty_like(trials.truth)
        for at, measure in enumerate(MEASURES):
            for grain, one in self.chosen[measure].grains.items():
                inside = trials.groups.grain == grain
                said = {name: trials.forecasts[name][:, inside, :, at] for name in one.weights}
                served[:, inside, :, at] = weighted(said, one.weights)
        return served

    def scores(self, grain: str | None = None) -> dict[tuple[str, str, int], FlowScore]:
        """Return the errors of the test by (measure, method, horizon), `SERVED` too; of a grain, or all together."""
        trials = self.testing
        inside = trials.groups.grain == grain if grain is not None else np.ones(len(trials.groups.name), dtype=np.bool_)
        found = {}
        for method, said in {SERVED: self.served(trials), **trials.forecasts}.items():
            for at, measure in enumerate(MEASURES):
                for horizon in (h for h in HORIZONS if h <= self.origins.days):
                    truth = trials.truth[:, inside, horizon - 1, at]
                    if not np.isnan(truth).all():
                        found[measure, method, horizon] = score(said[:, inside, horizon - 1, at], truth)
        return found

    def of_a_week(self, grain: str) -> dict[str, FlowScore]:
        """Return the errors of departures of the next seven days together, by method."""
        trials = self.testing
        inside = trials.groups.grain == grain
        truth = trials.truth[:, inside, :7, 1].sum(axis=2)
        everyone = {SERVED: self.served(trials), **trials.forecasts}
        return {name: score(said[:, inside, :7, 1].sum(axis=2), truth) for name, said in everyone.items()}

    def coverage(self) -> dict[tuple[str, int], tuple[float, int]]:
        """Return which share of what came lay in the 90 % intervals, and of how many, by (measure, horizon)."""
        found = {}
        for measure, (inside, known) in self._held().items():
            for horizon in (h for h in HORIZONS if h <= self.origins.days):
                counted = known[:, :, horizon - 1]
                if counted.any():
                    found[measure, horizon] = float(inside[:, :, horizon - 1][counted].mean()), int(counted.sum())
            found[measure, 0] = float(inside[known].mean()), int(known.sum())
        return found

    def coverage_error(self) -> dict[str, float]:
        """Return the standard error of each measure's share of all days, by leaving out a stretch of origins each."""
        return {
            measure: share_error((inside & known).sum(axis=(1, 2)), known.sum(axis=(1, 2)))
            for measure, (inside, known) in self._held().items()
        }

    def _held(self) -> dict[str, tuple[_Flags, _Flags]]:
        """Return by measure what came within its 90 % interval, and what came at all, [O, S, H] each."""
        trials, served = self.testing, self.served(self.testing)
        band = band_of(self.origins.days)
        found = {}
        for at, measure in enumerate(MEASURES):
            inside = np.zeros(trials.truth.shape[:3], dtype=np.bool_)
            for number, grain in enumerate(trials.groups.grain.tolist()):
                table = np.array(self.chosen[measure].grains[grain].quantiles)[trials.kind[:, number]][:, band]
                lower, upper = bounds(served[:, number, :, at], trials.width[:, number, :, at], table)
                came = trials.truth[:, number, :, at]
                inside[:, number] = (came >= lower) & (came <= upper)
            found[measure] = inside, ~np.isnan(trials.truth[..., at])
        return found


def backtest(history: FlowHistory, config: FlowConfig, progress: Progress) -> Backtest:
    """Try every method on a history, choose by what lies before the split, and measure by what comes after it.

    Raises:
        DataError: the history is too short.
    """
    origins = origins_of(history.series, config.train_test_split)
    groups = groups_of(history.series)
    rolling = Rolling.of(history, groups.members)
    plain = plain_methods(history.items is not None)
    first = learn(rolling, origins.learn_day, origins.days, config, part_of(progress, 0.0, 0.3))
    methods = [*plain, *first.methods()]
    deciding = try_out(rolling, groups, methods, origins.deciding, origins.days, part_of(progress, 0.3, 0.5))
    chosen = choose(deciding, origins.split_day)
    second = learn(rolling, origins.split_day, origins.days, config, part_of(progress, 0.5, 0.8))
    methods = [*plain, *second.methods()]
    testing = try_out(rolling, groups, methods, origins.testing, origins.days, part_of(progress, 0.8, 1.0))
    return Backtest(origins, rolling, chosen, deciding, testing, second)
