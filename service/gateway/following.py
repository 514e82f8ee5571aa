"""The gateway follows the log of promotions, and without one it waits for a usable model where it has none.

Every gateway and every worker looks at the log by itself, so that a promotion by one of them, or by a command, reaches
all: nobody has to tell them.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from service.detect.traffic import Traffic
from service.errors import CommandError, ModelRepositoryError, ModelUnavailable, SentinelError
from service.features.table import feature_spec_hash
from service.gateway.build import build_version
from service.gateway.lineups import Lineups
from service.gateway.no_model import build_without_model
from service.gateway.wiring import Shared, Wiring
from service.lifecycle.promotion_log import PromotionLog, Stamp
from service.lifecycle.register import Register
from service.lifecycle.states import Standing
from service.model.signing import load_trust
from service.model.triton_backend import Outgoing
from service.settings import Settings

_MOST_KEY = 64

LOOK_S = 0.5
"""Seconds between two looks at the log of promotions: a look is one `stat`."""

log = structlog.get_logger("epc_sentinel.following")


def open_register(settings: Settings) -> Register | None:
    """Return the register of versions that the settings ask for.

    Raises:
        SettingsError: the keys of signers cannot be read.
    """
    if settings.lifecycle is None:
        return None
    trust = load_trust(settings.trust) if settings.trust else None
    mirror = None
    if settings.registry != "folder":
        from service.lifecycle.mlflow_mirror import MlflowMirror  # noqa: PLC0415 - needs an extra package

        mirror = MlflowMirror(settings.registry.removeprefix("mlflow:"))
    return Register(settings.repository, PromotionLog(settings.lifecycle), feature_spec_hash(), trust, mirror)


def first_wiring(settings: Settings, shared: Shared, register: Register | None, outgoing: Outgoing) -> Wiring:
    """Return what a gateway starts with: the champion, else the version before it, else the rules alone.

    Raises:
        ModelRepositoryError, ModelUnavailable: there is no usable model, and fallback is off.
        CommandError: the settings name something that cannot be.
    """
    standing = Standing() if register is None else register.standing()
    wanted: list[int | None] = [one for one in (standing.champion, standing.previous) if one is not None]
    problem: SentinelError | None = None
    for version in wanted or [settings.model_version]:
        try:
            wiring = build_version(settings, shared, version, outgoing)
        except (ModelRepositoryError, ModelUnavailable) as error:
            if not settings.fallback:
                raise
            log.error("no usable model", version=version or "newest", reason=str(error))
            problem = problem or error
            continue
        if register is not None and wiring.version is not None:
            register.begin(wiring.version)
        return wiring
    return build_without_model(settings, shared, str(problem))


def read_key(path: Path | None) -> bytes:
    """Return the secret that says which file belongs to which share, empty where there is none.

    Raises:
        CommandError: the file cannot be read, or holds no key.
    """
    if path is None:
        return b""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise CommandError(f"cannot read the key {path}: {error.strerror}; name another with --traffic-key") from None
    if not 16 <= len(key) <= _MOST_KEY:
        raise CommandError(f"the key {path} has {len(key)} bytes: write 16 to {_MOST_KEY} that are random")
    return key


class Follower:
    """Has the versions loaded that are wanted, and the one in use that the log says."""

    def __init__(self, lineups: Lineups, settings: Settings, register: Register | None) -> None:
        """Args: ``register`` None: there is no log to follow."""
        self._lineups, self._settings, self._register = lineups, settings, register
        self._key = read_key(settings.traffic_key)
        self._stamp: Stamp | None = None
        self._complaints: dict[int, str] = {}
        self.standing = Standing()

    @property
    def is_behind(self) -> bool:
        """Whether another version is in use than the log says, or none at all."""
        wanted = self.standing.champion
        return self._lineups.champion.lstm is None or wanted not in (None, self._lineups.champion.version)

    async def run(self) -> None:
        """Look for ever."""
        retry_s = self._settings.probe_interval_s
        waits_s = 0.0
        while True:
            waits_s += LOOK_S
            try:
                await self.look(again=waits_s >= retry_s)
            except (SentinelError, CommandError) as error:
                self._complain({-1: str(error)})
            except Exception as error:  # a bug must not end the watch over the log
                log.error("the look at the promotions failed", exc_info=error)
            if waits_s >= retry_s:
                waits_s = 0.0
            await asyncio.sleep(LOOK_S)

    async def look(self, *, again: bool = True) -> None:
        """Take over what the log says now; ``again``: also try what could not be done before.

        Raises:
            ModelRepositoryError: the log cannot be read.
        """
        mirrored = self._register is not None and self._register.mirror is not None
        again = again and (bool(self._complaints) or self.is_behind or mirrored)
        if self._register is None:
            if again:
                self._complain(await self._lineups.versions.take(self._settings.model_version))
            return
        stamp = self._register.log.stamp()
        if stamp == self._stamp and not again:
            return
        self.standing = await asyncio.to_thread(self._register.follow)
        self._stamp = stamp
        wanted = self.standing.champion or self._settings.model_version
        traffic = self._traffic()
        named = [] if traffic is None else traffic.versions
        problems = await self._lineups.versions.take(wanted, [*self.standing.kept, *named])
        states = {"champion": wanted, "challenger": self.standing.challenger, "previous": self.standing.previous}
        self._lineups.share(traffic, states)
        if self.standing.champion is None and (version := self._lineups.champion.version) is not None:
            await asyncio.to_thread(self._register.begin, version)
        self._complain(problems)

    def _traffic(self) -> Traffic | None:
        """Return the shares of the log, else those of the settings."""
        text = self.standing.traffic or self._settings.traffic
        if not text:
            return None
        try:
            return Traffic.parse(text, self._key)
        except ValueError as error:  # of a later release, as commands check what they write
            raise ModelRepositoryError(f"the traffic {text!r} of the log {error}") from None

    def _complain(self, problems: dict[int, str]) -> None:
        for version, problem in problems.items():
            if self._complaints.get(version) != problem:
                log.error("a version cannot be used", version=version or "newest", reason=problem)
        self._complaints = problems
