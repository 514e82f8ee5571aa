"""Tables of text: every line is what `service.rawfiles.rows` makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.rawfiles.rows import Header, split_row
from tests.support.folders.raw import CODE, ROWS, SECOND, fill
from training.datasets import dataset
from training.datasets.tables import read_table

CELLS = st.text(alphabet='ab ,;\t"\r.é', max_size=6)


@settings(max_examples=200, deadline=None)  # the machine may be busy
@given(st.lists(st.lists(CELLS, max_size=4), max_size=8), st.sampled_from([",", "\t", ";"]), st.booleans())
def test_tables_hold_what_each_line_means(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], separator: str, damaged: bool
) -> None:
    lines = [separator.join("xyz").encode(), *(separator.join(row).encode() for row in rows)]
    if damaged:
        lines.insert(1, b"\xff\xfe")
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_bytes(b"\n".join(lines))
    header = Header.of(lines[0])
    expected = [(n, *split_row(line, header)) for n, line in enumerate(b"\n".join(lines).split(b"\n"), 1) if n > 1]
    table = read_table(path).rows
    assert [
        (row["line"], [] if row["problem"] else [row[name] for name in "xyz"], row["problem"])
        for row in table.to_dict("records")
    ] == [row for row in expected if row[1] or row[2]]


def test_lines_may_be_very_long(tmp_path: Path) -> None:
    text = ROWS + ROWS.splitlines()[1].replace(CODE, "7" * 9_000_000) + "\n" + SECOND
    loaded = dataset.load(fill(tmp_path, a__csv=text))
    assert [len(loaded.events.epc_codes[at]) for at in loaded.events.epc] == [45, 45, 9_000_001, 45]
