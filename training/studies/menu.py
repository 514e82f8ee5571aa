"""The studies of the command `study`: each answers one question about the data and the model, in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from service.progress import Progress, part_of
from training.evaluation.tables import Sheet
from training.fitting.calibrated import Fitted, fit_model, telling
from training.fitting.config import TrainConfig
from training.samples.labelled_data import Material
from training.studies import coldstart, lengths, redundancy, robustness

CONFIG_FILE = "config.json"
"""What the study of lengths proposes, for `train --config`."""


def study(name: str, labelled: Material, config: TrainConfig, out: Path, progress: Progress) -> list[Sheet]:
    """Run the study ``name`` of STUDIES; the folder ``out`` gets its tables (csv) and plots (png)."""
    out.mkdir(parents=True, exist_ok=True)
    return STUDIES[name](labelled, config, out, progress)


def _robustness(labelled: Material, config: TrainConfig, out: Path, progress: Progress) -> list[Sheet]:
    trained = _trainer(config, robustness.TRAININGS, progress)
    return robustness.robustness(labelled, trained, out, config.seed)


def _lengths(labelled: Material, config: TrainConfig, out: Path, progress: Progress) -> list[Sheet]:
    sheets, chosen = lengths.study_lengths(labelled, _trainer(config, len(lengths.LENGTHS), progress), out)
    proposed = config.model_copy(update={"max_length": max(chosen, lengths.LEAST)})
    (out / CONFIG_FILE).write_text(proposed.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return sheets


def _redundancy(labelled: Material, config: TrainConfig, out: Path, progress: Progress) -> list[Sheet]:
    fitted = fit_model(labelled, config, telling(progress, config.epochs, 0.0, 0.6))
    return redundancy.study_redundancy(fitted, out, config.seed, part_of(progress, 0.6, 1.0))


def _coldstart(labelled: Material, config: TrainConfig, out: Path, progress: Progress) -> list[Sheet]:
    fitted = fit_model(labelled, config, telling(progress, config.epochs, 0.0, 0.4))
    return coldstart.study_coldstart(labelled, config, fitted, out, part_of(progress, 0.4, 1.0))


STUDIES = {"robustness": _robustness, "lengths": _lengths, "redundancy": _redundancy, "coldstart": _coldstart}


def _trainer(config: TrainConfig, count: int, progress: Progress) -> Callable[[Material, str], Fitted]:
    """Return what fits a model on material, ``count`` times in all, and tells so."""
    turn = iter(range(count))

    def trained(labelled: Material, what: str) -> Fitted:
        begin = next(turn) / count
        return fit_model(labelled, config, telling(progress, config.epochs, begin, begin + 1 / count, f"{what}, "))

    return trained
