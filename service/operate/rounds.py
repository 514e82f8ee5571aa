"""Rounds: each observes, decides and acts; what has to outlive a kill is on the disk before the next step begins.

What a round does is an entry of the log or an operation, whole or not at all; whether it has been done is read off
them by the next round, not remembered. So a process that is killed anywhere goes on where it was, and nothing is done
twice. One process at a time has the rounds of a folder, by a lock that the kernel lets go of with it.
"""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import BinaryIO

import structlog

from service.errors import CommandError, NoSuchModel, NotInThisState, SentinelError
from service.lifecycle.operations import Operation, command_of
from service.lifecycle.promotion_log import WRITABLE
from service.lifecycle.states import EMERGENCY, Standing
from service.operate.decide import decide
from service.operate.exposition import OperateCollector
from service.operate.observing import Lookout
from service.operate.seen import Situation, instant
from service.operate.settings import OperateSettings
from service.operate.severity import Severity, severity_of, watched
from service.operate.state import OperateState, read_state, write_state
from service.operate.steps import Held, ResponseStep, What

WHO = "epc-sentinel operate"
_LOCK_FILE = "operate.lock"
_CLOSELY = 4  # times as many rounds

log = structlog.get_logger("epc_sentinel.operate")


@dataclass(frozen=True, slots=True)
class RoundDone:
    """What a round found and did."""

    seen: Situation
    severity: Severity
    closely: bool
    done: list[ResponseStep]
    suggested: list[ResponseStep]
    held: list[Held]
    refused: list[tuple[ResponseStep, str]]
    begun: list[Operation]

    @property
    def is_due(self) -> bool:
        """Whether a retraining is due, and is said to be for the first time in a cool-down."""
        return any(step.what is What.RETRAIN for step in (*self.suggested, *self.done))


@dataclass(frozen=True, slots=True)
class Roundsman:
    """Does the rounds of one folder of the log of promotions."""

    observer: Lookout
    settings: OperateSettings
    commands: dict[What, str]  # of RETRAIN and ADOPT; "": there is none
    shown: OperateCollector = field(default_factory=OperateCollector)

    @contextmanager
    def turn(self, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the rounds of this folder. Args: ``wait_s``: so long for another process to end its own.

        Raises:
            CommandError: another process has them, or the folder cannot be written.
        """
        path = self.observer.register.log.folder / _LOCK_FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("ab")
        except OSError as error:
            raise CommandError(f"cannot write {path}: {error.strerror}; {WRITABLE}") from None
        with lock:
            end_s = time.monotonic() + wait_s
            while not _is_taken(lock):
                if time.monotonic() >= end_s:
                    raise CommandError(f"another operate has the rounds of {path.parent}: end it first")
                time.sleep(0.1)
            yield

    async def run(self, stop: asyncio.Event) -> None:
        """Do rounds until ``stop``. What cannot be read or done now is said, and tried again."""
        while not stop.is_set():
            wait_s = self.settings.interval_s
            try:
                if (await self.once()).closely:
                    wait_s /= _CLOSELY
            except (SentinelError, CommandError) as error:
                self.shown.failed()
                log.error("a round cannot be done", reason=str(error))
            except Exception as error:  # a bug must not end the watch
                self.shown.failed()
                log.error("a round failed", exc_info=error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait_s)
        self.observer.operations.leave()

    async def once(self) -> RoundDone:
        """Do one round.

        Raises:
            ModelRepositoryError, VerdictsUnavailable: the log or the verdicts cannot be read.
            CommandError: the state cannot be written.
        """
        folder, settings = self.observer.register.log.folder, self.settings
        state = read_state(folder)
        seen = await asyncio.to_thread(self.observer.look, closely=state.closely)
        severity = severity_of(seen)
        closely, quiet = watched(state.closely, state.quiet, severity.total, settings.watch_above, settings.calm_rounds)
        steps, held = decide(seen, severity, state, settings)
        found = RoundDone(seen, severity, closely, [], [], held, [], [])
        for step in steps:
            await self._take(step, found)
        await asyncio.to_thread(write_state, folder, self._after(state, found, quiet))
        self.shown.saw(seen, severity, closely=closely)
        _tell(state, found)
        return found

    async def _take(self, step: ResponseStep, found: RoundDone) -> None:
        if not step.at_once or (step.what in (What.RETRAIN, What.ADOPT) and not self.commands.get(step.what)):
            found.suggested.append(step)
            return
        try:
            if step.what in (What.RETRAIN, What.ADOPT):
                found.begun.append(await self._begin(step, found.seen.standing))
            else:
                await asyncio.to_thread(self._move, step, found.seen.standing)
        except (NotInThisState, NoSuchModel) as error:
            found.refused.append((step, str(error)))
            return
        found.done.append(step)

    async def _begin(self, step: ResponseStep, standing: Standing) -> Operation:
        champion, repository = standing.champion or 0, self.observer.register.repository
        try:
            command = command_of(self.commands[step.what], {"champion": champion, "repository": repository})
        except (KeyError, ValueError, IndexError) as error:
            raise NotInThisState(f"the command {self.commands[step.what]!r} cannot be read: {error}") from None
        return await self.observer.operations.start(step.what, command, who=WHO, why=step.why)

    def _move(self, step: ResponseStep, standing: Standing) -> None:
        register, said = self.observer.register, {"who": WHO, "why": step.why}
        by: dict[What, Callable[[], object]] = {
            What.TRAFFIC: lambda: register.share(step.traffic, after=standing.number, **said),
            What.LOAD: lambda: register.load(step.version, **said),
            What.PROMOTE: lambda: register.promote(step.version, instead_of=standing.champion, **said),
            What.ROLLBACK: lambda: register.rollback(instead_of=standing.champion, **said),
        }
        by[step.what]()

    def _after(self, state: OperateState, found: RoundDone, quiet: int) -> OperateState:
        now, cooldown = found.seen.at, timedelta(seconds=self.settings.cooldown_s)
        suggested = {key: at for key, at in state.suggested.items() if now - instant(at) < cooldown}
        refused = {key: why for key, why in state.refused.items() if key not in {step.key for step in found.done}}
        at = now.isoformat(timespec="milliseconds")
        return OperateState(
            rounds=state.rounds + 1,
            at=at,
            interval_s=self.settings.interval_s,
            performance=round(found.severity.performance, 4),
            drift=round(found.severity.drift, 4),
            closely=found.closely,
            quiet=quiet,
            suggested={step.key: at for step in found.suggested} | suggested,
            refused=refused | {step.key: why for step, why in found.refused},
        )


def _is_taken(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tell(before: OperateState, found: RoundDone) -> None:
    """Write what is new to the log of the process."""
    severity = found.severity
    numbers = {"severity": round(severity.total, 3), "performance": round(severity.performance, 3),
               "drift": round(severity.drift, 3)}  # fmt: skip
    log.info("round", **numbers, closely=found.closely, why=severity.why)
    if found.closely != before.closely:
        log.warning("closer monitoring begins" if found.closely else "closer monitoring ends", **numbers)
    for step in found.done:
        if step.why.startswith(EMERGENCY):
            log.error("incident", what=step.key, why=step.why)
        else:
            log.warning("done", what=step.key, why=step.why)
    for step in found.suggested:
        if step.key not in before.suggested:
            log.warning("suggested", what=step.key, why=step.why)
    for one in found.held:
        log.info("held back", what=one.what.value, why=one.why)
    for step, why in found.refused:
        if before.refused.get(step.key) != why:
            log.error("refused", what=step.key, why=why)
