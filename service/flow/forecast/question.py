"""What is asked of a forecaster, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from service.errors import InvalidRequest
from service.flow.forecast.past import MOST_DAYS

DIMENSIONS = ("site", "step", "product", "plant", "application", "panel_size")
"""Everything that a question can be about; a model has some of them."""

_MOST = 1e12


@dataclass(frozen=True, slots=True)
class FlowQuestion:
    """The coming days of a part of the network: of what has all the values that are given; of everything if none is."""

    site: str | None = None  # number of the location, as text
    step: str | None = None  # "Factory", "WMS", ...
    product: str | None = None  # code of it
    plant: str | None = None
    application: str | None = None
    panel_size: str | None = None
    current_wip: float | None = None  # items there now; None: those of the last day that the model knows
    planned_throughput: float | None = None  # items per day that are to leave
    days: int = 30  # 1 .. MOST_DAYS

    @property
    def chosen(self) -> dict[str, str]:
        """The values by dimension, of those that are given."""
        values = {name: getattr(self, name) for name in DIMENSIONS}
        return {name: value for name, value in values.items() if value is not None}

    def check(self) -> None:
        """Look at the numbers.

        Raises:
            InvalidRequest: some are impossible; names each field.
        """
        wrong = []
        if not 1 <= self.days <= MOST_DAYS:
            wrong.append(("days", f"{self.days} is out of range: forecasts go from 1 to {MOST_DAYS} days"))
        for name in ("current_wip", "planned_throughput"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and 0 <= value <= _MOST):
                wrong.append((name, f"{value:g} is no number of items: give one from 0 on, or leave it out"))
        if wrong:
            raise InvalidRequest(wrong)


@dataclass(frozen=True, slots=True)
class Bounded:
    """A value with the interval that is to hold 90 % of what comes; `Answering.coverage` says what it held."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class FlowDay:
    """What is expected of one day."""

    day: int  # since 1970
    wip: Bounded  # items as the day ends
    throughput: Bounded  # items that leave
    cycle_h: Bounded  # mean hours of what leaves
    feasibility: float | None  # chance 0 .. 1 that the planned throughput is reached; None without a plan


@dataclass(frozen=True, slots=True)
class Answering:
    """Which method answers for a measure, and what that is worth."""

    measure: str  # of MEASURES
    method: str
    baseline: str  # the best of those that need no training
    gain: float  # share by which the backtest's WAPE is below the baseline's; negative: it is worse
    coverage: float | None  # share of what came in the backtest that lay in the intervals; None: the version has none


@dataclass(frozen=True, slots=True)
class FlowForecast:
    """An answer."""

    model: str  # "epc_flow/1"
    days: list[FlowDay]
    answering: list[Answering]  # by measure, in the order of MEASURES
    warnings: list[str]
    last_wip: float  # items there on the last day of the history
    stalled_items: float | None  # of these, those that stand still: none is expected to leave; None: nobody knows

    @property
    def method(self) -> str:
        """Of the throughput."""
        return self.answering[1].method

    @property
    def baseline(self) -> str:
        """Of the throughput."""
        return self.answering[1].baseline

    @property
    def gain(self) -> float:
        """Of the throughput."""
        return self.answering[1].gain
