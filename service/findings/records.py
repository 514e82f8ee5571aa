"""What a findings store gives back: typed records, and how a part of many is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

_T = TypeVar("_T")

Grouping = Literal["day", "place", "product", "lot", "cause"]
"""By what findings are counted: the local day, the place, the product of the code, its lot, or the cause."""

Order = Literal["number", "score", "time"]
"""Of findings: as in the file, the surest first, or the earliest first."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """One judgement of one file: its summary. Times are microseconds since 1970-01-01 UTC."""

    report_id: int  # below 2**53, so that JavaScript can count it; of file, detector, content and model version
    file_name: str  # "" where the caller gave ids alone
    file_id: int
    detector: str  # as asked for: rules, lstm, svm, ensemble
    method: str  # what judged, as AnalyzeResponse.method
    model_version: str  # "" of rules
    language: str  # of the reasons: en or ko; "" where there are none
    content_sha256: str  # of the bytes of the file or request, in hex
    created_us: int
    events: int
    items: int  # distinct codes
    flagged: int  # events with at least one kind
    incidents: int
    counts: Mapping[str, int]  # flagged events by kind, all five
    first_us: int  # of the earliest and the latest scan
    last_us: int
    warning: str  # "": nothing


@dataclass(frozen=True, slots=True)
class KindFound:
    """A kind that is flagged at an event."""

    kind: str
    score: float  # 0 to 100
    cause: str  # a code of the closed list, "" where none was asked for
    reason: str
    incident: int  # number of its incident in the report, from 0; -1 where causes are not known


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A flagged event."""

    number: int  # place of the event in its file, from 0
    event_id: int
    epc_code: str  # dirt of the transport left out; anything else as it was sent: it may be hostile
    location_id: int
    place: str  # name, where the file has it
    step: str
    event_type: str
    time_us: int  # the instant
    local_us: int  # what the clock of the place showed
    kinds: tuple[KindFound, ...]  # at least one, in the order of the vocabulary
    scores: Mapping[str, float] = field(default_factory=dict)  # of an ensemble: lstm, svm, rule, combined, 0 to 100


@dataclass(frozen=True, slots=True)
class ScanRow:
    """An event of an item, flagged or not."""

    number: int
    event_id: int
    epc_code: str
    location_id: int
    place: str
    step: str
    event_type: str
    time_us: int
    local_us: int
    kinds: tuple[KindFound, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowScans:
    """The scans of a report and what is flagged of them, as flow is measured of."""

    rows: list[tuple[int, str, int, str, str, str, int]]
    """number, EPC code, location_id, place, step, event type, time in microseconds; in the order of the number."""
    flagged: list[tuple[int, list[bool], bool]]
    """number, which of the five kinds, in the order of the vocabulary, and whether an item had stood still."""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """Findings of one kind and cause that share their shipment and place."""

    incident: int
    kind: str
    cause: str
    reason: str  # of its first finding
    items: int
    events: int
    epc_code: str  # of the first finding, and so are those that follow
    event_id: int
    location_id: int
    place: str
    local_us: int


@dataclass(frozen=True, slots=True)
class LotItem:
    """One item of a lot."""

    epc_code: str
    scans: int
    findings: int  # flagged events


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Findings of one group."""

    key: str  # 2025-07-01, a location id, a product, a lot or a cause; "" where a code has none
    name: str  # the place's name, else the key
    counts: Mapping[str, int]  # flagged events by kind, all five


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of many."""

    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports; None and "" mean all."""

    file_name: str = ""  # a part of it, any case
    detector: str = ""
    kind: str = ""  # with at least one finding of it
    since_us: int | None = None  # created from
    until_us: int | None = None  # created before


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings of a report; None and "" mean all."""

    kind: str = ""
    cause: str = ""
    location_id: int | None = None
    epc_code: str = ""  # a part of it
    product: str = ""
    lot: str = ""
    min_score: float = 0.0  # of any kind, of ``kind`` if it is given; 0 to 100
    since_us: int | None = None  # local time from
    until_us: int | None = None  # local time before
    incident: int | None = None
    order: Order = "number"


@dataclass(frozen=True, slots=True)
class Listing(Generic[_T]):
    """Some rows of ``total``."""

    rows: tuple[_T, ...]
    total: int
