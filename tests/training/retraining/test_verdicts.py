"""Files of verdicts: what counts of them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.events.columns import Events
from service.events.vocabulary import KINDS
from tests.support import worlds
from training.errors import DataError
from training.retraining.verdicts import Verdicts, read_verdicts

EVENTS = worlds.to_events(worlds.journey(worlds.code(1)))
HEAD = "event_id,kind,verdict,who,when\n"


def read(folder: Path, text: str, events: Events = EVENTS, *, files_are_named: bool = False) -> Verdicts:
    (folder / "verdicts.csv").write_text(text)
    return read_verdicts(folder / "verdicts.csv", events, files_are_named=files_are_named)


def known(found: Verdicts) -> dict[tuple[int, str], float]:
    """Return what counts by event, from 1, and kind."""
    labels = found.labels(len(EVENTS))
    return {(int(row) + 1, KINDS[kind]): float(labels[row, kind]) for row, kind in np.argwhere(~np.isnan(labels))}


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


def test_two_who_confirm_against_a_third_count_where_anomalies_are_not_rarer_than_errors(tmp_path: Path) -> None:
    events = worlds.to_events([scan for serial in range(400) for scan in worlds.journey(worlds.code(serial))])
    rng = np.random.default_rng(3)
    truth = np.stack([rng.random(len(events)) < share for share in (0.02, 0.6)])
    wrong = rng.random((3, *truth.shape)) < 0.05
    words = {True: "confirmed", False: "rejected"}
    lines = [
        f"{event_id},{kind},{words[truth[which, at] ^ wrong[number, which, at]]},{who},2026-01-01"
        for which, kind in enumerate(("jump", "epcFake"))
        for at, event_id in enumerate(events.event_id.tolist())
        for number, who in enumerate(("ann", "bob", "cay"))
    ]
    labels = read(tmp_path, HEAD + "\n".join(lines) + "\n", events).labels(len(events))
    confirmations = (truth ^ wrong).sum(axis=0)
    for which, kind in enumerate(("jump", "epcFake")):
        said = labels[:, KINDS.index(kind)]
        assert (said[confirmations[which] == 3] == 1).all()
        assert (said[confirmations[which] <= 1] == 0).all(), "who confirms alone errs"
        twice = said[confirmations[which] == 2]
        assert len(twice) > 20
        assert np.isnan(twice).all() if kind == "jump" else (twice == 1).all()
        # By the majority alone a quarter of what is confirmed of the rare kind would be none.
        assert (~truth[which][said == 1]).mean() < 0.01
        assert kind != "jump" or (~truth[which][confirmations[which] >= 2]).mean() > 0.2


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
        (
            "99,jump,confirmed,ann,2026-01-01",
            "1 of 1 verdicts are left out, on events that these data do not have: line 2",
        ),
        ("1,jump,confirmed,ann,2999-01-01", "1 of 1 verdicts are left out, said in the future: line 2 when 2999-01-01"),
        ("1,jump,NaN,ann,2026-01-01", "verdict 'NaN' is none of confirmed"),
        ("NaN,jump,confirmed,ann,2026-01-01", "event_id 'NaN' is no whole number"),
        ("1e400,jump,confirmed,ann,2026-01-01", "event_id '1e400' is no whole number"),
        (f"{10**30},jump,confirmed,ann,2026-01-01", "is no whole number"),
        (f"1,jump,confirmed,{'a' * 201},2026-01-01", "is longer than 200 characters"),
        ("1,jump,confirmed,ann,99999-01-01", "when '99999-01-01' is no time"),
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


SOME = "".join(f"{at},jump,rejected,ann,2026-01-01\n" for at in range(1, 7))


def test_verdicts_of_no_use_are_left_out_and_said(tmp_path: Path) -> None:
    others = "".join(f"{at},jump,confirmed,ann,2026-01-01\n" for at in range(90, 94))
    found = read(tmp_path, HEAD + others + SOME + "1,jump,confirmed,bob,2999-01-01\n")
    assert known(found) == {(at, "jump"): 0.0 for at in range(1, 7)}
    assert (found.said, found.left_out, len(found)) == (11, 5, 6)
    assert found.last == "2026-01-01T00:00:00+00:00"
    assert found.notices == (
        "4 of 11 verdicts are left out, on events that these data do not have: line 2 event_id 90, line 3 event_id 91,"
        " line 4 event_id 92, ..",
        "1 of 11 verdicts are left out, said in the future: line 12 when 2999-01-01",
    )
    with pytest.raises(
        DataError, match=r"6 of 13 verdicts are left out.*; 1 of 13 .*More than 50% are of no use: name the data"
    ):
        read(tmp_path, HEAD + SOME + SOME.replace(",jump", "9,jump") + "1,jump,confirmed,bob,2999-01-01\n")


def test_an_event_is_one_of_its_file(tmp_path: Path) -> None:
    head, mine = HEAD.replace("event_id", "event_id,file_id"), SOME.replace(",jump", ",1,jump")
    events = replace(EVENTS, file_id=np.ones(len(EVENTS), dtype=np.int64))
    other = mine + "3,7,jump,confirmed,bob,2026-01-01\n3,7,jump,confirmed,cid,2026-01-01\n"
    found = read(tmp_path, head + other, events, files_are_named=True)
    assert known(found)[3, "jump"] == 0.0, "event 3 of file 7 is another one"
    assert found.left_out == 2
    with pytest.raises(DataError, match=r"line 8: event_id 3 is of file 1 and of file 7, and the raw files do not say"):
        read(tmp_path, head + other, events)
    assert len(read(tmp_path, head + mine.replace(",1,", ",8,"), events)) == 6, (
        "names of files that the data do not have"
    )
    assert len(read(tmp_path, head + mine.replace(",1,", ",,"), events, files_are_named=True)) == 6
    with pytest.raises(DataError, match="line 2: file_id 'x' is no whole number, and not empty"):
        read(tmp_path, head + "3,x,jump,confirmed,bob,2026-01-01\n", events)


def test_a_name_steers_no_terminal_and_two_who_contradict_each_other_say_nothing(tmp_path: Path) -> None:
    found = read(
        tmp_path, HEAD + "1,jump,confirmed,\x1b[2Jann,2026-01-01\n1,jump,rejected,=cmd|' /C calc'!A0,2026-01-01\n"
    )
    assert found.auditors == ["=cmd|' /C calc'!A0", r"\x1b[2Jann"]
    assert known(found) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty; the first line has to name the columns"),
        (
            b"event_id,event_id,kind,verdict,who,when\n1,2,jump,confirmed,ann,2026-01-01\n",
            "column event_id is there twice",
        ),
        (b"\x00\xff\xfe\x81", "not UTF-8|no column|cannot be read"),
        (b"PK\x03\x04" + bytes(range(256)) * 40, "no text, but an Excel workbook or a ZIP archive"),
        (HEAD.encode() + "1,jump,confirmed,\u00e9ve,2026-01-01\n".encode("latin-1"), "line 2.*UTF-8"),
        (HEAD.encode() + b'1,jump,"confirmed,ann,2026-01-01\n', "line 2"),
        (HEAD.encode() + b"1,jump,confirmed,ann,2026-01-01,more,cells\n", "line 2"),
    ],
)
def test_files_that_are_none_of_verdicts_are_refused_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "verdicts.csv").write_bytes(content)
    with pytest.raises(DataError, match=reason) as refused:
        read_verdicts(tmp_path / "verdicts.csv", EVENTS)
    assert str(tmp_path / "verdicts.csv") in str(refused.value)


def test_a_file_without_verdicts_has_none_and_other_encodings_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD)
    assert (len(found), found.said, found.first, found.notices) == (0, 0, "", ())
    for encoding in ("utf-16", "utf-8-sig"):
        (tmp_path / "verdicts.csv").write_text(HEAD + SOME, encoding)
        assert len(read_verdicts(tmp_path / "verdicts.csv", EVENTS)) == 6
