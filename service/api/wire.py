"""Events read off the wire: the bytes of a request to columns. Compiled; see `service.features`.

A message object per event would be made only to be read once, field by field: for large requests that costs as much as
everything else together. Here the few fields of the contract are read where they are; fields that are not known are
passed over. What is not read here (groups, and what is no message at all) is for protobuf's own parser.
"""

from __future__ import annotations

import cython
import numpy as np
from numpy.typing import NDArray

from service.events.groups import slots_for
from service.events.texts import decoded

if cython.compiled:
    from cython.cimports.service.events.texts import number_texts
else:
    from service.events.texts import number_texts

EVENT_ID, LOCATION_ID, FILE_ID, SECONDS, NANOS = range(5)
"""Rows of `WireScans.ints`."""

CODE, STEP, TYPE = range(3)
"""Rows of `WireScans.text`."""

_DATA_FIELD = cython.declare(cython.ulonglong, 1)
_LAST_FIELD = cython.declare(cython.ulonglong, 5)
_TEXTS = cython.declare(cython.int, 3)
_RELEASED_FROM = 50_000
"""Bytes from which the reading lets go of the interpreter."""

_LOW_63 = cython.declare(cython.ulonglong, 0x7FFFFFFFFFFFFFFF)
_64_BITS = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)


