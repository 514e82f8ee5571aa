"""Which findings a person wants to see: read from the address of the page, and written into the addresses of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args
from urllib.parse import quote, urlencode

from service.events.vocabulary import KINDS
from service.findings.records import FindingFilter, Order

ROWS = 100
"""Findings of a page that is read without script."""

_MOST_TEXT = 200
_MOST_OFFSET = 2**53


def filter_of(query: Mapping[str, str]) -> FindingFilter:
    """Return the filter of an address; what it cannot mean is as if it were not there."""
    kind, order, place = query.get("kind", ""), query.get("order", ""), query.get("place", "")
    return FindingFilter(
        kind=kind if kind in KINDS else "",
        cause=query.get("cause", "")[:_MOST_TEXT],
        location_id=int(place) if _is_number(place) else None,
        epc_code=query.get("code", "")[:_MOST_TEXT],
        min_score=min(float(query["score"]), 100.0) if _is_number(query.get("score", "")) else 0.0,
        order=cast("Order", order) if order in get_args(Order) else "number",
    )


def address_of(which: FindingFilter, path: str, **more: object) -> str:
    """Return the address of ``path`` with the same filter."""
    given = {
        "kind": which.kind,
        "cause": which.cause,
        "place": "" if which.location_id is None else which.location_id,
        "code": which.epc_code,
        "score": f"{which.min_score:g}" if which.min_score else "",
        "order": "" if which.order == "number" else which.order,
        **more,
    }
    query = urlencode({name: value for name, value in given.items() if value != ""})
    return path + (f"?{query}" if query else "")


def offset_of(query: Mapping[str, str]) -> int:
    """Return how many rows are left out."""
    text = query.get("offset", "")
    return min(int(text), _MOST_OFFSET) if _is_number(text) else 0


def limit_of(query: Mapping[str, str], most: int) -> int:
    """Return how many rows are wanted, ``most`` if the address does not say."""
    text = query.get("limit", "")
    return min(max(int(text), 1), most) if _is_number(text) else most


def item_address(report_id: int, code: str) -> str:
    """Return the address of an item's page."""
    return f"/reports/{report_id}/item?code={quote(code, safe='')}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18
