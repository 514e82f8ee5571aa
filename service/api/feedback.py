"""The FeedbackService servicer: what people say of events goes in, how good the detectors are by that comes out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from service.errors import InvalidRequest, NotImplementedYet
from service.events.vocabulary import KINDS
from service.feedback.accuracy import BATCHES, KindAccuracy, accuracy
from service.feedback.baselines import JudgedKind, Promised
from service.feedback.estimators import Interval
from service.feedback.sql import now_us
from service.feedback.store import SampledEvent, VerdictStore
from service.feedback.verdicts import EventLabel, LabelVerdict, latest
from service.feedback.weighed import Auditor, weighed
from service.pb.epcsentinel.v1 import feedback_pb2
from service.security.auth import caller

FEEDBACK: Final = feedback_pb2.DESCRIPTOR.services_by_name["FeedbackService"]
"""Descriptor of the service."""

MOST = 10_000
"""Labels or events of one request or answer."""

_LABELS, _EVENTS = 1_000, 100
"""How many are listed where a request does not say."""

_ID = re.compile(r"[A-Za-z0-9._:-]{0,64}")
_MOST_WHO, _MOST_NOTE, _MOST_CODE, _MOST_VERSION = 200, 2_000, 500, 200
_AHEAD_US = 86_400_000_000
"""How far a caller's clock may be ahead: the latest word counts, and one of the year 9999 could not be taken back."""

_Context = grpc.aio.ServicerContext[Any, Any]

_VERDICTS: Mapping[int, LabelVerdict] = {
    feedback_pb2.LABEL_VERDICT_CONFIRMED: LabelVerdict.CONFIRMED,
    feedback_pb2.LABEL_VERDICT_REJECTED: LabelVerdict.REJECTED,
    feedback_pb2.LABEL_VERDICT_UNSURE: LabelVerdict.UNSURE,
    feedback_pb2.LABEL_VERDICT_WITHDRAWN: LabelVerdict.WITHDRAWN,
}
_NUMBERS = {verdict: number for number, verdict in _VERDICTS.items()}


