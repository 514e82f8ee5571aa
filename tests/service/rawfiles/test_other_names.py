"""What is wrong with a file is told in the names that the file has for its columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import CommandError
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from service.rawfiles.parts import read_parts
from tests.support.folders.sgtin import FIRST, HEADER, SECOND, sgtin_folder

FULL = "number,stage," + HEADER
ROWS = FULL + f"1,,{FIRST}2,,{SECOND}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ROWS.replace(",5,", ",five,"), "line 3: column site: 'five' is not a whole number"),
        (
            ROWS.replace("2025-07-01 11", "01/07/2025 11"),
            "line 3: column scanned_at: '01/07/2025 11:02:38' is not a time",
        ),
        (
            ROWS.replace("2,,", "1,,"),
            r"line 3: column number: 1 is also in .*a\.csv line 2; give every event its own id",
        ),
        (ROWS.replace("number", "site"), "line 1: column site is there twice; remove one of the two"),
        (
            HEADER.replace("activity", "a") + FIRST,
            r"line 1: no column activity or stage; .* the file of --network gives: correct its \[columns\]",
        ),
        ("", "empty; the first line has to name the columns"),
    ],
)
def test_an_error_names_the_column_of_the_file(tmp_path: Path, text: str, problem: str) -> None:
    folder, dialect = sgtin_folder(tmp_path, a__csv=text)
    with pytest.raises(CommandError, match=rf"a\.csv: {problem}"):
        read_files([folder / "a.csv"], dialect=dialect)


def test_who_has_other_names_is_told_how_to_say_so(tmp_path: Path) -> None:
    folder, _ = sgtin_folder(tmp_path, a__csv=ROWS)
    with pytest.raises(CommandError, match=r"no column epc_code, .* --network FILE says which, see docs/network\.md$"):
        read_files([folder / "a.csv"])
    with pytest.raises(CommandError, match=r"none has the columns epc_code, .* --network FILE says which"):
        raw_files([folder])
    with pytest.raises(CommandError, match=r"no column epc_code, .* \(or semicolon\)$"):  # a page has no such option
        next(read_parts(folder / "a.csv", "a.csv", 10_000))
