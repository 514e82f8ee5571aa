"""Generated data, kept as CSV files in the folder that a gateway trains flow models from."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from service.errors import NoSuchModel, NotInThisState
from service.flow.plants import PlantDays, write_plants

MOST_KEPT = 50
"""Files of generated data; of more, the oldest go."""

_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class KeptData:
    """The data in one folder, which is made with the first."""

    folder: Path

    def add(self, data: PlantDays) -> str:
        """Keep data, and return their id.

        Raises:
            NotInThisState: the folder cannot be written.
        """
        data_id = secrets.token_hex(8)
        fresh = self.folder / f".{data_id}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8", newline="") as file:
                write_plants(data, file)
            fresh.replace(self.folder / f"{data_id}.csv")
            for path in self._newest_first()[MOST_KEPT:]:
                path.unlink(missing_ok=True)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise NotInThisState(f"the gateway's folder of flow cannot be written: {error.strerror}") from None
        return data_id

    def path(self, data_id: str) -> Path:
        """Return the file of an id; raises NoSuchModel if there is none."""
        path = self.folder / f"{data_id}.csv"
        if not _ID.fullmatch(data_id) or not path.is_file():
            raise NoSuchModel("data_id: there are no data of this id: GenerateData makes some")
        return path

    def latest(self) -> Path | None:
        """Return the file that was made last, None if there is none."""
        return next(iter(self._newest_first()), None)

    def _newest_first(self) -> list[Path]:
        found = [(path.stat().st_mtime_ns, path) for path in self.folder.glob("*.csv")]
        return [path for _, path in sorted(found, reverse=True)]
