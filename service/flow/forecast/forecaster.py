"""A flow model of the repository, answering questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRequest, ModelRepositoryError
from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.intervals import BANDS, band_of, bounds, chance_of_reaching, kind_of_series, width
from service.flow.forecast.manifest import (
    HISTORY_FILE,
    STOCK_FILE,
    TREES_FILE,
    FlowGrain,
    FlowManifest,
    FlowVersion,
    read_flow_version,
)
from service.flow.forecast.middle import MEDIAN, forecasts_of
from service.flow.forecast.onnx_forecast import load_learned
from service.flow.forecast.past import MOST_DAYS, FlowMethod, FlowPast
from service.flow.forecast.question import Answering, Bounded, FlowDay, FlowForecast, FlowQuestion
from service.flow.forecast.smoothing import Ets, Theta
from service.flow.forecast.stock import Stock, StockFlow
from service.flow.forecast.triton_network import TritonNetwork, TritonPlace
from service.flow.forecast.windows import LSTM, TREES
from service.flow.series import MEASURES, FlowSeries
from service.model.manifest import MODEL_FILE
from service.model.signing import Trust

_Numbers = NDArray[np.float64]


class FlowForecaster:
    """Answers from the history of its model alone; may be asked from several threads at once."""

    def __init__(self, version: FlowVersion, triton: TritonPlace | None = None) -> None:
        """Take a verified version. Args: ``triton`` runs its network, None: this process does.

        Raises:
            ModelRepositoryError: one of its files cannot be used.
        """
        self.title = version.title
        self.manifest: FlowManifest = version.manifest
        try:
            self.history = FlowSeries.from_bytes(version.files[HISTORY_FILE])
            self._ahead, self._stalled = _stock(version, len(self.history))
        except (ValueError, KeyError, OSError) as error:
            raise ModelRepositoryError(f"a history of {version.title} cannot be read: {error}") from None
        self._network: TritonNetwork | None = None
        if triton is not None and MODEL_FILE in version.files:
            self._network = triton.network(version)
        self._methods = {method.name: method for method in _methods(version, self._network)}
        measures = version.manifest.measures.values()
        wanted = {name for measure in measures for grain in measure.grains.values() for name in grain.weights}
        if missing := wanted - {MEDIAN, *self._methods}:
            raise ModelRepositoryError(f"{version.title} needs methods that this release lacks: {', '.join(missing)}")
        self._asks_network = LSTM in wanted
        known = self.history.cycle_h[~np.isnan(self.history.cycle_h)]
        self._most = (np.inf, np.inf, float(known.max(initial=0.0)) or np.inf)  # of MEASURES, that an interval reaches

    @classmethod
    def load(
        cls, repository: Path, version: int | None = None, trust: Trust | None = None, triton: TritonPlace | None = None
    ) -> FlowForecaster:
        """Return the forecaster of a version (default: the newest) in ``repository``.

        Raises:
            ModelRepositoryError: there is none, or it cannot be used.
        """
        return cls(read_flow_version(repository, version, trust), triton)

    def prepare(self) -> None:
        """Have its network loaded and probed where another process runs it, so that the first question need not wait.

        Raises:
            ModelUnavailable: it cannot be loaded, or does not answer as it should.
        """
        if self._network is not None and self._asks_network:
            self._network.prepare()

    def retire(self) -> None:
        """Have its network unloaded where another process runs it; a later question has it loaded again.

        Raises:
            ModelUnavailable: the other process does not do so.
        """
        if self._network is not None and self._asks_network:
            self._network.retire()

    def predict(self, question: FlowQuestion) -> FlowForecast:
        """Return what is expected of the days after the model's history.

        Raises:
            InvalidRequest: the question does not fit the model, or is impossible; names the fields.
            ModelUnavailable: the answer needs a network that the model server does not run now.
        """
        question.check()
        members = self._members(question)
        past = FlowPast.of(self.history, members[None, :], self._ahead)
        if past.days < self.manifest.least_days:
            raise InvalidRequest(
                [
                    (
                        "model",
                        f"has {past.days} days of history, and needs {self.manifest.least_days}: train on more days",
                    )
                ]
            )
        grain = ",".join(name for name in self.history.dimensions if name in question.chosen)
        grains = [self._grain(name, grain) for name in MEASURES]
        values = self.forecast(past, [grain], question.days)[0]
        if question.current_wip is not None:
            values = _with_stock(values, past, question.current_wip)
        widths, kind = width(past, question.days)[0], int(kind_of_series(past)[0])
        tables = [np.array(grain.quantiles[kind])[band_of(question.days)] for grain in grains]
        wip, throughput, cycle_h = (
            _bounded(values[:, at], widths[:, at], table, self._most[at]) for at, table in enumerate(tables)
        )
        chances = _chances(question, values[:, 1], widths[:, 1], tables[1])
        days = [
            FlowDay(past.last_day + 1 + at, wip[at], throughput[at], cycle_h[at], chances[at])
            for at in range(question.days)
        ]
        answering = [
            Answering(name, grain.method, grain.baseline, grain.gain, self.manifest.coverage(name))
            for name, grain in zip(MEASURES, grains, strict=True)
        ]
        stalled = None if self._stalled is None else float(self._stalled[members].sum())
        return FlowForecast(self.title, days, answering, _warnings(question, past), float(past.wip[0, -1]), stalled)

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

    def forecast(self, past: FlowPast, grains: Sequence[str], days: int) -> _Numbers:
        """Return the measures [S, days, 3] that this version says of S series from any past of theirs.

        ``grains`` [S] are the dimensions that a series has a value of, joined by commas. Raises ValueError if a method
        needs items, and the past knows none.
        """
        answering = {
            (at, name): self._grain(measure, name) for at, measure in enumerate(MEASURES) for name in set(grains)
        }
        wanted = {method for grain in answering.values() for method in grain.weights}
        forecasts = forecasts_of(self._methods, wanted, past, days)
        values = np.zeros((len(past), days, len(MEASURES)))
        band = band_of(days)
        for (at, name), grain in answering.items():
            inside = np.array([one == name for one in grains])
            for method, by_band in grain.weights.items():
                values[inside, :, at] += np.array(by_band)[band] * forecasts[method][inside, :, at]
        return values

    def _grain(self, measure: str, dimensions: str) -> FlowGrain:
        """Return how questions of these dimensions are answered: as they were measured, or else those of as many."""
        grains = self.manifest.measures[measure].grains
        wanted = _count(dimensions)
        alike = min(grains, key=lambda grain: abs(_count(grain) - wanted))
        return grains.get(dimensions, grains[alike])


def _count(dimensions: str) -> int:
    return len([name for name in dimensions.split(",") if name])


def _bounded(values: _Numbers, widths: _Numbers, of_horizon: _Numbers, most: float) -> list[Bounded]:
    lower, upper = bounds(values, widths, of_horizon)
    upper = np.minimum(upper, np.maximum(values, most))
    return [Bounded(*map(float, row)) for row in zip(values, lower, upper, strict=True)]


def _chances(question: FlowQuestion, values: _Numbers, widths: _Numbers, of_horizon: _Numbers) -> list[float | None]:
    if question.planned_throughput is None:
        return [None] * question.days
    return [*map(float, chance_of_reaching(question.planned_throughput, values, widths, of_horizon))]


def _stock(version: FlowVersion, keys: int) -> tuple[_Numbers | None, _Numbers | None]:
    """Return what the stock lets expect of each key, worked out once: it takes a third of a second; and what stands."""
    if STOCK_FILE not in version.files:
        return None, None
    stock = Stock.from_bytes(version.files[STOCK_FILE])
    return stock.ahead_of_series(keys), stock.stalled_of_series(keys)


def _methods(version: FlowVersion, network: TritonNetwork | None) -> Iterator[FlowMethod]:
    """Yield what the version can forecast by."""
    yield from (*BASELINES, Ets(), Theta(), StockFlow())
    for name, file in ((LSTM, MODEL_FILE), (TREES, TREES_FILE)):
        if name == LSTM and network is not None:
            yield network.learned()
        elif file in version.files:
            yield load_learned(name, version.files[file], f"{file} of {version.title}")


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
