"""What is said of an event of a constructed case, once it is sure that the event shows the cause."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.detect.rules import Table
from service.events.vocabulary import KINDS
from service.explain.causes import CAUSES, CODES, Cause, FirstCauses
from service.explain.facts import Facts
from service.explain.reasons import Reasons
from service.features.case import Case
from tests.support.worlds import Scan, reference, to_events


def cause(code: str) -> Cause:
    return next(cause for cause in CAUSES if cause.code == code)


def case_of(scans: Sequence[Scan], *, causal: bool = False) -> Case:
    return Case.of(to_events(scans), reference(), causal=causal)


def row_of(case: Case, event_id: int) -> int:
    return int(np.flatnonzero(case.journeys.events.event_id == event_id)[0])


def said(code: str, scans: Sequence[Scan], at: int, *, causal: bool = False) -> tuple[str, str]:
    """Return the English and the Korean sentence of ``scans[at]``, whose features must show the cause ``code``."""
    case = case_of(scans, causal=causal)
    row = row_of(case, scans[at].event_id or range(1, len(scans) + 1)[at])
    assert cause(code).is_there(Table(case.features))[row] or first_cause(case, row, cause(code).kind) == code, (
        "no such evidence"
    )
    english, korean = (
        Reasons(case, reference(), language).sentence(row, cause(code), row) for language in ("en", "ko")
    )
    return english, korean


def first_cause(case: Case, row: int, kind: str) -> str:
    """Return the first cause of a kind at a row."""
    journeys, mates = case.journeys, Facts(case, reference()).mates
    causes = FirstCauses(case.features, journeys.spread(journeys.start), lambda: mates)
    return CODES[causes.at(row, KINDS.index(kind))[0]]
