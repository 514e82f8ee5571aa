"""A file part by part gives the rows that the whole file gives."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.errors import CommandError
from service.rawfiles import parts
from service.rawfiles.parts import read_parts
from service.rawfiles.refused import FileFault, UnusableFile
from service.rawfiles.table import FileRows, Texts, read_table
from tests.support.command import FORGED, HEADER, NORMAL

ROWS = (
    "".join(NORMAL.replace("000004002", f"{serial:09d}") for serial in range(300)) + '"quo,ted",1,가,X,2025/7/1 9:05\n'
)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 1_000)


def texts(column: Texts) -> list[str]:
    number, distinct = column
    return [distinct[at] for at in number.tolist()]


def rows(tables: Iterator[FileRows]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for table in tables:
        numbers = (table.event_id, table.location_id, table.time_us, table.has_zone, table.line, table.file_id)
        columns = [column.tolist() for column in numbers] + [
            texts(table.code),
            texts(table.step),
            texts(table.event_type),
        ]
        found += zip(*columns, strict=True)
    return found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp949"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_parts_are_the_whole(tmp_path: Path, encoding: str, end: str, packed: bool) -> None:
    data = (HEADER + ROWS).replace("\n", end).encode(encoding)
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    moved = path.rename(tmp_path / "source")
    read: list[int] = []
    found = rows(read_parts(moved, path.name, 10**6, read.append))
    moved.rename(path)
    assert found == rows(iter([read_table(path, 1, 1)]))
    assert len(found) == 301
    assert len(read) > 10
    assert read == sorted(read)


def test_what_is_wrong_is_named_with_its_line_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_text(HEADER + ROWS + FORGED.replace("2025-07-01", "yesterday"))
    with pytest.raises(CommandError, match=r"^a.csv: line 303: column event_time"):
        rows(read_parts(path, "a.csv", 10**6))
    with pytest.raises(CommandError, match="larger than 5000 bytes"):
        rows(read_parts(path, "a.csv", 5_000))
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])
    with pytest.raises(CommandError, match=r"^a.csv.gz: cannot be read"):
        rows(read_parts(path, "a.csv.gz", 10**6))
    path.write_bytes(b"")
    with pytest.raises(CommandError, match=r"a\.csv: empty; the first line has to name the columns"):
        rows(read_parts(path, "a.csv", 10**6))


def test_a_reason_can_be_told_in_other_words_whatever_the_file_has_in_it(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_text(HEADER + FORGED.replace("2025-07-01", "{line}"))
    with pytest.raises(UnusableFile) as caught:
        rows(read_parts(path, "{line}.csv", 10**6))
    words = {FileFault.LINE: "L{line}", FileFault.COLUMN: "C {column}", FileFault.NO_TIME: "no time: {value}"}
    told = caught.value.told(lambda why, **values: words[why].format(**values))
    assert told == "{line}.csv: L2: C event_time: no time: '{line} 10:35:17'"


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_MOST_LINE", 10_000)
    path = tmp_path / "source"
    path.write_bytes(b"x" * 20_000)
    with pytest.raises(CommandError, match="no table of scans"):
        rows(read_parts(path, "a.csv", 10**6))


def test_numbers_go_on_from_part_to_part(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_text(HEADER + ROWS)
    ids = np.concatenate([table.event_id for table in read_parts(path, "a.csv", 10**6)])
    assert ids.tolist() == list(range(1, 302))
