"""A raw file for the pages: items of one lot, one of which is too fast, and one with a hostile code."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from service.events.vocabulary import EVENT_TYPES, LEVEL_OF_TYPE, LEVELS
from tests.support.web.findings import HOSTILE
from tests.support.worlds import HOURS, ROUTE, START, code

FAST = 5
"""The serial of the item that is at the hub two minutes after it left the factory."""


def write_day(path: Path) -> Path:
    """Write the file: twelve journeys and one scan of a hostile code, as times of Seoul."""
    lines = ["scan_location\tlocation_id\tbusiness_step\tevent_type\tepc_code\tevent_time"]
    for serial in range(1, 13):
        for at, (place, hours) in enumerate(zip(ROUTE, HOURS, strict=True)):
            hour = HOURS[2] + 0.03 if serial == FAST and at == 3 else hours
            lines.append(_line(code(serial), at, f"place {place}", place, hour))
    lines.append(_line(HOSTILE, 0, "<i>here</i>", 1, 0))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _line(epc_code: str, at: int, name: str, place: int, hours: float) -> str:
    moment = (START + timedelta(hours=9 + hours)).strftime("%Y-%m-%d %H:%M:%S")
    return "\t".join((name, str(place), LEVELS[LEVEL_OF_TYPE[at]], EVENT_TYPES[at], epc_code, moment))
