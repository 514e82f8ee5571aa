"""The features once more, slowly: one event at a time, with plain Python and from their meaning.

`service.features.table` must give the same numbers. Nothing here shares code with it, except for the reference tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, LEVELS, START, TYPES
from service.features.reference import Counts, Reference
from service.features.table import NAMES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UNKNOWN_TYPE = len(EVENT_TYPES)
SELL = EVENT_TYPES.index("POS_Sell")

_LEVEL = {name: max(at for at, level in enumerate(LEVELS) if name.startswith(level)) for name in EVENT_TYPES[5:]}
_LEVEL |= {"Aggregation": 0, "WMS_Inbound": 1, "WMS_Outbound": 1, "HUB_Inbound": 2, "HUB_Outbound": 2}
_PATTERN = re.compile(r"([0-9]{3})\.([0-9]{7})\.([0-9]{7})\.([0-9]{6})\.([0-9]{8})\.([0-9]{9})")


@dataclass(frozen=True)
class Code:
    """The parts of a well-formed code."""

    header: int
    company: int
    product: int
    lot: int
    day: date | None  # None: the date part is no date of the calendar
    serial: int


def parse(text: str) -> Code | None:
    """Return the parts of a code, None if it is malformed."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    header, company, product, lot, printed, serial = match.groups()
    try:
        day = date(int(printed[:4]), int(printed[4:6]), int(printed[6:]))
    except ValueError:
        day = None
    return Code(int(header), int(company), int(product), int(lot), day, int(serial))


@dataclass(frozen=True, eq=False)
class Scan:
    """One event, looked up."""

    event_id: int
    text: str  # the code as it is
    code: Code | None
    location_id: int
    place: int  # in the reference
    kind: int  # event type, UNKNOWN_TYPE if unknown
    step: int | None
    time: datetime
    local: datetime  # what the clock of the place showed, as if in UTC

    @property
    def moment(self) -> tuple[datetime, int]:
        """The arrow of time."""
        return self.time, self.event_id

    def on_clock(self, other: Scan) -> datetime:
        """Return when another scan was, by the clock of this one's place."""
        return other.time + (self.local - self.time)

    @property
    def second(self) -> int:
        return (self.time - EPOCH) // timedelta(seconds=1)

    @property
    def type_level(self) -> int | None:
        return None if self.kind == UNKNOWN_TYPE else _LEVEL[EVENT_TYPES[self.kind]]

    @property
    def level(self) -> int | None:
        return self.step if self.type_level is None else self.type_level

    @property
    def where(self) -> tuple[int, int]:
        """Place and type."""
        return self.location_id, self.kind

    @property
    def key(self) -> int:
        """The scan as the reference numbers it."""
        return self.place * TYPES + self.kind

    @property
    def direction(self) -> int:
        if self.kind == UNKNOWN_TYPE:
            return 0
        name = EVENT_TYPES[self.kind]
        return name.endswith("_Inbound") - name.endswith("_Outbound")

    def is_mate_of(self, other: Scan) -> bool:
        """Whether this is a scan of another item of the same lot."""
        mine, its = self.code, other.code
        if mine is None or its is None or self.text == other.text:
            return False
        return (mine.company, mine.product, mine.lot) == (its.company, its.product, its.lot)


@dataclass(frozen=True)
class View:
    """What is known when an event is judged."""

    scan: Scan
    past: list[Scan]  # earlier events of the journey
    future: list[Scan]  # later events of the journey, none if causal
    others: list[Scan]  # all other known events, of whichever item, in the order of time; those of its second too
    before: dict[Scan, Scan | None]  # the previous event in its journey of every known event
    ways: dict[Scan, Way]
    reference: Reference
    causal: bool

    @property
    def last(self) -> Scan | None:
        return self.past[-1] if self.past else None

    @property
    def mates(self) -> list[Scan]:
        return [other for other in self.others if other.is_mate_of(self.scan)]


Values = dict[str, float]


