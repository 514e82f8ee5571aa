"""Planted faults are there, are labelled where they show, and leave all else as it was."""

from __future__ import annotations

import numpy as np
import pytest

from service.events import codes
from service.events.vocabulary import KINDS
from service.features.reference import Reference
from tests.support.trained import TinyWorld
from training.adoption.planting.bed import Planted
from training.adoption.planting.plant import FAULTS, items_of_each, plant
from training.samples.reference import learn
from training.samples.splits import normal_events


@pytest.fixture(scope="module")
def tables(tiny_world: TinyWorld) -> Reference:
    """What the normal events of the tiny world teach."""
    normal = normal_events(tiny_world.known.labels)
    return learn(tiny_world.dataset.events, normal, tiny_world.dataset.masters)


@pytest.fixture(scope="module")
def clean(tiny_world: TinyWorld) -> np.ndarray:
    """The items of the tiny world without an anomaly."""
    good = np.ones(len(tiny_world.dataset.events.epc_codes), dtype=np.bool_)
    good[tiny_world.dataset.events.epc[~normal_events(tiny_world.known.labels)]] = False
    return good


@pytest.fixture(scope="module")
def planted(tiny_world: TinyWorld, tables: Reference, clean: np.ndarray) -> Planted:
    """The tiny world with faults."""
    return plant(tiny_world.dataset.events, clean, tables, np.random.default_rng(1))


@pytest.mark.parametrize("fault", range(len(FAULTS)), ids=[fault.name for fault in FAULTS])
def test_each_fault_shows_in_events_labelled_with_its_kind(planted: Planted, fault: int) -> None:
    shown = planted.fault == fault
    kind = KINDS.index(FAULTS[fault].kind)
    assert shown.any()
    assert planted.labels[shown].sum(axis=0)[kind] == shown.sum() == planted.labels[shown].sum()


def test_only_clean_items_are_touched(tiny_world: TinyWorld, planted: Planted, clean: np.ndarray) -> None:
    spoilt = {tiny_world.dataset.events.epc_codes[item] for item in np.flatnonzero(~clean).tolist()}
    touched = {planted.events.epc_codes[item] for item in planted.events.epc[planted.fault >= 0].tolist()}
    assert not spoilt & touched
    assert ((planted.fault >= 0) == planted.labels.any(axis=1)).all()


def test_forged_codes_are_nobody_elses_and_of_as_many_items_as_wanted(tiny_world: TinyWorld, planted: Planted) -> None:
    numbers = [number for number, fault in enumerate(FAULTS) if fault.kind == "epcFake"]
    printed = [number for number in numbers if FAULTS[number].name != "first_seen_downstream"]
    forged = planted.events.epc[np.isin(planted.fault, printed)]
    known = set(tiny_world.dataset.events.epc_codes)
    assert not known & {planted.events.epc_codes[item] for item in forged.tolist()}
    assert len(np.unique(forged)) <= len(printed) * 2 * items_of_each(len(known))
    malformed = [number for number in numbers if FAULTS[number].name == "malformed"]
    broken = planted.events.epc[np.isin(planted.fault, malformed)]
    assert not codes.parse([planted.events.epc_codes[item] for item in broken.tolist()]).well_formed.any()


def test_the_same_seed_plants_the_same(
    tiny_world: TinyWorld, tables: Reference, clean: np.ndarray, planted: Planted
) -> None:
    again = plant(tiny_world.dataset.events, clean, tables, np.random.default_rng(1))
    assert again.events.epc_codes == planted.events.epc_codes
    for name in ("event_id", "epc", "location_id", "time_us"):
        assert getattr(again.events, name).tolist() == getattr(planted.events, name).tolist()


def test_nothing_happens_after_the_end_of_the_data_and_ids_follow_the_rows(
    tiny_world: TinyWorld, planted: Planted
) -> None:
    assert planted.events.time_us.max() <= tiny_world.dataset.events.time_us.max()
    assert sorted(planted.events.event_id.tolist()) == list(range(1, len(planted.events) + 1))
