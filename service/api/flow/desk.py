"""What the methods of FlowService work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.api.admission import Admission
from service.detect.analyzer import Judges
from service.events.zones import TimeZones
from service.explain.explainer import Explains
from service.flow.alerts import BandAlert
from service.flow.kept import KeptData
from service.flow.shelf import FlowShelf
from service.lifecycle.operations import Operations


@dataclass(frozen=True, slots=True)
class FlowMaking:
    """What makes data and models: of gateways that may."""

    data: KeptData
    operations: Operations
    folder: Path
    repository: Path
    train_command: str
    own_data: Path | None  # of the operator, to train on; None: what was generated last
    lifecycle: Path | None = None  # of the log of promotions, whose champion a new model has to beat
    trust: Path | None = None  # keys of signers: the new model must be one that this gateway may use


@dataclass(slots=True)
class LastMeasure:
    """What the last Measure of this process found, for metrics."""

    alerts: Sequence[BandAlert] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class FlowDesk:
    """What measures, forecasts and makes models of one gateway."""

    shelf: FlowShelf
    analyzer: Judges
    explainer: Explains
    admission: Admission
    zones: Callable[[], TimeZones]
    making: FlowMaking | None  # None: this gateway makes none
    last: LastMeasure = field(default_factory=LastMeasure)
