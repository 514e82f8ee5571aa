"""Files whose hours look shifted, and those that only have few or unusual ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.detect.hours import LEAST_EVENTS, StreamHours, UsualHours, _visits, shift_warning
from service.events.columns import Events
from service.features.reference import Reference
from tests.support import worlds
from training.datasets.dataset import load
from training.samples.reference import learn
from training.simulation.world import simulate

HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Events, Reference]:
    """A simulated world, and what another one teaches."""
    folders = [tmp_path_factory.mktemp("world") for _ in range(2)]
    for seed, folder in enumerate(folders):
        simulate(folder, 3_000, seed)
    events, other = (load(folder) for folder in folders)
    return events.events, learn(other.events, np.ones(len(other.events), dtype=np.bool_), other.masters)


def shifted(events: Events, hours: int) -> Events:
    return replace(events, time_us=events.time_us + hours * HOUR_US)


@pytest.mark.parametrize("hours", [9, -9, 12, 5])
def test_a_shift_of_all_files_is_found(world: tuple[Events, Reference], hours: int) -> None:
    events, reference = world
    found = UsualHours(reference).shifts(shifted(events, hours))
    assert set(found) == {1, 2, 3, 4}
    off = [(shift - hours + 12) % 24 - 12 for shift in found.values()]
    assert max(map(abs, off)) <= 1  # the usual hours of two small worlds differ too
    assert off.count(0) >= 3


def test_no_file_as_usual_looks_shifted(world: tuple[Events, Reference]) -> None:
    events, reference = world
    usual, by_time = UsualHours(reference), np.argsort(events.time_us)
    for size in (200, 500, 2_000):  # parts of a few days, of which the hours are those of few shipments
        for begin in range(0, len(events) - size, size):
            part = events.take(by_time[begin : begin + size])
            assert usual.shifts(replace(part, file_id=np.ones_like(part.file_id))) == {}
    for kind in range(10):
        assert usual.shifts(events.take(events.event_type == kind)) == {}


def test_each_file_is_told_by_its_own_hours(world: tuple[Events, Reference]) -> None:
    events, reference = world
    mixed = replace(events, time_us=events.time_us + np.where(events.file_id == 2, 9 * HOUR_US, 0))
    assert UsualHours(reference).shifts(mixed) == {2: 9}


def test_few_events_say_nothing(world: tuple[Events, Reference]) -> None:
    events, reference = world
    few = shifted(events.take(np.flatnonzero(events.file_id == 1)[: LEAST_EVENTS - 1]), 9)
    assert UsualHours(reference).shifts(few) == {}


@pytest.mark.parametrize("hours", [0, 9])
def test_a_stream_is_told_by_what_it_brought_lately(world: tuple[Events, Reference], hours: int) -> None:
    """Each request is far too small to say anything, and the shift is known soon, of files that have just begun too."""
    events, reference = world
    in_time = shifted(events.take(np.argsort(events.time_us)), hours)
    stream, found = StreamHours(UsualHours(reference)), []
    for begin in range(0, 6_000, 50):
        request = in_time.take(np.arange(begin, begin + 50))
        stream.take(request)
        found.append(stream.shifts(request))
        assert set(found[-1]) <= set(request.file_id.tolist())
    assert found[0] == {}, "of 50 events nobody knows"
    assert {shift for one in found[40:] for shift in one.values()} == ({hours} if hours else set())
    assert all(found[40:]) == bool(hours)


def test_a_stream_that_is_mended_is_told_of_no_more(world: tuple[Events, Reference]) -> None:
    events, reference = world
    stream, in_time = StreamHours(UsualHours(reference)), events.take(np.argsort(events.time_us))
    stream.take(shifted(in_time.take(np.arange(3_000)), 9))
    assert set(stream.shifts(in_time).values()) == {9}
    stream.take(in_time.take(np.arange(3_000, 9_000)))
    assert stream.shifts(in_time) == {}


def test_one_shipment_says_nothing(world: tuple[Events, Reference]) -> None:
    """However many items travel together, they are at one place in one hour."""
    _, reference = world
    scans = worlds.shipment(worlds.ROUTE, range(4_000, 4_400))
    assert UsualHours(reference).shifts(shifted(worlds.to_events(scans), 12)) == {}


def test_a_model_of_an_earlier_release_knows_no_hours(world: tuple[Events, Reference]) -> None:
    events, reference = world
    tables = {name: table for name, table in reference.to_json().items() if name not in {"zones", "hours"}}
    earlier = Reference.from_json(tables)
    assert earlier.zones.default == "UTC"
    assert earlier.to_json() == tables
    assert UsualHours(earlier).shifts(shifted(events, 9)) == {}


def test_the_warning_names_the_shift() -> None:
    assert shift_warning(0) == ""
    assert "shifted by +9 h" in shift_warning(9)
    assert "shifted by -9 h" in shift_warning(-9)


def test_a_visit_is_one_type_at_one_place_in_one_hour_of_any_century() -> None:
    rng = np.random.default_rng(0)
    hours = np.concatenate([rng.integers(-17_000_000, 70_000_000, 50), rng.integers(-3, 3, 450)])  # from the year 1 on
    local_us = hours * HOUR_US + rng.integers(0, HOUR_US, 500)
    kind, place = rng.integers(0, 11, 500), rng.choice([1, 2, 99_999_999], 500)
    visits = {*zip(place.tolist(), kind.tolist(), hours.tolist(), strict=True)}
    found_kind, found_us = _visits(kind, local_us, place)
    told = sorted(zip(found_kind.tolist(), (found_us // HOUR_US).tolist(), strict=True))
    assert told == sorted((kind, hour) for _, kind, hour in visits)
    assert len(told) < 500
