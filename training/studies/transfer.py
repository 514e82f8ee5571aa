"""What a trained network is worth to a network that it never saw: as it is, adopted, tuned on few labels, on all.

All steps judge the same held-out items, as a gateway does, which spares codes that its tables lack. Tables, tuning and
thresholds come from the others: without labels, or with as many as a step says, of items drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.events.vocabulary import KINDS, MODES
from service.features.reference import Reference
from service.model.manifest import Thresholds
from service.progress import Progress
from training.adoption.alarms import AlarmCuts, cuts_within_budget
from training.adoption.judging import judged
from training.adoption.settings import AdoptSettings
from training.adoption.settling import Settled, settle
from training.datasets.truth import Truth
from training.evaluation.data_under_test import Subject
from training.evaluation.tables import Sheet
from training.finetuning.start import StartNetwork
from training.finetuning.tune import tune_from
from training.fitting.calibrated import fit_model
from training.fitting.config import TrainConfig
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.network.predict import predict_served
from training.samples.labelled_data import Material
from training.samples.samples import Score

LABELLED = (500, 2_000, 20_000)
"""Labelled events of the steps between adopting and training with all labels."""


class TransferStep(NamedTuple):
    """A judge and the tables that it judges by."""

    name: str
    score: Score
    reference: Reference
    thresholds: Thresholds


def study_transfer(
    labelled: Material, start: StartNetwork, config: TrainConfig, out: Path, progress: Progress
) -> list[Sheet]:
    """Judge the test part of material of another network by each step; the folder ``out`` gets ``transfer.csv``.

    Raises:
        DataError: the tables do not settle.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    events, labels = labelled.take("test")
    for step in _steps(labelled, start, config, progress):
        subject = Subject(events, Truth(labels), step.reference)
        for causal, mode in enumerate(MODES):
            part = subject.samples(causal=bool(causal), limit=labelled.max_length)
            scores = step.score(part)
            measured = per_kind(part.labels, scores)
            flags = scores >= np.array(step.thresholds.of(mode), dtype=np.float32)
            for kind, truth, flagged in zip(KINDS, part.labels.T >= 0.5, flags.T, strict=True):
                rows.append(
                    (step.name, mode, kind, measured[kind]["ap"], _share(flagged[truth]), _share(flagged[~truth]))
                )
            rows.append((step.name, mode, MACRO, measured[MACRO]["ap"], np.nan, np.nan))
    table = pd.DataFrame(rows, columns=["step", "mode", "kind", "ap", "recall", "false_alarms"])
    table.to_csv(out / "transfer.csv", index=False)
    progress("done", 1.0)
    return [_sheet(table, mode) for mode in MODES]


def _steps(labelled: Material, start: StartNetwork, config: TrainConfig, progress: Progress) -> Iterator[TransferStep]:
    progress("as it is", 0.0)
    yield TransferStep("as it is", start.weights.score, start.reference, start.weights.thresholds)
    progress("adopted", 0.1)
    events, _ = labelled.take("train")
    settled = settle(events, labelled.masters, start.weights, AdoptSettings(), lambda _what, _done: None)
    yield TransferStep("adopted", start.weights.score, settled.reference, _cuts(labelled, settled, start))
    for number, wanted in enumerate([*LABELLED, len(labelled.rows("train"))]):
        partly = _with_labels(labelled, wanted, config.seed)
        count = int(np.isfinite(partly.labels[labelled.rows("train")]).all(axis=1).sum())
        if count < wanted:  # the material has no more
            continue
        name = "all labels" if count == len(labelled.rows("train")) else f"{wanted:,} labels"
        progress(name, 0.2 + 0.2 * number)
        tuning = tune_from(start, partly, config)
        fitted = fit_model(tuning.material, tuning.config, lambda _curves: None, start=start.model.model)
        score = partial(predict_served, fitted.model)
        yield TransferStep(name, score, tuning.material.reference("train"), fitted.thresholds)


def _with_labels(labelled: Material, wanted: int, seed: int) -> Material:
    """Return the material of which ``wanted`` training events, or a few more, and as large a share of the validation
    have a label: all events of items drawn at random.
    """
    train = len(labelled.rows("train"))
    if wanted >= train:
        return labelled
    rng = np.random.default_rng([seed, wanted])
    known: NDArray[np.bool_] = np.zeros(len(labelled.events.epc_codes), dtype=np.bool_)
    size = np.bincount(labelled.events.epc, minlength=len(known))
    for part in ("train", "validation"):
        items = rng.permutation(np.unique(labelled.events.epc[labelled.rows(part)]))
        most = wanted * len(labelled.rows(part)) / train
        known[items[: int(np.searchsorted(np.cumsum(size[items]), most)) + 1]] = True
    hidden = ~known[labelled.events.epc]
    return replace(labelled, labels=np.where(hidden[:, None], np.float32(np.nan), labelled.labels))


def _cuts(labelled: Material, settled: Settled, start: StartNetwork) -> Thresholds:
    """Return the cuts of the sensitive point that adopting the training part gives."""
    events, _ = labelled.take("train")
    scores = {
        mode: judged(events, settled.reference, start.weights, causal=bool(causal)).scores
        for causal, mode in enumerate(MODES)
    }
    source = AlarmCuts(start.weights.thresholds, None)
    return cuts_within_budget(scores, settled.normal, source).thresholds


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def _sheet(table: pd.DataFrame, mode: str) -> Sheet:
    rows = []
    for step, part in table[table["mode"] == mode].groupby("step", sort=False):
        by_kind = part.set_index("kind")
        kinds = by_kind.loc[list(KINDS)]
        rows.append(
            [str(step), f"{by_kind.ap[MACRO]:.4f}"]
            + [f"{ap:.4f}" for ap in kinds.ap]
            + [f"{kinds.recall.mean():.3f}", f"{kinds.false_alarms.max():.2%}"]
        )
    headings = ["step", "AP macro", *KINDS, "recall", "false alarms, worst kind"]
    return Sheet(f"{mode}: an unseen network", "AP by kind, on the same held-out items", headings, rows)