@cython.cclass
class Reader:
    """A request of the contract that has its events in field 1, and whole numbers in fields 2 to 5."""

    raw: cython.const[cython.uchar][::1]
    at: cython.Py_ssize_t
    plain: cython.bint  # nothing was found that is not read here
    events: cython.Py_ssize_t
    scalar: cython.ulonglong[::1]  # [6] by field
    ints: cython.longlong[:, ::1]  # [5, N]
    has_time: cython.uchar[::1]  # [N]
    begin: cython.longlong[:, ::1]  # [3, N] where each text is
    size: cython.longlong[:, ::1]  # [3, N]
    number: cython.int[:, ::1]  # [3, N] texts that are the same
    first: cython.int[:, ::1]  # [3, N] by number, the first event that has it
    slots: cython.int[::1]
    of_text: cython.int[::1]  # [3] how many different ones there are

    def __init__(self, raw: bytes) -> None:
        self.raw, self.plain, self.events = memoryview(raw), True, 0
        self.scalar = np.zeros(6, dtype=np.uint64)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def outline(self) -> cython.void:
        """Count the events and read what is beside them."""
        end: cython.Py_ssize_t = self.raw.shape[0]
        tag: cython.ulonglong
        self.at = 0
        while self.plain and self.at < end:
            tag = self.tag(end)
            if tag == (_DATA_FIELD << 3 | 2):
                self.events += 1
                self.pass_over(end)
            elif tag & 7 == 0 and _DATA_FIELD < tag >> 3 <= _LAST_FIELD:
                self.scalar[tag >> 3] = self.varint(end)
            else:
                self.skip(tag, end)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read(self) -> cython.void:
        """Read the events, which `outline` counted."""
        end: cython.Py_ssize_t = self.raw.shape[0]
        tag: cython.ulonglong
        size: cython.Py_ssize_t
        i: cython.Py_ssize_t = 0
        text: cython.int
        self.at = 0
        while self.plain and self.at < end:
            tag = self.tag(end)
            if tag == (_DATA_FIELD << 3 | 2):
                size = self.length(end)
                self.event(i, self.at + size)
                i += 1
            else:
                self.skip(tag, end)
        if self.plain:
            for text in range(_TEXTS):
                self.of_text[text] = number_texts(
                    self.raw, self.begin[text], self.size[text], self.number[text], self.first[text], self.slots
                )

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def event(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Read a ScanEvent."""
        tag: cython.ulonglong
        size: cython.Py_ssize_t
        while self.plain and self.at < end:
            tag = self.tag(end)
            if tag == (1 << 3):
                self.ints[0, i] = signed(self.varint(end))
            elif tag == (2 << 3 | 2):
                self.text(0, i, end)
            elif tag == (3 << 3):
                self.ints[1, i] = signed(self.varint(end))
            elif tag == (4 << 3 | 2):
                self.text(1, i, end)
            elif tag == (5 << 3 | 2):
                self.text(2, i, end)
            elif tag == (6 << 3 | 2):
                size = self.length(end)
                self.has_time[i] = True
                self.time(i, self.at + size)
            elif tag == (7 << 3):
                self.ints[2, i] = signed(self.varint(end))
            else:
                self.skip(tag, end)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def time(self, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Read a google.protobuf.Timestamp; of a second one in the event, what it has replaces what was before."""
        tag: cython.ulonglong
        while self.plain and self.at < end:
            tag = self.tag(end)
            if tag == (1 << 3):
                self.ints[3, i] = signed(self.varint(end))
            elif tag == (2 << 3):
                self.ints[4, i] = signed_32(self.varint(end))
            else:
                self.skip(tag, end)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def text(self, text: cython.int, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Note where a text is; of one that comes twice protobuf looks at both."""
        if self.begin[text, i] > 0:
            self.plain = False
        self.size[text, i] = self.length(end)
        self.begin[text, i] = self.at
        self.at += self.size[text, i]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def tag(self, end: cython.Py_ssize_t) -> cython.ulonglong:
        """Read the number and the wire type of a field."""
        begin: cython.Py_ssize_t = self.at
        tag: cython.ulonglong = self.varint(end)
        if tag >> 32 or tag >> 3 == 0 or self.at - begin > 5:
            self.plain = False
        return tag

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def length(self, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Read a length, and see that so much is there."""
        size: cython.ulonglong = self.varint(end)
        if size >> 40 or self.at + cython.cast(cython.Py_ssize_t, size) > end:
            self.plain = False
            return 0
        return cython.cast(cython.Py_ssize_t, size)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def pass_over(self, end: cython.Py_ssize_t) -> cython.void:
        """Pass over a length and as many bytes."""
        size: cython.Py_ssize_t = self.length(end)  # moves on by itself
        self.at += size

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def varint(self, end: cython.Py_ssize_t) -> cython.ulonglong:
        """Read a whole number of at most 64 bits."""
        value: cython.ulonglong = 0
        shift: cython.int = 0
        byte: cython.ulonglong
        while self.at < end and shift < 64:
            byte = self.raw[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift == 63 and byte > 1:
                    break
                return value
            shift += 7
        self.plain = False
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def skip(self, tag: cython.ulonglong, end: cython.Py_ssize_t) -> cython.void:
        """Pass over a field that is not known."""
        kind: cython.int = tag & 7
        if kind == 0:
            self.varint(end)
        elif kind == 1:
            self.at += 8
        elif kind == 2:
            self.pass_over(end)
        elif kind == 5:
            self.at += 4
        else:
            self.plain = False
        if self.at > end:
            self.plain = False


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def signed(value: cython.ulonglong) -> cython.longlong:
    """Return the int64 of these 64 bits."""
    low: cython.longlong = value & _LOW_63
    above: cython.longlong = (value ^ _64_BITS) & _LOW_63
    return -1 - above if value >> 63 else low


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def signed_32(value: cython.ulonglong) -> cython.longlong:
    """Return the int32 of the lower 32 bits, which is all that counts of them."""
    low: cython.longlong = value & 0x7FFFFFFF
    above: cython.longlong = (value ^ _64_BITS) & 0x7FFFFFFF
    return -1 - above if (value >> 31) & 1 else low


class WireScans:
    """The events of a request, N of them, and the fields beside them."""

    __slots__ = ("_raw", "_reader", "has_time", "ints", "scalar")

    def __init__(self, raw: bytes) -> None:
        """Count the events of a message.

        Raises:
            NotPlain: protobuf's own parser has to look at it.
        """
        reader: Reader = Reader(raw)
        reader.outline()
        self._raw, self._reader = raw, reader
        _check(reader)
        self.scalar = np.asarray(reader.scalar).view(np.int64).tolist()
        """[6] the whole numbers of the message, by field."""

    def __len__(self) -> int:
        reader: Reader = self._reader
        return int(reader.events)

    def read(self) -> None:
        """Read the events; raises NotPlain."""
        reader: Reader = self._reader
        n = reader.events
        self.ints, self.has_time = np.zeros((5, n), dtype=np.int64), np.zeros(n, dtype=np.uint8)
        """[5, N] the whole numbers of the events, and [N] whether they have a time."""
        reader.ints, reader.has_time = self.ints, self.has_time
        spans = np.zeros((2, 3, n), dtype=np.int64)
        numbers = np.empty((2, 3, n), dtype=np.int32)
        reader.begin, reader.size, reader.number, reader.first = spans[0], spans[1], numbers[0], numbers[1]
        reader.of_text = np.zeros(3, dtype=np.int32)
        reader.slots = slots_for(n)
        if reader.raw.shape[0] < _RELEASED_FROM:
            reader.read()
        else:
            with cython.nogil:
                reader.read()
        _check(reader)

    def text(self, row: int) -> tuple[NDArray[np.int32], list[str]]:
        """Return ([N] the number of each event's text, the different texts in the order of first appearance).

        Raises:
            NotPlain: one is no UTF-8.
        """
        reader: Reader = self._reader
        text: cython.int = row
        first = np.asarray(reader.first[text, : reader.of_text[text]])
        try:
            texts = decoded(self._raw, np.asarray(reader.begin[text])[first], np.asarray(reader.size[text])[first])
        except UnicodeDecodeError:
            raise NotPlain from None
        return np.asarray(reader.number[text]), texts


@cython.ccall
def are_sound(  # noqa: PLR0913, PLR0917 - columns, and what bounds them
    ints: cython.const[cython.longlong][:, ::1],
    has_time: cython.const[cython.uchar][::1],
    least_s: cython.longlong,
    most_s: cython.longlong,
    most_nanos: cython.longlong,
    one_file: cython.bint,
) -> cython.bint:
    """Return whether all events, N > 0 of them as in `WireScans`, have a time within bounds, and (that of) one file."""
    i: cython.Py_ssize_t
    for i in range(has_time.shape[0]):
        if not has_time[i] or ints[3, i] < least_s or ints[3, i] > most_s or ints[4, i] < 0 or ints[4, i] > most_nanos:
            return False
        if one_file and ints[2, i] != ints[2, 0]:
            return False
    return True


class NotPlain(Exception):
    """The bytes are no message of the contract, or one in a way that only protobuf's own parser knows."""


@cython.cfunc
def _check(reader: Reader) -> None:
    if not reader.plain:
        raise NotPlain
