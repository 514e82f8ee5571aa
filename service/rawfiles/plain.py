"""Plain rows of a raw file, read where they are: bytes to columns. Compiled; see `service.features`.

A row is plain if there are no quotes in it, its numbers are digits and its time is ISO 8601 with punctuation. Anything
else is odd: `rows` and `times` say what it means or what is wrong with it, and the caller fills it in. A row in Python
costs 5 us, one that is plain 1 us with its share of all else, 0.2 us of that here.
"""

from __future__ import annotations

from collections.abc import Sequence

import cython
import numpy as np
from numpy.typing import NDArray

from service.events.groups import slots_for
from service.events.texts import decoded

if cython.compiled:
    from cython.cimports.service.events.code_digits import first_day
    from cython.cimports.service.events.texts import number_texts
else:
    from service.events.code_digits import first_day
    from service.events.texts import number_texts

EVENT_ID, LOCATION_ID, FILE_ID, TIME = range(4)
"""Rows of `PlainRows.ints`, all but the time in the order of the reader's ``number_column``."""

CODE, STEP, TYPE, PLACE = range(4)
"""Rows of `PlainRows.text`, in the order of the reader's ``text_column``."""

_NUMBERS = cython.declare(cython.int, 3)
_TEXTS = cython.declare(cython.int, 4)
_TIME = cython.declare(cython.int, 3)
_PLACE = cython.declare(cython.int, 3)
_MOST_DIGITS = cython.declare(cython.int, 18)  # of 64 bits in any case

_NEWLINE = cython.declare(cython.int, 10)
_RETURN = cython.declare(cython.int, 13)
_BLANK = cython.declare(cython.int, 32)
_QUOTE = cython.declare(cython.int, 34)
_PLUS = cython.declare(cython.int, 43)
_MINUS = cython.declare(cython.int, 45)
_DOT = cython.declare(cython.int, 46)
_DIGIT_0 = cython.declare(cython.int, 48)
_COLON = cython.declare(cython.int, 58)
_LETTER_T = cython.declare(cython.int, 84)
_LETTER_Z = cython.declare(cython.int, 90)
_NO_ASCII = cython.declare(cython.int, 128)

_SECOND_US = cython.declare(cython.longlong, 1_000_000)


