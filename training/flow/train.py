"""From a history to a run folder: backtest, choice, and what the chosen methods need."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from service.flow.forecast.manifest import FlowMeasure
from service.flow.forecast.smoothing import SMOOTHED_DAYS
from service.flow.gate import CHAMPION
from service.flow.series import MEASURES
from service.progress import Progress, part_of
from training.flow.backtest import Backtest, backtest
from training.flow.calibration import ScaledErrors, calibrated
from training.flow.champion import Champion, compare_with
from training.flow.config import FlowConfig
from training.flow.history import FlowHistory
from training.flow.methods.learners import learn
from training.flow.run import FlowRecord, FlowRun
from training.flow.trials import STOCK

_TESTED = 0.75
"""Of the whole training, the backtest; then all days teach what is kept."""


def train_flow(  # noqa: PLR0913, PLR0917
    history: FlowHistory,
    config: FlowConfig,
    out: Path,
    progress: Progress,
    source: str = "",
    champion: Champion | None = None,
) -> tuple[FlowRun, Backtest]:
    """Choose by backtest what answers for each measure of a history, and write the run folder ``out``.

    What is kept has learned from all days, and the widths of its intervals are the mean of those from before and after
    the split; the measures in the record are those of the choice at the split. ``source`` says in the lineage what the
    history is. With a ``champion`` the record says how that would have done from the same days.
    What ``progress`` raises ends the training.

    Raises:
        DataError: the history is too short.
    """
    found = backtest(history, config, part_of(progress, 0.0, _TESTED))
    series, days = history.series, found.origins.days
    learned = learn(found.rolling, series.last_day, days, config, part_of(progress, _TESTED, 0.99))
    record = FlowRecord(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        config=config,
        dimensions=list(series.dimensions),
        measures=_final(found),
        least_days=max(28, config.sequence_length),
        metrics=metrics_of(found) | ({CHAMPION: compare_with(champion, found)} if champion else {}),
        lineage={
            "source": source,
            "first_day": str(np.datetime64(series.first_day, "D")),
            "last_day": str(np.datetime64(series.last_day, "D")),
            "days": series.days,
            "keys": len(series),
            "lstm_epochs": len(learned.curves),
        },
    )
    kept = series.since(series.last_day - SMOOTHED_DAYS + 1)
    run = FlowRun(record, kept, history.stock(series.last_day), learned)
    run.save(out)
    progress("done", 1.0)
    return run, found


def _final(found: Backtest) -> dict[str, FlowMeasure]:
    """Return the choice with widths of the forecasts that measured it, too."""
    trials, served = found.testing, found.served(found.testing)
    final = {}
    for at, measure in enumerate(MEASURES):
        scaled = (trials.truth[..., at] - served[..., at]) / trials.width[..., at]
        grains = {}
        for grain, one in found.chosen[measure].grains.items():
            inside = trials.groups.grain == grain
            kind, origin = trials.kind[:, inside], trials.origin_of(measure)
            late = calibrated(ScaledErrors(scaled[:, inside], kind, origin, is_stock=measure == STOCK))
            grains[grain] = one.model_copy(update={"quantiles": ((np.array(one.quantiles) + late) / 2).tolist()})
        final[measure] = found.chosen[measure].model_copy(update={"grains": grains})
    return final


def metrics_of(found: Backtest) -> dict[str, JsonValue]:
    """Return the errors of the test: {"errors": {measure: {method: {horizon: {wape, ...}}}}, "coverage": ...}."""
    errors: dict[str, dict[str, dict[str, JsonValue]]] = {}
    for (measure, method, horizon), one in found.scores().items():
        by_horizon = errors.setdefault(measure, {}).setdefault(method, {})
        by_horizon[str(horizon)] = {"wape": one.wape, "r2": one.r2, "rmse": one.rmse, "mae": one.mae}
    coverage: dict[str, dict[str, JsonValue]] = {}
    for (measure, horizon), (share, _) in found.coverage().items():
        coverage.setdefault(measure, {})[str(horizon) if horizon else "all"] = share
    return {"errors": {name: dict(table) for name, table in errors.items()}, "coverage": dict(coverage)}
