"""GS1: a GTIN with a serial number, perhaps with batch and dates; as URN, web address (Digital Link), element string.

The same item is the same code in each of these, as long as all of them name its batch and date, or none. A GTIN says
which product it is, its first digits whose: how many of them, only a list of company prefixes can tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from service.dialect.malformed import Malformed
from service.events.codes import calendar_day
from service.events.foreign import COMPANIES, LOTS, NO_DATE, PRODUCTS, ForeignParts, named, serial_of

MOST_CHARACTERS = 500
"""Of a code; longer ones are not looked at."""

_URN = re.compile(r"urn:epc:(?:id:sgtin|tag:sgtin-(?:96|198):[0-7]):([0-9]{6,12})\.([0-9]{1,7})\.(.+)", re.IGNORECASE)
_LINK = re.compile(r"https?://[^/?#]+((?:/[^/?#]*)*)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE)
_BRACKETED = re.compile(r"\(([0-9]{2,4})\)([^()]*)")
_TEXT = re.compile(r"[!\"%-?A-Z_a-z]{1,20}")
_SEPARATOR = "\x1d"

_GTIN, _LOT, _MADE, _EXPIRES, _SERIAL = "01", "10", "11", "17", "21"
_FIXED = {"00": 18, _GTIN: 14, "02": 14, _MADE: 6, "12": 6, "13": 6, "15": 6, "16": 6, _EXPIRES: 6, "20": 2}
"""Digits of the elements that end without a separator."""
_VARIABLE = {_LOT, _SERIAL, "22", "30", "37"}
_NAMES = {"gtin": _GTIN, "lot": _LOT, "ser": _SERIAL, "exp": _EXPIRES}
"""What web addresses may call them instead."""


class _Elements(NamedTuple):
    """What a code says, as text."""

    gtin: str  # 14 digits, the last one its check digit, or 13 without it
    serial: str
    company: str | None = None  # where the code says which digits are the company's
    lot: str | None = None
    made: str | None = None  # YYMMDD
    expires: str | None = None  # YYMMDD


def parts_of(code: str, prefixes: Sequence[str]) -> ForeignParts:
    """Return the parts of a code, the company by the ``prefixes`` that are known, longest first.

    Raises:
        Malformed: it is no such code, its check digit is wrong, or it contradicts itself.
    """
    if len(code) > MOST_CHARACTERS:
        raise Malformed("it has {n} characters, more than a GS1 code can have", n=len(code))
    said = _elements(code)
    if len(said.gtin) == len("01234567890123"):
        _check_digit(said.gtin)
    if said.lot is not None and not _TEXT.fullmatch(said.lot):
        raise Malformed("its batch (10) is not of 1 to 20 characters that GS1 allows")
    if not _TEXT.fullmatch(said.serial):
        raise Malformed("its serial (21) is not of 1 to 20 characters that GS1 allows")
    body = said.gtin[:13]
    date = NO_DATE if said.made is None else _date(said.made)
    if said.expires is not None and date > 0 and 0 < _date(said.expires) < date:
        raise Malformed("it expires (17) before it was made (11)")
    lot = _lot_number(body, said.lot or "")
    return ForeignParts(
        0, _company(body, said.company, prefixes), int(body) % PRODUCTS, lot, date, serial_of(said.serial)
    )


@lru_cache(4096)
def _lot_number(product: str, lot: str) -> int:
    """Return the number of a batch of a product: equal ones of two products are two. Without a batch all are one."""
    return named(LOTS, product, lot)


def _elements(code: str) -> _Elements:
    if urn := _URN.fullmatch(code):
        company, item, serial = urn.groups()
        if len(company) + len(item) != 13:
            raise Malformed("its company and item have {n} digits together, not 13", n=len(company) + len(item))
        return _Elements(item[0] + company + item[1:], unquote(serial), company)
    if link := _LINK.fullmatch(code):
        return _of(_of_link(link[1], link[2] or ""))
    if code[:1] == "(":
        return _of(_of_brackets(code))
    if code[:2] == _GTIN and code.isascii():
        return _of(_of_stream(code))
    raise Malformed("it is not of the form urn:epc:id:sgtin:…, a GS1 Digital Link or an element string (01)…(21)…")


def _of(said: dict[str, str]) -> _Elements:
    gtin = said.get(_GTIN)
    if gtin is None:
        raise Malformed("it names no GTIN (01)")
    if not (gtin.isascii() and gtin.isdigit() and len(gtin) in {8, 12, 13, 14}):
        raise Malformed("its GTIN (01) is not of 14 digits")
    if _SERIAL not in said:
        raise Malformed("it names no serial (21): it is of a product, not of one item")
    return _Elements(gtin.zfill(14), said[_SERIAL], None, said.get(_LOT), said.get(_MADE), said.get(_EXPIRES))


def _of_link(path: str, query: str) -> dict[str, str]:
    """Return the elements of a Digital Link: pairs in the path from the GTIN on, attributes in the query."""
    steps = [unquote(step) for step in path.split("/")[1:]]
    start = next((at for at, step in enumerate(steps) if _NAMES.get(step, step) == _GTIN), None)
    if start is None:
        raise Malformed("its web address names no GTIN (/01/…)")
    keys, values = steps[start::2], steps[start + 1 :: 2]
    pairs = [*zip(keys, values, strict=False), *(_pair(part) for part in re.split("[&;]", query) if part)]
    return _once([(_NAMES.get(key, key), value) for key, value in pairs])


def _pair(part: str) -> tuple[str, str]:
    key, _, value = part.partition("=")
    return unquote(key), unquote(value)


def _of_brackets(code: str) -> dict[str, str]:
    """Return the elements of a string that people read: (01)…(21)…."""
    if "".join(found[0] for found in _BRACKETED.finditer(code)) != code:
        raise Malformed("its brackets do not each hold a number of 2 to 4 digits")
    return _once([(found[1], found[2]) for found in _BRACKETED.finditer(code)])


def _of_stream(code: str) -> dict[str, str]:
    """Return the elements of a string as a scanner sends it: variable ones end with a separator, or with the string."""
    found, at = [], 0
    while at < len(code):
        key = code[at : at + 2]
        if key in _FIXED:
            end = at + 2 + _FIXED[key]
        elif key in _VARIABLE:
            end = (code + _SEPARATOR).index(_SEPARATOR, at)
        else:
            raise Malformed("its element {key} is not known", key=ascii(key))
        found.append((key, code[at + 2 : end]))
        at = end + (code[end : end + 1] == _SEPARATOR)
    return _once(found)


def _once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    said = dict(pairs)
    twice = {key for key, value in pairs if said[key] != value}
    if twice:
        raise Malformed("its element ({key}) is there twice, with two values", key=_shown(min(twice)))
    return said


def _shown(key: str) -> str:
    """Return the name of an element; web addresses may have any text in its place."""
    return key if key.isascii() and key.isalnum() and len(key) <= 20 else ascii(key[:20])


def _check_digit(gtin: str) -> None:
    digits = [int(digit) for digit in gtin]
    right = -sum(digit * (3, 1)[at % 2] for at, digit in enumerate(digits[:-1])) % 10
    if digits[-1] != right:
        raise Malformed(
            "the check digit of its GTIN {gtin} is {digit}, not {right}", gtin=gtin, digit=digits[-1], right=right
        )


def _company(body: str, said: str | None, prefixes: Sequence[str]) -> int:
    """Return the number of a company, 0 where no list tells it; the indicator stands before its digits."""
    own = next((prefix for prefix in prefixes if body[1:].startswith(prefix)), None)
    if own is None:
        return 0
    if said is not None and said != own:
        raise Malformed("its company prefix is {said}, that of its GTIN is {own}", said=said, own=own)
    return int(own.ljust(12, "0")) % COMPANIES


@lru_cache(4096)
def _date(text: str) -> int:
    """Return YYYYMMDD of YYMMDD, 0 if it is no date, NO_DATE if it names no day: DD may be 00."""
    if not (text.isascii() and text.isdigit() and len(text) == len("YYMMDD")):
        return 0
    if text.endswith("00"):
        return NO_DATE
    date = int(("20" if text < "90" else "19") + text)
    return date if calendar_day(np.array([date]))[1][0] else 0
