"""How good data are: what is complete, consistent, valid and known.

Nothing here judges single events: what is strange may be the anomaly that the model is to learn.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.dialect.dialect import words_of
from service.events.columns import step_codes, type_codes
from service.events.foreign import NO_DATE
from service.events.vocabulary import UNKNOWN
from training.datasets.folder import NEEDED, USED, quarantined
from training.inspection.folder import DAY_US, HOUR_US, Section, World, percent, share

_MOST_ROWS = 25  # of a table
_SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon"}


def files(world: World) -> Section:
    """Return the counts of each file."""
    rows = []
    for name, table in world.raw.files.items():
        every = world.raw.rows[world.raw.rows["file"] == name]
        usable = every[every["problem"] == ""]
        local_us = world.local_us[(world.rows["file"] == name).to_numpy()]
        ends = [_minute(end) for end in (local_us.min(), local_us.max())] if len(local_us) else ["-", "-"]
        counts = (len(every), len(every) - len(usable), usable["epc_code"].nunique())
        form = (table.encoding, _SEPARATORS[table.header.separator])
        rows.append((name, *form, *(f"{count:,}" for count in counts), *ends))
    columns = ("file", "encoding", "separator", "rows", "set aside", "EPCs", "first", "last")
    return Section("Files", "In the order of their names, which numbers the rows.", columns, rows)


def _minute(local_us: np.int64) -> str:
    return str(np.datetime64(int(local_us), "us").astype("datetime64[m]")).replace("T", " ")


def completeness(world: World) -> Section:
    """Return how many rows have a value, by column."""
    tables, rows = world.raw.files.values(), []
    headers = [table.header for table in tables]
    columns = {name: given for each in headers for name, given in zip(each.names, each.given, strict=True) if name}
    for name, given in columns.items():
        filled = sum(table.filled.get(name, 0) for table in tables)
        there = sum(name in table.header.names for table in tables)
        use = "needed" if name in NEEDED else "used" if name in USED else "not used"
        rows.append((given, use, f"{there} of {len(tables)}", f"{filled:,}", percent(filled, len(world.raw.rows))))
    headings = ("column", "use", "files", "rows", "share")
    return Section("Completeness", "Rows with a value, of the rows of all files.", headings, rows)


def set_aside(world: World) -> Section:
    """Return the first rows that cannot be used."""
    bad = quarantined(world.raw, _MOST_ROWS)
    note = f"{world.data.quarantined:,} rows cannot be used" + (f"; the first {len(bad)} are:" if len(bad) else ".")
    rows = [tuple(map(str, row)) for row in bad.to_numpy()]
    return Section("Rows set aside", note, ("file", "line", "problem", "text"), rows)


def times(world: World) -> Section:
    """Return the range, order and gaps of the times."""
    events, ordered = world.data.events, world.journeys.events
    before, has_before = world.journeys.previous()
    gap_h = (ordered.time_us - ordered.time_us[before])[has_before] / HOUR_US
    backwards = ordered.epc[has_before & (world.journeys.order < world.journeys.order[before])]
    epc, local_us, zones = events.epc, world.local_us, world.data.masters.zones
    early = world.codes.date_valid[epc] & (local_us < (world.codes.day[epc] - 1) * DAY_US)
    first, last = (int(end) for end in (local_us.min(), local_us.max()))
    span, used = last // DAY_US - first // DAY_US + 1, len(np.unique(local_us // DAY_US))
    again = world.rows.duplicated(["epc_code", "event_time", "location_id", "event_type"])
    future = share(int((events.time_us > world.now_us).sum()), len(events))
    rows = [
        ("first, last", " .. ".join(str(np.datetime64(end, "us").astype("datetime64[s]")) for end in (first, last))),
        ("later than now (normal: planned scans are in the real data too)", future),
        ("same EPC, time, place and type as an earlier row", share(int(again.sum()), len(events))),
        ("EPCs whose rows are not in the order of time", share(len(np.unique(backwards)), len(events.epc_codes))),
        ("more than a day before the date in the code", share(int(early.sum()), len(events))),
        ("days without an event, between the first and the last", share(span - used, span)),
    ]
    if len(gap_h):
        quantiles = ", ".join(f"{value:.4g}" for value in np.quantile(gap_h, (0, 0.01, 0.5, 0.99, 1)))
        rows.append(("hours between the scans of an EPC: least, 1 %, median, 99 %, most", quantiles))
    where = ", ".join([zones.default, *sorted(set(zones.of_place.values()))])
    note = f"On the clocks of the places ({where}); a time without a zone is what they showed."
    return Section("Times", note, ("what", "value"), rows)


def code_validity(world: World) -> Section:
    """Return how many codes have which flaw, and the parts that they are made of."""
    parts, texts = world.codes, world.data.events.epc_codes
    well = parts.well_formed
    dirty = ("(rows) with dirt of transport around, left out", share(world.raw.dirty_codes, len(world.raw.rows)), "")
    flaws = [
        ("malformed", ~well),
        ("the date is no date", well & ~parts.date_valid & (parts.date != NO_DATE)),
        ("the product is mostly another company's", _minority(parts.product, parts.company, well)),
        ("the lot is mostly another product's", _minority(parts.lot, parts.product, well)),
    ]
    rows = [
        (flaw, share(int(has.sum()), len(texts)), world.sent_code(int(np.argmax(has))) if has.any() else "")
        for flaw, has in flaws
    ]
    rows.insert(0, dirty)
    for name in ("header", "company", "product", "lot"):
        values = getattr(parts, name)[well]
        # Numbers of another scheme's parts are made for the model: nobody knows a company by them.
        rows.append((f"distinct {name}", f"{len(np.unique(values)):,}", "" if world.has_own_scheme else _most(values)))
    note = "Flawed codes are events like others: they are what epcFake is about."
    if world.has_own_scheme:
        note += " A header or lot that codes of this scheme lack is one of each product."
    return Section("Codes", note, ("what", "codes", "first one, or the most frequent"), rows)


def names(world: World) -> Section:
    """Return the event types and business steps, unknown ones first."""
    rows, words = [], words_of(world.raw.dialect)
    for column, code_of in (("event_type", type_codes), ("business_step", step_codes)):
        count = world.rows[column].str.strip().value_counts()
        known = code_of(count.index.tolist(), words) != UNKNOWN
        for at in np.argsort(known, kind="stable")[:_MOST_ROWS].tolist():
            events = share(int(count.iloc[at]), len(world.rows))
            rows.append((world.called[column], str(count.index[at]), "yes" if known[at] else "NO", events))
    note = "An unknown name is read, but to the model all of them are the same."
    return Section("Event types and business steps", note, ("column", "name", "known", "events"), rows)


def journey_lengths(world: World) -> Section:
    """Return how many EPCs have how many events."""
    length = world.journeys.length
    values, counts = np.unique(np.minimum(length, _MOST_ROWS), return_counts=True)
    rows = [
        (f"{value} or more" if value == _MOST_ROWS else str(value), share(int(count), len(length)))
        for value, count in zip(values, counts, strict=True)
    ]
    return Section(
        "Events per EPC", f"{length.mean():.2f} on average, {length.max()} at most.", ("events", "EPCs"), rows
    )


def places(world: World) -> Section:
    """Return the places and routes of the events that the masters lack."""
    events, ordered, masters = world.data.events, world.journeys.events, world.data.masters
    with_coordinates = masters.location_id[np.isfinite(masters.latitude) & np.isfinite(masters.longitude)]
    lacking = [events.location_id[~np.isin(events.location_id, ids)] for ids in (masters.location_id, with_coordinates)]
    before, has_before = world.journeys.previous()
    moved = has_before & (ordered.location_id != ordered.location_id[before])
    taken = pd.MultiIndex.from_arrays([ordered.location_id[before][moved], ordered.location_id[moved]])
    on_route = taken.isin(pd.MultiIndex.from_arrays([masters.route_from, masters.route_to]))
    ids = world.rows[world.rows["scan_location"] != ""].groupby("scan_location")["location_id"].nunique()
    shared = ids[ids > 1]
    rows = [
        ("locations in the master", f"{len(masters.location_id):,}", ""),
        ("locations of events", f"{len(np.unique(events.location_id)):,}", _most(events.location_id)),
        ("events at locations that the master lacks", share(len(lacking[0]), len(events)), _most(lacking[0])),
        ("events at locations without coordinates", share(len(lacking[1]), len(events)), _most(lacking[1])),
        ("names of several locations", f"{len(shared):,}", ", ".join(map(str, shared.index[:5]))),
        ("routes in the transition master", f"{len(masters.route_from):,}", ""),
        ("moves that take one of these routes", share(int(on_route.sum()), len(on_route)), ""),
    ]
    note = "A few locations without coordinates are normal; distances to them are unknown."
    return Section("Locations and routes", note, ("what", "value", "most frequent"), rows)


def _minority(group: NDArray[np.int64], value: NDArray[np.int64], use: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which codes [U] to ``use`` have another ``value`` than most of their ``group``."""
    table = pd.DataFrame({"group": group, "value": value})[use]
    common = table.value_counts().reset_index().drop_duplicates("group").set_index("group")["value"]
    found = np.zeros(len(group), dtype=np.bool_)
    found[use] = (table["group"].map(common) != table["value"]).to_numpy()
    return found


def _most(values: NDArray[np.int64]) -> str:
    """Return the most frequent values and their counts."""
    distinct, count = np.unique(values, return_counts=True)
    shown = [f"{distinct[at]} ({count[at]:,})" for at in np.argsort(-count, kind="stable")[:5]]
    return ", ".join(shown) + (", .." if len(distinct) > 5 else "")
