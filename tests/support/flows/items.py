"""Items whose stays are known, as series and as what stock flow starts from."""

from __future__ import annotations

from service.events.zones import TimeZones
from service.flow.measures import measure
from service.flow.series import FlowSeries
from service.flow.stays import stays_of
from tests.support.worlds import ROUTE, Scan, code, journey, to_events
from training.flow.items import ItemDays


def items(count: int, every_h: float) -> tuple[FlowSeries, ItemDays]:
    """Return items that each take the same journey, one every so many hours."""
    scans: list[Scan] = [
        scan
        for serial in range(count)
        for scan in journey(code(serial), ROUTE[:5], [every_h * serial + hour for hour in (0, 1, 72, 120, 240)])
    ]
    events = to_events(scans)
    zones = TimeZones("UTC")
    stays = stays_of(events)
    series = FlowSeries.from_flow(measure(stays, events.epc_codes, zones))
    return series, ItemDays.of(stays, events.epc_codes, zones, series)
