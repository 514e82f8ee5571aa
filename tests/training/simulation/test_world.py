"""The simulated world: facts of the real data, determinism, and labels that agree with what the rows show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.events.vocabulary import KINDS
from tests.support.gateway import ROOT
from training.simulation.anomalies import SHARES, VARIANTS
from training.simulation.catalogue import BLOCK_WIDTH, FACTORIES, catalogue
from training.simulation.scans import NOISES
from training.simulation.shipments import FILE_SHARES
from training.simulation.world import WorldSummary, simulate

SAMPLE = ROOT / "tests" / "data" / "real_events_sample.tsv"
EPCS = 20_000
CODE = r"001\.\d{7}\.\d{7}\.\d{6}\.\d{8}\.\d{9}"


def read(path: Path) -> pd.DataFrame:
    """Return rows of all files in name order with the truth beside them and, per EPC, the scan before."""
    files = [pd.read_csv(path / f"{name}.csv", sep="\t", dtype=str, keep_default_na=False) for name in FACTORIES]
    rows = pd.concat(files, ignore_index=True)
    world = pd.concat([rows, pd.read_parquet(path / "truth.parquet")], axis=1)
    world["time"] = pd.to_datetime(world.event_time)
    world["normal"] = ~world[list(KINDS)].any(axis=1)
    for column in ("scan_location", "event_type", "time", "normal", "noise", "variant"):
        world[f"last_{column}"] = world.groupby("epc_code")[column].shift()
    world["hours"] = (world.time - world.last_time).dt.total_seconds() / 3600
    return world


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    out = tmp_path_factory.mktemp("world")
    return out, simulate(out, EPCS, seed=5)


@pytest.fixture(scope="module")
def world(made: tuple[Path, WorldSummary]) -> pd.DataFrame:
    return read(made[0])


@pytest.fixture(scope="module")
def lanes() -> pd.DataFrame:
    table = pd.read_csv(ROOT / "training" / "data" / "transitions.csv")
    return table.set_index(["from_scan_location", "to_scan_location"])


def of(world: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the scans of a variant, of which there must be some."""
    found = world[world.variant == variant]
    assert len(found)
    return found


