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

    @property
    def on_trial(self) -> bool:
        """See `Backend.on_trial`."""
        return self.breaker.is_open

    async def infer(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], deadline: Deadline
    ) -> NDArray[np.float32]:
        """See `Backend.infer`.

        Raises:
            ModelUnavailable: also if the model took more than its budget, or failed a moment ago.
        """
        trial, limit = self.breaker.enter(), deadline.within(self._budget_s)
        try:
            probabilities = await self._backend.infer(features, lengths, limit)
        except DeadlineExceeded:
            if limit is deadline:  # the caller's own; the clock cannot tell, as uvloop's timers come a bit early
                self.breaker.left(trial)
                raise
            await self._failed(reason := f"the model did not answer within {self._budget_s} s", trial=trial, hung=True)
            raise ModelUnavailable(reason) from None
        except ModelUnavailable as error:
            await self._failed(str(error), trial=trial)
            raise
        except BaseException:  # the caller left
            self.breaker.left(trial)
            raise
        self.breaker.succeeded()
        return probabilities

    async def probe(self) -> None:
        """Run the golden probe; what it finds decides whether the model is asked.

        Raises:
            ModelUnavailable: as `probe`.
        """
        try:
            await self._backend.prepare()
            await probe(self._backend, self._manifest)
        except WrongModel as error:
            self.breaker.probed(str(error))
            raise
        except ModelUnavailable as error:
            await self._failed(str(error))
            raise
        self.breaker.probed()

    async def prepare(self) -> None:
        """See `Backend.prepare`."""
        await self._backend.prepare()

    async def retire(self) -> None:
        """See `Backend.retire`."""
        await self._backend.retire()

    async def renew(self) -> None:
        """See `Backend.renew`."""
        await self._backend.renew()

    async def close(self) -> None:
        """See `Backend.close`."""
        await self._backend.close()

    async def _failed(self, reason: str, *, trial: bool = False, hung: bool = False) -> None:
        if self.breaker.failed(reason, hung=hung, trial=trial):  # perhaps it is the connection alone that is dead
            await self._backend.renew()
