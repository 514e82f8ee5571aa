"""The features: what the model and the rules see of every event. One code for training and serving.

Retrospective features know the whole journey and all companions; causal ones know, of both, only what is earlier by
(time, event_id), and of companions what happened in the same second too. ``log1p`` tames heavy tails, ``asinh`` does so
with a sign. A value that cannot be known is 0 unless its meaning says otherwise; counts and flags beside it tell the
two zeros apart.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from service.errors import UnusableFeatures
from service.events.journeys import Journeys
from service.events.vocabulary import EVENT_TYPES
from service.features import declared
from service.features.columns import Columns
from service.features.companions import mate_rows
from service.features.journey import journey_rows
from service.features.lots import code_rows, lot_rows, lot_rows_in_time
from service.features.mates import HERE, LOT, number_items, number_scans
from service.features.neighbours import neighbour_rows
from service.features.past import Past
from service.features.reference import Reference
from service.features.running_groups import Sighting
from service.features.shared import Trail
from service.features.traffic import traffic_rows
from service.runtime.threads import give_way

SPEC_VERSION = 3
"""Raised with every change of a formula, so that a model of other formulas is refused."""

FEATURES, NAMES = declared.FEATURES, declared.NAMES

INDEX: dict[str, int] = {name: column for column, name in enumerate(NAMES)}

TYPE_COLUMNS = [INDEX[f"type_{name}"] for name in (*EVENT_TYPES, "unknown")]
"""Columns of the features that tell the type of an event, in the order of the types' codes."""

COMPANIONS = slice(len(declared.JOURNEY_FEATURES), len(NAMES) - 1)
"""Columns of the features that tell an item among its companions and in traffic: stored as they were judged."""

TRAFFIC = slice(COMPANIONS.stop - len(declared.TRAFFIC_FEATURES), COMPANIONS.stop)
"""Columns of those in traffic."""

APART = (
    "mates_left_behind",
    "neighbours_beside",
    "neighbour_below_gap_ratio",
    "neighbour_above_gap_ratio",
    "neighbours_gap_difference",
)
"""Features of who goes apart from those that it was packed with."""


def feature_spec_hash() -> str:
    """Return the SHA-256 (hex) of the feature names in order and the version of their formulas."""
    return hashlib.sha256(json.dumps([SPEC_VERSION, *NAMES]).encode()).hexdigest()


def compute(
    journeys: Journeys,
    reference: Reference,
    *,
    causal: bool,
    scope: NDArray[np.int32] | None = None,
    settle_us: int = 0,
) -> NDArray[np.float32]:
    """Return the features [N, F] of the events in the order of ``journeys``; every value is finite.

    A ``scope`` [U], the request of each code, keeps requests apart that are judged together: retrospective features
    are those that each request gets alone, to the last bit. Causal ones are those ``settle_us`` after each event: its
    own item is known up to it, companions up to then.

    Raises:
        UnusableFeatures: a value is not finite.
    """
    table, _ = _of_trail(Trail.of(journeys, reference, causal=causal, scope=scope, settle_us=settle_us))
    _check_finite(table, journeys)
    return table


def compute_after(past: Past, journeys: Journeys, reference: Reference) -> tuple[NDArray[np.float32], Sighting | None]:
    """Return ([N, F] causal features as `compute` does, the groups of the fresh events, None without such).

    Earlier scans that the ``past`` knows of are companions too; events judged before keep the
    companions they had then, and what was in the same second.

    Raises:
        UnusableFeatures: a value is not finite, be it one of the past.
    """
    table, sighting = _of_trail(Trail.of(journeys, reference, causal=True, past=past))
    if past.judged_before is not None:
        before = np.flatnonzero(past.judged_before.stored[journeys.order])
        given = journeys.order[before]
        table[before, COMPANIONS] = past.judged_before.companions[given]
        table[before, INDEX["elsewhere_gap"]] = past.judged_before.elsewhere_gap[given]
    _check_finite(table, journeys)
    return table, sighting


def _check_finite(table: NDArray[np.float32], journeys: Journeys) -> None:
    """Raise UnusableFeatures, which names the first event and feature, unless all of ``table`` [N, F] is finite.

    A NaN is above no threshold of a rule, and a model clips it to some number: the event would pass as normal.
    """
    if np.isfinite(table).all():
        return
    row, column = np.argwhere(~np.isfinite(table))[0].tolist()
    raise UnusableFeatures(
        f"event_id {journeys.events.event_id[row]}: its feature {NAMES[column]} comes out as no finite number,"
        " so the event cannot be judged; the reference tables of the model or what the history knows may be damaged"
    )


def _of_trail(trail: Trail) -> tuple[NDArray[np.float32], Sighting | None]:
    """Return ([N, F] features, the groups of the fresh events of a past, if there are any)."""
    table, of_code = (
        np.zeros((len(each), len(NAMES)), dtype=np.float32) for each in (trail.events, trail.parts.serial)
    )
    columns = Columns(trail, table, of_code)
    number_items(columns)
    counts = number_scans(columns)
    code_rows(columns)
    journey_rows(columns)
    give_way()
    if not len(trail.members):  # all events were judged before, and get the companions that they had
        return table, None
    sighting, priors = (
        (None, None) if trail.past is None else trail.past.priors(trail, counts, table[:, INDEX["lane_gap_ratio"]])
    )
    _lot_rows(columns, trail)
    give_way()
    mate_rows(columns, trail.fresh, priors, _gate_before(trail), counts[HERE])
    give_way()
    neighbour_rows(columns, priors)
    give_way()
    traffic_rows(columns, priors)
    return table, sighting


def _gate_before(trail: Trail) -> NDArray[np.float64] | None:
    """Return the mates [N] that were at the gate with each event that was judged before; None if no event was."""
    if trail.past is None or trail.past.judged_before is None:
        return None
    stored = trail.past.judged_before.companions[:, INDEX["gate_mates"] - COMPANIONS.start]
    return np.rint(np.expm1(stored.astype(np.float64)))[trail.journeys.order]


def _lot_rows(columns: Columns, trail: Trail) -> None:
    if not trail.causal:
        lot_rows(columns, np.lexsort((trail.parts.serial, trail.item_group[LOT])))
    elif trail.past is None:
        lot_rows_in_time(columns, np.zeros(len(trail.parts.serial), dtype=np.uint8), None)
    else:
        lot_rows_in_time(columns, trail.past.seen_before.view(np.uint8), trail.past.items_before())
