"""Serials of other schemes have up to 18 digits: a history tells them apart as a request does."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import numpy as np
import pytest

from service.events.foreign import ForeignParts
from service.features.case import Case
from service.features.table import INDEX
from service.history.in_process import MemoryStore
from tests.service.history.memories import memory, reference
from tests.support.worlds import START, Scan, to_events


@pytest.mark.parametrize("first", [0, 4_000, 2**53, 10**18 - 40])
def test_mates_are_as_near_one_by_one_as_in_one_request(first: int) -> None:
    serials = [first + at for at in (0, 7, 8, 10, 25, 31)]
    scans = [
        Scan(ForeignParts(1, 8_804_823, 1_293_291, 77, 20_250_701, serial).text(), "HUB_Inbound", 13, time)
        for serial, time in zip(serials, (START + timedelta(hours=at) for at in range(len(serials))), strict=True)
    ]
    events = to_events(scans)
    column = INDEX["mate_serial_gap"]
    together = Case.of(events, reference(), causal=True)
    gateway = memory(MemoryStore(max_events=1_000, ttl_s=60), 1_000)

    async def one_by_one() -> list[float]:
        cases = [(await gateway.remember(events.take(np.array([at])))).case for at in range(len(events))]
        return [float(case.features[case.rows[0], column]) for case in cases]

    assert asyncio.run(one_by_one()) == together.features[together.rows, column].tolist()
