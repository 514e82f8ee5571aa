"""Versions of the flow model whose answers need the network, from an exported one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from service.flow.forecast.intervals import BANDS
from service.flow.forecast.manifest import FLOW_MODEL, FlowManifest, read_flow_version
from service.flow.forecast.windows import LSTM
from service.flow.series import MEASURES
from service.model.manifest import MANIFEST_FILE
from tests.support.flows.model import METHOD


def by_network(of: FlowManifest, share: float = 1.0, **changes: Any) -> FlowManifest:  # noqa: ANN401 - its fields
    """Return a manifest of answers that are a ``share`` of what the network says, the rest being the usual."""
    weights = {LSTM: [share] * len(BANDS), METHOD: [1 - share] * len(BANDS)}
    measures = {}
    for name in MEASURES:
        one = of.measures[name]
        grains = {
            grain: how.model_copy(update={"method": "blend", "weights": weights}) for grain, how in one.grains.items()
        }
        measures[name] = one.model_copy(update={"grains": grains})
    return FlowManifest.model_validate(of.model_copy(update={"measures": measures, **changes}).model_dump())


def network_version(
    exported: Path, repository: Path, number: int, share: float = 1.0, metrics: dict[str, JsonValue] | None = None
) -> Path:
    """Write a version whose answers are a ``share`` of what the network of ``exported`` says, with its configs."""
    manifest = by_network(read_flow_version(exported).manifest, share, version=number, metrics=metrics or {})
    folder = repository / FLOW_MODEL
    shutil.copytree(exported / FLOW_MODEL / "1", folder / str(number))
    (folder / str(number) / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    shutil.copytree(exported / FLOW_MODEL / "configs", folder / "configs", dirs_exist_ok=True)
    shutil.copy(exported / FLOW_MODEL / "config.pbtxt", folder)
    return folder / str(number)
