"""The data-quality report: counts that are right."""

from __future__ import annotations

from pathlib import Path

from tests.support.folders.flawed import EVIL, NOW, code, flawed, table
from training.inspection.report import Inspection, inspect_folder


def test_files(found: Inspection) -> None:
    assert table(found, "Files") == {
        "a.csv": ("UTF-8", "comma", "10", "0", "6", "2025-07-01 10:00", "2025-08-01 10:00"),
        "b.csv": ("UTF-8", "semicolon", "2", "2", "0", "-", "-"),
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
    warning, useless = found.warnings
    assert useless.startswith("b.csv: none of its 2 rows can be used: event_time is no time")
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


def test_times_of_other_centuries_are_shown_and_do_no_harm(tmp_path: Path) -> None:
    text = flawed(tmp_path) / "a.csv"
    text.write_text(text.read_text().replace("2025-08-01", "9999-12-31").replace("2025-07-03", "0001-01-01"))
    found = inspect_folder(tmp_path, tmp_path / "report.html", NOW)
    assert table(found, "Times")["first, last"] == ("0001-01-01T10:00:00 .. 9999-12-31T10:00:00",)
    assert b"9999" not in found.plots["Events per day and file"]
