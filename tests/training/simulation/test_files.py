"""The files of a simulated world have the form of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from service.events.vocabulary import KINDS
from tests.support.folders.simulated import CODE, SAMPLE, SEED, parts_of
from tests.support.gateway import ROOT
from training.simulation.catalogue import FACTORIES, catalogue
from training.simulation.world import WorldSummary


def test_raw_format_is_that_of_the_sample(made: tuple[Path, WorldSummary], world: pd.DataFrame) -> None:
    sample = pd.read_csv(SAMPLE, sep="\t", dtype=str)
    for name in FACTORIES:
        header = (made[0] / f"{name}.csv").read_text(encoding="utf-8").split("\n", 1)[0]
        assert header == SAMPLE.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
    # A real row and a simulated one with the same place, event and product agree in the columns that do not tell lot
    # and item; and with the same lot, in those that tell the lot, but for its number, which is the seed's.
    own = world[(world.product_name == "Product 4") & world.normal & (world.noise == "")]
    constant = [
        "scan_location",
        "location_id",
        "hub_type",
        "business_step",
        "event_type",
        "operator_id",
        "device_id",
        "epc_header",
        "epc_company",
        "epc_product",
        "epc_manufacture",
        "product_name",
        "expiry_date",
        "factory",
    ]
    of_lot = ["epc_manufacture", "expiry_date"]
    of_place = [name for name in constant if name not in of_lot]
    rows = sample[sample.location_id.isin(["1", "5", "13", "23"])]
    real, made_up = (set(w[of_place].itertuples(index=False, name=None)) for w in (rows, own))
    assert real <= made_up
    lot = catalogue(SEED).lot_number[catalogue(0).lot_number.tolist().index(10_004)]
    own = own[own.epc_lot == str(lot)]
    real, made_up = (set(w[of_lot].itertuples(index=False, name=None)) for w in (rows, own))
    assert real == made_up
    assert own.manufacture_date.str.startswith("2025-07-01 ").all()


def test_redundant_columns_agree_with_the_code(world: pd.DataFrame) -> None:
    formed = world[world.epc_code.str.fullmatch(CODE)]
    columns = ["epc_header", "epc_company", "epc_product", "epc_lot", "epc_manufacture", "epc_serial"]
    assert (parts_of(formed).to_numpy() == formed[columns].astype(np.int64).to_numpy()).all()
    assert (world.operator_id == world.location_id).all()
    assert (world.device_id == world.location_id).all()


def test_rows_are_sorted_by_code_and_time(world: pd.DataFrame) -> None:
    for _, rows in world.groupby("factory"):
        order = rows.sort_values(["epc_code", "event_time"], kind="stable").index
        assert (order == rows.index).all()
    ties = world[(world.hours == 0) & (world.last_event_type != world.event_type)]
    assert (ties.location_id.astype(int) >= world.location_id.astype(int).shift()[ties.index]).all()


def test_truth_has_one_row_per_event(made: tuple[Path, WorldSummary], world: pd.DataFrame) -> None:
    truth = pd.read_parquet(made[0] / "truth.parquet")
    assert list(truth.columns) == ["event_id", *KINDS, "variant", "difficulty", "noise"]
    assert (truth.event_id.to_numpy() == np.arange(1, len(world) + 1)).all()
    assert all(truth[kind].dtype == bool for kind in KINDS)
    for name in ("locations.csv", "transitions.csv"):
        copy = ROOT / "training" / "data" / name
        assert (made[0] / name).read_bytes() == copy.read_bytes()
