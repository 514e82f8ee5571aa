"""How good were the models on the data that they were checked on? Their manifests say it, by mode and kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from service.detect.names import Method
from service.events.vocabulary import KINDS, MODES
from service.feedback.accuracy import JudgedBy
from service.model.manifest import MODEL_NAME, SVM_NAME, Manifest

JudgedKind: TypeAlias = tuple[JudgedBy, str]
"""(who judges, kind)."""

_ALONE = "model"
"""What the metrics of a manifest call its network. The SVMs alone have no baseline: they are there for the ensemble."""

_BOTH = "ensemble"
"""What the metrics of a network call the ensemble of it and its SVMs."""


def baselines(manifests: Iterable[tuple[str, Manifest]]) -> Mapping[JudgedKind, float]:
    """Return the average precision (0 .. 1) that manifests promise, given by their version, as "epc_lstm/1"."""
    manifests = list(manifests)
    svms = [version for version, manifest in manifests if manifest.model == SVM_NAME]
    found: dict[JudgedKind, float] = {}
    for version, manifest in manifests:
        if manifest.model == MODEL_NAME:
            found |= _promised(manifest, _ALONE, Method.LSTM, version)
            for svm in svms:
                found |= _promised(manifest, _BOTH, Method.ENSEMBLE, f"{version}+{svm}")
    return found


def _promised(manifest: Manifest, name: str, method: str, version: str) -> dict[JudgedKind, float]:
    metrics: Any = manifest.metrics
    return {
        (JudgedBy(method, version, mode), kind): float(of_kind["ap"])
        for mode in MODES
        for kind in KINDS
        if "ap" in (of_kind := metrics.get(mode, {}).get(name, {}).get(kind, {}))
    }
