"""Data folders of two events and their masters, and what is read from them."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

from service.events.columns import Events
from training.datasets import dataset
from training.datasets.dataset import Dataset

CODE = "001.8804823.1293291.010004.20250701.00000400"

LOCATIONS = (
    "seq,location_id,scan_location,Latitude,Longitude\n1,1,인천공장,37.45,126.65\n2,5,인천공장창고,37.46,126.66\n"
)

ROUTES = (
    "from_scan_location,to_scan_location,time_taken_hours_mean,time_taken_hours_std,time_taken_hours_min,"
    "time_taken_hours_max,time_taken_hours_count\n인천공장,인천공장창고,5,2,1,10,100\n"
)

HEADER = "epc_code,location_id,business_step,event_type,event_time\n"

FIRST = f"{CODE}1,1,Factory,Aggregation,2025-07-01 10:34:17\n"

SECOND = f"{CODE}1,5,WMS,WMS_Inbound,2025-07-01 11:02:38\n"

ROWS = HEADER + FIRST + SECOND


def fill(folder: Path, **files: str | bytes) -> Path:
    """Write a folder with masters and the given files; ``a__csv`` becomes a.csv."""
    texts = {"locations.csv": LOCATIONS, "transitions.csv": ROUTES}
    for name, text in (texts | {name.replace("__", "."): text for name, text in files.items()}).items():
        data = text.encode() if isinstance(text, str) else text
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def columns(events: Events) -> dict[str, object]:
    """Return what can be compared."""
    names = ("event_id", "epc", "location_id", "step", "event_type", "time_us", "file_id")
    return {name: getattr(events, name).tolist() for name in names} | {"codes": list(events.epc_codes)}


def quarantine(folder: Path) -> tuple[Dataset, list[dict[str, str]]]:
    """Load a folder; return it and the rows of its quarantine file."""
    path = folder / dataset.QUARANTINE
    loaded = dataset.load(folder, path)
    with path.open(encoding="utf-8", newline="") as file:
        return loaded, list(csv.DictReader(file))
