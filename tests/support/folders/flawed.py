"""A data folder in which every check of the data report finds something, and how the report is read."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

from training.inspection.report import Inspection

NOW = datetime(2025, 7, 15, tzinfo=UTC)

EVIL = "<script>alert(1)</script>\x1b[31m"

PLACES = "location_id,scan_location,Latitude,Longitude\n1,A,37.0,127.0\n5,B,38.0,127.0\n7,C,,\n"

ROUTES = (
    "from_scan_location,to_scan_location,time_taken_hours_mean,time_taken_hours_std,time_taken_hours_min,"
    "time_taken_hours_max\nA,B,5,2,1,10\n"
)


def code(serial: int, company: int = 8804823, lot: int = 10004, date: int = 20250701) -> str:
    return f"001.{company}.1293291.{lot:06d}.{date}.{serial:09d}"


def flawed(folder: Path) -> Path:
    """Write a folder in which every check finds something."""
    a = [
        "epc_code,location_id,scan_location,business_step,event_type,event_time,note",
        f"{code(1)},5,B,WMS,WMS_Inbound,2025-07-02 10:00:00,x",  # before its other row, but later in time
        f"{code(1)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",
        f"{code(2)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",
        f"{code(2)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",  # again
        f"{code(2)},7,C,WMS,WMS_Inbound,2025-08-01 10:00:00,",  # in the future, without coordinates
        f"{code(3, company=8805843)},99,A,Office,Coffee,2025-07-03 10:00:00,",  # another company, place, names
        f"{code(4, date=20250732)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",  # no date
        f"{code(4, date=20250732)},5,B,WMS,WMS_Inbound,2025-07-01 12:00:00,",
        f"{code(5, date=20250710)},1,A,Factory,Aggregation,2025-07-01 10:00:00,",  # scanned before it was made
        f"{EVIL},1,A,Factory,Aggregation,2025-07-01 10:00:00,",
    ]
    b = ["epc_code;location_id;business_step;event_type;event_time", f"{code(6)};1;Factory;Aggregation;never", EVIL]
    for name, text in {
        "a.csv": "\n".join(a),
        "b.csv": "\n".join(b),
        "locations.csv": PLACES,
        "transitions.csv": ROUTES,
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def table(found: Inspection, title: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of a section by their first cell."""
    [section] = [section for section in found.sections if section.title == title]
    return {row[0]: tuple(row[1:]) for row in section.rows}


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
