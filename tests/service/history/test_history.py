"""Events judged as they happen, with the bundled model: the same answers however they are cut, repeated or spread."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from service.api.requests import encode_request
from service.detect.analyzer import Analyzer
from service.detect.detector import Judgement
from service.errors import UnusableFeatures
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.features.case import View
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.gateway.build import build_wiring
from service.history.history import Memory
from service.history.in_process import MemoryStore
from service.history.items import ALL_ITEMS
from service.history.store import RECORD, Exchange
from service.history.valkey import ValkeyStore
from service.model import repository as registry
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.settings import load_settings
from tests.servers.valkey import Valkey, stored
from tests.support import worlds
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import wait_for
from tests.support.requests import many
from training.datasets.dataset import load
from training.simulation.world import simulate

TOLERANCE = 1e-5

Scores = dict[int, NDArray[np.float32]]
"""event_id -> [5]."""


def analyzer(history: str = "none", **settings: object) -> Analyzer:
    """Return a gateway's analyzer with the bundled model; each has an index of its own."""
    onnx = f"onnx:{ROOT / 'model_repository'}"
    return build_wiring(load_settings(backend=onnx, history=history, history_timeout_s=5, **settings)).analyzer


async def follow(analyzers: list[Analyzer], batches: list[Events]) -> list[Judgement]:
    """Send the batches one after another, to the analyzers in turn."""
    judgements = []
    for at, batch in enumerate(batches):
        judgements.append(await analyzers[at % len(analyzers)].follow(batch))
        assert not judgements[-1].warning
    for one in analyzers:
        await one.close()
    return judgements


def same(scores: Scores, batches: list[Events], judgements: list[Judgement], gateways: int = 1) -> None:
    """Assert that every answer has the scores of its events.

    Of traffic each gateway knows what it has seen, so where several share the work, some scores differ a little.
    """
    ids = np.concatenate([batch.event_id for batch in batches])
    got = np.concatenate([judgement.scores for judgement in judgements])
    off = np.abs(got - np.array([scores[event_id] for event_id in ids.tolist()])).max(axis=1)
    if gateways == 1:
        assert not (off > TOLERANCE).any(), f"other scores of the events {ids[off > TOLERANCE]}"
    else:
        assert (off > 0.1).mean() < 0.01


def cut(events: Events, size: int) -> list[Events]:
    """Cut events, in the order of time, into parts of so many, and a few more: a second is one moment, kept whole."""
    second = events.time_us // 1_000_000
    ends = np.append(np.flatnonzero(np.diff(second)) + 1, len(events))
    parts, begin = [], 0
    while begin < len(events):
        end = int(ends[np.searchsorted(ends, min(begin + size, len(events)))])
        parts.append(events.take(np.arange(begin, end)))
        begin = end
    return parts


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Events:
    """The events of some lots of a simulated world, in the order of time."""
    folder = tmp_path_factory.mktemp("world")
    simulate(folder, 1_500, seed=11)
    events = load(folder).events
    return events.take(np.lexsort((events.event_id, events.time_us)))


@pytest.fixture(scope="module")
def truth(world: Events) -> Scores:
    """The causal scores of the world judged in one request, without any history."""
    judgement = asyncio.run(analyzer().follow(world))
    assert 0.02 < judgement.flags.any(axis=1).mean() < 0.5
    return dict(zip(world.event_id.tolist(), judgement.scores, strict=True))


Make = Callable[[], list[Analyzer]]


@pytest.fixture(params=["memory", "one gateway on Valkey", "two gateways on Valkey"])
def gateways(request: pytest.FixtureRequest) -> Iterator[Make]:
    """How to make gateways with one empty memory in common."""
    if request.param == "memory":
        yield lambda: [analyzer("memory")]
        return
    with Valkey() as server:
        yield lambda: [analyzer(server.url) for _ in range(1 + request.param.startswith("two"))]


