"""What a round looks at: read once, so that all that is decided in it is decided by the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.detect.names import Method
from service.feedback.accuracy import JudgedBy, KindAccuracy
from service.feedback.baselines import JudgedKind, Promised
from service.feedback.paired import PairedDifference
from service.feedback.verdicts import EventLabel, LabelVerdict
from service.lifecycle.operations import Operation, Progressing
from service.lifecycle.states import Entry, Standing
from service.model.manifest import MODEL_NAME


@dataclass(frozen=True, slots=True)
class DriftOfGateway:
    """What a gateway says of the drift of one version and mode."""

    model_version: str
    mode: str
    alarm: bool
    psi: float  # the largest of what was rejected and of the scores; population stability index, from 0


@dataclass(frozen=True, slots=True)
class Beside:
    """What is measured of the challenger, less the champion, on events that both judged; empty where too few are."""

    whole: Sequence[PairedDifference]  # of all of them
    fresh: Sequence[PairedDifference]  # of those since the shares were last set


@dataclass(frozen=True, slots=True)
class Situation:
    """See the module."""

    at: datetime  # UTC
    standing: Standing
    entries: Sequence[Entry] = ()
    operations: Sequence[Operation] = ()  # the newest first
    versions: Sequence[int] = ()  # of the repository
    accuracy: Sequence[KindAccuracy] = ()  # of all judges, over the usual window
    close: Sequence[KindAccuracy] = ()  # over the shorter one; empty unless the models are watched closely
    promised: Mapping[JudgedKind, Promised] = field(default_factory=dict)  # average precision in the manifests
    rules: Mapping[tuple[str, str], float] = field(default_factory=dict)  # of the rules there, by mode and kind
    drift: Sequence[DriftOfGateway] = ()
    labels: Sequence[EventLabel] = ()
    waiting: int = 0  # events of the audit sample of which nobody has said anything
    beside: Beside | None = None  # None: there is no challenger, or nobody asks

    def judge(self, mode: str) -> JudgedBy:
        """Return the champion's network as a judge."""
        return JudgedBy(Method.LSTM, f"{MODEL_NAME}/{self.standing.champion}", mode)

    def runs(self, kind: str) -> bool:
        """Return whether an operation of a kind runs."""
        return any(one.kind == kind and one.state is Progressing.RUNNING for one in self.operations)

    def new_labels(self, since: datetime | None) -> int:
        """Return of how many events and kinds somebody has said something since then that counts."""
        since_us = since.timestamp() * 1e6 if since else float("-inf")
        said = (LabelVerdict.CONFIRMED, LabelVerdict.REJECTED)
        return len({one.claim for one in self.labels if one.verdict in said and one.labelled_at_us > since_us})


def instant(text: str) -> datetime:
    """Return the instant of an entry or an operation."""
    return datetime.fromisoformat(text).astimezone(UTC)
