"""Which groups of mates does a scan belong to? One table: requests and the statistics of earlier scans group by it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SHIPMENT_US = 2 * 3_600_000_000
"""Scans of a lot at one place within the same two hours, by the clock, are taken for one shipment."""

COLUMNS = ("location", "kind", "left_location", "left_kind", "departure")
"""What the hash of a group is made of, beside the lot: in this order, or they are other hashes."""

PARTS: dict[str, tuple[str, ...]] = {
    "here": ("location", "kind"),  # the place and the type of the scan
    "type": ("kind",),
    "left": ("left_location", "left_kind"),  # the previous scan of the item, with which its leg began
    "departure": ("departure",),  # the two hours in which it began
}
"""The columns of each part of a key."""


class MateGroup(NamedTuple):
    """Scans of a lot that have something in common."""

    name: str
    within: str  # the group that it is a part of, "" for the lot
    part: str  # what its scans share beside that: of PARTS
    mean_of: str = ""  # what the features take the mean of: "hour" or "log_gap", "" for nothing


GROUPS = (
    MateGroup("here", within="", part="here", mean_of="hour"),
    MateGroup("type", within="", part="type"),
    MateGroup("left", within="", part="left"),
    MateGroup("leg", within="left", part="here", mean_of="log_gap"),
    MateGroup("shipment", within="left", part="departure"),
    MateGroup("shipment_here", within="shipment", part="here", mean_of="log_gap"),
)
"""Groups that a scan belongs to; the number of each is its place here, and part of the hashes too."""

HERE = next(number for number, group in enumerate(GROUPS) if group.name == "here")
"""The group of which also the last few scans are remembered."""

WITHIN = [next((at for at, other in enumerate(GROUPS) if other.name == group.within), -1) for group in GROUPS]
"""The number of the group that each is a part of, -1 for the lot."""


def _columns(group: MateGroup) -> frozenset[str]:
    """Return the columns of the key of a group, those of the group around it included."""
    around = [_columns(other) for other in GROUPS if other.name == group.within]
    return frozenset(PARTS[group.part]).union(*around)


USED = np.array([[name in _columns(group) for group in GROUPS] for name in COLUMNS], dtype=np.int64)
"""[COLUMNS, GROUPS] 1 if the column is in the key of the group."""
