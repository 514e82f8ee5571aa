"""A circuit breaker: a model that fails is left alone for a moment, and then tried with a single call.

States and their names are those of the pattern (Nygard, Release It!, 2007). *Closed*: every call goes through. *Open*:
none does, so that nobody waits for a model that does not answer. *Half-open*: after a rest one call, the trial, goes
through; it closes the breaker or opens it again. A model whose golden probe came out wrong answers quickly, and
wrongly: no trial can tell, so the breaker stays open until a probe comes out right.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from service.errors import ModelUnavailable

FAILURES = 2
"""Calls in a row that open the breaker: one may be an accident."""

REST_S = 1.0
"""Seconds between a failure and the next trial."""

log = structlog.get_logger("epc_sentinel.breaker")


class Breaker:
    """Says whether a model may be asked; for one thread, that of the event loop."""

    def __init__(self, model: str, rest_s: float = REST_S, now_s: Callable[[], float] = time.monotonic) -> None:
        """Args: ``model`` is its name and version, for the log; ``now_s`` is a clock in seconds."""
        self._model, self._rest_s, self._now_s = model, rest_s, now_s
        self._failures = 0
        self._rests_until_s = 0.0
        self._trial = False  # one is on its way
        self._wrong = ""  # what the last probe found, if it was wrong
        self._reason = ""

    @property
    def is_open(self) -> bool:
        """Whether calls are turned away, but for a trial now and then."""
        return bool(self._wrong) or self._failures >= FAILURES

    def enter(self) -> bool:
        """Let a call through, which has to tell how it ended; return whether it is the trial.

        Raises:
            ModelUnavailable: it may not; says why.
        """
        if self._wrong:
            raise ModelUnavailable(self._wrong)
        if self._failures < FAILURES:
            return False
        if self._trial or self._now_s() < self._rests_until_s:
            raise ModelUnavailable(self._reason)
        self._trial = True
        return True

    def succeeded(self) -> None:
        """Take note of a call that was answered."""
        was_open, self._failures, self._trial = self.is_open, 0, False
        if was_open and not self.is_open:
            log.info("the model is asked again", model=self._model)

    def failed(self, reason: str, *, hung: bool = False, trial: bool = False) -> bool:
        """Take note of a call that was not; return whether that opened the breaker, as one that ``hung`` does at once.

        Else those that wait behind it would each wait as long.
        """
        was_open, self._reason = self.is_open, reason
        self.left(trial)
        self._failures += FAILURES if hung else 1
        self._rests_until_s = self._now_s() + self._rest_s
        if opened := self.is_open and not was_open:
            log.warning("the model is left alone", model=self._model, reason=reason, trial_after_s=self._rest_s)
        return opened

    def left(self, trial: bool) -> None:
        """Take note of a call whose end says nothing of the model: its caller had no more time, or went away.

        Only the ``trial`` itself ends the trial: calls that began before the breaker opened may end later.
        """
        if trial:
            self._trial = False

    def probed(self, wrong: str = "") -> None:
        """Take note of a probe that was answered: rightly, or ``wrong`` in that it says why."""
        if wrong and not self._wrong:
            log.error("the model answers wrongly and is left alone", model=self._model, reason=wrong)
        was_wrong, self._wrong = self._wrong, wrong
        if not wrong:
            if was_wrong:
                log.info("the model answers rightly again", model=self._model)
            self.succeeded()
