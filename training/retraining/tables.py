"""The tables of a champion's world and of new events together: what a challenger looks things up in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.features.case import join
from service.features.reference import Counts, Reference
from training.datasets.masters import Masters
from training.evaluation.data_under_test import OwnData
from training.samples.openings import LEAST_SEEN, opened, welcomed
from training.samples.reference import learn
from training.samples.splits import normal_events

_OF_CODES = ("header", "company", "product", "company_product", "lot", "product_lot", "lot_day", "lot_serial")
"""The tables of what was issued. A new way of forging is what the champion misses: learned from whatever looks normal
to it, they would call forged codes issued, and the next ones, too.
"""

_COUNTED = {
    **dict.fromkeys(("scan", "product_scan", "product_type", *_OF_CODES[:5]), ()),
    "lane": ("lane_gap",),
    "route": ("route_hours",),
    "product_lot": ("lot_day", "lot_serial"),
}
"""The tables with a row for each thing that was seen, and what stands beside their counts."""

_SCANNED = ("scan", "lane", "product_scan", "product_type")


@dataclass(frozen=True, slots=True, eq=False)
class NewEvents:
    """N new events and which of them teach tables."""

    events: Events
    normal: NDArray[np.bool_]  # [N]
    cleared: NDArray[np.bool_]  # [N] events of items that somebody looked at and found genuine
    masters: Masters


def tables_of_both(own: OwnData, new: NewEvents, *, held_out: NDArray[np.bool_] | None = None) -> Reference:
    """Return the tables that the champion's data and new ones teach; ``held_out`` [U]: EPCs to be judged by them.

    With these left out, so are the champion's own validation and test parts. Of what the champion's data have they say
    what these say, and new data teach only what is new: with counts and times of both, the champion's own weights fell
    behind on the champion's own world (AP of jump by 0.003, its cost rose by a third). No product is a stranger at a
    place that has just opened (`training.samples.openings`).
    """
    if held_out is None:
        events, labels, rows = own.world.events, own.known.labels, np.arange(len(new.events))
    else:
        (events, labels), rows = own.part("train"), np.flatnonzero(~held_out[new.events.epc])
    both, _ = join([events, new.events.take(rows)])
    at_home = normal_events(labels)
    normal = np.concatenate([at_home, new.normal[rows]])
    masters = _with_places(united(own.world.masters, new.masters), both.location_id[normal])
    genuine = np.concatenate([np.ones(len(events), dtype=np.bool_), new.cleared[rows]])
    issued = learn(both, normal & genuine, masters)
    learned = replace(learn(both, normal, masters), **{name: getattr(issued, name) for name in _OF_CODES})
    home = learn(events, at_home, masters)
    wider = extended(home, learned)
    teaching = new.events.take(rows[new.normal[rows]])
    return welcomed(wider, opened(wider, home), teaching)


def extended(home: Reference, both: Reference) -> Reference:
    """Return ``home`` with the rows of ``both`` that it has not; both are of the same places.

    A new scan or lane counts from LEAST_SEEN times on.

    Raises:
        ValueError: they number places differently, so that a key of one means something else in the other.
    """
    if not np.array_equal(home.location_id, both.location_id):
        raise ValueError("tables of other places cannot be added: their keys are made of the places' numbers")
    tables: dict[str, Any] = {}
    for name, beside in _COUNTED.items():
        old, new = getattr(home, name), getattr(both, name)
        row = old.find(new.key)
        known = row < len(old.key)
        kept = known | (new.count >= LEAST_SEEN) if name in _SCANNED else np.ones(len(new.key), dtype=np.bool_)
        for each, before, after in (
            ("", old.count, new.count),
            *((b, getattr(home, b), getattr(both, b)) for b in beside),
        ):
            values = after.copy()
            values[known] = before[row[known]]
            tables[each or name] = values[kept] if each else Counts(new.key[kept], values[kept])
    return replace(home, **tables)


def _with_places(masters: Masters, seen: NDArray[np.int64]) -> Masters:
    """Return the masters with all places ``seen`` [n]; nobody knows where those are that were in none."""
    extra = np.setdiff1d(seen, masters.location_id)
    location_id = np.concatenate([masters.location_id, extra])
    order, unknown = np.argsort(location_id), np.full(len(extra), np.nan)
    return replace(
        masters,
        location_id=location_id[order],
        latitude=np.concatenate([masters.latitude, unknown])[order],
        longitude=np.concatenate([masters.longitude, unknown])[order],
    )


def united(home: Masters, new: Masters) -> Masters:
    """Return the places and routes of both; where both have one, as the new data say."""
    places = np.concatenate([new.location_id, home.location_id])
    location_id, first = np.unique(places, return_index=True)
    routes = np.stack(
        [np.concatenate([getattr(each, name) for each in (new, home)]) for name in ("route_from", "route_to")]
    )
    _, kept = np.unique(routes, axis=1, return_index=True)

    def of(name: str, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        both: NDArray[np.float64] = np.concatenate([getattr(each, name) for each in (new, home)])
        return both[rows]

    return Masters(
        location_id=location_id,
        latitude=of("latitude", first),
        longitude=of("longitude", first),
        route_from=routes[0, kept],
        route_to=routes[1, kept],
        route_hours=of("route_hours", kept),
        route_count=of("route_count", kept),
        zones=new.zones,
        dialect=new.dialect or home.dialect,
    )
