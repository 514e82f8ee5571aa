"""How bad is it? A number from 0 to 1 of the champion's network, made of what is measured and of drift.

- Performance, of the kind and mode that suffers most: how far the average precision of the labelled audit sample is
  below that of the manifest, 0.2 or more being 1. A fall that chance may explain (`has_fallen`: the interval reaches
  up to the manifest's, less its standard error) is none. An AUC below 0.75, of 10 confirmed anomalies or more, is 1:
  the alarm EpcSentinelAccuracyLost.
- Drift, while its alarm is on: the largest population stability index of scores and of rejected features, 0.25 being
  0.5 and no more; at least 0.2. So drift alone leads to closer monitoring, and never to a retraining.
- Both: 1 - (1 - performance) (1 - drift).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from service.detect.names import Method
from service.feedback.accuracy import KindAccuracy
from service.feedback.baselines import has_fallen
from service.operate.seen import DriftOfGateway, Situation

FULL_FALL: Final = 0.2
"""Fall of the average precision that is as bad as can be."""

LEAST_AUC: Final = 0.75
LEAST_CONFIRMED: Final = 10

_FULL_PSI, _MOST_DRIFT, _LEAST_DRIFT = 0.25, 0.5, 0.2


@dataclass(frozen=True, slots=True)
class Severity:
    """See the module."""

    performance: float = 0.0
    drift: float = 0.0
    worst: KindAccuracy | None = None  # what the performance is of
    why: str = ""

    @property
    def total(self) -> float:
        """Both together."""
        return 1 - (1 - self.performance) * (1 - self.drift)


def severity_of(seen: Situation) -> Severity:
    """Return how bad it is."""
    found = sorted(_performances(seen), key=lambda one: one[0])
    performance, worst, reason = found[-1] if found else (0.0, None, "")
    version = seen.judge("").model_version
    drifts = sorted((_of_drift(one), one.mode, one.psi) for one in seen.drift if one.model_version == version)
    drift, mode, psi = drifts[-1] if drifts else (0.0, "", 0.0)
    reasons = [reason] if performance > 0 else []
    if drift > 0:
        reasons.append(f"drift of {mode} events, PSI {psi:.2f}")
    return Severity(performance, drift, worst, "; ".join(reasons))


def _performances(seen: Situation) -> Iterator[tuple[float, KindAccuracy, str]]:
    version = seen.judge("").model_version
    for one in (*seen.accuracy, *seen.close):
        if (one.judge.method, one.judge.model_version) != (Method.LSTM, version):
            continue
        what = f"{one.kind}, {one.judge.mode}, {version}"
        ap, auc = one.measures.get("average_precision"), one.measures.get("auc")
        promised = seen.promised.get((one.judge, one.kind))
        if auc is not None and auc.value < LEAST_AUC and one.confirmed >= LEAST_CONFIRMED:
            yield 1.0, one, f"AUC {auc.value:.2f} ({what})"
        elif ap is not None and promised is not None and has_fallen(ap, promised):
            yield (
                min(1.0, (promised.value - ap.value) / FULL_FALL),
                one,
                f"average precision {ap.value:.3f}, {ap.low:.3f} to {ap.high:.3f}, of {promised.value:.3f} ({what})",
            )


def _of_drift(one: DriftOfGateway) -> float:
    return min(_MOST_DRIFT, max(_LEAST_DRIFT, _MOST_DRIFT * one.psi / _FULL_PSI)) if one.alarm else 0.0


def watched(closely: bool, quiet: int, total: float, above: float, calm_rounds: int) -> tuple[bool, int]:
    """Return (whether the models are watched closely from now on, rounds since which they need not be)."""
    if total > above:
        return True, 0
    quiet = quiet + 1 if closely else 0
    return closely and quiet < calm_rounds, quiet


def of_judge(found: Iterable[KindAccuracy], method: str, mode: str, kind: str, version: str = "") -> float | None:
    """Return the average precision that was measured of a judge, None where the labels do not tell it."""
    for one in found:
        if (one.judge.method, one.judge.mode, one.judge.model_version, one.kind) == (method, mode, version, kind):
            ap = one.measures.get("average_precision")
            return None if ap is None else ap.value
    return None
