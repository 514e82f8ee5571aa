"""Features of one item: its code, and the times, places and order of its own scans."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.groups import Group, Index, Key, combine
from service.events.vocabulary import DIRECTION_OF_TYPE, EVENT_TYPES, LEVEL_OF_TYPE, LEVELS, START, TYPES, UNKNOWN
from service.features.keys import company_product_key, product_lot_key, product_type_key
from service.features.shared import Trail, log_speed, nearest

Columns = dict[str, NDArray[np.generic]]
"""Features by name, each [N]."""

JOURNEY_FEATURES: tuple[tuple[str, str, str], ...] = (
    # name, kind served, meaning and formula; a "log share" of k in n is log((k + 0.1) / (n + 1))
    ("code_well_formed", "epcFake", "1 if the code has the right length, digits and dots"),
    ("code_header_log", "epcFake", "log1p of issued codes with this header"),
    ("code_company_log", "epcFake", "log1p of issued codes of this company"),
    ("code_product_log", "epcFake", "log1p of issued codes of this product of this company"),
    ("code_product_foreign", "epcFake", "1 if the product was issued, but by other companies only"),
    ("code_lot_log", "epcFake", "log1p of issued codes of this lot of this product"),
    ("code_lot_foreign", "epcFake", "1 if the lot was issued, but for other products only"),
    ("code_date_valid", "epcFake", "1 if the date part is a date of the calendar"),
    ("code_day_off", "epcFake", "asinh of the days by which the date, if valid, lies outside of the lot's (+ later)"),
    ("code_serial_off", "epcFake", "asinh of the numbers by which the serial lies outside of the lot's (+ above)"),
    (
        "code_age_first",
        "epcFake",
        "asinh of the days from the date part, if valid, to the first scan (below 0: scanned before made)",
    ),
    ("code_age", "epcFake", "asinh of the days from the date part, if valid, to this scan"),
    # A level of the supply chain; called stage here and in stage_step, since names of features are in the spec hash.
    ("first_stage", "epcFake", "level 0..5 of the first scan (type, else step): a forged item turns up downstream"),
    ("first_type_logp", "epcFake", "log share of the normal journeys that start with the first scan's type"),
    ("has_prev", "all", "1 if the journey has an earlier event"),
    ("has_next", "all", "1 if the journey has a later event (retrospective)"),
    ("index_log", "all", "log1p of the number of earlier events of the journey"),
    ("remaining_log", "all", "log1p of the number of later events of the journey (retrospective)"),
    ("gap_prev", "jump", "log1p of the minutes since the previous event"),
    ("gap_next", "jump", "log1p of the minutes until the next event (retrospective)"),
    ("lane_z", "jump", "log gap against the lane's median, in robust spreads (0.05 at least), within +-10"),
    ("lane_below", "jump", "log gap below the lane's 1 % quantile (log minutes, >= 0)"),
    ("lane_above", "jump", "log gap above the lane's 99 % quantile (log minutes, >= 0)"),
    ("lane_z_next", "jump", "lane_z of the next event (retrospective)"),
    (
        "route_z",
        "jump",
        "asinh of (hours - mean) / deviation (0.1 at least) of the transition master's route; a minute at least",
    ),
    ("route_below", "jump", "log(minimum / hours) if faster than the route's minimum, within 6"),
    ("route_above", "jump", "log(hours / maximum) if slower than the route's maximum, within 6"),
    ("route_known", "locErr", "1 if the transition master has the route from the previous place to this other one"),
    ("speed_prev", "jump", "log1p of km/h from the previous place, a minute at least"),
    ("speed_next", "jump", "log1p of km/h to the next place (retrospective)"),
    ("distance_prev", "locErr", "log1p of km from the previous place"),
    ("elapsed", "jump", "log1p of the hours since the first scan"),
    ("hour_sin", "jump", "sin of the hour of the day (UTC)"),
    ("hour_cos", "jump", "cos of the hour of the day (UTC)"),
    ("weekday_sin", "jump", "sin of the day of the week, from Thursday on"),
    ("weekday_cos", "jump", "cos of the day of the week, from Thursday on"),
    ("place_known", "locErr", "1 if the location has coordinates"),
    ("scan_log", "locErr", "log1p of normal scans of this type at this place"),
    ("lane_logp", "locErr", "log share of the normal scans like the previous one that one like this followed"),
    ("lane_logp_next", "locErr", "lane_logp of the next event (retrospective)"),
    ("lane_from_log", "locErr", "log1p of normal scans like the previous one: how far lane_logp can be trusted"),
    ("product_scan_logp", "locErr", "log share of the product's normal scans of this type that were at this place"),
    ("stage_step", "locErr", "levels gained since the previous event (negative: backwards)"),
    ("same_place_prev", "locErr", "1 if the previous event was at this place"),
    ("same_place_next", "locErr", "1 if the next event is at this place (retrospective)"),
    *((f"type_{name}", "evtOrderErr", f"1 if the event type is {name}") for name in (*EVENT_TYPES, "unknown")),
    ("step_mismatch", "evtOrderErr", "1 if the business step belongs to another level than the event type"),
    ("type_step", "evtOrderErr", "steps along the normal journey since the previous event, within +-9"),
    ("type_step_next", "evtOrderErr", "type_step of the next event (retrospective)"),
    ("type_logp", "evtOrderErr", "log share of the normal scans after the previous type that were of this type"),
    ("type_logp_next", "evtOrderErr", "type_logp of the next event (retrospective)"),
    ("type_behind", "evtOrderErr", "steps of the normal journey by which an earlier event was further on"),
    ("balance", "evtOrderErr", "inbound minus outbound scans of the item before at this place and level, within +-2"),
    ("balance_after", "evtOrderErr", "inbound minus outbound scans after, as in balance (retrospective)"),
    ("id_inverted", "evtOrderErr", "1 if the previous event has the higher event_id: a clock rolled back"),
    ("id_inverted_next", "evtOrderErr", "id_inverted of the next event (retrospective)"),
    ("repeats", "epcDup", "log1p of other scans of this item, same place and type"),
    ("repeat_gap", "epcDup", "log1p of the minutes since the last such scan"),
    ("elsewhere", "epcDup", "log1p of other scans of this item, same type at another place"),
    ("same_type_gap", "epcDup", "log1p of the minutes to the nearest scan of this item and type, wherever it was"),
    ("same_type_speed", "epcDup", "log1p of km/h needed between this scan and that nearest one (the earlier of two)"),
    ("returned", "epcDup", "1 if the previous event was elsewhere and the one before it was here"),
    ("sold_before", "epcDup", "log1p of earlier POS_Sell events"),
    ("since_sold", "epcDup", "log1p of the hours since the last POS_Sell"),
)

_POS_SELL = EVENT_TYPES.index("POS_Sell")


def code_features(trail: Trail) -> Columns:
    """Code parts against what was issued, worked out once per code, and the date part against the scans."""
    parts, reference, events = trail.parts, trail.reference, trail.events
    lot_key = product_lot_key(parts.product, parts.lot)
    lot_row = reference.product_lot.find(lot_key)
    known_lot = lot_row < len(reference.product_lot.key)
    of_pair = reference.company_product.of(company_product_key(parts.company, parts.product))
    of_lot = reference.product_lot.of(lot_key)
    per_code: Columns = {
        "code_well_formed": parts.well_formed,
        "code_header_log": np.log1p(reference.header.of(parts.header)),
        "code_company_log": np.log1p(reference.company.of(parts.company)),
        "code_product_log": np.log1p(of_pair),
        "code_product_foreign": (of_pair == 0) & (reference.product.of(parts.product) > 0),
        "code_lot_log": np.log1p(of_lot),
        "code_lot_foreign": (of_lot == 0) & (reference.lot.of(parts.lot) > 0),
        "code_date_valid": parts.date_valid,
        "code_day_off": _outside(parts.day, reference.lot_day_or_zero, lot_row, known_lot & parts.date_valid),
        "code_serial_off": _outside(parts.serial, reference.lot_serial_or_zero, lot_row, known_lot),
    }
    journeys = trail.journeys
    first_type = events.event_type[journeys.start]
    first_share = _log_share(reference.type_pair[START], reference.type_pair[START].sum())
    age = np.where(parts.date_valid[events.epc], np.arcsinh(events.time_us / 86_400e6 - parts.day[events.epc]), 0.0)
    return {name: values[events.epc] for name, values in per_code.items()} | {
        "code_age": age,
        "code_age_first": journeys.spread(age[journeys.start]),
        "first_stage": journeys.spread(np.maximum(trail.level[journeys.start], 0)),
        "first_type_logp": journeys.spread(first_share[first_type]),
    }


def _outside(
    values: NDArray[np.int64], ranges: NDArray[np.float64], row: Index, known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return asinh [U] of how far each value lies outside of its range, 0 inside or if the range is not known.

    ``ranges`` has a row more than are known.
    """
    low, high = ranges[row].T
    return np.where(known, np.arcsinh(np.maximum(values - high, 0.0) - np.maximum(low - values, 0.0)), 0.0)


