"""How good a run is: model and rules, per kind, retrospective and causal, on events that it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from service import rules
from service.events import Events
from service.reference import Reference
from training import dataset, metrics
from training.dataset import DataError, Dataset, Truth
from training.reference import learn
from training.run import LENGTHS, Run, predict
from training.samples import SPLITS, normal_events, samples, split_epcs

Report = dict[str, Any]
"""mode -> detector -> kind -> metric, and what was evaluated."""


def evaluate(run_folder: Path, data: Path | None = None, truth: Path | None = None) -> Report:
    """Evaluate a run on the test split of its own data, or on all of another folder.

    Raises:
        DataError: the data cannot be used, or are not those of the training.
    """
    run = Run.load(run_folder)
    lineage = run.record["lineage"]
    if data is not None:
        world = dataset.load(data)
        return judge(run, world.events, _truth(truth, data, world), run.reference) | {"events": len(world.events)}
    world = dataset.load(Path(lineage["data"]))
    if world.files != lineage["files_sha256"]:
        raise DataError(f"the files of {lineage['data']} are not those of the training; name others with --data")
    if lineage["truth"] is None:
        raise DataError("the run was trained on rules; evaluate it against a truth file with --data and --truth")
    return on_test_split(run, world, dataset.load_truth(Path(lineage["truth"]), world.events))


def on_test_split(run: Run, world: Dataset, known: Truth) -> Report:
    """Evaluate on the EPCs that neither training nor calibration saw, with tables learned from the training ones."""
    split = split_epcs(world.events)[world.events.epc]
    fit, test = (np.flatnonzero(split == SPLITS.index(name)) for name in ("train", "test"))
    reference = learn(world.events.take(fit), normal_events(known.labels[fit]), world.masters)
    part = Truth(known.labels[test], {name: column[test] for name, column in known.details.items()})
    return judge(run, world.events.take(test), part, reference) | {"events": len(test)}


def judge(run: Run, events: Events, known: Truth, reference: Reference) -> Report:
    """Judge ``events`` as one request by the run's model and by the rules, in both modes."""
    report: Report = {}
    for mode, causal in (("retrospective", False), ("causal", True)):
        part = samples(events, known.labels, reference, causal=causal, limit=LENGTHS[-1])
        report[mode] = {
            "model": metrics.per_kind(part.labels, predict(run.model, part)),
            "rules": metrics.per_kind(part.labels, rules.judge(part.features)[0]),
        }
    return report


def _truth(truth: Path | None, data: Path, world: Dataset) -> Truth:
    path = truth or next((data / name for name in ("truth.parquet", "truth.csv") if (data / name).is_file()), None)
    if path is None:
        raise DataError(f"{data} has no truth.parquet or truth.csv; name the truth file with --truth")
    return dataset.load_truth(path, world.events)
