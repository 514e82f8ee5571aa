"""Verdicts for the tests: calls of FeedbackService, and people who say something of what is in the audit sample."""

from __future__ import annotations

import time
from typing import Any

import grpc
from google.protobuf.message import Message

from service.api.feedback import FEEDBACK
from service.pb.epcsentinel.v1 import feedback_pb2 as fb
from tests.support.requests import call, many


def ask(target: str, request: Message, token: str = "") -> Any:  # noqa: ANN401 - its answer
    """Call the method of FeedbackService that takes such a request."""
    [method] = [one for one in FEEDBACK.methods if one.input_type.name == type(request).__name__]
    answer = getattr(fb, method.output_type.name)
    with grpc.insecure_channel(target) as channel:
        stub = channel.unary_unary(
            f"/{FEEDBACK.full_name}/{method.name}", lambda message: message.SerializeToString(), answer.FromString
        )
        return stub(request, timeout=60, metadata=(("authorization", f"Bearer {token}"),) if token else ())


def wait_for_sample(target: str) -> fb.ListSampleResponse:
    """Wait for the first events of the audit sample."""
    for _ in range(100):
        sample = ask(target, fb.ListSampleRequest(limit=10))
        if sample.waiting:
            assert isinstance(sample, fb.ListSampleResponse)
            return sample
        time.sleep(0.1)
    raise AssertionError("nothing is in the audit sample")


def label_some(target: str) -> None:
    """Have 100 events judged, forged ones among them, and label some of both."""
    request = many(100)
    for event in request.data[:20]:
        event.epc_code = f"forged {event.event_id}"
    call(target, "Analyze", request.SerializeToString())
    wait_for_sample(target)
    ask(
        target,
        fb.LabelRequest(
            labels=[
                fb.EventLabel(
                    event_id=event.event_id,
                    file_id=1,
                    kind="epcFake",
                    verdict=fb.LABEL_VERDICT_CONFIRMED if at < 20 else fb.LABEL_VERDICT_REJECTED,
                    who="ann",
                )
                for at, event in enumerate(request.data[:40])
            ]
        ),
    )
