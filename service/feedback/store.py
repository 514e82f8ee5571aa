"""The contract of what keeps verdicts and the audit sample: an append-only log, and the sampled events beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from service.feedback.verdicts import EventLabel

FiveNumbers = tuple[float, float, float, float, float]


class SampledEvent(NamedTuple):
    """A judged event of the audit sample; a row of its table, its fields in the order of the columns."""

    event_id: int
    file_id: int
    epc_code: str
    location_id: int
    business_step: str
    event_type: str
    event_time_us: int  # microseconds since 1970-01-01 UTC
    causal: bool
    method: str  # what judged
    model_version: str  # "" for rules
    judged_at_us: int
    probability: float  # of being in the sample, above 0 .. 1
    scores: FiveNumbers  # 0 .. 1, in the order of KINDS
    flags: tuple[bool, bool, bool, bool, bool]


class SampledFile(NamedTuple):
    """What the audit sample has of a file by one judge."""

    method: str
    model_version: str
    causal: bool
    file_id: int
    judged_at_us: int  # the latest of its events


class VerdictStore(Protocol):
    """Keeps verdicts and the audit sample; any thread may call, and several processes may have the same one.

    All methods raise VerdictsUnavailable if it cannot be used.
    """

    def append(self, labels: Sequence[EventLabel]) -> tuple[list[EventLabel], int]:
        """Append labels, all or none; return them as they are in the log, and how many are new.

        One whose id is there, or that says what its person said last, is not appended, and the one that is there is
        returned in its place. What a label does not say of the detector is filled in from the audit sample.
        """
        ...

    def labels(self, *, event_ids: Collection[int] = (), after: int = 0, limit: int | None = None) -> list[EventLabel]:
        """Return labels in the order of the log, superseded ones included.

        Args:
            event_ids: of these events alone; none: of all.
            after: behind this place in the log alone.
            limit: at most so many; None: all.
        """
        ...

    def add_sample(self, events: Sequence[SampledEvent]) -> None:
        """Add judged events; one that the same detector has judged in the same mode before takes the place of that."""
        ...

    def sample(self, model_version: str = "", *, file_ids: Collection[int] | None = None) -> list[SampledEvent]:
        """Return the sampled events, the longest known first: the sample grows for ever, so ask for what is needed.

        Args:
            model_version: of this one alone; "": of all.
            file_ids: of these files alone; None: of all.
        """
        ...

    def sampled_files(self, model_version: str = "") -> list[SampledFile]:
        """Return the files of the sample, in no order. Args: ``model_version`` "": of all."""
        ...

    def waiting(self, who: str, limit: int) -> tuple[list[SampledEvent], int]:
        """Return events that ``who`` ("": anybody) has said nothing of, or took it back, and how many there are.

        Each is there once, whoever judged it; the longest known first, ``limit`` at most.
        """
        ...

    def add_shadow(self, events: Sequence[SampledEvent]) -> None:
        """Add what a challenger said of events of the sample, which another version answered; its first word stays."""
        ...

    def shadow(self, model_version: str, *, file_ids: Collection[int] | None = None) -> list[SampledEvent]:
        """Return what challengers said of them, the longest known first. Args: as of `sample`."""
        ...

    def state(self) -> str:
        """Return a text that changes when something is added: cheap, so that nobody reads all of it for nothing."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...
