"""What FlowService of a gateway works with, and which version of the flow model answers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import structlog
from prometheus_client import CollectorRegistry

from service.api.admission import Admission
from service.api.flow.desk import FlowDesk, FlowMaking
from service.api.flow.exposition import FlowAlertCollector
from service.errors import CommandError, InvalidRequest, ModelRepositoryError
from service.flow.forecast.forecaster import FlowForecaster
from service.flow.forecast.manifest import FLOW_MODEL, read_flow_version
from service.flow.forecast.question import FlowQuestion
from service.flow.forecast.triton_network import TritonPlace
from service.flow.gate import shortfall
from service.flow.kept import KeptData
from service.flow.shelf import FlowShelf
from service.gateway.lineups import Lineups
from service.lifecycle.operations import Operations
from service.lifecycle.promotion_log import PromotionLog, Stamp
from service.lifecycle.register import Described, Register
from service.lifecycle.states import Standing
from service.model.signing import load_trust
from service.model.triton_backend import Outgoing, untraced
from service.security.auth import caller
from service.settings import Settings, TritonTarget

log = structlog.get_logger("epc_sentinel.flows")

_LOG_FOLDER = "flow"
"""Of the log of promotions of the flow model, in the folder of that of the model that judges."""


@dataclass(frozen=True, slots=True)
class FlowRegister(Register):
    """Versions of the flow model and their log; a champion has passed the gate."""

    names: ClassVar[tuple[str, ...]] = (FLOW_MODEL,)

    triton: TritonPlace | None = None  # runs the networks; None: this process does

    def try_out(self, version: int) -> None:
        """See `Register.try_out`; a model server has the network loaded, beside those that answer, and probed."""
        try:
            forecaster = FlowForecaster.load(self.repository, version, self.trust, self.triton)
            forecaster.prepare()
            forecaster.predict(FlowQuestion(days=1))
        except InvalidRequest as error:
            raise ModelRepositoryError("; ".join(f"{field} {text}" for field, text in error.violations)) from None

    def read(self, version: int) -> tuple[Described, str]:
        """See `Register.read`."""
        return read_flow_version(self.repository, version, self.trust).manifest, ""

    def gate(self, version: int, champion: int | None) -> str:
        """Return why a version may not take the place of the champion, by the backtest in its manifest.

        A champion that cannot be read is no bar: nothing could ever take its place.
        """
        metrics = read_flow_version(self.repository, version, self.trust).manifest.metrics
        digest = ""
        if champion is not None and champion != version:
            with suppress(ModelRepositoryError):
                read_flow_version(self.repository, champion, self.trust)
                digest = self.digest(champion)
        return shortfall(metrics, digest)


class FlowPromotions:
    """What the log says of the flow model, read again when it has grown."""

    def __init__(self, register: FlowRegister) -> None:
        self.register = register
        self._stamp: Stamp | None = None
        self._standing = Standing()

    def in_use(self) -> Sequence[int]:
        """See `Promoted.in_use`; raises ModelRepositoryError if the log cannot be read."""
        standing = self._now()
        return [one for one in (standing.champion, standing.previous) if one is not None]

    def state(self, version: int) -> str:
        """See `Promoted.state`."""
        return self._now().state(version).value

    def delete(self, version: int) -> None:
        """See `Promoted.delete`."""
        self.register.delete(version, who=caller().name, why="asked of FlowService")

    def _now(self) -> Standing:
        stamp = self.register.log.stamp()
        if stamp != self._stamp:
            try:
                self._standing = self.register.standing()
            except ModelRepositoryError as error:
                if self._stamp is None:
                    raise
                log.error("the log of promotions of flow cannot be read: what it said last holds", reason=str(error))
            self._stamp = stamp
        return self._standing


def open_flow_register(settings: Settings) -> FlowRegister | None:
    """Return the register of versions of the flow model, None without a log of promotions.

    Raises:
        SettingsError: the keys of signers cannot be read.
    """
    if settings.lifecycle is None:
        return None
    trust = load_trust(settings.trust) if settings.trust else None
    log_of_flow = PromotionLog(settings.lifecycle / _LOG_FOLDER)
    return FlowRegister(settings.repository, log_of_flow, "", trust, triton=_triton(settings, untraced))


def open_shelf(settings: Settings, outgoing: Outgoing = untraced) -> FlowShelf:
    """Return the versions of the flow model, of which the log's champion answers; raises as `open_flow_register`."""
    register = open_flow_register(settings)
    trust = load_trust(settings.trust) if settings.trust else None
    promoted = None if register is None else FlowPromotions(register)
    return FlowShelf(settings.repository, trust, promoted, _triton(settings, outgoing))


def _triton(settings: Settings, outgoing: Outgoing) -> TritonPlace | None:
    """Return the model server that runs networks, None where this process does."""
    target = settings.target
    if not isinstance(target, TritonTarget):
        return None
    return TritonPlace(
        target.address,
        settings.repository,
        is_explicit=settings.triton_control == "explicit",
        config=settings.triton_config,
        timeout_s=settings.model_timeout_s,
        outgoing=outgoing,
    )


def flow_desk(
    settings: Settings, lineups: Lineups, admission: Admission, registry: CollectorRegistry, outgoing: Outgoing
) -> FlowDesk:
    """Return it, with its alerts among the metrics of ``registry``; raises as `open_flow_register`, and
    CommandError if --flow is no folder that can be written.
    """
    making = None
    if settings.flow is not None:
        try:  # as other folders that are written: refused at the start, not with the first data
            settings.flow.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(
                f"cannot write the folder of flow {settings.flow}: {error.strerror}; name a writable one with --flow"
            ) from None
        making = FlowMaking(
            data=KeptData(settings.flow / "data"),
            operations=Operations(settings.flow / "operations"),
            folder=settings.flow,
            repository=settings.repository,
            train_command=settings.flow_train_command,
            own_data=settings.flow_data,
            lifecycle=settings.lifecycle,
            trust=settings.trust,
        )
    desk = FlowDesk(open_shelf(settings, outgoing), lineups, lineups, admission, lineups.zones, making)
    registry.register(FlowAlertCollector(lambda: desk.last.alerts))
    return desk
