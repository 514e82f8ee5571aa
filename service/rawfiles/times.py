"""What time a cell of a raw file means: read right or refused, never guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

DATES_ONLY = "has dates only, no times of day: events of a day have no order, and moves within it look impossible"

_EPOCH, _EPOCH_UTC = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY_US = 86_400_000_000

_SINCE_1970 = {10: 1_000_000, 13: 1_000}
"""Microseconds of a unit, by the digits of a number of seconds or milliseconds since 1970 ..."""
_EPOCHS = range(10**15, 2 * 10**15)
"""... which lies in 2001 .. 2033: below 2e9 none begins with the year of a scan, as 2025070110 does."""

_COMPACT = re.compile(r"(\d{8,})(.*)", re.ASCII)
_YEARS = range(1900, 2100)  # of a time without punctuation: 250701100017 is no minute of the year 2507
_BETWEEN = ("", " ", "T", "t")  # date and time; `datetime.fromisoformat` takes any letter, even a digit of the time
_TIME = re.compile(
    r"(\d{4})[-/.](\d\d?)[-/.](\d\d?)(?:[ T]+(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
    r" *(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


def time_us(text: str) -> int | None:
    """Return the microseconds since 1970-01-01 UTC of a time, None if ``text`` is none; without `has_zone` as if UTC.

    ISO 8601 (2025-07-01 10:34:17, 2025-07-01T10:34:17.25+09:00, 20250701T103417Z), year first with slashes or dots
    and without leading zeros (2025/7/1 9:05); without punctuation 8 digits (20250701), 12, 14 or, with milliseconds,
    17 (20250701103417250); seconds (10 digits) or milliseconds (13 digits) since 1970, of the years 2001 to 2033.

    No time is what would have to be guessed: 01/02/2025, two-digit years, a date and an hour in 10 digits, 12 digits
    that may be 2007-01-10 00:17 and 2020-07-01 10:00:17, 24:00, words (AM, 오전), Excel's day numbers.
    """
    text = text.strip()
    if text.isascii() and text.isdigit() and (unit := _SINCE_1970.get(len(text), 0)) and int(text) * unit in _EPOCHS:
        return int(text) * unit
    time = _time(text)
    return None if time is None else (time - (_EPOCH if time.tzinfo is None else _EPOCH_UTC)) // _MICROSECOND


def has_zone(text: str) -> bool:
    """Return whether a time that `time_us` reads is an instant: with a zone, or counted from 1970.

    Others are what a clock showed on the wall of the place.
    """
    text = text.strip()
    if text.isdigit():
        return len(text) in _SINCE_1970
    if not text[-1:].isalpha() and "+" not in text and "-" not in text[8:]:  # nearly all
        return False
    time = _time(text)
    return time is not None and time.tzinfo is not None


def _time(text: str) -> datetime | None:
    """Return the time that a text without outer blanks gives by its calendar date."""
    if text[4:5] == "-" and text[10:11] in _BETWEEN:
        time = _iso(text)
    else:
        time = _compact(*found.groups()) if (found := _COMPACT.fullmatch(text)) else None
    return _year_first(text) if time is None else time


def dates_only(times_us: NDArray[np.int64]) -> bool:
    """Return whether times, in microseconds since 1970, are all midnights: what is left of them where only dates are.

    By value and not by text: exports write dates as 2025-07-01 00:00:00 too.
    """
    return len(times_us) > 0 and not (times_us % _DAY_US).any()


def _iso(text: str, hour_at: int = len("2025-07-01T")) -> datetime | None:
    try:
        # Newer Pythons read 24:00: the end of a day, or of a clock that is wrong.
        return None if text[hour_at : hour_at + 2] == "24" else datetime.fromisoformat(text)
    except ValueError:
        return None


def _compact(digits: str, rest: str) -> datetime | None:
    """Return the time of a date, and perhaps a time of day, in digits, and what follows them."""
    if int(digits[:4]) not in _YEARS or len(digits) not in {8, 12, 14, 17}:
        return None
    if len(digits) == 12 and int(digits[2:4]) <= 12:  # a year such as 2007 may be year 20 and month 07 as well
        return None
    if len(digits) == 8:
        return _iso(digits + rest, len("20250701T")) if rest[:1] in _BETWEEN else None
    milliseconds = f".{digits[14:]}" if digits[14:] else ""
    if rest[:1] in {".", ","} and len(digits) != 14:
        return None
    return _iso(f"{digits[:8]}T{digits[8:14]}{milliseconds}{rest}", len("20250701T"))


def _year_first(text: str) -> datetime | None:
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    zone = "Z" if zone and zone.isalpha() else zone or ""
    clock = f"{int(hour or 0):02}:{minute or '00'}:{second or '00'}.{fraction or '0'}"
    return _iso(f"{year}-{int(month):02}-{int(day):02}T{clock}{zone}")
