"""epcFake: codes that nobody issued, or that turn up where their item never was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.adoption.planting.bed import DAY_US, Bed, ScanRows

_Edit = Callable[[list[str], np.random.Generator], list[str]]
"""Returns other parts for the parts header, company, product, lot, date, serial of a code."""

_LAST_SERIAL = 999_999_999


def _forge(bed: Bed, edit: _Edit) -> None:
    _print(bed, _first_scans(bed), edit)


def _first_scans(bed: Bed) -> ScanRows:
    return bed.pick(bed.starts & bed.printable[bed.item])


def _print(bed: Bed, rows: ScanRows, edit: _Edit) -> None:
    """Print other codes on the items of ``rows``; one that another item has already is drawn again, or left."""
    taken = set(bed.codes)
    for item in bed.item[rows].tolist():
        for _ in range(5):
            code = ".".join(edit(bed.codes[item].split("."), bed.rng))
            if code not in taken:
                taken.add(code)
                bed.codes[item] = code
                break
    bed.label_items(rows)


def malformed(bed: Bed) -> None:
    def edit(parts: list[str], rng: np.random.Generator) -> list[str]:
        header, *others, serial = parts
        return [["-".join(parts)], [header, *others, serial[1:]], [header, *others[:2], *others[3:], serial]][
            rng.integers(3)
        ]

    _forge(bed, edit)


def foreign_company(bed: Bed) -> None:
    _forge(bed, lambda parts, rng: [parts[0], f"{rng.integers(1_000_000, 10_000_000):07d}", *parts[2:]])


def unknown_product(bed: Bed) -> None:
    _forge(bed, lambda parts, rng: [*parts[:2], f"{rng.integers(1_000_000, 10_000_000):07d}", *parts[3:]])


def _other_date(bed: Bed, low: int, high: int) -> None:
    def edit(parts: list[str], rng: np.random.Generator) -> list[str]:
        date = parts[4]
        day = np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}") + np.timedelta64(int(rng.integers(low, high)), "D")
        return [*parts[:4], str(day).replace("-", ""), parts[5]]

    rows = bed.pick(bed.starts & (bed.printable & bed.parts.date_valid)[bed.item])
    _print(bed, rows, edit)


def future_date(bed: Bed) -> None:
    """Weeks after the item was made, and before it was."""
    _other_date(bed, 60, 400)


def early_date(bed: Bed) -> None:
    _other_date(bed, -12, 0)


def lot_of_other_product(bed: Bed) -> None:
    own = bed.parts.lot[bed.parts.well_formed]
    lots = np.unique(own)
    if len(lots) > 1:
        _forge(bed, lambda parts, rng: [*parts[:3], _another(lots, int(parts[3]), rng), *parts[4:]])


def _another(lots: np.ndarray, own: int, rng: np.random.Generator) -> str:
    other = int(rng.choice(lots))
    return f"{other if other != own else int(lots[(np.searchsorted(lots, own) + 1) % len(lots)]):06d}"


def serial_outside(bed: Bed) -> None:
    """Above every serial in use, by some hundred numbers or by millions: any length is as likely."""
    most = int(bed.parts.serial.max())
    room = max(_LAST_SERIAL - most, 1_000)

    def edit(parts: list[str], rng: np.random.Generator) -> list[str]:
        beyond = int(np.exp(rng.uniform(np.log(500), np.log(room))))
        return [*parts[:5], f"{min(most + beyond, _LAST_SERIAL):09d}"]

    _forge(bed, edit)


def first_seen_downstream(bed: Bed) -> None:
    """A perfect code that starts two levels down or more, days before its mates were there."""
    can = bed.inbound & (bed.level >= 3) & ~bed.starts
    rows = bed.pick(can)
    start = np.full(len(bed.codes), -1)
    start[bed.item[rows]] = rows
    bed.alive &= np.arange(len(bed.item)) >= start[bed.item]
    bed.label_items(rows)
    earlier = np.minimum(bed.uniform(rows, 6, 30) * DAY_US, 0.8 * bed.gap[rows])
    bed.delay_from(rows, -earlier.astype(np.int64))