def test_chunks_retries_and_duplicates_change_no_score(world: Events, truth: Scores, gateways: Make) -> None:
    """Batches of 7, of which 20 % are sent again (two thirds of them to the other gateway) and 10 % of events twice."""
    rng = np.random.default_rng(5)
    batches: list[Events] = []
    sent = 0
    used = gateways()
    for chunk in cut(world if len(used) > 1 else world.take(np.arange(1_500)), 7):
        twice = np.flatnonzero(rng.random(sent) < 0.1 * 7 / max(sent, 1)) if sent else np.zeros(0, dtype=np.intp)
        places = np.concatenate([np.arange(sent, sent + len(chunk)), twice])
        batches.append(world.take(rng.permutation(places)))
        sent += len(chunk)
        if rng.random() < 0.2:
            batches.append(batches[rng.integers(max(0, len(batches) - 20), len(batches))])
    same(truth, batches, asyncio.run(follow(used, batches)), len(used))


def test_single_events_get_the_scores_of_a_request(world: Events, truth: Scores, gateways: Make) -> None:
    [*first, rest] = cut(world.take(np.arange(len(cut(world, 3_000)[0]) + 200)), 500)
    batches = [*first, *cut(rest, 1)[:-1]]  # the last second may be cut
    used = gateways()
    same(truth, batches, asyncio.run(follow(used, batches)), len(used))


def test_events_of_one_item_by_two_gateways_at_once(world: Events) -> None:
    """Both gateways send at once, each every second event of all items; nothing is lost and nothing counts twice."""
    some = world.take(np.arange(700))

    async def send(one: Analyzer, events: Events) -> None:
        for batch in cut(events, 10):
            assert "unavailable" not in (await one.follow(batch)).warning

    async def race(url: str) -> tuple[Judgement, Judgement, Judgement]:
        pair = [analyzer(url), analyzer(url)]
        await asyncio.gather(*(send(one, some.take(np.arange(at, 700, 2))) for at, one in enumerate(pair)))
        await asyncio.gather(*(send(one, some.take(np.arange(200))) for one in pair))  # and once more, the same ones
        again = [await one.follow(some) for one in pair]
        fresh = analyzer(url)
        last = await fresh.follow(some)
        for one in (*pair, fresh):
            await one.close()
        return *again, last

    with Valkey() as server:
        first, second, third = asyncio.run(race(server.url))
        assert stored(server.url, some) == sorted(zip(some.event_id.tolist(), some.epc.tolist(), strict=True))
        assert items_of(server.url) == len(some.epc_codes), "each item is counted once"
    assert np.abs(first.scores - second.scores).max() <= TOLERANCE
    assert np.abs(first.scores - third.scores).max() <= TOLERANCE


def items_of(url: str) -> int:
    """Return how many items the store has counted."""

    async def read() -> int:
        store = ValkeyStore(url, ttl_s=9, timeout_s=5)
        reply = await store.exchange(Exchange([], [ALL_ITEMS]))
        await store.close()
        return reply.items[0]

    return asyncio.run(read())


def test_damaged_companions_of_the_history_are_a_named_error(world: Events) -> None:
    model = registry.load(ROOT / "model_repository", None, feature_spec_hash=feature_spec_hash())
    reference = Reference.from_json(model.manifest.reference)
    store = MemoryStore(max_events=10_000, ttl_s=3_600)
    batch = world.take(np.arange(50))

    async def again() -> None:
        await Memory(store, reference, max_events=10_000).recall(View(batch, causal=True))

    asyncio.run(again())
    for log in store._logs.values():
        records = np.frombuffer(bytes(log.records), dtype=RECORD).copy()
        records["companions"] = np.nan
        log.records[:] = records.tobytes()
    with pytest.raises(UnusableFeatures, match=r"event_id \d+"):
        asyncio.run(again())


