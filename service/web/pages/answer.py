"""An answer of ``analyze`` as what pages show: the report, its incidents, and the items that they begin with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.events.codes import parse
from service.events.vocabulary import EVENT_TYPES, KINDS, LEVELS, UNKNOWN
from service.findings.records import FileReport, GroupCount, IncidentRow, KindFound, ScanRow
from service.jobs.positions import positions
from service.jobs.stories import Story, causes_of, kinds_of, nearest_mates, stories
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import RawEvents
from service.web.pages.item import MOST_MATES
from service.web.pages.report import ReportPage, report_page

_DAY_US = 86_400_000_000


class AnswerPages:
    """The findings of an answer, by all that the pages ask for."""

    def __init__(
        self, raw: RawEvents, response: pb.AnalyzeFilesResponse, explained: Sequence[pb.ExplainResponse] = ()
    ) -> None:
        """Args: ``explained`` are findings that are told in full, of which the answer may have the cause alone."""
        self._raw, self._events, self._response = raw, raw.events, response
        self._local_us = raw.local_us
        self._codes = parse(raw.events.epc_codes)
        found = [one for answer in response.files for one in answer.event_history]
        at = positions(raw.events, [one.event_id for one in found])
        told = {(one.event_id, why.kind): why.reason for one in explained for why in one.explanations}
        self._kinds = {at[one.event_id]: _kinds(one, told) for one in found}  # by position, in no order

    def report(self) -> ReportPage:
        """Return the report of all files."""
        days, places = self._groups(self._day), self._groups(self._place_id)
        named = [GroupCount(one.key, self._raw.places.get(int(one.key)) or one.key, one.counts) for one in places]
        products, lots = self._groups(self._product), self._groups(self._lot)
        return report_page(self._file(), days, named, products, lots)

    def incidents(self, most: int) -> list[IncidentRow]:
        """Return the largest incidents."""
        return [
            IncidentRow(
                incident=number,
                kind=story.kind,
                cause=story.cause,
                reason=story.reason,
                items=story.items,
                events=len(story.events),
                epc_code=self._code(story.first),
                event_id=int(self._events.event_id[story.first]),
                location_id=int(self._events.location_id[story.first]),
                place=self._place(story.first),
                local_us=int(self._local_us[story.first]),
            )
            for number, story in enumerate(self._stories[:most])
        ]

    def items(self, most: int) -> list[tuple[list[ScanRow], list[list[ScanRow]]]]:
        """Return the scans of the items that the largest incidents begin with, each with those of its nearest mates."""
        epcs = dict.fromkeys(int(self._events.epc[story.first]) for story in self._stories)
        return [
            (self._scans(epc), [self._scans(mate) for mate in nearest_mates(self._codes, epc, MOST_MATES)])
            for epc in list(epcs)[:most]
        ]

    @cached_property
    def _stories(self) -> list[Story]:
        return stories(self._events, self._response)

    def _file(self) -> FileReport:
        files = self._response.files
        counts = Counter(found.kind for kinds in self._kinds.values() for found in kinds)
        judged = dict.fromkeys((answer.method, answer.model_version) for answer in files)
        (method, version), *_ = [one for one in judged if one[0].endswith("fallback")] or list(judged)
        names = [self._raw.sources.get(answer.file_id) or f"file_id {answer.file_id}" for answer in files]
        warnings = dict.fromkeys([*self._raw.warnings, *(answer.warning for answer in files if answer.warning)])
        return FileReport(
            report_id=0,
            file_name=", ".join(names),
            file_id=files[0].file_id,
            detector="",
            method=method,
            model_version=version,
            language="",
            content_sha256="",
            created_us=0,
            events=len(self._events),
            items=len(self._events.epc_codes),
            flagged=len(self._kinds),
            incidents=len(self._stories),
            counts={kind: counts[kind] for kind in KINDS},
            first_us=int(self._events.time_us.min()),
            last_us=int(self._events.time_us.max()),
            warning=" ".join(warnings),
        )

    def _groups(self, key_of: Callable[[int], str]) -> list[GroupCount]:
        """Return the findings by what ``key_of`` says of a position, in the order of the keys."""
        found: dict[str, Counter[str]] = {}
        for at, kinds in self._kinds.items():
            found.setdefault(key_of(at), Counter()).update(one.kind for one in kinds)
        return [GroupCount(key, key, {kind: found[key][kind] for kind in KINDS}) for key in sorted(found)]

    def _day(self, at: int) -> str:
        return str(np.datetime64(int(self._local_us[at] // _DAY_US), "D"))

    def _place_id(self, at: int) -> str:
        return str(int(self._events.location_id[at]))

    def _product(self, at: int) -> str:
        epc = self._events.epc[at]
        return f"{self._codes.product[epc]:07d}" if self._codes.well_formed[epc] else ""

    def _lot(self, at: int) -> str:
        epc = self._events.epc[at]
        return f"{self._codes.lot[epc]:06d}" if self._codes.well_formed[epc] else ""

    def _code(self, at: int) -> str:
        return self._events.epc_codes[int(self._events.epc[at])]

    def _place(self, at: int) -> str:
        return self._raw.places.get(int(self._events.location_id[at])) or ""

    @cached_property
    def _by_item(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """([N] positions by item, in the order of time and id; [U + 1] where each item begins)."""
        events = self._events
        order = np.lexsort((events.event_id, events.time_us, events.epc))
        return order, np.searchsorted(events.epc[order], np.arange(len(events.epc_codes) + 1))

    def _scans(self, epc: int) -> list[ScanRow]:
        order, begins = self._by_item
        return [self._scan(at) for at in order[begins[epc] : begins[epc + 1]].tolist()]

    def _scan(self, at: int) -> ScanRow:
        events = self._events
        return ScanRow(
            number=at,
            event_id=int(events.event_id[at]),
            epc_code=self._code(at),
            location_id=int(events.location_id[at]),
            place=self._place(at),
            step=_word(LEVELS, int(events.step[at])),
            event_type=_word(EVENT_TYPES, int(events.event_type[at])),
            time_us=int(events.time_us[at]),
            local_us=int(self._local_us[at]),
            kinds=self._kinds.get(at, ()),
        )


def _kinds(finding: pb.EventFinding, told: Mapping[tuple[int, str], str]) -> tuple[KindFound, ...]:
    pairs = zip(kinds_of(finding), causes_of(finding), strict=True)
    return tuple(
        KindFound(kind, score, cause, reason or told.get((finding.event_id, kind), ""), -1)
        for (kind, score), (_, cause, reason) in pairs
    )


def _word(words: Sequence[str], code: int) -> str:
    return "" if code == UNKNOWN else words[code]
