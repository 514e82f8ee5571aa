"""The menu of studies: every one leaves tables and plots, and the command offers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.trained import SHORT
from training.fitting.config import load_config
from training.samples.labelled_data import Material
from training.studies import lengths
from training.studies.menu import STUDIES, study

TINY = SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 2_000})


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("robustness", ["robustness.csv", "robustness.png"]),
        ("lengths", ["autocorrelation.csv", "config.json", "lengths.csv", "lengths.png"]),
        ("redundancy", ["correlation.png", "importance.png", "redundancy.csv", "tsne.png"]),
        ("coldstart", ["coldstart.csv", "coldstart.png"]),
    ],
)
def test_a_study_leaves_tables_and_plots(name: str, files: list[str], labelled: Material, tmp_path: Path) -> None:
    told: list[float] = []
    sheets = study(name, labelled, TINY, tmp_path, lambda _what, done: told.append(done))
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert all(sheet.rows for sheet in sheets)
    assert told == sorted(told)
    assert told[-1] <= 1
    if "config.json" in files:
        assert load_config(tmp_path / "config.json").max_length in lengths.LENGTHS


def test_the_command_offers_every_study() -> None:
    from service.commands.studies import StudyChoice  # noqa: PLC0415

    assert {choice.value for choice in StudyChoice} == {*STUDIES, "frontier", "transfer"}