class FeedbackServicer:
    """Serves FeedbackService. All work with the store is in threads: it is on a disk or a server."""

    def __init__(
        self,
        store: VerdictStore | None,
        baselines: Callable[[], Mapping[JudgedKind, Promised]] = dict,
        error_rate: float = 0.0,
    ) -> None:
        """Make the servicer.

        Args:
            store: None: every call is refused with what the operator would have to set.
            baselines: returns the average precision that the manifests of the gateway's models promise.
            error_rate: share of the verdicts that are wrong, as `weighed` takes it.
        """
        self._store, self._baselines, self._error_rate = store, baselines, error_rate

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register at the server."""
        behaviours = {
            "Label": self._label,
            "ListLabels": self._list_labels,
            "ListSample": self._list_sample,
            "Accuracy": self._accuracy,
        }
        handlers = {name: _handler(name, self._in_thread(behaviour)) for name, behaviour in behaviours.items()}
        return grpc.method_handlers_generic_handler(FEEDBACK.full_name, handlers)

    def _in_thread(self, behaviour: Callable[[VerdictStore, Any], Message]) -> Callable[[Any, _Context], Any]:
        async def handle(request: Message, _context: _Context) -> Message:
            if self._store is None:
                raise NotImplementedYet(
                    "this gateway keeps no verdicts: its operator can start it with --verdicts FOLDER or"
                    " --verdicts postgresql://.."
                )
            return await asyncio.to_thread(behaviour, self._store, request)

        return handle

    @staticmethod
    def _label(store: VerdictStore, request: Any) -> Message:  # noqa: ANN401
        kept, appended = store.append(decode_labels(request, caller().name, now_us()))
        return feedback_pb2.LabelResponse(labels=map(encode_label, kept), appended=appended)

    @staticmethod
    def _list_labels(store: VerdictStore, request: feedback_pb2.ListLabelsRequest) -> Message:
        limit = _limit(request.limit, _LABELS)
        if len(request.event_ids) > MOST:
            raise InvalidRequest([("event_ids", f"are {len(request.event_ids):,}: {MOST:,} at most")])
        found = store.labels(event_ids=set(request.event_ids))
        if not request.history:
            counts = latest(found).values()
            found = sorted(
                (label for label in counts if label.verdict is not LabelVerdict.WITHDRAWN),
                key=lambda label: label.sequence,
            )
        wanted = [label for label in found if label.sequence > request.after and request.who in ("", label.who)]
        shown = wanted[:limit]
        following = shown[-1].sequence if len(wanted) > limit else 0
        return feedback_pb2.ListLabelsResponse(labels=map(encode_label, shown), next=following)

    @staticmethod
    def _list_sample(store: VerdictStore, request: feedback_pb2.ListSampleRequest) -> Message:
        shown, waiting = store.waiting(request.who, _limit(request.limit, _EVENTS))
        return feedback_pb2.ListSampleResponse(events=map(_scan, shown), waiting=waiting)

    def _accuracy(self, store: VerdictStore, request: feedback_pb2.AccuracyRequest) -> Message:
        if not 0 <= request.batches <= MOST:
            raise InvalidRequest([("batches", f"is {request.batches}: 1 to {MOST:,}, or 0 for {BATCHES}")])
        if wrong := _text_problems(("model_version", request.model_version, _MOST_VERSION)):
            raise InvalidRequest(wrong)
        words = weighed(store.labels(), self._error_rate)
        found = accuracy(store, words, batches=request.batches or BATCHES, model_version=request.model_version)
        promised = self._baselines()
        return feedback_pb2.AccuracyResponse(
            kinds=(encode_accuracy(one, promised.get((one.judge, one.kind))) for one in found),
            auditors=map(encode_auditor, words.auditors),
        )


def decode_labels(request: feedback_pb2.LabelRequest, sent_by: str, now: int) -> list[EventLabel]:
    """Return the labels of a request. Args: ``now`` is the time of those that say none, in microseconds.

    Raises:
        InvalidRequest: there are none or too many, or a field is not usable.
    """
    if not 1 <= len(request.labels) <= MOST:
        raise InvalidRequest([("labels", f"are {len(request.labels)}: send 1 to {MOST:,} in a request")])
    wrong = [
        (f"labels[{at}].{field}", what)
        for at, label in enumerate(request.labels)
        for field, what in _problems(label, now)
    ]
    if wrong:
        raise InvalidRequest(wrong)
    return [_decode(label, sent_by, now) for label in request.labels]


def _problems(label: feedback_pb2.EventLabel, now: int) -> list[tuple[str, str]]:
    """Return (field, what is wrong with it) of a label."""
    wrong = _text_problems(
        ("who", label.who, _MOST_WHO),
        ("note", label.note, _MOST_NOTE),
        ("epc_code", label.epc_code, _MOST_CODE),
        ("model_version", label.model_version, _MOST_VERSION),
    )
    if label.HasField("labelled_at") and (problem := _time_problem(label.labelled_at, now)):
        wrong.append(("labelled_at", problem))
    if label.kind not in KINDS:
        wrong.append(("kind", f"is {label.kind[:40]!r}: one of {', '.join(KINDS)}"))
    if label.verdict not in _VERDICTS:
        wrong.append(("verdict", "is missing: confirmed, rejected, unsure or withdrawn"))
    if not _ID.fullmatch(label.label_id):
        wrong.append(("label_id", 'is none: up to 64 letters, digits, "-", "_", "." and ":"'))
    if label.HasField("score") and not 0 <= label.score <= 100:
        wrong.append(("score", "is out of range: 0 to 100"))
    return wrong


def _text_problems(*texts: tuple[str, str, int]) -> list[tuple[str, str]]:
    """Return what is wrong with (field, text, most characters)."""
    wrong = [(name, f"has {len(text)} characters: {most:,} at most") for name, text, most in texts if len(text) > most]
    return wrong + [(name, "has a NUL character: leave it out") for name, text, _ in texts if "\0" in text]


def _time_problem(at: Timestamp, now: int) -> str:
    try:
        return "lies ahead: when was it said?" if at.ToMicroseconds() > now + _AHEAD_US else ""
    except ValueError:
        return "is no time of the years 1 to 9999"


def _decode(label: feedback_pb2.EventLabel, sent_by: str, now: int) -> EventLabel:
    return EventLabel(
        label_id=label.label_id,
        event_id=label.event_id,
        file_id=label.file_id,
        epc_code=label.epc_code,
        kind=label.kind,
        verdict=_VERDICTS[label.verdict],
        who=label.who if label.who.strip() else sent_by,
        sent_by=sent_by,
        labelled_at_us=label.labelled_at.ToMicroseconds() if label.HasField("labelled_at") else now,
        note=label.note,
        score=label.score / 100 if label.HasField("score") else None,
        flagged=label.flagged if label.HasField("flagged") else None,
        model_version=label.model_version,
    )


def encode_label(label: EventLabel) -> feedback_pb2.EventLabel:
    """Return the message of a label."""
    message = feedback_pb2.EventLabel(
        label_id=label.label_id,
        event_id=label.event_id,
        file_id=label.file_id,
        kind=label.kind,
        verdict=_NUMBERS[label.verdict],  # type: ignore[arg-type]
        who=label.who,
        note=label.note,
        epc_code=label.epc_code,
        score=None if label.score is None else label.score * 100,
        flagged=label.flagged,
        model_version=label.model_version,
        sent_by=label.sent_by,
        sequence=label.sequence,
    )
    message.labelled_at.FromMicroseconds(label.labelled_at_us)
    return message


def encode_accuracy(one: KindAccuracy, baseline: Promised | None) -> feedback_pb2.KindAccuracy:
    """Return the message of what was measured of a kind."""
    return feedback_pb2.KindAccuracy(
        kind=one.kind,
        method=one.judge.method,
        model_version=one.judge.model_version,
        mode=one.judge.mode,
        sampled=one.sampled,
        labels=one.labels,
        confirmed=one.confirmed,
        batches=one.batches,
        baseline_average_precision=None if baseline is None else baseline.value,
        expected_precision=_estimate(one.expected_precision),
        **{name: _estimate(interval) for name, interval in one.measures.items()},
    )


def encode_auditor(one: Auditor) -> feedback_pb2.Auditor:
    """Return the message of how often a person errs."""
    return feedback_pb2.Auditor(
        who=one.who,
        words=one.words,
        compared=one.compared,
        confirms_of_normal=one.of_normal,
        rejects_of_anomalous=one.of_anomalous,
        at_odds=one.at_odds,
    )


def _estimate(interval: Interval | None) -> feedback_pb2.Estimate | None:
    return interval and feedback_pb2.Estimate(**interval._asdict())


def _scan(event: SampledEvent) -> feedback_pb2.SampledScan:
    message = feedback_pb2.SampledScan(
        event_id=event.event_id,
        epc_code=event.epc_code,
        location_id=event.location_id,
        business_step=event.business_step,
        event_type=event.event_type,
        file_id=event.file_id,
    )
    message.event_time.FromMicroseconds(event.event_time_us)
    return message


def _limit(asked: int, default: int) -> int:
    if not 0 <= asked <= MOST:
        raise InvalidRequest([("limit", f"is {asked}: 0 to {MOST:,}")])
    return asked or default


def _handler(name: str, behaviour: Callable[[Any, _Context], Awaitable[Message]]) -> grpc.RpcMethodHandler[Any, Any]:
    taken = getattr(feedback_pb2, FEEDBACK.methods_by_name[name].input_type.name)
    return grpc.unary_unary_rpc_method_handler(
        behaviour, request_deserializer=taken.FromString, response_serializer=lambda answer: answer.SerializeToString()
    )
