"""A flow model of the repository, answering questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRequest, ModelRepositoryError
from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.intervals import BANDS, band_of, bounds, chance_of_reaching, spread
from service.flow.forecast.manifest import HISTORY_FILE, FlowManifest, FlowMeasure, FlowVersion, read_flow_version
from service.flow.forecast.past import MOST_DAYS, FlowMethod, FlowPast
from service.flow.forecast.question import Answering, Bounded, FlowDay, FlowForecast, FlowQuestion
from service.flow.series import MEASURES, FlowSeries
from service.model.signing import Trust

_Numbers = NDArray[np.float64]


class FlowForecaster:
    """Answers from the history of its model alone; may be asked from several threads at once."""

    def __init__(self, version: FlowVersion) -> None:
        """Take a verified version.

        Raises:
            ModelRepositoryError: one of its files cannot be used.
        """
        self.title = version.title
        self.manifest: FlowManifest = version.manifest
        try:
            self.history = FlowSeries.from_bytes(version.files[HISTORY_FILE])
        except (ValueError, KeyError, OSError) as error:
            raise ModelRepositoryError(f"{HISTORY_FILE} of {version.title} is no history: {error}") from None
        self._methods = _methods(version)
        wanted = {name for measure in version.manifest.measures.values() for name in measure.weights}
        if missing := wanted - set(self._methods):
            raise ModelRepositoryError(f"{version.title} needs methods that this release lacks: {', '.join(missing)}")

    @classmethod
    def load(cls, repository: Path, version: int | None = None, trust: Trust | None = None) -> FlowForecaster:
        """Return the forecaster of a version (default: the newest) in ``repository``.

        Raises:
            ModelRepositoryError: there is none, or it cannot be used.
        """
        return cls(read_flow_version(repository, version, trust))

    def predict(self, question: FlowQuestion) -> FlowForecast:
        """Return what is expected of the days after the model's history.

        Raises:
            InvalidRequest: the question does not fit the model, or is impossible; names the fields.
        """
        question.check()
        past = FlowPast.of(self.history, self._members(question)[None, :])
        if past.days < self.manifest.least_days:
            raise InvalidRequest(
                [
                    (
                        "model",
                        f"has {past.days} days of history, and needs {self.manifest.least_days}: train on more days",
                    )
                ]
            )
        values = self._values(past, question.days)
        if question.current_wip is not None:
            values = _with_stock(values, past, question.current_wip)
        widths = spread(past, question.days)[0]
        wip, throughput, cycle_h = (
            self._bounded(at, question, values[:, at], widths[:, at]) for at in range(len(MEASURES))
        )
        chances = self._chances(question, values[:, 1], widths[:, 1])
        days = [
            FlowDay(past.last_day + 1 + at, wip[at], throughput[at], cycle_h[at], chances[at])
            for at in range(question.days)
        ]
        answering = [
            Answering(name, one.method, one.baseline, one.gain)
            for name, one in ((name, self.manifest.measures[name]) for name in MEASURES)
        ]
        return FlowForecast(self.title, days, answering, _warnings(question, past))

    def _members(self, question: FlowQuestion) -> NDArray[np.bool_]:
        """Return the keys [K] that a question is about."""
        has = self.history.dimensions
        wrong = [
            (name, f"{self.title} knows no {name}: it is of {', '.join(has)}")
            for name in question.chosen
            if name not in has
        ]
        if wrong:
            raise InvalidRequest(wrong)
        for name, value in question.chosen.items():
            known = self.history.values(name)
            if value not in known:
                some = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
                raise InvalidRequest([(name, f"{value!r} is unknown to {self.title}: it has {some}")])
        members = self.history.members(question.chosen)
        if not members.any():
            names = " with ".join(f"{name} {value}" for name, value in question.chosen.items())
            raise InvalidRequest([(next(iter(question.chosen)), f"{self.title} has never seen {names}")])
        return members

    def _values(self, past: FlowPast, days: int) -> _Numbers:
        """Return the measures [days, 3] of one series."""
        forecasts: dict[str, _Numbers] = {}
        values = np.zeros((days, len(MEASURES)))
        for at, name in enumerate(MEASURES):
            for method, weight in self.manifest.measures[name].weights.items():
                if method not in forecasts:
                    forecasts[method] = self._methods[method].forecast(past, days)[0]
                values[:, at] += weight * forecasts[method][:, at]
        return values

    def _quantiles(self, measure: FlowMeasure, question: FlowQuestion) -> _Numbers:
        """Return the quantiles [days, Q] of the errors at questions like this one."""
        grains = measure.quantiles
        chosen = [name for name in self.history.dimensions if name in question.chosen]
        exact = ",".join(chosen)
        alike = min(grains, key=lambda grain: abs(len([name for name in grain.split(",") if name]) - len(chosen)))
        return np.array(grains[exact if exact in grains else alike])[band_of(question.days)]

    def _bounded(self, at: int, question: FlowQuestion, values: _Numbers, widths: _Numbers) -> list[Bounded]:
        of_horizon = self._quantiles(self.manifest.measures[MEASURES[at]], question)
        lower, upper = bounds(values, widths, of_horizon)
        return [Bounded(*map(float, row)) for row in zip(values, lower, upper, strict=True)]

    def _chances(self, question: FlowQuestion, values: _Numbers, widths: _Numbers) -> list[float | None]:
        if question.planned_throughput is None:
            return [None] * question.days
        of_horizon = self._quantiles(self.manifest.measures["throughput"], question)
        return [*map(float, chance_of_reaching(question.planned_throughput, values, widths, of_horizon))]


def _methods(version: FlowVersion) -> dict[str, FlowMethod]:  # noqa: ARG001 - its networks
    return {method.name: method for method in BASELINES}


def _with_stock(values: _Numbers, past: FlowPast, current_wip: float) -> _Numbers:
    """Return the measures [days, 3] with another stock at the beginning.

    What is more (or less) there than the model knows leaves as the stock does, a day's share being the usual throughput
    by the usual stock: Little's law.
    """
    more = current_wip - float(past.wip[0, -1])
    stock, rate = float(past.wip[0, -28:].mean()), float(past.departures[0, -28:].mean())
    stays = np.exp(-min(rate / stock, 1.0) if stock > 0 else -1.0) ** np.arange(len(values) + 1)
    changed = values.copy()
    changed[:, 0] += more * stays[1:]
    changed[:, 1] += more * (stays[:-1] - stays[1:])
    return np.maximum(changed, 0)


def _warnings(question: FlowQuestion, past: FlowPast) -> list[str]:
    found = []
    if question.days > BANDS[-2]:
        found.append(
            f"days after {BANDS[-2]}: the backtest measured none so far ahead, their intervals may be too narrow"
        )
    usual = float(past.wip[0].max())
    if question.current_wip is not None and question.current_wip > 2 * usual:
        found.append(f"current_wip {question.current_wip:g} is more than twice of what ever was there, {usual:g}")
    return found


assert BANDS[-1] == MOST_DAYS  # noqa: S101 - each horizon has quantiles
