"""Settings to working parts: model, backend, detectors. Shared by the gateway and by the embedded ``analyze``."""

from __future__ import annotations

from dataclasses import dataclass

from service import registry
from service.backends import Backend, OnnxBackend, probe
from service.backends_triton import TritonBackend
from service.console import CommandError
from service.detectors import LstmDetector, RulesDetector
from service.errors import ModelRepositoryError
from service.features import feature_spec_hash
from service.history import MemoryStore, Store
from service.live import Memory
from service.pipeline import Analyzer
from service.reference import Reference
from service.settings import OnnxTarget, Settings, without_password


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers requests."""

    model: registry.Model
    backend: Backend
    analyzer: Analyzer
    store: Store | None  # of the history

    async def close(self) -> None:
        """Let connections go."""
        await self.backend.close()
        await self.analyzer.close()

    async def probe(self) -> None:
        """Run the golden probe; raises SentinelError if the model cannot answer or answers wrongly."""
        await probe(self.backend, self.model.manifest)


def build_parts(settings: Settings) -> Parts:
    """Return the parts that the settings ask for; a Triton server need not be up yet.

    Raises:
        ModelRepositoryError: the repository is missing or damaged, or its feature spec is not this gateway's.
        ModelUnavailable: the backend cannot be made; a Triton server that is down is no such case.
    """
    model = registry.load(settings.repository, settings.model_version, feature_spec_hash=feature_spec_hash())
    reference = _reference(model, settings)
    target = settings.target
    backend: Backend
    if isinstance(target, OnnxTarget):
        backend = OnnxBackend(model.onnx_path, threads=settings.onnx_threads)
    else:
        backend = TritonBackend(target.address, model.name, model.version)
    store = build_store(settings)
    analyzer = Analyzer(
        LstmDetector(backend, model, reference),
        RulesDetector(reference),
        fallback=settings.fallback,
        memory=None if store is None else Memory(store, reference, max_events=settings.history_max_events),
        always=settings.history_analyze,
    )
    return Parts(model, backend, analyzer, store)


def build_store(settings: Settings) -> Store | None:
    """Return the store of the history that the settings ask for; a server need not be up yet."""
    if settings.history == "none":
        return None
    if settings.history == "memory":
        return MemoryStore(max_events=settings.history_max_events, ttl_s=settings.history_ttl_s)
    try:
        from service.history_valkey import ValkeyStore  # noqa: PLC0415 - needs an extra package
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
