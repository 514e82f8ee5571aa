"""Work that runs together: all results in order, or the first failure as itself."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import ModelUnavailable
from service.runtime.tasks import together


async def after(seconds: float, value: int) -> int:
    await asyncio.sleep(seconds)
    return value


def test_results_keep_the_order_of_the_work_which_runs_at_the_same_time() -> None:
    async def main() -> list[int]:
        async with asyncio.timeout(0.5):
            return await together(after(0.05 * (5 - number), number) for number in range(5))

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


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
