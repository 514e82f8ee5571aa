"""What a round may see, in the tests: version 1 judges, promises 0.95 of jumps, and is measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from service.detect.names import Method
from service.events.vocabulary import KINDS, MODES
from service.feedback.accuracy import JudgedBy, KindAccuracy
from service.feedback.baselines import Promised
from service.feedback.estimators import Interval
from service.feedback.verdicts import EventLabel, LabelVerdict
from service.lifecycle.operations import Operation, Progressing
from service.lifecycle.states import Action, Entry, standing_of
from service.operate.exposition import LastRoundCollector, OperateCollector
from service.operate.seen import Situation
from service.operate.severity import severity_of
from service.operate.state import OperateState, write_state
from tests.service.feedback.samples import label
from tests.support.observed import Samples, samples

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROMISED = Promised(0.95, low=0.945)


def measured(
    ap: float, *, high: float | None = None, auc: float = 0.9, kind: str = "jump", method: str = Method.LSTM
) -> KindAccuracy:
    """Return an average precision that was measured, by 40 confirmed events."""
    judge = JudgedBy(method, "epc_lstm/1" if method == Method.LSTM else "", MODES[0])
    whole = Interval(ap, ap - 0.05, min(1.0, ap + 0.01) if high is None else high)
    measures = {"average_precision": whole, "auc": Interval(auc, auc - 0.1, auc + 0.05)}
    return KindAccuracy(judge, kind, 50, 400, 200, 40, measures, None)


def before(**ago: float) -> str:
    """Return when it was so long ago."""
    return (NOW - timedelta(**ago)).isoformat()


def entry(number: int, action: Action, version: int = 0, why: str = "x", traffic: str = "", **ago: float) -> Entry:
    """Return an entry of the log."""
    return Entry(number=number, at=before(**ago), who="x", action=action, version=version, why=why, traffic=traffic)


def operation(kind: str, state: Progressing = Progressing.SUCCEEDED, **ago: float) -> Operation:
    """Return an operation that began so long ago."""
    return Operation(operation_id="0" * 16, kind=kind, who="x", why="x", started_at=before(**ago), state=state, child=7)


def labels(count: int, **ago: float) -> list[EventLabel]:
    """Return verdicts on so many events."""
    said = int((NOW - timedelta(**ago)).timestamp() * 1e6)
    return [label(at, LabelVerdict.CONFIRMED, labelled_at_us=said) for at in range(count)]


def seen(*entries: Entry, rules: float = 0.99, **fields: object) -> Situation:
    """Return what a round sees: the entries after that by which version 1 is the champion."""
    log = [entry(1, Action.PROMOTE, 1, days=30), *entries]
    promised = {(JudgedBy(Method.LSTM, "epc_lstm/1", mode), kind): PROMISED for mode in MODES for kind in KINDS}
    by_rules = {(mode, kind): rules for mode in MODES for kind in KINDS}
    given = {"promised": promised, "rules": by_rules, "versions": [1], **fields}
    return Situation(NOW, standing_of(log), log, **given)  # type: ignore[arg-type]


def shown(*collectors: OperateCollector | LastRoundCollector) -> Samples:
    """Return what a scrape of collectors has."""
    registry = CollectorRegistry()
    for one in collectors:
        registry.register(one)
    page: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return samples(page.decode())


def of_a_round(folder: Path) -> Samples:
    """Return all metrics of a round, whose state is in the folder."""
    now, collector = seen(labels=labels(3, hours=1)), OperateCollector()
    write_state(folder, OperateState(at=NOW.isoformat(), interval_s=60))
    collector.saw(now, severity_of(now), closely=False)
    return shown(collector, LastRoundCollector(folder))
