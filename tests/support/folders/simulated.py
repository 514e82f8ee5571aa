"""What the tests of the simulation look at: the rows of a world with the truth beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from service.events.vocabulary import KINDS
from tests.support.gateway import ROOT
from training.simulation.catalogue import FACTORIES

SAMPLE = ROOT / "tests" / "data" / "real_events_sample.tsv"

EPCS = 20_000

SEED = 5

CODE = r"001\.\d{7}\.\d{7}\.\d{6}\.\d{8}\.\d{9}"


def read(path: Path) -> pd.DataFrame:
    """Return rows of all files in name order with the truth beside them and, per EPC, the scan before."""
    files = [pd.read_csv(path / f"{name}.csv", sep="\t", dtype=str, keep_default_na=False) for name in FACTORIES]
    rows = pd.concat(files, ignore_index=True)
    world = pd.concat([rows, pd.read_parquet(path / "truth.parquet")], axis=1)
    world["time"] = pd.to_datetime(world.event_time)
    world["normal"] = ~world[list(KINDS)].any(axis=1)
    for column in ("scan_location", "event_type", "time", "normal", "noise", "variant"):
        world[f"last_{column}"] = world.groupby("epc_code")[column].shift()
    world["hours"] = (world.time - world.last_time).dt.total_seconds() / 3600
    return world


def of(world: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the scans of a variant, of which there must be some."""
    found = world[world.variant == variant]
    assert len(found)
    return found


def parts_of(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the parts of the (well-formed) codes as numbers."""
    parts = scans.epc_code.str.split(".", expand=True).astype(np.int64)
    return parts.set_axis(["header", "company", "product", "lot", "date", "serial"], axis=1)
