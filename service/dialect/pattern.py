"""Codes that a regular expression takes apart, by the names of its groups."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np

from service.dialect.malformed import Malformed
from service.events.codes import calendar_day
from service.events.foreign import (
    COMPANIES,
    HEADERS,
    LOTS,
    NO_DATE,
    PRODUCTS,
    ForeignParts,
    named,
    number_of,
    serial_of,
)

GROUPS = ("header", "company", "product", "lot", "date", "serial")
NEEDED = ("product", "serial")

DATE_FORMATS = {"YYYYMMDD": (0, 4, 6), "YYMMDD": (0, 2, 4), "DDMMYYYY": (4, 2, 0), "DDMMYY": (4, 2, 0)}
"""Where year, month and day begin in the digits of a date."""

MOST_CHARACTERS = 200
"""Of a code; longer ones are not looked at."""


def parts_of(code: str, pattern: re.Pattern[str], date_format: str, unique: Collection[str]) -> ForeignParts:
    """Return the parts of a code; products and lots in ``unique`` have numbers that no other company or product has.

    Raises:
        Malformed: the pattern does not match all of it.
    """
    found = pattern.fullmatch(code) if len(code) <= MOST_CHARACTERS else None
    if found is None:
        raise Malformed("it does not match the pattern of the network")
    said = {name: text for name, text in found.groupdict().items() if text}
    company, product, lot = (said.get(name, "") for name in ("company", "product", "lot"))
    if not (product and "serial" in said):
        raise Malformed("its product or its serial is empty")
    number, batch = _numbers(company, product, lot, "product" in unique, "lot" in unique)
    return ForeignParts(
        header=number_of(HEADERS, said["header"]) if "header" in said else 0,
        company=number_of(COMPANIES, company) if company else 0,
        product=number,
        lot=batch,
        date=_date(said["date"], date_format) if "date" in said else NO_DATE,
        serial=serial_of(said["serial"]),
    )


@lru_cache(4096)
def _numbers(company: str, product: str, lot: str, is_unique: bool, has_unique_lots: bool) -> tuple[int, int]:
    """Return the numbers of a product and of its lot; without a lot all items of a product are of one."""
    number = number_of(PRODUCTS, product) if is_unique else named(PRODUCTS, company, product)
    if lot and has_unique_lots:
        return number, number_of(LOTS, lot)
    return number, named(LOTS, company, product, lot)


@lru_cache(4096)
def _date(text: str, date_format: str) -> int:
    """Return YYYYMMDD, 0 if the text is no date."""
    digits = "".join(letter for letter in text if letter not in "-./ ")
    if not (digits.isascii() and digits.isdigit() and len(digits) == len(date_format)):
        return 0
    year_at, month_at, day_at = DATE_FORMATS[date_format]
    year = digits[year_at : year_at + date_format.count("Y")]
    if len(year) == len("YY"):
        year = ("20" if year < "90" else "19") + year
    date = int(year + digits[month_at : month_at + 2] + digits[day_at : day_at + 2])
    return date if calendar_day(np.array([date]))[1][0] else 0


def group_problem(pattern: re.Pattern[str]) -> str:
    """Return what is wrong with the names of its groups, "" if nothing is."""
    names: Sequence[str] = tuple(pattern.groupindex)
    if strange := [name for name in names if name not in GROUPS]:
        return f"names a group {strange[0]}: the groups are {', '.join(GROUPS)}"
    if missing := [name for name in NEEDED if name not in names]:
        return f"names no group {missing[0]}: write it as (?P<{missing[0]}>[0-9]+)"
    return ""
