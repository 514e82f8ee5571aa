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
from numpy.typing import NDArray

from service.features.case import join
from service.features.reference import Reference
from service.model.manifest import digest_of
from service.progress import Progress
from training.datasets.masters import Masters
from training.datasets.truth import Truth
from training.evaluation import evaluate
from training.evaluation.data_under_test import OwnData
from training.finetuning.plan import plan_for
from training.fitting.calibrated import fit_model, telling
from training.fitting.checkpoint import Checkpoint
from training.fitting.config import TrainConfig
from training.retraining.compare import RunComparison, compare_on
from training.retraining.gathering import Gathered, gather
from training.retraining.ground import Contest, Ground, read_ground
from training.retraining.paired import RESAMPLES
from training.runs.folder import WEIGHTS_FILE, Run
from training.runs.lineage import write_curves
from training.samples.labelled_data import Material, draw_from
from training.samples.passes import training_pass
from training.samples.reference import learn
from training.samples.samples import Draw, Samples, concatenate
from training.samples.splits import normal_events
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
    tell = telling(progress, config.epochs, 0.1, 0.85)
    draw = draw_with(labelled, gathered)
    fitted = fit_model(labelled, config, tell, checkpoint, draw, champion.model.model)
    run = run_of(fitted, labelled, _tables(own, gathered), origins, config)
    found = {"metrics": evaluate.on_test_split(run, own.world, own.known)}
    write_curves(fitted.curves, out)
    checkpoint.path.unlink()
    return replace(run, record=run.record.model_copy(update=found))


def draw_with(labelled: Material, gathered: Gathered) -> Draw:
    """Return what draws passes over a replay of the champion's world and over new events of which something is known.

    New events are seen with tables of their own: the other new ones teach them, but for those that look suspicious.
    """
    replayed, taught = draw_from(labelled), gathered.taught
    events, labels, normal = gathered.events.take(taught), gathered.labels[taught], gathered.normal[taught]

    def draw(rng: np.random.Generator) -> tuple[Samples, Samples]:
        own = replayed(rng)
        new = training_pass(events, labels, gathered.masters, rng, labelled.max_length, normal)
        weighed = _audited(new[0], own[0]), _audited(new[1], own[1])
        return concatenate([own[0], weighed[0]]), concatenate([own[1], weighed[1]])

    return draw


def _audited(new: Samples, own: Samples) -> Samples:
    """Return the new samples with windows drawn in which something is known, together _AUDITED_SHARE of all."""
    known = np.zeros(len(new.windows.start), dtype=np.bool_)
    np.logical_or.at(known, new.windows.window_of, ~np.isnan(new.labels).all(axis=1))
    oftener = _AUDITED_SHARE / (1 - _AUDITED_SHARE) * own.draws.sum() / max(int(known.sum()), 1)
    return replace(new, oftener=np.where(known, min(oftener, _MOST_OFTENER), 0).astype(np.float32))


def _tables(own: OwnData, gathered: Gathered, *, held_out: bool = True) -> Reference:
    """Return the tables of both worlds, those of the parts that are learned from alone unless ``held_out``."""
    events, labels = (own.world.events, own.known.labels) if held_out else own.part("train")
    rows = np.arange(len(gathered.events)) if held_out else gathered.taught
    both, _ = join([events, gathered.events.take(rows)])
    normal = np.concatenate([normal_events(labels), gathered.normal[rows]])
    return learn(both, normal, _united(own.world.masters, gathered.masters))


def _united(home: Masters, new: Masters) -> Masters:
    """Return the places and routes of both; where both have one, as the new data say."""
    places = np.concatenate([new.location_id, home.location_id])
    location_id, first = np.unique(places, return_index=True)
    routes = np.stack(
        [np.concatenate([getattr(each, name) for each in (new, home)]) for name in ("route_from", "route_to")]
    )
    _, kept = np.unique(routes, axis=1, return_index=True)

    def of(name: str, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        both: NDArray[np.float64] = np.concatenate([getattr(each, name) for each in (new, home)])
        return both[rows]

    return Masters(
        location_id=location_id,
        latitude=of("latitude", first),
        longitude=of("longitude", first),
        route_from=routes[0, kept],
        route_to=routes[1, kept],
        route_hours=of("route_hours", kept),
        route_count=of("route_count", kept),
        zones=new.zones,
    )


def _grounds(champion: Run, challenger: Run, own: OwnData, gathered: Gathered, golden: Sequence[Path]) -> list[Ground]:
    """Return all that both are compared on; of their tables, on held-out parts, what the other parts taught."""
    apart = _tables(own, gathered, held_out=False)
    contest = Contest(replace(champion, reference=own.reference), replace(challenger, reference=apart))
    test = own.test_split()
    audited = contest.ground(
        "audited, held out",
        gathered.events,
        Truth(gathered.held_out_labels),
        weight=gathered.weight,
        represents=gathered.is_weighted,
    )
    taught = {*own.codes, *gathered.events.take(gathered.taught).epc_codes}
    given = [read_ground(Contest(champion, challenger), taught, folder, None) for folder in golden]
    return [contest.ground("test split of the champion", test.events, test.known), *given, audited]
