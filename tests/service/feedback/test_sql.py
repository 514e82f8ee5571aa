"""The store of verdicts: appended once, never changed, whoever writes at the same time."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import CommandError, VerdictsUnavailable
from service.feedback.sql import FILE, SqlVerdicts, open_verdicts
from service.feedback.verdicts import LabelVerdict, agreed, latest
from tests.servers.postgres import Postgres
from tests.service.feedback.samples import label, sampled


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, or a new database of a real server."""
    if request.param == "sqlite":
        return str(tmp_path / "verdicts")
    server: Postgres = request.getfixturevalue("postgres")
    return server.create(f"verdicts_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def store(where: str) -> Iterator[SqlVerdicts]:
    opened = open_verdicts(where)
    yield opened
    opened.close()


def test_a_label_is_there_once_however_often_it_is_sent(store: SqlVerdicts) -> None:
    [first], new = store.append([label(7)])
    assert (new, first.sequence, first.label_id != "") == (1, 1, True)
    assert store.append([label(7, labelled_at_us=9_000)]) == ([first], 0)
    assert store.append([label(8, label_id="mine"), label(8, label_id="mine")])[1] == 1
    assert store.append([label(8, LabelVerdict.REJECTED, label_id="mine")])[0][0].verdict == LabelVerdict.CONFIRMED
    assert [one.event_id for one in store.labels()] == [7, 8]


def test_later_words_of_a_person_supersede_earlier_ones_and_undo_is_a_word(store: SqlVerdicts) -> None:
    for verdict in (LabelVerdict.CONFIRMED, LabelVerdict.REJECTED, LabelVerdict.WITHDRAWN, LabelVerdict.CONFIRMED):
        assert store.append([label(7, verdict)])[1] == 1
    assert len(store.labels()) == 4  # nothing is ever changed
    [((claim, who), last)] = latest(store.labels()).items()
    assert (claim, who, last.verdict, last.sequence) == ((1, 7, "jump"), "ann", LabelVerdict.CONFIRMED, 4)
    store.append([label(7, LabelVerdict.REJECTED, labelled_at_us=500)])  # an old sheet that comes late
    assert agreed(store.labels()) == {(1, 7, "jump"): True}


def test_the_majority_of_persons_counts() -> None:
    ann, bob, cid = (label(7, who=who) for who in ("ann", "bob", "cid"))
    no = LabelVerdict.REJECTED
    assert agreed([ann, bob._replace(verdict=no)]) == {}
    assert agreed([ann, bob._replace(verdict=no), cid._replace(verdict=no)]) == {(1, 7, "jump"): False}
    assert agreed([ann, bob._replace(verdict=LabelVerdict.UNSURE)]) == {(1, 7, "jump"): True}
    assert agreed([ann._replace(verdict=LabelVerdict.UNSURE)]) == {}


def test_what_the_detector_said_comes_from_the_audit_sample(store: SqlVerdicts) -> None:
    store.add_sample([sampled(7, 0.9)])
    [[known], _], [[unknown], _], [[told], _] = (
        store.append([one]) for one in (label(7), label(8), label(7, who="bob", score=0.25, flagged=False))
    )
    assert (known.score, known.flagged, known.model_version, known.epc_code) == (0.9, True, "epc_lstm/1", "code-7")
    assert (unknown.score, unknown.flagged, unknown.model_version) == (None, None, "")
    assert (told.score, told.flagged) == (0.25, False)


def test_an_event_that_is_judged_again_is_in_the_sample_once_a_mode(store: SqlVerdicts) -> None:
    store.add_sample([sampled(7, 0.2), sampled(8)])
    before = store.state()
    store.add_sample([sampled(7, 0.9, judged_at_us=3_000), sampled(7, 0.4, causal=True, judged_at_us=3_000)])
    assert store.state() != before
    found = {(event.event_id, event.causal): event.scores[4] for event in store.sample()}
    assert found == {(7, False): 0.9, (8, False): 0.9, (7, True): 0.4}
    assert store.sample()[0] == sampled(7, 0.9, judged_at_us=3_000)
    assert store.sample("epc_lstm/2") == store.sample(file_ids=[2]) == store.sampled_files("epc_lstm/2") == []
    assert len(store.sample("epc_lstm/1", file_ids=[1, 2])) == len(store.sample()) == 3
    assert {(one.causal, one.file_id, one.judged_at_us) for one in store.sampled_files()} == {
        (False, 1, 3_000),
        (True, 1, 3_000),
    }


def test_who_is_asked_about_what(store: SqlVerdicts) -> None:
    store.add_sample([sampled(at, causal=causal, file_id=at % 2) for at in range(9, 3, -1) for causal in (False, True)])
    said = [
        label(9, who="ann", file_id=1),
        label(8, who="bob", file_id=0),
        label(7, who="ann", file_id=0),  # another file's event of that number
        label(6, who="ann", file_id=0),
        label(6, LabelVerdict.WITHDRAWN, who="ann", file_id=0, labelled_at_us=2_000),
        label(5, LabelVerdict.WITHDRAWN, who="ann", file_id=1, labelled_at_us=2_000),
        label(5, who="ann", file_id=1, labelled_at_us=1_000),  # said before, and sent later
    ]
    store.append(said)

    def asked(who: str, limit: int = 10) -> tuple[list[int], int]:
        events, waiting = store.waiting(who, limit)
        return [event.event_id for event in events], waiting

    assert asked("") == ([7, 6, 5, 4], 4)
    assert asked("ann") == ([8, 7, 6, 5, 4], 5)
    assert asked("bob", 2) == ([9, 7], 5)
    assert asked("cho")[1] == 6


def test_several_writers_lose_nothing_and_append_nothing_twice(where: str) -> None:
    def write(number: int) -> None:
        own = open_verdicts(where)
        for event in range(25):
            own.append([label(event), label(event, who=f"writer {number}")])
        own.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    store = open_verdicts(where)
    said = [(one.event_id, one.who) for one in store.labels()]
    assert len(said) == len(set(said)) == 25 * 5
    assert [one.sequence for one in store.labels()] == sorted({one.sequence for one in store.labels()})
    assert len(store.labels(event_ids=[3, 4], limit=6)) == 6
    store.close()


def test_labels_of_one_call_are_appended_all_or_none(store: SqlVerdicts) -> None:
    with pytest.raises(VerdictsUnavailable, match="verdicts cannot be used"):
        store.append([label(1), label(2, note=None)])
    assert store.append([label(3)])[1] == 1  # over a new connection
    assert [one.event_id for one in store.labels()] == [3]


def test_a_store_that_is_none_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match=r"cannot keep verdicts in .*/file: .*--verdicts"):
        open_verdicts(str(tmp_path / "file"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / FILE).write_text("no database, but long enough to be taken for one" * 100)
    with pytest.raises(CommandError, match="cannot keep verdicts in"):
        open_verdicts(str(tmp_path / "bad"))
    with pytest.raises(CommandError, match="cannot keep verdicts in the database") as failed:
        open_verdicts("postgresql://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(failed.value)
    with pytest.raises(CommandError, match="cannot keep verdicts in the database"):
        open_verdicts("postgres://me:secret@127.0.0.1:1/none")
    with pytest.raises(CommandError, match=r"no verdicts are kept in a mysql: name a folder or postgresql://"):
        open_verdicts("mysql://me:secret@127.0.0.1:1/none")


def test_others_read_while_a_gateway_writes(tmp_path: Path) -> None:
    store = open_verdicts(str(tmp_path / "verdicts"))
    store.append([label(1)])
    reader = sqlite3.connect(f"file:{tmp_path / 'verdicts' / FILE}?mode=ro", uri=True)
    assert reader.execute("SELECT event_id, verdict FROM labels").fetchall() == [(1, "confirmed")]
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM labels").fetchone()
    assert store.append([label(2)])[1] == 1
    reader.close()
