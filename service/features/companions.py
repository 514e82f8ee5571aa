"""Features of an item among its companions: the mates of its lot that travel in the same shipments.

What a lot's mates do is the strongest hint of all: an item that left with its mates and arrived alone, elsewhere,
earlier or later than they did is suspicious however plausible its own journey looks. Companions are those of the same
request, and with a past (`past.Past`) those of all time; causal judgements see only what they did before.
Events that were judged before keep the features that they had then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.events.groups import Group, Key, combine
from service.features.journey import Columns
from service.features.mate_groups import DIVIDED, GROUPS, MateGroup
from service.features.running_groups import Prior, Sighting
from service.features.shared import Trail, nearest

_Count = NDArray[np.intp] | NDArray[np.float64]

COMPANION_FEATURES: tuple[tuple[str, str, str], ...] = (
    # name, kind served, meaning and formula
    ("lot_mates", "epcFake", "log1p of other items of the lot"),
    ("product_mates", "epcFake", "log1p of other items of the product"),
    ("all_items", "all", "log1p of all other items: how much company could be known at all"),
    ("lot_product_share", "epcFake", "share of the other items with this lot number that are of this product"),
    (
        "lot_day_share",
        "epcFake",
        "share of the lot's other items with the same date part (1970 if it is no date)",
    ),
    (
        "serial_gap",
        "epcFake",
        "log1p of the difference to the nearest serial of the lot's other items, 20 if there are none and if causal",
    ),
    ("scan_mates", "locErr", "log1p of the mates' scans of this type at this place"),
    ("scan_share", "locErr", "share of the mates' scans of this type that happened at this place"),
    ("scan_mate_gap", "jump", "log1p of the minutes to the nearest of the mates' scans here"),
    (
        "mate_serial_gap",
        "epcFake",
        "log1p of the 4th least difference of serials to mates in the 4 scans here before and after (causal: 8 before)",
    ),
    (
        "scan_mate_offset",
        "jump",
        "asinh of the hours by which this scan is later than the mean of the mates' scans here",
    ),
    ("leg_mates", "locErr", "log1p of mates' scans here after the same previous scan (or first, as this one)"),
    ("leg_share", "locErr", "share of the mates' scans after the same previous scan that were here"),
    ("leg_gap_ratio", "jump", "log gap minus the mean log gap of the mates on the same leg"),
    (
        "shipment_mates",
        "locErr",
        "log1p of the mates' scans after the same previous scan that began in the same two hours",
    ),
    ("shipment_share", "locErr", "share of those scans that were here"),
    ("shipment_gap_ratio", "jump", "log gap minus the mean log gap of those of the scans that were here"),
)

_NO_SERIAL = 20.0
_BEFORE = np.arange(-8, 0)[:, None]
_AROUND = np.array([-4, -3, -2, -1, 1, 2, 3, 4])[:, None]


def lot_features(trail: Trail) -> Columns:
    """How many other items of the lot and product there are, and how well the code fits in with theirs."""
    parts = trail.parts
    number = combine(trail.mates, Key.of(parts.lot))
    lot_mates = _other_items(trail, "lot", trail.lot)
    same_day = _other_items(trail, "day", combine(trail.lot, Key.of(parts.day)))
    of_number = _other_items(trail, "number", number)
    of_number_and_product = _other_items(trail, "number_product", combine(number, Key.of(parts.product)))
    return {
        "lot_mates": np.log1p(lot_mates),
        "product_mates": np.log1p(_other_items(trail, "product", trail.product)),
        "all_items": np.log1p(_other_items(trail, "all", trail.scope)),
        "lot_product_share": _share(of_number_and_product, of_number),
        "lot_day_share": _share(same_day, lot_mates),
        "serial_gap": _serial_gap(trail),
    }


def _other_items(trail: Trail, name: str, key: Key) -> NDArray[np.float64]:
    """Return the number [N] of other items whose codes have this ``key`` [U], by their first scans."""
    epc, first = trail.events.epc, trail.journeys.position == 0
    if not trail.causal:
        everybody = np.arange(len(key.values))
        return Group(key, everybody).others(causal=False).astype(np.float64)[epc]
    if trail.past is not None:
        first &= ~trail.past.seen_before[epc]
    items = Group(key.take(epc), trail.members).sum_of_others(first.astype(np.float64), causal=True)
    if trail.past is not None:
        items = trail.of_fresh(items + trail.past.items[name][epc], others=1.0)
    return items - np.where(first, 0.0, 1.0)  # the own first scan, which is always earlier


def _share(part: _Count, whole: _Count) -> NDArray[np.float64]:
    """Return (part + 0.5) / (whole + 1): 0.5 where nothing is known."""
    share: NDArray[np.float64] = (part + 0.5) / (whole + 1.0)
    return share


def _serial_gap(trail: Trail) -> NDArray[np.float64]:
    """Return log1p [N] of the distance to the nearest serial of the lot."""
    if trail.causal:  # the nearest so far changes with every item: `mate_serial_gap` has to do
        return np.full(len(trail.events.epc), _NO_SERIAL)
    serial = trail.parts.serial.astype(np.float64)
    by_serial = Group(trail.lot, serial.argsort(kind="stable"))
    return _log_serial(nearest(serial, [by_serial.neighbour(-1), by_serial.neighbour(1)])[1])[trail.events.epc]


def _log_serial(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(difference), np.log1p(_finite(difference)), _NO_SERIAL)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, 0.0)


class _Mates:
    """What the mates of each event did in common with it: a group of the lot's events less the item's own."""

    def __init__(self, trail: Trail, everybody: Group, own: Group, prior: Prior | None) -> None:
        self._trail, self._everybody, self._own, self._prior = trail, everybody, own, prior
        others: _Count = everybody.others(causal=trail.causal)
        if prior is not None:
            others = others + prior.count[prior.number]
        if trail.fresh is None:
            self.count: _Count = others - own.others(causal=trail.causal)
        else:
            self.count = trail.of_fresh(others - self._of_own(np.ones(len(others))))

    def less_mean(self, values: NDArray[np.float64], zero: float = 0.0) -> NDArray[np.float64]:
        """Return ``values`` [N], which count from ``zero``, less their mean over the mates, 0 where there are none."""
        total = self._everybody.sum_of_others(values, causal=self._trail.causal) - self._of_own(values)
        if self._prior is not None:
            total += (self._prior.total - self._prior.count * zero)[self._prior.number]
        return np.where(self.count > 0, values - total / np.maximum(self.count, 1), 0.0)

    def _of_own(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum [N] of ``values`` [N] over the own other events that ``everybody`` and ``prior`` count."""
        fresh = self._trail.fresh
        if fresh is None:
            return self._own.sum_of_others(values, causal=self._trail.causal)
        # the past counts all that was judged before, whatever its time
        earlier = self._own.sum_of_others(np.where(fresh, values, 0.0), causal=True)
        return earlier + self._own.sum_of_others(np.where(fresh, 0.0, values), causal=False)


