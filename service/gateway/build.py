"""Settings to working parts: model, backend, detectors. Shared by the gateway and by the embedded ``analyze``."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from service.detect.analyzer import Analyzer
from service.detect.canary import Canary
from service.detect.cutoffs import Preference
from service.detect.detector import Detector
from service.detect.ensemble import EnsembleDetector
from service.detect.fallback import ModelAsFallback, RulesAsFallback
from service.detect.model_detector import ModelDetector
from service.detect.names import DetectorName
from service.detect.rules_detector import RulesDetector
from service.detect.unknown_codes import SparesUnknown, UnknownCodes
from service.drift.monitor import Drift
from service.errors import CommandError, ModelRepositoryError
from service.events.zones import UnknownZone
from service.explain.explainer import Explainer
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.gateway.scored import scored_models
from service.gateway.wiring import ServedModel, Shared, Wiring
from service.history.history import STREAM_EVENTS, Memory
from service.history.in_process import MemoryStore
from service.history.store import Store
from service.model.backend import Backend
from service.model.breaker import Breaker
from service.model.guarded_backend import GuardedBackend
from service.model.manifest import Manifest
from service.model.onnx_backend import OnnxBackend
from service.model.onnx_session import CPU
from service.model.repository import Model, load, load_svm
from service.model.signing import Trust, load_trust
from service.model.triton_backend import Outgoing, TritonBackend, untraced
from service.model.triton_control import ControlledTriton
from service.settings import HISTORY_URL_FORM, OnnxTarget, Settings, parse_costs, parse_providers, without_password

log = structlog.get_logger("epc_sentinel.build")


def build_wiring(settings: Settings, outgoing: Outgoing = untraced) -> Wiring:
    """Return the parts that the settings ask for; a Triton server need not be up yet. ``outgoing`` is around its calls.

    Raises:
        ModelRepositoryError: the repository is missing or damaged, or its feature spec is not this gateway's.
        ModelUnavailable: the backend cannot be made; a Triton server that is down is no such case.
    """
    return build_version(settings, build_shared(settings), settings.model_version, outgoing)


def build_shared(settings: Settings) -> Shared:
    """Return what the versions of one gateway have in common."""
    return Shared(build_store(settings), settings.history_max_events)


def build_version(settings: Settings, shared: Shared, version: int | None, outgoing: Outgoing = untraced) -> Wiring:
    """Return the parts of one ``version``, None: the newest; otherwise as `build_wiring`."""
    trust = load_trust(settings.trust) if settings.trust else None
    model = load(settings.repository, version, feature_spec_hash=feature_spec_hash(), trust=trust)
    reference = read_reference(model.manifest, f"{model.title} in {settings.repository}")
    lstm = _serve(model, reference, settings, outgoing, _drift(model, settings))
    canary = _build_canary(settings, model, reference, outgoing, trust)
    svms = load_svm(settings.repository, model, feature_spec_hash=feature_spec_hash(), trust=trust)
    svm = None if svms is None else _serve(svms, reference, settings, outgoing)
    networks = [model] if canary is None else [model, canary.model]
    explainer = Explainer(
        reference,
        scored_models(model, canary.model if canary else None, svms),
        {one.title: one.manifest.expected_error for one in networks},
    )
    memory = shared.memory(reference)
    unknown = UnknownCodes(reference, spared=settings.unknown_codes == "spared")
    analyzer = build_analyzer(settings, _detectors(settings, unknown, lstm, canary, svm), reference, memory)
    return Wiring(lstm, analyzer, unknown, explainer, reference, shared.store, canary, svm, memory)


def build_analyzer(
    settings: Settings, detectors: Mapping[DetectorName, Detector], reference: Reference, memory: Memory | None
) -> Analyzer:
    """Return what judges by the detectors, with the history or with what streams bring."""
    return Analyzer(
        detectors,
        reference,
        memory=memory,
        of_stream=lambda: Memory(
            MemoryStore(max_events=STREAM_EVENTS, ttl_s=settings.history_ttl_s), reference, max_events=STREAM_EVENTS
        ),
        always=settings.history_analyze,
    )


def _detectors(
    settings: Settings, unknown: UnknownCodes, lstm: ServedModel, canary: ServedModel | None, svm: ServedModel | None
) -> dict[DetectorName, Detector]:
    """Return the detectors that callers can ask for, each with what answers in its place."""
    reference = unknown.reference
    rules = RulesDetector(reference)

    def backed(detector: Detector) -> Detector:
        return SparesUnknown(RulesAsFallback(detector, rules) if settings.fallback else detector, unknown)

    network = backed(lstm.detector)
    if canary is not None:
        # What codes are to it, its own tables say.
        its_own = UnknownCodes(canary.detector.reference, spared=settings.unknown_codes == "spared")
        judges = ModelAsFallback(SparesUnknown(canary.detector, its_own), canary.name, network)
        network = Canary(judges, settings.canary_percent, network)
    found: dict[DetectorName, Detector] = {
        DetectorName.LSTM: network,
        DetectorName.RULES: SparesUnknown(rules, unknown),
    }
    if svm is not None:
        found[DetectorName.SVM] = backed(svm.detector)
        if (combination := svm.model.manifest.ensemble) is not None:
            ensemble = EnsembleDetector(
                lstm.detector,
                svm.detector,
                reference,
                combination,
                preference=_preference(settings),
                without_svm=settings.fallback,
            )
            found[DetectorName.ENSEMBLE] = backed(ensemble)
    return found


def _build_canary(
    settings: Settings, model: Model, reference: Reference, outgoing: Outgoing, trust: Trust | None
) -> ServedModel | None:
    version = settings.canary_model_version
    if version is None:
        return None
    if version == model.version:
        raise CommandError(
            f"version {version} of the model is in use and cannot be its own canary:"
            " name the version in use with --model-version"
        )
    try:
        canary = load(settings.repository, version, feature_spec_hash=feature_spec_hash(), trust=trust)
    except ModelRepositoryError as error:  # the model in use may be as it should: no reason to go on without one
        raise CommandError(f"--canary-model-version: {error}") from None
    tables = read_reference(canary.manifest, f"{canary.title} in {settings.repository}")
    if tables.dialect != reference.dialect:
        raise CommandError(
            f"versions {model.version} and {version} of the model were made with different files for --network, and"
            " read the same events differently: make one of them anew with the file of the other"
        )
    return _serve(canary, tables, settings, outgoing, _drift(canary, settings))


def _serve(
    model: Model, reference: Reference, settings: Settings, outgoing: Outgoing, drift: Drift | None = None
) -> ServedModel:
    embedded = isinstance(settings.target, OnnxTarget)
    inner = _build_backend(settings, model, outgoing)
    provider = inner.provider if isinstance(inner, OnnxBackend) else ""
    backend = GuardedBackend(
        inner,
        model.manifest,
        Breaker(f"{model.name}/{model.version}"),
        None if embedded else settings.model_timeout_s,  # here it cannot hang, only wait for a core
    )
    detector = ModelDetector(backend, model, reference, drift, _preference(settings))
    return ServedModel(model, backend, detector, provider)


def _preference(settings: Settings) -> Preference:
    return Preference(settings.operating_point, parse_costs(settings.costs))


def _build_backend(settings: Settings, model: Model, outgoing: Outgoing) -> Backend:
    target = settings.target
    if isinstance(target, OnnxTarget):
        wanted = parse_providers(settings.onnx_providers)
        backend = OnnxBackend(model.read_onnx(), threads=settings.onnx_threads, providers=wanted)
        _say_provider(f"{model.name}/{model.version}", backend)
        return backend
    if settings.triton_control == "explicit":
        return ControlledTriton(target.address, model, settings.triton_config, outgoing)
    return TritonBackend(target.address, model.name, model.version, outgoing)


def _say_provider(name: str, backend: OnnxBackend) -> None:
    if backend.refused:
        reason = "; ".join(f"{provider}: {why}" for provider, why in backend.refused.items())
        log.warning("the model runs on another provider", model=name, provider=backend.provider, reason=reason)
    elif backend.provider != CPU:
        log.info("the model runs on a provider", model=name, provider=backend.provider, reason="the first asked for")


def _drift(model: Model, settings: Settings) -> Drift | None:
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
    except ValueError:  # its text may show the password
        raise CommandError(
            f"the history {without_password(settings.history)} is no usable URL, {HISTORY_URL_FORM}"
        ) from None


def read_reference(manifest: Manifest, where: str) -> Reference:
    """Return the tables of a version; ``where`` names it in messages.

    Raises:
        ModelRepositoryError: they are damaged.
    """
    try:
        return Reference.from_json(manifest.reference)
    except UnknownZone as error:
        raise ModelRepositoryError(f"{where}: {error}: update its package tzdata, or train with another") from None
    except (KeyError, TypeError, ValueError):
        raise ModelRepositoryError(f"the reference tables of {where} are damaged: export this version again") from None
