"""Verdicts of a store as the file that a retraining reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.feedback.sql import open_verdicts
from service.feedback.store import SampledEvent
from service.feedback.verdicts import EventLabel, LabelVerdict
from service.jobs.verdict_files import verdict_file
from tests.support import worlds
from training.retraining.verdicts import read_verdicts

AT_US = 1_767_261_600_000_000  # 2026-01-01T10:00:00Z


def label(event_id: int, verdict: LabelVerdict, who: str, later_s: int = 0) -> EventLabel:
    return EventLabel("", event_id, 1, "", "jump", verdict, who, "web", AT_US + later_s * 1_000_000)


def test_last_words_of_a_store_are_read_with_their_chances(tmp_path: Path) -> None:
    store = open_verdicts(str(tmp_path / "store"))
    store.append([
        label(1, LabelVerdict.CONFIRMED, "ann"),
        label(1, LabelVerdict.REJECTED, "ann", 60),
        label(2, LabelVerdict.CONFIRMED, "bob"),
        label(3, LabelVerdict.CONFIRMED, "bob"),
        label(3, LabelVerdict.WITHDRAWN, "bob", 60),
        label(4, LabelVerdict.UNSURE, " ")._replace(labelled_at_us=0),
        label(5, LabelVerdict.UNSURE, "cid")._replace(labelled_at_us=253_402_300_799_999_999),
    ])  # fmt: skip
    none = (0.0,) * 5, (False,) * 5
    store.add_sample([SampledEvent(2, 1, "c", 1, "", "", AT_US, True, "", "m", AT_US, 0.02, *none)])
    store.close()
    path = verdict_file(str(tmp_path / "store"), tmp_path / "out")
    events = worlds.to_events(worlds.journey(worlds.code(1)))
    found = read_verdicts(path, events)
    labels = found.labels(len(events))
    jump = KINDS.index("jump")
    assert {(int(row) + 1, int(kind)): float(labels[row, kind]) for row, kind in np.argwhere(~np.isnan(labels))} == {
        (1, jump): 0.0,
        (2, jump): 1.0,
    }
    np.testing.assert_allclose(found.weights(len(events))[:3], [1, 50, 1])
    assert found.auditors == ["ann", "bob", "web"], "who says nothing of himself is who sent it"
    assert (found.first, found.last) == ("1970-01-01T00:00:00+00:00", "2026-01-01T10:01:00+00:00")
    assert found.notices == (
        "1 of 4 verdicts are left out, said in the future: line 5 when 9999-12-31T23:59:59.999999+00:00",
    )
    assert verdict_file(str(path), tmp_path) == path


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="neither a CSV file of verdicts nor the folder of serve --verdicts"):
        verdict_file(str(tmp_path / "nowhere"), tmp_path)
    with pytest.raises(CommandError, match="has no verdict yet"):
        verdict_file(str(tmp_path), tmp_path / "out")


def test_files_are_told_and_names_stay_in_their_line_and_run_nothing(tmp_path: Path) -> None:
    store = open_verdicts(str(tmp_path / "store"))
    store.append([
        label(1, LabelVerdict.CONFIRMED, "ann\nbob"),
        label(1, LabelVerdict.REJECTED, "=1+1")._replace(file_id=7),
    ])  # fmt: skip
    store.close()
    path = verdict_file(str(tmp_path / "store"), tmp_path / "out")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert [row[:2] + row[4:5] for row in rows] == [
        ["event_id", "file_id", "who"], ["1", "1", r"ann\nbob"], ["1", "7", "'=1+1"],
    ]  # fmt: skip
