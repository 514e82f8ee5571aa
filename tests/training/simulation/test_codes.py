"""epcFake: forged codes break what was issued, genuine ones are those of the catalogue."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.support.folders.simulated import CODE, SEED, of, parts_of
from training.simulation.catalogue import BLOCK_WIDTH, catalogue


def test_forged_codes_break_what_was_issued(world: pd.DataFrame) -> None:
    cat = catalogue(SEED)
    assert not of(world, "malformed").epc_code.str.fullmatch(CODE).any()
    assert world[world.normal].epc_code.str.fullmatch(CODE).all()
    assert not parts_of(of(world, "foreign_company")).company.isin(cat.companies).any()
    assert not parts_of(of(world, "unknown_product"))["product"].isin(cat.product_number).any()
    maker = dict(zip(cat.product_number.tolist(), cat.product_company.tolist(), strict=True))
    swapped = parts_of(of(world, "other_company"))
    assert swapped.company.isin(cat.companies).all()
    assert (swapped["product"].map(maker) != swapped.company).all()
    product_of = dict(zip(cat.lot_number.tolist(), cat.product_number[cat.lot_product].tolist(), strict=True))
    borrowed = parts_of(of(world, "lot_of_other_product"))
    assert (borrowed.lot.map(product_of) != borrowed["product"]).all()
    first = dict(zip(cat.lot_number.tolist(), cat.lot_first_serial.tolist(), strict=True))
    outside = parts_of(of(world, "serial_outside_block"))
    assert (outside.serial >= outside.lot.map(first) + BLOCK_WIDTH).all()
    inside = parts_of(of(world, "serial_never_shipped"))
    assert (inside.serial - inside.lot.map(first)).between(0, BLOCK_WIDTH - 1).all()


def test_forged_dates_contradict_scans_or_lot(world: pd.DataFrame) -> None:
    cat = catalogue(SEED)
    made = dict(zip(cat.lot_number.tolist(), cat.lot_day.tolist(), strict=True))
    for variant, sign in (("future_date", 1), ("early_date", -1)):
        found = of(world, variant)
        printed = pd.to_datetime(found.epc_manufacture, format="%Y%m%d")
        lot_day = pd.Timestamp("2025-07-01") + pd.to_timedelta(found.epc_lot.astype(int).map(made), unit="D")
        assert (sign * (printed - lot_day).dt.days >= 1).all()
    late = of(world, "first_seen_downstream")
    assert not late.event_type.isin(["Aggregation", "WMS_Inbound", "HUB_Outbound"]).any()


def test_genuine_codes_are_those_of_the_catalogue(world: pd.DataFrame) -> None:
    cat = catalogue(SEED)
    codes = parts_of(world[~world.epcFake].drop_duplicates("epc_code"))
    lot = np.searchsorted(cat.lot_number, codes.lot)
    product = cat.lot_product[lot]
    assert (cat.product_number[product] == codes["product"]).all()
    assert (cat.product_company[product] == codes.company).all()
    assert (codes.serial - cat.lot_first_serial[lot]).between(0, BLOCK_WIDTH - 1).all()
