"""Backends in the tests: random requests of the small model, and an event loop for one backend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from service.model.backend import Backend
from service.runtime.deadline import Deadline
from tests.servers.triton.fixture import FEATURES

F = len(FEATURES)
TIMEOUT_S = 10.0

Request = tuple[NDArray[np.float32], NDArray[np.int64]]


def soon() -> Deadline:
    """Return the deadline of a call that is expected to be answered."""
    return Deadline.after(TIMEOUT_S)


def random_request(B: int, T: int = 8, seed: int = 0) -> Request:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(B, T, F)).astype(np.float32)
    features[:, :, 0] = rng.integers(0, 2, size=(B, 1))  # both modes
    return features, rng.integers(1, T + 1, size=(B, 1))


def using(backend: Backend, work: Callable[[Backend], Awaitable[None]]) -> None:
    """Run ``work`` with ``backend`` in a new event loop, then close the backend."""

    async def run() -> None:
        try:
            await work(backend)
        finally:
            await backend.close()

    asyncio.run(run())
