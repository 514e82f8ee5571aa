"""One deadline: made once, asked anywhere, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from service.errors import DeadlineExceeded
from service.runtime.deadline import NEVER, Deadline, latest


def test_what_is_left_shrinks_to_nothing_and_never_below() -> None:
    async def main() -> None:
        soon, later = Deadline.after(0.05), Deadline.after(60)
        assert 0 < (later.left_s or 0) <= 60
        assert not later.passed
        await asyncio.sleep(0.08)
        assert soon.left_s == 0.0
        assert soon.passed
        assert Deadline.after(-1).left_s == 0.0
        assert Deadline.after(None) is NEVER
        assert (NEVER.left_s, NEVER.passed) == (None, False)

    asyncio.run(main())


async def kept(deadline: Deadline, work: Awaitable[object], ended: list[bool]) -> None:
    """Do the work under the deadline, and note that it ended."""
    async with deadline.enforced("too late"):
        try:
            await work
        finally:
            ended.append(True)


async def fails() -> None:
    raise KeyError


def test_work_that_takes_longer_is_cancelled_with_our_error_and_other_errors_are_left_alone() -> None:
    async def main() -> None:
        ended = []
        with pytest.raises(DeadlineExceeded, match="too late"):
            await kept(Deadline.after(0.02), asyncio.sleep(10), ended)
        with pytest.raises(KeyError):
            await kept(Deadline.after(10), fails(), ended)
        await kept(NEVER, asyncio.sleep(0), ended)
        assert ended == [True, True, True]

    asyncio.run(main())


def test_the_latest_is_the_one_until_which_somebody_waits() -> None:
    early, late = Deadline(1.0), Deadline(2.0)
    assert latest([late, early]) == late
    assert latest([early, NEVER]) is NEVER
