"""The stages of a request are timed once, where they run."""

from __future__ import annotations

import asyncio
import time

import pytest

from service.api.requests import decode_request, encode_request
from service.api.responses import build_responses
from service.gateway.build import build_wiring
from service.runtime import timing
from service.runtime.timing import STAGES, listening, timed
from service.settings import Settings
from tests.support.worlds import code, journey, to_events

Heard = list[tuple[str, int, float, float]]


def listen_to(heard: Heard) -> timing.Listener:
    return lambda *spent: heard.append(spent)


def test_wall_and_processor_time_are_told_apart() -> None:
    heard: Heard = []
    with listening(listen_to(heard)), timed("pad", 7):
        time.sleep(0.05)
    ((stage, events, wall_s, cpu_s),) = heard
    assert (stage, events) == ("pad", 7)
    assert wall_s >= 0.05
    assert cpu_s < 0.02


def test_nothing_is_heard_outside_or_of_what_failed() -> None:
    heard: Heard = []
    with timed("pad", 1), listening(listen_to(heard)):
        pass  # began before anybody listened
    with listening(listen_to(heard)), pytest.raises(ValueError, match="x"), timed("pad", 1):
        raise ValueError("x")
    with timed("pad", 1):
        pass
    assert heard == []


def test_a_request_passes_every_stage_with_all_its_events() -> None:
    events = to_events([scan for serial in range(8) for scan in journey(code(serial=serial))])
    raw = encode_request(events, "lstm").SerializeToString()
    heard: Heard = []

    async def answer() -> None:
        wiring = build_wiring(Settings(history="none"))
        try:
            question = decode_request(raw, max_events=1_000, one_file=True)
            build_responses(question.events, await wiring.analyzer.analyze(question.events))
        finally:
            await wiring.close()

    with listening(listen_to(heard)):
        asyncio.run(answer())
    assert {stage for stage, *_ in heard} == set(STAGES) - {"respond"}  # the servicer's, with the serialising
    for stage in STAGES[:-1]:
        assert sum(count for name, count, *_ in heard if name == stage) == len(events), stage
