"""What stands still at the end of a history: in the answer as a number, and in no departure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.api.flow.forecasts import predict
from service.flow.forecast.intervals import BANDS
from service.flow.forecast.manifest import FLOW_MODEL, HISTORY_FILE, STOCK_FILE, FlowManifest, read_flow_version
from service.flow.forecast.stock import Stock, StockFlow
from service.flow.series import SCAN_DIMENSIONS, FlowSeries
from service.flow.shelf import FlowShelf
from service.model.manifest import MANIFEST_FILE
from service.pb.epcsentinel.v1 import flow_pb2 as pb
from tests.support.flows.items import items
from tests.support.flows.model import flow_version

STOOD = 40


def stocked(folder: Path, history: FlowSeries, stock: Stock) -> FlowShelf:
    """Return the shelf of a version that forecasts by the items alone."""
    version = flow_version(folder)
    manifest = read_flow_version(folder).manifest
    files = {HISTORY_FILE: history.to_bytes(), STOCK_FILE: stock.to_bytes()}
    measures = {}
    for name, one in manifest.measures.items():
        by_items = {"method": StockFlow.name, "weights": {StockFlow.name: [1.0] * len(BANDS)}}
        measures[name] = one.model_copy(update={"grains": {"": one.grains[""].model_copy(update=by_items)}})
    changes = {
        "dimensions": list(SCAN_DIMENSIONS),
        "measures": measures,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    for name, content in files.items():
        (version / name).write_bytes(content)
    text = FlowManifest.model_validate(manifest.model_copy(update=changes).model_dump()).to_json()
    (folder / FLOW_MODEL / "1" / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return FlowShelf(folder)


def test_an_answer_names_what_stands_still_and_expects_none_of_it_to_leave(tmp_path: Path) -> None:
    series, known = items(300, 8.0)
    split = series.last_day - 30
    history, stock = series.until(split), known.stock(split)
    key = int(np.flatnonzero((stock.there.sum(axis=1) > 0) & (stock.series_key >= 0))[0])
    there = stock.there.copy()
    there[key, 60] += STOOD
    wip = history.wip.copy()
    wip[stock.series_key[key], -60:] += STOOD
    site = str(history.keys[stock.series_key[key], 0])
    (tmp_path / "usual").mkdir()
    (tmp_path / "stuck").mkdir()
    usual = stocked(tmp_path / "usual", history, stock)
    stuck = stocked(tmp_path / "stuck", replace(history, wip=wip), replace(stock, there=there))
    request = pb.FlowServicePredictRequest(site=site, prediction_days=14)
    before, found = predict(usual, request), predict(stuck, request)
    assert [one.rule for one in before.advice] == ["feasible_throughput"]
    said = {one.rule: one for one in found.advice}["stalled"]
    assert said.numbers["stalled_items"] == STOOD
    assert said.numbers["wip"] == pytest.approx(wip[stock.series_key[key], -1])
    assert f"{STOOD} of" in said.text
    for one, other in zip(found.days, before.days, strict=True):
        assert one.throughput.value == pytest.approx(other.throughput.value)
        assert one.wip.value == pytest.approx(other.wip.value + STOOD)
