"""From a history to a run folder: backtest, choice, and what the chosen methods need."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from service.flow.series import FlowSeries
from service.progress import Progress
from training.flow.backtest import Backtest, backtest
from training.flow.config import FlowConfig
from training.flow.run import FlowRecord, FlowRun

HISTORY_DAYS = 200
"""Of the series that a model takes along: what forecasts start from."""


def train_flow(
    series: FlowSeries, config: FlowConfig, out: Path, progress: Progress, source: str = ""
) -> tuple[FlowRun, Backtest]:
    """Choose by backtest what answers for each measure of ``series``, and write the run folder ``out``.

    ``source`` says in the lineage what the series are. What ``progress`` raises ends the training.

    Raises:
        DataError: the history is too short.
    """
    found = backtest(series, config, progress)
    record = FlowRecord(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        config=config,
        dimensions=list(series.dimensions),
        measures=found.chosen,
        least_days=28,
        metrics=_metrics(found),
        lineage={"source": source, "first_day": series.first_day, "last_day": series.last_day, "keys": len(series)},
    )
    run = FlowRun(record, series.since(series.last_day - HISTORY_DAYS + 1))
    run.save(out)
    progress("done", 1.0)
    return run, found


def _metrics(found: Backtest) -> dict[str, JsonValue]:
    """Return the errors of the test: {measure: {method: {horizon: {wape, r2, rmse, mae}}}}."""
    table: dict[str, JsonValue] = {}
    for (measure, method, horizon), one in found.scores().items():
        by_method = table.setdefault(measure, {})
        assert isinstance(by_method, dict)  # noqa: S101 - made two lines above
        by_horizon = by_method.setdefault(method, {})
        assert isinstance(by_horizon, dict)  # noqa: S101 - likewise
        by_horizon[str(horizon)] = {"wape": one.wape, "r2": one.r2, "rmse": one.rmse, "mae": one.mae}
    return table
