"""The causes of findings: a closed list per kind, and which of them an event's features speak for.

What a model looks at is no cause: features follow from each other (of an unknown product, the lot is unknown too). So
the causes of a kind are asked in turn, upstream ones first, and the first whose evidence is there is named. The last
of each kind is there always: the event is unlike normal ones, for no reason that has a name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.detect.rules import Table, twice_at_once
from service.events.vocabulary import KINDS
from service.explain.mates import Mates
from service.features.table import APART

_Found = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why an event can be of a kind."""

    kind: str
    code: str
    meaning: str
    features: tuple[str, ...]  # its evidence and what follows from it, which `removal` takes away
    is_there: Callable[[Table], _Found]  # which events [N] of features [N, F] show it


def _well_formed(t: Table) -> _Found:
    return t["code_well_formed"] > 0


def _inbound(t: Table) -> _Found:
    return t.is_type("_Inbound")


def _outbound(t: Table) -> _Found:
    return t.is_type("_Outbound")


def _moved(t: Table) -> _Found:
    moved: _Found = (t["has_prev"] > 0) & (t["same_place_prev"] == 0)
    return moved


def _short(t: Table) -> _Found:
    behind_mates = (t["leg_gap_ratio"] > 0) | (t["shipment_gap_ratio"] > 0) | (t["scan_mate_offset"] > 1)
    short: _Found = (t["lane_z"] < -1) & (t["route_above"] == 0) & ~behind_mates
    return short


def _overtook(t: Table) -> _Found:
    overtook: _Found = (t["road_day_scans"] > np.log(3.5)) & (t["road_day_gap_ratio"] < -0.25)
    return overtook


def _apart(t: Table) -> _Found:
    left_alone = (t["leg_mates"] == 0) & (t["lot_mates"] > 0)  # who has no mates is not apart from them
    few_came_along = (t["shipment_mates"] > 0) & (t["shipment_share"] < 0.3)
    apart: _Found = left_alone | few_came_along | (t["scan_share"] < 0.2)
    return apart


def _always(t: Table) -> _Found:
    return np.ones(len(t["causal"]), dtype=np.bool_)


def _all(*names: str) -> tuple[str, ...]:
    """Return each name once: groups of features overlap."""
    return tuple(dict.fromkeys(names))


_LOT = ("lot_mates", "lot_product_share", "lot_day_share", "mate_serial_gap", "serial_gap", "instant_mates")
_CODE = (
    "code_well_formed",
    "code_header_log",
    "code_company_log",
    "code_product_log",
    "code_product_foreign",
    "code_lot_log",
    "code_lot_foreign",
    "code_date_valid",
    "code_day_off",
    "code_serial_off",
    "code_age_first",
    "code_age",
)
_LANE_TIME = (
    "gap_prev",
    "gap_next",
    "lane_z",
    "lane_gap_ratio",
    "lane_z_next",
    "lane_below",
    "lane_above",
    "route_z",
    "route_below",
    "route_above",
    "speed_prev",
    "speed_next",
)
_MATES_TIME = (
    "scan_mate_gap",
    "scan_mate_offset",
    "leg_gap_ratio",
    "shipment_gap_ratio",
    "instant_mates",
    "gate_mates",
    *APART,
)
_TRAFFIC_TIME = (
    "road_gap_ratio",
    "road_day_scans",
    "road_day_gap_ratio",
    "road_hours_scans",
    "road_hours_gap_ratio",
    "area_day_scans",
    "area_day_pace",
    "area_day_gap_ratio",
)
_LANE_USE = (
    "lane_logp",
    "lane_from_log",
    "leg_mates",
    "leg_share",
    "shipment_mates",
    "shipment_share",
    "route_known",
    "road_scans",
    "product_leg_share",
)
_GATES = ("gate_day_skips", "gate_hours_skips", "origin_day_skips")
_PLACE_USE = ("product_scan_logp", "scan_mates", "scan_share", "scan_log")
_BOOKS = ("balance", "balance_after", "repeats", "repeat_gap", "type_logp", "type_step", "type_behind")
_LEVELS = ("stage_step", "type_step", "type_logp", "type_behind", *_LANE_USE, *_PLACE_USE)
_PAIRS = ("stage_step", "type_logp_next", "type_step_next", "lane_logp", "lane_logp_next", "id_inverted")
_ORDER = _all(*_BOOKS, *_PAIRS, *_GATES, *_LANE_TIME, *APART)
_LATE = ("mate_serial_gap", "scan_mates", "scan_share", "shipment_mates", "shipment_share", "elapsed", "code_age")
_TIME = _all(*_LANE_TIME, *_MATES_TIME, *_TRAFFIC_TIME, *_LATE)
_CLONE = (
    "elsewhere",
    "same_type_gap",
    "same_type_speed",
    "elsewhere_gap",
    "returned",
    "same_place_prev",
    "same_place_next",
)
_WHOLE = _all(*_CLONE, *_ORDER, *_LANE_USE, *_PLACE_USE)

