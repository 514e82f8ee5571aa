"""Noise is there and harmless."""

from __future__ import annotations

import pandas as pd

from service.events.vocabulary import EVENT_TYPES
from training.simulation.scans import NOISES


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


def test_blind_gates_miss_many_scans_of_one_direction_for_hours(world: pd.DataFrame) -> None:
    beside = world[(world.noise == "blind_gate") & world.normal & world.last_normal.eq(True)]
    code = {name: number for number, name in enumerate(EVENT_TYPES)}
    step, last = beside.event_type.map(code), beside.last_event_type.map(code)
    assert (step == last + 2).mean() > 0.99  # but for the one that was missed it is in order
    missed = pd.DataFrame(
        {
            # A missed outbound scan was where the item was before, a missed inbound one where it is now.
            "place": beside.scan_location.where(step % 2 == 0, beside.last_scan_location),
            "inbound": step % 2 == 0,
            "day": beside.last_time.where(step % 2 == 0, beside.time).dt.floor("D"),
        }
    )
    assert (missed.groupby("place").inbound.nunique() == 1).all()
    days = missed.groupby(["place", "day"]).size()
    assert days.max() > 20
    assert missed.place.nunique() > 15
