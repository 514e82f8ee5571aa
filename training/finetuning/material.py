"""What a network is tuned on: events with labels, and what it says of the others itself.

Of what nobody labelled the start judges with tables that it settles without labels, each journey as a whole: hindsight
is the better judge, and so teaches what is judged as it happens. These scores are soft labels, which also keep the
network where it is right already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.progress import Progress
from training.adoption.settings import AdoptSettings
from training.adoption.settling import settle
from training.errors import DataError
from training.finetuning.plan import LEAST_LABELLED
from training.finetuning.start import StartNetwork
from training.samples.labelled_data import Material
from training.samples.reference import learn
from training.samples.samples import samples
from training.samples.splits import SPLITS, normal_events


@dataclass(frozen=True, slots=True, eq=False)
class PartlyLabelled:
    """Material whose labels are complete, and which of them somebody gave."""

    material: Material
    known: NDArray[np.bool_]  # [N, 5]

    @property
    def labelled_events(self) -> int:
        """How many events of the training part have a label."""
        rows = self.material.rows("train")
        return int(self.known[rows].any(axis=1).sum())

    def drawn(self, share: float) -> Material:
        """Return the material of which labelled items make up ``share`` of what is drawn, or more."""
        events, split = self.material.events, self.material.split
        has: NDArray[np.bool_] = np.zeros(len(events.epc_codes), dtype=np.bool_)
        has[events.epc[self.known.any(axis=1)]] = True
        train = split == SPLITS.index("train")
        labelled, others = int((has & train).sum()), int((~has & train).sum())
        if not labelled or not others:
            return self.material
        oftener = max(1.0, share / (1 - share) * others / labelled)
        return replace(self.material, draws=np.where(has, oftener, 1.0).astype(np.float32))


def complete(labelled: Material, start: StartNetwork, progress: Progress) -> PartlyLabelled:
    """Return material whose labels [N, 5] may be unknown (NaN) with those of the ``start`` in their place.

    Tables are learned from what is labelled normal, and from those others that settling does not set aside.

    Raises:
        DataError: too few events have a label, or the tables do not settle.
    """
    known: NDArray[np.bool_] = np.isfinite(labelled.labels)
    if (count := int(known.any(axis=1).sum())) < LEAST_LABELLED:
        raise DataError(
            f"{count:,} events have a label; tuning needs {LEAST_LABELLED:,} at least, and without labels a network is"
            " adopted (epc-sentinel adopt)"
        )
    if known.all():
        return PartlyLabelled(labelled, known)
    events, masters = labelled.events, labelled.masters
    settled = settle(events, masters, start.weights, AdoptSettings(), progress)
    whole = known.all(axis=1)
    wrong = ~normal_events(labelled.labels)  # by what is known
    teaching = np.where(whole, ~wrong, settled.normal & ~wrong)
    reference = learn(events, teaching, masters)
    part = samples(events, np.zeros_like(labelled.labels), reference, causal=False, limit=labelled.max_length)
    said = np.empty_like(labelled.labels)
    said[part.index] = start.weights.score(part)
    labels = np.where(known, labelled.labels, said)
    return PartlyLabelled(replace(labelled, labels=labels, teaching=teaching), known)