def key_parts(trail: Trail) -> dict[str, Key]:
    """Return the key [N] of each of `mate_groups.PARTS`."""
    here = combine(trail.spot, trail.type).numbered()
    return {"here": here, "type": trail.type, "left": trail.left_from, "departure": trail.departure}


def group_keys(whose: Key, parts: Mapping[str, Key], groups: Sequence[MateGroup] = GROUPS) -> dict[str, Key]:
    """Return the key [N] of each of the ``groups`` of lots or items, given those of the ``parts``."""
    keys = {"": whose}
    for group in groups:
        key = combine(keys[group.within], parts[group.part])
        keys[group.name] = key.numbered() if group.name in DIVIDED else key  # short keys are sorted faster
    del keys[""]
    return keys


def mate_features(trail: Trail) -> tuple[Columns, Sighting | None]:
    """What the mates of the lot did, here and on the way here, in the request and before.

    Also returns the groups of the events in the past that the trail has, for whoever stores these events.
    """
    parts = key_parts(trail)
    keys = group_keys(trail.lot.take(trail.events.epc), parts)
    groups = {name: Group(key, trail.members) for name, key in keys.items()}
    own = {"here": trail.same_scan, "type": trail.same_type}
    own_keys = group_keys(trail.epc, parts, [group for group in GROUPS if group.name not in own])
    own |= {name: Group(key, trail.journeys.by_time) for name, key in own_keys.items()}
    sighting: Sighting | None = None
    priors: dict[str, Prior] = {}
    if trail.past is not None:
        sighting, priors = trail.past.priors(trail.events, trail.kind, trail.legs, groups)
    mates = {name: _Mates(trail, group, own[name], priors.get(name)) for name, group in groups.items()}
    columns = _scan_features(trail, mates, groups["here"], priors.get("here")) | _leg_features(trail, mates)
    return columns, sighting


