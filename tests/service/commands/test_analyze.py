"""``analyze`` on raw files: tables, JSON and CSV, in this process and at a gateway."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.command import FORGED, HEADER, NORMAL, SAMPLE, assert_one_line, run
from tests.support.gateway import Gateway
from tests.support.requests import NORMAL_CODE


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "scans.csv"
    path.write_text(HEADER + FORGED)
    return path


def test_real_rows_are_normal_journeys() -> None:
    done = run("analyze", SAMPLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No findings in 13 events of 2 EPCs.\nJudged by lstm-deep-learning epc_lstm/")


def test_a_table_shows_what_and_where_and_when(tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    path.write_text(f"scan_location,{HEADER}인천공장,{FORGED}", encoding="utf-8-sig")
    done = run("analyze", path, "--detector", "rules")
    assert done.returncode == 0, done.stderr
    for text in (
        "forged",
        "인천공장",
        "2025-07-01 10:35:17",
        "epcFake",
        "named.csv",
        " 1 incident ",
        "1 of 1 event of 1 EPC flagged",
    ):
        assert text in done.stdout


def test_a_folder_is_its_raw_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + NORMAL)
    (tmp_path / "b.csv").write_text(HEADER + FORGED)
    (tmp_path / "locations.csv").write_text("location_id,scan_location\n1,here\n")
    (tmp_path / "notes.csv").write_text("who,what\n")
    done = run("analyze", tmp_path, "--csv", "--detector", "rules")
    assert done.stderr.startswith("warning: notes.csv left out")
    assert [(row["file_id"], row["event_id"]) for row in csv.DictReader(io.StringIO(done.stdout))] == [("2", "2")]


def test_what_steers_a_terminal_is_shown_as_escapes(tmp_path: Path) -> None:
    path = tmp_path / "evil.csv"
    path.write_text(HEADER + FORGED.replace("forged", "\x1b[31m[bold]forged"))
    done = run("analyze", path, "--detector", "rules", "--events")
    assert "\x1b" not in done.stdout
    assert r"\x1b[31m[bold]forged" in done.stdout


def test_a_file_with_dates_only_is_named(tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    path.write_text(HEADER + FORGED.replace(" 10:35:17", ""))
    done = run("analyze", path, "--json", "--detector", "rules")
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert done.stderr.startswith("warning: days.csv has dates only")
    assert json.loads(done.stdout)["files"]


def test_dirt_around_codes_is_no_forgery_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "scanner.csv"
    path.write_text(HEADER + NORMAL.replace(NORMAL_CODE, f"]C1{NORMAL_CODE}\x1d"))
    done = run("analyze", path, "--json", "--detector", "rules")
    [answer] = json.loads(done.stdout)["files"]
    assert answer["fileAnomalyStats"]["epcFakeCount"] == 0
    assert answer["warning"].startswith("1 of 1 events have codes with dirt of their transport around")
    assert done.stderr.startswith("warning: scanner.csv: 1 of 1 events have codes with dirt")


def test_a_file_without_one_good_code_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text(HEADER + FORGED.replace("forged", "1.88E+43") * 5)
    done = run("analyze", path, "--csv", "--detector", "rules")
    assert done.stderr == "warning: excel.csv: not one of its 5 codes is an EPC code, the first is '1.88E+43'\n"


HOSTILE = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "한글=1"]


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "hostile.csv"
    path.write_text(HEADER + "".join(FORGED.replace("forged", code) for code in HOSTILE), encoding="utf-8")
    done = run("analyze", path, "--csv", "--detector", "rules")
    codes = {row["epc_code"] for row in csv.DictReader(io.StringIO(done.stdout))}
    assert codes == {*(f"'{code}" for code in HOSTILE[:-1]), HOSTILE[-1]}


@pytest.mark.parametrize("form", ["--csv", "--json", None])
def test_a_terminal_without_the_letters_gets_escapes(tmp_path: Path, form: str | None) -> None:
    path = tmp_path / "인천.csv"
    path.write_text(f"scan_location,{HEADER}인천공장,{FORGED.replace('forged', '한글é😀')}", encoding="utf-8")
    done = run("analyze", path, "--detector", "rules", *([form] if form else []), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\ud55c\\uae00" in done.stdout
    if form == "--json":
        assert json.loads(done.stdout)["files"][0]["epcAnomalyStats"][0]["epcCode"] == "한글é😀"


def test_json_is_the_contracts_answer(table: Path) -> None:
    done = run("analyze", table, SAMPLE, "--json", "--detector", "rules")
    answer = json.loads(done.stdout)
    assert [file["fileId"] for file in answer["files"]] == ["1", "2"]
    assert answer["files"][0]["EventHistory"][0]["eventId"] == "1"
    assert answer["files"][0]["epcAnomalyStats"][0]["epcCode"] == "forged"
    assert answer["files"][1]["fileAnomalyStats"]["totalEvents"] == 0


def test_csv_has_a_row_per_event_and_kind(table: Path) -> None:
    done = run("analyze", table, "--csv", "--detector", "rules")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {"file_id": "1", "event_id": "1", "epc_code": "forged", "kind": "epcFake"}.items() <= rows[0].items()
    assert 0 < float(rows[0]["score"]) <= 100


@pytest.mark.parametrize("detector", ["lstm", "rules", "svm", "ensemble"])
def test_a_gateway_answers_the_same_as_this_process(gateway: Gateway, table: Path, detector: str) -> None:
    here = run("analyze", table, SAMPLE, "--json", "--detector", detector)
    there = run("analyze", table, SAMPLE, "--json", "--detector", detector, "--target", gateway.target)
    assert here.returncode == there.returncode == 0, there.stderr
    assert here.stdout == there.stdout


def test_large_input_is_judged_in_pieces(gateway: Gateway, table: Path) -> None:
    whole = run("analyze", table, SAMPLE, "--csv", "--detector", "rules")
    pieces = run("analyze", table, SAMPLE, "--csv", "--detector", "rules", "--target", gateway.target,
                 "--max-events-per-request", "10")  # fmt: skip
    assert pieces.returncode == 0, pieces.stderr
    assert [row.split(",")[:4] for row in pieces.stdout.splitlines()] == [
        row.split(",")[:4] for row in whole.stdout.splitlines()
    ]
    sizes = [line["events"] for line in gateway.log() if line["event"] == "call"][-2:]
    assert sorted(sizes) == [4, 10]  # the sample's two EPCs have 10 and 3


def test_no_gateway_is_one_line(table: Path) -> None:
    assert_one_line(run("analyze", table, "--target", "127.0.0.1:1"), 1, "no gateway answers at 127.0.0.1:1")


@pytest.mark.parametrize(
    ("text", "says"), [(HEADER, "no rows below the header"), (HEADER + "x\n", "line 2: has 1 col")]
)
def test_unusable_files_are_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "scans.csv"
    path.write_text(text)
    assert_one_line(run("analyze", path), 1, str(path), says)


def test_a_missing_file_is_one_line() -> None:
    assert_one_line(run("analyze", "no-such.csv"), 1, "no-such.csv: cannot be read: No such file")


def test_choices_that_exclude_each_other(table: Path) -> None:
    assert_one_line(run("analyze", table, "--json", "--csv"), 2, "exclude")
    for command in (("analyze", table), ("explain", table, "--event-id", 1)):
        for flag in (
            ["--backend", "onnx:x"],
            ["--costs", "jump=1:50"],
            ["--unknown-codes", "flagged"],
            ["--no-fallback"],
        ):
            assert_one_line(run(*command, "--target", "h:1", *flag), 2, "--target and --", "exclude", "its own")
