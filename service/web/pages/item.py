"""The page of one item: its journey on a map and a time line, its findings with their causes, and its mates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from service.explain.words import Words
from service.findings.records import KindFound, ScanRow
from service.web.pages.atlas import Atlas, UsualLeg
from service.web.pages.effects import Moves, ScoreMoved
from service.web.pages.timeline import Timeline, timeline

MOST_MATES = 8
"""Mates that are drawn: more would hide the item."""

_PARTS = ("header", "company", "product", "lot", "date", "serial")


@dataclass(frozen=True, slots=True)
class ScanLine:
    """One scan as a line of the table."""

    number: int  # from 1
    scan: ScanRow
    took: str  # the time since the scan before, in words
    usually: str  # what it usually takes, "" if nobody knows
    verdict: str  # "early", "late", "usual", or "" if nobody knows


@dataclass(frozen=True, slots=True)
class FlagReason:
    """Why scans are of one kind: those of which the same is said, together."""

    found: KindFound  # at the first of them
    scans: tuple[tuple[int, int, float], ...]  # number of the scan, event id, score
    moved: ScoreMoved | None  # at the first of them


@dataclass(frozen=True, slots=True)
class MateLine:
    """One mate beside the item."""

    code: str
    scans: int
    findings: int
    last: ScanRow
    took: str  # from its first scan to its last, in words


@dataclass(frozen=True, slots=True)
class ItemPage:
    """What the page shows."""

    code: str
    parts: tuple[tuple[str, str], ...]  # the parts of the code by name, none if it has not six
    lines: tuple[ScanLine, ...]
    reasons: tuple[FlagReason, ...]
    mates: tuple[MateLine, ...]
    drawing: Timeline
    map_json: str  # what the script draws, "" if no place is known


def item_page(
    scans: Sequence[ScanRow], mates: Sequence[Sequence[ScanRow]], moves: Moves, atlas: Atlas, language: str
) -> ItemPage:
    """Return the page of an item with these scans, at least one, in the order of time; ``mates`` are of its lot."""
    words, usual = Words(language), atlas.usual(scans)
    beside = [mate for mate in mates if mate][:MOST_MATES]
    return ItemPage(
        code=scans[0].epc_code,
        parts=code_parts(scans[0].epc_code),
        lines=tuple(_lines(scans, usual, words)),
        reasons=_reasons(scans, moves),
        mates=tuple(_mate(mate, words) for mate in beside),
        drawing=timeline(scans, usual, beside),
        map_json=_map(scans, beside, atlas),
    )


def code_parts(code: str) -> tuple[tuple[str, str], ...]:
    """Return the parts of a code by name, as it writes them; none if it has not six."""
    parts = code.split(".")
    return tuple(zip(_PARTS, parts, strict=True)) if len(parts) == len(_PARTS) else ()


def _reasons(scans: Sequence[ScanRow], moves: Moves) -> tuple[FlagReason, ...]:
    alike: dict[tuple[str, str, str], list[tuple[int, ScanRow, KindFound]]] = {}
    for number, scan in enumerate(scans, start=1):
        for found in scan.kinds:
            alike.setdefault((found.kind, found.cause, found.reason), []).append((number, scan, found))
    return tuple(
        FlagReason(
            found=together[0][2],
            scans=tuple((number, scan.event_id, found.score) for number, scan, found in together),
            moved=moves.get((together[0][1].event_id, together[0][2].kind)),
        )
        for together in alike.values()
    )


def _lines(scans: Sequence[ScanRow], usual: Sequence[UsualLeg | None], words: Words) -> list[ScanLine]:
    lines = []
    for at, (scan, leg) in enumerate(zip(scans, usual, strict=True)):
        minutes = (scan.time_us - scans[at - 1].time_us) / 60e6 if at else 0.0
        took = words.duration(minutes) if at else ""
        usually = words.span(leg.low, leg.high) if leg else ""
        lines.append(ScanLine(at + 1, scan, took, usually, _verdict(minutes, leg)))
    return lines


def _verdict(minutes: float, leg: UsualLeg | None) -> str:
    if leg is None:
        return ""
    return "early" if minutes < leg.low else "late" if minutes > leg.high else "usual"


def _mate(scans: Sequence[ScanRow], words: Words) -> MateLine:
    first, last = scans[0], scans[-1]
    took = words.duration((last.time_us - first.time_us) / 60e6)
    return MateLine(first.epc_code, len(scans), sum(bool(scan.kinds) for scan in scans), last, took)


def _map(scans: Sequence[ScanRow], mates: Sequence[Sequence[ScanRow]], atlas: Atlas) -> str:
    """Return the stops of the item and the ways of its mates as JSON, "" if no place is known.

    Scans that follow each other at one place are one stop.
    """
    stops: list[dict[str, object]] = []
    last_id = None
    for number, scan in enumerate(scans, start=1):
        if (at := atlas.coordinates(scan.location_id)) is None:
            continue
        if scan.location_id != last_id:
            name, last_id = scan.place or str(scan.location_id), scan.location_id
            stops.append({"at": at, "name": name, "first": number, "flagged": False})
        stops[-1] |= {"last": number, "flagged": stops[-1]["flagged"] or bool(scan.kinds)}
    if not stops:
        return ""
    ways = [[at for scan in mate if (at := atlas.coordinates(scan.location_id))] for mate in mates]
    return json.dumps({"stops": stops, "mates": ways}, ensure_ascii=False)
