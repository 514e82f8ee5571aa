"""What is known beside the events of a request: which of them were judged before, and what their groups did before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.events.codes import Codes
from service.events.columns import Events
from service.events.groups import Group, Index
from service.features.mate_groups import GROUPS
from service.features.running_groups import GroupedScans, Legs, Prior, RunningGroups, Sighting


@dataclass(frozen=True, slots=True, eq=False)
class JudgedBefore:
    """Which of N events are stored ones of the same items: judged before, and counted in the groups already."""

    stored: NDArray[np.bool_]  # [N] in the order of the events given, as the next ones; of the others they mean nothing
    legs: Legs  # [N] as they were judged
    companions: NDArray[np.float32]  # [N, C] companion features


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What is known beside a request of N events, of which some may be judged before, and what their groups did."""

    judged_before: JudgedBefore | None  # None if all events are fresh, to be judged for the first time
    parts: Codes  # of the U codes
    lot: NDArray[np.int64]  # [U] number of the lot of each code
    item: NDArray[np.int64]  # [U] hash of each item
    seen_before: NDArray[np.bool_]  # [U] the item has events that were judged before
    items: dict[str, NDArray[np.float64]]  # by group of items, [U] items that it had before
    groups: RunningGroups

    def repeated(self, again: Index | NDArray[np.int32]) -> Past:
        """Return the past with further codes, the same as those ``again`` once more."""
        code_of = np.concatenate([np.arange(len(self.lot)), again])
        return replace(
            self,
            parts=self.parts.take(code_of),
            lot=self.lot[code_of],
            item=self.item[code_of],
            seen_before=self.seen_before[code_of],
            items={name: count[code_of] for name, count in self.items.items()},
        )

    def priors(
        self, events: Events, kind: NDArray[np.int64], legs: Legs, groups: Mapping[str, Group]
    ) -> tuple[Sighting, dict[str, Prior]]:
        """Return the ``groups``, one for each of GROUPS, of N events looked up, and what they did before."""
        scans = GroupedScans(
            lot=self.lot[events.epc],
            item=self.item[events.epc],
            serial=self.parts.serial[events.epc].astype(np.float64),
            location_id=events.location_id,
            kind=kind,
            time_us=events.time_us,
            legs=legs,
        )
        ordered = [groups[group.name] for group in GROUPS]
        sighting = self.groups.sight(scans, [group.order for group in ordered], [one.start for one in ordered])
        return sighting, self.groups.prior(sighting, ordered)
