"""The columns that the features of a set of events share, worked out once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import Events
from service.events.groups import Groups, Index
from service.events.journeys import Journeys
from service.events.vocabulary import LEVEL_OF_TYPE
from service.features.columns import INSTANT_US, legs, look_up
from service.features.mates import ITEM_GROUPS, SCAN_GROUPS
from service.features.past import Past
from service.features.reference import Reference
from service.features.running_groups import Legs


@dataclass(frozen=True, slots=True, eq=False)
class Trail:
    """N events in the order of their journeys, seen with a reference; columns are [N] unless another shape is given."""

    journeys: Journeys
    events: Events  # the journeys' events
    reference: Reference
    causal: bool  # whether an event may know its past alone
    parts: codes.Codes  # of the U codes
    place: NDArray[np.int32]  # index of the place in the reference
    spot: NDArray[np.int32]  # a number for each place, known or not
    kind: NDArray[np.int32]  # event type 0..TYPES-1, the unknown last
    level: NDArray[np.int8]  # of the event type, else of the business step, UNKNOWN if neither is known
    local_us: NDArray[np.int64]  # what the clocks of the places showed: hours, weekdays and dates are of it
    legs: Legs  # the previous scans; of what was judged before as it was then
    spot_from: NDArray[np.int32]  # where they were, anything for a first event
    item_group: NDArray[np.int32]  # [ITEM_GROUPS, U] of `mates`, which numbers them
    group: NDArray[np.int32]  # [SCAN_GROUPS, N] the same
    way: NDArray[np.int64]  # a number for the area that the leg leads into, or for the place where the item stays
    known_us: NDArray[np.int64]  # before when a scan of others must be, to be known to the event
    past: Past | None  # what is known beside these events
    fresh: NDArray[np.bool_] | None  # events that were not judged before; None: all of them
    members: Index  # the fresh ones in the order of time: what mates are counted among

    @classmethod
    def of(  # noqa: PLR0913
        cls,
        journeys: Journeys,
        reference: Reference,
        *,
        causal: bool,
        past: Past | None = None,
        scope: NDArray[np.int32] | None = None,
        settle_us: int = 0,
    ) -> Trail:
        """Work the columns out; ``scope`` [U] tells requests apart that are judged together.

        A causal event knows of others what happened in its second, and in the ``settle_us`` after that.
        """
        events, n = journeys.events, len(journeys.events)
        place, kind = np.empty((2, n), dtype=np.int32)
        level = np.empty(n, dtype=np.int8)
        look_up(reference.tables, events.location_id, events.event_type, events.step, LEVEL_OF_TYPE, place, kind, level)
        previous = Legs(*np.empty((3, n), dtype=np.int64))
        legs(
            journeys.position,
            events.location_id,
            kind,
            events.time_us,
            previous.location,
            previous.kind,
            previous.time_us,
        )
        fresh, members, locations = None, journeys.by_time, events.location_id
        if past is not None and past.judged_before is not None:  # counted by the groups with the legs of its time
            fresh = ~past.judged_before.stored[journeys.order]
            previous = past.judged_before.legs.take(journeys.order).where(fresh, previous)
            members = members[fresh[members]]
            locations = np.concatenate([locations, previous.location])
        spot = Groups(np.zeros(len(locations), dtype=np.int32), locations).number
        spot_from = spot[np.arange(-1, n - 1)] if fresh is None else spot[n:]
        codes_of = codes.parse(events.epc_codes) if past is None else past.parts
        item_group = np.zeros((len(ITEM_GROUPS), len(events.epc_codes)), dtype=np.int32)
        if scope is not None:
            item_group[0] = scope
        return cls(
            journeys=journeys,
            events=events,
            reference=reference,
            causal=causal,
            parts=codes_of,
            place=place,
            spot=spot[:n],
            kind=kind,
            level=level,
            local_us=reference.zones.local_us(events.time_us, events.location_id),
            legs=previous,
            spot_from=spot_from,
            item_group=item_group,
            group=np.empty((SCAN_GROUPS, n), dtype=np.int32),
            way=_ways(place, spot[:n], spot_from, previous.kind, reference),
            known_us=_end_of_second(events.time_us) + settle_us if causal else np.full(n, np.iinfo(np.int64).max),
            past=past,
            fresh=fresh,
            members=members,
        )


def _end_of_second(time_us: NDArray[np.int64]) -> NDArray[np.int64]:
    return (time_us // INSTANT_US + 1) * INSTANT_US


def _ways(
    place: NDArray[np.int32],
    spot: NDArray[np.int32],
    spot_from: NDArray[np.int32],
    kind_from: NDArray[np.int64],
    reference: Reference,
) -> NDArray[np.int64]:
    """Return the number [N] of each event's way: even for a stay, odd for a leg into an area."""
    moved = (kind_from >= 0) & (spot != spot_from)
    stays = spot.astype(np.int64) + len(reference.location_id)
    is_known = moved & (place < len(reference.location_id))
    ways: NDArray[np.int64] = np.where(is_known, np.append(reference.area, 0)[place], stays) * 2 + moved
    return ways
