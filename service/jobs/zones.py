"""How raw files are written: the zones of times without one, the words and codes of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.dialect.dialect import Dialect
from service.dialect.load import load_dialect
from service.errors import ModelRepositoryError, SettingsError
from service.events.zones import SEOUL, TimeZones, is_zone
from service.model.manifest import MANIFEST_FILE, MODEL_NAME
from service.model.repository import read_manifest, versions
from service.rawfiles.columns import SITES
from service.settings import Settings

_NO_MODEL = (ModelRepositoryError, LookupError, TypeError, ValueError)
"""What its absence raises: who needs the model says what is wrong with it."""


def site_zones(time_zone: str | None, settings: Settings) -> TimeZones:
    """Return ``time_zone`` for all sites, or if it is None, those that the model of the settings learned.

    Without such a model, which a gateway elsewhere may do without, they are those of the bundled worlds.

    Raises:
        SettingsError: there is no such zone.
    """
    if time_zone is not None:
        if not is_zone(time_zone):
            raise SettingsError(f"--time-zone is {time_zone!r}: no time zone; it takes one such as {SEOUL}")
        return TimeZones(time_zone)
    try:
        tables = _tables(settings)
        return TimeZones.from_json(tables["zones"]) if "zones" in tables else TimeZones()
    except _NO_MODEL:
        return SITES


def site_dialect(path: Path | None, settings: Settings) -> Dialect | None:
    """Return what a ``network.toml`` says, or if there is none, what the model of the settings learned with.

    Raises:
        SettingsError: the file cannot be used.
    """
    if path is not None:
        return load_dialect(path)
    try:
        tables = _tables(settings)
        return Dialect.model_validate(tables["dialect"]) if "dialect" in tables else None
    except _NO_MODEL:
        return None


def _tables(settings: Settings) -> dict[str, Any]:
    """Return the reference tables of the model of the settings."""
    version = settings.model_version or versions(settings.repository)[-1]
    folder = settings.repository / MODEL_NAME / str(version)
    return read_manifest(folder / MANIFEST_FILE, str(folder)).reference
