"""Which files of a data folder are read, and what makes one unusable."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import CommandError, SentinelError
from service.rawfiles import folders
from service.rawfiles.columns import read_files
from training.datasets import folder as training_folder

HEADER = "epc_code,location_id,business_step,event_type,event_time\n"

FILES: dict[str, bytes] = {
    "a.csv": HEADER.encode(),
    "b.TSV": HEADER.replace(",", "\t").encode(),
    "c.gz": HEADER.encode(),  # no gzip
    "damaged.csv.gz": b"\x1f\x8b\x08",
    "other.csv": b"a,b\n",
    "truth.csv": HEADER.encode(),
    "wide.csv": HEADER.encode("utf-16"),
    "unplaced.csv": HEADER.replace("location_id,", "").encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_replay_and_training_take_the_same_files(tmp_path: Path, name: str) -> None:
    """What one of them refuses by a message, the other refuses too, and neither passes it over."""
    (tmp_path / name).write_bytes(FILES[name])
    (tmp_path / "locations.csv").write_text("location_id\n")

    def answer_of(read: object) -> list[str] | str:
        assert callable(read)
        try:
            return [path.name for path in read()]
        except (SentinelError, CommandError) as error:
            return "none" if "no raw" in str(error) else f"refused for {name}" if name in str(error) else "?"

    def replay() -> list[Path]:
        found = folders.raw_files([tmp_path])
        read_files(found)
        return found

    assert answer_of(lambda: training_folder.raw_files(tmp_path)) == answer_of(replay) != "?"