def parts_of(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the parts of the (well-formed) codes as numbers."""
    parts = scans.epc_code.str.split(".", expand=True).astype(np.int64)
    return parts.set_axis(["header", "company", "product", "lot", "date", "serial"], axis=1)


# ---------------------------------------------------------------- facts


def test_counts_match_the_real_files(world: pd.DataFrame) -> None:
    sizes = world.groupby("epc_code").size()
    assert len(sizes) == EPCS
    assert sizes.mean() == pytest.approx(4.6, rel=0.02)
    assert sizes.max() == 10
    for name, rows in world.groupby("factory"):
        assert len(rows) == pytest.approx(FILE_SHARES[str(name)] * EPCS / 200_000, rel=0.02), name


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


def test_shares_of_anomalies(world: pd.DataFrame) -> None:
    assert 0.05 <= (~world.normal).mean() <= 0.10
    for kind, share in SHARES.items():
        assert world[kind].mean() == pytest.approx(share, rel=0.1), kind
    assert (world[list(KINDS)].sum(axis=1) > 1).any()


def test_summary_tells_what_was_written(made: tuple[Path, WorldSummary], world: pd.DataFrame) -> None:
    summary = made[1]
    assert (summary.epcs, summary.events) == (EPCS, len(world))
    assert summary.anomalous == (~world.normal).sum()
    assert summary.labelled == {kind: int(world[kind].sum()) for kind in KINDS}
    assert summary.variants == {v.name: int((world.variant == v.name).sum()) for v in VARIANTS}
    assert summary.noise == {noise: int((world.noise == noise).sum()) for noise in NOISES[1:]}
    assert summary.events_by_file == world.groupby("factory").size().to_dict()


# ---------------------------------------------------------------- format


def test_raw_format_is_that_of_the_sample(made: tuple[Path, WorldSummary], world: pd.DataFrame) -> None:
    sample = pd.read_csv(SAMPLE, sep="\t", dtype=str)
    for name in FACTORIES:
        header = (made[0] / f"{name}.csv").read_text(encoding="utf-8").split("\n", 1)[0]
        assert header == SAMPLE.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
    # A real row and a simulated one with the same place, event and lot agree in the columns that do not tell the item.
    own = world[(world.epc_lot == "10004") & world.normal & (world.noise == "")]
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
        "epc_lot",
        "epc_manufacture",
        "product_name",
        "expiry_date",
        "factory",
    ]
    real = set(sample[sample.location_id.isin(["1", "5", "13", "23"])][constant].itertuples(index=False, name=None))
    assert real <= set(own[constant].itertuples(index=False, name=None))
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


# ---------------------------------------------------------------- determinism


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    first, second = (tmp_path / name for name in "ab")
    simulate(first, 2_000, seed=3, progress=lambda what, done: told.append((what, done)))
    simulate(second, 2_000, seed=3)
    for file in sorted(first.iterdir()):
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert told[-1][1] == 1.0


def test_other_seed_other_world_same_catalogue(tmp_path: Path, world: pd.DataFrame) -> None:
    simulate(tmp_path, 5_000, seed=6)
    other = read(tmp_path)
    issued = ["epc_company", "epc_product", "epc_lot", "epc_manufacture", "factory", "product_name"]
    mine, theirs = (set(w[~w.epcFake][issued].itertuples(index=False, name=None)) for w in (world, other))
    assert mine == theirs
    both = world.merge(other, on=["epc_code", "event_type"])  # every block starts with a shipment in every world
    assert (both.event_time_x != both.event_time_y).mean() > 0.99
    for w in (world, other):
        span = w[~w.epcFake].assign(serial=lambda rows: rows.epc_serial.astype(int)).groupby("epc_lot").serial
        assert ((span.min() - 1) % BLOCK_WIDTH < 500).mean() > 0.95  # unless all of the first shipment is forged
        assert (span.max() - span.min() < BLOCK_WIDTH).all()


@pytest.mark.parametrize("epcs", [0, 499, 400_001])
def test_sizes_that_the_lots_cannot_hold_are_refused(tmp_path: Path, epcs: int) -> None:
    with pytest.raises(ValueError, match=f"not {epcs:,}"):
        simulate(tmp_path, epcs, seed=1)


@pytest.mark.parametrize("seed", range(4))
def test_smallest_world_is_whole(tmp_path: Path, seed: int) -> None:
    summary = simulate(tmp_path, 500, seed)
    assert summary.epcs == 500
    assert sum(summary.events_by_file.values()) == summary.events


# ---------------------------------------------------------------- normal journeys


def test_normal_transitions_stay_on_the_lanes(world: pd.DataFrame, lanes: pd.DataFrame) -> None:
    pairs = {"WMS_Outbound": "HUB_Inbound", "HUB_Outbound": "W_Stock_Inbound", "W_Stock_Outbound": "R_Stock_Inbound"}
    moved = world[world.normal & world.last_normal.eq(True) & (world.noise == "") & (world.last_noise == "")]
    moved = moved[moved.last_event_type.map(pairs) == moved.event_type]
    assert len(moved) > 0.25 * EPCS
    lane = lanes.reindex(pd.MultiIndex.from_frame(moved[["last_scan_location", "scan_location"]]))
    assert lane.time_taken_hours_min.notna().all()
    assert (moved.hours.to_numpy() >= lane.time_taken_hours_min.to_numpy() - 1e-9).all()
    assert moved.hours.mean() == pytest.approx(lane.time_taken_hours_mean.mean(), rel=0.05)


def test_nothing_leaves_on_sundays(world: pd.DataFrame) -> None:
    left = world[world.normal & (world.noise == "") & world.event_type.str.endswith("_Outbound")]
    share = left.time.dt.day_of_week.value_counts(normalize=True)
    assert share.get(6, 0.0) < 0.01
    assert share.drop(6, errors="ignore").min() > 0.1


def test_shipments_travel_together_and_split(world: pd.DataFrame) -> None:
    normal = world[world.normal & (world.noise == "")]
    mates = {}
    for event in ("WMS_Outbound", "HUB_Outbound", "W_Stock_Outbound", "POS_Sell"):
        scans = normal[normal.event_type == event]
        batch = scans.time.dt.floor("2h").astype(str) + scans.epc_lot + scans.location_id
        mates[event] = batch.map(batch.value_counts()).mean()
    assert mates["WMS_Outbound"] > mates["HUB_Outbound"] > mates["W_Stock_Outbound"] > mates["POS_Sell"]
    assert mates["POS_Sell"] < 2


def test_every_noise_is_there_and_harmless(world: pd.DataFrame) -> None:
    assert set(world.noise) == set(NOISES)
    for noise in NOISES[1:]:
        touched = world[world.noise == noise]
        assert 0.0005 < len(touched) / len(world) < 0.05, noise
        assert touched.normal.mean() > 0.8, noise
    again = world[(world.noise == "re_read") & world.normal & world.last_normal.eq(True)]
    same = (again.event_type == again.last_event_type) & (again.scan_location == again.last_scan_location)
    assert same.mean() > 0.99
    assert again.hours[same].between(0, 0.21).all()


# ---------------------------------------------------------------- anomalies


def test_every_variant_is_there_with_its_kind_and_difficulty(world: pd.DataFrame) -> None:
    for variant in VARIANTS:
        found = of(world, variant.name)
        assert found[variant.kind].all(), variant.name
        assert (found.difficulty == variant.difficulty).all(), variant.name
    assert ((world.variant == "") == world.normal).all()
    assert ((world.difficulty == "") == world.normal).all()
    for kind in KINDS:
        levels = [v.difficulty for v in VARIANTS if v.kind == kind]
        assert levels.count("blatant") >= 2
        assert levels.count("subtle") >= 2


def test_forged_codes_break_what_was_issued(world: pd.DataFrame) -> None:
    cat = catalogue()
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
    cat = catalogue()
    made = dict(zip(cat.lot_number.tolist(), cat.lot_day.tolist(), strict=True))
    for variant, sign in (("future_date", 1), ("early_date", -1)):
        found = of(world, variant)
        printed = pd.to_datetime(found.epc_manufacture, format="%Y%m%d")
        lot_day = pd.Timestamp("2025-07-01") + pd.to_timedelta(found.epc_lot.astype(int).map(made), unit="D")
        assert (sign * (printed - lot_day).dt.days >= 1).all()
    late = of(world, "first_seen_downstream")
    assert not late.event_type.isin(["Aggregation", "WMS_Inbound", "HUB_Outbound"]).any()


def test_genuine_codes_are_those_of_the_catalogue(world: pd.DataFrame) -> None:
    cat = catalogue()
    codes = parts_of(world[~world.epcFake].drop_duplicates("epc_code"))
    lot = np.searchsorted(cat.lot_number, codes.lot)
    product = cat.lot_product[lot]
    assert (cat.product_number[product] == codes["product"]).all()
    assert (cat.product_company[product] == codes.company).all()
    assert (codes.serial - cat.lot_first_serial[lot]).between(0, BLOCK_WIDTH - 1).all()


def test_jumps_are_outside_the_route_times(world: pd.DataFrame, lanes: pd.DataFrame) -> None:
    for variant in ("teleport", "below_route_minimum", "slow_transit"):
        found = of(world, variant)
        lane = lanes.reindex(pd.MultiIndex.from_frame(found[["last_scan_location", "scan_location"]]))
        if variant == "slow_transit":
            assert (found.hours.to_numpy() > 3 * lane.time_taken_hours_max.to_numpy()).all()
        else:
            assert (found.hours.to_numpy() < lane.time_taken_hours_min.to_numpy()).all()
    assert (of(world, "teleport").hours < 0.25).all()
    assert (of(world, "below_route_minimum").hours > 0.4).all()
    assert (of(world, "stalled_for_months").hours > 50 * 24).all()
    assert (of(world, "stalled_behind_mates").hours > 12 * 24).all()


def test_clones_are_where_the_item_is_not(world: pd.DataFrame) -> None:
    cat = catalogue()
    region = dict(zip(cat.places.name, cat.places.region.tolist(), strict=True))
    for variant, low, high, same_region in (("two_regions_at_once", 0, 0.2, False), ("clone_nearby", 2, 30.1, True)):
        later = of(world, variant)
        assert later.epc_code.is_unique
        assert (later.event_type == later.last_event_type).all()
        assert (later.scan_location != later.last_scan_location).all()
        assert later.hours.between(low, high).all()
        moved = later.scan_location.map(region) != later.last_scan_location.map(region)
        assert (moved != same_region).all()
    again = of(world, "resold")
    assert (again.event_type == "POS_Sell").all()
    assert (again.last_event_type == "POS_Sell").all()
    early = of(world, "sold_while_upstream").groupby("epc_code").event_type
    assert (early.size() == 2).all()
    assert (early.first() == "POS_Sell").all()
    assert early.last().str.endswith("_Outbound").all()


def test_interleaved_journeys_are_labelled_from_the_second_one_on(world: pd.DataFrame) -> None:
    scans = of(world, "parallel_journey")
    first = scans.drop_duplicates("epc_code").set_index("epc_code")
    assert set(first.event_type) == {"HUB_Inbound", "W_Stock_Inbound"}
    assert (first.event_type == first.last_event_type).all()
    assert (first.scan_location != first.last_scan_location).all()
    # The clone moves on, then the item itself from where it was.
    second = scans.groupby("epc_code").nth(1).set_index("epc_code")
    assert second.event_type.str.endswith("_Outbound").all()
    assert (second.scan_location == first.scan_location).all()
    origin = scans.epc_code.map(first.last_scan_location)
    assert (scans.scan_location == origin).groupby(scans.epc_code).any().all()
    last = world.groupby("epc_code").tail(1).set_index("epc_code")
    assert last.variant[first.index].eq("parallel_journey").all()


def test_no_clone_is_labelled_before_it_can_be_known(world: pd.DataFrame) -> None:
    assert not world[world.last_event_type.isna()].epcDup.any()
    first = world[world.epcDup].drop_duplicates("epc_code")
    assert (first.scan_location != first.last_scan_location).all()
    assert not world.epcDup.to_numpy()[first.index - 1].any()


def test_clones_look_normal_by_themselves(world: pd.DataFrame) -> None:
    cat = catalogue()
    clones = world[world.epcDup & ~world.locErr]
    product = clones.product_name.str.removeprefix("Product ").astype(int) - 1
    assert cat.reached[product, pd.Index(cat.places.name).get_indexer(clones.scan_location)].all()
    hour = clones.time.dt.hour[(clones.event_type == "POS_Sell") & (clones.variant != "two_regions_at_once")]
    assert hour.between(9, 22).all()
    left = clones[clones.event_type.str.endswith("_Outbound") & (clones.variant == "parallel_journey")]
    assert (left.time.dt.day_of_week != 6).mean() > 0.97  # genuine ones among them may be late by seconds
    assert left.time.dt.hour.between(7, 22).all()


def test_wrong_places_are_off_the_flow(world: pd.DataFrame, lanes: pd.DataFrame) -> None:
    cat = catalogue()
    names = pd.Index(cat.places.name)
    arrived = world[world.variant.isin(["wrong_hub", "wrong_region", "retailer_over_the_border", "stage_skipped"])]
    arrived = arrived[arrived.last_scan_location.notna() & (arrived.last_variant != arrived.variant)]
    product = arrived.product_name.str.removeprefix("Product ").astype(int) - 1
    lane = cat.lanes.between[names.get_indexer(arrived.last_scan_location), names.get_indexer(arrived.scan_location)]
    assert len(arrived) > 100
    assert ((lane < 0) | (cat.flow[product, lane] == 0)).all()
    borrowed = of(world, "lane_of_other_product")
    borrowed = borrowed[borrowed.event_type == "W_Stock_Inbound"]
    on_lane = pd.MultiIndex.from_frame(borrowed[["last_scan_location", "scan_location"]]).isin(lanes.index)
    assert on_lane.mean() > 0.98
    for variant, event in (("back_to_hub", "HUB_Inbound"), ("back_to_warehouse", "WMS_Inbound")):
        assert (of(world, variant).event_type == event).all()


def test_order_errors_are_out_of_order(world: pd.DataFrame) -> None:
    steps = {name: rank for rank, name in enumerate(dict.fromkeys(world.event_type.sort_values()))}
    assert len(steps) == 10
    for variant in ("double_in", "double_out"):
        found = of(world, variant)
        assert found.event_type.str.endswith("_Inbound" if variant == "double_in" else "_Outbound").all()
        assert (found.event_type == found.last_event_type).mean() > 0.98
    for variant in ("out_before_in", "swapped_pair"):
        pair = of(world, variant).sort_values(["epc_code", "time"]).groupby("epc_code").event_type
        assert (pair.size() == 2).all()
        if variant == "out_before_in":
            assert pair.first().str.endswith("_Outbound").all()
            assert pair.last().str.endswith("_Inbound").all()
        else:
            assert pair.first().str.endswith("_Inbound").all()
            assert pair.last().str.endswith("_Outbound").all()
    rolled = of(world, "clock_rolled_back")
    following = world.reindex(rolled.index + 1)
    assert following.event_type.str.endswith("_Outbound").all()
    assert (following.last_variant == "clock_rolled_back").all()
