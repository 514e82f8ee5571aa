"""Files of verdicts: what counts of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.events.vocabulary import KINDS
from tests.support import worlds
from training.errors import DataError
from training.retraining.verdicts import Verdicts, read_verdicts

EVENTS = worlds.to_events(worlds.journey(worlds.code(1)))
HEAD = "event_id,kind,verdict,who,when\n"


def read(folder: Path, text: str) -> Verdicts:
    (folder / "verdicts.csv").write_text(text)
    return read_verdicts(folder / "verdicts.csv", EVENTS)


def test_the_last_word_of_each_and_the_majority_of_all_count(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        HEAD
        + "3,epcFake,confirmed,ann,2026-01-02T10:00:00Z\n"
        + "3,epcFake,rejected,ann,2026-01-01T10:00:00Z\n"  # said before the line above
        + "3,epcFake,confirmed,bob,2026-01-01T10:00:00Z\n"
        + "3,epcFake,rejected,eve,2026-01-01T10:00:00Z\n"
        + "4,jump,rejected,ann,2026-01-01T10:00:00Z\n"
        + "5,jump,unsure,ann,2026-01-01T10:00:00+09:00\n"
        + "6,epcDup,confirmed,ann,2026-01-01T10:00:00Z\n"
        + "6,epcDup,rejected,bob,2026-01-01T10:00:00Z\n",
    )
    labels = found.labels(len(EVENTS))
    assert {(int(row) + 1, KINDS[kind]): float(labels[row, kind]) for row, kind in np.argwhere(~np.isnan(labels))} == {
        (3, "epcFake"): 1.0,
        (4, "jump"): 0.0,
    }
    assert (len(found), found.said, found.auditors) == (7, 8, ["ann", "bob", "eve"])
    assert (found.first, found.last) == ("2026-01-01T01:00:00+00:00", "2026-01-02T10:00:00+00:00")
    without = found.without(["ann"]).labels(len(EVENTS))
    assert np.isnan(without[2]).all()
    assert without[5, KINDS.index("epcDup")] == 0


def test_events_stand_for_as_many_as_their_chance_says(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        HEAD.replace("when", "when,probability")
        + "1,jump,confirmed,ann,2026-01-01T10:00:00Z,0.01\n2,jump,confirmed,ann,2026-01-01T10:00:00Z,\n",
    )
    np.testing.assert_allclose(found.weights(len(EVENTS))[:3], [100, 1, 1])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("99,jump,confirmed,ann,2026-01-01", "event_id '99' is of no event of these data"),
        ("1,jumps,confirmed,ann,2026-01-01", "kind 'jumps' is none of epcFake"),
        ("1,jump,yes,ann,2026-01-01", "verdict 'yes' is none of confirmed, rejected, unsure"),
        ("1,jump,confirmed, ,2026-01-01", "who"),
        ("1,jump,confirmed,ann,soon", "when 'soon' is no time"),
        ("one,jump,confirmed,ann,2026-01-01", "event_id 'one' is no whole number"),
        ("1,jump,confirmed,ann", "line 2"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(DataError, match="line 2") as refused:
        read(tmp_path, HEAD + line + "\n")
    assert reason in str(refused.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column who"):
        read(tmp_path, "event_id,kind,verdict,when\n1,jump,confirmed,2026-01-01\n")


def test_chances_are_shares(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="probability '0' is no number above 0"):
        read(tmp_path, HEAD.replace("when", "when,probability") + "1,jump,confirmed,ann,2026-01-01,0\n")
