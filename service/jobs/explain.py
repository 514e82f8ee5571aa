"""Why events of raw files got their scores: one, for ``explain``, or those that incidents begin with."""

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
from service.events.codes import parse
from service.events.columns import Events
from service.gateway.build import build_wiring
from service.jobs.analyze import split
from service.jobs.positions import positions
from service.jobs.progress import warn
from service.jobs.stories import nearest_mates, stories
from service.jobs.zones import site_dialect, site_zones
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import RawEvents, read_files
from service.runtime.tasks import together
from service.settings import Settings

_MATES = 8
_MOST_EVENTS = 6  # of an item
_AT_ONCE = 2


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


async def explain_incidents(  # noqa: PLR0913, PLR0917 - of what, by what, where
    events: Events,
    response: pb.AnalyzeFilesResponse,
    detector: DetectorName,
    language: str,
    target: str | None,
    settings: Settings,
    access: Access = OPEN,
    network: Path | None = None,
    *,
    of_incidents: int,
) -> list[pb.ExplainResponse]:
    """Return why the items are flagged that so many incidents begin with, the largest, as the gateway ``target`` says.

    It judges each among a few of its mates: it is asked about one event at a time, and all others would be too many. Of
    rules nothing is asked: their causes say all. Where the gateway is away or refuses, a warning says so.
    """
    if target is None or detector is DetectorName.RULES:
        return []
    begins = dict.fromkeys(int(events.epc[story.first]) for story in stories(events, response)[:of_incidents])
    flagged: dict[int, list[int]] = {epc: [] for epc in begins}
    found = [one.event_id for answer in response.files for one in answer.event_history]
    for event_id, at in positions(events, found).items():
        if (epc := int(events.epc[at])) in flagged:
            flagged[epc].append(event_id)
    codes, turn = parse(events.epc_codes), asyncio.Semaphore(_AT_ONCE)

    async def told(epc: int) -> list[pb.ExplainResponse]:
        async with turn:
            asked = events.take(np.flatnonzero(np.isin(events.epc, [epc, *nearest_mates(codes, epc, _MATES)])))
            return [
                await client.explain(asked, event_id, detector, settings.asked_point, language)
                for event_id in flagged[epc][:_MOST_EVENTS]
            ]

    client = GatewayClient(target, access, words_of(site_dialect(network, settings)))
    try:
        return [one for answers in await together(map(told, flagged)) for one in answers]
    except CommandError as error:
        warn([f"Nothing says what moved the scores: {error}"])
        return []
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
