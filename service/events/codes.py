"""EPC codes taken apart: ``header.company.product.lot.date.serial``, all distinct codes of a request at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.code_digits import read_dates, take_apart
from service.events.foreign import MARK, NO_DATE, NO_DAY, ForeignParts, guarded, read_foreign

CODE_LENGTH = 45
_NUMBERS = ("header", "company", "product", "lot", "serial", "date", "day")

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

    numbers: NDArray[np.int64]  # [7, U] header, company, product, lot, serial, date, day
    flags: NDArray[np.bool_]  # [2, U] well formed, date valid

    @property
    def well_formed(self) -> NDArray[np.bool_]:
        """Whether each [U] has the right length, digits and dots in their places."""
        return self._flag(0)

    @property
    def date_valid(self) -> NDArray[np.bool_]:
        """Whether the date part of each [U] is a date of the calendar."""
        return self._flag(1)

    @property
    def header(self) -> NDArray[np.int64]:
        """The header [U]."""
        return self._number("header")

    @property
    def company(self) -> NDArray[np.int64]:
        """The company [U]."""
        return self._number("company")

    @property
    def product(self) -> NDArray[np.int64]:
        """The product [U]."""
        return self._number("product")

    @property
    def lot(self) -> NDArray[np.int64]:
        """The lot number [U]."""
        return self._number("lot")

    @property
    def serial(self) -> NDArray[np.int64]:
        """The serial [U]."""
        return self._number("serial")

    @property
    def date(self) -> NDArray[np.int64]:
        """The digits [U] of the date part."""
        return self._number("date")

    @property
    def day(self) -> NDArray[np.int64]:
        """The days [U] since 1970-01-01 of the date part."""
        return self._number("day")

    def _number(self, name: str) -> NDArray[np.int64]:
        row: NDArray[np.int64] = self.numbers[_NUMBERS.index(name)]
        return row

    def _flag(self, at: int) -> NDArray[np.bool_]:
        row: NDArray[np.bool_] = self.flags[at]
        return row

    def take(self, index: NDArray[np.intp]) -> Codes:
        """Return the parts of the codes at ``index``."""
        return Codes(self.numbers.take(index, axis=1), self.flags.take(index, axis=1))


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
    numbers = np.empty((len(_NUMBERS), len(codes)), dtype=np.int64)
    flags = np.empty((2, len(codes)), dtype=np.bool_)
    parsed = Codes(numbers, flags)
    if take_apart(codes, numbers, flags.view(np.uint8)):
        _take_foreign_apart(codes, parsed)
    return parsed


def _take_foreign_apart(codes: Sequence[str], parsed: Codes) -> None:
    """Fill in the columns of codes of other schemes."""
    found = [(at, read) for at, code in enumerate(codes) if code[:1] == MARK and (read := read_foreign(code))]
    if not found:
        return
    at = np.array([place for place, _ in found])
    parsed.well_formed[at] = True
    for name in ForeignParts._fields:
        parsed.numbers[_NUMBERS.index(name), at] = [getattr(read, name) for _, read in found]
    parsed.day[at], parsed.date_valid[at] = calendar_day(parsed.date[at])


def calendar_day(date: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (days since 1970-01-01, is a date of the calendar) of numbers YYYYMMDD [U]; the day of no date is 0."""
    day, valid = np.zeros(len(date), dtype=np.int64), np.zeros(len(date), dtype=np.bool_)
    read_dates(date, day, valid.view(np.uint8))
    day[date == NO_DATE] = NO_DAY
    return day, valid
