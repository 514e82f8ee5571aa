"""What FlowService of a gateway works with."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from service.api.admission import Admission
from service.api.flow.desk import FlowDesk, FlowMaking
from service.api.flow.exposition import FlowAlertCollector
from service.flow.kept import KeptData
from service.flow.shelf import FlowShelf
from service.gateway.lineups import Lineups
from service.lifecycle.operations import Operations
from service.model.signing import load_trust
from service.settings import Settings


def flow_desk(settings: Settings, lineups: Lineups, admission: Admission, registry: CollectorRegistry) -> FlowDesk:
    """Return it, with its alerts among the metrics of ``registry``.

    Raises:
        SettingsError: the keys of signers cannot be read.
    """
    trust = load_trust(settings.trust) if settings.trust else None
    making = None
    if settings.flow is not None:
        making = FlowMaking(
            data=KeptData(settings.flow / "data"),
            operations=Operations(settings.flow / "operations"),
            folder=settings.flow,
            repository=settings.repository,
            train_command=settings.flow_train_command,
            own_data=settings.flow_data,
        )
    desk = FlowDesk(FlowShelf(settings.repository, trust), lineups, lineups, admission, lineups.zones, making)
    registry.register(FlowAlertCollector(lambda: desk.last.alerts))
    return desk
