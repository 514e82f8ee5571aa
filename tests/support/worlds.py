"""Small worlds of scan events, built by hand or drawn at random, and what is normal in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from service.events.columns import Events, factorize, step_codes, type_codes
from service.events.vocabulary import EVENT_TYPES, LEVEL_OF_TYPE, LEVELS
from service.features.reference import Reference
from tests.support.gateway import ROOT
from training.datasets.masters import Masters
from training.samples.reference import learn

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2025, 7, 1, 9, tzinfo=UTC)
SAMPLE = ROOT / "tests" / "data" / "real_events_sample.tsv"

ROUTE = (1, 5, 5, 13, 13, 23, 23, 74, 74, 74)
"""The places of a normal journey, one per event type."""

DETOUR = (1, 5, 5, 14, 14, 24, 24, 75, 75, 75)
"""The places of the other normal flow, of another product."""

HOURS = (0, 1, 100, 110, 300, 308, 500, 504, 600, 640)
"""The hours of a normal journey since aggregation, one per event type."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One event as a test writes it down."""

    code: str
    event_type: str
    location_id: int
    time: datetime
    event_id: int = 0  # 0: the place in the list, from 1
    step: str | None = None  # None: the step of the type


def code(serial: int, *, lot: int = 10_004, product: int = 1_293_291, date: str = "20250701") -> str:
    """Return a well-formed code of the company of these worlds."""
    return f"001.8804823.{product:07d}.{lot:06d}.{date}.{serial:09d}"


OTHER_LOT, OTHER_PRODUCT = 10_005, 1_293_292
"""What takes the DETOUR."""


def journey(
    item: str, places: Sequence[int] = ROUTE, hours: Sequence[float] = HOURS, types: Sequence[str] = EVENT_TYPES
) -> list[Scan]:
    """Return the scans of an item, cut to the shortest of the lists."""
    times = [START + timedelta(hours=hour) for hour in hours]
    return [Scan(item, *scan) for scan in zip(types, places, times, strict=False)]


def to_events(scans: Iterable[Scan]) -> Events:
    """Return the columns of ``scans`` in their order."""
    listed = list(scans)
    epc, codes = factorize([scan.code for scan in listed])
    return Events(
        event_id=np.array([scan.event_id or at for at, scan in enumerate(listed, 1)], dtype=np.int64),
        epc=epc,
        epc_codes=codes,
        location_id=np.array([scan.location_id for scan in listed], dtype=np.int64),
        step=step_codes([_step(scan) for scan in listed]),
        event_type=type_codes([scan.event_type for scan in listed]),
        time_us=np.array([(scan.time - EPOCH) // timedelta(microseconds=1) for scan in listed], dtype=np.int64),
        file_id=np.ones(len(listed), dtype=np.int64),
    )


def _step(scan: Scan) -> str:
    if scan.step is not None:
        return scan.step
    known = scan.event_type in EVENT_TYPES
    return LEVELS[LEVEL_OF_TYPE[EVENT_TYPES.index(scan.event_type)]] if known else ""


def shipment(
    places: Sequence[int], serials: Iterable[int], *, start: int = 0, lot: int = 10_004, product: int = 1_293_291
) -> list[Scan]:
    """Return normal journeys of a lot's items, a minute apart, ``start`` hours after START."""
    return [
        scan
        for number, serial in enumerate(serials)
        for scan in journey(
            code(serial, lot=lot, product=product), places, [start + hour + number / 60 for hour in HOURS]
        )
    ]


def normal_scans() -> list[Scan]:
    """Return two products of two shipments each, all of them normal; the second shipment is a bit slower."""
    second = shipment(ROUTE, range(4_020, 4_040), start=200)
    slower = [replace(scan, time=scan.time + (scan.time - START) * 0.05) for scan in second]
    return [
        *shipment(ROUTE, range(4_000, 4_020)),
        *slower,
        *shipment(DETOUR, range(5_000, 5_020), lot=OTHER_LOT, product=OTHER_PRODUCT),
        *shipment(DETOUR, range(5_020, 5_040), start=250, lot=OTHER_LOT, product=OTHER_PRODUCT),
    ]


def masters() -> Masters:
    """Return masters of the places 1..75 in use (74 is missing, as in real life) and three routes."""
    places = {1: (37.45, 126.65), 5: (37.46, 126.64), 13: (37.3, 127.0), 14: (35.8, 127.1), 23: (37.55, 126.97)}
    places |= {24: (35.85, 127.15), 75: (35.9, 127.2)}
    return Masters(
        location_id=np.array(list(places), dtype=np.int64),
        latitude=np.array([latitude for latitude, _ in places.values()]),
        longitude=np.array([longitude for _, longitude in places.values()]),
        route_from=np.array([13, 5, 14], dtype=np.int64),
        route_to=np.array([23, 13, 24], dtype=np.int64),
        route_hours=np.array([[8.0, 2.0, 3.0, 14.0], [10.0, 3.0, 5.0, 20.0], [8.0, 2.0, 3.0, 14.0]]),
        route_count=np.array([40.0, 50.0, 60.0]),
    )


@cache
def reference() -> Reference:
    """Return what the normal scans and the masters teach."""
    events = to_events(normal_scans())
    return learn(events, np.ones(len(events), dtype=np.bool_), masters())
