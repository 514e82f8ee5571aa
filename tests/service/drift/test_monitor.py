"""Drift: the windows that the monitor rejects, and the gateway that shows it."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from service.drift.distances import histogram, quantile_cuts
from service.drift.monitor import LEVEL, Drift, DriftReference, Monitor, draw, drawn_of
from service.features.table import NAMES, feature_spec_hash
from service.model import repository
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.requests import call, many, request, scan
from tests.support.trained import TinyWorld
from tests.tools.drift_study import SHIFTS, find, held_out, judged, stay_calm
from training.runs.drift_histograms import requests
from training.runs.folder import Run

N = 200


def content(values: dict[str, np.ndarray], clusters: int = 20) -> dict[str, Any]:
    """Return a mode of the manifest's histograms."""
    count = len(next(iter(values.values())))
    cluster = np.arange(count) * clusters // count
    by_name = {name: histogram(column, cluster, quantile_cuts(column)) for name, column in values.items()}
    return {"events": count, "clusters": clusters, "histograms": by_name}


def normal_reference(features: int = 40, shift: float = 0.0) -> DriftReference:
    rng = np.random.default_rng(3)
    return DriftReference(content({n: rng.normal(shift, 1, 8_000).astype("f4") for n in NAMES[:features]}), N, 1_000)


def test_windows_of_the_same_distribution_are_rejected_no_oftener_than_the_level_says() -> None:
    reference, rng = normal_reference(), np.random.default_rng(4)
    rejected = [reference.compare(rng.normal(size=(N, 40)).astype("f4")).rejected.any() for _ in range(500)]
    assert np.mean(rejected) <= LEVEL + 0.01


def test_the_stated_distance_is_detected_in_eight_of_ten_windows() -> None:
    reference, rng = normal_reference(), np.random.default_rng(5)
    least = float(reference.detectable[0])
    assert 0.1 < least < 0.35
    shift = 2 * stats.norm.ppf((1 + least) / 2)  # two normal distributions so far apart have this distance
    moved = rng.normal(size=(200, N, 40)).astype("f4")
    moved[:, :, 0] += shift
    rejected = [reference.compare(window).rejected[0] for window in moved]
    assert np.mean(rejected) >= 0.8


def test_alike_neighbours_make_a_window_worth_less() -> None:
    rng = np.random.default_rng(6)
    alike = (rng.normal(size=20)[np.arange(8_000) * 20 // 8_000] + rng.normal(size=8_000)).astype("f4")
    free = rng.normal(size=8_000).astype("f4")
    reference = DriftReference(content({NAMES[0]: alike, NAMES[1]: free}), N, 1_000)
    assert reference.detectable[0] > 2 * reference.detectable[1]


def test_psi_is_its_textbook_formula() -> None:
    reference, rng = normal_reference(1), np.random.default_rng(7)
    window = rng.normal(0.5, 1, (10_000, 1)).astype("f4")
    tenths = stats.norm.ppf(np.linspace(0, 1, 11))
    p, q = np.full(10, 0.1), np.histogram(window[:, 0], tenths)[0] / 10_000
    assert reference.compare(window).psi[0] == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=0.25)


def test_two_windows_in_a_row_are_an_alarm_and_a_normal_one_ends_it() -> None:
    monitor, rng = Monitor(normal_reference(), N), np.random.default_rng(8)

    def window(shift: float) -> None:
        for part in np.array_split(rng.normal(shift, 1, (N, 40)).astype("f4"), 7):
            monitor.add(part)

    states = []
    for shift in (0, 2, 0, 2, 2, 2, 0):
        window(shift)
        states.append((monitor.windows, monitor.alarm))
    assert [alarm for _, alarm in states] == [False, False, False, False, True, True, False]
    assert (states[-1][0], monitor.rejected) == (7, 4)


def test_an_item_is_drawn_once() -> None:
    rng = np.random.default_rng(9)
    epc = np.repeat(np.arange(100, dtype=np.int32), 5)[rng.permutation(500)]
    counts = np.zeros(500, dtype=int)
    for _ in range(2_000):
        rows = draw(epc, 100, rng, 8)
        assert len(set(epc[rows].tolist())) == len(rows) == 8
        counts[rows] += 1
    assert counts.min() > 10  # every event has its chance: 32 are expected
    assert (drawn_of(1), drawn_of(100), drawn_of(10_000)) == (8, 8, 400)


def test_a_manifest_of_an_earlier_release_has_no_drift(
    start_gateway: Callable[..., Gateway], bundled_repository: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="export again"):
        Drift({"gap_prev": {"edges": [0, 1], "counts": [5]}}, window=N, most=1_000)
    repository = tmp_path / "repository"
    shutil.copytree(bundled_repository, repository)
    path = repository / "epc_lstm" / "1" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"histograms": {}}))
    running = start_gateway("--backend", f"onnx:{repository}", "--metrics-port", "0")
    assert "export again" in running.wait_log("no drift monitor")["reason"]
    assert get_drift(running) == {}
    call(running.target, "Analyze", many(50).SerializeToString())


