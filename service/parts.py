"""Settings to working parts: model, backend, detectors. Shared by the gateway and by the embedded ``analyze``."""

from __future__ import annotations

from dataclasses import dataclass

from service import registry
from service.backends import Backend, OnnxBackend, probe
from service.backends_triton import TritonBackend
from service.detectors import LstmDetector, RulesDetector
from service.errors import ModelRepositoryError
from service.features import feature_spec_hash
from service.pipeline import Analyzer
from service.reference import Reference
from service.settings import OnnxTarget, Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers requests."""

    model: registry.Model
    backend: Backend
    analyzer: Analyzer

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
    analyzer = Analyzer(LstmDetector(backend, model, reference), RulesDetector(reference), fallback=settings.fallback)
    return Parts(model, backend, analyzer)


def _reference(model: registry.Model, settings: Settings) -> Reference:
    try:
        return Reference.from_json(model.manifest.reference)
    except (KeyError, TypeError, ValueError):
        raise ModelRepositoryError(
            f"the reference tables of {model.name}/{model.version} in {settings.repository} are damaged:"
            " export this version again"
        ) from None
