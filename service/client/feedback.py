"""A client of a gateway's FeedbackService: verdicts go in, the audit sample and how good the detectors are come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from service.client.access import OPEN, Access
from service.client.gateway import explain
from service.errors import CommandError
from service.pb.epcsentinel.v1 import feedback_pb2 as fb

AT_ONCE = 1_000
"""Labels of one call."""

_SERVICE = fb.DESCRIPTOR.services_by_name["FeedbackService"]
_TIMEOUT_S = 120.0

_Answer = TypeVar("_Answer", bound=Message)


class FeedbackClient:
    """Asks a gateway that keeps verdicts; a context manager that closes the connection."""

    def __init__(self, target: str, access: Access = OPEN) -> None:
        """Args: ``target`` is HOST:PORT. Nothing is connected before the first call."""
        self._target, self._access = target, access
        self._channel = access.channel(target, [("grpc.max_receive_message_length", -1)])

    def label(self, labels: Sequence[fb.EventLabel]) -> int:
        """Append labels; return how many of them are new. Sent again after a failure, none is appended twice.

        Raises:
            CommandError: the gateway cannot be reached, keeps no verdicts, or refused.
        """
        calls = (fb.LabelRequest(labels=labels[at : at + AT_ONCE]) for at in range(0, len(labels), AT_ONCE))
        return sum(self._ask("Label", call, fb.LabelResponse).appended for call in calls)

    def sample(self, who: str, limit: int) -> fb.ListSampleResponse:
        """Return at most ``limit`` events that ``who``, or anybody if empty, has yet to label; raises as `label`."""
        return self._ask("ListSample", fb.ListSampleRequest(who=who, limit=limit), fb.ListSampleResponse)

    def accuracy(self, batches: int, model_version: str) -> fb.AccuracyResponse:
        """Return how good the detectors are, over the latest ``batches`` files with labels, and how often people err.

        Raises as `label`.
        """
        request = fb.AccuracyRequest(batches=batches, model_version=model_version)
        return self._ask("Accuracy", request, fb.AccuracyResponse)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def _ask(self, method: str, request: Message, answer: type[_Answer]) -> _Answer:
        call: Any = self._channel.unary_unary(
            f"/{_SERVICE.full_name}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        try:
            return call(request, timeout=_TIMEOUT_S, metadata=self._access.metadata())  # type: ignore[no-any-return]
        except grpc.RpcError as error:
            failed: Any = error  # it is a grpc.Call, too
            raise CommandError(explain(self._target, failed)) from None