def compute(events: Events, reference: Reference, *, causal: bool) -> NDArray[np.float64]:
    """Return the features [N, F] of events in their order."""
    scans = [_scan(events, at, reference) for at in range(len(events))]
    ordered = sorted(scans, key=lambda scan: scan.moment)
    before: dict[Scan, Scan | None] = {}
    last: dict[str, Scan] = {}
    for scan in ordered:
        before[scan] = last.get(scan.text)
        last[scan.text] = scan
    ways = {scan: _way(scan, before[scan], reference) for scan in scans}
    rows = []
    for scan in scans:
        others = [o for o in ordered if o is not scan and (o.second <= scan.second or not causal)]
        own = [other for other in others if other.text == scan.text]
        past = [other for other in own if other.moment < scan.moment]
        view = View(scan, past, [] if causal else own[len(past) :], others, before, ways, reference, causal)
        values: Values = {}
        for part in _PARTS:
            values |= part(view)
        rows.append([float(values[name]) for name in NAMES])
    return np.array(rows)


def _scan(events: Events, at: int, reference: Reference) -> Scan:
    text, location = events.epc_codes[events.epc[at]], int(events.location_id[at])
    known = reference.location_id.tolist()
    kind, step = int(events.event_type[at]), int(events.step[at])
    time = EPOCH + timedelta(microseconds=int(events.time_us[at]))
    zone = ZoneInfo(reference.zones.of(location))
    return Scan(
        event_id=int(events.event_id[at]),
        text=text,
        code=parse(text),
        location_id=location,
        place=known.index(location) if location in known else len(known),
        kind=UNKNOWN_TYPE if kind < 0 else kind,
        step=None if step < 0 else step,
        time=time,
        local=time.astimezone(zone).replace(tzinfo=UTC),
    )


def seen(counts: Counts, key: int) -> float:
    """Return how often ``key`` was seen."""
    count: dict[int, float] = dict(zip(counts.key.tolist(), counts.count.tolist(), strict=True))
    return count.get(key, 0.0)


def log_share(part: float, whole: float) -> float:
    return math.log((part + 0.1) / (whole + 1))


def share(part: int, whole: int) -> float:
    return (part + 0.5) / (whole + 1)


def minutes(later: Scan, earlier: Scan) -> float:
    return (later.time - earlier.time) / timedelta(minutes=1)


def kilometres(one: Scan, other: Scan, reference: Reference) -> float:
    """Return the great-circle distance by the haversine formula, 0 if a place is unknown."""
    points = []
    for scan in (one, other):
        if scan.place == len(reference.location_id) or math.isnan(reference.latitude[scan.place]):
            return 0.0
        points.append((math.radians(reference.latitude[scan.place]), math.radians(reference.longitude[scan.place])))
    (lat1, lon1), (lat2, lon2) = points
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(half))


def log_speed(km: float, gap_minutes: float) -> float:
    return math.log1p(km / (max(gap_minutes, 1) / 60))


def clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _code(view: View) -> Values:
    code, ref = view.scan.code, view.reference
    first = view.past[0] if view.past else view.scan
    values = dict.fromkeys([name for name in NAMES if name.startswith("code_")], 0.0)
    starts = ref.type_pair[START]
    values["first_stage"] = first.level or 0
    values["first_type_logp"] = log_share(starts[first.kind], sum(starts))
    if code is None:
        return values
    of_pair = seen(ref.company_product, code.company * 10**7 + code.product)
    lot_key = code.product * 10**6 + code.lot
    of_lot = seen(ref.product_lot, lot_key)
    values |= {
        "code_well_formed": 1,
        "code_header_log": math.log1p(seen(ref.header, code.header)),
        "code_company_log": math.log1p(seen(ref.company, code.company)),
        "code_product_log": math.log1p(of_pair),
        "code_product_foreign": of_pair == 0 and seen(ref.product, code.product) > 0,
        "code_lot_log": math.log1p(of_lot),
        "code_lot_foreign": of_lot == 0 and seen(ref.lot, code.lot) > 0,
        "code_date_valid": code.day is not None,
    }
    if of_lot:
        row = ref.product_lot.key.tolist().index(lot_key)
        values["code_serial_off"] = _outside(code.serial / ref.serial_step, *(ref.lot_serial[row] / ref.serial_step))
        if code.day is not None:
            values["code_day_off"] = _outside((code.day - EPOCH.date()) / DAY, *ref.lot_day[row])
    if code.day is not None:
        made = datetime(code.day.year, code.day.month, code.day.day, tzinfo=UTC)
        values["code_age"] = math.asinh((view.scan.local - made) / DAY)
        values["code_age_first"] = math.asinh((first.local - made) / DAY)
    return values


