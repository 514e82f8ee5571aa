"""The location and transition masters of a network, as the files that come with its raw ones."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from training.simulation.catalogue import DATA, Catalogue

_LOCATIONS = ("seq", "location_id", "scan_location", "Latitude", "Longitude", "factory_locations")
_TRANSITIONS = (
    "from_scan_location",
    "to_scan_location",
    *(f"time_taken_hours_{name}" for name in ("mean", "std", "min", "max", "count")),
)


def write_masters(out: Path, cat: Catalogue) -> None:
    """Write ``locations.csv`` and ``transitions.csv`` to ``out``: those of the real network byte for byte."""
    if not cat.drawn:
        for name in ("locations.csv", "transitions.csv"):
            shutil.copyfile(DATA / name, out / name)
        return
    places, lanes = cat.places, cat.lanes
    at = zip(places.location_id.tolist(), places.name, places.at.tolist(), strict=True)
    rows = ((seq, number, name, f"{lat:.4f}", f"{lon:.4f}", "") for seq, (number, name, (lat, lon)) in enumerate(at, 1))
    _write(out / "locations.csv", _LOCATIONS, rows)
    numbers = zip(lanes.mean, lanes.std, lanes.shortest, lanes.longest, lanes.count, strict=True)
    ends = zip(lanes.origin.tolist(), lanes.target.tolist(), strict=True)
    _write(
        out / "transitions.csv",
        _TRANSITIONS,
        (
            (places.name[origin], places.name[target], *(f"{hours:.4f}" for hours in times), int(count))
            for (origin, target), (*times, count) in zip(ends, numbers, strict=True)
        ),
    )


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
