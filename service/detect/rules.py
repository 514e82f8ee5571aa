"""Rules over the features: the fallback of the model, and the weak labels of data without truth.

A rule gives evidence 0 .. 1 for one kind; a kind's score is its strongest evidence, 0.5 and more is flagged.
A certain rule was right each time in every world that it fired in, simulated or foreign (in none of them is an item at
two places in one second): what it says contradicts itself or what is known, while "never issued" may only mean that the
tables are older than the company.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import EVENT_TYPES, KINDS
from service.features.table import INDEX

THRESHOLD = 0.5
"""Evidence from which an event is flagged."""

Evidence = NDArray[np.float32]

_A_SECOND = np.float32(np.log1p(1 / 60))
"""`elsewhere_gap` of a second."""

_NO_TIME = np.float32(1e-5)
"""`hour_sin` of a seventh of a second: nearer to midnight is midnight, rounded."""


class Table:
    """Features [N, F] with their names."""

    def __init__(self, features: NDArray[np.float32]) -> None:
        self._features = features

    def __getitem__(self, name: str) -> Evidence:
        return self._features[:, INDEX[name]]

    def is_type(self, suffix: str) -> NDArray[np.bool_]:
        """Return which events [N] have a type whose name ends with ``suffix``."""
        found = np.zeros(len(self._features), dtype=np.bool_)
        for name in EVENT_TYPES:
            if name.endswith(suffix):
                found |= self[f"type_{name}"] > 0
        return found


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to suspect one kind."""

    kind: str
    reason: str
    evidence: Callable[[Table], NDArray[np.generic]]
    certain: bool = False  # it is always right, whatever a model says


def _when(condition: NDArray[np.bool_], score: float) -> NDArray[np.float64]:
    return np.where(condition, score, 0.0)


def _ramp(value: Evidence, low: float, high: float) -> NDArray[np.float64]:
    """Return 0 up to ``low``, 1 from ``high`` on, linear between."""
    ramp: NDArray[np.float64] = np.clip((value.astype(np.float64) - low) / (high - low), 0.0, 1.0)
    return ramp


def _well_formed(t: Table) -> NDArray[np.bool_]:
    return t["code_well_formed"] > 0


def twice_at_once(t: Table) -> NDArray[np.bool_]:
    """Return which events [N] are of items that were scanned at another place less than a second before or after.

    Midnight does not count: such times are often dates, of which nobody kept the time.
    """
    found: NDArray[np.bool_] = t["elsewhere_gap"] < _A_SECOND
    if found.any():
        found &= (np.abs(t["hour_sin"]) > _NO_TIME) | (t["hour_cos"] < 0)
    return found


