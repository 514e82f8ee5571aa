"""The ``explain`` command: why an event of a raw file got its scores, from here or from a gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from service.api.explanations import explain_event as message_of
from service.client.access import OPEN, Access
from service.client.gateway import GatewayClient, check_reachable
from service.detect.names import DetectorName
from service.dialect.dialect import words_of
from service.errors import CommandError
from service.events.columns import Events
from service.gateway.build import build_wiring
from service.jobs.analyze import split
from service.jobs.progress import warn
from service.jobs.zones import site_dialect, site_zones
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import RawEvents, read_files
from service.settings import Settings


async def explain_event(  # noqa: PLR0913, PLR0917 - what, by what, where
    path: Path,
    event_id: int,
    detector: DetectorName,
    language: str,
    target: str | None,
    settings: Settings,
    access: Access = OPEN,
    time_zone: str | None = None,
    network: Path | None = None,
) -> tuple[RawEvents, pb.ExplainResponse]:
    """Return the events of the file and why ``event_id`` of them got its scores, as `analyze_files` judges them.

    Raises:
        CommandError: the file cannot be used or has no such event, or the gateway cannot be reached or refused.
        SentinelError: the model cannot be used.
    """
    dialect = site_dialect(network, settings)
    raw = read_files([path], zones=site_zones(time_zone, settings), dialect=dialect)
    warn(raw.warnings)
    events = _judged_with(raw.events, event_id, path, settings.max_events_per_request)
    if target is None:
        return raw, await _embedded(events, event_id, detector, language, settings)
    await asyncio.to_thread(check_reachable, target, access)  # at once: calls wait for a gateway that comes back
    client = GatewayClient(target, access, words_of(dialect))
    try:
        return raw, await client.explain(events, event_id, detector, settings.asked_point, language)
    finally:
        await client.close()


def _judged_with(events: Events, event_id: int, path: Path, limit: int) -> Events:
    """Return the events among which `analyze_files` judges the asked one: companions matter."""
    for piece in split(events, limit) if len(events) else []:
        if (events.event_id[piece] == event_id).any():
            return events.take(piece)
    ids = f"{np.min(events.event_id)} to {np.max(events.event_id)}" if len(events) else "none"
    raise CommandError(f"{path} has no event {event_id}; its event ids are {ids}")


async def _embedded(
    events: Events, event_id: int, detector: DetectorName, language: str, settings: Settings
) -> pb.ExplainResponse:
    wiring = build_wiring(settings)
    try:
        judgement = await wiring.analyzer.analyze(events, detector, explain=True)
        return message_of(wiring.explainer, wiring.explainer.explain(judgement, language), events, event_id)
    finally:
        await wiring.close()
