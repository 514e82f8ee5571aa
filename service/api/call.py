"""One gRPC call while it runs: what its line in the log will say."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Call:
    """What is known of a call; it holds numbers, never codes.

    The numbers of a stream are sums over its requests: an EPC counts once in each; the names are those of the last one.
    """

    method: str  # of the service, "unknown" where there is none of that name
    request_id: str
    peer: str  # the address that it came from
    started: float = field(default_factory=time.perf_counter)
    entered: bool = False  # let in, and its message is there
    detector: str = ""
    judged_by: str = ""
    model_version: str = ""
    point: str = ""  # the operating point of the findings
    requests: int = 0  # answered
    events: int = 0
    epcs: int = 0
    findings: int = 0

    @property
    def address(self) -> str:
        """The address of the other side, without its port."""
        return self.peer.partition(":")[2].rpartition(":")[0]


_CURRENT: ContextVar[Call] = ContextVar("call")


def current() -> Call:
    """Return the call that this code runs for; known in everything that a handler awaits or starts."""
    return _CURRENT.get()


def begin(call: Call) -> Call:
    """Say which call the current task serves, and return it."""
    _CURRENT.set(call)
    return call
