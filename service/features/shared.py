"""The columns that the features of a set of events share, worked out once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import Events
from service.events.groups import Index
from service.events.journeys import Journeys
from service.features.columns import NARROW, WIDE, look_up, number_ways
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
    level: NDArray[np.int8]  # of the event type, else of the business step, UNKNOWN if neither is known
    narrow: NDArray[np.int32]  # [NARROW and SCAN_GROUPS, N] places and types, and what `mates` numbers; see `Columns`
    wide: NDArray[np.int64]  # [WIDE, N] the previous scans, of what was judged before as it was then, clocks and ways
    item_group: NDArray[np.int32]  # [ITEM_GROUPS, U] of `mates`, which numbers them
    past: Past | None  # what is known beside these events
    fresh: NDArray[np.bool_] | None  # events that were not judged before; None: all of them
    members: Index  # the fresh ones in the order of time: what mates are counted among

    @property
    def kind(self) -> NDArray[np.int32]:
        """The event type, 0..TYPES-1, the unknown last."""
        kind: NDArray[np.int32] = self.narrow[NARROW.index("kind")]
        return kind

    @property
    def group(self) -> NDArray[np.int32]:
        """The numbers [SCAN_GROUPS, N] of the groups of scans."""
        group: NDArray[np.int32] = self.narrow[len(NARROW) :]
        return group

    @property
    def local_us(self) -> NDArray[np.int64]:
        """What the clocks of the places showed: hours, weekdays and dates are of it."""
        local_us: NDArray[np.int64] = self.wide[WIDE.index("local_us")]
        return local_us

    @property
    def legs(self) -> Legs:
        """The previous scans."""
        return _legs(self.wide)

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
        narrow = np.empty((len(NARROW) + SCAN_GROUPS, n), dtype=np.int32)
        wide, level = np.empty((len(WIDE), n), dtype=np.int64), np.empty(n, dtype=np.int8)
        look_up(
            reference.tables,
            events.location_id,
            events.event_type,
            events.step,
            events.time_us,
            journeys.position,
            narrow,
            wide,
            level,
        )
        fresh, members, locations = None, journeys.by_time, events.location_id
        if past is not None and past.judged_before is not None:  # counted by the groups with the legs of its time
            fresh = ~past.judged_before.stored[journeys.order]
            legs = past.judged_before.legs.take(journeys.order).where(fresh, _legs(wide))
            wide[_LEGS] = legs.location, legs.kind, legs.time_us
            members = members[fresh[members]]
            locations = np.concatenate([locations, legs.location])
        wide[WIDE.index("local_us")] = reference.zones.local_us(events.time_us, events.location_id)
        number_ways(reference.tables, locations, events.time_us, narrow, wide, settle_us if causal else -1)
        item_group = np.zeros((len(ITEM_GROUPS), len(events.epc_codes)), dtype=np.int32)
        if scope is not None:
            item_group[0] = scope
        return cls(
            journeys=journeys,
            events=events,
            reference=reference,
            causal=causal,
            parts=codes.parse(events.epc_codes) if past is None else past.parts,
            level=level,
            narrow=narrow,
            wide=wide,
            item_group=item_group,
            past=past,
            fresh=fresh,
            members=members,
        )


_LEGS = slice(WIDE.index("leg_location"), WIDE.index("leg_us") + 1)


def _legs(wide: NDArray[np.int64]) -> Legs:
    return Legs(*wide[_LEGS])