def _within(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return the values cut off at ``low`` and ``high``; `numpy.clip` costs four times as much for small arrays."""
    return np.minimum(np.maximum(values, low), high)


def _log_share(count: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log((count + 0.1) / (total + 1)): about -2.3 where nothing is known, lower the surer an absence is."""
    share: NDArray[np.float64] = np.log((count + 0.1) / (total + 1.0))
    return share


def time_features(trail: Trail) -> Columns:
    """Gaps between scans against the lane's learned times, the route's given ones, and the speed of travel."""
    reference, events = trail.reference, trail.events
    kind_from = np.where(trail.has_before, trail.kind[trail.before], START)
    lane = reference.lane_key(trail.scan_from, trail.scan)
    low, median, high, spread = reference.gap_quantiles(lane, kind_from, trail.kind).T
    measured = trail.has_before & (high > 0)
    gap = trail.log_gap
    lane_z = np.where(measured, _within((gap - median) / np.maximum(spread, 0.05), -10, 10), 0.0)
    km = np.where(trail.has_before, trail.kilometres(trail.before), 0.0)
    speed = log_speed(km, trail.gap_minutes)
    first = trail.journeys.spread(events.time_us[trail.journeys.start])
    day_phase = events.time_us / 86_400e6 * 2 * np.pi
    week_phase = np.floor(events.time_us / 86_400e6) * 2 * np.pi / 7
    length = trail.journeys.spread(trail.journeys.length)
    return {
        "has_prev": trail.has_before,
        "has_next": trail.next_of(trail.has_before.astype(np.float32)),
        "index_log": np.log1p(trail.journeys.position),
        "remaining_log": np.zeros(len(gap)) if trail.causal else np.log1p(length - 1 - trail.journeys.position),
        "gap_prev": gap,
        "gap_next": trail.next_of(gap),
        "lane_z": lane_z,
        "lane_below": np.where(measured, np.maximum(low - gap, 0.0), 0.0),
        "lane_above": np.where(measured, np.maximum(gap - high, 0.0), 0.0),
        "lane_z_next": trail.next_of(lane_z),
        "speed_prev": speed,
        "speed_next": trail.next_of(speed),
        "distance_prev": np.log1p(km),
        "elapsed": np.log1p((events.time_us - first) / 3_600e6),
        "hour_sin": np.sin(day_phase),
        "hour_cos": np.cos(day_phase),
        "weekday_sin": np.sin(week_phase),
        "weekday_cos": np.cos(week_phase),
    } | _route_features(trail)


def _route_features(trail: Trail) -> Columns:
    reference = trail.reference
    place_from = trail.place[trail.before]
    row = reference.route.find(reference.route_key(place_from, trail.place))
    known = trail.has_before & (trail.place != place_from) & (row < len(reference.route.key))
    mean, deviation, least, most = reference.route_hours_or_one[row].T
    hours = np.maximum(trail.gap_minutes, 1.0) / 60
    return {
        "route_known": known,
        "route_z": np.where(known, np.arcsinh((hours - mean) / np.maximum(deviation, 0.1)), 0.0),
        "route_below": np.where(known, _within(np.log(np.maximum(least, 1 / 60) / hours), 0, 6), 0.0),
        "route_above": np.where(known, _within(np.log(hours / np.maximum(most, 1 / 60)), 0, 6), 0.0),
    }


def place_features(trail: Trail) -> Columns:
    """Places and lanes against those that normal items use."""
    reference = trail.reference
    product = trail.parts.product[trail.events.epc]
    starts = reference.type_pair[START].sum()
    from_count = np.where(trail.has_before, reference.scan.of(trail.scan_from), starts)
    lane_logp = _log_share(reference.lane.of(reference.lane_key(trail.scan_from, trail.scan)), from_count)
    of_product = reference.product_scan.of(reference.product_scan_key(product, trail.scan))
    of_product_type = reference.product_type.of(product_type_key(product, trail.kind))
    level_from = trail.level[trail.before]
    levelled = trail.has_before & (trail.level != UNKNOWN) & (level_from != UNKNOWN)
    spot = trail.spot.values
    same_place = trail.has_before & (spot == spot[trail.before])
    return {
        "place_known": reference.located[trail.place],
        "scan_log": np.log1p(reference.scan.of(trail.scan)),
        "lane_logp": lane_logp,
        "lane_logp_next": trail.next_of(lane_logp),
        "lane_from_log": np.log1p(from_count),
        "product_scan_logp": _log_share(of_product, of_product_type),
        "stage_step": np.where(levelled, trail.level - level_from, 0),
        "same_place_prev": same_place,
        "same_place_next": trail.next_of(same_place.astype(np.float32)),
    }


def order_features(trail: Trail) -> Columns:
    """The order of event types against the normal journey, and what was open at the place."""
    events, kind = trail.events, trail.kind
    type_level = LEVEL_OF_TYPE[events.event_type]
    known = kind != TYPES - 1
    kind_from = np.where(trail.has_before, kind[trail.before], START)
    type_step = np.where(trail.has_before & known & known[trail.before], kind - kind[trail.before], 0)
    pairs = trail.reference.type_pair
    type_logp = _log_share(pairs[kind_from, kind], pairs.sum(axis=1)[kind_from])

    # Running maximum per journey: an offset that grows from journey to journey keeps them apart.
    offset = trail.journeys.spread(np.arange(len(trail.journeys.start)) * TYPES)
    furthest = np.maximum.accumulate(np.where(known, kind, 0) + offset) - offset
    behind = np.where(known & trail.has_before, np.maximum(furthest[trail.before] - kind, 0), 0)

    here = Group(
        combine(trail.epc, trail.spot, Key(trail.level.astype(np.int64) + 1, len(LEVELS) + 1)), trail.journeys.by_time
    )
    direction = DIRECTION_OF_TYPE[events.event_type].astype(np.float64)
    before = here.sum_of_others(direction, causal=True)
    after = here.sum_of_others(direction, causal=trail.causal) - before  # 0 in causal judgements
    inverted = trail.has_before & (events.event_id < events.event_id[trail.before])
    names = (*EVENT_TYPES, "unknown")
    is_type = kind == np.arange(len(names))[:, None]
    return {f"type_{name}": is_type[code] for code, name in enumerate(names)} | {
        "step_mismatch": (events.step != UNKNOWN) & (type_level != UNKNOWN) & (events.step != type_level),
        "type_step": type_step,
        "type_step_next": trail.next_of(type_step.astype(np.float32)),
        "type_logp": type_logp,
        "type_logp_next": trail.next_of(type_logp),
        "type_behind": behind,
        "balance": _within(before, -2, 2),
        "balance_after": _within(after, -2, 2),
        "id_inverted": inverted,
        "id_inverted_next": trail.next_of(inverted.astype(np.float32)),
    }


def clone_features(trail: Trail) -> Columns:
    """Scans of the item that a second item with the same code would explain."""
    events, journeys, minute, causal = trail.events, trail.journeys, trail.minute, trail.causal
    repeats = trail.same_scan.others(causal=causal)
    last, has_last = trail.same_scan.neighbour(-1)
    same_type = trail.same_type.others(causal=causal)
    neighbours = [trail.same_type.neighbour(step) for step in ((-1,) if causal else (-1, 1))]
    closest, distance = nearest(events.time_us.astype(np.float64), neighbours)  # microseconds: equals are equal
    found = np.isfinite(distance)
    distance = np.where(found, distance, 0.0) / 60e6

    two_before = np.maximum(np.arange(len(minute)) - 2, 0)
    spot = trail.spot.values
    moved = trail.has_before & (spot != spot[trail.before])
    sold = trail.kind == _POS_SELL
    sales = sold.cumsum() - sold  # of all journeys up to here
    sold_before = sales - journeys.spread(sales[journeys.start])
    # Index of the last sale up to the previous event; only read where sold_before says that it is of this journey.
    last_sale = np.maximum.accumulate(np.where(sold, np.arange(len(minute)), 0))[trail.before]
    return {
        "repeats": np.log1p(repeats),
        "repeat_gap": np.log1p(np.where(has_last, minute - minute[last], 0.0)),
        "elsewhere": np.log1p(same_type - repeats),
        "same_type_gap": np.where(found, np.log1p(distance), 0.0),
        "same_type_speed": np.where(found, log_speed(trail.kilometres(closest), distance), 0.0),
        "returned": moved & (journeys.position >= 2) & (spot == spot[two_before]),
        "sold_before": np.log1p(sold_before),
        "since_sold": np.log1p(np.where(sold_before > 0, (minute - minute[last_sale]) / 60, 0.0)),
    }
