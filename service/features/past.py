"""What is known beside the events of a request: which of them were judged before, and what their groups did before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.events.codes import Codes
from service.events.groups import Index, members_of
from service.features.mates import ITEM_GROUPS, neighbour_step
from service.features.running_groups import GroupedScans, Legs, Priors, RunningGroups, Sighting

if TYPE_CHECKING:
    from service.features.shared import Trail


@dataclass(frozen=True, slots=True, eq=False)
class JudgedBefore:
    """Which of N events are stored ones of the same items: judged before, and counted in the groups already."""

    stored: NDArray[np.bool_]  # [N] in the order of the events given, as the next ones; of the others they mean nothing
    legs: Legs  # [N] as they were judged
    elsewhere_gap: NDArray[np.float32]  # [N] this feature: a scan of the same second may have come since
    companions: NDArray[np.float32]  # [N, C] companion features


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What is known beside a request of N events, of which some may be judged before, and what their groups did."""

    judged_before: JudgedBefore | None  # None if all events are fresh, to be judged for the first time
    parts: Codes  # of the U codes
    lot: NDArray[np.int64]  # [U] number of the lot of each code
    product: NDArray[np.int64]  # [U] number of its product, as in `product_number`
    item: NDArray[np.int64]  # [U] hash of each item
    seen_before: NDArray[np.bool_]  # [U] the item has events that were judged before
    items: dict[str, NDArray[np.float64]]  # by group of items, [U] items that it had before
    groups: RunningGroups

    def items_before(self) -> NDArray[np.float64]:
        """Return how many items [ITEM_GROUPS, U] the group of each code had before; 0 where nobody asks for it."""
        nothing = np.zeros(len(self.lot))
        return np.stack([self.items.get(name, nothing) for name in ITEM_GROUPS])

    def repeated(self, again: Index | NDArray[np.int32]) -> Past:
        """Return the past with further codes, the same as those ``again`` once more."""
        code_of = np.concatenate([np.arange(len(self.lot)), again])
        return replace(
            self,
            parts=self.parts.take(code_of),
            lot=self.lot[code_of],
            product=self.product[code_of],
            item=self.item[code_of],
            seen_before=self.seen_before[code_of],
            items={name: count[code_of] for name, count in self.items.items()},
        )

    def priors(
        self, trail: Trail, counts: Sequence[int], lane_gap_ratio: NDArray[np.float32]
    ) -> tuple[Sighting, Priors]:
        """Return the groups of a trail's N events looked up, ``counts`` of each of GROUPS, and what they did before.

        ``lane_gap_ratio`` [N] is that feature of theirs.
        """
        events = trail.events
        scans = GroupedScans(
            lot=self.lot[events.epc],
            product=self.product[events.epc],
            item=self.item[events.epc],
            serial=self.parts.serial[events.epc],
            location_id=events.location_id,
            kind=trail.kind.astype(np.int64),
            time_us=events.time_us,
            legs=trail.legs,
            lane_gap_ratio=lane_gap_ratio,
            clock_us=trail.local_us - events.time_us,
            area=trail.reference.area_id(events.location_id),
        )
        of_kinds = [_members(trail.group[kind], count, trail.members) for kind, count in enumerate(counts)]
        members, starts, numbers = zip(*of_kinds, strict=True)
        sighting = self.groups.sight(scans, members, starts)
        return sighting, self.groups.prior(sighting, numbers, neighbour_step(trail.reference.serial_step))


def _members(group: NDArray[np.int32], count: int, among: Index) -> tuple[Index, Index, Index]:
    """Return ([n] the members, group by group, [M] where those with any begin, [N] the group of each event)."""
    members, bounds = members_of(group, count, among)
    used = np.flatnonzero(np.diff(bounds))
    number = np.zeros(count, dtype=np.intp)
    number[used] = np.arange(len(used))
    return members, bounds[used].astype(np.intp), number[group]
