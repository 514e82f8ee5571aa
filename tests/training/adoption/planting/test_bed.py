"""The bed of a network that lacks a level: what comes next there is a step like any other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from service.events.vocabulary import EVENT_TYPES
from training.adoption.planting.bed import Planted
from training.adoption.planting.plant import FAULTS, plant
from training.datasets import dataset
from training.datasets.truth import load_truth
from training.samples.reference import learn
from training.samples.splits import normal_events
from training.simulation.world import simulate

WITHOUT_WHOLESALER, WITHOUT_HUB = 3, 8
"""Networks of the simulator."""


def planted_in(folder: Path, network: int) -> Planted:
    simulate(folder, 2_000, seed=1, network=network)
    world = dataset.load(folder)
    normal = normal_events(load_truth(folder / "truth.parquet", world.events).labels)
    reference = learn(world.events, normal, world.masters)
    clean = np.ones(len(world.events.epc_codes), dtype=np.bool_)
    clean[world.events.epc[~normal]] = False
    return plant(world.events, clean, reference, np.random.default_rng(3))


def types_of(planted: Planted, name: str) -> Counter[str]:
    """Return the types of the events that show a fault."""
    number = [fault.name for fault in FAULTS].index(name)
    return Counter(EVENT_TYPES[each] for each in planted.events.event_type[planted.fault == number].tolist())


@pytest.mark.parametrize(
    ("network", "missing", "below"),
    [(WITHOUT_WHOLESALER, "W_Stock_Inbound", "R_Stock_Inbound"), (WITHOUT_HUB, "HUB_Inbound", "W_Stock_Inbound")],
)
def test_a_level_that_a_network_lacks_is_no_gap_in_its_journeys(
    tmp_path: Path, network: int, missing: str, below: str
) -> None:
    planted = planted_in(tmp_path, network)
    found = sum((types_of(planted, name) for name in ("slow_transit", "below_minimum", "swapped_pair")), Counter())
    assert found[below]
    assert not found[missing]
    assert set(types_of(planted, "straight_to_a_shop")) == {"R_Stock_Inbound"}
