"""From a data folder to a run folder: EPC-disjoint split in time, fitting, calibration, thresholds, measures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from service.dialect.dialect import Dialect
from service.events.vocabulary import OperatingPoint
from service.features import table as features
from service.features.reference import Reference
from service.progress import Progress
from training.datasets import dataset
from training.datasets.masters import Masters
from training.datasets.truth import Truth
from training.evaluation import evaluate
from training.finetuning.start import StartNetwork
from training.finetuning.tune import tune_from
from training.fitting import cross_validation
from training.fitting.calibrated import Fitted, fit_ensemble, fit_model, fit_svm, telling
from training.fitting.checkpoint import Checkpoint
from training.fitting.config import TrainConfig
from training.network.predict import predict, predict_served
from training.runs.drift_histograms import reference_histograms
from training.runs.expected_error import expected_error, known_events
from training.runs.folder import Run, padded_lengths
from training.runs.lineage import contents, lineage, write_curves
from training.runs.median_events import median_events
from training.runs.record import UNMEASURED, Contents, Lineage, RunRecord
from training.runs.telling_journey import telling_journey
from training.samples import labelled_data
from training.samples.labelled_data import Material, Strangers
from training.samples.other_networks import OtherNetwork, load_network
from training.samples.reference import learn
from training.samples.splits import normal_events

CHECKPOINT = "checkpoint.pt"
"""In the run folder while the training is not finished."""

MORE_QUARANTINE = ("quarantine_more_data.csv", "quarantine_more_data_{number}.csv")
"""The rows of the first other folder that cannot be used, and of the next ones, counted from 2."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train, besides the settings of the model."""

    more_data: tuple[Path, ...] = ()  # other labelled folders, whose items are only learned from: `Strangers`
    more_truth: Path | None = None  # labels of the one; default: truth.parquet or truth.csv in it, or else the rules'
    other_networks: tuple[Path, ...] = ()  # labelled folders of other networks: `OtherNetwork`
    start: StartNetwork | None = None  # whose weights the training begins with; None: random ones
    resume: bool = False  # go on with an unfinished training
    folds: int = 1  # models of as many splits are compared; 1: only the usual one
    dialect: Dialect | None = None  # how the network of the data writes its events


_DEFAULTS = TrainOptions()


