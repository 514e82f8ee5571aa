"""What the parts of the inspection share: the events of a folder in all forms needed, and tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.dialect.dialect import Dialect
from service.events import codes
from service.events.codes import Codes
from service.events.journeys import Journeys
from service.events.zones import SEOUL
from training.datasets.dataset import Dataset, to_dataset
from training.datasets.folder import RawFolder, read_folder

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000


@dataclass(frozen=True, slots=True)
class Section:
    """One finding as a table of text."""

    title: str
    note: str  # what to make of it
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class World:
    """The events of a folder."""

    raw: RawFolder
    data: Dataset
    rows: pd.DataFrame  # [N] the usable rows of ``raw``, in the order of ``data.events``
    journeys: Journeys
    codes: Codes  # of ``data.events.epc_codes``
    now_us: int  # microseconds since 1970: divides the past from the future
    seconds: float  # that reading took

    @classmethod
    def of(cls, folder: Path, now: datetime, time_zone: str = SEOUL, dialect: Dialect | None = None) -> World:
        """Read ``folder``, whose places are in ``time_zone`` if it does not say otherwise.

        Raises:
            DataError: it cannot be used, see `training.datasets.dataset.load`.
        """
        begin = perf_counter()
        raw = read_folder(folder, time_zone, dialect)
        data = to_dataset(raw)
        seconds = perf_counter() - begin
        rows = raw.rows[raw.rows["problem"] == ""].reset_index(drop=True)
        parts = codes.parse(data.events.epc_codes)
        return cls(raw, data, rows, Journeys.of(data.events), parts, round(now.timestamp() * 1e6), seconds)

    @cached_property
    def local_us(self) -> NDArray[np.int64]:
        """What the clocks of the places showed at ``data.events`` [N], in microseconds since 1970."""
        return self.data.masters.zones.local_us(self.data.events.time_us, self.data.events.location_id)


def percent(count: int, total: int) -> str:
    """Return a share in words."""
    return f"{100 * count / total:.2f} %" if total else "-"


def share(count: int, total: int) -> str:
    """Return a count and its share in words."""
    return f"{count:,} ({percent(count, total)})"
