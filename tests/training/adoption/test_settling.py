"""Tables settle though a few events are what the tables make of them."""

from __future__ import annotations

from pathlib import Path

from service.features.table import feature_spec_hash
from service.model.repository import load
from training.adoption.settings import AdoptSettings
from training.adoption.settling import settle
from training.datasets import dataset
from training.runs.weights import weights_of_model
from training.simulation.world import simulate

NETWORK = 208
"""One of its events looks wrong as soon as the tables know it, and not before: drawn networks have such a one often."""


def test_an_event_that_changes_sides_in_every_round_stays_aside(tmp_path: Path, bundled_repository: Path) -> None:
    simulate(tmp_path, 2_500, NETWORK, network=NETWORK)
    world = dataset.load(tmp_path)
    weights = weights_of_model(load(bundled_repository, feature_spec_hash=feature_spec_hash()))
    nobody = AdoptSettings(settled_share=0, settled_events=0)  # not one event may move
    settled = settle(world.events, world.masters, weights, nobody, lambda _what, _done: None)
    *_, earlier, last, end = settled.rounds
    assert earlier.moved == last.moved == 1
    assert end.moved == 0
    assert end.aside == max(earlier.aside, last.aside)
    assert (~settled.normal == settled.suspects.any(axis=1)).all()
