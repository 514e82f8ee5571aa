"""A training from given weights: its material, its settings, and what the record says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.finetuning.material import complete
from training.finetuning.plan import plan_for
from training.finetuning.start import StartNetwork
from training.fitting.config import TrainConfig
from training.runs.record import TuningRecord
from training.samples.labelled_data import Material


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What to train from a start, and how."""

    material: Material  # its labels are complete
    config: TrainConfig
    labelled: NDArray[np.bool_]  # [N] events of which somebody labelled all kinds that he labels at all
    record: TuningRecord


def tune_from(start: StartNetwork, labelled: Material, config: TrainConfig) -> Tuning:
    """Return how the network of ``start`` learns from material whose labels may be unknown (NaN).

    Raises:
        DataError: too few events have a label, or tables do not settle.
    """
    partly = complete(labelled, start, lambda _what, _done: None)
    plan = plan_for(partly.labelled_events, len(labelled.rows("train")))
    kinds = partly.known.any(axis=0)
    whole = partly.known[:, kinds].all(axis=1)
    items = np.zeros(len(labelled.events.epc_codes), dtype=np.bool_)
    items[labelled.events.epc] = True
    items[labelled.events.epc[~whole]] = False  # of which some event is unlabelled
    given = items[labelled.events.epc]
    return Tuning(
        replace(partly.drawn(plan.share), given=given),
        plan.config(config),
        given,
        TuningRecord(start=start.weights.title, labelled_events=partly.labelled_events, way=plan.way),
    )
