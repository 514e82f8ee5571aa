"""Scans and items of a simulated world as columns, and the clock that all times count by.

All times are seconds after 2025-07-01 00:00:00.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import cache

import numpy as np

from service.events.vocabulary import KINDS
from training.simulation.catalogue import Bools, Ints
from training.simulation.networks.habits import Habits

MINUTE, HOUR, DAY = 60, 3600, 86_400
MAX_SCANS = 10

NOISES = ("", "late_scan", "missed_scan", "re_read", "rare_lane", "return", "blind_gate")
"""Harmless noise by code: never labelled as an anomaly."""


@dataclass(slots=True, eq=False)
class Scans:
    """N scans as columns, ordered by item and time."""

    item: Ints  # [N] row of Items
    step: Ints  # [N] event type code (service.events.vocabulary.EVENT_TYPES)
    place: Ints  # [N] place code (catalogue.Places)
    time: Ints  # [N] seconds after 2025-07-01 00:00:00
    noise: Ints  # [N] index into NOISES
    labels: Bools  # [N, 5] in the order of KINDS
    variant: Ints  # [N] index into VARIANTS, -1 if normal

    def __len__(self) -> int:
        return len(self.item)

    def take(self, index: Ints | Bools) -> Scans:
        """Return the scans at ``index`` (positions or a mask)."""
        return Scans(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(slots=True, eq=False)
class Items:
    """n items (EPCs) as columns; the parts of the code are what is printed, true or forged."""

    lot: Ints  # [n] lot index of the catalogue
    product: Ints  # [n] product index of the catalogue
    shipment: Ints  # [n]
    made: Ints  # [n] time of aggregation, seconds after 2025-07-01 00:00:00
    serial_gap: Ints  # [n] serials that follow the item's shipment in the block and were never shipped
    shipment_end: Ints  # [n] last serial of the item's shipment
    company: Ints  # [n] printed company number
    number: Ints  # [n] printed product number
    lot_number: Ints  # [n] printed lot number
    day: Ints  # [n] printed date, days after 2025-07-01
    serial: Ints  # [n] printed serial
    malformed: dict[int, str]  # whole printed code of the items whose code does not follow the format
    header: int = 1  # first part of every code


@cache
def date_text(day: int) -> str:
    """Return YYYYMMDD of the day so many days after 2025-07-01."""
    return f"{date(2025, 7, 1) + timedelta(day):%Y%m%d}"


def printed_code(items: Items, item: int) -> str:
    """Return the well-formed code of one item: header.company.product.lot.date.serial."""
    maker = f"{items.header:03d}.{items.company[item]:07d}.{items.number[item]:07d}"
    return f"{maker}.{items.lot_number[item]:06d}.{date_text(int(items.day[item]))}.{items.serial[item]:09d}"


def merged(parts: list[Scans]) -> Scans:
    """Return all scans of ``parts`` ordered by item and time; ties keep the order of the parts."""
    names = [field.name for field in fields(Scans)]
    both = Scans(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
    return both.take(np.lexsort((both.time, both.item)))


def new_scans(item: Ints, step: Ints | int, place: Ints, time: Ints, noise: int = 0) -> Scans:
    """Return normal scans with the given columns."""
    n = len(item)
    ones = np.ones(n, dtype=np.int64)
    return Scans(
        item=item,
        step=ones * step,
        place=place.copy(),
        time=time.copy(),
        noise=ones * noise,
        labels=np.zeros((n, len(KINDS)), dtype=bool),
        variant=-ones,
    )


def workday(time: Ints, opens: int, closes: int) -> Ints:
    """Squeeze the time of day into the hours of work."""
    return time // DAY * DAY + opens * HOUR + time % DAY * (closes - opens) // 24


def dispatch(time: Ints, habits: Habits) -> Ints:
    """Move the times of outbound scans into the hours of work; nothing leaves on the day of rest."""
    left = workday(time, *habits.work_hours)
    left += DAY * (left // DAY % 7 == habits.rest_day)  # day 0 is a Tuesday
    return left
