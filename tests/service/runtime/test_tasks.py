"""Work that runs together: all results in order, or the first failure as itself."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import ModelUnavailable
from service.runtime.tasks import together


def test_results_keep_the_order_of_the_work_which_runs_at_the_same_time() -> None:
    ended: list[int] = []

    async def main() -> list[int]:
        over = [asyncio.Event() for _ in range(6)]
        over[5].set()

        async def work(number: int) -> int:
            await over[number + 1].wait()  # for ever, if they ran one after the other
            ended.append(number)
            over[number].set()
            return number

        async with asyncio.timeout(20):
            return await together(work(number) for number in range(5))

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]
    assert ended == [4, 3, 2, 1, 0]


def test_the_first_failure_is_raised_as_itself_and_ends_the_others() -> None:
    ended = []

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise ModelUnavailable("down")

    with pytest.raises(ModelUnavailable, match="down"):
        asyncio.run(together([endless(), fails()]))
    assert ended == [True]
