"""The JSON of the HTTP servers: a request is a list of rows, one object per event; pydantic checks all of it."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from pydantic import BaseModel

from tests.tools.peers.detector import Columns


class Row(BaseModel):
    """One scan of one item."""

    event_id: int
    epc_code: str
    location_id: int
    business_step: str = ""
    event_type: str = ""
    event_time: datetime
    file_id: int = 0


class Rows(BaseModel):
    """A request."""

    data: list[Row]


class Finding(BaseModel):
    """A flagged event; kinds that are not flagged are left out."""

    event_id: int
    epc_fake: bool | None = None
    epc_fake_score: float | None = None
    epc_dup: bool | None = None
    epc_dup_score: float | None = None
    loc_err: bool | None = None
    loc_err_score: float | None = None
    evt_order_err: bool | None = None
    evt_order_err_score: float | None = None
    jump: bool | None = None
    jump_score: float | None = None


class Counts(BaseModel):
    """Findings by kind."""

    total_events: int
    epc_fake_count: int
    epc_dup_count: int
    loc_err_count: int
    evt_order_err_count: int
    jump_count: int


class ItemCounts(Counts):
    """Findings of one item."""

    epc_code: str


class Answer(BaseModel):
    """The answer to a request."""

    method: str
    event_history: list[Finding]
    epc_anomaly_stats: list[ItemCounts]
    file_anomaly_stats: Counts


def to_columns(rows: list[Row]) -> Columns:
    """Return the columns of the rows."""
    return Columns(
        [row.event_id for row in rows],
        [row.epc_code for row in rows],
        [row.location_id for row in rows],
        [row.business_step for row in rows],
        [row.event_type for row in rows],
        np.array([row.event_time.timestamp() for row in rows]),
    )
