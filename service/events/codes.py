"""EPC codes taken apart: ``header.company.product.lot.date.serial``, all distinct codes of a request at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import compress

import numpy as np
from numpy.typing import NDArray

CODE_LENGTH = 45
_FIELDS = {
    "header": (0, 3),
    "company": (4, 11),
    "product": (12, 19),
    "lot": (20, 26),
    "date": (27, 35),
    "serial": (36, 45),
}
_DOTS = (3, 11, 19, 26, 35)

_AROUND = r"\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff"  # blanks, controls (NUL, GS, CR), marks without width
_DIRTY = re.compile(
    rf"(?:[{_AROUND}']|\][A-Za-z][0-9A-Za-z])*"  # what makes a cell a text, and an AIM identifier (]C1)
    r"([0-9]{3}\.[0-9]{7}\.[0-9]{7}\.[0-9]{6}\.[0-9]{8}\.[0-9]{9})"
    rf"[{_AROUND}]*",
)
_MOST_DIRT = 64
"""Characters around a code at most; a longer text is no code with dirt around it, and is not looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """The parts of U codes; every part of a malformed code is -1."""

    well_formed: NDArray[np.bool_]  # [U] right length, digits and dots in their places
    header: NDArray[np.int64]  # [U]
    company: NDArray[np.int64]  # [U]
    product: NDArray[np.int64]  # [U]
    lot: NDArray[np.int64]  # [U]
    date: NDArray[np.int64]  # [U] the digits of the date part
    day: NDArray[np.int64]  # [U] days since 1970-01-01 of the date part
    date_valid: NDArray[np.bool_]  # [U] the date part is a date of the calendar
    serial: NDArray[np.int64]  # [U]

    def take(self, index: NDArray[np.intp]) -> Codes:
        """Return the parts of the codes at ``index``."""
        return Codes(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


def _place_values() -> NDArray[np.float64]:
    """Return what a digit at each place adds to each field [45, fields]."""
    values = np.zeros((CODE_LENGTH, len(_FIELDS)))
    for number, (begin, end) in enumerate(_FIELDS.values()):
        values[begin:end, number] = 10.0 ** np.arange(end - begin - 1, -1, -1)
    return values


_PLACE_VALUES = _place_values()  # products with digits are whole numbers below 2**53: exact as floats

_SLICE = 512
"""Codes whose digits are multiplied at once: for larger products OpenBLAS wakes its own threads, which then wait for
more work at full speed, 20 ms in which they keep a core from everybody else."""


def without_dirt(codes: Sequence[str]) -> list[str] | None:
    """Return the codes without what their transport put around them, None if there is nothing around any.

    The rule: blanks, control characters, an AIM identifier and a leading apostrophe around an otherwise good code are
    dirt of the transport, which says nothing of the item. Everything else is content, and judged as it is: so are these
    characters inside of a code, or around one that would be malformed without them as well.
    """
    odd = [at for at, code in enumerate(codes) if len(code) != CODE_LENGTH or not code.isascii()]
    found = [(at, match[1]) for at in odd if (match := _clean(codes[at]))]
    if not found:
        return None
    clean = list(codes)
    for at, code in found:
        clean[at] = code
    return clean


def _clean(code: str) -> re.Match[str] | None:
    return _DIRTY.fullmatch(code) if CODE_LENGTH < len(code) <= CODE_LENGTH + _MOST_DIRT else None


def parse(codes: Sequence[str]) -> Codes:
    """Take U codes apart; any text is accepted, a malformed one is data."""
    fits = [len(code) == CODE_LENGTH and code.isascii() for code in codes]
    well_formed = np.array(fits, dtype=np.bool_)
    text = "".join(codes if all(fits) else compress(codes, fits))
    letters = np.frombuffer(text.encode("ascii"), dtype=np.uint8).reshape(-1, CODE_LENGTH)
    digits = letters - np.uint8(ord("0"))  # wraps around for what is below "0", so that only digits are <= 9
    is_right = digits <= 9
    is_right[:, _DOTS] = letters[:, _DOTS] == ord(".")
    numbers = np.empty((len(digits), len(_FIELDS)), dtype=np.int64)
    for begin in range(0, len(digits), _SLICE):
        numbers[begin : begin + _SLICE] = digits[begin : begin + _SLICE].astype(np.float64) @ _PLACE_VALUES
    right = is_right.all(axis=1)
    if not right.all():
        well_formed[np.flatnonzero(well_formed)[~right]] = False
        numbers = numbers[right]
    parts = np.full((len(_FIELDS), len(codes)), -1, dtype=np.int64)
    parts[:, well_formed] = numbers.T
    of_name = dict(zip(_FIELDS, parts, strict=True))
    day, date_valid = calendar_day(of_name["date"])
    return Codes(well_formed=well_formed, day=day, date_valid=date_valid & well_formed, **of_name)


def calendar_day(date: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (days since 1970-01-01, is a date of the calendar) of numbers YYYYMMDD; the day of no date is 0."""
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    plausible = (date > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    months = np.where(plausible, (year - 1970) * 12 + month - 1, 0)
    first, after = (_first_day(months), _first_day(months + 1))
    valid = plausible & (first + day <= after)
    return np.where(valid, first + day - 1, 0), valid


def _first_day(months: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the days since 1970-01-01 of the first of each month, which is given in months since then."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
