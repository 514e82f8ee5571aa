"""`tests.tools.same_cost --stages`: this checkout beside itself."""

from __future__ import annotations

from pathlib import Path

from tests.support.gateway import ROOT
from tests.tools.same_cost.__main__ import costs, stages_of, stages_table
from training.simulation.world import simulate


def test_the_stages_of_two_checkouts_are_asked_in_turn(tmp_path: Path) -> None:
    simulate(tmp_path, epcs=4_000, seed=5)
    file = tmp_path / "icn.csv"
    with stages_of(ROOT, file) as old, stages_of(ROOT, file) as new:
        before, after = zip(*[(costs(old), costs(new)) for _ in range(2)], strict=True)
    assert all(one["50"]["features"] > 0 < one["50"]["infer"] for one in (*before, *after))
    table = stages_table(list(before), list(after))
    sizes, titles = ([str(cell) for cell in column.cells] for column in table.columns[:2])
    assert sorted(set(sizes)) == ["5,000", "50", "500"]
    assert {"features", "infer", "features and inference", "all"} <= set(titles)