def get_drift(gateway: Gateway) -> dict[str, Any]:
    port = gateway.wait_log("listening")["metrics_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/drift", timeout=10) as answer:
        return dict(json.load(answer))


def test_a_gateway_shows_drift_and_raises_the_alarm(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--metrics-port", "0", "--drift-window", "20")
    before = get_drift(running)["epc_lstm/1"]["retrospective"]
    assert (before["windows"], before["alarm"], before["features"]) == (0, False, [])
    assert value(samples(scrape(running)), "drift_alarm", mode="retrospective") == 0
    for number in range(6):
        odd = [scan(at, epc_code=f"odd-{number}-{at}", location_id=999_999) for at in range(20)]
        call(running.target, "Analyze", request(*odd).SerializeToString())
    after = get_drift(running)["epc_lstm/1"]
    assert after["causal"]["windows"] == 0
    shown = after["retrospective"]
    assert (shown["windows"], shown["rejected_windows"], shown["alarm"]) == (2, 2, True)
    worst = {row["name"] for row in shown["features"] if row["rejected"]}
    assert {"place_known", "code_well_formed", "score_epcFake"} <= worst
    found = samples(scrape(running))
    assert value(found, "drift_alarm", mode="retrospective", model_version="epc_lstm/1") == 1
    assert value(found, "drift_rejected_windows_total", mode="retrospective") == 2
    assert value(found, "drift_distance", mode="retrospective", feature="place_known") > 0.9
    assert value(found, "drift_psi", mode="retrospective", feature="place_known") > 0.25


def test_the_bundled_model_has_a_reference_for_every_feature_and_score(bundled_repository: Path) -> None:
    model = repository.load(bundled_repository, feature_spec_hash=feature_spec_hash())
    for monitor in Drift(model.manifest.histograms, window=N, most=1_000).monitors.values():
        assert len(monitor.reference.names) == len(NAMES) + 5
        assert 50 < monitor.reference.tested.sum() < len(NAMES) + 5
        assert monitor.reference.detectable[monitor.reference.names.index("score_jump")] < 0.3


def test_a_trained_run_gets_its_reference(tiny_run: Path) -> None:
    histograms = Run.load(tiny_run).record.histograms
    drift = Drift(histograms, window=N, most=1_000)
    assert set(drift.monitors) == {"retrospective", "causal"}


def test_quiet_on_stationary_traffic_and_loud_on_a_planted_shift(tiny_world: TinyWorld) -> None:
    events = held_out(tiny_world.folder, None)
    traffic = [events.take(rows) for rows in requests(events, 100)]
    calm = stay_calm(asyncio.run(judged(traffic, causal=False)), "retrospective", rounds=20)
    assert calm.windows >= 12
    assert calm.alarms == 0
    rng = np.random.default_rng(7)
    shifted = asyncio.run(judged([SHIFTS["new_places"](one, rng) for one in traffic], causal=False))
    found = find(shifted * 5, "new_places", "retrospective", starts=5)
    assert found.found == 5
    assert found.events_to_alarm is not None
    assert found.events_to_alarm[1] < 40_000
