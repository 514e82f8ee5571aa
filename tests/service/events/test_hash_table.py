"""The hash table over columns against a dict, and hashes."""

from __future__ import annotations

import numpy as np
import pytest

from service.events.hash_table import KeyTable, mix, room


@pytest.mark.parametrize("batch", [1, 7, 3_000])
def test_rows_are_those_of_a_dict(batch: int) -> None:
    """Random keys of which many repeat within a batch and across batches, and many want the same slot."""
    rng = np.random.default_rng(3)
    pool = np.concatenate([rng.integers(-(2**63), 2**63 - 1, 3_000), np.arange(64) << 20, [0, -1]])
    table, known = KeyTable(), dict[int, int]()
    for _ in range(9_000 // batch if batch > 1 else 500):
        keys = rng.choice(pool, batch)
        assert table.find(keys).tolist() == [known.get(key, 0) for key in keys.tolist()]
        rows = table.add(keys)
        for key, row in zip(keys.tolist(), rows.tolist(), strict=True):
            assert known.setdefault(key, row) == row
        assert sorted(known.values()) == list(range(1, len(known) + 1))
        assert len(table) == len(known)
    assert len(known) > 400
    assert table.find(np.array(list(known))).tolist() == list(known.values())


def test_nothing_is_added_by_no_keys() -> None:
    table, none = KeyTable(), np.zeros(0, dtype=np.int64)
    assert (len(table.add(none)), len(table.find(none)), len(table)) == (0, 0, 0)


def test_hashes_tell_meanings_and_columns_apart() -> None:
    first, second = np.arange(100), np.arange(1_000, 1_100)
    hashes = np.stack([mix(0, first, second), mix(1, first, second), mix(0, second, first), mix(0, first)])
    assert len(np.unique(hashes)) == hashes.size
    assert (mix(np.array([[0], [1]]), first, second) == hashes[:2]).all()


def test_a_column_gets_room_and_keeps_its_entries() -> None:
    column = np.arange(4)
    assert room(column, 4) is column
    assert room(column, 5).tolist() == [0, 1, 2, 3, 0, 0, 0, 0]
    assert len(room(column, 100)) == 100
