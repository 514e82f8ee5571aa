"""Anomalies that the list of causes was not made for: planted in normal items after the list was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import EVENT_TYPES

ITEMS = 200
"""Items of each variant, if there are as many that suit it."""

_HOUR_US = 3_600_000_000
_SOLD, _MADE = EVENT_TYPES.index("POS_Sell"), EVENT_TYPES.index("Aggregation")
_INBOUND = [number for number, name in enumerate(EVENT_TYPES) if name.endswith("_Inbound")]


@dataclass(frozen=True, slots=True)
class Later:
    """One variant, and the cause that was planted."""

    name: str
    kind: str
    cause: str
    plant: Callable[[Events, NDArray[np.intp]], Events]  # (events of normal items, one row of each item to start from)
    suits: Callable[[Events], NDArray[np.bool_]]  # which rows it can start from
    is_every_event: bool  # of the item; else those that were added


def _with_codes(events: Events, rows: NDArray[np.intp], edit: Callable[[str], str]) -> Events:
    codes = list(events.epc_codes)
    for epc in np.unique(events.epc[rows]).tolist():
        codes[epc] = edit(codes[epc])
    return replace(events, epc_codes=codes)


def _with_scans(events: Events, rows: NDArray[np.intp], **changed: NDArray[Any]) -> Events:
    """Return the events and copies of ``rows``, with ``changed`` columns and ids of their own, below 0."""
    ids = -1 - np.arange(len(rows)) + events.event_id.min(initial=0)
    columns = {"event_id": ids} | changed
    names = ("event_id", "epc", "location_id", "step", "event_type", "time_us", "file_id")
    merged: dict[str, Any] = {
        name: np.concatenate([getattr(events, name), columns.get(name, getattr(events, name)[rows])]).astype(
            getattr(events, name).dtype
        )
        for name in names
    }
    return replace(events, **merged)


def _two_months_early(code: str) -> str:
    months = int(code[27:31]) * 12 + int(code[31:33]) - 1 - 2
    return f"{code[:27]}{months // 12:04d}{months % 12 + 1:02d}{code[33:]}"


def _read_again(events: Events, rows: NDArray[np.intp]) -> Events:
    twice = rows.repeat(2)
    later = np.tile(np.array([7, 15]) * _HOUR_US, len(rows))
    return _with_scans(events, twice, time_us=events.time_us[twice] + later)


def _moved_to(events: Events, rows: NDArray[np.intp], type_: int, hours: int) -> Events:
    """Return the events with scans of the type at the item's own first place."""
    journeys = Journeys.of(events)
    first = journeys.order[journeys.start]
    place = events.location_id[first][np.searchsorted(events.epc[first], events.epc[rows])]
    level = events.step[first][np.searchsorted(events.epc[first], events.epc[rows])]
    kind = np.full(len(rows), type_)
    return _with_scans(
        events, rows, time_us=events.time_us[rows] + hours * _HOUR_US, location_id=place, step=level, event_type=kind
    )


def _last(events: Events) -> NDArray[np.bool_]:
    journeys = Journeys.of(events)
    found = np.zeros(len(events), dtype=np.bool_)
    found[journeys.order[journeys.start + journeys.length - 1]] = True
    return found


LATER = (
    Later(
        "date_two_months_early",
        "epcFake",
        "date_not_of_lot",
        lambda events, rows: _with_codes(events, rows, _two_months_early),
        lambda events: np.ones(len(events), dtype=np.bool_),
        is_every_event=True,
    ),
    Later(
        "header_of_nobody",
        "epcFake",
        "header_unknown",
        lambda events, rows: _with_codes(events, rows, lambda code: f"777{code[3:]}"),
        lambda events: np.ones(len(events), dtype=np.bool_),
        is_every_event=True,
    ),
    Later(
        "received_again_and_again",
        "evtOrderErr",
        "in_twice",
        _read_again,
        lambda events: np.isin(events.event_type, _INBOUND) & _last(events),
        is_every_event=False,
    ),
    Later(
        "sold_twice_at_one_shop",
        "epcDup",
        "alive_after_sale",
        lambda events, rows: _with_scans(events, rows, time_us=events.time_us[rows] + 75 * _HOUR_US),
        lambda events: (events.event_type == _SOLD) & _last(events),
        is_every_event=False,
    ),
    Later(
        "made_again",
        "locErr",
        "level_reversed",
        lambda events, rows: _moved_to(events, rows, _MADE, 60),
        lambda events: (
            _last(events) & (events.event_type > EVENT_TYPES.index("HUB_Inbound")) & (events.event_type != _SOLD)
        ),
        is_every_event=False,
    ),
)
"""As many variants; none is one of `training.simulation.anomalies.VARIANTS`."""


def planted(
    events: Events, normal: NDArray[np.bool_], variant: Later, rng: np.random.Generator
) -> tuple[Events, NDArray[np.bool_]]:
    """Return (the events with the variant in some of the items that are all ``normal`` [U], [N] which show it)."""
    rows = rng.permutation(np.flatnonzero(variant.suits(events) & normal[events.epc]))
    rows = rows[np.sort(np.unique(events.epc[rows], return_index=True)[1])][:ITEMS]
    made = variant.plant(events, rows)
    shown = np.arange(len(made)) >= len(events)
    if variant.is_every_event:
        shown = np.isin(made.epc, np.unique(events.epc[rows]))
    return made, shown
