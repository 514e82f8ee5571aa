"""The versions of the model that one gateway has loaded: how they come beside the one in use, and go.

A version is loaded in a thread, verified, and asked for its golden probe, while the champion judges on. Who was at work
finishes with the version that he began with: a version that is no longer wanted is let go when its last call is over.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from service.errors import ModelUnavailable, SentinelError
from service.gateway.wiring import Build, Wiring

_LINGER_S = 10.0
"""Seconds for which a version that nobody wants is kept: answers are explained by its tables, and another gateway that
has yet to look at the log may ask the same model server for it."""

log = structlog.get_logger("epc_sentinel.lineups")


@dataclass(slots=True, eq=False)
class HeldVersion:
    """A version that is loaded."""

    wiring: Wiring
    calls: int = 0  # at work with it


class LoadedVersions:
    """Loads versions, switches which of them is the champion, and lets go of others."""

    def __init__(self, first: Wiring, build: Build) -> None:
        """Args: ``first`` judges from the start, ``build`` makes the wiring of another version."""
        self._build = build
        self._shown: Callable[[Wiring, bool], None] = lambda _wiring, _comes: None
        self._held: dict[str, HeldVersion] = {first.name: HeldVersion(first)}
        self.champion = self._held[first.name]  # judges now
        self._changing, self._closing = asyncio.Lock(), asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()
        self._gone: dict[str, Wiring] = {}  # for explanations of what they judged
        self.swaps = 0  # switches since the start

    @property
    def held(self) -> list[HeldVersion]:
        """Those that are loaded and wanted."""
        return list(self._held.values())

    def numbers(self) -> set[int]:
        """Return the numbers of those versions."""
        return {held.wiring.version for held in self.held if held.wiring.version is not None}

    def show_by(self, shown: Callable[[Wiring, bool], None]) -> None:
        """Say who is told of versions that come or go from now on."""
        self._shown = shown

    def numbered(self, version: int | None) -> HeldVersion | None:
        """Return the version of that number, None if it is not loaded."""
        return next((one for one in self._held.values() if one.wiring.version == version is not None), None)

    def named(self, name: str) -> Wiring:
        """Return the version of a name, "epc_lstm/2", also one about to go; the champion where that is gone."""
        if (held := self._held.get(name)) is not None:
            return held.wiring
        return self._gone.get(name, self.champion.wiring)

    async def take(self, champion: int | None, keep: Iterable[int] = ()) -> dict[int, str]:
        """Let ``champion`` judge, None: the newest version, and have the versions ``keep`` loaded beside it.

        One at a time, however many ask. The champion stays what it was if the new one cannot be used.

        Returns:
            Why a version cannot be used, by version, 0 for the newest.
        """
        async with self._changing:
            problems: dict[int, str] = {}
            wanted = []
            for version in dict.fromkeys([champion, *keep]):
                try:
                    held = await self._prepared(version)
                except SentinelError as error:
                    problems[version or 0] = str(error)
                    continue
                wanted.append(held)
                if version == champion:
                    self._switch(held)
            await self._leave({held.wiring.name for held in wanted} | {self.champion.wiring.name})
            return problems

    async def _prepared(self, version: int | None) -> HeldVersion:
        """Return a version that is loaded and answers its probe.

        Raises:
            ModelRepositoryError: it cannot be used.
            ModelUnavailable: what runs it does not answer, or not as it should.
        """
        if (held := self.numbered(version)) is not None:
            return held
        wiring = await asyncio.to_thread(self._build, version)
        try:
            await wiring.probe_all()
        except ModelUnavailable:
            await wiring.close_models()
            raise
        if (known := self._held.get(wiring.name)) is not None:  # the newest one is there
            await wiring.close_models()
            return known
        self._held[wiring.name] = HeldVersion(wiring)
        self._shown(wiring, True)
        log.info("version loaded", model=wiring.name)
        return self._held[wiring.name]

    def _switch(self, held: HeldVersion) -> None:
        if held is self.champion:
            return
        before, self.champion = self.champion.wiring.name, held
        self.swaps += 1
        log.info("version in use", model=held.wiring.name, before=before)

    async def _leave(self, kept: set[str]) -> None:
        """Let go of all versions but ``kept``, each when its last call is over."""
        for name, held in list(self._held.items()):
            if name not in kept:
                self._gone[name] = self._held.pop(name).wiring
                task = asyncio.create_task(self._let_go(held))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    async def _let_go(self, held: HeldVersion) -> None:
        """Close what runs a version when nobody is at work with it any more, here or in another gateway."""
        while held.calls:
            await asyncio.sleep(0.05)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _LINGER_S)
        wiring = held.wiring
        if not self._closing.is_set() and wiring.name not in self._held:
            try:
                await wiring.retire_models()
            except ModelUnavailable as error:
                log.warning("a version could not be unloaded", model=wiring.name, reason=str(error))
        await wiring.close_models()
        if self._gone.get(wiring.name) is wiring:
            del self._gone[wiring.name]
        if wiring.name not in self._held:
            self._shown(wiring, False)
        log.info("version unloaded", model=wiring.name)
        del wiring, held.wiring
        # Its tables are in cycles, which nobody looks for in a long time: 2 ms, as what lives long is frozen.
        gc.collect()

    async def close(self) -> None:
        """Let everything go."""
        self._closing.set()
        for task in list(self._leaving):
            await task
        for held in self.held:
            if held is not self.champion:
                await held.wiring.close_models()
        await self.champion.wiring.close()
