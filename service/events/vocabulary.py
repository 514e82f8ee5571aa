"""The words of the domain and their codes: anomaly kinds, event types, business steps."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

KINDS = ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump")
"""The anomaly kinds, in the order of every [.., 5] array of the project."""

EVENT_TYPES = (
    "Aggregation",
    "WMS_Inbound",
    "WMS_Outbound",
    "HUB_Inbound",
    "HUB_Outbound",
    "W_Stock_Inbound",
    "W_Stock_Outbound",
    "R_Stock_Inbound",
    "R_Stock_Outbound",
    "POS_Sell",
)
"""The event types in the order of a normal journey; the code of a type is its index here."""

TYPES = len(EVENT_TYPES) + 1
"""Event types with one more, the last, for the unknown."""

START = TYPES
"""The "type before" of a journey's first event."""

LEVELS = ("Factory", "WMS", "Logistics_HUB", "W_Stock", "R_Stock", "POS_Sell")
"""The levels of the hierarchy, upstream first; the code of a level is its index here."""

UNKNOWN = -1
"""Code of an event type or business step that the vocabulary does not have."""

LEVEL_OF_TYPE = np.array([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, UNKNOWN], dtype=np.int8)
"""Level by event type code; the last entry serves the index UNKNOWN."""

DIRECTION_OF_TYPE = np.array([0, 1, -1, 1, -1, 1, -1, 1, -1, 0, 0], dtype=np.int8)
"""+1 inbound, -1 outbound, 0 neither, by event type code; the last entry serves the index UNKNOWN."""

TYPE_CODE = {name.lower(): code for code, name in enumerate(EVENT_TYPES)}

STEP_CODE = {name.lower(): code for code, name in enumerate(LEVELS)} | {
    # The backend writes the direction into the business step of stock movements.
    f"{stock}_{direction}".lower(): LEVELS.index(stock)
    for stock in ("W_Stock", "R_Stock")
    for direction in ("Inbound", "Outbound")
}

MODES = ("retrospective", "causal")
"""How an event is judged: by its whole journey, or by its past alone. The code of a mode is its index: ``causal``."""


class OperatingPoint(StrEnum):
    """How sure a score must be to become a finding, from few false alarms to few misses."""

    PRECISE = "precise"
    BALANCED = "balanced"
    SENSITIVE = "sensitive"


def type_index(event_type: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return 0 .. TYPES - 1 for each event type code [N], which may be UNKNOWN."""
    index: NDArray[np.int64] = event_type.astype(np.int64) % TYPES
    return index
