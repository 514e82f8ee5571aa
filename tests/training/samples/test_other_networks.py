"""Other networks: learned from with tables of their own, which are learned as whoever adopts a model learns them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.events.zones import SEOUL
from service.features import table as features
from training.samples.labelled_data import Material, draw_from
from training.samples.other_networks import OtherNetwork, load_network
from training.samples.splits import normal_events
from training.simulation.world import simulate

EPCS = 500


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> OtherNetwork:
    folder = tmp_path_factory.mktemp("network")
    simulate(folder, EPCS, seed=1, network=8)
    return load_network(folder, SEOUL)[0]


def test_a_folder_without_truth_is_labelled_by_the_rules(tmp_path: Path) -> None:
    simulate(tmp_path, EPCS, seed=1, network=8)
    (tmp_path / "truth.parquet").unlink()
    found, _, truth = load_network(tmp_path, SEOUL)
    assert truth is None
    np.testing.assert_array_equal(found.passed, normal_events(found.labels))


def test_tables_are_taught_by_normal_events_or_with_some_anomalies_or_by_what_the_rules_pass(
    network: OtherNetwork,
) -> None:
    normal = normal_events(network.labels)
    ways: dict[str, int] = {"normal": 0, "leaky": 0, "passed": 0}
    for seed in range(200):
        teaching = network.teaching(np.random.default_rng(seed))
        if np.array_equal(teaching, normal):
            ways["normal"] += 1
        elif np.array_equal(teaching, network.passed):
            ways["passed"] += 1
        else:
            assert teaching[normal].all()
            assert 0 < teaching[~normal].mean() < 0.6
            ways["leaky"] += 1
    assert min(ways.values()) > 30
    assert network.passed[normal].mean() > network.passed[~normal].mean(), "the rules find some of them"


def test_passes_bring_the_other_networks_with_their_own_tables(labelled: Material, network: OtherNetwork) -> None:
    alone = draw_from(labelled)(np.random.default_rng(3))
    both = draw_from(replace(labelled, networks=(network,)))(np.random.default_rng(3))
    known = features.INDEX["place_known"]
    for one, two in zip(alone, both, strict=True):
        added = two.features[len(one.features) :]
        np.testing.assert_array_equal(two.features[: len(one.features)], one.features)
        assert len(added) == len(network.events)
        assert (added[:, known] == 1).all(), "places that the masters at home do not have"
        np.testing.assert_array_equal(two.labels[len(one.labels) :].sum(axis=0), network.labels.sum(axis=0))
