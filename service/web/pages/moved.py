"""What moved the scores of an item, asked of the gateway while people wait: a few at a time, and not twice."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from service.findings.records import FileReport, ScanRow
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.web.judge import GatewayJudge
from service.web.pages.effects import Moves, ScoreMoved, moves_of
from service.web.problems import Problem

_AT_ONCE = 2
"""Items at once: an explanation costs the gateway as much as a thousand events, and callers come first."""

_MOST_EVENTS = 6
"""Findings of one item that are explained."""

_MOST_KEPT = 500

_DETECTORS = {
    "lstm": pb.DETECTOR_LSTM,
    "svm": pb.DETECTOR_SVM,
    "ensemble": pb.DETECTOR_ENSEMBLE,
}
"""Rules have no effects: their causes say all."""


class MovedScores:
    """Asks the gateway, and keeps what it said of late."""

    def __init__(self, judge: GatewayJudge) -> None:
        self._judge = judge
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._kept: OrderedDict[tuple[int, str], dict[tuple[int, str], ScoreMoved]] = OrderedDict()

    async def of_item(self, report: FileReport, scans: Sequence[ScanRow], mates: Sequence[Sequence[ScanRow]]) -> Moves:
        """Return what moved the scores of an item's findings, as judged among its ``mates`` alone.

        Nothing, where the gateway is busy or away: a page without bars is better than none.
        """
        detector = _DETECTORS.get(report.detector)
        flagged = [scan.event_id for scan in scans if scan.kinds][:_MOST_EVENTS]
        if detector is None or not flagged:
            return {}
        key = (report.report_id, scans[0].epc_code)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if self._turn.locked():
            return {}
        async with self._turn:
            data = [_event(scan) for item in (scans, *mates) for scan in item]
            found: dict[tuple[int, str], ScoreMoved] = {}
            try:
                for event_id in flagged:
                    question = pb.ExplainRequest(
                        data=data, event_id=event_id, detector=detector, history=pb.HISTORY_USE_OFF
                    )
                    found |= moves_of([await self._judge.explain(question)])
            except Problem:
                return {}
        self._kept[key] = found
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return found


def _event(scan: ScanRow) -> pb.ScanEvent:
    event = pb.ScanEvent(
        event_id=scan.event_id,
        epc_code=scan.epc_code,
        location_id=scan.location_id,
        business_step=scan.step,
        event_type=scan.event_type,
        file_id=1,
    )
    event.event_time.FromMicroseconds(scan.time_us)
    return event
