"""Settings to working parts: model, backend, detectors. Shared by the gateway and by the embedded ``analyze``."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from service.detect.analyzer import Analyzer
from service.detect.ensemble import EnsembleDetector
from service.detect.fallback import ModelCanary
from service.detect.model_detector import ModelDetector
from service.detect.rules_detector import RulesDetector
from service.drift.monitor import Drift
from service.errors import CommandError, ModelRepositoryError
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.history.history import STREAM_EVENTS, Memory
from service.history.in_process import MemoryStore
from service.history.store import Store
from service.model import repository as registry
from service.model.backend import Backend, probe
from service.model.onnx_backend import OnnxBackend
from service.model.signing import load_trust
from service.model.triton_backend import Outgoing, TritonBackend, untraced
from service.settings import OnnxTarget, Settings, without_password

log = structlog.get_logger("epc_sentinel.parts")


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers requests."""

    model: registry.Model
    backend: Backend
    analyzer: Analyzer
    store: Store | None  # of the history
    canary: registry.Model | None = None
    canary_backend: Backend | None = None
    svm: registry.Model | None = None
    svm_backend: Backend | None = None
    drifts: dict[str, Drift] = field(default_factory=dict)  # by model version

    async def close(self) -> None:
        """Let connections go."""
        for backend in filter(None, (self.backend, self.canary_backend, self.svm_backend)):
            await backend.close()
        await self.analyzer.close()

    async def probe(self) -> None:
        """Run the golden probe; raises SentinelError if the model cannot answer or answers wrongly."""
        await probe(self.backend, self.model.manifest)

    async def probe_svm(self) -> None:
        """Do the same with the one-class SVMs, if there are any."""
        if self.svm is not None and self.svm_backend is not None:
            await probe(self.svm_backend, self.svm.manifest)


def build_parts(settings: Settings, outgoing: Outgoing = untraced) -> Parts:
    """Return the parts that the settings ask for; a Triton server need not be up yet. ``outgoing`` is around its calls.

    Raises:
        ModelRepositoryError: the repository is missing or damaged, or its feature spec is not this gateway's.
        ModelUnavailable: the backend cannot be made; a Triton server that is down is no such case.
    """
    model, backend, reference, lstm = _build_model(settings, settings.model_version, outgoing)
    judges = [lstm]
    canary, canary_backend, canary_lstm = None, None, None
    if settings.canary_model_version is not None:
        if settings.canary_model_version == model.version:
            raise CommandError(
                f"version {model.version} of the model is in use and cannot be its own canary:"
                " name the version in use with --model-version"
            )
        canary, canary_backend, _, detector = _build_model(settings, settings.canary_model_version, outgoing)
        judges.append(detector)
        canary_lstm = ModelCanary(detector, settings.canary_percent)
    svm, svm_backend, svms = _build_svm(settings, model, reference, outgoing)
    combination = svm.manifest.ensemble if svm else None
    store = build_store(settings)
    analyzer = Analyzer(
        lstm,
        RulesDetector(reference),
        svm=svms,
        ensemble=EnsembleDetector(lstm, svms, reference, combination) if svms and combination else None,
        fallback=settings.fallback,
        memory=None if store is None else Memory(store, reference, max_events=settings.history_max_events),
        of_stream=lambda: Memory(
            MemoryStore(max_events=STREAM_EVENTS, ttl_s=settings.history_ttl_s), reference, max_events=STREAM_EVENTS
        ),
        always=settings.history_analyze,
        canary=canary_lstm,
    )
    drifts = {judge.model_version: judge.drift for judge in judges if judge.drift is not None}
    return Parts(model, backend, analyzer, store, canary, canary_backend, svm, svm_backend, drifts)


def _build_model(
    settings: Settings, version: int | None, outgoing: Outgoing
) -> tuple[registry.Model, Backend, Reference, ModelDetector]:
    """Return a version of the model (None: the newest) with what runs it, its tables and its detector."""
    trust = load_trust(settings.trust) if settings.trust else None
    model = registry.load(settings.repository, version, feature_spec_hash=feature_spec_hash(), trust=trust)
    reference = _reference(model, settings)
    backend = _build_backend(settings, model, outgoing)
    return model, backend, reference, ModelDetector(backend, model, reference, _drift(model, settings))


def _build_svm(
    settings: Settings, model: registry.Model, reference: Reference, outgoing: Outgoing
) -> tuple[registry.Model, Backend, ModelDetector] | tuple[None, None, None]:
    """Return the one-class SVMs beside ``model``, what runs them, their detector; nothing where there are none."""
    trust = load_trust(settings.trust) if settings.trust else None
    svm = registry.load_svm(settings.repository, model, feature_spec_hash=feature_spec_hash(), trust=trust)
    if svm is None:
        return None, None, None
    backend = _build_backend(settings, svm, outgoing)
    return svm, backend, ModelDetector(backend, svm, reference)


def _build_backend(settings: Settings, model: registry.Model, outgoing: Outgoing) -> Backend:
    target = settings.target
    if isinstance(target, OnnxTarget):
        return OnnxBackend(model.read_onnx(), threads=settings.onnx_threads)
    return TritonBackend(target.address, model.name, model.version, outgoing)


def _drift(model: registry.Model, settings: Settings) -> Drift | None:
    """Return what watches the model's events; nothing where nobody could ask it, or without a reference."""
    if settings.metrics_port is None:
        return None
    try:
        return Drift(model.manifest.histograms, window=settings.drift_window, most=settings.drift_reference)
    except ValueError as error:
        log.warning("no drift monitor", model=f"{model.name}/{model.version}", reason=str(error))
        return None


def build_store(settings: Settings) -> Store | None:
    """Return the store of the history that the settings ask for; a server need not be up yet."""
    if settings.history == "none":
        return None
    if settings.history == "memory":
        return MemoryStore(max_events=settings.history_max_events, ttl_s=settings.history_ttl_s)
    try:
        from service.history.valkey import ValkeyStore  # noqa: PLC0415 - needs an extra package
    except ImportError:
        raise CommandError(
            f"the history {without_password(settings.history)} needs the redis package: install epc-sentinel[valkey]"
        ) from None
    try:
        return ValkeyStore(settings.history, ttl_s=settings.history_ttl_s, timeout_s=settings.history_timeout_s)
    except ValueError as error:
        raise CommandError(f"the history {without_password(settings.history)} is no usable URL: {error}") from None


def _reference(model: registry.Model, settings: Settings) -> Reference:
    try:
        return Reference.from_json(model.manifest.reference)
    except (KeyError, TypeError, ValueError):
        raise ModelRepositoryError(
            f"the reference tables of {model.name}/{model.version} in {settings.repository} are damaged:"
            " export this version again"
        ) from None
