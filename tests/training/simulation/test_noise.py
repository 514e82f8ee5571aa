"""Noise is there and harmless."""

from __future__ import annotations

import pandas as pd

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
