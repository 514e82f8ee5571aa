"""The report of a network with columns, words and codes of its own says all in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.folders.flawed import NOW, table
from tests.support.folders.sgtin import FIRST, HEADER, ITEM, SECOND, sgtin_folder
from training.datasets import dataset
from training.errors import DataError
from training.inspection.report import inspect_folder


def test_columns_words_and_codes_are_those_of_the_files(tmp_path: Path) -> None:
    text = HEADER + FIRST + SECOND + SECOND.replace("depot in", "Coffee") + "AB.1,5,depot in,2025-07-01 11:02:38\n"
    folder, dialect = sgtin_folder(tmp_path, a__csv=text)
    found = inspect_folder(folder, None, NOW, dialect=dialect)
    assert list(table(found, "Completeness")) == ["Item", "site", "activity", "scanned_at"]
    [names] = [section for section in found.sections if section.title == "Event types and business steps"]
    assert ("activity", "Coffee", "NO", "1 (25.00 %)") in names.rows
    assert ("activity", "packed", "yes", "1 (25.00 %)") in names.rows
    assert {row[0] for row in names.rows} == {"activity", "stage"}
    codes = table(found, "Codes")
    share, malformed = codes["malformed"]
    assert share == "1 (50.00 %)"
    assert malformed.startswith("AB.1: it is not of the form urn:epc:id:sgtin:")
    assert codes["the date is no date"] == ("0 (0.00 %)", "")
    assert codes["distinct product"] == ("1", "")
    assert found.warnings[0] == "a.csv has no column stage: it is taken from activity where that is possible"


def test_a_file_that_cannot_be_read_is_left_out_as_adopt_does(tmp_path: Path) -> None:
    placeless = (HEADER + FIRST + SECOND).replace("site,", "").replace(",1,", ",").replace(",5,", ",")
    folder, dialect = sgtin_folder(tmp_path, a__csv=HEADER + FIRST + SECOND, b__csv=placeless)
    found = inspect_folder(folder, None, NOW, dialect=dialect)
    assert found.summary.startswith("2 events of 1 EPCs in 1 files; 0 rows set aside.")
    assert f"{folder / 'b.csv'}: no column site (or where); these are the names that the file of --network" in (
        " ".join(found.warnings)
    )
    (folder / "a.csv").unlink()
    with pytest.raises(DataError, match=r"b\.csv: no column site \(or where\); .* docs/network\.md$"):
        inspect_folder(folder, None, NOW, dialect=dialect)


def test_problems_of_rows_are_told_in_the_names_of_the_files(tmp_path: Path) -> None:
    text = HEADER + FIRST + SECOND.replace("2025-07-01 11", "01/07/2025 11") + SECOND.replace(",5,", ",?,")
    folder, dialect = sgtin_folder(tmp_path, a__csv=text)
    told = " ".join(dataset.load(folder, dialect=dialect).warnings)
    assert "scanned_at is no time" in told
    assert "site is no whole number, and where is not in locations.csv" in told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEADER.replace("activity", "site"), r"a\.csv: no column activity \(or stage\)"),
        (HEADER.strip() + ",Site\n" + FIRST, r"a\.csv: column site is there twice"),
        (
            "number," + HEADER + f"7,{FIRST}7,{SECOND}",
            r"a\.csv line 3: number 7 stands twice, for different events; give every event its own id",
        ),
        ("", r"no raw event file .*; a\.csv left out: no text with the columns item and scanned_at in its first line"),
    ],
)
def test_what_makes_a_folder_unusable_is_told_in_them_too(tmp_path: Path, text: str, problem: str) -> None:
    folder, dialect = sgtin_folder(tmp_path, a__csv=text)
    with pytest.raises(DataError, match=problem):
        inspect_folder(folder, None, NOW, dialect=dialect)


def test_an_item_is_shown_as_it_was_sent(tmp_path: Path) -> None:
    made = ITEM.replace("urn:epc:id:sgtin:0614141.812345.67", "(01)80614141123458(11)250732(21)67")
    folder, dialect = sgtin_folder(tmp_path, a__csv=HEADER + FIRST + SECOND.replace(f"{ITEM}1", f'"{made}"'))
    found = inspect_folder(folder, None, NOW, dialect=dialect)
    assert table(found, "Codes")["the date is no date"] == ("1 (50.00 %)", made)
