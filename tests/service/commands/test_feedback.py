"""``audit``, ``label`` and ``accuracy``: sheets go out without scores and come back filled in, once."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.jobs.feedback import SHEET, read_labels, read_sheet
from service.pb.epcsentinel.v1 import feedback_pb2 as fb
from tests.k8s.workflow import step
from tests.service.feedback.labels import ask, wait_for_sample
from tests.support.command import assert_one_line, run
from tests.support.gateway import Gateway
from tests.support.requests import call, request, scan


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that asks about every event, and has judged four, one of them forged."""
    with Gateway("--verdicts", str(tmp_path_factory.mktemp("verdicts")), "--audit-share", "1") as running:
        events = (*map(scan, (1, 2, 3)), scan(4, epc_code="=HYPERLINK(1)"))
        call(running.target, "Analyze", request(*events).SerializeToString())
        wait_for_sample(running.target)
        yield running


def test_a_sheet_goes_out_without_scores_and_comes_back_once(asking: Gateway, tmp_path: Path) -> None:
    sheet, target = tmp_path / "waiting.csv", asking.target
    done = run(*step("audit-export", audit=tmp_path, target=target))
    assert done.stdout == f"4 of 4 events that wait for a verdict are in {sheet}\n", done.stderr
    rows = list(csv.DictReader(sheet.read_text("utf-8-sig").splitlines()))
    assert (tuple(rows[0]), rows[3]["epc_code"]) == (SHEET, "'=HYPERLINK(1)")
    assert not [row[kind] for row in rows for kind in KINDS if row[kind]]
    for row in rows[1:]:
        row.update(dict.fromkeys(KINDS, "0"), epcFake="1" if row["event_id"] == "4" else "no", note="seen, all of it")
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, SHEET, delimiter=";")  # as spreadsheets of some countries write it
        writer.writeheader()
        writer.writerows(rows)
    for new in (15, 0):
        done = run(*step("audit-import", sheet=sheet, who="ann", target=target))
        assert done.stdout == f"{new} of 15 verdicts are new\n", done.stderr
    assert run("audit", "export", "--who", "ann", "--target", target).stdout.splitlines()[1][:4] == "1,1,"
    shown = run("accuracy", "--target", target)
    assert "epc_lstm/1" in shown.stdout
    assert "100.0%" in shown.stdout
    assert '"averagePrecision"' in run("accuracy", "--json", "--target", target).stdout


def test_labels_are_sent_from_a_list(asking: Gateway, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("event_id,file_id,kind,verdict,who\n901,7,jump,confirmed,\n902,7,jump,rejected,bob\n")
    done = run("label", labels, "--who", "cid", "--target", asking.target)
    assert done.stdout == "2 of 2 verdicts are new\n", done.stderr
    found = ask(asking.target, fb.ListLabelsRequest(event_ids=[901, 902])).labels
    assert [(one.who, one.verdict) for one in found] == [
        ("cid", fb.LABEL_VERDICT_CONFIRMED), ("bob", fb.LABEL_VERDICT_REJECTED),
    ]  # fmt: skip


def test_failures_are_one_line(gateway: Gateway, asking: Gateway, tmp_path: Path) -> None:
    assert_one_line(run("accuracy", "--target", gateway.target), 1, "UNIMPLEMENTED", "--verdicts")
    labels = tmp_path / "labels.csv"
    labels.write_text("event_id,file_id,kind,verdict\n1,1,fake,1\n")
    assert_one_line(run("label", labels, "--who", "a", "--target", asking.target), 1, "labels[0].kind: is 'fake'")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("event_id,file_id,kind\n1,1,jump", "has no column verdict"),
        ("event_id,file_id,kind,verdict\n1,1,jump,maybe", ":2: verdict is 'maybe': write 1"),
        ("event_id,file_id,kind,verdict\n1.5,1,jump,1", ":2: event_id is '1.5'"),
        ("event_id,file_id,kind,verdict\n1,99999999999999999999,jump,1", ":2: file_id is"),
        ("event_id,file_id,kind,verdict,labelled_at\n1,1,jump,1,yesterday", ":2: labelled_at is 'yesterday'"),
        ("event_id,file_id,kind,verdict,labelled_at\n1,1,jump,1,0001-01-01T00:00:00+09:00", ":2: labelled_at is '0001"),
        (f"event_id,file_id,kind,verdict,note\n1,1,jump,1,{'x' * 200_000}", ":2: field larger than"),
    ],
)
def test_lists_of_no_use_are_refused_with_the_place(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(CommandError, match=says):
        read_labels(tmp_path / "a.csv", "ann")
    with pytest.raises(CommandError, match=r"no column"):
        read_sheet(tmp_path / "a.csv", "ann")


def test_times_of_labels_are_instants(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "event_id,file_id,kind,verdict,labelled_at\n1,1,jump,?,2025-07-01T10:00:00+09:00\n2,1,jump,undo,\n"
    )
    first, second = read_labels(tmp_path / "a.csv", "ann")
    assert first.labelled_at.ToJsonString() == "2025-07-01T01:00:00Z"
    assert (first.verdict, second.verdict) == (fb.LABEL_VERDICT_UNSURE, fb.LABEL_VERDICT_WITHDRAWN)
    assert not second.HasField("labelled_at")
