"""Names of places, where a caller gives no id: the columns location_id and scan_location of a location master."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from service.errors import SettingsError

BUNDLED = Path(__file__).parents[1] / "data" / "locations.csv"


def read_places(path: Path | None) -> Mapping[str, int]:
    """Return location ids by name; of the bundled master, if ``path`` is None.

    Raises:
        SettingsError: the file cannot be read, or has no such columns.
    """
    try:
        with (path or BUNDLED).open(encoding="utf-8-sig", newline="") as file:
            return {row["scan_location"].strip(): int(row["location_id"]) for row in csv.DictReader(file)}
    except OSError as error:
        raise SettingsError(f"--locations: cannot read {path}: {error.strerror}") from None
    except (KeyError, ValueError, TypeError, AttributeError):
        raise SettingsError(
            f"--locations {path}: not a location master: UTF-8 with the columns location_id and scan_location"
        ) from None
