"""Which time zones raw times without one are in."""

from __future__ import annotations

from typing import Any

from service.errors import ModelRepositoryError, SettingsError
from service.events.zones import SEOUL, TimeZones, is_zone
from service.model.manifest import MANIFEST_FILE, MODEL_NAME
from service.model.repository import read_manifest, versions
from service.rawfiles.columns import SITES
from service.settings import Settings


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
        version = settings.model_version or versions(settings.repository)[-1]
        folder = settings.repository / MODEL_NAME / str(version)
        reference: dict[str, Any] = read_manifest(folder / MANIFEST_FILE, str(folder)).reference
        return TimeZones.from_json(reference["zones"]) if "zones" in reference else TimeZones()
    except (ModelRepositoryError, LookupError, TypeError, ValueError):  # who needs the model says what is wrong with it
        return SITES