def _outside(value: float, low: float, high: float) -> float:
    if value > high:
        return math.asinh(value - high)
    return math.asinh(value - low) if value < low else 0.0


def _with_next(view: View, value: Callable[[View, Scan, Scan | None], float], name: str, name_next: str) -> Values:
    """Return a value of the event against its previous one, and that of the next event against this one."""
    following = value(view, view.future[0], view.scan) if view.future else 0.0
    return {name: value(view, view.scan, view.last), name_next: following}


def _log_gap(_view: View, scan: Scan, last: Scan | None) -> float:
    return math.log1p(minutes(scan, last)) if last else 0.0


def _lane_key(ref: Reference, scan: Scan, last: Scan | None) -> int:
    places = len(ref.location_id)
    return (last.key if last else (places + 1) * TYPES) * (places + 2) * TYPES + scan.key


def _lane_quantiles(ref: Reference, scan: Scan, last: Scan) -> list[float] | None:
    """Return low, median, high, spread of the lane, else of the pair of types; None if there are no gaps at all."""
    key = _lane_key(ref, scan, last)
    lanes = ref.lane.key.tolist()
    row = ref.lane_gap[lanes.index(key)] if key in lanes else ref.type_pair_gap[last.kind, scan.kind]
    return row.tolist() if row[2] > 0 else None


def _lane_z(view: View, scan: Scan, last: Scan | None) -> float:
    quantiles = _lane_quantiles(view.reference, scan, last) if last else None
    if quantiles is None:
        return 0.0
    return clip((_log_gap(view, scan, last) - quantiles[1]) / max(quantiles[3], 0.05), -10, 10)


def _lane_ratio(reference: Reference, scan: Scan, last: Scan | None) -> float:
    quantiles = _lane_quantiles(reference, scan, last) if last else None
    return clip(math.log1p(minutes(scan, last)) - quantiles[1], -6, 6) if last and quantiles else 0.0


def _speed(view: View, scan: Scan, last: Scan | None) -> float:
    return log_speed(kilometres(scan, last, view.reference), minutes(scan, last)) if last else 0.0


def _time(view: View) -> Values:
    scan, last, ref = view.scan, view.last, view.reference
    gap = _log_gap(view, scan, last)
    low, _, high, _ = (_lane_quantiles(ref, scan, last) if last else None) or [gap] * 4
    first = view.past[0] if view.past else scan
    midnight = scan.local.replace(hour=0, minute=0, second=0, microsecond=0)
    clock = 2 * math.pi * ((scan.local - midnight) / DAY)
    week = 2 * math.pi * (scan.local.weekday() - 3) / 7  # from Thursday on
    return {
        "has_prev": bool(view.past),
        "has_next": bool(view.future),
        "index_log": math.log1p(len(view.past)),
        "remaining_log": math.log1p(len(view.future)),
        **_with_next(view, _log_gap, "gap_prev", "gap_next"),
        **_with_next(view, _lane_z, "lane_z", "lane_z_next"),
        "lane_gap_ratio": view.ways[scan].pace,
        "lane_below": max(low - gap, 0),
        "lane_above": max(gap - high, 0),
        **_with_next(view, _speed, "speed_prev", "speed_next"),
        "distance_prev": math.log1p(kilometres(scan, last, ref)) if last else 0.0,
        "elapsed": math.log1p((scan.time - first.time) / HOUR),
        "hour_sin": math.sin(clock),
        "hour_cos": math.cos(clock),
        "weekday_sin": math.sin(week),
        "weekday_cos": math.cos(week),
    }