RULES: tuple[Rule, ...] = (
    Rule("epcFake", "the code is malformed", lambda t: _when(~_well_formed(t), 1.0), certain=True),
    Rule(
        "epcFake",
        "the company never issued codes",
        lambda t: _when(_well_formed(t) & (t["code_company_log"] == 0), 0.97),
    ),
    Rule(
        "epcFake", "the header was never issued", lambda t: _when(_well_formed(t) & (t["code_header_log"] == 0), 0.96)
    ),
    Rule(
        "epcFake",
        "the product belongs to another company",
        lambda t: _when(t["code_product_foreign"] > 0, 0.95),
        certain=True,
    ),
    Rule(
        "epcFake", "the product was never issued", lambda t: _when(_well_formed(t) & (t["code_product_log"] == 0), 0.93)
    ),
    Rule(
        "epcFake", "the lot belongs to another product", lambda t: _when(t["code_lot_foreign"] > 0, 0.92), certain=True
    ),
    Rule(
        "epcFake",
        "the lot was never issued and has no other items",
        lambda t: _when(_well_formed(t) & (t["code_lot_log"] == 0) & (t["lot_mates"] == 0), 0.8),
    ),
    Rule(
        "epcFake",
        "the date is no date",
        lambda t: _when(_well_formed(t) & (t["code_date_valid"] == 0), 0.95),
        certain=True,
    ),
    Rule("epcFake", "scanned before it was made", lambda t: _when(t["code_age_first"] < -0.9, 0.94), certain=True),
    Rule("epcFake", "the date is not one of the lot's", lambda t: 0.9 * _ramp(np.abs(t["code_day_off"]), 0.0, 0.8)),
    Rule(
        "epcFake", "the serial is outside of the lot's", lambda t: 0.7 * _ramp(np.abs(t["code_serial_off"]), 4.0, 8.0)
    ),
    Rule(
        "epcFake",
        "first seen downstream, with no mates there",
        lambda t: _when((t["first_stage"] >= 2) & (t["scan_mates"] == 0) & (t["index_log"] == 0), 0.55),
    ),
    Rule("epcDup", "two places in the same second", lambda t: _when(twice_at_once(t), 0.98), certain=True),
    Rule(
        "epcDup",
        "two places at the same time",
        lambda t: np.where(t["elsewhere"] > 0, 0.6 + 0.4 * _ramp(t["same_type_speed"], 4.0, 6.0), 0.0),
    ),
    Rule("epcDup", "alive after its sale", lambda t: _when(t["sold_before"] > 0, 0.85)),
    Rule(
        "epcDup",
        "back and forth between two places",
        lambda t: _when((t["returned"] > 0) & (t["speed_prev"] > 3.5), 0.7),
    ),
    Rule("locErr", "backwards in the hierarchy", lambda t: _when(t["stage_step"] < 0, 0.6)),
    Rule("locErr", "a level of the hierarchy is skipped", lambda t: _when(t["stage_step"] > 1, 0.75)),
    Rule("locErr", "no item takes this lane", lambda t: 0.8 * _ramp(-t["lane_logp"], 5.0, 9.0)),
    Rule("locErr", "the product never goes there", lambda t: 0.85 * _ramp(-t["product_scan_logp"], 5.0, 9.0)),
    Rule(
        "locErr",
        "its mates went elsewhere",
        lambda t: np.where(t["shipment_mates"] > 1, _ramp(0.4 - t["shipment_share"], 0.0, 0.3) * 0.7, 0.0),
    ),
    Rule(
        "evtOrderErr",
        "outbound before inbound",
        lambda t: np.where(
            t.is_type("_Outbound") & (t["balance"] <= 0), np.where(t["balance_after"] > 0, 0.9, 0.5), 0.0
        ),
    ),
    Rule(
        "evtOrderErr",
        "inbound twice without outbound",
        lambda t: _when(t.is_type("_Inbound") & (t["balance"] > 0) & (t["repeat_gap"] > 3.5), 0.75),
    ),
    Rule(
        "evtOrderErr",
        "an earlier scan was further on",
        lambda t: _when((t["type_behind"] > 0) & (t["stage_step"] == 0), 0.7),
    ),
    Rule("evtOrderErr", "the clock was rolled back", lambda t: _when(t["id_inverted"] > 0, 0.6)),
    Rule(
        "jump",
        "faster than anything travels",
        lambda t: np.where(t["distance_prev"] > 1, _ramp(t["speed_prev"], 4.6, 5.3), 0.0),
    ),
    Rule(
        "jump",
        "faster than the route's minimum",
        lambda t: _when(t["route_below"] > 0, 0.6) + 0.4 * _ramp(t["route_below"], 0, 1),
    ),
    Rule("jump", "slower than the route's maximum", lambda t: 0.8 * _ramp(t["route_above"], 0.7, 2.5)),
    Rule("jump", "faster than this lane ever was", lambda t: 0.8 * _ramp(t["lane_below"], 0.2, 1.5)),
    Rule("jump", "slower than this lane ever was", lambda t: 0.8 * _ramp(t["lane_above"], 0.2, 1.0)),
    Rule(
        "jump",
        "its mates took another time",
        lambda t: np.where(t["shipment_mates"] > 1, 0.7 * _ramp(np.abs(t["shipment_gap_ratio"]), 0.7, 2.0), 0.0),
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What the rules say of N events; rules are named by their places in `RULES`, -1 is none."""

    evidence: NDArray[np.float32]  # [N, 5] 0 .. 1, the strongest by kind
    strongest: NDArray[np.intp]  # [N, 5] the rule that gave it
    certain: NDArray[np.intp]  # [N, 5] the first certain rule that is met


def judge(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return ([N, 5] scores 0 normal .. 1 anomalous, [N, 5] the rule of `RULES` that gave each) for features [N, F]."""
    found = opinion(features)
    return found.evidence, found.strongest


def opinion(features: NDArray[np.float32]) -> Opinion:
    """Return what the rules say of features [N, F]."""
    table = Table(features)
    scores = np.zeros((len(features), len(KINDS)), dtype=np.float32)
    strongest, certain = np.full((2, *scores.shape), -1, dtype=np.intp)
    for number, rule in enumerate(RULES):
        kind = KINDS.index(rule.kind)
        evidence = rule.evidence(table).astype(np.float32)
        stronger = evidence > scores[:, kind]
        scores[stronger, kind] = evidence[stronger]
        strongest[stronger, kind] = number
        if rule.certain:
            certain[(evidence >= THRESHOLD) & (certain[:, kind] < 0), kind] = number
    return Opinion(scores, strongest, certain)
