"""How good forecasts were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t  # type: ignore[import-untyped]

from training.flow.origins import HORIZONS
from training.flow.trials import Trials

_Numbers = NDArray[np.float32]

_STRETCHES = 6
"""Of the origins of a test: a month or so each in half a year."""

_LEAST_STRETCHES = 3
"""That tell who is better: two, as like as two weeks after another are, tell of one season."""

_SURE = 0.95
"""Share of the cases in which a mean of stretches is off by less to that side, by Student's t."""


@dataclass(frozen=True, slots=True)
class FlowScore:
    """Errors of N forecasts of one measure."""

    wape: float  # sum of the absolute errors by the sum of the values
    r2: float  # 1 less squared errors by squares around the mean of all values, series of all sizes together
    rmse: float
    mae: float
    count: int


def score(forecast: _Numbers, truth: _Numbers) -> FlowScore:
    """Return the errors; values that are NaN did not come, and do not count.

    Raises:
        ValueError: nothing counts.
    """
    known = ~np.isnan(truth)
    came, said = truth[known].astype(np.float64), forecast[known].astype(np.float64)
    if not len(came):
        raise ValueError("nothing to score")
    off = said - came
    around = np.square(came - came.mean()).sum()
    return FlowScore(
        wape=float(np.abs(off).sum() / max(np.abs(came).sum(), 1e-9)),
        r2=float(1 - np.square(off).sum() / around) if around > 0 else 0.0,
        rmse=float(np.sqrt(np.square(off).mean())),
        mae=float(np.abs(off).mean()),
        count=len(came),
    )


def mean_wape(forecast: _Numbers, truth: _Numbers) -> float:
    """Return the WAPE of one measure [O, S, H], the mean over the horizons of the tables."""
    at = [horizon - 1 for horizon in HORIZONS if horizon <= truth.shape[2]]
    return float(
        np.mean([score(forecast[..., h], truth[..., h]).wape for h in at if not np.isnan(truth[..., h]).all()])
    )


def share_error(held: NDArray[np.int64], came: NDArray[np.int64]) -> float:
    """Return the standard error of a share of all that came, by origin [O]: a stretch of them at a time is left out.

    Origins that are near share their luck, so that their forecasts tell far less than as many draws would.
    """
    parts = np.array_split(np.arange(len(came)), min(_STRETCHES, len(came)))
    of_held, of_came = (np.array([one[part].sum() for part in parts]) for one in (held, came))
    left_out = (held.sum() - of_held) / np.maximum(came.sum() - of_came, 1)
    return float(np.sqrt((len(parts) - 1) * left_out.var()))


def ratio_error(ours: _Numbers, theirs: _Numbers, truth: _Numbers) -> float:
    """Return the standard error of the ratio of two WAPEs of [O, S]: a stretch of origins at a time is left out.

    NaN where no more than one origin tells.
    """
    return _ratio(ours, theirs, truth, _STRETCHES)[1]


def surely_nearer(ours: _Numbers, theirs: _Numbers, truth: _Numbers, stretches: float) -> bool:
    """Return whether the WAPE of ``ours`` [O, N] is below that of ``theirs``, and not by luck of a few ``stretches``.

    Fewer than three are never more than luck.
    """
    parts = int(min(stretches, _STRETCHES))
    if parts < _LEAST_STRETCHES:
        return False
    ratio, error = _ratio(ours, theirs, truth, parts)
    return bool(ratio + student_t.ppf(_SURE, parts - 1) * error < 1)


def _ratio(ours: _Numbers, theirs: _Numbers, truth: _Numbers, most: int) -> tuple[float, float]:
    """Return the ratio of two WAPEs, and its standard error by ``most`` stretches of origins at most."""
    told = np.flatnonzero(np.isfinite(truth).any(axis=1))
    if len(told) < 2:
        return float("nan"), float("nan")
    off = [np.nansum(np.abs(said - truth).astype(np.float64), axis=1)[told] for said in (ours, theirs)]
    parts = np.array_split(np.arange(len(told)), min(most, len(told)))
    left_out = np.array([_share(*(one.sum() - one[part].sum() for one in off)) for part in parts])
    return _share(off[0].sum(), off[1].sum()), float(np.sqrt((len(parts) - 1) * left_out.var()))


def _share(ours: float, theirs: float) -> float:
    return ours / max(theirs, 1e-9)


def in_time(trials: Trials, last_day: int | None) -> _Numbers:
    """Return what came [O, S, H, 3], without what came after ``last_day``."""
    if last_day is None:
        return trials.truth
    return np.where((trials.day > last_day)[:, None, :, None], np.float32(np.nan), trials.truth)
