"""A backend around another one: a model that hangs, fails or answers wrongly costs a budget of time, never calls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, ModelUnavailable, WrongModel
from service.model.backend import Backend, probe
from service.model.breaker import Breaker
from service.model.manifest import Manifest
from service.runtime.deadline import Deadline


class GuardedBackend:
    """Asks the model as long as it answers, in time, and as its golden probe says."""

    def __init__(self, backend: Backend, manifest: Manifest, breaker: Breaker, budget_s: float | None) -> None:
        """Args: ``budget_s`` is what an inference call may take; None is no limit of its own."""
        self.breaker = breaker
        self._backend = backend
        self._manifest = manifest
        self._budget_s = budget_s

    @property
    def any_length(self) -> bool:
        """See `Backend.any_length`."""
        return self._backend.any_length

    async def infer(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], deadline: Deadline
    ) -> NDArray[np.float32]:
        """See `Backend.infer`.

        Raises:
            ModelUnavailable: also if the model took more than its budget, or failed a moment ago.
        """
        self.breaker.enter()
        try:
            probabilities = await self._backend.infer(features, lengths, deadline.within(self._budget_s))
        except DeadlineExceeded:
            if deadline.passed:
                self.breaker.left()
                raise
            await self._failed(reason := f"the model did not answer within {self._budget_s:g} s", hung=True)
            raise ModelUnavailable(reason) from None
        except ModelUnavailable as error:
            await self._failed(str(error))
            raise
        except BaseException:  # the caller left
            self.breaker.left()
            raise
        self.breaker.succeeded()
        return probabilities

    async def probe(self) -> None:
        """Run the golden probe; what it finds decides whether the model is asked.

        Raises:
            ModelUnavailable: as `probe`.
        """
        try:
            await probe(self._backend, self._manifest)
        except WrongModel as error:
            self.breaker.probed(str(error))
            raise
        except ModelUnavailable as error:
            await self._failed(str(error))
            raise
        self.breaker.probed()

    async def renew(self) -> None:
        """See `Backend.renew`."""
        await self._backend.renew()

    async def close(self) -> None:
        """See `Backend.close`."""
        await self._backend.close()

    async def _failed(self, reason: str, *, hung: bool = False) -> None:
        if self.breaker.failed(
            reason, hung=hung
        ):  # perhaps it is the connection alone that is dead, and nobody has told us
            await self._backend.renew()
