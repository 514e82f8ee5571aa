"""Looks back at events that were judged before: the features are those of whoever knew all events at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from service.events.columns import Events
from service.features.case import Case, View, join
from service.history import hindsight
from service.history.history import Memory
from service.history.in_process import MemoryStore
from service.history.valkey import ValkeyStore
from tests.servers.valkey import Valkey
from tests.service.history.memories import memory, reference
from tests.support import worlds
from tests.support.worlds import Scan, code, to_events

MALFORMED = ("", "forged", "001.8804823.1293291.FORGED", "?", "#" * 40, "한글" * 20)


def events() -> Events:
    """Return two lots, and scans of malformed codes, in the order of time."""
    odd = [Scan(text, "HUB_Inbound", 13, worlds.START + timedelta(hours=at)) for at, text in enumerate(MALFORMED)]
    odd += [replace(scan, event_type="HUB_Outbound", time=scan.time + timedelta(days=1)) for scan in odd]
    made = to_events([*worlds.normal_scans(), Scan(code(4_001), "HUB_Inbound", 14, worlds.START), *odd])
    return made.take(np.lexsort((made.event_id, made.time_us)))


def whole(known: Events, asked: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the retrospective features of the ``asked`` events among all that are known."""
    case = Case.of(known, reference(), causal=False, asked=np.asarray(asked))
    return case.features[case.rows]


def seen(view: View) -> NDArray[np.float32]:
    assert view.given is not None
    assert view.given.journeys.events.event_id[view.given.rows].tolist() == view.events.event_id.tolist()
    return view.given.features[view.given.rows]


@pytest.fixture(params=["memory", "two gateways on Valkey"])
def gateways(request: pytest.FixtureRequest) -> Iterator[list[Memory]]:
    """A gateway that remembers events, and one that looks back, which may be the same."""
    if request.param == "memory":
        one = memory(MemoryStore(max_events=100_000, ttl_s=1e6), 100_000)
        yield [one, one]
        return
    with Valkey() as server:
        yield [memory(ValkeyStore(server.url, ttl_s=1e6, timeout_s=5), 100_000) for _ in range(2)]


@pytest.mark.parametrize("most", [1, 100_000])
def test_it_is_what_one_request_with_all_events_knows(
    gateways: list[Memory], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not all fits into one look, traffic and products are those of the lots that do; mates are always whole."""
    monkeypatch.setattr(hindsight, "AROUND", most)
    known = events()
    rng = np.random.default_rng(1)
    places = rng.permutation(len(known))[:60]
    parts = [known.take(part) for part in (places[:20], places[20:], places[:5])]  # some are asked for twice

    async def look_back() -> View:
        for begin in range(0, len(known), 50):
            await gateways[0].remember(known.take(np.arange(begin, min(begin + 50, len(known)))))
        recalled = await gateways[1].look_back(View(join(parts)[0], causal=False))
        for one in gateways:
            await one.close()
        assert (recalled.warning, recalled.unavailable) == ("", False)
        return recalled.view

    got, asked = seen(asyncio.run(look_back())), np.concatenate([places, places[:5]])
    lots = np.array([text if text in MALFORMED else text[:26] for text in known.epc_codes])[known.epc]
    if gateways[0] is not gateways[1]:  # the other one has read the lots that it was asked for
        of_lots = np.isin(lots, lots[asked])
        known, lots, asked = known.take(of_lots), lots[of_lots], (np.cumsum(of_lots) - 1)[asked]
    if most > len(known):
        expected = whole(known, asked)
    else:
        expected = np.empty_like(got)
        for lot in np.unique(lots[asked]):
            mine = np.flatnonzero(lots == lot)
            here = lots[asked] == lot
            expected[here] = whole(known.take(mine), np.searchsorted(mine, asked[here]))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_events_that_are_not_stored_are_known_by_themselves() -> None:
    known = events()
    one = memory(MemoryStore(max_events=100_000, ttl_s=1e6), 100_000)
    recalled = asyncio.run(one.look_back(View(known, causal=False)))
    np.testing.assert_allclose(seen(recalled.view), whole(known, np.arange(len(known))), atol=1e-5)
    assert len(one) == 0, "nothing is stored"
