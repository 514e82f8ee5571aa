"""The features: what the model and the rules see of every event. One code for training and serving.

Retrospective features know the whole journey and all companions; causal ones know, of both, only what is earlier by
(time, event_id). ``log1p`` tames heavy tails, ``asinh`` does so with a sign. A value that cannot be known is 0 unless
its meaning says otherwise; counts and flags beside it tell the two zeros apart.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from service.errors import UnusableFeatures
from service.events.groups import Key
from service.events.journeys import Journeys
from service.events.vocabulary import EVENT_TYPES
from service.features import companions, journey
from service.features.journey import Columns
from service.features.past import Past
from service.features.reference import Reference
from service.features.running_groups import Sighting
from service.features.shared import Trail
from service.runtime.threads import give_way

SPEC_VERSION = 1
"""Raised with every change of a formula, so that a model of other formulas is refused."""

FEATURES: tuple[tuple[str, str, str], ...] = (
    *journey.JOURNEY_FEATURES,
    *companions.COMPANION_FEATURES,
    ("causal", "all", "1 in causal judgements, 0 in retrospective ones"),
)
"""Name, anomaly kind served, meaning and formula of each of the F features, in order."""

NAMES: tuple[str, ...] = tuple(name for name, _, _ in FEATURES)

INDEX: dict[str, int] = {name: column for column, name in enumerate(NAMES)}

_PARTS = (
    journey.code_features,
    journey.time_features,
    journey.place_features,
    journey.order_features,
    journey.clone_features,
)

TYPE_COLUMNS = [INDEX[f"type_{name}"] for name in (*EVENT_TYPES, "unknown")]
"""Columns of the features that tell the type of an event, in the order of the types' codes."""

COMPANIONS = slice(len(journey.JOURNEY_FEATURES), len(NAMES) - 1)
"""Columns of the features that tell an item among its companions."""

_BLOCK = 512
"""Events whose columns become rows at once: the cache holds them, which is two to three times as fast."""


def feature_spec_hash() -> str:
    """Return the SHA-256 (hex) of the feature names in order and the version of their formulas."""
    return hashlib.sha256(json.dumps([SPEC_VERSION, *NAMES]).encode()).hexdigest()


def compute(journeys: Journeys, reference: Reference, *, causal: bool, scope: Key | None = None) -> NDArray[np.float32]:
    """Return the features [N, F] of the events in the order of ``journeys``; every value is finite.

    A ``scope`` [U], the request of each code, keeps requests apart that are judged together: retrospective features
    are those that each request gets alone, to the last bit.

    Raises:
        UnusableFeatures: a value is not finite.
    """
    table, _ = _of_trail(Trail.of(journeys, reference, causal=causal, scope=scope))
    _check_finite(table, journeys)
    return table


def compute_after(past: Past, journeys: Journeys, reference: Reference) -> tuple[NDArray[np.float32], Sighting | None]:
    """Return ([N, F] causal features as `compute` does, the groups of the fresh events, None without such).

    Earlier scans that the ``past`` knows of are companions too; events judged before keep the companions they had then.

    Raises:
        UnusableFeatures: a value is not finite, be it one of the past.
    """
    table, sighting = _of_trail(Trail.of(journeys, reference, causal=True, past=past))
    if past.judged_before is not None:
        before = np.flatnonzero(past.judged_before.stored[journeys.order])
        table[before, COMPANIONS] = past.judged_before.companions[journeys.order[before]]
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
    sighting = None
    columns: Columns = {"causal": np.full(len(trail.journeys.order), trail.causal)}
    for part in _PARTS:
        give_way()
        columns |= part(trail)
    if trail.past is None or len(trail.members):
        give_way()
        columns |= companions.lot_features(trail)
        give_way()
        of_mates, sighting = companions.mate_features(trail)
        columns |= of_mates
    else:  # all events were judged before, and get the companions that they had
        columns |= dict.fromkeys(NAMES[COMPANIONS], np.zeros(len(trail.journeys.order)))
    give_way()
    return table_of(columns), sighting


def table_of(columns: Columns) -> NDArray[np.float32]:
    """Return the features [N, F] of ``columns``, one [N] for each of NAMES.

    Raises:
        KeyError: a feature has no column, or a column is no feature.
    """
    if columns.keys() != INDEX.keys():
        missing, strange = sorted(INDEX.keys() - columns.keys()), sorted(columns.keys() - INDEX.keys())
        raise KeyError(f"features without a column: {missing}; columns that are no features: {strange}")
    n = len(columns[NAMES[0]])
    by_name = np.empty((len(NAMES), n), dtype=np.float32)
    np.concatenate([columns[name] for name in NAMES], out=by_name.reshape(-1), casting="unsafe")
    table = np.empty((n, len(NAMES)), dtype=np.float32)
    for begin in range(0, n, _BLOCK):
        table[begin : begin + _BLOCK] = by_name[:, begin : begin + _BLOCK].T
    return table
