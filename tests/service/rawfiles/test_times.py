"""What time a cell of a raw file means; what would have to be guessed is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rawfiles.times import dates_only, time_us

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
        ("20250701103417+0000", JULY),
        ("20250701103417.25", JULY + 250_000),
        ("20250701103417250", JULY + 250_000),
        ("202507011034", JULY - 17 * 10**6),
        ("202507011934+09:00", JULY - 17 * 10**6),
        ("20250701 1034", JULY - 17 * 10**6),
        ("2025-07-01+09:00", JULY - (38_057 + 9 * 3600) * 10**6),
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
     "10:34:17", "12", "12345678", "2025-07-01 25:00:00", "2025-07-01 10:34:17 PM", "nan", "1_751_366_057",
     "2025070110", "250701100017", "2507011000", "25070110", "200701100017", "202501321000", "20250701310", "175136605",
     "17513660570", "175136605700", "2050000000", "2050000000000", "100000000000", "1751366057000000", "20250701-0900",
     "2025-07-01310:00", "2025-07-0131000", "45839.44", "25-07-01 10:00", "25/07/01 10:00", "2025-07-01 오전 10:00",
     "2025. 7. 1. 오후 3:05:00", "2025-07-01 24:00", "2025-07-01 24:00:00", "20250701T2400", "2025/07/01 24:00",
     "202507012400", "1.75E+09"],
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


@given(st.datetimes(min_value=datetime(2013, 1, 1), max_value=datetime(2099, 12, 31)))
def test_a_time_in_digits_is_read_right_or_refused(local: datetime) -> None:
    expected = (local - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    for form, unit in (("%Y%m%d%H%M", 60 * 10**6), ("%Y%m%d%H%M%S", 10**6)):
        assert time_us(local.strftime(form)) == expected // unit * unit
    assert time_us(local.strftime("%Y%m%d%H%M%S%f")[:17]) == expected // 1000 * 1000
    for form in ("%Y%m%d%H", "%y%m%d%H%M%S"):
        assert time_us(local.strftime(form)) is None


def test_dates_without_times_are_told_by_their_values() -> None:
    midnights = np.array([time_us("2025-07-01"), time_us("1969-12-31 00:00:00")], dtype=np.int64)
    assert dates_only(midnights)
    assert not dates_only(np.append(midnights, midnights[0] + 1))
    assert not dates_only(midnights[:0])
