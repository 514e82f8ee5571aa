"""The columns that the features of a set of events share, worked out once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import Events
from service.events.groups import Groups, Index
from service.events.journeys import Journeys
from service.events.vocabulary import LEVEL_OF_TYPE, LEVELS, TYPES, UNKNOWN
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
    scope: NDArray[np.int32]  # [U] the request of each code
    place: NDArray[np.int32]  # index of the place in the reference
    spot: NDArray[np.int32]  # the same, but with a number for each unknown place too
    kind: NDArray[np.int32]  # event type 0..TYPES-1, the unknown last
    level: NDArray[np.int8]  # of the event type, else of the business step, UNKNOWN if neither is known
    same_scan: Groups  # of one item, by place and type
    at_level: Groups  # of one item, by place and level
    legs: Legs  # the previous scans; of what was judged before as it was then
    spot_from: NDArray[np.int32]  # where they were, anything for a first event
    past: Past | None  # what is known beside these events
    fresh: NDArray[np.bool_] | None  # events that were not judged before; None: all of them
    members: Index  # the fresh ones in the order of time: what mates are counted among

    @classmethod
    def of(
        cls,
        journeys: Journeys,
        reference: Reference,
        *,
        causal: bool,
        past: Past | None = None,
        scope: NDArray[np.int32] | None = None,
    ) -> Trail:
        """Work the columns out; ``scope`` [U] tells requests apart that are judged together."""
        events = journeys.events
        kind = events.event_type.astype(np.int32) % TYPES
        level = LEVEL_OF_TYPE[events.event_type]
        level = np.where(level == UNKNOWN, events.step, level)
        before = np.arange(-1, len(events) - 1)
        has_before = journeys.position > 0
        legs = Legs(
            location=np.where(has_before, events.location_id[before], 0),
            kind=np.where(has_before, kind[before], -1),
            time_us=np.where(has_before, events.time_us[before], events.time_us),
        )
        fresh, members, locations = None, journeys.by_time, events.location_id
        if past is not None and past.judged_before is not None:  # counted by the groups with the legs of its time
            fresh = ~past.judged_before.stored[journeys.order]
            legs = past.judged_before.legs.take(journeys.order).where(fresh, legs)
            members = members[fresh[members]]
            locations = np.concatenate([locations, legs.location])
        places, spots = reference.places_and_spots(locations)
        place, spot = places[: len(events)], spots[: len(events)]
        parts = codes.parse(events.epc_codes) if past is None else past.parts
        return cls(
            journeys=journeys,
            events=events,
            reference=reference,
            causal=causal,
            parts=parts,
            scope=np.zeros(len(events.epc_codes), dtype=np.int32) if scope is None else scope,
            place=place,
            spot=spot,
            kind=kind,
            level=level,
            same_scan=Groups(events.epc, spot.astype(np.int64) * TYPES + kind),
            at_level=Groups(events.epc, spot.astype(np.int64) * (len(LEVELS) + 1) + level),
            legs=legs,
            spot_from=spot[before] if fresh is None else spots[len(events) :],
            past=past,
            fresh=fresh,
            members=members,
        )
