"""Requests that are judged together get the answers that they get alone."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import pytest

from service.detect.detector import Judgement
from service.detect.passes import PASS_EVENTS, Passes
from service.errors import DeadlineExceeded
from service.events.columns import Events
from service.events.journeys import Journeys
from service.features import table as features
from service.features.case import View, join
from service.gateway.build import Wiring, build_wiring
from service.runtime.deadline import NEVER, Deadline
from service.runtime.timing import listening
from service.settings import Settings
from tests.support.worlds import code, journey, reference, to_events


def requests(count: int) -> list[Events]:
    """Return requests that share items, lots and event ids, one of them with damaged codes and unknown places."""
    rng = np.random.default_rng(3)
    made = []
    for number in range(count):
        serials = rng.choice(40, size=int(rng.integers(1, 12)), replace=False)
        scans = [scan for serial in serials for scan in journey(code(serial=int(serial)))]
        if number % 3 == 1:
            scans += [scan for at in range(3) for scan in journey(f"damaged {at}")]
        events = to_events(scans)
        if number % 3 == 2:
            events.location_id[rng.integers(len(events), size=3)] = rng.integers(900, 903, size=3)
        events.time_us[:] += rng.integers(0, 3, size=len(events)) * 3_600_000_000
        made.append(events)
    return made


def test_features_of_joined_requests_are_those_of_each_alone_to_the_last_bit() -> None:
    parts = requests(30)
    joined, scope = join(parts)
    journeys = Journeys.of(joined)
    together = np.empty((len(joined), len(features.NAMES)), dtype=np.float32)
    together[journeys.order] = features.compute(journeys, reference(), causal=False, scope=scope)
    first = 0
    for events in parts:
        alone_journeys = Journeys.of(events)
        alone = np.empty((len(events), len(features.NAMES)), dtype=np.float32)
        alone[alone_journeys.order] = features.compute(alone_journeys, reference(), causal=False)
        np.testing.assert_array_equal(together[first : first + len(events)], alone)
        first += len(events)


def test_concurrent_requests_share_passes_and_get_the_answers_of_single_ones() -> None:
    parts = requests(40)

    explained = [number % 3 != 0 for number in range(len(parts))]

    async def judge_all(run: Wiring) -> tuple[list[Judgement], list[Judgement]]:
        work = [
            partial(run.analyzer.analyze, events, explain=explain)
            for events, explain in zip(parts, explained, strict=True)
        ]
        return [await each() for each in work], await asyncio.gather(*(each() for each in work))

    passes: list[int] = []

    async def main() -> tuple[list[Judgement], list[Judgement]]:
        run = build_wiring(Settings(history="none"))
        try:
            return await judge_all(run)
        finally:
            await run.close()

    with listening(lambda stage, events, _wall_s, _cpu_s: passes.append(events) if stage == "features" else None):
        alone, together = asyncio.run(main())
    assert len(passes) < 1.5 * len(parts), "every request had a pass of its own"
    assert sum(passes) == 2 * sum(map(len, parts))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.flags, other.flags)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)  # of other batches of the model
    # Reasons are made of the case: that of a request is of its own events alone.
    for one, other, explain in zip(alone, together, explained, strict=True):
        assert (one.case is not None) == (other.case is not None) == explain
        if one.case is not None and other.case is not None:
            np.testing.assert_array_equal(one.case.features, other.case.features)
            np.testing.assert_array_equal(one.case.rows, other.case.rows)
            np.testing.assert_array_equal(one.case.journeys.order, other.case.journeys.order)
            assert one.case.journeys.events.epc_codes == other.case.journeys.events.epc_codes


def view(events: int) -> View:
    return View(to_events(journey(code(1)) * events).take(np.arange(events)), causal=False)


class Recorder:
    """Prepares and concludes in known times, and remembers the passes."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.passed = Passes(self.prepare, self.conclude)

    async def prepare(self, views: list[View]) -> list[View]:
        self.passes.append([len(one) for one in views])
        await asyncio.sleep(0.01)
        await self.go_on.wait()
        if any(len(one) == 14 for one in views):
            raise ValueError("14")
        return views

    async def conclude(self, views: list[View], _deadline: Deadline) -> list[int]:
        if any(len(one) == 13 for one in views):
            raise ValueError("13")
        return [len(one) for one in views]


def test_what_waits_goes_together_in_order_up_to_the_size_of_a_pass() -> None:
    async def main() -> list[list[int]]:
        recorder = Recorder()
        sizes = [1, 2, 3, PASS_EVENTS - 5, 4, PASS_EVENTS + 1, 5]
        answers = await asyncio.gather(*(recorder.passed.judge(view(size), NEVER) for size in sizes))
        assert answers == sizes
        return recorder.passes

    assert asyncio.run(main()) == [[1, 2, 3], [PASS_EVENTS - 5, 4], [PASS_EVENTS + 1], [5]]


def test_a_request_that_is_still_being_decoded_joins_the_pass_of_one_before_it() -> None:
    async def later(recorder: Recorder) -> int:
        await asyncio.sleep(0)  # as a call that has to read its message first
        return await recorder.passed.judge(view(2), NEVER)

    async def main() -> list[list[int]]:
        recorder = Recorder()
        assert await asyncio.gather(recorder.passed.judge(view(1), NEVER), later(recorder)) == [1, 2]
        return recorder.passes

    assert asyncio.run(main()) == [[1, 2]]


def test_expired_and_left_requests_are_never_prepared_and_failures_stay_in_their_pass() -> None:
    async def main() -> list[list[int]]:
        recorder = Recorder()
        recorder.go_on.clear()
        first = asyncio.create_task(recorder.passed.judge(view(1), NEVER))
        await asyncio.sleep(0.01)
        soon = Deadline.after(0.01)
        late = asyncio.create_task(recorder.passed.judge(view(2), soon))
        left = asyncio.create_task(recorder.passed.judge(view(3), NEVER))
        stays = asyncio.create_task(recorder.passed.judge(view(4), NEVER))
        while not soon.passed:
            await asyncio.sleep(0.01)
        left.cancel()
        recorder.go_on.set()
        with pytest.raises(DeadlineExceeded):
            await late
        assert await first == 1
        assert await stays == 4
        with pytest.raises(ValueError, match="13"):
            await recorder.passed.judge(view(13), NEVER)
        assert await recorder.passed.judge(view(5), NEVER) == 5
        return recorder.passes

    assert asyncio.run(main()) == [[1], [4], [13], [5]]


def test_a_request_that_cannot_be_prepared_fails_alone() -> None:
    """A damaged table or a value that is no number is one request's; the others of its pass have done nothing wrong."""

    async def main() -> list[list[int]]:
        recorder = Recorder()
        answers = await asyncio.gather(
            *(recorder.passed.judge(view(size), NEVER) for size in (1, 14, 2)), return_exceptions=True
        )
        assert [repr(answer) for answer in answers] == ["1", "ValueError('14')", "2"]
        assert await recorder.passed.judge(view(3), NEVER) == 3
        return recorder.passes

    assert asyncio.run(main()) == [[1, 14, 2], [1], [14], [2], [3]]
