"""What all the truth teaches, the measure of what a loop can bring back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.trained import silent
from tests.tools.feedback.attainable import ap_by_week, known_run
from training.datasets import dataset
from training.datasets.truth import load_truth
from training.runs.folder import Run
from training.samples.splits import normal_events


def test_all_the_truth_is_learned_and_nobody_is_set_aside(tiny_run: Path, other_world: Path) -> None:
    champion, known = Run.load(tiny_run), known_run(tiny_run, other_world, silent, epochs=1)
    world = dataset.load(other_world)
    labels = load_truth(other_world / "truth.parquet", world.events).labels
    audited = known.record.lineage.audited
    assert audited is not None
    assert not any(one.set_aside for one in audited.auditors)
    assert sum(audited.counted.values()) == audited.said - audited.left_out
    places = world.events.location_id[normal_events(labels)]
    assert (known.reference.place_of(places) < len(known.reference.location_id)).all()

    first = int(world.events.time_us.min())
    before, after = (np.nanmean(ap_by_week(run, other_world, first)) for run in (champion, known))
    assert after > before
