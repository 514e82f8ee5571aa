"""Which Parquet files of a folder count: one small file that is replaced as a whole, so that a crash leaves no half.

A file that the catalog does not name is of a write that did not end, and is deleted at the next start.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from service.errors import StoreUnavailable

CATALOG = "catalog.json"
DAYS = "days"


class Catalog(BaseModel):
    """The files by day: each name stands for a file per table, ``days/DAY/NAME-TABLE.parquet``."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    days: dict[str, list[str]] = {}

    @classmethod
    def read(cls, folder: Path) -> Catalog:
        """Return the catalog of a folder; a new folder, without any file of a day, gets an empty one.

        Raises:
            StoreUnavailable: it cannot be read, is damaged, or is lost while there are files that it would name.
            OSError: it cannot be written.
        """
        path = folder / CATALOG
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls._new(folder)
        except OSError as error:
            raise StoreUnavailable(f"{path}: cannot be read: {error.strerror}") from None
        except ValidationError:
            raise StoreUnavailable(
                f"{path}: damaged: put the folder back from a backup, or begin with an empty one"
            ) from None

    @classmethod
    def _new(cls, folder: Path) -> Catalog:
        if any((folder / DAYS).glob("*/*")):  # without it all of them would pass for leavings of a crash
            raise StoreUnavailable(
                f"{folder / CATALOG}: is gone, and there are findings in {DAYS}: put it back from a backup, or begin"
                " with an empty folder"
            )
        made = cls()
        made.write(folder)
        return made

    def write(self, folder: Path) -> None:
        """Put the catalog in the place of the one that is on disk; raises OSError."""
        scratch = folder / f"{CATALOG}.tmp"
        with scratch.open("w") as file:
            json.dump(self.model_dump(), file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(folder / CATALOG)
        sync(folder)

    def files(self, folder: Path, day: str, table: str) -> list[Path]:
        """Return the files of a table and a day."""
        return [folder / DAYS / day / f"{name}-{table}.parquet" for name in self.days.get(day, ())]

    def clean(self, folder: Path) -> None:
        """Delete what is in the folder and not in the catalog."""
        for day in (folder / DAYS).iterdir():
            if day.name not in self.days:
                shutil.rmtree(day)
                continue
            for file in day.iterdir():
                if file.name.rpartition("-")[0] not in self.days[day.name]:
                    file.unlink()


def sync(path: Path) -> None:
    """Have the disk keep a file or a folder's list of files; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