def _scan_features(trail: Trail, mates: dict[str, _Mates], here: Group, prior: Prior | None) -> Columns:
    """This scan among the mates' scans: where they had scans of this type, and when they were here."""
    epc = trail.events.epc
    _, gap = nearest(trail.minute, here.strangers(epc)[: 1 if trail.causal else 2])
    if prior is not None:
        before = np.abs(trail.minute - prior.stranger_hour() * 60)
        gap = np.where(np.isfinite(gap), gap, before)
    first = trail.minute.min(initial=np.inf)
    return {
        "scan_mates": np.log1p(mates["here"].count),
        "scan_share": _share(mates["here"].count, mates["type"].count),
        "scan_mate_gap": np.log1p(_finite(gap)),
        "mate_serial_gap": _mate_serial_gap(trail, here, prior),
        "scan_mate_offset": np.arcsinh(mates["here"].less_mean((trail.minute - first) / 60, first / 60)),
    }


def _mate_serial_gap(trail: Trail, here: Group, prior: Prior | None) -> NDArray[np.float64]:
    """Return log1p [N] of how far the serial is off those of the mates scanned here, 20 if there are none.

    The 4th smallest of eight differences: up to three accomplices with neighbouring serials do not hide a forged item,
    and up to four forged ones among the eight do not make a genuine item look so.
    """
    epc = trail.events.epc[here.order]
    serial = trail.parts.serial[epc].astype(np.float64)
    mate, exists = here.around(_BEFORE if trail.causal else _AROUND)
    differences = np.where(exists & (epc[mate] != epc), np.abs(serial[mate] - serial), np.inf)
    if prior is not None:  # further back than this request goes
        further, is_mate = prior.neighbour(-_BEFORE - here.others(causal=True))
        before = np.where(is_mate, np.abs(trail.parts.serial[trail.events.epc] - further), np.inf)
        differences = np.where(exists, differences, before[:, here.order])
    differences.sort(axis=0)
    found = np.isfinite(differences).sum(axis=0)
    fourth = differences[np.minimum(np.maximum(found, 1), 4) - 1, np.arange(len(epc))]
    return here.by_event(_log_serial(fourth))


def _leg_features(trail: Trail, mates: dict[str, _Mates]) -> Columns:
    """The leg from the previous scan among the mates that left from there: where they went, how long they took."""
    leaving, on_leg, shipped, shipped_here = (mates[name] for name in ("left", "leg", "shipment", "shipment_here"))
    return {
        "leg_mates": np.log1p(on_leg.count),
        "leg_share": _share(on_leg.count, leaving.count),
        "leg_gap_ratio": on_leg.less_mean(trail.leg_gap),
        "shipment_mates": np.log1p(shipped.count),
        "shipment_share": _share(shipped_here.count, shipped.count),
        "shipment_gap_ratio": shipped_here.less_mean(trail.leg_gap),
    }