CAUSES: tuple[Cause, ...] = (
    Cause(
        "epcFake",
        "code_malformed",
        "the code is not of the form header.company.product.lot.date.serial",
        (*_CODE, *_LOT),
        lambda t: ~_well_formed(t),
    ),
    Cause(
        "epcFake",
        "header_unknown",
        "no code with this header was issued",
        ("code_header_log",),
        lambda t: t["code_header_log"] == 0,
    ),
    Cause(
        "epcFake",
        "company_unknown",
        "this company never issued codes",
        ("code_company_log", "code_product_log", "code_product_foreign", "code_lot_log", *_LOT),
        lambda t: t["code_company_log"] == 0,
    ),
    Cause(
        "epcFake",
        "product_of_other_company",
        "the product is issued by another company",
        ("code_product_log", "code_product_foreign", "code_lot_log", "code_lot_foreign", *_LOT),
        lambda t: t["code_product_foreign"] > 0,
    ),
    Cause(
        "epcFake",
        "product_unknown",
        "this product was never issued",
        ("code_product_log", "code_lot_log", "code_lot_foreign", *_LOT),
        lambda t: t["code_product_log"] == 0,
    ),
    Cause(
        "epcFake",
        "lot_of_other_product",
        "the lot is one of another product",
        ("code_lot_log", "code_lot_foreign", *_LOT),
        lambda t: (t["code_lot_foreign"] > 0) | (t["lot_product_share"] < 0.3),
    ),
    Cause(
        "epcFake",
        "date_invalid",
        "the date part is no date of the calendar",
        ("code_date_valid", "code_age", "code_age_first", "lot_day_share"),
        lambda t: t["code_date_valid"] == 0,
    ),
    Cause(
        "epcFake",
        "date_after_scan",
        "scanned before the date at which it was made",
        ("code_age", "code_age_first", "code_day_off", "lot_day_share"),
        lambda t: t["code_age_first"] < -0.9,
    ),
    Cause(
        "epcFake",
        "date_not_of_lot",
        "the date is not the one of its lot",
        ("code_day_off", "code_age", "code_age_first", "lot_day_share"),
        lambda t: (np.abs(t["code_day_off"]) > 0.4) | (t["lot_day_share"] < 0.3),
    ),
    Cause(
        "epcFake",
        "first_seen_downstream",
        "the journey begins in the middle of the supply chain",
        ("first_stage", "first_type_logp", "index_log", "code_age_first"),
        lambda t: t["first_stage"] >= 2,
    ),
    Cause(
        "epcFake",
        "serial_outside_lot",
        "the serial lies outside of those of its lot",
        ("code_serial_off", "serial_gap", "mate_serial_gap", "instant_mates"),
        lambda t: np.abs(t["code_serial_off"]) > 5.3,
    ),
    Cause(
        "epcFake",
        "lot_unknown",
        "the lot was never issued, and hardly an item of it is at hand",
        ("code_lot_log", "code_lot_foreign", *_LOT),
        lambda t: (t["code_lot_log"] == 0) & (t["lot_mates"] < np.log(5.5)),  # 4 others
    ),
    Cause(
        "epcFake",
        "serial_never_shipped",
        "no mate with a serial near to this one travels with it",
        ("code_serial_off", "serial_gap", "mate_serial_gap", "instant_mates"),
        lambda t: (t["mate_serial_gap"] > 2.5) | (t["serial_gap"] > 1.5) & (t["serial_gap"] < 20),
    ),
    Cause("epcFake", "code_unusual", "the code is unlike those that were issued", (), _always),
    Cause(
        "epcDup",
        "alive_after_sale",
        "scanned after it was sold",
        _all("sold_before", "since_sold", *_WHOLE),
        lambda t: t["sold_before"] > 0,
    ),
    Cause(
        "epcDup",
        "sold_while_upstream",
        "sold at a shop that it never came to",
        _all("has_next", *_WHOLE),
        lambda t: (t["type_POS_Sell"] > 0) & (t["same_place_prev"] == 0),
    ),
    Cause(
        "epcDup",
        "two_places_at_once",
        "at another place so soon that nothing travels as fast",
        _WHOLE,
        lambda t: (t["elsewhere"] > 0) & (t["same_type_speed"] > 4.8) | twice_at_once(t),
    ),
    Cause(
        "epcDup",
        "received_elsewhere_too",
        "received or sent at two places",
        _WHOLE,
        lambda t: t["elsewhere"] > 0,
    ),
    Cause(
        "epcDup",
        "two_journeys",
        "two journeys under one code, back and forth",
        _WHOLE,
        lambda t: (t["returned"] > 0) | (t["type_behind"] > 0),
    ),
    Cause("epcDup", "journey_unusual", "the journey is unlike that of one item", (), _always),
    Cause(
        "locErr",
        "level_reversed",
        "backwards in the supply chain",
        _LEVELS,
        lambda t: t["stage_step"] < 0,
    ),
    Cause(
        "locErr",
        "level_skipped",
        "a level of the supply chain is skipped",
        _LEVELS,
        lambda t: t["stage_step"] > 1,
    ),
    Cause(
        "locErr",
        "place_not_of_product",
        "items of this product never come to this place",
        (*_PLACE_USE, *_LANE_USE),
        lambda t: t["product_scan_logp"] < -5.5,
    ),
    Cause(
        "locErr",
        "lane_never_used",
        "no item takes this lane, or hardly any",
        (*_LANE_USE, *_PLACE_USE),
        lambda t: t["lane_logp"] < -5.5,
    ),
    Cause(
        "locErr",
        "apart_from_mates",
        "its mates went elsewhere",
        (*_LANE_USE, *_PLACE_USE),
        lambda t: (t["same_place_prev"] == 0) & _apart(t),
    ),
    Cause("locErr", "place_unusual", "the place is unlike where such items go", (), _always),
    Cause(
        "evtOrderErr",
        "out_before_in",
        "outbound before inbound",
        _ORDER,
        lambda t: _outbound(t) & (t["balance"] <= 0) & (t["repeats"] == 0) | _inbound(t) & (t["balance"] < 0),
    ),
    Cause(
        "evtOrderErr",
        "in_twice",
        "inbound twice, without an outbound between",
        _ORDER,
        lambda t: _inbound(t) & (t["balance"] > 0),
    ),
    Cause(
        "evtOrderErr",
        "out_twice",
        "outbound twice, without an inbound between",
        _ORDER,
        lambda t: _outbound(t) & (t["repeats"] > 0),
    ),
    Cause(
        "evtOrderErr",
        "clock_rolled_back",
        "recorded after a scan that it claims to precede",
        ("id_inverted_next", *_ORDER),
        lambda t: t["id_inverted"] > 0,
    ),
    Cause(
        "evtOrderErr",
        "arrived_before_leaving",
        "an earlier scan was further on",
        _all(*_ORDER, *_LANE_USE),
        lambda t: (t["type_behind"] > 0) | (t["type_step"] > 1) | (t["type_step_next"] < 0),
    ),
    Cause("evtOrderErr", "order_unusual", "the order of scans is unlike the normal one", (), _always),
    Cause(
        "jump",
        "too_fast_to_travel",
        "faster than anything travels",
        _TIME,
        lambda t: (t["distance_prev"] > 1) & (t["speed_prev"] > 4.87),
    ),
    Cause(
        "jump",
        "faster_than_traffic",
        "a pace that the lane allows, but faster than all that took it that day",
        _TIME,
        lambda t: _moved(t) & (t["lane_below"] == 0) & _overtook(t),
    ),
    Cause(
        "jump",
        "faster_than_lane",
        "faster than items are on this lane",
        _TIME,
        lambda t: (t["lane_z"] < 0) & _moved(t),
    ),
    Cause(
        "jump",
        "slow_transit",
        "longer on the road than items are on this lane",
        _TIME,
        _moved,
    ),
    Cause(
        "jump",
        "stalled",
        "longer at one place than items are",
        _TIME,
        lambda t: (t["same_place_prev"] > 0) & ~_short(t),
    ),
    Cause("jump", "time_unusual", "the time is unlike that of such items", (), _always),
)
"""All causes, in the order in which those of a kind are asked."""

