"""How much one caller, and all together, may ask for: calls and streams at a time, calls and events per second."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import Overloaded

_REMEMBERED = 10_000
"""Callers whose balance is kept. Anonymous ones are as many as there are addresses; the longest silent is forgotten."""

_FULL_RETRY_S = 0.5


class Rate:
    """A token bucket per caller: ``per_s`` a second, saved up for ``burst_s`` seconds.

    A request that costs more than can be saved up passes when the balance is full, and the rest is a debt: so none is
    too large to pass ever, and the long-term rate holds all the same.
    """

    def __init__(self, what: str, per_s: float, burst_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """Args: ``what`` is counted, for messages; ``now_s`` is a clock in seconds."""
        self._what = what
        self._per_s = per_s
        self._most = per_s * burst_s
        self._now_s = now_s
        self._balances: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller: balance, and when it was that

    def spend(self, who: str, cost: float) -> None:
        """Take ``cost`` from the balance of ``who``.

        Raises:
            Overloaded: there is not enough; says when there will be.
        """
        now_s = self._now_s()
        balance, since_s = self._balances.get(who, (self._most, now_s))
        balance = min(self._most, balance + (now_s - since_s) * self._per_s)
        needed = min(cost, self._most)
        if balance < needed:
            wait_s = max((needed - balance) / self._per_s, 0.001)
            raise Overloaded(f"more than {self._per_s:g} {self._what} per second", retry_after_s=wait_s)
        self._balances[who] = (balance - cost, now_s)
        self._balances.move_to_end(who)
        if len(self._balances) > _REMEMBERED:
            self._balances.popitem(last=False)


class Slots:
    """So many at a time: of all callers together, and of each of them."""

    def __init__(self, what: str, total: int, per_caller: int | None = None) -> None:
        """Args: ``what`` is counted, for messages; ``per_caller`` None is no limit of its own."""
        self._what = what
        self._total = total
        self._per_caller = math.inf if per_caller is None else per_caller
        self._taken: Counter[str] = Counter()
        self._sum = 0

    @contextmanager
    def taken(self, who: str) -> Iterator[None]:
        """Hold a slot.

        Raises:
            Overloaded: there is none left.
        """
        if self._taken[who] >= self._per_caller:
            raise Overloaded(f"more than {self._per_caller} {self._what} of one caller at a time", _FULL_RETRY_S)
        if self._sum >= self._total:
            raise Overloaded(
                f"the gateway has no room for more than {self._total} {self._what} at a time", _FULL_RETRY_S
            )
        self._taken[who] += 1
        self._sum += 1
        try:
            yield
        finally:
            self._sum -= 1
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]
