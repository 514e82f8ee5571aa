"""From a data folder to a run folder: EPC-disjoint split in time, fitting, calibration, thresholds, measures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.features import table as features
from training.datasets import dataset
from training.datasets.masters import Masters
from training.evaluation import evaluate
from training.fitting import cross_validation as folds
from training.fitting.calibrated import fit_ensemble, fit_model, fit_svm, telling
from training.fitting.checkpoint import Checkpoint
from training.fitting.config import TrainConfig
from training.progress import Progress
from training.runs import lineage as record
from training.runs.drift_histograms import reference_histograms
from training.runs.folder import Run, padded_lengths
from training.samples import labelled_data as material
from training.samples.labelled_data import Strangers
from training.samples.reference import learn
from training.samples.splits import normal_events

CHECKPOINT = "checkpoint.pt"
"""In the run folder while the training is not finished."""

MORE_QUARANTINE = "quarantine_more_data.csv"
"""The rows of the other folder that cannot be used."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to train, besides the settings of the model."""

    more_data: Path | None = None  # another labelled folder, whose items are only learned from: `material.Strangers`
    more_truth: Path | None = None  # its labels; default: truth.parquet or truth.csv in it, or else the rules'
    resume: bool = False  # go on with an unfinished training
    folds: int = 1  # models of as many splits are compared; 1: only the usual one


_DEFAULTS = Options()


def train(  # noqa: PLR0913, PLR0917
    data: Path, truth: Path | None, out: Path, config: TrainConfig, progress: Progress, options: Options = _DEFAULTS
) -> Run:
    """Train on the raw files of ``data`` and write the run folder ``out``; without ``truth`` the rules label.

    The model is that of the usual split, however many folds there are.

    Raises:
        DataError: the data cannot be used, or ``out`` has an unfinished training of something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress("reading the data", 0.0)
    world, known, labelled = material.load(data, truth, config.max_length, quarantine=out / dataset.QUARANTINE)
    lineage = record.lineage(data, truth, world, labelled.split[world.events.epc])
    strangers, lineage["more_data"] = _strangers(options, data, world.masters, out)
    labelled = replace(labelled, strangers=strangers)
    origin = {"config": config.model_dump(), "data": _hashes(lineage), "more data": _hashes(lineage["more_data"])}
    checkpoint = Checkpoint(out / CHECKPOINT, origin)
    if not options.resume:
        checkpoint.path.unlink(missing_ok=True)
    fitted = fit_model(labelled, config, telling(progress, config.epochs, 0.02, 0.95), checkpoint)
    progress("one-class SVMs", 0.95)
    svm, svm_thresholds = fit_svm(labelled, fitted.check, config)
    lengths = padded_lengths(config.max_length)
    content = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": config.model_dump(),
        "model": asdict(fitted.model.model.config),
        "lengths": lengths,
        "feature_spec_hash": features.feature_spec_hash(),
        "thresholds": fitted.thresholds,
        "svm_thresholds": svm_thresholds,
        "ensemble": fit_ensemble(fitted.model, svm, fitted.check, config),
        "lineage": lineage,
        "probe": record.probe(fitted.check[0], lengths[0]),
    }
    run = Run(fitted.model, learn(world.events, normal_events(known.labels), world.masters), content, svm)
    content["histograms"] = reference_histograms(
        labelled.take("validation")[0], fitted.model, run.reference, config.max_length
    )
    progress("evaluating", 0.96)
    content["metrics"] = evaluate.on_test_split(run, world, known)
    if options.folds > 1:
        table = folds.cross_validate(labelled, fitted, config, options.folds, progress)
        table.to_csv(out / folds.FOLDS_FILE)
        content["folds"] = folds.summary(table)
    run.save(out)
    record.write_curves(fitted.curves, out)
    checkpoint.path.unlink()
    progress("done", 1.0)
    return run


def _strangers(
    options: Options, data: Path, home: Masters, out: Path
) -> tuple[Strangers | None, dict[str, Any] | None]:
    """Return the strangers of the options and what the lineage says of them; rows set aside are listed in ``out``."""
    if (folder := options.more_data) is None:
        return None, None
    strangers, other, truth = material.load_strangers(folder, options.more_truth, data, home, out / MORE_QUARANTINE)
    return strangers, record.contents(folder, truth, other)


def _hashes(of_a_folder: dict[str, Any] | None) -> dict[str, Any] | None:
    return of_a_folder and {name: of_a_folder[name] for name in ("files_sha256", "other_files_sha256")}
