"""How good were the models on the data that they were checked on? Their manifests say it, by mode and kind.

What a manifest promises is an estimate, too: of the anomalies that the check had. So a measured average precision has
fallen where its whole interval, of 95 %, is below the promise by more than the standard error of that (`has_fallen`).
Where both are as uncertain these are 2.96 standard errors of either, and their difference is beyond chance (95 %) from
2.77 on; two intervals of 95 % would ask for 3.92, and hide falls. The promise, of hundreds of anomalies that are all
known, is the surer one: up to 1.38 times the error of what is measured, the difference is beyond chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Any, Final, NamedTuple, TypeAlias

from service.detect.names import Method
from service.events.vocabulary import KINDS, MODES
from service.feedback.accuracy import JudgedBy
from service.feedback.estimators import Interval
from service.model.manifest import MODEL_NAME, SVM_NAME, Manifest

JudgedKind: TypeAlias = tuple[JudgedBy, str]
"""(who judges, kind)."""

_ALONE = "model"
"""What the metrics of a manifest call its network. The SVMs alone have no baseline: they are there for the ensemble."""

_BOTH = "ensemble"
"""What the metrics of a network call the ensemble of it and its SVMs."""

_ERRORS: Final = 1.0
"""Standard errors of a promise that it may be too high by."""


class Promised(NamedTuple):
    """An average precision that a manifest promises, and what is left of it if it is too high by chance; 0 .. 1."""

    value: float
    low: float


def promised(value: float, anomalies: float) -> Promised:
    """Return the promise of an average precision that was measured on so many anomalous events.

    It is the mean of a number from 0 to 1, the precision down to each of them, and such a mean varies no more than a
    share of as many does (Bhatia and Davis 2000). So ``low`` is Wilson's (1927) of a share, by one standard error,
    which is below 1 for a share of 1, too. Where nobody says how many they were, the value is taken as it is.
    """
    if anomalies <= 0:
        return Promised(value, value)
    own = _ERRORS * _ERRORS / anomalies
    middle, reach = value + own / 2, sqrt(own * (value * (1 - value) + own / 4))
    return Promised(value, (middle - reach) / (1 + own))


def has_fallen(measured: Interval, promise: Promised) -> bool:
    """Return whether what was measured is less than what was promised, beyond chance of either."""
    return measured.high < promise.low


def baselines(manifests: Iterable[tuple[str, Manifest]]) -> Mapping[JudgedKind, Promised]:
    """Return the average precision that manifests promise, given by their version, as "epc_lstm/1"."""
    manifests = list(manifests)
    svms = [version for version, manifest in manifests if manifest.model == SVM_NAME]
    found: dict[JudgedKind, Promised] = {}
    for version, manifest in manifests:
        if manifest.model == MODEL_NAME:
            found |= _promised(manifest, _ALONE, Method.LSTM, version)
            for svm in svms:
                found |= _promised(manifest, _BOTH, Method.ENSEMBLE, f"{version}+{svm}")
    return found


def _promised(manifest: Manifest, name: str, method: str, version: str) -> dict[JudgedKind, Promised]:
    metrics: Any = manifest.metrics
    return {
        (JudgedBy(method, version, mode), kind): promised(float(of_kind["ap"]), _anomalies(of_kind))
        for mode in MODES
        for kind in KINDS
        if "ap" in (of_kind := metrics.get(mode, {}).get(name, {}).get(kind, {}))
    }


def _anomalies(of_kind: Mapping[str, float]) -> float:
    return sum(of_kind.get(name, 0.0) for name in ("true_positives", "false_negatives"))
