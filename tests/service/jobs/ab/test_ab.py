"""``models ab``: two versions on the same events, of files and of what gateways kept, with truth and with verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from service.feedback.sql import open_verdicts
from service.feedback.verdicts import LabelVerdict
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from tests.service.feedback.samples import label, sampled
from tests.support.command import assert_one_line, run
from tests.support.versions import add_version


@pytest.fixture(scope="module")
def repository(bundled_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions, of which the second is as right and much more suspicious."""
    return add_version(bundled_repository, tmp_path_factory.mktemp("ab") / "repository", logit_shift=2.0)


def test_files_are_judged_by_both_and_measured_by_truth_or_verdicts(
    repository: Path, replayed_world: Path, tmp_path: Path
) -> None:
    files = raw_files([replayed_world])
    asked = ("models", "ab", *files, "--versions", "1", "2", "--repository", repository, "--json")
    by_truth = run(*asked, "--truth", replayed_world / "truth.parquet")
    found = json.loads(by_truth.stdout)
    events = read_files(files).events
    for one in found["findingsOf1000Events"]:
        assert one["events"] == len(events)
        assert one["second"] - one["first"] == pytest.approx(one["value"])
        assert one["second_alone"] - one["first_alone"] == pytest.approx(one["value"])
        assert one["first_alone"] == 0
    jump = next(one for one in found["findingsOf1000Events"] if one["kind"] == "jump")
    assert 0 < jump["low"] < jump["value"] < jump["high"]
    *kinds, mean = found["averagePrecision"]
    assert {one["kind"] for one in kinds} >= {"jump", "locErr"}
    assert all(one["first"] > 0.85 and abs(one["value"]) < 0.02 for one in (*kinds, mean))
    rounding = 1e-12  # where both have the same
    assert mean["low"] - rounding <= mean["value"] <= mean["high"] + rounding

    # The same truth as verdicts on a sample that has every event.
    truth = pyarrow.parquet.read_table(replayed_world / "truth.parquet", columns=["event_id", "jump"]).to_pylist()
    file_of = dict(zip(events.event_id.tolist(), events.file_id.tolist(), strict=True))
    store = open_verdicts(str(tmp_path))
    store.add_sample([sampled(row["event_id"], file_id=file_of[row["event_id"]], probability=1.0) for row in truth])
    said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
    store.append([label(row["event_id"], said[bool(row["jump"])], file_id=file_of[row["event_id"]]) for row in truth])
    store.close()
    by_verdicts = json.loads(run(*asked, "--verdicts", tmp_path).stdout)
    [of_jump] = [one for one in by_verdicts["averagePrecision"] if one["kind"] == "jump"]
    [expected] = [one for one in kinds if one["kind"] == "jump"]
    assert [of_jump[name] for name in ("known", "anomalies", "first", "second")] == pytest.approx(
        [expected[name] for name in ("known", "anomalies", "first", "second")]
    )


def test_what_gateways_kept_of_both_is_compared_without_files(tmp_path: Path) -> None:
    store = open_verdicts(str(tmp_path))
    events = range(120)
    store.add_sample([sampled(at, ((at * 37) % 97) / 97) for at in events])
    store.add_shadow([sampled(at, 0.9 if at % 3 == 0 else 0.1, model_version="epc_lstm/2") for at in events])
    said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
    store.append([label(at, said[at % 3 == 0]) for at in events])
    store.close()
    shown = run("models", "ab", "--versions", "1", "2", "--verdicts", tmp_path).stdout
    [line] = [line for line in shown.splitlines() if "40" in line.split() and "jump" in line]
    assert line.split()[:6] == ["retrospective", "jump", "120", "40", line.split()[4], "1.0000"]
    assert_one_line(run("models", "ab", "--versions", "2", "1", "--verdicts", tmp_path), 1, "--shadow-percent")
    assert_one_line(run("models", "ab", "--versions", "1", "2"), 2, "nothing to compare")


def test_a_truth_of_other_files_or_of_no_kinds_is_refused(
    replayed_world: Path, repository: Path, tmp_path: Path
) -> None:
    [file, *_] = raw_files([replayed_world])
    asked = ("models", "ab", file, "--versions", "1", "1", "--repository", repository, "--truth")
    wrong = tmp_path / "truth.csv"
    wrong.write_text("event_id,epcFake,epcDup,locErr,evtOrderErr,jump\n1,0,0,0,0,perhaps\n")
    assert_one_line(run(*asked, tmp_path / "none.csv"), 1, "no such truth table")
    done = run(*asked, wrong)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        f"error: {wrong}:2: no event_id and five kinds of 0 or 1: epcFake, epcDup, locErr, evtOrderErr, jump",
    )
