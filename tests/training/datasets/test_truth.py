"""Truth tables in their forms, and those that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.events.columns import Events
from service.events.vocabulary import KINDS
from tests.support.folders.raw import ROWS, fill
from training.datasets import dataset
from training.datasets.truth import load_truth
from training.errors import DataError


def truth_table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"event_id": [2, 1, 99]} | {kind: [0, 1, 0] for kind in KINDS} | columns)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "t.csv": lambda table, path: table.to_csv(path, index=False),
    "t.tsv": lambda table, path: table.to_csv(path, index=False, sep="\t", encoding="utf-8-sig"),
    "t.csv.gz": lambda table, path: table.to_csv(path, index=False),
    "t.parquet": lambda table, path: table.to_parquet(path),
}


@pytest.fixture
def events(tmp_path: Path) -> Events:
    (tmp_path / "world").mkdir()
    return dataset.load(fill(tmp_path / "world", a__csv=ROWS)).events


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, [1, 0]),
        ({"epcFake": [False, True, False]}, [1, 0]),
        ({"epcFake": [0.25, 0.75, 1.0]}, [0.75, 0.25]),
        ({"epcFake": ["no", "TRUE", "f"]}, [1, 0]),
        ({"event_id": [2.0, 1.0, 99.0], "note": ["a", "b", "c"], "variant": ["x", None, "y"]}, [1, 0]),
    ],
)
def test_truth_in_its_forms(
    tmp_path: Path, events: Events, name: str, columns: dict[str, object], expected: list[float]
) -> None:
    WRITERS[name](truth_table(**columns), tmp_path / name)
    known = load_truth(tmp_path / name, events)
    assert known.labels[:, 0].tolist() == expected
    assert known.labels[:, 1:].tolist() == [[1] * 4, [0] * 4]
    assert known.labels.dtype == np.float32
    assert {key: list(value) for key, value in known.details.items()} == (
        {"variant": ["", "x"]} if "variant" in columns else {}
    )


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            truth_table().drop(columns=["jump", "event_id"]),
            "no column event_id, jump; a truth table has event_id, epcFake",
        ),
        (truth_table(event_id=["2", "one", "99"]), "event_id 'one' is no whole number"),
        (truth_table(event_id=[1, 2, 2]), "event_id 2 stands twice"),
        (truth_table(event_id=[0, 1, 3]), "no truth for 1 of 2 events, the first is event_id 2; without an event_id"),
        (truth_table(jump=[0, 2, 0]), "column jump has '2'; write 0 or 1, or a probability"),
        (truth_table(jump=["0", "maybe", "1"]), "column jump has 'maybe'"),
        (truth_table(jump=[0.5, None, 1]), "column jump has"),
    ],
)
def test_truth_that_cannot_be_used(tmp_path: Path, events: Events, name: str, table: pd.DataFrame, says: str) -> None:
    WRITERS[name](table, tmp_path / name)
    with pytest.raises(DataError) as caught:
        load_truth(tmp_path / name, events)
    assert says in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.parquet", "no", "no parquet file"),
        ("t.csv", "a,b\n1\n", "t.csv line 2: has 1 columns"),
        ("x", None, "no such"),
    ],
)
def test_truth_files_that_are_none(tmp_path: Path, events: Events, name: str, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        load_truth(tmp_path / name, events)


def test_a_partial_truth_may_lack_events_kinds_and_values(tmp_path: Path) -> None:
    events = dataset.load(fill(tmp_path, a__csv=ROWS)).events
    ids = events.event_id.tolist()
    path = tmp_path / "few.csv"
    path.write_text(f"event_id,epcFake,locErr\n{ids[0]},1,0\n{ids[1]},,1\n99,1,1\n")
    labels = load_truth(path, events, partial=True).labels
    known = np.isfinite(labels)
    assert np.argwhere(known).tolist() == [[0, 0], [0, 2], [1, 2]]
    assert labels[known].tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(DataError, match="no column epcDup"):
        load_truth(path, events)
    path.write_text(f"event_id,other\n{ids[1]},1\n")
    with pytest.raises(DataError, match="no column epcFake"):
        load_truth(path, events, partial=True)
    path.write_text(f"event_id,epcFake\n{ids[1]},maybe\n")
    with pytest.raises(DataError, match="maybe"):
        load_truth(path, events, partial=True)
