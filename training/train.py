"""From a data folder to a run folder: EPC-disjoint split in time, fitting, calibration, thresholds, measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from service import features
from training import calibration, dataset, evaluate, material, record
from training.checkpoint import MODES, Checkpoint
from training.config import TrainConfig
from training.dataset import DataError
from training.fit import Progress, fit
from training.material import Material
from training.model import CalibratedModel, EpcLstm
from training.reference import learn
from training.run import LENGTHS, Run, predict
from training.samples import Samples, normal_events, training_pass

CHECKPOINT = "checkpoint.pt"
"""In the run folder while the training is not finished."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model and what it was checked on."""

    model: CalibratedModel
    thresholds: dict[str, list[float]]  # mode -> [5]
    check: list[Samples]  # validation, by mode
    curves: list[dict[str, float]]  # by epoch


def train(  # noqa: PLR0913
    data: Path, truth: Path | None, out: Path, config: TrainConfig, progress: Progress, *, resume: bool = False
) -> Run:
    """Train on the raw files of ``data`` and write the run folder ``out``; without ``truth`` the rules label.

    With ``resume`` an unfinished training in ``out`` goes on where it stopped.

    Raises:
        DataError: the data cannot be used, or ``out`` has an unfinished training of something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress("reading the data", 0.0)
    world, known, labelled = material.load(data, truth, quarantine=out / dataset.QUARANTINE)
    lineage = record.lineage(data, truth, world, labelled.split[world.events.epc])
    files = {name: lineage[name] for name in ("files_sha256", "other_files_sha256")}
    checkpoint = Checkpoint(out / CHECKPOINT, {"config": config.model_dump(), "data": files})
    if not resume:
        checkpoint.path.unlink(missing_ok=True)
    fitted = fit_model(labelled, config, _part_of(progress, 0.02, 0.95), checkpoint)
    content = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": config.model_dump(),
        "model": asdict(fitted.model.model.config),
        "feature_spec_hash": features.feature_spec_hash(),
        "thresholds": fitted.thresholds,
        "lineage": lineage,
        "histograms": record.histograms(fitted.check[0], predict(fitted.model, fitted.check[0])),
        "probe": record.probe(fitted.check[0]),
    }
    run = Run(fitted.model, learn(world.events, normal_events(known.labels), world.masters), content)
    progress("evaluating", 0.96)
    content["metrics"] = evaluate.on_test_split(run, world, known)
    run.save(out)
    record.write_curves(fitted.curves, out)
    checkpoint.path.unlink()
    progress("done", 1.0)
    return run


def fit_model(
    labelled: Material, config: TrainConfig, progress: Progress, checkpoint: Checkpoint | None = None
) -> Fitted:
    """Fit on the training part and calibrate on the validation part.

    Raises:
        DataError: a part has no anomaly to learn from, or the checkpoint is of something else.
    """
    for part in ("train", "validation"):
        labels = labelled.take(part)[1]
        if normal_events(labels).all():
            raise DataError(f"no event of the {part} part ({len(labels)} events) is labelled anomalous")
    check = labelled.samples("validation", labelled.reference("train"))
    model, curves = fit(config, draw_from(labelled), check, progress, checkpoint)
    calibrated, thresholds = _calibrate(model, check, config)
    return Fitted(calibrated, thresholds, check, curves)


def draw_from(labelled: Material) -> Callable[[np.random.Generator], tuple[Samples, Samples]]:
    """Return what draws passes over the training part."""
    events, labels = labelled.take("train")
    return lambda rng: training_pass(events, labels, labelled.masters, rng, LENGTHS[-1])


def _calibrate(
    model: EpcLstm, check: list[Samples], config: TrainConfig
) -> tuple[CalibratedModel, dict[str, list[float]]]:
    """Return the calibrated model and the thresholds by mode, both from the validation samples."""
    platt = [calibration.platt(predict(model, part), part.labels) for part in check]
    a, b = (torch.tensor([pair[index] for pair in platt]) for index in (0, 1))
    calibrated = CalibratedModel(model, features.INDEX["causal"], a, b).eval()
    costs, budget = config.costs(), config.false_positive_budget
    thresholds = {
        mode: calibration.thresholds_of_costs(costs)
        if costs
        else calibration.thresholds(predict(calibrated, part), part.labels, budget)
        for mode, part in zip(MODES, check, strict=True)
    }
    return calibrated, thresholds


def _part_of(progress: Progress, begin: float, end: float) -> Progress:
    """Return what reports 0 .. 1 as ``begin`` .. ``end``."""
    return lambda stage, done: progress(stage, begin + (end - begin) * done)
