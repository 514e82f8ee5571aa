"""A small model of flow in a repository of its own, by what needs no training, and how FlowService is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from pydantic import JsonValue

from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.intervals import BANDS, KINDS_OF_SERIES, PROBABILITIES
from service.flow.forecast.manifest import FLOW_MODEL, HISTORY_FILE, FlowGrain, FlowManifest, FlowMeasure
from service.flow.gate import CHAMPION, SERVED
from service.flow.plants import PlantDays, PlantPlan, generate
from service.flow.series import MEASURES, PLANT_DIMENSIONS, FlowSeries
from service.model.manifest import MANIFEST_FILE, digest_of
from service.pb.epcsentinel.v1 import flow_pb2 as pb
from tests.support.gateway import ROOT

METHOD = "weekday mean"


def flow_repository(folder: Path, model: Path = ROOT / "model_repository") -> Path:
    """Return a repository in ``folder`` with what judges of ``model``, and a flow model of two plants."""
    made = folder / "repository"
    made.mkdir()
    for name in ("epc_lstm", "epc_svm"):
        (made / name).symlink_to(model / name)
    flow_version(made)
    return made


def flow_version(
    repository: Path,
    number: int = 1,
    metrics: dict[str, JsonValue] | None = None,
    panel_sizes: Sequence[str] = ("32", "55"),
    gain: float = 0.0,
) -> Path:
    """Write a version of the flow model of two plants, and return its folder."""
    data = generate(PlantPlan(applications=["TV"], panel_sizes=panel_sizes, historical_days=60))
    history = series_of(data).to_bytes()
    quantiles = [np.quantile(np.random.default_rng(1).normal(size=999), PROBABILITIES).tolist() for _ in BANDS]
    grain = FlowGrain(
        method=METHOD,
        weights={METHOD: [1.0] * len(BANDS)},
        baseline=METHOD,
        gain=gain,
        quantiles=[quantiles] * KINDS_OF_SERIES,
    )
    measure = FlowMeasure(method=METHOD, baseline=METHOD, gain=gain, grains={"": grain})
    manifest = FlowManifest(
        format=1,
        model="epc_flow",
        version=number,
        created_at="2026-01-01T00:00:00+00:00",
        dimensions=list(PLANT_DIMENSIONS),
        measures=dict.fromkeys(MEASURES, measure),
        least_days=28,
        settings={},
        metrics=metrics or {},
        lineage={"source": "plants"},
        files={HISTORY_FILE: hashlib.sha256(history).hexdigest()},
    )
    version = repository / FLOW_MODEL / str(number)
    version.mkdir(parents=True)
    (version / HISTORY_FILE).write_bytes(history)
    (version / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    return version


def backtest_metrics(served: float = 0.1, plain: float = 0.1) -> dict[str, JsonValue]:
    """Return the metrics of a backtest, of WAPEs that are the same for each measure and horizon."""
    by_method: dict[str, JsonValue] = {one.name: {"7": {"wape": plain}} for one in BASELINES}
    return {"errors": {measure: {SERVED: {"7": {"wape": served}}, **by_method} for measure in MEASURES}}


def coverage_metrics(*shares: float) -> dict[str, JsonValue]:
    """Return the metrics of a backtest whose intervals held these ``shares``, by measure."""
    return {"coverage": {measure: {"7": 0.5, "all": share} for measure, share in zip(MEASURES, shares, strict=True)}}


def champion_metrics(champion: Path, its: float, served: float = 0.1) -> dict[str, JsonValue]:
    """Return the metrics of a backtest that had the version in the folder ``champion`` beside it."""
    errors: dict[str, JsonValue] = {measure: {"7": {SERVED: served, CHAMPION: its}} for measure in MEASURES}
    compared: dict[str, JsonValue] = {"manifest_sha256": digest_of(champion / MANIFEST_FILE), "errors": errors}
    return {**backtest_metrics(served), CHAMPION: compared}


def series_of(data: PlantDays) -> FlowSeries:
    """Return generated data as series."""
    count, days = data.arrivals.shape
    keys = [np.repeat(np.array([name[at] for name in data.names]), days) for at in range(len(PLANT_DIMENSIONS))]
    columns = (data.wip, data.departures, data.dwell_h)
    return FlowSeries.from_rows(
        PLANT_DIMENSIONS, keys, np.tile(data.day, count), *(column.reshape(-1) for column in columns)
    )


def ask_flow(target: str, method: str, request: Any = None, token: str = "", **fields: object) -> Any:  # noqa: ANN401
    """Return the answer of a method of FlowService."""
    asked = request or getattr(pb, f"FlowService{method}Request")(**fields)
    answers = getattr(pb, f"FlowService{method}Response")
    with grpc.insecure_channel(target, [("grpc.max_receive_message_length", -1)]) as channel:
        raw = channel.unary_unary(f"/epcsentinel.v1.FlowService/{method}")(
            asked.SerializeToString(), timeout=60, metadata=[("authorization", f"Bearer {token}")] if token else []
        )
    return answers.FromString(raw)
