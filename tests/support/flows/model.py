"""A small real model of flow in a repository of its own, and how FlowService is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import numpy as np

from export.flow import export_flow
from service.flow.plants import PlantDays, PlantPlan, generate
from service.flow.series import PLANT_DIMENSIONS, FlowSeries
from service.pb.epcsentinel.v1 import flow_pb2 as pb
from tests.support.gateway import ROOT
from training.flow.config import FlowConfig
from training.flow.history import FlowHistory
from training.flow.train import train_flow


def flow_repository(folder: Path, model: Path = ROOT / "model_repository") -> Path:
    """Return a repository in ``folder`` with what judges of ``model``, and a flow model of two plants."""
    made = folder / "repository"
    made.mkdir()
    for name in ("epc_lstm", "epc_svm"):
        (made / name).symlink_to(model / name)
    data = generate(PlantPlan(applications=["TV"], panel_sizes=["32", "55"], historical_days=120))
    train_flow(FlowHistory(series_of(data)), FlowConfig(epochs=1), folder / "run", lambda _what, _done: None)
    export_flow(folder / "run", made)
    return made


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
