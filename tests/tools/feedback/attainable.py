"""What a world allows: a retraining that knows all the truth until a day, held by no gate.

``python -m tests.tools.feedback.attainable RUN DATA OUT`` trains on the run's own data and on ``DATA``, each event
labelled by ``DATA/truth.parquet``, with the tables of `retrain`; no auditor errs, nothing is set apart, and the weights
go all of the way. What it reaches on later days is what a loop could bring back by these data. ``--later DIR``, the
whole world of which ``DATA`` is the beginning, prints the mean average precision of both by week, causally.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score  # type: ignore[import-untyped]

from service.events.vocabulary import KINDS
from service.model.manifest import digest_of
from service.progress import Progress
from training.datasets import dataset
from training.datasets.truth import load_truth
from training.evaluation import evaluate
from training.evaluation.data_under_test import OwnData
from training.fitting.calibrated import fit_model, telling
from training.fitting.config import TrainConfig
from training.network.predict import predict
from training.retraining.gathering import Gathered, gather
from training.retraining.retrain import both_worlds, draw_with
from training.retraining.tables import tables_of_both
from training.runs.folder import WEIGHTS_FILE, Run
from training.samples.samples import samples
from training.samples.splits import normal_events
from training.train import run_of

_PEOPLE = 3  # say a part of the truth each, so that none of them stands out
_WEEK_US = 7 * 86_400_000_000
_EPOCHS = 4
_SETTINGS = {"windows_per_epoch": 16_000, "learning_rate": 1e-3, "weight_decay": 0.0, "anchor": 0.0}


def known_run(champion_folder: Path, data: Path, progress: Progress, epochs: int = _EPOCHS) -> Run:
    """Return what all the truth of ``data`` teaches, from the weights of ``champion_folder``."""
    champion = Run.load(champion_folder)
    own = OwnData.of(champion, strangers=True)
    gathered = _all_known(champion, own, data, progress)
    config = TrainConfig.model_validate(champion.record.config.model_dump() | _SETTINGS | {"epochs": epochs})
    both = both_worlds(own, gathered, config.max_length)
    tell, draw = telling(progress, config.epochs), draw_with(both)
    fitted = fit_model(both, config, tell, None, draw, champion.model.model, keeps_last=True)
    origins = champion.record.lineage.model_copy(
        update={"audited": gathered.record, "retrained_from": digest_of(champion_folder / WEIGHTS_FILE)}
    )
    run = run_of(fitted, own.labelled(config.max_length), tables_of_both(own, gathered.new), origins, config)
    measured = {"metrics": evaluate.on_test_split(run, own.world, own.known)}
    return replace(run, record=run.record.model_copy(update=measured))


def _all_known(champion: Run, own: OwnData, data: Path, progress: Progress) -> Gathered:
    """Return the new events with their truth, as `gather` does with what people say of all of them."""
    world = dataset.load(data, time_zone=champion.reference.zones.default)
    labels = load_truth(data / "truth.parquet", world.events).labels
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "truth.csv"
        lines = ["event_id,kind,verdict,who,when"]
        for row, event_id in enumerate(world.events.event_id.tolist()):
            lines += [
                f"{event_id},{kind},{'confirmed' if labels[row, column] else 'rejected'},{row % _PEOPLE},2026-01-01"
                for column, kind in enumerate(KINDS)
            ]
        said.write_text("\n".join(lines) + "\n", encoding="utf-8")
        gathered = gather(champion, own, data, said, 1, 7, progress)
    nobody = np.zeros_like(gathered.held_out)
    return replace(gathered, held_out=nobody, proving=nobody, normal=normal_events(gathered.labels))


def ap_by_week(run: Run, world: Path, begins_us: int) -> list[float]:
    """Return the mean average precision of the kinds by week from a time on, each event judged as it comes."""
    events = dataset.load(world).events
    labels = load_truth(world / "truth.parquet", events).labels
    part = samples(events, labels, run.reference, causal=True, limit=run.lengths[-1])
    scores, week = predict(run.model, part), (events.time_us[part.index] - begins_us) // _WEEK_US
    return [_mean_ap(part.labels[week == one], scores[week == one]) for one in range(int(week.max()) + 1)]


def _mean_ap(labels: NDArray[np.float32], scores: NDArray[np.float32]) -> float:
    known = [at for at in range(len(KINDS)) if labels[:, at].any()]
    return float(np.mean([average_precision_score(labels[:, at], scores[:, at]) for at in known])) if known else nan


def main() -> None:
    """Train and write the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "data", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--later", type=Path)
    given = parser.parse_args()
    run = known_run(given.run, given.data, lambda what, _share: print(what, flush=True))
    given.out.mkdir(parents=True, exist_ok=True)
    run.save(given.out)
    if given.later is not None:
        begins_us = int(dataset.load(given.data).events.time_us.max()) + 1
        for name, one in ((given.run, Run.load(given.run)), (given.out, run)):
            weeks = ap_by_week(one, given.later, begins_us)
            print(f"{name}: {', '.join(f'{ap:.3f}' for ap in weeks)}; mean {np.nanmean(weeks):.3f}")


if __name__ == "__main__":
    main()
