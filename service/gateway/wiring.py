"""What the gateway is built of: the models of one version with what runs them, and what judges and explains by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.detect.analyzer import Analyzer
from service.detect.model_detector import ModelDetector
from service.detect.unknown_codes import UnknownCodes
from service.drift.monitor import Drift
from service.errors import NoUsableModel
from service.explain.explainer import Explainer
from service.features.reference import Reference
from service.history.history import Memory
from service.history.store import Store
from service.model.guarded_backend import GuardedBackend
from service.model.repository import Model


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A version of a model with what runs it and what judges by it."""

    model: Model
    backend: GuardedBackend
    detector: ModelDetector
    provider: str = ""  # of onnxruntime, that runs it in this process

    @property
    def name(self) -> str:
        """Name and version: "epc_lstm/1"."""
        return f"{self.model.name}/{self.model.version}"


@dataclass(frozen=True, slots=True)
class Wiring:
    """What answers requests by one version of the model; several share the history."""

    lstm: ServedModel | None  # None: there is no usable model, the rules judge
    analyzer: Analyzer
    unknown: UnknownCodes  # what codes are to the model in use
    explainer: Explainer
    reference: Reference  # its tables, what is normal here
    store: Store | None  # of the history
    canary: ServedModel | None = None
    svm: ServedModel | None = None
    memory: Memory | None = None
    problem: str = ""  # why there is no usable model, for the operator

    @property
    def name(self) -> str:
        """Name and version of the network, "rules" without one."""
        return "rules" if self.lstm is None else self.lstm.name

    @property
    def version(self) -> int | None:
        """The version of the network."""
        return None if self.lstm is None else self.lstm.model.version

    @property
    def models(self) -> list[ServedModel]:
        """All models that are asked."""
        return [served for served in (self.lstm, self.canary, self.svm) if served is not None]

    @property
    def drifts(self) -> dict[str, Drift]:
        """What watches the events of each model, by its name."""
        return {served.name: served.detector.drift for served in self.models if served.detector.drift is not None}

    async def probe(self) -> None:
        """Ask the network for its golden probe.

        Raises:
            NoUsableModel: there is none.
            ModelUnavailable: it does not answer, or not as it should.
        """
        if self.lstm is None:
            raise NoUsableModel(self.problem)
        await self.lstm.backend.probe()

    async def probe_all(self) -> None:
        """Ask the network and the one-class SVMs, before they get calls; raises as `probe`."""
        await self.probe()
        if self.svm is not None:
            await self.svm.backend.probe()

    async def retire_models(self) -> None:
        """Have a model server unload them; no gateway uses them any more."""
        for served in self.models:
            await served.backend.retire()

    async def close_models(self) -> None:
        """Let go of what runs the models; the history, which others share, stays."""
        for served in self.models:
            await served.backend.close()

    async def close(self) -> None:
        """Let connections go."""
        await self.close_models()
        await self.analyzer.close()


class Shared:
    """What the versions of one gateway have in common: the store of the history, and what was read of it."""

    def __init__(self, store: Store | None, max_events: int) -> None:
        """Args: ``max_events`` that are kept in memory."""
        self.store = store
        self._max_events = max_events
        self._memory: Memory | None = None

    def memory(self, reference: Reference) -> Memory | None:
        """Return the history as a version with these tables reads it; None without a history."""
        if self.store is None:
            return None
        if self._memory is None:
            self._memory = Memory(self.store, reference, max_events=self._max_events)
        return self._memory.read_by(reference)


Build = Callable[[int | None], Wiring]
"""Makes the wiring of a version, None for the newest one; takes some 50 ms, and is called in a thread."""
