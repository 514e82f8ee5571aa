"""A simulated world that drifts from a day on: a new hub opens, a gate misses scans, a forger changes his way.

The events before that day are those of the world without drift. Raw files get a column ``event_id``, so that any part
of them has the ids of the whole.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from training.simulation.catalogue import FACTORIES
from training.simulation.world import simulate

NEW_HUB = 190
"""The id of the hub that opens."""

_BEGIN = pd.Timestamp("2025-07-01")
_TO_NEW_HUB = 0.8  # of the lots of the busiest hub
_UNREAD = 0.2  # of what leaves the second busiest one
_FORGED = 0.05  # of the items that begin their journey
_LEAST_SCANS = 3  # of an item whose code is forged
_SERIALS = (60, 120)  # by which a forged serial is beyond a genuine one of its lot
_PLACES = ("location_id", "operator_id", "device_id")


@dataclass(frozen=True, slots=True, eq=False)
class DriftingWorld:
    """N scans as they stand in the raw files, with the truth of each."""

    rows: pd.DataFrame  # text, but for event_id
    truth: pd.DataFrame
    locations: pd.DataFrame
    transitions: Path  # the file

    @property
    def day(self) -> NDArray[np.int64]:
        """The day [N] of each scan, counted from the first one of the world."""
        return np.asarray((pd.to_datetime(self.rows["event_time"]) - _BEGIN).dt.days, dtype=np.int64)

    def write(self, out: Path, until: int | None = None) -> Path:
        """Write the files of a world into ``out``, with what happened before the day ``until`` alone, if given."""
        out.mkdir(parents=True, exist_ok=True)
        kept = np.ones(len(self.rows), dtype=np.bool_) if until is None else self.day < until
        rows = self.rows[kept]
        for name in FACTORIES:
            rows[rows["factory"] == name].to_csv(out / f"{name}.csv", sep="\t", index=False)
        self.truth[kept].to_parquet(out / "truth.parquet")
        self.locations.to_csv(out / "locations.csv", index=False)
        shutil.copyfile(self.transitions, out / "transitions.csv")
        return out


def drifting_world(scratch: Path, epcs: int, seed: int, from_day: int) -> DriftingWorld:
    """Return a world of ``epcs`` items of a seed, simulated in ``scratch``, that drifts from a day on."""
    simulate(scratch, epcs, seed)
    files = [pd.read_csv(scratch / f"{name}.csv", sep="\t", dtype=str, keep_default_na=False) for name in FACTORIES]
    rows, truth = pd.concat(files, ignore_index=True), pd.read_parquet(scratch / "truth.parquet")
    locations = pd.read_csv(scratch / "locations.csv", dtype=str, encoding="utf-8-sig", keep_default_na=False)
    rows.insert(0, "event_id", truth["event_id"])
    rng, begins = np.random.default_rng([seed, from_day]), _BEGIN + pd.Timedelta(days=from_day)
    ended = _forge(rows, truth, begins, rng)
    late = pd.to_datetime(rows["event_time"]) >= begins
    busiest = rows.loc[rows["event_type"] == "HUB_Inbound", "location_id"].value_counts().index
    unread = (rows["location_id"] == busiest[1]) & (rows["event_type"] == "HUB_Outbound") & late
    unread &= ~truth[list(KINDS)].any(axis=1) & (rng.random(len(rows)) < _UNREAD)
    locations = _open_hub(rows, locations, busiest[0], begins)
    kept = ~unread & ~ended
    return DriftingWorld(
        rows[kept].reset_index(drop=True),
        truth[kept].reset_index(drop=True),
        locations,
        scratch / "transitions.csv",
    )


def _forge(rows: pd.DataFrame, truth: pd.DataFrame, begins: pd.Timestamp, rng: np.random.Generator) -> pd.Series:
    """Print codes with a serial a bit beyond a genuine one of the lot on some normal items that begin late.

    Return which scans [N] are of items forged in the old way from then on: there are none any more.
    """
    first = pd.to_datetime(rows["event_time"]).groupby(rows["epc_code"]).transform("min")
    ended: pd.Series = truth["epcFake"].groupby(rows["epc_code"]).transform("any") & (first >= begins)
    odd = truth[list(KINDS)].any(axis=1).groupby(rows["epc_code"]).transform("any")
    scans = rows.groupby("epc_code")["epc_code"].transform("size")
    begun = pd.unique(rows.loc[first >= begins, "epc_code"])
    able = np.unique(rows.loc[(first >= begins) & ~odd & (scans >= _LEAST_SCANS), "epc_code"].to_numpy(str))
    chosen = rng.choice(able, min(round(_FORGED * len(begun)), len(able)), replace=False)
    taken = set(rows["epc_code"])
    for code in chosen.tolist():
        head, _, serial = code.rpartition(".")
        number = int(serial) + int(rng.integers(*_SERIALS))
        if (forged := f"{head}.{number:09d}") in taken:
            continue
        taken.add(forged)
        of_item = rows["epc_code"] == code
        rows.loc[of_item, "epc_code"] = forged
        rows.loc[of_item, "epc_serial"] = str(number)
        truth.loc[of_item, "epcFake"] = True
        truth.loc[of_item, "variant"] = "serial_beyond"
        truth.loc[of_item, "difficulty"] = "subtle"
    return ended


def _open_hub(rows: pd.DataFrame, locations: pd.DataFrame, old: str, begins: pd.Timestamp) -> pd.DataFrame:
    """Let some lots of a hub go through the new one near it; return the locations with it."""
    scanned = (rows["location_id"] == old) & rows["event_type"].str.startswith("HUB")
    came = pd.to_datetime(rows["event_time"]).where(scanned).groupby(rows["epc_code"]).transform("min")
    draw = pd.util.hash_array(rows["epc_lot"].to_numpy(object)) / 2**64
    moved = scanned & (came >= begins) & (draw < _TO_NEW_HUB)
    here = locations[locations["location_id"] == old].iloc[0].copy()
    here["seq"], here["location_id"] = str(len(locations) + 1), str(NEW_HUB)
    here["scan_location"] += " 2"
    here["Latitude"], here["Longitude"] = (
        f"{float(here['Latitude']) + 0.2:.4f}",
        f"{float(here['Longitude']) + 0.15:.4f}",
    )
    rows.loc[moved, list(_PLACES)] = str(NEW_HUB)
    rows.loc[moved, "scan_location"] = here["scan_location"]
    return pd.concat([locations, here.to_frame().T], ignore_index=True)
