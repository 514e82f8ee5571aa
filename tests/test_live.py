"""Causal judgement of events as they happen, with the bundled model."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from service.events import KINDS
from service.parts import build_parts
from service.pipeline import Analyzer
from service.settings import load_settings
from tests import worlds

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return build_parts(load_settings(backend=f"onnx:{ROOT / 'model_repository'}")).analyzer


@pytest.mark.parametrize("detector", ["lstm", "rules"])
def test_what_comes_later_changes_no_causal_score(analyzer: Analyzer, detector: str) -> None:
    events = worlds.to_events(worlds.shipment(worlds.ROUTE, range(4_000, 4_012)))
    until = events.time_us <= np.median(events.time_us)
    whole = asyncio.run(analyzer.follow(events, detector))
    first = asyncio.run(analyzer.follow(events.take(until), detector))
    assert 0 < until.sum() < len(events)
    assert np.allclose(whole.scores[until], first.scores, atol=1e-5)


def test_a_forged_code_is_found_at_its_first_scan(analyzer: Analyzer) -> None:
    forged = worlds.Scan("not a code", "HUB_Inbound", 13, worlds.START + timedelta(hours=1))
    events = worlds.to_events([*worlds.shipment(worlds.ROUTE, range(4_000, 4_004)), forged])
    verdicts = asyncio.run(analyzer.follow(events))
    assert verdicts.flags[-1, KINDS.index("epcFake")]
    assert verdicts.method == "lstm-deep-learning"
