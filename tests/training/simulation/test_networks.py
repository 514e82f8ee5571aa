"""Random networks: valid worlds, the same for a seed, and different from seed to seed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from service.__main__ import app
from service.events.vocabulary import EVENT_TYPES, KINDS
from training.datasets import dataset
from training.datasets.truth import load_truth
from training.simulation.catalogue import BLOCK_WIDTH, Catalogue, catalogue
from training.simulation.networks.drawn import draw_network
from training.simulation.world import WorldSummary, simulate

EPCS, SEED = 1_000, 1
NETWORKS = (2, 1, 6, 8)
"""One of all levels, one that scans no sale, one without wholesalers, one without hubs."""


class Made(NamedTuple):
    """A world of a random network."""

    folder: Path
    network: int
    summary: WorldSummary
    catalogue: Catalogue
    rows: pd.DataFrame


@pytest.fixture(scope="module", params=NETWORKS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Worlds of the NETWORKS; tests only read them."""
    folder, network = tmp_path_factory.mktemp("network"), request.param
    summary = simulate(folder, EPCS, SEED, network=network)
    cat = draw_network(network, EPCS, SEED)
    rows = pd.concat(
        [pd.read_csv(folder / f"{name}.csv", sep="\t", dtype=str, keep_default_na=False) for name in cat.factories],
        ignore_index=True,
    )
    rows = pd.concat([rows, pd.read_parquet(folder / "truth.parquet")], axis=1)
    touched = rows[list(KINDS)].any(axis=1) | (rows.noise != "")
    return Made(folder, network, summary, cat, rows.assign(clean=~touched.groupby(rows.epc_code).transform("any")))


def test_the_networks_of_these_tests_have_the_levels_that_are_said() -> None:
    steps = [set(draw_network(network, EPCS, SEED).habits.steps) for network in NETWORKS]
    whole = set(range(10))
    assert [whole - each for each in steps] == [set(), {9}, {5, 6}, {3, 4}]


def test_tables_and_truth_load(made: Made) -> None:
    world = dataset.load(made.folder)
    assert world.quarantined == 0
    assert len(world.events) == made.summary.events == len(made.rows)
    assert set(world.files) == {f"{name}.csv" for name in made.catalogue.factories}
    truth = load_truth(made.folder / "truth.parquet", world.events)
    assert (truth.labels.sum(axis=0) > 0).all(), "every kind happens"
    assert dict(zip(KINDS, truth.labels.sum(axis=0).tolist(), strict=True)) == made.summary.labelled
    assert len(world.masters.route_from) == len(made.catalogue.lanes.mean), "every lane is in the transition master"
    assert np.isin(world.events.location_id, world.masters.location_id).all()


def test_normal_journeys_take_the_steps_and_the_lanes_of_the_network(made: Made) -> None:
    cat, rows = made.catalogue, made.rows[made.rows.clean]
    assert len(rows) > 0.25 * len(made.rows)
    step = rows.event_type.map({name: code for code, name in enumerate(EVENT_TYPES)}).to_numpy()
    place = rows.location_id.astype(int).map({number: at for at, number in enumerate(cat.places.location_id.tolist())})
    number = rows.groupby("epc_code").cumcount().to_numpy()
    np.testing.assert_array_equal(step, np.array(cat.habits.steps)[number])
    here, before = place.to_numpy(), np.r_[-1, place.to_numpy()[:-1]]
    moves = (number > 1) & (here != before)  # the factory's own warehouse is no lane
    assert moves.any()
    assert (cat.lanes.between[before[moves], here[moves]] >= 0).all()
    assert (
        not made.rows.epc_code[~made.rows.epcFake]
        .str.fullmatch(r"\d{3}\.\d{7}\.\d{7}\.\d{6}\.\d{8}\.\d{9}")
        .eq(other=False)
        .any()
    )


def test_times_are_those_of_the_window_and_of_the_roads(made: Made) -> None:
    cat = made.catalogue
    time = pd.to_datetime(made.rows.event_time)
    assert time.min() >= pd.Timestamp("2025-07-01")
    assert time.max() < pd.Timestamp("2025-07-01") + pd.Timedelta(days=cat.habits.days)
    km = cat.places.km[cat.lanes.origin, cat.lanes.target]
    assert (km / cat.lanes.shortest).max() < 110
    assert ((cat.lanes.shortest < cat.lanes.mean) & (cat.lanes.mean < cat.lanes.longest)).all()


def test_a_network_is_the_same_for_its_seed(made: Made, tmp_path: Path) -> None:
    simulate(tmp_path, EPCS, SEED, network=made.network)
    for file in sorted(made.folder.iterdir()):
        assert file.read_bytes() == (tmp_path / file.name).read_bytes(), file.name


def test_worlds_of_one_network_share_all_but_lots_and_serials() -> None:
    for network in range(30):
        one, two = (draw_network(network, EPCS, seed) for seed in (1, 2))
        assert one.places.name == two.places.name
        np.testing.assert_array_equal(one.product_number, two.product_number)
        np.testing.assert_array_equal(one.flow, two.flow)
        assert not set(one.lot_number.tolist()) & set(two.lot_number.tolist())
        assert one.lot_number.max() < 10**6
        assert one.lot_first_serial.max() + 2 * one.block_width < 10**9
        assert not set(one.lot_first_serial.tolist()) & set(two.lot_first_serial.tolist())


def test_networks_differ_in_everything() -> None:
    drawn = [draw_network(network, EPCS, SEED) for network in range(60)]
    distinct = {
        "factories": {len(cat.factories) for cat in drawn},
        "places": {len(cat.places.name) for cat in drawn},
        "lanes": {len(cat.lanes.mean) for cat in drawn},
        "steps": {cat.habits.steps for cat in drawn},
        "headers": {cat.habits.header for cat in drawn},
        "companies": {len(cat.companies) for cat in drawn},
        "products": {len(cat.product_number) for cat in drawn},
        "lots": {len(cat.lot_number) for cat in drawn},
        "window": {cat.habits.days for cat in drawn},
        "hours": {cat.habits.work_hours for cat in drawn},
        "rest": {cat.habits.rest_day for cat in drawn},
        "shares": {cat.habits.shares["jump"] for cat in drawn},
    }
    least = {"factories": 6, "places": 30, "lanes": 30, "steps": 5, "headers": 50, "companies": 7, "products": 15}
    least |= {"lots": 40, "window": 30, "hours": 30, "rest": 8, "shares": 60}
    assert {name: len(found) >= least[name] for name, found in distinct.items()} == dict.fromkeys(least, True)
    assert not {cat.block_width for cat in drawn} & {BLOCK_WIDTH}
    assert {cat.product_number[0] for cat in drawn} & set(catalogue(0).product_number.tolist()) == set()


def test_every_place_that_a_product_reaches_leads_on() -> None:
    for network in range(40):
        cat = draw_network(network, EPCS, SEED)
        last = cat.places.level == cat.places.level.max()
        leads_on = cat.links.any(axis=2)  # [Q, P]
        assert (leads_on | last | ~cat.reached).all(), network
        assert (cat.reached & last).any(axis=1).all(), network


def test_the_command_takes_a_network(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["simulate", "--out", str(tmp_path), "--epcs", "500", "--network", "7"])
    assert told.exit_code == 0, told.output
    assert {path.stem for path in tmp_path.glob("plant*.csv")} == set(draw_network(7, 500, 1).factories)
