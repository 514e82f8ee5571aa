"""How often findings are wrong, on a few whose shares can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from service.events.vocabulary import KINDS
from service.model.manifest import MANIFEST_FILE, Manifest
from service.model.sequences import Windows
from training.runs.expected_error import KNOWN, expected_error, known_events
from training.samples.samples import Samples

JUMP = KINDS.index("jump")
EACH = 100
"""Events with one known event of their item, and as many with seven."""


def check() -> Samples:
    count = 2 * EACH
    labels = np.zeros((count, 5), dtype=np.float32)
    labels[EACH:, JUMP] = 1
    rows = np.arange(count)
    windows = Windows(rows, np.repeat([1, 7], EACH), rows, np.repeat([0, 6], EACH))
    return Samples(np.zeros((count, 3), np.float32), labels, windows, rows)


def test_the_share_of_wrong_findings_leans_on_that_of_the_kind_as_if_that_were_ten_findings() -> None:
    flags = np.zeros((2 * EACH, 5), dtype=np.bool_)
    flags[:30, JUMP] = True  # normal events, at the first scan of their items
    flags[EACH : EACH + 70, JUMP] = True  # jumps, each of them
    found = expected_error(known_events(check()), check().labels, flags)
    of_kind = 31 / 102
    assert found[JUMP][0] == pytest.approx((30 + 10 * of_kind) / 40, abs=1e-6)
    assert found[JUMP][1:-1] == pytest.approx([of_kind] * (KNOWN - 2), abs=1e-6)
    assert found[JUMP][-1] == pytest.approx(10 * of_kind / 80, abs=1e-6)


def test_where_nothing_was_ever_found_nobody_knows() -> None:
    found = expected_error(known_events(check()), check().labels, np.zeros((2 * EACH, 5), dtype=np.bool_))
    assert found == [[0.5] * KNOWN] * len(KINDS)


def test_a_training_leaves_it_behind_and_an_export_takes_it_along(tiny_run: Path, exported: Path) -> None:
    kept = json.loads((tiny_run / "run.json").read_text())["expected_error"]
    assert np.array(kept).shape == (len(KINDS), KNOWN)
    manifest = Manifest.model_validate_json((exported / "epc_lstm" / "1" / MANIFEST_FILE).read_text())
    assert manifest.expected_error == kept
    assert "expected_error" not in (exported / "epc_svm" / "1" / MANIFEST_FILE).read_text()