CODES = tuple(cause.code for cause in CAUSES)

_FAKE = KINDS.index("epcFake")
_OUTSIDE, _ALONE = CODES.index("serial_outside_lot"), CODES.index("serial_never_shipped")

_OF_KIND = [[number for number, cause in enumerate(CAUSES) if cause.kind == kind] for kind in KINDS]
_JUMP = KINDS.index("jump")
_UNNAMED = np.array([numbers[-1] for numbers in _OF_KIND])


class FirstCauses:
    """The first cause of each kind that events show, found when it is asked for: a request seldom has all kinds.

    Of a lot that was never issued no table tells where its serials lie; those of its other items at hand do. A serial
    with no mate near it that lies outside of theirs is `serial_outside_lot`, too. A serial that is a name has no mate
    near it whatever it is: of that nothing follows.

    An event without evidence of its own may follow from an earlier one of its journey (a clone goes on, a diverted item
    is sold where it came to): then the cause is that of the nearest earlier event that has one; but a time
    is an event's own.
    """

    def __init__(self, features: NDArray[np.float32], begins: NDArray[np.intp], mates: Callable[[], Mates]) -> None:
        """``features`` [N, F] are in the order of the journeys; ``begins`` [N]: the first row of each one's journey.

        ``mates`` makes those of the same events; called when a serial is asked about.
        """
        self._table, self._begins, self._mates = Table(features), begins, mates
        self._found: dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}

    def of(self, kind: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return ([N] the first cause of a kind, index of `CAUSES`; [N] the row of the event that shows it).

        By the features alone: what the serials of the mates say beside is in `at`.
        """
        if kind not in self._found:
            self._found[kind] = self._find(kind)
        return self._found[kind]

    def at(self, row: int, kind: int) -> tuple[int, int]:
        """Return (the cause of a kind at a row, the row that shows it)."""
        causes, rows = self.of(kind)
        first, shown = causes.item(row), rows.item(row)
        if kind != _FAKE or first != _ALONE:
            return first, shown
        if self._mates().has_name(shown):
            return _UNNAMED.item(_FAKE), shown
        if self._table["code_lot_log"][shown] == 0 and self._mates().is_outside_block(shown):
            return _OUTSIDE, shown
        return first, shown

    def _find(self, kind: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        rows, numbers = np.arange(len(self._begins)), _OF_KIND[kind]
        there = np.array([CAUSES[number].is_there(self._table) for number in numbers])
        own = np.array(numbers)[there.argmax(axis=0)]
        goes_on = (own == _UNNAMED[kind]) & (kind != _JUMP)
        named = np.maximum.accumulate(np.where(goes_on, -1, rows))
        shown = np.where(named >= self._begins, named, rows)
        return own[shown], shown
