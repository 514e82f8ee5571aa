"""Which files of a folder replay reads, and that none with events in it is passed over in silence."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files, raw_files_of
from tests.support.command import SAMPLE

HEADER = "epc_code,location_id,business_step,event_type,event_time\n"
ROW = "001.8804823.1293291.010004.20250701.000004001,1,Factory,Aggregation,2025-07-01 10:34:17\n"


def fill(folder: Path, **files: str | bytes) -> Path:
    """Write files; ``a__csv`` becomes a.csv."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def test_tables_of_events_are_raw_and_others_are_not(tmp_path: Path) -> None:
    folder = fill(
        tmp_path,
        Z__csv=HEADER + ROW,
        a__tsv=HEADER.replace(",", "\t"),
        b__TXT=HEADER,
        c__csv__gz=gzip.compress(HEADER.encode()),
        d__gz=gzip.compress(HEADER.encode()),
        e__tar__gz=gzip.compress(HEADER.encode()),
        quarantine__csv=HEADER,
        truth__csv=HEADER,
        TRUTH__tsv__gz=gzip.compress(HEADER.encode()),
        labels__csv="event_id,epc_code,event_time," + ",".join(KINDS) + "\n",
        locations__csv="location_id,scan_location\n",
        report__html=HEADER,
        empty__csv="",
        other__csv="a,b\n1,2\n",
        readme__txt="설명".encode("cp949"),
    )
    (folder / ".hidden.csv").write_text(HEADER)
    (folder / "folder.csv").mkdir()
    assert [path.name for path in raw_files_of(folder)] == ["Z.csv", "a.tsv", "b.TXT", "c.csv.gz", "d.gz"]
    assert raw_files([folder, tmp_path / "x"]) == [*raw_files_of(folder), tmp_path / "x"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a__csv", HEADER.replace("location_id", "scan_location") + ROW, "no column location_id"),
        ("a__csv", b"K\xf6ln," + HEADER.encode(), "not UTF-8"),
        ("a__csv__gz", gzip.compress((HEADER + ROW * 50).encode())[:-20], "cannot be read"),
    ],
)
def test_a_file_of_events_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    folder = fill(tmp_path, b__csv=HEADER + ROW, **{name: content})
    with pytest.raises(CommandError, match=says):
        read_files(raw_files([folder]))


def test_a_folder_without_events_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no raw file in this folder: none has the columns epc_code, location_id"):
        raw_files([fill(tmp_path, locations__csv="location_id,scan_location\n")])


def test_a_folder_stands_for_its_raw_files(replayed_world: Path, tmp_path: Path) -> None:
    assert [path.name for path in raw_files([replayed_world, SAMPLE])] == [
        "hws.csv", "icn.csv", "kum.csv", "ygs.csv", SAMPLE.name,
    ]  # fmt: skip
    (tmp_path / "locations.csv").write_text("location_id,scan_location\n")
    with pytest.raises(CommandError, match="no raw file in this folder"):
        raw_files([tmp_path])
