"""EPC codes taken apart: ``header.company.product.lot.date.serial``, all distinct codes of a request at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

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


def parse(codes: Sequence[str]) -> Codes:
    """Take U codes apart; any text is accepted, a malformed one is data."""
    well_formed = np.fromiter((len(c) == CODE_LENGTH and c.isascii() for c in codes), dtype=np.bool_, count=len(codes))
    text = "".join(code for code, fits in zip(codes, well_formed.tolist(), strict=True) if fits)
    letters = np.frombuffer(text.encode("ascii"), dtype=np.uint8).reshape(-1, CODE_LENGTH)
    digits = letters - np.uint8(ord("0"))  # wraps around for what is below "0", so that only digits are <= 9
    is_digit = digits <= 9
    is_digit[:, _DOTS] = letters[:, _DOTS] == ord(".")
    fits = is_digit.all(axis=1)
    well_formed[np.flatnonzero(well_formed)[~fits]] = False

    parts = {}
    for name, (begin, end) in _FIELDS.items():
        parts[name] = np.full(len(codes), -1, dtype=np.int64)
        parts[name][well_formed] = digits[fits, begin:end].astype(np.int64) @ 10 ** np.arange(end - begin - 1, -1, -1)
    day, date_valid = calendar_day(parts["date"])
    return Codes(well_formed=well_formed, day=day, date_valid=date_valid & well_formed, **parts)


def calendar_day(date: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (days since 1970-01-01, is a date of the calendar) of numbers YYYYMMDD; the day of no date is 0."""
    distinct, which = np.unique(date, return_inverse=True)  # of many codes few
    day, valid = _calendar_day(distinct)
    return day[which], valid[which]


def _calendar_day(date: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    plausible = (date > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    months = np.where(plausible, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]")
    month_days = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    valid = plausible & (day <= month_days)
    return np.where(valid, first.astype("datetime64[D]").astype(np.int64) + day - 1, 0), valid
