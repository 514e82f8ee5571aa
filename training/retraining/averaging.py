"""How far to go from the champion's weights to the tuned ones: as far as nothing is forgotten that the champion knew.

The average of a network's weights before and after tuning keeps most of what was learned and most of what was known
(Wortsman et al., 2022, "Robust fine-tuning of zero-shot models", arXiv 2109.01903). The nearer to the champion, the
less differs: at 0 are his own weights, with the challenger's tables. The share is chosen on parts that neither the
weights learned from nor the gate compares on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import MODES
from service.model.manifest import Thresholds
from training.datasets.truth import Truth
from training.evaluation.detectors import MODEL
from training.evaluation.slices import DetectorVerdicts, Judged
from training.fitting.calibrated import Fitted, cuts_of
from training.fitting.candidates import averaged
from training.fitting.config import TrainConfig
from training.network.lstm import CalibratedModel
from training.network.predict import predict_served
from training.retraining import by_slice, paired
from training.retraining.gate import refusals
from training.retraining.ground import Ground
from training.retraining.paired import MEAN
from training.runs.folder import Run
from training.runs.record import AveragingRecord, AveragingStep
from training.samples.samples import Samples

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.65, 1.0)
"""Of the way from the champion's weights to the tuned ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Proving:
    """N events on which a share is chosen, seen with the tables of either."""

    name: str
    events: Events
    known: Truth  # of all N
    weight: NDArray[np.float64]  # [N] for how many events each one stands
    champion: Sequence[Samples]  # of these events, or some of them, by mode
    challenger: Sequence[Samples]  # of the same ones, in the same order
    said_by_people: bool = False

    def ground(self, champion: Run, challenger: Fitted) -> Ground:
        """Return what both say of the events."""
        return Ground(
            self.name,
            self.events,
            self.known,
            self.weight,
            _said(champion.model, self.champion, champion.record.thresholds),
            _said(challenger.model, self.challenger, challenger.thresholds),
            champion.reference,
            is_whole=not np.isnan(self.known.labels).any(),
            said_by_people=self.said_by_people,
        )


def _said(model: CalibratedModel, parts: Sequence[Samples], thresholds: Thresholds) -> dict[str, Judged]:
    return {
        mode: Judged(part, {MODEL: DetectorVerdicts(predict_served(model, part), thresholds.of(mode), calibrated=True)})
        for mode, part in zip(MODES, parts, strict=True)
    }


def average(  # noqa: PLR0913, PLR0917
    champion: Run, tuned: Fitted, config: TrainConfig, replay: Proving, audited: Proving, resamples: int
) -> tuple[Fitted, AveragingRecord]:
    """Return the average to go on with, with thresholds of its own, and what was found at each of SHARES.

    Of the shares at which the gate would refuse nothing on the ``replay`` it is the one that gains most on what was
    ``audited``, the smallest of equal ones; 0 if it would at each, or nothing tells of a gain. Every kind counts, those
    of few anomalies, too: what is set apart for this is little.
    """
    steps: list[AveragingStep] = []
    kept: Fitted | None = None
    best = (-np.inf, -SHARES[0])  # the gain, and minus the share
    for share in SHARES:
        # In calibration, too: anew on a part that it judges without an error it would be so sure that all findings tie.
        model = averaged(champion.model, tuned.model, share)
        cuts = cuts_of([predict_served(model, part) for part in tuned.check], tuned.check, config)
        found = replace(tuned, model=model, thresholds=cuts.thresholds, points=cuts.points)
        ground = replay.ground(champion, found)
        refused = refusals(paired.compare(ground, resamples=resamples), by_slice.changes(ground))
        compared = paired.compare(audited.ground(champion, found), resamples=0)
        gains = [one.difference for one in compared if one.kind != MEAN]
        gain = round(float(np.mean(gains)), 6) if gains else 0.0
        steps.append(AveragingStep(share=share, refused=refused, gain=gain))
        if kept is None or (not refused and (gain, -share) > best):
            kept, best = found, best if refused else (gain, -share)
    assert kept is not None  # noqa: S101 - the first one is kept
    return kept, AveragingRecord(share=-best[1], steps=steps)
