"""The declared features, in order: what each is called, which anomaly kind it serves, what it means, by which formula.

The one list. The build makes of it the row that the compiled loops write (`row.pxd`), so this file imports nothing.
A "log share" of k in n is log((k + 0.1) / (n + 1)).
"""

NEIGHBOURS = 8
"""Scans here of mates whose serials a scan is compared with by `mate_serial_gap`; a past remembers as many."""

NO_SERIAL = 20.0
"""In place of a log difference of serials where there is no other: more than any."""

JOURNEY_FEATURES: tuple[tuple[str, str, str], ...] = (
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
    ("lane_gap_ratio", "jump", "log gap minus the lane's median, within +-6"),
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
    ("hour_sin", "jump", "sin of the hour of the day at the place"),
    ("hour_cos", "jump", "cos of the hour of the day at the place"),
    ("weekday_sin", "jump", "sin of the day of the week at the place, from Thursday on"),
    ("weekday_cos", "jump", "cos of the day of the week at the place, from Thursday on"),
    ("place_known", "locErr", "1 if the location has coordinates"),
    ("scan_log", "locErr", "log1p of normal scans of this type at this place"),
    ("lane_logp", "locErr", "log share of the normal scans like the previous one that one like this followed"),
    ("lane_logp_next", "locErr", "lane_logp of the next event (retrospective)"),
    ("lane_from_log", "locErr", "log1p of normal scans like the previous one: how far lane_logp can be trusted"),
    ("product_scan_logp", "locErr", "log share of the product's normal scans of this type that were at this place"),
    ("stage_step", "locErr", "levels gained since the previous event (negative: backwards)"),
    ("same_place_prev", "locErr", "1 if the previous event was at this place"),
    ("same_place_next", "locErr", "1 if the next event is at this place (retrospective)"),
    ("type_Aggregation", "evtOrderErr", "1 if the event type is Aggregation"),
    ("type_WMS_Inbound", "evtOrderErr", "1 if the event type is WMS_Inbound"),
    ("type_WMS_Outbound", "evtOrderErr", "1 if the event type is WMS_Outbound"),
    ("type_HUB_Inbound", "evtOrderErr", "1 if the event type is HUB_Inbound"),
    ("type_HUB_Outbound", "evtOrderErr", "1 if the event type is HUB_Outbound"),
    ("type_W_Stock_Inbound", "evtOrderErr", "1 if the event type is W_Stock_Inbound"),
    ("type_W_Stock_Outbound", "evtOrderErr", "1 if the event type is W_Stock_Outbound"),
    ("type_R_Stock_Inbound", "evtOrderErr", "1 if the event type is R_Stock_Inbound"),
    ("type_R_Stock_Outbound", "evtOrderErr", "1 if the event type is R_Stock_Outbound"),
    ("type_POS_Sell", "evtOrderErr", "1 if the event type is POS_Sell"),
    ("type_unknown", "evtOrderErr", "1 if the event type is unknown"),
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
    (
        "elsewhere_gap",
        "epcDup",
        "log1p of the minutes to the nearest scan of this item at another place, 20 without one (causal: of earlier"
        " ones and of those in the same second)",
    ),
    ("sold_before", "epcDup", "log1p of earlier POS_Sell events"),
    ("since_sold", "epcDup", "log1p of the hours since the last POS_Sell"),
)
"""Of one item."""

COMPANION_FEATURES: tuple[tuple[str, str, str], ...] = (
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
    ("instant_mates", "epcFake", "log1p of the lot's other scans here in the same second: what one gate reads at once"),
    ("gate_mates", "jump", "log1p of the mates' scans of this type here in the same two hours"),
    (
        "mates_left_behind",
        "jump",
        "log1p of the gate_mates of the previous scan beyond the shipment_mates: they came along, and are not here",
    ),
    (
        "neighbours_beside",
        "jump",
        "log1p of the neighbours that took as long as the item: up to five serials below and above it in the shipment,"
        " up to the first that took another time (log gap off by more than 0.05)",
    ),
    ("neighbour_below_gap_ratio", "jump", "log gap minus that of this first one below, 0 without one"),
    ("neighbour_above_gap_ratio", "jump", "log gap minus that of this first one above, 0 without one"),
    (
        "neighbours_gap_difference",
        "jump",
        "difference of the log gaps of these two, -1 without both: 0 if all around it went together, without it",
    ),
)
"""Of an item among its companions: the mates of its lot."""

TRAFFIC_FEATURES: tuple[tuple[str, str, str], ...] = (
    ("road_scans", "locErr", "log1p of others' scans here after the same previous scan, whatever their lots"),
    ("road_gap_ratio", "jump", "log gap minus the mean log gap of those"),
    ("road_day_scans", "jump", "log1p of those that began on the same day"),
    ("road_day_gap_ratio", "jump", "log gap minus the mean log gap of those that began on the same day"),
    ("road_hours_scans", "jump", "log1p of those that began in the same two hours"),
    ("road_hours_gap_ratio", "jump", "log gap minus the mean log gap of those that began in the same two hours"),
    (
        "area_day_scans",
        "jump",
        "log1p of others' legs into this area (the places of one hub) that began on the same day; or of stays here",
    ),
    ("area_day_pace", "jump", "mean lane_gap_ratio of those: how slow the day is"),
    ("area_day_gap_ratio", "jump", "lane_gap_ratio minus that mean"),
    (
        "gate_day_skips",
        "evtOrderErr",
        "share of others' scans of this type here on this day that came without the scan before: a gate missed it",
    ),
    ("gate_hours_skips", "evtOrderErr", "the same share in these two hours of the clock"),
    (
        "origin_day_skips",
        "evtOrderErr",
        "the same share among others' scans of this type and day, wherever, that came from the same place",
    ),
    (
        "product_leg_share",
        "locErr",
        "share of others' scans of the product after the same previous scan that were here, whatever their lots",
    ),
)
"""Of an item among all others, whatever their lots. In a history: of those that this gateway knows of."""

FEATURES: tuple[tuple[str, str, str], ...] = (
    *JOURNEY_FEATURES,
    *COMPANION_FEATURES,
    *TRAFFIC_FEATURES,
    ("causal", "all", "1 in causal judgements, 0 in retrospective ones"),
)
"""Name, anomaly kind served, meaning and formula of each of the F features, in order."""

NAMES: tuple[str, ...] = tuple(name for name, _, _ in FEATURES)
