"""The run of the champion is found among runs, whatever else lies there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from service.model.repository import read_version
from training.errors import DataError
from training.runs.folder import RUN_FILE
from training.runs.in_use import run_of


def test_the_run_of_a_version_is_found_among_others(tiny_run: Path, exported: Path, tmp_path: Path) -> None:
    manifest, runs = read_version(exported, 1), tmp_path / "runs"
    for name in ("at work", "other data", "torn"):
        (runs / name).mkdir(parents=True)
    (runs / "torn" / RUN_FILE).write_text((tiny_run / RUN_FILE).read_text()[:100])
    record = json.loads((tiny_run / RUN_FILE).read_text())
    record["lineage"]["epcs"] += 1
    (runs / "other data" / RUN_FILE).write_text(json.dumps(record))
    with pytest.raises(
        DataError, match=r"none of the 2 runs in .* is that of version 1 of .*, the champion: put its run"
    ):
        run_of(manifest, runs)
    shutil.copytree(tiny_run, runs / "x")
    assert run_of(manifest, runs) == runs / "x"
    with pytest.raises(DataError, match="is a run folder itself"):
        run_of(manifest, runs / "x")
