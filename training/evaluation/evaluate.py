"""How good a run is: its models, the rules and the baselines, on events that they never saw, in both modes."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.detect import rules
from service.detect.ensemble import Members, combine
from service.detect.unknown_codes import UsualCodes
from service.events.vocabulary import KINDS, MODES
from service.model.manifest import Points, Thresholds
from service.progress import Progress
from training.datasets.dataset import Dataset
from training.datasets.truth import Truth
from training.errors import DataError
from training.evaluation import baselines, points, slices
from training.evaluation.conditions import areas
from training.evaluation.conditions.all_of_them import condition_rows
from training.evaluation.data_under_test import OwnData, Source, Subject, other_subject, own_subject
from training.evaluation.detectors import ENSEMBLE, LIGHTGBM, MODEL, RULES, SVM
from training.evaluation.focus import focus_rows
from training.evaluation.importance import importance_rows
from training.evaluation.points import points_of
from training.evaluation.slices import DetectorVerdicts, Judged
from training.metrics import per_kind as metrics
from training.network.predict import predict_served
from training.runs.folder import Run
from training.runs.record import UNMEASURED, ByDetector, SplitMetrics
from training.samples.labelled_data import draw_from
from training.samples.samples import samples

WEAK = (
    "There is no truth: the rules are the labels. These numbers measure agreement with the rules, not how many "
    "anomalies are found."
)

_PASSES = 2  # over the training events, from which the baselines learn


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to evaluate, besides the model, the one-class SVMs and the rules."""

    baselines: bool = True
    miss_cost: float = metrics.MISS_COST
    resamples: int = 200  # of the EPCs, for the intervals; 0: none
    seed: int = 7
    spares_unknown: bool = True  # unknown codes, as `serve` does


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All that the reports need."""

    folder: Path
    run: Run
    notices: list[str]  # what a reader must know before any number
    source: Source
    subject: Subject
    judged: dict[str, Judged]  # by mode, what counts
    table: pd.DataFrame  # slices.COLUMNS


def evaluate(
    folder: Path, data: Path | None, truth: Path | None, options: EvaluateOptions, progress: Progress
) -> Evaluation:
    """Evaluate a run on the test split of its own data, or on another folder ``data``.

    There, all events are judged, as companions of each other; what counts are EPCs that the training did not have.

    Raises:
        DataError: the data cannot be used, or are not those of the training.
    """
    run = Run.load(folder)
    if data is not None and data.resolve() == Path(run.record.lineage.data).resolve():
        data = None  # its own: what it did not learn from is the test split
    notices: list[str] = []
    progress("reading the data", 0.0)
    own = None
    try:
        own = OwnData.of(run, strangers=options.baselines or data is not None)
    except DataError as error:
        if data is None:
            raise
        notices.append(
            "Baselines are left out, since they learn from the data of the training, and EPCs that the training had "
            f"count like others: {error}"
        )
    if data is not None:
        subject, source = other_subject(run, data, truth, own)
    else:
        assert own is not None  # noqa: S101 - read above
        subject, source = own_subject(run, own, truth)
    subject = replace(subject, spares_unknown=options.spares_unknown)
    notices += subject.warnings
    if source["truth"] is None:
        notices.insert(0, WEAK)
    progress("judging: model, one-class SVMs and rules", 0.05)
    judged = judge(run, subject)
    if own is not None and options.baselines:
        _add_baselines(judged, own, run, options.seed, progress)
    progress("measuring", 0.9)
    if subject.measured is not None:
        judged = {mode: part.of(subject.measured) for mode, part in judged.items()}
    table = slices.table(judged, subject.events, subject.known.details, options)
    names = areas.names_of_places(Path(source["data"]))
    inside = condition_rows(run, subject, judged, names, options.seed)
    inside += [*focus_rows(run.model.model, judged, options.seed), *(at_points := points.rows(judged))]
    if run.svm is not None:
        progress("what the one-class SVMs go by", 0.95)
        inside += importance_rows(run.svm, judged, UsualCodes(run.reference), options.seed)
    table = pd.concat([table, pd.DataFrame(inside, columns=list(slices.COLUMNS))], ignore_index=True)
    if run.record.config.costs() is None:
        notices += points.over_budget(at_points, run.record.config.false_positive_budget)
    progress("done", 1.0)
    return Evaluation(folder, run, notices, source, subject, judged, table)


def on_test_split(run: Run, world: Dataset, known: Truth, measured: NDArray[np.bool_] | None = None) -> SplitMetrics:
    """Measure model, one-class SVMs and rules on the EPCs that neither training nor calibration saw.

    Only the ``measured`` [N] events count, all those of their EPCs; default: all.
    """
    own = OwnData(world, known)
    subject, counted = own.test_split(), None
    if measured is not None:
        counted = np.flatnonzero(measured[own.rows("test")])
        if not len(counted):
            return UNMEASURED
    by_mode: dict[str, ByDetector] = {}
    for mode, judged in judge(run, subject).items():
        by_mode[mode] = {}
        part = judged if counted is None else judged.of(counted)
        for name, verdicts in part.detectors.items():
            table = slices.overall(part.samples.labels, verdicts, metrics.MISS_COST)
            by_mode[mode][name] = {kind: _json_safe(row) for kind, row in table.items()}
    return SplitMetrics(events=len(subject.events) if counted is None else len(counted), **by_mode)


def judge(run: Run, subject: Subject) -> dict[str, Judged]:
    """Judge the events as one request by the run's model, its SVMs, the rules and the ensemble, in each mode."""
    judged, record, usual = {}, run.record, UsualCodes(run.reference)
    for causal, mode in enumerate(MODES):
        part = subject.samples(causal=bool(causal), limit=run.lengths[-1])
        opinion = rules.opinion(part.features)
        detectors = {
            MODEL: _verdicts(predict_served(run.model, part), record.thresholds, record.operating_points, mode),
            RULES: DetectorVerdicts(opinion.evidence, [rules.THRESHOLD] * len(KINDS)),
        }
        if run.svm is not None and record.svm_thresholds is not None and record.ensemble is not None:
            of_svm = predict_served(run.svm, replace(part, features=usual.at_home(part.features)))
            detectors[SVM] = _verdicts(of_svm, record.svm_thresholds, record.svm_operating_points, mode)
            combination = record.ensemble
            combined = combine(Members(detectors[MODEL].scores, of_svm, opinion, part.spared), combination, causal)
            detectors[ENSEMBLE] = _verdicts(combined, combination.thresholds, combination.operating_points, mode)
        judged[mode] = Judged(part, detectors)
    return judged


