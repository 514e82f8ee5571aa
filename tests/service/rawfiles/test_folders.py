"""Which files of a folder are raw files."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import CommandError
from service.rawfiles.folders import raw_files
from tests.support.command import SAMPLE


def test_a_folder_stands_for_its_raw_files(replayed_world: Path, tmp_path: Path) -> None:
    assert [path.name for path in raw_files([replayed_world, SAMPLE])] == [
        "hws.csv", "icn.csv", "kum.csv", "ygs.csv", SAMPLE.name,
    ]  # fmt: skip
    (tmp_path / "locations.csv").write_text("location_id,scan_location\n")
    with pytest.raises(CommandError, match="no raw file in this folder"):
        raw_files([tmp_path])