def train(  # noqa: PLR0913, PLR0917
    data: Path,
    truth: Path | None,
    out: Path,
    config: TrainConfig,
    progress: Progress,
    options: TrainOptions = _DEFAULTS,
) -> Run:
    """Train on the raw files of ``data`` and write the run folder ``out``; without ``truth`` the rules label.

    The model is that of the usual split, however many folds there are. From a start, ``truth`` may say little, and how
    far the training goes depends on how much that is: `finetuning`.

    Raises:
        DataError: the data cannot be used, or ``out`` has an unfinished training of something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    progress("reading the data", 0.0)
    world, known, labelled = labelled_data.load(
        data,
        truth,
        config.max_length,
        quarantine=out / dataset.QUARANTINE,
        time_zone=config.time_zone,
        dialect=options.dialect,
        partial=options.start is not None,
    )
    strangers, more = _strangers(options, data, world.masters, out)
    networks, others = _other_networks(options, config)
    origins = lineage(data, truth, world, labelled.split[world.events.epc], more, others)
    labelled = replace(labelled, strangers=strangers, networks=networks)
    tuned = None
    if options.start is not None:
        progress(f"what {options.start.weights.title} says of these data", 0.0)
        tuned = tune_from(options.start, labelled, config)
        labelled, config, known = tuned.material, tuned.config, Truth(tuned.material.labels, known.details)
    origin: dict[str, object] = {
        "config": config.model_dump(),
        "data": _hashes(origins),
        "more data": [_hashes(each) for each in more],
        "other networks": [_hashes(each) for each in others],
    }
    if options.dialect is not None:
        origin["network"] = options.dialect.model_dump()
    checkpoint = Checkpoint(out / CHECKPOINT, origin)
    if not options.resume:
        checkpoint.path.unlink(missing_ok=True)
    start = None if options.start is None else options.start.model.model
    fitted = fit_model(labelled, config, telling(progress, config.epochs, 0.02, 0.95), checkpoint, start=start)
    progress("one-class SVMs", 0.95)
    teaching = normal_events(known.labels) if labelled.teaching is None else labelled.teaching
    reference = learn(world.events, teaching, world.masters)
    run = run_of(fitted, labelled, reference, origins, config)
    progress("evaluating", 0.96)
    measured = None if tuned is None else tuned.labelled
    found: dict[str, object] = {"metrics": evaluate.on_test_split(run, world, known, measured)}
    if tuned is not None:
        found["tuning"] = tuned.record.model_copy(update={"share": fitted.share})
    if options.folds > 1:
        table = cross_validation.cross_validate(labelled, fitted, config, options.folds, progress)
        table.to_csv(out / cross_validation.FOLDS_FILE)
        found["folds"] = cross_validation.summary(table)
    run = replace(run, record=run.record.model_copy(update=found))
    write_curves(fitted.curves, out)
    run.save(out)  # last of all: a folder with a record is a finished training
    checkpoint.path.unlink()
    progress("done", 1.0)
    return run


def run_of(fitted: Fitted, labelled: Material, reference: Reference, origins: Lineage, config: TrainConfig) -> Run:
    """Return the run of fitted weights, not measured yet: with the one-class SVMs and the ensemble beside them."""
    svm, of_svm = fit_svm(labelled, fitted.check, config)
    lengths = padded_lengths(config.max_length)
    record = RunRecord(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        config=TrainConfig(**config.model_dump()),  # every setting counts as given, and so is written
        model=fitted.model.model.config,
        lengths=lengths,
        feature_spec_hash=features.feature_spec_hash(),
        thresholds=fitted.thresholds,
        operating_points=fitted.points,
        svm_thresholds=of_svm.thresholds,
        svm_operating_points=of_svm.points,
        ensemble=fit_ensemble(fitted.model, svm, fitted.check, config),
        baseline=median_events(fitted.check),
        expected_error=expected_error(
            known_events(fitted.check[1]), fitted.check[1].labels, fitted.causal_flags(OperatingPoint.BALANCED)
        ),
        lineage=origins,
        probe=telling_journey(fitted.check[0], lengths[0], partial(predict, fitted.model)),
        histograms=reference_histograms(
            labelled.take("validation")[0], partial(predict_served, fitted.model), reference, config.max_length
        ),
        metrics=UNMEASURED,
    )
    return Run(fitted.model, reference, record, svm)


def _strangers(
    options: TrainOptions, data: Path, home: Masters, out: Path
) -> tuple[tuple[Strangers, ...], list[Contents]]:
    """Return the strangers of the options and what the lineage says of them; rows set aside are listed in ``out``."""
    loaded = [
        (folder, *labelled_data.load_strangers(folder, options.more_truth, data, home, out / _quarantine(number)))
        for number, folder in enumerate(options.more_data, 1)
    ]
    return (
        tuple(strangers for _, strangers, _, _ in loaded),
        [contents(folder, truth, other) for folder, _, other, truth in loaded],
    )


def _other_networks(options: TrainOptions, config: TrainConfig) -> tuple[tuple[OtherNetwork, ...], list[Contents]]:
    """Return the other networks of the options and what the lineage says of them."""
    loaded = [(folder, *load_network(folder, config.time_zone)) for folder in options.other_networks]
    return (
        tuple(network for _, network, _, _ in loaded),
        [contents(folder, truth, world) for folder, _, world, truth in loaded],
    )


def _quarantine(number: int) -> str:
    first, next_ones = MORE_QUARANTINE
    return first if number == 1 else next_ones.format(number=number)


def _hashes(folder: Contents) -> dict[str, dict[str, str]]:
    return folder.model_dump(include={"files_sha256", "other_files_sha256"})
