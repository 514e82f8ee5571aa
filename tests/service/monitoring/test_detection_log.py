"""The detection log: what was judged can be read back, trained on, and never fills the disk."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.detect.detector import Judgement
from service.detect.names import Method
from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.monitoring import detection_log
from service.monitoring.detection_log import DetectionLog
from service.monitoring.records import Analysis
from tests.support.gateway import ROOT, Gateway
from tests.support.requests import call, many, request, scan
from tests.support.trained import TinyWorld
from training.datasets import dataset
from training.datasets.truth import load_truth

LARGE = 10**9


def analysis(events: Events, request_id: str = "r") -> Analysis:
    scores = np.random.default_rng(1).random((len(events), 5), dtype=np.float32)
    judgement = Judgement(scores, scores > 0.9, Method.LSTM, "epc_lstm/1")
    return Analysis("Analyze", request_id, "", "", b"", "lstm", events, judgement, b"", "OK")


def rows(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))], ignore_index=True)


def test_what_is_logged_is_read_back_as_it_was_judged(tiny_world: TinyWorld, tmp_path: Path) -> None:
    events = tiny_world.dataset.events.take(np.arange(1_000))
    given = analysis(events)
    log = DetectionLog(tmp_path, max_bytes=LARGE)
    log.analysed(given)
    log.analysed(replace_code(given, "INVALID_ARGUMENT"))
    log.close()
    found = rows(tmp_path)
    assert (len(found), log.written, log.dropped) == (1_000, 1_000, 0)
    assert given.judgement is not None
    np.testing.assert_array_equal(found[list(KINDS)].to_numpy(), given.judgement.scores)
    np.testing.assert_array_equal(found[[f"{kind}Flag" for kind in KINDS]].to_numpy(), given.judgement.flags)
    np.testing.assert_array_equal(found.event_id, events.event_id)
    assert found.epc_code.tolist() == [events.epc_codes[code] for code in events.epc.tolist()]
    np.testing.assert_array_equal(found.event_time.to_numpy("datetime64[us]").astype(np.int64), events.time_us)
    assert set(found.model_version) == {"epc_lstm/1"}


def replace_code(given: Analysis, code: str) -> Analysis:
    return Analysis(given.method, "bad", "", "", b"", "", given.events, given.judgement, b"", code)


def conversion() -> str:
    """Return the program that docs/monitoring.md gives for training on the log."""
    text = (ROOT / "docs" / "monitoring.md").read_text()
    return text.partition("```python\n")[2].partition("```")[0]


def test_the_documented_program_makes_a_training_folder_of_it(tiny_world: TinyWorld, tmp_path: Path) -> None:
    events = tiny_world.dataset.events.take(np.arange(3_000))
    log = DetectionLog(tmp_path / "detections", max_bytes=LARGE)
    for part in np.array_split(np.arange(3_000), 3):
        log.analysed(analysis(events.take(part)))
    log.analysed(analysis(events.take(np.arange(100)), "again"))  # a caller that asks twice
    log.close()
    program = conversion().replace("data/from-service", str(tmp_path / "world"))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("locations.csv", "transitions.csv"):
        (tmp_path / "world" / name).write_bytes((tiny_world.folder / name).read_bytes())
    world = dataset.load(tmp_path / "world")
    assert world.quarantined == 0
    order, wanted = np.argsort(world.events.event_id), np.argsort(events.event_id)
    for column in ("event_id", "location_id", "step", "event_type", "time_us"):
        np.testing.assert_array_equal(getattr(world.events, column)[order], getattr(events, column)[wanted])
    labels = load_truth(tmp_path / "world" / "truth.parquet", world.events).labels
    assert labels.shape == (3_000, 5)
    assert 0.05 < labels.mean() < 0.95


def test_the_oldest_files_go_when_there_are_too_many_bytes(
    tiny_world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection_log, "FILE_EVENTS", 500)
    events = tiny_world.dataset.events
    log = DetectionLog(tmp_path, max_bytes=60_000)
    for number in range(12):
        log.analysed(analysis(events.take(np.arange(500) + 500 * number), str(number)))
    log.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 60_000
    kept = rows(tmp_path).request_id.unique().tolist()
    assert kept == [str(number) for number in range(12 - len(kept), 12)]
    assert 1 <= len(kept) < 12


def test_a_slow_disk_drops_and_counts(tiny_world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection_log, "QUEUE_EVENTS", 1_200)
    monkeypatch.setattr(detection_log, "FILE_EVENTS", 1)
    log = DetectionLog(tmp_path, max_bytes=LARGE)
    write, go_on = log._parquet.write_table, threading.Event()
    monkeypatch.setattr(log._parquet, "write_table", lambda *a, **k: (go_on.wait(), write(*a, **k)))
    events = tiny_world.dataset.events.take(np.arange(500))
    for _ in range(5):
        log.analysed(analysis(events))
    go_on.set()
    log.close()
    assert (log.written, log.dropped) == (1_000, 1_500)


def test_a_folder_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="--detection-log"):
        DetectionLog(tmp_path / "file" / "folder", max_bytes=LARGE)


def test_a_gateway_writes_what_it_judged_before_it_goes(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    running = start_gateway("--detection-log", str(tmp_path))
    call(running.target, "Analyze", many(50).SerializeToString(), metadata=(("x-request-id", "first"),))
    call(running.target, "Analyze", request(scan(77, epc_code="forged")).SerializeToString())
    running.stop()
    found = rows(tmp_path)
    assert len(found) == 51
    assert set(found.request_id[:50]) == {"first"}
    assert found.set_index("event_id").loc[77, "epcFake"] >= 0.99