def test_a_memory_is_bounded_and_goes_on(world: Events) -> None:
    """Past its size the index begins anew, and reads again what the store still has, which is bounded too."""
    model = registry.load(ROOT / "model_repository", None, feature_spec_hash=feature_spec_hash())
    memory = Memory(
        MemoryStore(max_events=300, ttl_s=3_600), Reference.from_json(model.manifest.reference), max_events=300
    )

    async def scenario() -> list[int]:
        sizes = []
        for batch in cut(world.take(np.arange(1_500)), 50):
            recalled = await memory.recall(View(batch, causal=True))
            assert recalled.view.given is not None
            assert not recalled.warning
            sizes.append(len(memory))
        return sizes

    sizes = asyncio.run(scenario())
    assert 300 < max(sizes) <= 2 * (300 + 50)
    assert sizes[-1] < 700


def test_late_events_are_judged_in_their_place_and_earlier_answers_stand(gateways: Make) -> None:
    events = worlds.to_events(worlds.shipment(worlds.ROUTE, range(4_000, 4_006)))
    events = events.take(np.lexsort((events.event_id, events.time_us)))
    late = np.isin(events.event_type, [2, 5])
    on_time, later = events.take(~late), events.take(late)

    async def scenario() -> None:
        [one, *others] = gateways()
        first, second = await one.follow(on_time), await one.follow(later)
        assert not first.warning
        assert "12 of these events came after later events of their items" in second.warning
        assert not second.degraded
        last = [one, *others][-1]
        for batch, judgement in ((later, second), (on_time, first), (events, None)):
            again = await last.follow(batch)
            if judgement is None:
                assert np.abs(again.scores[late] - second.scores).max() <= TOLERANCE
                assert np.abs(again.scores[~late] - first.scores).max() <= TOLERANCE
            else:
                assert np.abs(again.scores - judgement.scores).max() <= TOLERANCE
                assert again.warning == judgement.warning
        for used in (one, *others):
            await used.close()

    asyncio.run(scenario())


def test_a_late_event_sees_the_events_before_it_only(gateways: Make) -> None:
    """Alone in the world, so that no mates blur it: the late event is judged as if the later ones were not there."""
    events = worlds.to_events(worlds.journey(worlds.code(4_000))[:6])

    async def scenario() -> None:
        [one, *others] = gateways()
        alone = (await analyzer().follow(events.take(np.arange(3)))).scores[2]
        await one.follow(events.take(np.array([0, 1, 3, 4])))
        late = await one.follow(events.take(np.array([2])))
        assert np.abs(late.scores[0] - alone).max() <= 0.02, "what it did later is traffic, and counts as such"
        after = (await analyzer().follow(events)).scores[5]
        assert np.abs((await one.follow(events.take(np.array([5])))).scores[0] - after).max() <= 0.001
        for used in (one, *others):
            await used.close()

    asyncio.run(scenario())


def test_an_id_with_other_contents_is_a_new_event_and_the_answer_says_so(gateways: Make) -> None:
    """Rows of two files are numbered from 1 each: the second file holds what the items did next."""
    first = worlds.to_events(worlds.shipment(worlds.ROUTE, range(4_000, 4_004)))
    first = first.take(np.lexsort((first.event_id, first.time_us)))
    halves = [first.take(np.arange(20)), first.take(np.arange(20, 40))]
    ids = np.arange(1, 21)
    numbered = [replace(halves[0], event_id=ids), replace(halves[1], event_id=np.concatenate([[20], ids[1:-1], [1]]))]

    async def scenario() -> None:
        one, *others = gateways()
        last, whole = [one, *others][-1], await analyzer().follow(first)
        answers = [await one.follow(half) for half in numbered]
        again = [await last.follow(half) for half in numbered]
        retrospective = await last.analyze(numbered[1], history=True)
        for used in (one, *others):
            await used.close()
        assert not answers[0].warning
        for answer in (answers[1], again[1], retrospective):
            assert answer.warning.startswith("18 of these events have an event_id that another event")
        assert not answers[1].degraded
        for half, answer, repeated in zip(range(2), answers, again, strict=True):
            assert np.abs(answer.scores - whole.scores[20 * half : 20 * half + 20]).max() <= TOLERANCE, half
            assert np.abs(answer.scores - repeated.scores).max() <= TOLERANCE, half

    asyncio.run(scenario())