def _route(view: View) -> Values:
    scan, last, ref = view.scan, view.last, view.reference
    unknown = {"route_known": 0.0, "route_z": 0.0, "route_below": 0.0, "route_above": 0.0}
    if last is None or last.place == scan.place:
        return unknown
    key = last.place * (len(ref.location_id) + 1) + scan.place
    if not seen(ref.route, key):
        return unknown
    mean, deviation, least, most = ref.route_hours[ref.route.key.tolist().index(key)].tolist()
    hours = max(minutes(scan, last), 1) / 60
    return {
        "route_known": 1.0,
        "route_z": math.asinh((hours - mean) / max(deviation, 0.1)),
        "route_below": clip(math.log(max(least, 1 / 60) / hours), 0, 6),
        "route_above": clip(math.log(hours / max(most, 1 / 60)), 0, 6),
    }


def _from_count(view: View, last: Scan | None) -> float:
    return seen(view.reference.scan, last.key) if last else sum(view.reference.type_pair[START])


def _lane_logp(view: View, scan: Scan, last: Scan | None) -> float:
    ref = view.reference
    return log_share(seen(ref.lane, _lane_key(ref, scan, last)), _from_count(view, last))


def _same_place(_view: View, scan: Scan, last: Scan | None) -> float:
    return float(last is not None and last.location_id == scan.location_id)


def _place(view: View) -> Values:
    scan, last, ref = view.scan, view.last, view.reference
    product = scan.code.product if scan.code else -1
    known = scan.place < len(ref.location_id) and not math.isnan(ref.latitude[scan.place])
    of_product = seen(ref.product_scan, (product + 1) * (len(ref.location_id) + 2) * TYPES + scan.key)
    return {
        "place_known": known,
        "scan_log": math.log1p(seen(ref.scan, scan.key)),
        **_with_next(view, _lane_logp, "lane_logp", "lane_logp_next"),
        "lane_from_log": math.log1p(_from_count(view, last)),
        "product_scan_logp": log_share(of_product, seen(ref.product_type, (product + 1) * TYPES + scan.kind)),
        "stage_step": 0 if last is None or last.level is None or scan.level is None else scan.level - last.level,
        **_with_next(view, _same_place, "same_place_prev", "same_place_next"),
    }


def _type_step(_view: View, scan: Scan, last: Scan | None) -> float:
    return scan.kind - last.kind if last and UNKNOWN_TYPE not in (scan.kind, last.kind) else 0.0


def _type_logp(view: View, scan: Scan, last: Scan | None) -> float:
    after = view.reference.type_pair[last.kind if last else START]
    return log_share(after[scan.kind], sum(after))


def _inverted(_view: View, scan: Scan, last: Scan | None) -> float:
    return float(last is not None and last.event_id > scan.event_id)


def _order(view: View) -> Values:
    scan = view.scan
    names = (*EVENT_TYPES, "unknown")
    furthest = max((past.kind for past in view.past if past.kind != UNKNOWN_TYPE), default=0)

    def balance(events: Iterable[Scan]) -> float:
        here = [e for e in events if e.location_id == scan.location_id and e.level == scan.level]
        return clip(sum(event.direction for event in here), -2, 2)

    return {
        **{f"type_{name}": float(kind == scan.kind) for kind, name in enumerate(names)},
        "step_mismatch": None not in (scan.step, scan.type_level) and scan.step != scan.type_level,
        **_with_next(view, _type_step, "type_step", "type_step_next"),
        **_with_next(view, _type_logp, "type_logp", "type_logp_next"),
        "type_behind": 0 if scan.kind == UNKNOWN_TYPE or not view.past else max(furthest - scan.kind, 0),
        "balance": balance(view.past),
        "balance_after": balance(view.future),
        **_with_next(view, _inverted, "id_inverted", "id_inverted_next"),
    }


