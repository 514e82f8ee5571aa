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

from service.dialect.dialect import Dialect, words_of
from service.events import codes
from service.events.codes import Codes, without_dirt
from service.events.journeys import Journeys
from service.events.zones import SEOUL
from service.rawfiles.rows import split_row
from training.datasets.dataset import Dataset, to_dataset
from training.datasets.folder import RawFolder, names_in_files, read_folder
from training.datasets.tables import raw_text

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
_MOST_LETTERS = 80  # of a code


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
            DataError: it cannot be used, see `training.datasets.dataset.load`; a file that cannot be read is a
                warning, as long as there is another.
        """
        begin = perf_counter()
        raw = read_folder(folder, time_zone, dialect, go_on=True)
        data = to_dataset(raw)
        seconds = perf_counter() - begin
        rows = raw.rows[raw.rows["problem"] == ""].reset_index(drop=True)
        parts = codes.parse(data.events.epc_codes)
        return cls(raw, data, rows, Journeys.of(data.events), parts, round(now.timestamp() * 1e6), seconds)

    @cached_property
    def called(self) -> dict[str, str]:
        """What the raw files call each column."""
        return names_in_files(self.raw.dialect.columns if self.raw.dialect else {})

    @property
    def has_own_scheme(self) -> bool:
        """Whether the codes are of a scheme that is not the model's."""
        return words_of(self.raw.dialect).codes is not None

    def sent_code(self, code: int) -> str:
        """Return one of ``data.events.epc_codes`` as the files have it, and why it is none of their own scheme."""
        text = self.data.events.epc_codes[code]
        if not self.has_own_scheme:
            return text[:_MOST_LETTERS]
        assert self.raw.dialect is not None  # noqa: S101 - whose scheme it is
        row = self.rows.iloc[int(np.argmax(self.data.events.epc == code))]
        file, line = str(row["file"]), int(row["line"])
        header = self.raw.files[file].header
        cells, _ = split_row(raw_text(self.raw.folder / file, {line})[line].encode(), header)
        found = cells[header.names.index("epc_code")]
        [sent] = without_dirt([found]) or [found]
        problem = self.raw.dialect.why_malformed(sent)
        return f"{sent[:_MOST_LETTERS]}: {problem}" if problem else sent[:_MOST_LETTERS]

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
