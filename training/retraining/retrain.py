"""A challenger for the champion: warm start, a replay of the champion's world, and what auditors said of new events.

Both networks are then compared on EPCs that neither learned from: the held-out part of the champion's world, worlds
that are given, and the held-out part of what was audited. The champion's own scores are nobody's label.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from service.features.case import join
from service.features.reference import Reference
from service.model.manifest import digest_of
from service.progress import Progress
from training.datasets.truth import Truth
from training.evaluation import evaluate
from training.evaluation.data_under_test import OwnData
from training.finetuning.plan import plan_for
from training.fitting.calibrated import Fitted, fit_model, telling
from training.fitting.checkpoint import Checkpoint
from training.fitting.config import TrainConfig
from training.retraining.averaging import Proving, average
from training.retraining.compare import RunComparison, compare_on
from training.retraining.gathering import Gathered, gather
from training.retraining.ground import Contest, Ground, read_ground
from training.retraining.paired import RESAMPLES
from training.retraining.tables import tables_of_both, united
from training.runs.folder import WEIGHTS_FILE, Run
from training.runs.lineage import write_curves
from training.runs.record import AveragingRecord
from training.samples.labelled_data import Material, draw_from
from training.samples.samples import Draw, Samples, samples
from training.samples.splits import SPLITS, normal_events
from training.train import CHECKPOINT, run_of

GATE_FILE = "gate.json"
"""In the run folder: what the gate measured, and why it refuses."""

_EPOCHS = 6
_AUDITED_SHARE = 0.3  # of the drawn windows
_MOST_OFTENER = 30.0  # a window is drawn that much oftener at most, however few verdicts there are


@dataclass(frozen=True, slots=True)
class RetrainOptions:
    """How to retrain."""

    golden: tuple[Path, ...] = ()  # folders with truth: worlds on which a challenger must be no worse either
    epochs: int = _EPOCHS
    least_verdicts: int = 100  # that count; with fewer nothing is learned
    resamples: int = RESAMPLES
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Retrained:
    """A finished retraining."""

    run: Run
    gathered: Gathered
    comparison: RunComparison


def retrain(  # noqa: PLR0913, PLR0917
    champion_folder: Path, data: Path, verdicts: Path, out: Path, options: RetrainOptions, progress: Progress
) -> Retrained:
    """Train a challenger for the run ``champion_folder`` on new ``data`` with ``verdicts``, and compare the two.

    Writes the run folder ``out`` with GATE_FILE, also of a challenger that is refused: people want to see why.

    Raises:
        DataError: runs, data or verdicts cannot be used, or there are too few verdicts.
    """
    torch.set_num_threads(
        1
    )  # as `fit` does, and from the start: threads that wait for busy cores cost most of the time
    champion = Run.load(champion_folder)
    own = OwnData.of(champion, strangers=True)
    gathered = gather(champion, own, data, verdicts, options.least_verdicts, options.seed, progress)
    out.mkdir(parents=True, exist_ok=True)
    challenger = _train(champion_folder, champion, own, gathered, out, options, progress)
    progress("comparing with the champion", 0.9)
    grounds = _grounds(champion, challenger, own, gathered, options.golden)
    comparison = compare_on(grounds, [], options.resamples)
    (out / GATE_FILE).write_text(
        json.dumps(comparison.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    challenger.save(out)
    progress("done", 1.0)
    return Retrained(challenger, gathered, comparison)


def _train(  # noqa: PLR0913, PLR0917
    folder: Path,
    champion: Run,
    own: OwnData,
    gathered: Gathered,
    out: Path,
    options: RetrainOptions,
    progress: Progress,
) -> Run:
    audited = int(np.isfinite(gathered.labels[gathered.taught]).any(axis=1).sum())
    near = plan_for(audited, len(gathered.events)).config(TrainConfig(**champion.record.config.model_dump()))
    config = near.model_copy(update={"epochs": options.epochs, "seed": options.seed})
    labelled = own.labelled(config.max_length)
    origins = champion.record.lineage.model_copy(
        update={"audited": gathered.record, "retrained_from": digest_of(folder / WEIGHTS_FILE)}
    )
    checkpoint = Checkpoint(out / CHECKPOINT, {"config": config.model_dump(), "data": origins.model_dump()})
    tell = telling(progress, config.epochs, 0.1, 0.8)
    both = both_worlds(own, gathered, config.max_length)
    tuned = fit_model(both, config, tell, checkpoint, draw_with(both), champion.model.model)
    progress("how far to go from the champion's weights", 0.8)
    fitted, averaging = _averaged(champion, tuned, config, own, gathered, options.resamples)
    run = run_of(fitted, labelled, tables_of_both(own, gathered.new), origins, config)
    found = {"metrics": evaluate.on_test_split(run, own.world, own.known), "averaging": averaging}
    write_curves(fitted.curves, out)
    checkpoint.path.unlink()
    return replace(run, record=run.record.model_copy(update=found))


def _averaged(  # noqa: PLR0913, PLR0917
    champion: Run,
    tuned: Fitted,
    config: TrainConfig,
    own: OwnData,
    gathered: Gathered,
    resamples: int,
) -> tuple[Fitted, AveragingRecord]:
    """Return what `average` does, by the champion's validation part and the verdicts that are set apart for this."""
    home, limit = own.subject("validation"), config.max_length
    labels = gathered.labels_of(gathered.proving)

    def seen(by: Reference) -> list[Samples]:
        parts = [samples(gathered.events, labels, by, causal=causal, limit=limit) for causal in (False, True)]
        rows = [np.flatnonzero(gathered.proving[gathered.events.epc[part.index]]) for part in parts]
        return [part.take(kept) for part, kept in zip(parts, rows, strict=True)]

    tables = tables_of_both(own, gathered.new, held_out=gathered.apart)
    before, after = (
        [samples(home.events, home.known.labels, by, causal=causal, limit=limit) for causal in (False, True)]
        for by in (own.reference, tables)
    )
    replay = Proving(
        "validation part of the champion", home.events, home.known, np.ones(len(home.events)), before, after
    )
    audited = Proving(
        "audited, set apart",
        gathered.events,
        Truth(labels),
        gathered.weight,
        seen(own.reference),
        seen(tables),
        said_by_people=True,
    )
    return average(champion, replace(tuned, check=after), config, replay, audited, resamples)