def _clone(view: View) -> Values:
    scan, past = view.scan, view.past
    same_type = [other for other in (*past, *view.future) if other.kind == scan.kind]
    repeats = [other for other in same_type if other.location_id == scan.location_id]
    last_repeat = max((other for other in repeats if other in past), key=lambda other: other.moment, default=None)
    # The nearest in time; of two equally near ones the earlier; of several at the same time the closest in order.
    nearest = min(
        same_type,
        key=lambda o: (abs(o.time - scan.time), o not in past, -past.index(o) if o in past else view.future.index(o)),
        default=None,
    )
    distance = abs(minutes(scan, nearest)) if nearest else 0.0
    own = [other for other in view.others if other.text == scan.text]
    elsewhere = [abs(minutes(scan, other)) for other in own if other.location_id != scan.location_id]
    sales = [other for other in past if other.kind == SELL]
    moved_and_back = (
        len(past) >= 2 and past[-1].location_id != scan.location_id and past[-2].location_id == scan.location_id
    )
    return {
        "repeats": math.log1p(len(repeats)),
        "repeat_gap": math.log1p(minutes(scan, last_repeat)) if last_repeat else 0.0,
        "elsewhere": math.log1p(len(same_type) - len(repeats)),
        "same_type_gap": math.log1p(distance),
        "same_type_speed": log_speed(kilometres(scan, nearest, view.reference), distance) if nearest else 0.0,
        "returned": moved_and_back,
        "elsewhere_gap": math.log1p(min(elsewhere)) if elsewhere else 20.0,
        "sold_before": math.log1p(len(sales)),
        "since_sold": math.log1p((scan.time - sales[-1].time) / HOUR) if sales else 0.0,
    }


def _items(scans: Iterable[Scan]) -> dict[str, Code]:
    """Return the items that have these scans, the well-formed ones."""
    return {scan.text: scan.code for scan in scans if scan.code is not None}


def _lot(view: View) -> Values:
    code, lot = view.scan.code, _items(view.mates)
    values = {
        "all_items": math.log1p(len({other.text for other in view.others} - {view.scan.text})),
        "lot_mates": math.log1p(len(lot)),
        "product_mates": 0.0,
        "lot_product_share": 0.5,
        "lot_day_share": 0.5,
        "serial_gap": 20.0,
    }
    if code is None:
        return values
    strangers = [its for text, its in _items(view.others).items() if text != view.scan.text]
    of_product = [its for its in strangers if its.product == code.product]
    of_number = [its for its in strangers if its.lot == code.lot]
    same_day = [its for its in lot.values() if (its.day or EPOCH.date()) == (code.day or EPOCH.date())]
    values["product_mates"] = math.log1p(sum(its.company == code.company for its in of_product))
    values["lot_product_share"] = share(sum(its.product == code.product for its in of_number), len(of_number))
    values["lot_day_share"] = share(len(same_day), len(lot))
    if lot and not view.causal:
        values["serial_gap"] = math.log1p(min(abs(its.serial - code.serial) for its in lot.values()))
    return values


def _scan_mates(view: View) -> Values:
    scan = view.scan
    same_type = [mate for mate in view.mates if mate.kind == scan.kind]
    here = [mate for mate in same_type if mate.location_id == scan.location_id]
    gaps = [abs(minutes(scan, mate)) for mate in here]
    # The neighbours in time are of the lot, the item's own scans included; only mates among them count.
    lot_here = [o for o in view.others if o.where == scan.where and (o.is_mate_of(scan) or o.text == scan.text)]
    earlier = [other for other in lot_here if other.moment < scan.moment]
    later = [other for other in lot_here if other.moment > scan.moment]
    around = [*earlier[len(later[:4]) - 8 :], *later[:4]] if view.causal else earlier[-4:] + later[:4]
    serials = sorted(
        abs(o.code.serial - scan.code.serial) for o in around if o.code and scan.code and o.is_mate_of(scan)
    )
    offset = sum((scan.time - mate.time) / HOUR for mate in here) / max(len(here), 1)
    return {
        "scan_mates": math.log1p(len(here)),
        "scan_share": share(len(here), len(same_type)),
        "scan_mate_gap": math.log1p(min(gaps)) if gaps else 0.0,
        "mate_serial_gap": math.log1p(serials[:4][-1]) if serials else 20.0,
        "scan_mate_offset": math.asinh(offset),
        "instant_mates": math.log1p(sum(other.second == scan.second for other in lot_here)),
    }


