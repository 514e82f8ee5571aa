"""Anomalies: their shares, and every variant with its kind and difficulty."""

from __future__ import annotations

import pandas as pd
import pytest

from service.events.vocabulary import KINDS
from tests.support.folders.simulated import of
from training.simulation.anomalies import VARIANTS
from training.simulation.networks.habits import Habits


def test_shares_of_anomalies(world: pd.DataFrame) -> None:
    assert 0.05 <= (~world.normal).mean() <= 0.10
    for kind, share in Habits().shares.items():
        assert world[kind].mean() == pytest.approx(share, rel=0.1), kind
    assert (world[list(KINDS)].sum(axis=1) > 1).any()


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