def _verdicts(
    scores: NDArray[np.float32], thresholds: Thresholds, of_points: Points | None, mode: str
) -> DetectorVerdicts:
    of_mode = points_of(thresholds, of_points, mode)
    return DetectorVerdicts(scores, thresholds.of(mode), calibrated=True, points=of_mode)


def _add_baselines(judged: dict[str, Judged], own: OwnData, run: Run, seed: int, progress: Progress) -> None:
    """Fit the baselines on the run's training events and let them judge too."""
    rng, budget = np.random.default_rng(seed), run.record.config.false_positive_budget
    progress("baselines: features of the training events", 0.1)
    draw = draw_from(own.labelled(run.lengths[-1]))
    passes = [draw(rng) for _ in range(_PASSES)]

    def fit(causal: int, mode: str) -> None:
        def report(what: str) -> None:
            progress(f"baselines, {mode}: {what}", 0.2)

        part = judged[mode]
        check = samples(*own.part("validation"), own.reference, causal=bool(causal), limit=run.lengths[-1])
        for fitted in baselines.fit([both[causal] for both in passes], check, budget, seed, report):
            calibrated = fitted.name == LIGHTGBM
            part.detectors[fitted.name] = DetectorVerdicts(
                fitted.score(part.samples), fitted.thresholds, calibrated=calibrated
            )

    with ThreadPoolExecutor(len(MODES)) as pool:  # a core each: boosting leaves Python's lock alone
        for done in [pool.submit(fit, causal, mode) for causal, mode in enumerate(MODES)]:
            done.result()


def _json_safe(row: dict[str, float]) -> dict[str, float | None]:
    return {metric: None if math.isnan(value) else value for metric, value in row.items()}