def _legs(view: View) -> Values:
    scan, last = view.scan, view.last

    def came_from(other: Scan) -> tuple[int, int] | None:
        before = view.before[other]
        return before.where if before else None

    def shipment(other: Scan) -> int:
        """The two hours, by the clock of where it leads, in which the leg began."""
        return (other.on_clock(view.before[other] or other) - EPOCH) // (2 * HOUR)

    def gap_ratio(mates: list[Scan]) -> float:
        gaps = [_log_gap(view, mate, view.before[mate]) for mate in mates]
        return _log_gap(view, scan, last) - sum(gaps) / len(gaps) if gaps else 0.0

    def at_gate(one: Scan) -> int:
        """The mates scanned as this one in the same two hours, as far as was known then."""
        hours = (one.local - EPOCH) // (2 * HOUR)
        seen = [o for o in view.others if o.second <= one.second or not view.causal]
        gate = [o for o in seen if o.is_mate_of(one) and o.where == one.where]
        return sum((o.local - EPOCH) // (2 * HOUR) == hours for o in gate)

    left = [mate for mate in view.mates if came_from(mate) == came_from(scan)]
    on_leg = [mate for mate in left if mate.where == scan.where]
    shipped = [mate for mate in left if shipment(mate) == shipment(scan)]
    shipped_here = [mate for mate in shipped if mate.where == scan.where]
    return {
        "leg_mates": math.log1p(len(on_leg)),
        "leg_share": share(len(on_leg), len(left)),
        "leg_gap_ratio": gap_ratio(on_leg),
        "shipment_mates": math.log1p(len(shipped)),
        "shipment_share": share(len(shipped_here), len(shipped)),
        "shipment_gap_ratio": gap_ratio(shipped_here),
        "gate_mates": math.log1p(at_gate(scan)),
        "mates_left_behind": math.log1p(max(at_gate(last) - len(shipped), 0) if last else 0),
        **_neighbours(view, shipped),
    }


def _neighbours(view: View, shipped: list[Scan]) -> Values:
    own, beside, apart = view.scan.code, 0, {}
    of_serial = [(mate.code.serial, _log_gap(view, mate, view.before[mate])) for mate in shipped if mate.code]
    for direction in (-1, 1) if own and view.last else ():
        for number in range(own.serial + direction, own.serial + 6 * direction, direction):
            gaps = [gap for serial, gap in of_serial if serial == number]
            if gaps:
                ratio = _log_gap(view, view.scan, view.last) - sum(gaps) / len(gaps)
                if abs(ratio) > 0.05:
                    apart[direction] = ratio
                    break
                beside += 1
    return {
        "neighbours_beside": math.log1p(beside),
        "neighbour_below_gap_ratio": apart.get(-1, 0.0),
        "neighbour_above_gap_ratio": apart.get(1, 0.0),
        "neighbours_gap_difference": abs(apart[1] - apart[-1]) if len(apart) == 2 else -1.0,
    }


@dataclass(frozen=True)
class Way:
    """How an event came to be where it is: what traffic has in common."""

    came_from: tuple[int, int] | None
    began: int  # in which two hours, and on which day, by the clock of where it leads
    day_of_leaving: int
    day: int
    hours: int
    to: tuple[bool, int]  # into which area; or a stay, and where
    log_gap: float
    pace: float  # lane_gap_ratio
    skips: bool


def _way(scan: Scan, before: Scan | None, reference: Reference) -> Way:
    left = scan.on_clock(before or scan) - EPOCH
    moved = before is not None and before.location_id != scan.location_id
    kinds = (scan.kind, before.kind if before else -1)
    return Way(
        came_from=before.where if before else None,
        began=left // (2 * HOUR),
        day_of_leaving=left // DAY,
        day=(scan.local - EPOCH) // DAY,
        hours=(scan.local - EPOCH) // (2 * HOUR),
        to=(moved, _area(reference, scan) if moved else scan.location_id),
        log_gap=math.log1p(minutes(scan, before)) if before else 0.0,
        pace=_lane_ratio(reference, scan, before),
        skips=UNKNOWN_TYPE not in kinds and kinds[0] - kinds[1] > 1,
    )


def _traffic(view: View) -> Values:
    scan, own = view.scan, view.ways[view.scan]
    others = [(other, view.ways[other]) for other in view.others]

    def gap_ratio(ways: list[Way]) -> float:
        return own.log_gap - sum(way.log_gap for way in ways) / len(ways) if ways else 0.0

    def skips(ways: list[Way]) -> float:
        return share(sum(way.skips for way in ways), len(ways))

    of_type = [(other, way) for other, way in others if other.kind == scan.kind]
    today = [way for other, way in of_type if other.where == scan.where and way.day == own.day]
    origins = [(other, way) for other, way in of_type if (way.came_from or (None,))[0] == (own.came_from or (None,))[0]]
    road = [way for other, way in origins if other.where == scan.where and way.came_from == own.came_from]
    on_day = [way for way in road if way.day_of_leaving == own.day_of_leaving]
    in_hours = [way for way in road if way.began == own.began]
    paces = [way.pace for _, way in others if (way.to, way.day_of_leaving) == (own.to, own.day_of_leaving)]
    pace = sum(paces) / len(paces) if paces else 0.0
    of_product = [one for one, way in others if _same_product(one, scan) and way.came_from == own.came_from]
    return {
        "road_scans": math.log1p(len(road)),
        "road_gap_ratio": gap_ratio(road),
        "road_day_scans": math.log1p(len(on_day)),
        "road_day_gap_ratio": gap_ratio(on_day),
        "road_hours_scans": math.log1p(len(in_hours)),
        "road_hours_gap_ratio": gap_ratio(in_hours),
        "area_day_scans": math.log1p(len(paces)),
        "area_day_pace": pace,
        "area_day_gap_ratio": own.pace - pace if paces else 0.0,
        "gate_day_skips": skips(today),
        "gate_hours_skips": skips([way for way in today if way.hours == own.hours]),
        "origin_day_skips": skips([way for _, way in origins if way.day == own.day]),
        "product_leg_share": share(sum(one.where == scan.where for one in of_product), len(of_product)),
    }


def _area(ref: Reference, scan: Scan) -> int:
    """Return the place of the hub from which most comes, maybe by way of others; unknown places stand alone."""
    return scan.location_id if scan.place == len(ref.location_id) else _hub(ref, scan.place)


@cache
def _hub(ref: Reference, place: int) -> int:
    ids = ref.location_id.tolist()
    scans = (len(ids) + 2) * TYPES
    for _ in range(64):  # where each of two comes from the other, somewhere has to be the end
        most, source = 0.0, -1
        for key, count in zip(ref.lane.key.tolist(), ref.lane.count.tolist(), strict=True):
            (at_from, type_from), (at_to, type_to) = (divmod(one, TYPES) for one in divmod(key, scans))
            known = at_from < len(ids) and at_from != at_to == place and UNKNOWN_TYPE not in (type_from, type_to)
            if known and 2 <= _LEVEL[EVENT_TYPES[type_from]] < _LEVEL[EVENT_TYPES[type_to]] and count >= most:
                most, source = count, at_from
        if source < 0:
            break
        place = source
    return int(ids[place])


def _same_product(one: Scan, other: Scan) -> bool:
    if one.code is None or other.code is None:
        return one.text == other.text
    return (one.code.company, one.code.product) == (other.code.company, other.code.product)


def _mode(view: View) -> Values:
    return {"causal": view.causal}


_PARTS = (_code, _time, _route, _place, _order, _clone, _lot, _scan_mates, _legs, _traffic, _mode)