@pytest.mark.parametrize("column", ["time_us", "location_id", "event_type", "step"])
def test_whatever_differs_makes_a_new_event(column: str) -> None:
    model = registry.load(ROOT / "model_repository", None, feature_spec_hash=feature_spec_hash())
    store = MemoryStore(max_events=300, ttl_s=3_600)
    memory = Memory(store, Reference.from_json(model.manifest.reference), max_events=300)
    events = worlds.to_events(worlds.journey(worlds.code(4_000))[:3])
    other = events.take(np.array([2]))
    getattr(other, column)[0] += 1

    async def scenario() -> None:
        await memory.remember(events)
        for batch, known, reused in ((events, 3, 0), (other, 4, 1), (other, 4, 1), (events, 4, 0)):
            assert (await memory.remember(batch)).reused == reused
            assert len(memory) == known

    asyncio.run(scenario())


def test_the_second_half_of_journeys_is_judged_with_the_first_half_known(world: Events, gateways: Make) -> None:
    some = world.take(np.flatnonzero(np.isin(world.epc, world.epc[:400])))
    half = len(some) // 2
    first, second = some.take(np.arange(half)), some.take(np.arange(half, len(some)))

    async def scenario() -> None:
        whole = await analyzer().analyze(some)
        [one, *others] = gateways()
        blind = await one.analyze(second)
        await one.analyze(first, history=True)
        known = await [one, *others][-1].analyze(second, history=True)
        assert not known.warning
        assert (np.abs(blind.scores - whole.scores[half:]) > 0.2).any(), "the first half matters"
        # Mates that never scan again are not in the second request, so a few scores may differ.
        assert (np.abs(known.scores - whole.scores[half:]).max(axis=1) < 0.05).mean() > 0.95
        for used in (one, *others):
            await used.close()

    asyncio.run(scenario())


def test_a_forged_code_is_found_at_its_first_scan() -> None:
    forged = worlds.Scan("not a code", "HUB_Inbound", 13, worlds.START + timedelta(hours=1))
    events = worlds.to_events([*worlds.shipment(worlds.ROUTE, range(4_000, 4_004)), forged])
    judgement = asyncio.run(analyzer().follow(events))
    assert judgement.flags[-1, KINDS.index("epcFake")]
    assert judgement.method == "lstm-deep-learning"


# --- the history's server fails ------------------------------------------------------------------------------------


def test_answers_go_on_without_history_and_have_it_again_when_it_is_back() -> None:
    events = worlds.to_events(worlds.shipment(worlds.ROUTE, range(4_000, 4_004)))
    events = events.take(np.lexsort((events.event_id, events.time_us)))
    first, second = cut(events, 20)

    async def scenario(server: Valkey) -> None:
        onnx = f"onnx:{ROOT / 'model_repository'}"
        # No busy machine misses this time-out, and who waits for a dead server waits for all of it.
        wiring = build_wiring(load_settings(backend=onnx, history=server.url, history_timeout_s=5))
        one, store = wiring.analyzer, wiring.store
        assert store is not None
        loop = asyncio.get_running_loop()
        known = await one.follow(first)
        server.kill()
        alone = (await analyzer().follow(second)).scores
        for attempt in range(5):
            started = loop.time()
            blind = await one.follow(second)
            assert loop.time() - started < 4
            assert "The history is unavailable" in blind.warning
            assert blind.degraded
            assert str(server.port) not in blind.warning
            assert np.abs(blind.scores - alone).max() <= TOLERANCE, attempt
        retrospective = await one.analyze(second, history=True)
        assert "The history is unavailable" in retrospective.warning
        server.start()  # without its data: clients send everything again
        await store.ping()  # as the gateway does all the time
        again = await one.follow(first)
        assert not again.warning
        assert np.abs(again.scores - known.scores).max() <= TOLERANCE
        whole = (await analyzer().follow(events)).scores
        assert np.abs((await one.follow(second)).scores - whole[len(first) :]).max() <= TOLERANCE
        await one.close()

    with Valkey() as server:
        asyncio.run(scenario(server))


