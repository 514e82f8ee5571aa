"""Explanations to messages: of one event, of all findings of a request, or beside the findings of an answer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import joined
from service.errors import NoSuchEvent
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.explain.causes import CODES
from service.explain.explainer import Explains, Explanation, Moved
from service.explain.incidents import Findings, incidents
from service.explain.languages import language_of as accepted
from service.features.table import INDEX
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.threads import give_way

_CAUSES = {code: at for at, code in enumerate(CODES)}

_SPEAKS = 0.01
"""Of a kind with a lower score nothing is said, unless it is flagged: every event is untypical in some way."""

_EFFECTS = 12
"""Effects of one score that are told, the largest ones."""


def language_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the language that a call asks for in its metadata: "en" or "ko"."""
    wanted = (value for key, value in metadata if key == "accept-language" and isinstance(value, str))
    return accepted(next(wanted, None))


def row_of(events: Events, event_id: int) -> int:
    """Return the place of an event in a request.

    Raises:
        NoSuchEvent: it is not there.
    """
    found = np.flatnonzero(events.event_id == event_id)
    if not len(found):
        raise NoSuchEvent(f"event_id {event_id} is not among the {len(events)} events of the request: send it along")
    return int(found[0])


def explain_event(explainer: Explains, told: Explanation, events: Events, event_id: int) -> pb.ExplainResponse:
    """Return why the event ``event_id`` got its scores, kind by kind.

    Raises:
        NoSuchEvent: it is not among the events.
    """
    at, judgement = row_of(events, event_id), told.judgement
    speaking = np.flatnonzero(judgement.flags[at] | (judgement.scores[at] >= _SPEAKS))
    moved, warning = explainer.moved(told, np.full(len(speaking), at), speaking)
    why = dict(zip(speaking.tolist(), moved, strict=True))
    return pb.ExplainResponse(
        event_id=event_id,
        method=judgement.method,
        explanations=[_explanation(told, at, kind, why.get(kind)) for kind in range(len(KINDS))],
        model_version=judgement.model_version,
        warning=_warning(told, events, warning),
    )


def explain_findings(
    explainer: Explains, told: Explanation, events: Events, *, of_incidents: int | None = None
) -> pb.ExplainFindingsResponse:
    """Return why each flagged event is flagged, and which findings are one incident.

    ``of_incidents``: only the findings of those items that so many incidents begin with, the largest.
    """
    at, kind = told.findings
    if of_incidents is not None:
        begins = _first_findings(told, of_incidents).any(axis=1)
        items = told.case.journeys.events.epc[told.case.rows]
        kept = np.isin(items[at], items[begins])
        at, kind = at[kept], kind[kept]
    moved, warning = explainer.moved(told, at, kind)
    judgement = told.judgement
    answer = pb.ExplainFindingsResponse(
        method=judgement.method,
        model_version=judgement.model_version,
        warning=_warning(told, events, warning),
    )
    last = -1
    for one, of, why in zip(at.tolist(), kind.tolist(), moved, strict=True):
        give_way()
        if one != last:
            finding = answer.findings.add(event_id=int(events.event_id[one]), method=judgement.method)
            finding.model_version = judgement.model_version
            last = one
        finding.explanations.append(_explanation(told, one, of, why))
    answer.incidents.extend(_incidents(told, events))
    return answer


def add_reasons(
    findings: Iterable[pb.EventFinding],
    told: Explanation,
    flagged: NDArray[np.intp],
    fields: tuple[str, ...],
    *,
    of_incidents: int | None = None,
) -> None:
    """Set cause and reason of each flagged kind in the findings, which are of the events ``flagged``, in that order.

    And the expected error of each finding, where it is known: a share x 100, 4 decimals.

    ``fields`` are the names of the flags, in the order of KINDS. ``of_incidents`` gives reasons to the first
    findings of so many incidents alone, the largest: a sentence costs 40 us, ten times what else there is of a finding.
    """
    wanted = told.judgement.flags if of_incidents is None else _first_findings(told, of_incidents)
    rows = zip(
        findings, flagged.tolist(), told.judgement.flags[flagged].tolist(), wanted[flagged].tolist(), strict=True
    )
    for finding, at, is_flagged, is_wanted in rows:
        give_way()
        if (error := told.expected_error(at)) is not None:
            finding.expected_error = round(error * 100, 4)
        for kind, field in enumerate(fields):
            if is_flagged[kind]:
                setattr(finding, f"{field}_cause", told.cause(at, kind).code)
            if is_wanted[kind]:
                setattr(finding, f"{field}_reason", told.reason(at, kind))


def _first_findings(told: Explanation, most: int) -> NDArray[np.bool_]:
    """Return which kinds of which events [A, 5] are the first finding of one of the largest incidents."""
    at, kind = told.findings
    causes = [_CAUSES[told.cause(*pair).code] for pair in zip(at.tolist(), kind.tolist(), strict=True)]
    found = Findings(told.case.rows[at], kind, np.array(causes, dtype=np.intp))
    first = [int(incident.findings[0]) for incident in incidents(told.case.journeys, found)[:most]]
    wanted = np.zeros_like(told.judgement.flags)
    wanted[at[first], kind[first]] = True
    return wanted


def _warning(told: Explanation, events: Events, warning: str) -> str:
    """Return what to know of the judgement, of codes that came with dirt, and of the effects."""
    spelling = events.spelling.warning(np.ones(len(events), dtype=np.bool_)) if events.spelling else ""
    return joined(told.judgement.warning, spelling, warning)


def _explanation(told: Explanation, at: int, kind: int, moved: Moved | None) -> pb.Explanation:
    """Return why an event got its score of a kind; without ``moved``, nothing speaks for the kind."""
    score = round(float(told.judgement.scores[at, kind]) * 100, 4)
    if moved is None:
        return pb.Explanation(kind=KINDS[kind], score=score)
    values = told.case.features[told.case.rows[at]]
    return pb.Explanation(
        kind=KINDS[kind],
        score=score,
        flagged=bool(told.judgement.flags[at, kind]),
        cause=told.cause(at, kind).code,
        reason=told.reason(at, kind),
        reason_elsewhere=moved.elsewhere,
        effects=[
            pb.FeatureEffect(
                feature=name, value=float(values[INDEX[name]]) if name in INDEX else 0.0, effect=round(points, 4)
            )
            for name, points in moved.effects[:_EFFECTS]
        ],
    )


def _incidents(told: Explanation, events: Events) -> Iterable[pb.Incident]:
    at, kind = told.findings
    for incident, of in told.incidents():
        first = int(incident.findings[0])
        cause = told.cause(int(at[first]), int(kind[first]))
        yield pb.Incident(
            kind=cause.kind,
            cause=cause.code,
            reason=told.story(incident),
            event_ids=events.event_id[of].tolist(),
            items=incident.items,
        )
