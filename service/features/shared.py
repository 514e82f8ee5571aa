"""The columns that the features of a set of events share, worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import Events
from service.events.groups import Found, Group, Index, Key, combine
from service.events.journeys import Journeys
from service.events.vocabulary import LEVEL_OF_TYPE, TYPES, UNKNOWN, type_index
from service.features.keys import scan_key
from service.features.mate_groups import SHIPMENT_US
from service.features.past import Past
from service.features.reference import Reference
from service.features.running_groups import Legs

_EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, slots=True, eq=False)
class Trail:
    """N events in the order of their journeys, seen with a reference; columns are [N] unless another shape is given."""

    journeys: Journeys
    events: Events  # the journeys' events
    reference: Reference
    causal: bool  # whether an event may know its past alone
    parts: codes.Codes  # of the U codes
    scope: Key  # [U] the request of each code
    mates: Key  # [U] the same, but a malformed code, which has no mates, is alone
    product: Key  # [U] company and product, among the mates
    lot: Key  # [U] company, product and lot, among the mates
    epc: Key  # index of the code
    place: NDArray[np.int64]  # index of the place in the reference
    spot: Key  # index of the place in these events: tells unknown places apart
    kind: NDArray[np.int64]  # event type 0..TYPES-1, the unknown last
    type: Key  # the same
    level: NDArray[np.int8]  # of the event type, else of the business step, UNKNOWN if neither is known
    scan: NDArray[np.int64]  # place and type
    before: Index  # the previous event of the journey, anything for a first event
    has_before: NDArray[np.bool_]
    scan_from: NDArray[np.int64]  # the previous scan, the journeys' start for a first event
    minute: NDArray[np.float64]  # time of the event since 1970
    gap_minutes: NDArray[np.float64]  # since the previous event, 0 for a first event
    log_gap: NDArray[np.float64]  # log1p(gap_minutes)
    same_scan: Group  # of one item, by place and type
    same_type: Group  # of one item, by type
    legs: Legs  # the previous scans; of what was judged before as it was then
    left_from: Key  # the scan, by spot and type, that the leg began with; 0 for a first event
    departure: Key  # two hours, by number, in which it began; of a first event its own
    leg_gap: NDArray[np.float64]  # log1p of the minutes it took
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
        scope: Key | None = None,
    ) -> Trail:
        """Work the columns out; ``scope`` [U] tells requests apart that are judged together."""
        events = journeys.events
        kind = type_index(events.event_type)
        level = LEVEL_OF_TYPE[events.event_type]
        before, has_before = journeys.previous()
        minute = events.time_us / 60e6
        gap_minutes = np.where(has_before, (events.time_us - events.time_us[before]) / 60e6, 0.0)
        parts = codes.parse(events.epc_codes) if past is None else past.parts
        log_gap = np.log1p(gap_minutes)
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
        place, spots = _spots(reference, locations)
        place = place[: len(kind)]
        scan = scan_key(place, kind)
        spot = Key(spots.values[: len(kind)], spots.width)
        spot_from = spot.values[before] if fresh is None else spots.values[len(kind) :]
        if scope is None:
            scope = Key(np.zeros(len(parts.product), dtype=np.int64), 1)
        mates = _alone_if_malformed(scope, parts.well_formed)
        product = combine(mates, Key.of(parts.company), Key.of(parts.product))
        epc, type_ = Key(events.epc.astype(np.int64), len(scope.values)), Key(kind, TYPES)
        return cls(
            journeys=journeys,
            events=events,
            reference=reference,
            causal=causal,
            parts=parts,
            scope=scope,
            mates=mates,
            product=product,
            lot=combine(product, Key.of(parts.lot)).numbered(),
            epc=epc,
            place=place,
            spot=spot,
            kind=kind,
            type=type_,
            level=np.where(level == UNKNOWN, events.step, level),
            scan=scan,
            before=before,
            has_before=has_before,
            scan_from=np.where(has_before, scan[before], reference.start_scan),
            minute=minute,
            gap_minutes=gap_minutes,
            log_gap=log_gap,
            same_scan=Group(combine(epc, spot, type_), journeys.by_time),
            same_type=Group(combine(epc, type_), journeys.by_time),
            legs=legs,
            left_from=Key(np.where(legs.kind >= 0, scan_key(spot_from, legs.kind) + 1, 0), spot.width * TYPES + 1),
            departure=Key.of(legs.time_us // SHIPMENT_US),
            leg_gap=log_gap if fresh is None else np.log1p((events.time_us - legs.time_us) / 60e6),
            past=past,
            fresh=fresh,
            members=members,
        )

    def kilometres(self, there: Index) -> NDArray[np.float64]:
        """Return the great-circle distance [N] from each event's place to that of the event ``there``, 0 if unknown.

        The chord c of the unit sphere spans the angle 2 asin(c / 2): accurate for small distances too.
        """
        vectors = self.reference.unit_vectors
        chord = np.sqrt(((vectors[self.place] - vectors[self.place[there]]) ** 2).sum(axis=1))
        kilometres = 2 * _EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1.0))
        return np.where(np.isnan(kilometres), 0.0, kilometres)

    def of_fresh(self, values: NDArray[np.float64], others: float = 0.0) -> NDArray[np.float64]:
        """Return the ``values`` [N] of fresh events, ``others`` for those that were judged before."""
        return values if self.fresh is None else np.where(self.fresh, values, others)

    def next_of(self, values: NDArray[np.bool_] | NDArray[np.number]) -> NDArray[np.float64]:
        """Return each event's value of the next event of its journey, 0 for a last one and in causal judgements."""
        shifted = np.zeros(len(values))
        if not self.causal and len(values) > 1:
            shifted[:-1] = np.where(self.has_before[1:], values[1:], 0)
        return shifted


def _alone_if_malformed(scope: Key, well_formed: NDArray[np.bool_]) -> Key:
    """Return the key [U] of the requests of codes, a malformed code in one of its own."""
    if well_formed.all():
        return scope
    alone = scope.width + np.arange(len(well_formed))
    return Key(np.where(well_formed, scope.values, alone), scope.width + len(alone))


def _spots(reference: Reference, location_id: NDArray[np.int64]) -> tuple[NDArray[np.int64], Key]:
    """Return ([n] the place of each location, its key, which has a number for each unknown one too)."""
    place, known = reference.place_of(location_id), len(reference.location_id)
    unknown = np.flatnonzero(place == known)
    if not len(unknown):
        return place, Key(place, known)
    distinct, number = np.unique(location_id[unknown], return_inverse=True)
    spot = place.copy()
    spot[unknown] += number
    return place, Key(spot, known + len(distinct))


def log_speed(km: NDArray[np.float64], minutes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log1p of km/h; a gap counts as one minute at least, the resolution of scanners' clocks."""
    return np.log1p(km / np.maximum(minutes / 60, 1 / 60))


def nearest(values: NDArray[np.float64], candidates: Sequence[Found]) -> tuple[Index, NDArray[np.float64]]:
    """Return ([N] the candidate nearest in ``values`` [N], first of equals, [N] how far: infinite if there is none)."""
    best, distance = np.zeros(len(values), dtype=np.intp), np.full(len(values), np.inf)
    for there, exists in candidates:
        gap = np.where(exists, np.abs(values - values[there]), np.inf)
        closer = gap < distance
        best, distance = np.where(closer, there, best), np.where(closer, gap, distance)
    return best, distance
