"""The simulated world: facts of the real data, and determinism."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from service.events.vocabulary import KINDS
from tests.support.folders.simulated import EPCS, SEED, read
from training.simulation.anomalies import VARIANTS
from training.simulation.catalogue import BLOCK_WIDTH, FACTORIES, FILE_SHARES, catalogue
from training.simulation.scans import NOISES
from training.simulation.world import WorldSummary, simulate


def test_counts_match_the_real_files(world: pd.DataFrame) -> None:
    sizes = world.groupby("epc_code").size()
    assert len(sizes) == EPCS
    assert sizes.mean() == pytest.approx(4.6, rel=0.02)
    assert sizes.max() == 10
    for name, share in zip(FACTORIES, FILE_SHARES, strict=True):
        assert (world.factory == name).sum() == pytest.approx(share * EPCS / 200_000, rel=0.02), name


def test_vocabulary_matches_the_real_files(world: pd.DataFrame) -> None:
    genuine = world[~world.epcFake]
    distinct = {
        "location_id": 58,
        "epc_product": 15,
        "epc_lot": 104,
        "epc_company": 3,
        "business_step": 8,
        "event_type": 10,
    }
    assert {column: genuine[column].nunique() for column in distinct} == distinct
    assert world.location_id.nunique() == 58
    assert world.time.min() >= pd.Timestamp("2025-07-01")
    assert world.time.min().date() == pd.Timestamp("2025-07-01").date()
    assert world.time.max().date() == pd.Timestamp("2025-12-16").date()


def test_summary_tells_what_was_written(made: tuple[Path, WorldSummary], world: pd.DataFrame) -> None:
    summary = made[1]
    assert (summary.epcs, summary.events) == (EPCS, len(world))
    assert summary.anomalous == (~world.normal).sum()
    assert summary.labelled == {kind: int(world[kind].sum()) for kind in KINDS}
    assert summary.variants == {v.name: int((world.variant == v.name).sum()) for v in VARIANTS}
    assert summary.noise == {noise: int((world.noise == noise).sum()) for noise in NOISES[1:]}
    assert summary.events_by_file == world.groupby("factory").size().to_dict()


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    first, second = (tmp_path / name for name in "ab")
    simulate(first, 2_000, seed=3, progress=lambda what, done: told.append((what, done)))
    simulate(second, 2_000, seed=3)
    for file in sorted(first.iterdir()):
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert told[-1][1] == 1.0


def test_other_seed_other_lots_same_products(tmp_path: Path, world: pd.DataFrame) -> None:
    simulate(tmp_path, 5_000, seed=SEED + 1)
    other = read(tmp_path)
    issued = ["epc_company", "epc_product", "epc_manufacture", "factory", "product_name"]
    mine, theirs = (set(w[~w.epcFake][issued].itertuples(index=False, name=None)) for w in (world, other))
    assert mine == theirs
    assert not set(world.epc_code) & set(other.epc_code)
    for column in ("epc_lot", "epc_serial"):
        assert not set(world[~world.epcFake][column]) & set(other[~other.epcFake][column])
    for w in (world, other):
        span = w[~w.epcFake].assign(serial=lambda rows: rows.epc_serial.astype(int)).groupby("epc_lot").serial
        assert ((span.min() - 1) % BLOCK_WIDTH < 500).mean() > 0.95  # unless all of the first shipment is forged
        assert (span.max() - span.min() < BLOCK_WIDTH).all()


@pytest.mark.parametrize("seed", [0, 8_499, 59_507_498, 10**12])
def test_lots_and_serials_keep_to_their_digits(seed: int) -> None:
    cat = catalogue(seed)
    assert 0 < cat.lot_number.min() <= cat.lot_number.max() < 10**6
    assert 0 < cat.lot_first_serial.min() <= cat.lot_first_serial.max() + 2 * BLOCK_WIDTH < 10**9


@pytest.mark.parametrize("epcs", [0, 499, 400_001])
def test_sizes_that_the_lots_cannot_hold_are_refused(tmp_path: Path, epcs: int) -> None:
    with pytest.raises(ValueError, match=f"not {epcs:,}"):
        simulate(tmp_path, epcs, seed=1)


@pytest.mark.parametrize("seed", range(4))
def test_smallest_world_is_whole(tmp_path: Path, seed: int) -> None:
    summary = simulate(tmp_path, 500, seed)
    assert summary.epcs == 500
    assert sum(summary.events_by_file.values()) == summary.events