def both_worlds(own: OwnData, gathered: Gathered, max_length: int) -> Material:
    """Return the champion's material and the new events as one; labels that nobody knows are NaN.

    So what is replayed is seen with tables that count both: with its own alone, how much a table counts would tell the
    worlds apart. What judges has the counts of home where home has any (`tables_of_both`). EPCs of
    which something is known are _AUDITED_SHARE of what is drawn, the other new ones only teach tables, and those that
    are held out, or say how far to go, are in no part.
    """
    home = own.labelled(max_length)
    both, request = join([home.events, gathered.events])
    known = np.zeros(len(gathered.events.epc_codes), dtype=np.bool_)
    known[gathered.events.epc[np.isfinite(gathered.labels).any(axis=1)]] = True
    replayed, audited = (home.split == SPLITS.index("train")).sum(), (known & ~gathered.apart).sum()
    oftener = min(_AUDITED_SHARE / (1 - _AUDITED_SHARE) * replayed / max(audited, 1), _MOST_OFTENER)
    split = np.concatenate([home.split, np.where(gathered.apart, -1, SPLITS.index("train")).astype(np.int8)])
    draws = np.ones(len(request), dtype=np.float32)
    draws[request == 1] = np.where(known, oftener, 0)
    return replace(
        home,
        events=both,
        labels=np.concatenate([home.labels, gathered.labels]),
        split=split,
        masters=united(home.masters, gathered.masters),
        teaching=np.concatenate([normal_events(home.labels), gathered.normal]),
        draws=draws,
    )


def draw_with(both: Material) -> Draw:
    """Return what draws passes over `both_worlds`, of which no window is drawn that has no label."""
    passes = draw_from(both)

    def draw(rng: np.random.Generator) -> tuple[Samples, Samples]:
        whole, causal = passes(rng)
        return _told(whole), _told(causal)

    return draw


def _told(part: Samples) -> Samples:
    known = np.zeros(len(part.windows.start), dtype=np.bool_)
    np.logical_or.at(known, part.windows.window_of, np.isfinite(part.labels).any(axis=1))
    return replace(part, oftener=np.where(known, part.draws, 0).astype(np.float32))


def _grounds(champion: Run, challenger: Run, own: OwnData, gathered: Gathered, golden: Sequence[Path]) -> list[Ground]:
    """Return all that both are compared on; of their tables, on held-out parts, what the other parts taught."""
    apart = tables_of_both(own, gathered.new, held_out=gathered.held_out)
    contest = Contest(replace(champion, reference=own.reference), replace(challenger, reference=apart))
    test = own.test_split()
    audited = contest.ground(
        "audited, held out",
        gathered.events,
        Truth(gathered.held_out_labels),
        weight=gathered.weight,
        represents=gathered.is_weighted,
        said_by_people=True,
    )
    taught = {*own.codes, *np.array(gathered.events.epc_codes, dtype=object)[~gathered.held_out].tolist()}
    given = [read_ground(Contest(champion, challenger), taught, folder, None) for folder in golden]
    return [contest.ground("test split of the champion", test.events, test.known), *given, audited]
