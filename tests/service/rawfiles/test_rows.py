"""What a line and a number of a raw file mean."""

from __future__ import annotations

import pytest

from service.rawfiles.rows import Header, split_row, whole_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12", 12), (" 12 ", 12), ("012", 12), ("12.0", 12), ("-3", -3), ("9007199254740993", 2**53 + 1),
     (str(2**63 - 1), 2**63 - 1), (str(2**63), None), ("9" * 5000, None), ("12.5", None), ("", None), ("1_0", None),
     ("1e5", None), ("x", None), ("١٢", None)],
)  # fmt: skip
def test_whole_numbers(text: str, expected: int | None) -> None:
    assert whole_number(text) == expected


@pytest.mark.parametrize(
    ("line", "names", "separator"),
    [
        (b"a,b\r\n", ("a", "b"), ","),
        (b"\xef\xbb\xbfA\t b \n", ("a", "b"), "\t"),
        (b"a;b,c;d", ("a", "b,c", "d"), ";"),
        (b'"a,x";"b"', ("a,x", "b"), ";"),
        (b"", (), "\t"),
    ],
)
def test_headers(line: bytes, names: tuple[str, ...], separator: str) -> None:
    header = Header.of(line)
    assert (header.names, header.separator) == (names, separator)


@pytest.mark.parametrize(
    ("line", "cells", "problem"),
    [
        (b"1,2,3\r\n", ["1", "2", "3"], ""),
        (b'1,"2, ""b""",3', ["1", '2, "b"', "3"], ""),
        (b" 1,2 ,", [" 1", "2 ", ""], ""),
        (b"1,2,3,,\n", ["1", "2", "3"], ""),
        (b"\r\n", [], ""),
        (b"1,2", [], "has 2 columns, the first line names 3"),
        (b"1,2,3,4", [], "has 4 columns, the first line names 3"),
        (b'1,"2,3', [], "not a row of the table (unexpected end of data)"),
        (b"1,\xff,3", [], "not UTF-8; save the file as UTF-8"),
    ],
)
def test_lines(line: bytes, cells: list[str], problem: str) -> None:
    assert split_row(line, Header.of(b"a,b,c")) == (cells, problem)


def test_blanks_belong_to_cells_unless_the_header_has_them_too() -> None:
    assert split_row(b"1, 2", Header.of(b"a,b")) == (["1", " 2"], "")
    assert split_row(b"1, 2", Header.of(b"a, b")) == (["1", "2"], "")
