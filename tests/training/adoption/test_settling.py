"""Tables settle though a few events are what the tables make of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.features.table import feature_spec_hash
from service.model.repository import load
from training.adoption.settings import AdoptSettings
from training.adoption.settling import Settled, settle
from training.datasets import dataset
from training.runs.weights import weights_of_model
from training.simulation.world import simulate

NETWORKS = (311, 312, 317)
"""Of most networks some event looks wrong as soon as the tables know it, and not before; of which ones is up to the
weights."""


def test_an_event_that_changes_sides_in_every_round_stays_aside(tmp_path: Path, bundled_repository: Path) -> None:
    for network in NETWORKS:
        settled = _settled(tmp_path / str(network), network, bundled_repository)
        *_, earlier, last, end = settled.rounds
        if earlier.moved == last.moved == 1:
            break
    else:
        pytest.fail(f"no event of the networks {NETWORKS} changes sides for ever: look for others")
    assert end.moved == 0
    assert end.aside == max(earlier.aside, last.aside)
    assert (~settled.normal == settled.suspects.any(axis=1)).all()


def _settled(folder: Path, network: int, repository: Path) -> Settled:
    """Return what settles in a drawn network if not one event may move."""
    folder.mkdir()
    simulate(folder, 2_500, network, network=network)
    world = dataset.load(folder)
    weights = weights_of_model(load(repository, feature_spec_hash=feature_spec_hash()))
    nobody = AdoptSettings(settled_share=0, settled_events=0)
    return settle(world.events, world.masters, weights, nobody, lambda _what, _done: None)