def test_a_caller_who_leaves_harms_nobody() -> None:
    """Calls are cancelled at any moment; what was begun is stored once, and a retry gets its answer."""
    events = worlds.to_events(worlds.shipment(worlds.ROUTE, range(4_000, 4_010)))
    events = events.take(np.lexsort((events.event_id, events.time_us)))

    async def scenario(server: Valkey) -> None:
        other = worlds.to_events(worlds.journey(worlds.code(1, lot=worlds.OTHER_LOT)))
        one, undisturbed = analyzer(server.url), analyzer("memory")
        for each in (one, undisturbed):
            await each.follow(other)
        for at, batch in enumerate(cut(events, 5)):
            leaving = asyncio.create_task(one.follow(batch))
            await asyncio.sleep(0.0007 * at)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await one.follow(batch)
        whole = (await undisturbed.follow(events)).scores
        again = await one.follow(events)
        assert np.abs(again.scores - whole).max() <= 1e-5
        await one.close()

    with Valkey() as server:
        asyncio.run(scenario(server))
        assert len(stored(server.url, events)) == len(events)
        assert items_of(server.url) == len(events.epc_codes) + 1


def test_the_gateway_says_that_its_history_is_down_and_serves_on(start_gateway: Callable[..., Gateway]) -> None:
    def warning(target: str, events: int) -> str:
        batch = many(events).SerializeToString()
        with grpc.insecure_channel(target) as channel:
            stream = channel.stream_stream("/epcsentinel.v1.AnomalyService/AnalyzeStream")
            [answer] = stream(iter([batch]), timeout=30)
            return pb.AnalyzeResponse.FromString(answer).warning

    with Valkey() as server:
        running = start_gateway("--history", server.url, "--probe-interval-s", "0.2")
        wait_for(lambda: warning(running.target, 10) == "")  # a busy machine may miss a time-out of 0.1 s
        server.kill()
        assert warning(running.target, 10) == "", "these events were judged and stored: the answer stands"
        assert "The history is unavailable" in warning(running.target, 20)
        assert running.health() == "SERVING"
        running.wait_log("history degraded")
        server.start()
        running.wait_log("history ready")
        wait_for(lambda: warning(running.target, 20) == "")
        server.kill(signal.SIGSTOP)  # it hangs while the gateway stops
        running.terminate()
        assert running.wait() == 0
        assert running.log()[-1]["event"] == "stopped"
        assert not [line for line in running.log() if line["event"] == "no end in time"]


def test_two_gateways_judge_events_of_the_same_items_at_once(start_gateway: Callable[..., Gateway]) -> None:
    """Real processes, each sends its half of every item's events; then each repeats the half of the other."""
    events = worlds.to_events(worlds.shipment(worlds.ROUTE, range(4_000, 4_015)))
    events = events.take(np.lexsort((events.event_id, events.time_us)))

    def send(target: str, part: Events) -> None:
        batches = [encode_request(batch, "lstm").SerializeToString() for batch in cut(part, 5)]
        with grpc.insecure_channel(target) as channel:
            stream = channel.stream_stream("/epcsentinel.v1.AnomalyService/AnalyzeStream")
            answers = [pb.AnalyzeResponse.FromString(answer) for answer in stream(iter(batches), timeout=120)]
        assert len(answers) == len(batches)
        assert not [answer.warning for answer in answers if "unavailable" in answer.warning]

    with Valkey() as server, ThreadPoolExecutor() as threads:
        targets = [start_gateway("--history", server.url, "--history-timeout-s", "5").target for _ in range(2)]
        halves = [events.take(np.arange(at, len(events), 2)) for at in range(2)]
        for order in (halves, halves[::-1]):
            list(threads.map(send, targets, order))
        assert stored(server.url, events) == sorted(zip(events.event_id.tolist(), events.epc.tolist(), strict=True))
        assert items_of(server.url) == len(events.epc_codes)
