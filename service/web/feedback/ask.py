"""The way to the gateway's FeedbackService: what a person said, what he says now, and what he is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import grpc

from service.client.access import Access
from service.pb.epcsentinel.v1 import feedback_pb2 as fb
from service.web.judge import as_problem

VERDICTS: Final[Mapping[str, fb.LabelVerdict.ValueType]] = {
    "confirmed": fb.LABEL_VERDICT_CONFIRMED,
    "rejected": fb.LABEL_VERDICT_REJECTED,
    "unsure": fb.LABEL_VERDICT_UNSURE,
    "withdrawn": fb.LABEL_VERDICT_WITHDRAWN,
}
"""What the buttons of pages send."""

_NAMES = {number: name for name, number in VERDICTS.items()}
_SERVICE = fb.DESCRIPTOR.services_by_name["FeedbackService"].full_name
_TIMEOUT_S = 30.0

Said = Mapping[tuple[int, str], str]
"""What a person says, by event id and kind: a name of VERDICTS."""


class LabelDesk:
    """Asks the gateway in the name of people."""

    def __init__(self, channel: grpc.aio.Channel, access: Access) -> None:
        """Args: ``channel`` and ``access`` lead to the gateway."""
        self._channel, self._access = channel, access

    async def say(self, labels: Sequence[fb.EventLabel]) -> None:
        """Append labels.

        Raises:
            Problem: the gateway keeps no verdicts, refused, or cannot be reached.
        """
        await self._ask("Label", fb.LabelRequest(labels=labels), fb.LabelResponse)

    async def said(self, file_id: int, event_ids: Iterable[int], who: str) -> Said:
        """Return what a person says of events of a file; raises as `say`."""
        request = fb.ListLabelsRequest(event_ids=event_ids, who=who, limit=10_000)
        found = await self._ask("ListLabels", request, fb.ListLabelsResponse)
        return {(one.event_id, one.kind): _NAMES[one.verdict] for one in found.labels if one.file_id == file_id}

    async def asked(self, who: str) -> tuple[fb.SampledScan | None, int]:
        """Return (the event that a person is asked about next, how many wait); raises as `say`."""
        found = await self._ask("ListSample", fb.ListSampleRequest(who=who, limit=1), fb.ListSampleResponse)
        return (found.events[0] if found.events else None), found.waiting

    async def _ask(self, method: str, request: Any, answer: Any) -> Any:  # noqa: ANN401 - messages
        call = self._channel.unary_unary(f"/{_SERVICE}/{method}", type(request).SerializeToString, answer.FromString)
        try:
            return await call(request, timeout=_TIMEOUT_S, metadata=self._access.metadata())
        except grpc.aio.AioRpcError as error:
            raise as_problem(error) from None
