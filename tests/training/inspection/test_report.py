"""The data-quality report: counts that are right, a page that is whole and safe, and what is unusable."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.foreign import FILES, MALFORMED_PER_FILE, write_foreign_world
from tests.support.gateway import ROOT
from training.datasets.dataset import QUARANTINE
from training.inspection.report import Inspection, inspect_folder

NOW = datetime(2025, 7, 15, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\x1b[31m"
PLACES = "location_id,scan_location,Latitude,Longitude\n1,A,37.0,127.0\n5,B,38.0,127.0\n7,C,,\n"
ROUTES = (
    "from_scan_location,to_scan_location,time_taken_hours_mean,time_taken_hours_std,time_taken_hours_min,"
    "time_taken_hours_max\nA,B,5,2,1,10\n"
)


def code(serial: int, company: int = 8804823, lot: int = 10004, date: int = 20250701) -> str:
    return f"001.{company}.1293291.{lot:06d}.{date}.{serial:09d}"


def flawed(folder: Path) -> Path:
    """Write a folder in which every check finds something."""
    a = [
        "epc_code,location_id,scan_location,business_step,event_type,event_time,note",
        f"{code(1)},5,B,WMS,WMS_Inbound,2025-07-02 10:00:00,x",  # before its other row, but later in time
        f"{code(1)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",
        f"{code(2)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",
        f"{code(2)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",  # again
        f"{code(2)},7,C,WMS,WMS_Inbound,2025-08-01 10:00:00,",  # in the future, without coordinates
        f"{code(3, company=8805843)},99,A,Office,Coffee,2025-07-03 10:00:00,",  # another company, place, names
        f"{code(4, date=20250732)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",  # no date
        f"{code(4, date=20250732)},5,B,WMS,WMS_Inbound,2025-07-01 12:00:00,",
        f"{code(5, date=20250710)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",  # scanned before it was made
        f"{EVIL},1,A,Factory,Aggregation,2025-07-01 10:00:00,",
    ]
    b = ["epc_code;location_id;business_step;event_type;event_time", f"{code(6)};1;Factory;Aggregation;never", EVIL]
    for name, text in {
        "a.csv": "\n".join(a),
        "b.csv": "\n".join(b),
        "locations.csv": PLACES,
        "transitions.csv": ROUTES,
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    folder = tmp_path_factory.mktemp("flawed")
    return inspect_folder(flawed(folder), folder / "page" / "report.html", NOW)


def table(found: Inspection, title: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of a section by their first cell."""
    [section] = [section for section in found.sections if section.title == title]
    return {row[0]: tuple(row[1:]) for row in section.rows}


def test_files(found: Inspection) -> None:
    assert table(found, "Files") == {
        "a.csv": ("comma", "10", "0", "6", "2025-07-01 10:00", "2025-08-01 10:00"),
        "b.csv": ("semicolon", "2", "2", "0", "-", "-"),
    }
    assert found.summary.startswith("10 events of 6 EPCs in 2 files; 2 rows set aside. 12 rows read in ")


def test_completeness(found: Inspection) -> None:
    rows = table(found, "Completeness")
    assert rows["epc_code"] == ("needed", "2 of 2", "11", "91.67 %")  # one row is none
    assert rows["scan_location"] == ("used", "1 of 2", "10", "83.33 %")
    assert rows["note"] == ("not used", "1 of 2", "1", "8.33 %")


def test_rows_set_aside(found: Inspection) -> None:
    [section] = [section for section in found.sections if section.title == "Rows set aside"]
    assert [row[:2] for row in section.rows] == [("b.csv", "2"), ("b.csv", "3")]
    assert "event_time is no time" in section.rows[0][2]
    assert section.rows[1][3] == EVIL.replace("\x1b", r"\x1b")
    [warning] = found.warnings
    assert warning.startswith("2 of 12 rows cannot be used: event_time is no time")


def test_times(found: Inspection) -> None:
    rows = table(found, "Times")
    assert rows["first, last"] == ("2025-07-01T10:00:00 .. 2025-08-01T10:00:00",)
    assert rows["later than now (normal: planned scans are in the real data too)"] == ("1 (10.00 %)",)
    assert rows["same EPC, time, place and type as an earlier row"] == ("1 (10.00 %)",)
    assert rows["EPCs whose rows are not in the order of time"] == ("1 (16.67 %)",)
    assert rows["more than a day before the date in the code"] == ("1 (10.00 %)",)
    assert rows["days without an event, between the first and the last"] == ("28 (87.50 %)",)
    assert rows["hours between the scans of an EPC: least, 1 %, median, 99 %, most"][0].endswith(", 744")


