"""EPC codes taken apart: ``header.company.product.lot.date.serial``, all distinct codes of a request at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from service.events.code_digits import read_dates, take_apart
from service.events.foreign import MARK, NO_DATE, NO_DAY, guarded, read_foreign

CODE_LENGTH = 45
_PARTS = ("header", "company", "product", "lot", "date", "serial")

_AROUND = r"\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff"  # blanks, controls (NUL, GS, CR), marks without width
_DIRTY = re.compile(
    rf"(?:[{_AROUND}']|\][A-Za-z][0-9A-Za-z])*"  # what makes a cell a text, and an AIM identifier (]C1)
    r"([0-9]{3}\.[0-9]{7}\.[0-9]{7}\.[0-9]{6}\.[0-9]{8}\.[0-9]{9})"
    rf"[{_AROUND}]*",
)
_MOST_DIRT = 64
"""Characters around a code at most; a longer text is no code with dirt around it, and is not looked at."""

_BEHIND = re.compile(rf"[{_AROUND}]*\Z")
_BEFORE = re.compile(rf"(?:[{_AROUND}']|\][A-Za-z][0-9A-Za-z])*")


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """The parts of U codes; every part of a malformed code is -1.

    Codes of other schemes may lack a date, `foreign.NO_DATE`, whose day is `foreign.NO_DAY`, and may have a name in
    place of a serial number: it is below 0.
    """

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


def without_dirt(codes: Sequence[str]) -> list[str] | None:
    """Return the codes without what their transport put around them, None if there is nothing around any.

    The rule: blanks, control characters, an AIM identifier and a leading apostrophe around an otherwise good code are
    dirt of the transport, which says nothing of the item. Everything else is content, and judged as it is: so are these
    characters inside of a code, or around one that would be malformed without them as well.
    """
    odd = [at for at, code in enumerate(codes) if len(code) != CODE_LENGTH or not code.isascii()]
    found = [(at, match[1]) for at in odd if (match := _clean(codes[at]))]
    found += [(at, guarded(codes[at])) for at in odd if codes[at][:1] == MARK and read_foreign(codes[at])]
    if not found:
        return None
    clean = list(codes)
    for at, code in found:
        clean[at] = code
    return clean


def _clean(code: str) -> re.Match[str] | None:
    return _DIRTY.fullmatch(code) if CODE_LENGTH < len(code) <= CODE_LENGTH + _MOST_DIRT else None


def bare(code: str) -> str:
    """Return a code of any scheme without what its transport put around it."""
    begin = _BEFORE.match(code, 0, _MOST_DIRT)
    end = _BEHIND.search(code, max(len(code) - _MOST_DIRT, 0))
    return code[begin.end() if begin else 0 : end.start() if end else len(code)]


def parse(codes: Sequence[str]) -> Codes:
    """Take U codes apart; any text is accepted, a malformed one is data."""
    fits = [len(code) == CODE_LENGTH and code.isascii() for code in codes]
    well_formed = np.array(fits, dtype=np.bool_)
    text = "".join(codes if all(fits) else compress(codes, fits))
    parts = np.empty((len(_PARTS), len(codes)), dtype=np.int64)
    day, date_valid = np.zeros(len(codes), dtype=np.int64), np.zeros(len(codes), dtype=np.bool_)
    take_apart(text.encode("ascii"), well_formed.view(np.uint8), parts, day, date_valid.view(np.uint8))
    if len(text) != CODE_LENGTH * len(codes):
        foreign = [at for at, code in enumerate(codes) if code[:1] == MARK]
        _take_foreign_apart(codes, foreign, well_formed, parts, day, date_valid)
    of_name = dict(zip(_PARTS, parts, strict=True))
    return Codes(well_formed=well_formed, day=day, date_valid=date_valid, **of_name)


def _take_foreign_apart(  # noqa: PLR0913, PLR0917 - the columns of `parse`
    codes: Sequence[str],
    foreign: Sequence[int],
    well_formed: NDArray[np.bool_],
    parts: NDArray[np.int64],
    day: NDArray[np.int64],
    date_valid: NDArray[np.bool_],
) -> None:
    """Fill in the columns of codes of other schemes, those at ``foreign``."""
    found = [(at, read) for at in foreign if (read := read_foreign(codes[at]))]
    if not found:
        return
    at = np.array([place for place, _ in found])
    well_formed[at] = True
    parts[:, at] = np.array([read for _, read in found], dtype=np.int64).T
    day[at], date_valid[at] = calendar_day(parts[_PARTS.index("date"), at])


def serial_numbers(serial: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return serials [n] as numbers, NaN for those that are names."""
    return np.where(serial < 0, np.nan, serial)


def calendar_day(date: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (days since 1970-01-01, is a date of the calendar) of numbers YYYYMMDD [U]; the day of no date is 0."""
    day, valid = np.zeros(len(date), dtype=np.int64), np.zeros(len(date), dtype=np.bool_)
    read_dates(date, day, valid.view(np.uint8))
    day[date == NO_DATE] = NO_DAY
    return day, valid