@cython.cclass
class RowReader:
    """The lines of a file below its first one, N of which are rows."""

    raw: cython.const[cython.uchar][::1]
    at: cython.Py_ssize_t
    separator: cython.int
    width: cython.Py_ssize_t  # columns
    padded: cython.bint  # blanks beside separators belong to no cell
    is_utf_8: cython.bint  # all of it
    number_column: cython.const[cython.longlong][::1]  # [3] -1: there is none
    text_column: cython.const[cython.longlong][::1]  # [4]
    time_column: cython.Py_ssize_t
    cell: cython.longlong[::1]  # [width + 1] where the cells of a row begin; a separator, or something, is before each
    low: cython.Py_ssize_t  # where a cell begins
    high: cython.Py_ssize_t  # and ends
    count: cython.Py_ssize_t  # of rows so far
    line: cython.longlong[::1]  # [N]
    start: cython.longlong[::1]  # [N] where the row is
    odd: cython.uchar[::1]  # [N]
    ints: cython.longlong[:, ::1]  # [4, N]
    has_zone: cython.uchar[::1]  # [N]
    begin: cython.longlong[:, ::1]  # [4, N] where each text is
    size: cython.longlong[:, ::1]  # [4, N]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read(self) -> cython.void:
        """Read all lines."""
        line: cython.longlong = 1
        begin: cython.Py_ssize_t
        plain: cython.bint
        while self.at < self.raw.shape[0]:
            line += 1
            begin = self.at
            plain = self.cut()
            if self.high > begin:  # else the line is blank
                self.line[self.count] = line
                self.start[self.count] = begin
                self.odd[self.count] = not (plain and self.row(self.count))
                self.count += 1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def cut(self) -> cython.bint:
        """Find the cells of a line, and its end, and return whether it may be a plain row."""
        raw: cython.const[cython.uchar][::1] = self.raw
        begin: cython.Py_ssize_t = self.at
        at: cython.Py_ssize_t = begin
        end: cython.Py_ssize_t = raw.shape[0]
        separator: cython.int = self.separator
        separators: cython.Py_ssize_t = 0
        odd: cython.bint = False
        letters: cython.int = 0
        byte: cython.int
        while at < end:
            byte = raw[at]
            if byte == separator:
                separators += 1
                if separators <= self.width:
                    self.cell[separators] = at + 1
            elif byte == _NEWLINE:
                break
            elif byte == _QUOTE:
                odd = True
            letters |= byte
            at += 1
        self.at = at + 1
        while at > begin and raw[at - 1] == _RETURN:
            at -= 1
        if at - begin == separators:  # nothing else: an empty row of a spreadsheet is a blank line
            at = begin
        self.high = at
        self.cell[0] = begin
        if separators >= self.width:  # there are more than it needs: they say nothing if nothing else is there
            odd = odd or at - self.cell[self.width] != separators - self.width
        else:
            odd = odd or separators != self.width - 1
            self.cell[self.width] = at + 1
        return not odd and (self.is_utf_8 or letters < _NO_ASCII)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def row(self, n: cython.Py_ssize_t) -> cython.bint:
        """Read a row that was cut, and return whether it is plain."""
        kind: cython.int
        for kind in range(_NUMBERS):
            if self.number_column[kind] >= 0:
                self.bound(self.number_column[kind])
                if not self.number(kind, n):
                    return False
        self.bound(self.time_column)
        if not self.time(n):
            return False
        for kind in range(_TEXTS):
            if self.text_column[kind] >= 0:
                self.bound(self.text_column[kind])
                if self.padded and kind != _PLACE and self.may_have_blanks():
                    return False
                self.begin[kind, n] = self.low
                self.size[kind, n] = self.high - self.low
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def bound(self, column: cython.Py_ssize_t) -> cython.void:
        """Find where a cell begins and ends."""
        self.low = self.cell[column]
        self.high = self.cell[column + 1] - 1
        if self.padded:
            while self.low < self.high and self.raw[self.low] == _BLANK:
                self.low += 1
            while self.low < self.high and self.raw[self.high - 1] == _BLANK:
                self.high -= 1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def may_have_blanks(self) -> cython.bint:
        """Return whether there may be blanks of other kinds around a cell: controls, or what Unicode calls blanks."""
        if self.low == self.high:
            return False
        first: cython.int = self.raw[self.low]
        last: cython.int = self.raw[self.high - 1]
        return first < _BLANK or first >= _NO_ASCII or last < _BLANK or last >= _NO_ASCII

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def number(self, kind: cython.int, n: cython.Py_ssize_t) -> cython.bint:
        """Read the whole number that a cell is (12, -12, 12.0), and return whether it is one."""
        value: cython.longlong = 0
        at: cython.Py_ssize_t = self.low
        negative: cython.bint = at < self.high and self.raw[at] == _MINUS
        if negative:
            at += 1
        first: cython.Py_ssize_t = at
        while at < self.high and at - first < _MOST_DIGITS and self.is_digit(at):
            value = 10 * value + self.raw[at] - _DIGIT_0
            at += 1
        if at == first:
            return False
        if at < self.high and self.raw[at] == _DOT:
            at += 1
            while at < self.high and self.raw[at] == _DIGIT_0:
                at += 1
        self.ints[kind, n] = -value if negative else value
        return at == self.high

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def time(self, n: cython.Py_ssize_t) -> cython.bint:
        """Read the time that a cell is, and return whether it is a plain one.

        2025-07-01, then perhaps 10:34 or 10:34:17, of the latter one to six digits after a dot, and of both a zone.
        """
        at: cython.Py_ssize_t = self.low
        if self.high - at < 10 or self.raw[at + 4] != _MINUS or self.raw[at + 7] != _MINUS:
            return False
        century: cython.longlong = self.two(at, 99)
        of_century: cython.longlong = self.two(at + 2, 99)
        month: cython.longlong = self.two(at + 5, 12)
        day: cython.longlong = self.two(at + 8, 31)
        if century < 0 or of_century < 0 or century + of_century == 0 or month < 1 or day < 1:
            return False
        year: cython.longlong = 100 * century + of_century
        first: cython.longlong = first_day(year, month)
        if first + day > first_day(year + month // 12, month % 12 + 1):
            return False
        self.ints[_TIME, n] = (first + day - 1) * 86_400 * _SECOND_US
        self.has_zone[n] = False
        self.low = at + 10
        return self.low == self.high or (self.clock(n) and (self.low == self.high or self.zone(n)))

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def clock(self, n: cython.Py_ssize_t) -> cython.bint:
        """Read a time of day, add it to the time and pass over it, and return whether it is a plain one."""
        at: cython.Py_ssize_t = self.low
        if self.high - at < 6 or (self.raw[at] != _BLANK and self.raw[at] != _LETTER_T) or self.raw[at + 3] != _COLON:
            return False
        hour: cython.longlong = self.two(at + 1, 23)
        minute: cython.longlong = self.two(at + 4, 59)
        second: cython.longlong = 0
        unit: cython.longlong = _SECOND_US
        at += 6
        if self.high - at >= 3 and self.raw[at] == _COLON:
            second = self.two(at + 1, 59)
            at += 3
            if self.high - at >= 2 and self.raw[at] == _DOT and self.is_digit(at + 1):
                at += 1
                while at < self.high and unit > 1 and self.is_digit(at):
                    unit //= 10
                    self.ints[_TIME, n] += unit * (self.raw[at] - _DIGIT_0)
                    at += 1
        self.ints[_TIME, n] += (3_600 * hour + 60 * minute + second) * _SECOND_US
        self.low = at
        return hour >= 0 and minute >= 0 and second >= 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def zone(self, n: cython.Py_ssize_t) -> cython.bint:
        """Read a zone, Z or +09:00, take it off the time, and return whether it is a plain one."""
        at: cython.Py_ssize_t = self.low
        sign: cython.longlong = 1
        self.has_zone[n] = True
        if self.high - at == 1:
            return self.raw[at] == _LETTER_Z
        if self.high - at != 6 or self.raw[at + 3] != _COLON:
            return False
        if self.raw[at] == _MINUS:
            sign = -1
        elif self.raw[at] != _PLUS:
            return False
        hours: cython.longlong = self.two(at + 1, 23)
        minutes: cython.longlong = self.two(at + 4, 59)
        self.ints[_TIME, n] -= sign * 60 * (60 * hours + minutes) * _SECOND_US
        return hours >= 0 and minutes >= 0

    @cython.cfunc
    @cython.nogil
    @cython.inline
    @cython.exceptval(check=False)
    def two(self, at: cython.Py_ssize_t, most: cython.int) -> cython.longlong:
        """Return the number that two digits are, -1 if they are none or more than the most that it may be."""
        if not self.is_digit(at) or not self.is_digit(at + 1):
            return -1
        value: cython.longlong = 10 * (self.raw[at] - _DIGIT_0) + self.raw[at + 1] - _DIGIT_0
        return value if value <= most else -1

    @cython.cfunc
    @cython.nogil
    @cython.inline
    @cython.exceptval(check=False)
    def is_digit(self, at: cython.Py_ssize_t) -> cython.bint:
        """Return whether a byte is a digit."""
        return _DIGIT_0 <= self.raw[at] <= _DIGIT_0 + 9


class PlainRows:
    """The rows of a file, N of them, of which the caller fills in those that are ``odd``."""

    __slots__ = ("_begin", "_length", "_parts", "_size", "_start", "has_zone", "ints", "line", "odd")

    def __init__(  # noqa: PLR0913 - what a file is, by name
        self,
        data: bytes,
        *,
        below: int,
        separator: str,
        width: int,
        padded: bool,
        is_utf_8: bool,
        numbers: Sequence[int],
        time: int,
        texts: Sequence[int],
    ) -> None:
        """Read the plain rows.

        Args:
            data: the file.
            below: where its second line begins.
            separator: one of ASCII.
            width: how many columns there are.
            padded: blanks beside separators belong to no cell.
            is_utf_8: all of the file is UTF-8; else rows that are not ASCII are odd.
            numbers: columns of EVENT_ID, LOCATION_ID, FILE_ID, -1 where there is none.
            time: column of the time.
            texts: columns of CODE, STEP, TYPE, PLACE.
        """
        n = data.count(b"\n", below) + 1  # lines at most
        reader: RowReader = RowReader()
        reader.raw, reader.at, reader.count = memoryview(data), below, 0
        reader.separator, reader.width, reader.padded, reader.is_utf_8 = ord(separator), width, padded, is_utf_8
        reader.number_column, reader.text_column = np.array(numbers, dtype=np.int64), np.array(texts, dtype=np.int64)
        reader.time_column, reader.cell = time, np.empty(width + 1, dtype=np.int64)
        line, start = np.empty((2, n), dtype=np.int64)
        odd, has_zone = np.zeros((2, n), dtype=np.uint8)
        ints, spans = np.zeros((4, n), dtype=np.int64), np.zeros((2, 4, n), dtype=np.int64)
        reader.line, reader.start, reader.odd, reader.has_zone = line, start, odd, has_zone
        reader.ints, reader.begin, reader.size = ints, spans[0], spans[1]
        with cython.nogil:
            reader.read()
        n = reader.count
        self._parts, self._length, self._start = [data], len(data), start
        self.line = line[:n]
        """[N] the number of its line in the file."""
        self.odd = odd[:n].view(np.bool_)
        """[N] whether the row has yet to be filled in."""
        self.ints = ints[:, :n]
        """[4, N] EVENT_ID, LOCATION_ID, FILE_ID, 0 without a column, and TIME in microseconds since 1970."""
        self.has_zone = has_zone[:n].view(np.bool_)
        """[N] whether the time is that of its zone, UTC now; else it is that of a clock somewhere."""
        self._begin, self._size = spans[0, :, :n], spans[1, :, :n]

    def __len__(self) -> int:
        return len(self.line)

    def raw_line(self, at: int) -> bytes:
        """Return the line that a row is."""
        data, start = self._parts[0], int(self._start[at])
        end = data.find(b"\n", start)
        return data[start:] if end < 0 else data[start : end + 1]

    def fill_in(self, at: int, numbers: Sequence[int], texts: Sequence[str], *, has_zone: bool) -> None:
        """Give an odd row its ``ints``, its texts, "" for a column that there is not, and what its time is."""
        self.ints[:, at] = numbers
        self.has_zone[at] = has_zone
        for kind, text in enumerate(texts):
            part = text.encode()
            self._begin[kind, at], self._size[kind, at] = self._length, len(part)
            self._length += len(part)
            self._parts.append(part)

    def text(self, kind: int) -> tuple[NDArray[np.int32], list[str]]:
        """Return ([N] the number of each row's CODE, STEP or TYPE, the different ones in order of first appearance)."""
        n = len(self)
        number, first = np.empty((2, n), dtype=np.int32)
        count = number_texts(self._data(), self._begin[kind], self._size[kind], number, first, slots_for(n))
        return number, self.texts_at(kind, first[:count])

    def texts_at(self, kind: int, rows: NDArray[np.integer]) -> list[str]:
        """Return a text of some rows; of PLACE with its outer blanks."""
        return decoded(self._data(), self._begin[kind, rows], self._size[kind, rows])

    def _data(self) -> bytes:
        """Return the file, and the texts of the odd rows behind it."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]
