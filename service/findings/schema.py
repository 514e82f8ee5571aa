"""The tables of a findings store: columns and their types, in words that DuckDB and PostgreSQL share."""

from __future__ import annotations

import hashlib

from service.events.vocabulary import KINDS

REPORTS = {
    "report_id": "BIGINT",
    "file_name": "TEXT",
    "file_id": "BIGINT",
    "detector": "TEXT",
    "method": "TEXT",
    "model_version": "TEXT",
    "language": "TEXT",
    "content_sha256": "TEXT",
    "created_us": "BIGINT",
    "events": "BIGINT",
    "items": "BIGINT",
    "flagged": "BIGINT",
    "incidents": "BIGINT",
    **{f"{kind.lower()}_count": "BIGINT" for kind in KINDS},
    "first_us": "BIGINT",
    "last_us": "BIGINT",
    "warning": "TEXT",
}
"""One row per report."""

_EVENT = {
    "report_id": "BIGINT",
    "number": "BIGINT",
    "event_id": "BIGINT",
    "epc_code": "TEXT",
    "location_id": "BIGINT",
    "place": "TEXT",
    "step": "TEXT",
    "event_type": "TEXT",
    "time_us": "BIGINT",
    "local_us": "BIGINT",
}

SCANS = {**_EVENT, "lot_key": "TEXT"}
"""One row per event; ``lot_key`` is header.company.product.lot of the code, "" of a malformed one."""

MEMBERS = ("lstm", "svm", "rule", "combined")
"""Scores of an ensemble's findings: columns ``lstm_score`` and so on."""

FINDINGS = {
    **_EVENT,
    "product": "TEXT",
    "lot": "TEXT",
    **{
        f"{kind.lower()}_{what}": of
        for kind in KINDS
        for what, of in (("score", "DOUBLE PRECISION"), ("cause", "TEXT"), ("reason", "TEXT"), ("incident", "BIGINT"))
    },
    "top_score": "DOUBLE PRECISION",
    **{f"{member}_score": "DOUBLE PRECISION" for member in MEMBERS},
}
"""One row per flagged event; the columns of a kind that is not flagged are NULL."""

INCIDENTS = {
    "report_id": "BIGINT",
    "incident": "BIGINT",
    "kind": "TEXT",
    "cause": "TEXT",
    "reason": "TEXT",
    "items": "BIGINT",
    "events": "BIGINT",
    "epc_code": "TEXT",
    "event_id": "BIGINT",
    "location_id": "BIGINT",
    "place": "TEXT",
    "local_us": "BIGINT",
}
"""One row per incident."""

TABLES = {"reports": REPORTS, "scans": SCANS, "findings": FINDINGS, "incidents": INCIDENTS}

SORTED_BY = {
    "reports": "created_us, report_id",
    "scans": "report_id, epc_code, time_us, number",
    "findings": "report_id, number",
    "incidents": "report_id, incident",
}
"""In which order rows lie on disk, so that a report, and an item of it, is found by the statistics of row groups."""


def report_id(file: str, detector: str, content_sha256: str, model_version: str) -> int:
    """Return the id of a report: the same for the same file, detector, content and model version; below 2**53."""
    key = "\x1f".join((file, detector, content_sha256, model_version))
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "replace")).digest()[:7], "big") >> 3
