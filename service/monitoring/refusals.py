"""Refused calls for both logs: the first of a kind at once, further ones counted, so that a flood is few lines."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from service.monitoring.records import Refusal

INTERVAL_S = 60.0
"""Seconds of which one entry of a kind has the count."""

MAX_KINDS = 100
"""Kinds (caller, address, method, code, reason) that are told apart at a time; the others are counted by code."""

_LOGGED = ("request_id", "method", "code", "caller", "reason")

_MAX_REASON = 300
_NUMBER = re.compile(r"\d+")

log = structlog.get_logger("epc_sentinel.call")

_Kind = tuple[str, ...]


@dataclass(slots=True)
class _Count:
    last: Refusal
    since: str
    count: int = 0  # not told yet


class Refusals:
    """Says who was refused and why, in some 200 entries per interval at most; safe to use from several threads."""

    def __init__(self, interval_s: float = INTERVAL_S, now_s: Callable[[], float] = time.monotonic) -> None:
        """Args: ``now_s`` is a clock in seconds."""
        self._interval_s, self._now_s = interval_s, now_s
        self._due_s = now_s() + interval_s
        self._kinds: dict[_Kind, _Count] = {}
        self._lock = threading.Lock()

    def note(self, refusal: Refusal) -> dict[str, Any] | None:
        """Return the entry of a call that is the first of its kind; None: it was counted."""
        kind: _Kind = (
            refusal.caller, _address(refusal.peer), refusal.method, refusal.code, _NUMBER.sub("#", refusal.reason)
        )  # fmt: skip
        with self._lock:
            known = self._kinds.get(kind)
            if known is None and len(self._kinds) < MAX_KINDS:
                self._kinds[kind] = _Count(refusal, _now())
                return entry(refusal, 1)
            if known is None:  # of the kinds that there is no room for
                others = Refusal("", "", "", "", refusal.code, "of further callers or reasons")
                known = self._kinds.setdefault((refusal.code,), _Count(others, _now()))
            else:
                known.last = refusal
            if not known.count:
                known.since = _now()
            known.count += 1
        return None

    @property
    def wait_s(self) -> float:
        """Seconds until `due` has something to say, if anything was counted."""
        return max(0.0, self._due_s - self._now_s())

    def due(self, *, now: bool = False) -> list[dict[str, Any]]:
        """Return an entry for each kind that was counted, once per interval, or ``now``; forget those that were not."""
        with self._lock:
            if not now and self._now_s() < self._due_s:
                return []
            self._due_s = self._now_s() + self._interval_s
            told = [entry(one.last, one.count, one.since) for one in self._kinds.values() if one.count]
            self._kinds = {kind: one for kind, one in self._kinds.items() if one.count}
            for one in self._kinds.values():
                one.count = 0
        return told


class RefusalLines:
    """Writes them to the log, as few as there are entries of the audit log; for one event loop."""

    def __init__(self) -> None:
        """Make one that has seen nobody yet."""
        self._refusals = Refusals()
        self._timer: asyncio.TimerHandle | None = None

    def note(self, refusal: Refusal) -> None:
        """Write a line if the call is the first of its kind; else it is counted, and told within a minute."""
        if (first := self._refusals.note(refusal)) is not None:
            _write(first)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._refusals.wait_s, self._tell)

    def close(self) -> None:
        """Write what was counted."""
        for one in self._refusals.due(now=True):
            _write(one)

    def _tell(self) -> None:
        self._timer = None
        for one in self._refusals.due(now=True):
            _write(one)


def _write(one: dict[str, Any]) -> None:
    address = _address(one["peer"]).partition(":")[2]
    many = {"calls": one["refused"], "since": one["since"]} if one["since"] != one["time"] else {}
    log.info("refused", **{name: one[name] for name in _LOGGED}, address=address, **many)


def entry(refusal: Refusal, count: int, since: str = "") -> dict[str, Any]:
    """Return what is said of ``count`` refused calls of a kind, the last of which is ``refusal``."""
    return {
        "time": (now := _now()),
        "refused": count,
        "since": since or now,
        "request_id": refusal.request_id,
        "caller": refusal.caller,
        "peer": refusal.peer,
        "method": refusal.method,
        "code": refusal.code,
        "reason": refusal.reason[:_MAX_REASON],
    }


def _address(peer: str) -> str:
    """Return a peer ("ipv4:10.0.0.7:51234") without its port, which differs with every connection."""
    return peer.rpartition(":")[0]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