def test_codes(found: Inspection) -> None:
    rows = table(found, "Codes")
    assert rows["malformed"] == ("1 (16.67 %)", EVIL.replace("\x1b", r"\x1b"))
    assert rows["the date is no date"] == ("1 (16.67 %)", code(4, date=20250732))
    assert rows["the product is mostly another company's"] == ("1 (16.67 %)", code(3, company=8805843))
    assert rows["the lot is mostly another product's"] == ("0 (0.00 %)", "")
    assert rows["distinct company"] == ("2", "8804823 (4), 8805843 (1)")


def test_names_places_and_lengths(found: Inspection) -> None:
    [names] = [section for section in found.sections if section.title == "Event types and business steps"]
    assert names.rows[0] == ("event_type", "Coffee", "NO", "1 (10.00 %)")
    assert ("business_step", "Office", "NO", "1 (10.00 %)") in names.rows
    assert ("event_type", "WMS_Inbound", "yes", "3 (30.00 %)") in names.rows
    assert table(found, "Events per EPC") == {"1": ("3 (50.00 %)",), "2": ("2 (33.33 %)",), "3": ("1 (16.67 %)",)}
    places = table(found, "Locations and routes")
    assert places["events at locations that the master lacks"] == ("1 (10.00 %)", "99 (1)")
    assert places["events at locations without coordinates"] == ("2 (20.00 %)", "7 (1), 99 (1)")
    assert places["names of several locations"] == ("1", "A")
    assert places["moves that take one of these routes"] == ("2 (66.67 %)", "")


# ---------------------------------------------------------------- the page


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_is_self_contained_and_escaped(tmp_path: Path) -> None:
    found = inspect_folder(flawed(tmp_path), tmp_path / "report.html", NOW)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert EVIL.replace("\x1b", r"\x1b") in page.texts
    assert page.tags.count("h2") == len(found.sections) == 9
    assert page.tags.count("img") == len(found.plots) == 6
    for link in page.links:
        kind, _, data = link.partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert ElementTree.fromstring(base64.b64decode(data)).tag == "{http://www.w3.org/2000/svg}svg"
    text = (tmp_path / QUARANTINE).read_text(encoding="utf-8")
    assert text.splitlines()[0] == "file,line,problem,text"
    # The page and the quarantine file lie among the data now, and are none.
    assert inspect_folder(tmp_path, None, NOW).sections[0] == found.sections[0]


def test_the_plots_show_what_was_counted(found: Inspection) -> None:
    assert b"a.csv" in found.plots["Events per day and file"]
    assert b">now<" in found.plots["Events per day and file"]
    assert b"km from previous" in found.plots["Rank correlations"]


def test_times_of_other_centuries_are_shown_and_do_no_harm(tmp_path: Path) -> None:
    text = flawed(tmp_path) / "a.csv"
    text.write_text(text.read_text().replace("2025-08-01", "9999-12-31").replace("2025-07-03", "0001-01-01"))
    found = inspect_folder(tmp_path, tmp_path / "report.html", NOW)
    assert table(found, "Times")["first, last"] == ("0001-01-01T10:00:00 .. 9999-12-31T10:00:00",)
    assert b"9999" not in found.plots["Events per day and file"]


# ---------------------------------------------------------------- the command


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "inspect", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_on_a_foreign_world(tmp_path: Path) -> None:
    write_foreign_world(tmp_path, 1_000, 4)
    done = run(tmp_path, "--out", tmp_path / "report.html")
    assert (done.returncode, done.stderr) == (0, "")
    bad = MALFORMED_PER_FILE * len(FILES)
    for text in (*FILES, f"{bad} rows set aside", "yesterday", "Werk Köln 1", "Correlations", "Warning: "):
        assert text in done.stdout
    assert Page((tmp_path / "report.html").read_text(encoding="utf-8")).tags.count("img") == 6
    assert len((tmp_path / QUARANTINE).read_text(encoding="utf-8").splitlines()) == 1 + bad


def test_nothing_steers_the_terminal(tmp_path: Path) -> None:
    done = run(flawed(tmp_path))
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert r"\x1b[31m" in done.stdout
    assert not (tmp_path / QUARANTINE).exists()  # only --out writes files


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "a.csv").unlink(), "2 of 2 rows cannot be used: event_time is no time"),
        (lambda folder: (folder / "locations.csv").unlink(), "locations.csv: not found"),
    ],
)
def test_unusable_folders_are_one_line(tmp_path: Path, change: object, says: str) -> None:
    flawed(tmp_path)
    assert callable(change)
    change(tmp_path)
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line
