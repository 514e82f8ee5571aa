"""Codes of other schemes, as text of one form: every part is a number, and a part that a code lacks is unknown.

A code of another scheme becomes such a text where events come in (`service.dialect`), once, and is an EPC code like
any other from there on: to features, history and reasons. What was sent stays beside it (`columns.Spelling`).
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

MARK = "~"
"""What such a text begins with. A caller's own text that begins so is no such text, see `guarded`."""

NO_DATE = -2
"""The date part of a code that has none."""

NO_DAY = -(2**31)
"""Its day."""

HEADERS, COMPANIES, PRODUCTS, LOTS = 10**4, 9 * 10**11, 9 * 10**12, 10**12
"""Numbers of a part: so many that keys of two of them fit into 64 bits, see `service.features.keys`."""

_SERIALS = 10**18
_NO_DATE_TEXT = "-" * 8
_FORM = re.compile(r"~([0-9]{4})\.([0-9]{12})\.([0-9]{13})\.([0-9]{12})\.([0-9]{8}|-{8})\.(-?[0-9]{1,18})", re.ASCII)
_GUARD = "!"


class ForeignParts(NamedTuple):
    """The parts of one code."""

    header: int  # 0 .. HEADERS - 1
    company: int  # 0 .. COMPANIES - 1
    product: int  # 0 .. PRODUCTS - 1
    lot: int  # 0 .. LOTS - 1
    date: int  # YYYYMMDD, 0 if it is no date, NO_DATE if there is none
    serial: int  # below 0: it is no number but a name, which has no place among the others

    def text(self) -> str:
        """Return the one text of these parts."""
        date = _NO_DATE_TEXT if self.date == NO_DATE else f"{self.date:08d}"
        return f"~{self.header:04d}.{self.company:012d}.{self.product:013d}.{self.lot:012d}.{date}.{self.serial}"


def read_foreign(text: str) -> ForeignParts | None:
    """Return the parts of a text that `ForeignParts.text` made, None of any other."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    header, company, product, lot, date, serial = found.groups()
    day = NO_DATE if date == _NO_DATE_TEXT else int(date)
    return ForeignParts(int(header), int(company), int(product), int(lot), day, int(serial))


def guarded(text: str) -> str:
    """Return a malformed code of another scheme so that nobody takes it for a good one."""
    return _GUARD + text


def unguarded(text: str, may_be: bool) -> str:
    """Return a text as it was before `guarded`, which it ``may_be`` if codes of other schemes are read."""
    return text[1:] if text[:2] == _GUARD + MARK or (may_be and text[:1] == _GUARD) else text


def named(numbers: int, *names: str) -> int:
    """Return the number, below ``numbers``, of what has no number but names: equal names have the same one."""
    digest = hashlib.blake2b("\x00".join(names).encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % numbers


def number_of(numbers: int, text: str) -> int:
    """Return the number that a part is, or else the one of its name."""
    if text.isascii() and text.isdigit() and len(text) < len(str(numbers)):
        return int(text)
    return named(numbers, text)


def serial_of(text: str) -> int:
    """Return the number that a serial is, leading zeros left out; below 0 if it is none."""
    if text.isascii() and text.isdigit() and len(text.lstrip("0")) <= len(str(_SERIALS)) - 1:
        return int(text)
    return -1 - named(_SERIALS - 1, text)
