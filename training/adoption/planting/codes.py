"""epcFake: codes that nobody issued, or that turn up where their item never was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.adoption.planting.bed import DAY_US, Bed, ScanRows

_Edit = Callable[[list[str], np.random.Generator], list[str]]
"""Returns other parts for the parts header, company, product, lot, date, serial of a code."""

_LAST_SERIAL = 999_999_999

_WIDE_GAP = 20
"""Steps of serials that are missing between two of a lot, from which they were left out on purpose."""


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


def other_company(bed: Bed) -> None:
    """Of another company that does issue codes."""
    companies = sorted({code[1] for code in _printed(bed)})
    if len(companies) > 1:
        _forge(bed, lambda parts, rng: [parts[0], str(rng.choice([c for c in companies if c != parts[1]])), *parts[2:]])


_Serial = Callable[[tuple[str, ...], float], int]
"""Returns another serial for the parts of a code and a number 0 .. 1."""


def _print_serials(bed: Bed, rows: ScanRows, serial_of: _Serial) -> None:
    """Print other serials on the items of ``rows``; those that go together get neighbouring ones."""
    numbers = dict(zip((bed.codes[item] for item in bed.item[rows].tolist()), bed.uniform(rows).tolist(), strict=True))
    used: set[tuple[str, str, int]] = set()

    def edit(parts: list[str], _rng: np.random.Generator) -> list[str]:
        serial = serial_of(tuple(parts), numbers[".".join(parts)])
        while (parts[2], parts[3], serial) in used:
            serial += 1
        used.add((parts[2], parts[3], serial))
        return [*parts[:5], f"{min(serial, _LAST_SERIAL):09d}"]

    _print(bed, rows, edit)


def _above_its_lot(bed: Bed, beyond: Callable[[float], float]) -> None:
    """Print serials above all of the lot, by as much as ``beyond`` says of a number 0 .. 1."""
    most: dict[tuple[str, ...], int] = {}
    for code in _printed(bed):
        most[code[2:4]] = max(most.get(code[2:4], 0), int(code[5]))
    _print_serials(bed, _first_scans(bed), lambda code, at: most[code[2:4]] + int(beyond(at)))


def serial_outside(bed: Bed) -> None:
    """Some hundred or thousand numbers beyond its lot."""
    _above_its_lot(bed, lambda at: 300 + 3_000 * at)


def serial_far_outside(bed: Bed) -> None:
    """Where no serial ever was; any length of the distance is as likely."""
    _above_its_lot(bed, lambda at: 10_000 * (_LAST_SERIAL / 10_000) ** at)


def serial_never_shipped(bed: Bed) -> None:
    """Among the serials of its lot, in the next gap between those that were shipped."""
    gap_after: dict[tuple[str, ...], tuple[int, int]] = {}  # by code: where the gap begins, and how wide it is
    ahead, after = None, None  # the next gap, and the code above
    least = _WIDE_GAP * bed.reference.serial_step
    for code in sorted(_printed(bed), key=lambda code: (code[2], code[3], code[5]), reverse=True):
        if after is None or code[2:4] != after[2:4]:
            ahead = None
        elif (width := int(after[5]) - int(code[5])) >= least:
            ahead = int(code[5]), width
        if ahead is not None:
            gap_after[code] = ahead
        after = code
    has = np.array([tuple(code.split(".")) in gap_after for code in bed.codes])

    def inside(code: tuple[str, ...], at: float) -> int:
        begin, width = gap_after[code]
        return begin + int((0.3 + 0.4 * at) * width)

    _print_serials(bed, bed.pick(bed.starts & (bed.printable & has)[bed.item]), inside)


def _printed(bed: Bed) -> list[tuple[str, ...]]:
    """Return the parts of the codes in which nothing was found, as they were."""
    return [tuple(bed.events.epc_codes[item].split(".")) for item in np.flatnonzero(bed.printable & bed.clean).tolist()]


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
