"""What a line, a number and a time of a raw file mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rawfiles.rows import Header, split_row, time_us, whole_number

JULY = 1_751_366_057 * 10**6  # 2025-07-01 10:34:17 UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-07-01 10:34:17", JULY),
        (" 2025-07-01T10:34:17Z ", JULY),
        ("2025-07-01 10:34:17 UTC", JULY),
        ("2025-07-01T19:34:17+09:00", JULY),
        ("2025-07-01 19:34:17+0900", JULY),
        ("2025-07-01 19:34:17 +09", JULY),
        ("2025/07/01 10:34:17", JULY),
        ("2025/7/1 10:34:17", JULY),
        ("2025.07.01 10:34:17", JULY),
        ("20250701T103417", JULY),
        ("20250701103417", JULY),
        ("1751366057", JULY),
        ("1751366057000", JULY),
        ("2025-07-01 10:34:17.25", JULY + 250_000),
        ("2025/07/01 10:34:17,25", JULY + 250_000),
        ("2025-07-01 10:34:17.123456789", JULY + 123_456),
        ("2025-07-01 10:34", JULY - 17 * 10**6),
        ("2025-07-01", JULY - 38_057 * 10**6),
        ("20250701", JULY - 38_057 * 10**6),
        ("1969-12-31 23:59:59", -(10**6)),
    ],
)
def test_times_that_are_clear(text: str, expected: int) -> None:
    assert time_us(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "01/02/2025", "13/02/2025 10:00:00", "01.02.2025", "2025", "2025-07", "2025-02-30", "2025/13/01",
     "10:34:17", "12", "12345678", "2025-07-01 25:00:00", "2025-07-01 10:34:17 PM", "nan", "1_751_366_057"],
)  # fmt: skip
def test_times_that_would_be_guessed_are_none(text: str) -> None:
    assert time_us(text) is None


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),
    st.integers(-14 * 4, 14 * 4),
    st.sampled_from(["-", "/"]),
    st.sampled_from(["T", " "]),
)
def test_every_time_with_a_zone_is_read_exactly(local: datetime, quarters: int, date: str, between: str) -> None:
    time = local.replace(tzinfo=timezone(timedelta(minutes=15 * quarters)))
    text = time.isoformat(between, timespec="microseconds").replace("-", date, 2)
    assert time_us(text) == (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@given(st.text(alphabet="0123456789-+/:.TZ U,", max_size=30))
def test_any_text_is_a_time_or_none(text: str) -> None:
    assert isinstance(time_us(text), int | None)


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
