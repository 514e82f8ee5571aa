"""Generated plants: they obey Little's law, and the same seed makes the same."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.flow.plants import PLANT_COLUMNS, PlantPlan, generate, write_plants

SMALL = PlantPlan(plants=["A", "B"], applications=["TV"], panel_sizes=["55"], historical_days=300)


@settings(max_examples=20, deadline=None)
@example(144142681, 74.44140625, 3.75, 0.12330222964439622, 0.3994694311664859)
@given(
    st.integers(0, 2**31 - 1), st.floats(20, 200), st.floats(0.2, 4), st.floats(0, 0.6), st.floats(0, 0.4)
)  # fmt: skip
def test_what_is_generated_obeys_littles_law(
    seed: int, throughput: float, stay_days: float, seasonality: float, noise: float
) -> None:
    plan = replace(
        SMALL, seed=seed, base_throughput=throughput, base_wip=throughput * stay_days, seasonality=seasonality,
        noise_level=noise,
    )  # fmt: skip
    made = generate(plan)
    area, stays_h = made.mean_wip.sum(axis=1), np.nansum(made.dwell_h * made.departures, axis=1)
    at_ends = (made.wip - made.arrivals + made.departures)[:, 0] + made.wip[:, -1]
    cut = np.abs(area - stays_h / 24)
    assert (cut <= at_ends * np.nanmax(made.dwell_h, axis=1) / 24 + 1e-6 * area).all(), "but what the ends cut off"
    assert made.law_error == pytest.approx(np.abs(1 - stays_h / 24 / area))
    assert (np.diff(made.wip) == (made.arrivals - made.departures)[:, 1:]).all(), "no item is lost"
    assert (made.wip >= 0).all()
    assert (made.mean_wip >= -1e-9).all()


def test_the_numbers_of_the_plan_are_those_of_the_data_and_the_seed_makes_them() -> None:
    made, again = generate(PlantPlan(seed=3)), generate(PlantPlan(seed=3))
    assert made.wip.shape == (18, 545)
    assert made.mean_wip.mean() == pytest.approx(100, rel=0.1)
    assert made.departures.mean() == pytest.approx(50, rel=0.1)
    assert made.law_error.max() < 0.01
    for name in ("arrivals", "departures", "wip", "mean_wip", "dwell_h"):
        np.testing.assert_array_equal(getattr(made, name), getattr(again, name))
    assert (generate(PlantPlan(seed=4)).arrivals != made.arrivals).any()
    out = io.StringIO()
    write_plants(made, out)
    lines = out.getvalue().splitlines()
    assert (lines[0], len(lines)) == (",".join(PLANT_COLUMNS), 1 + 18 * 545)
    assert lines[-1].startswith("P2,Mobile,65,2025-12-31,")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"plants": []}, "plants"),
        ({"applications": ["TV", "TV"]}, "applications"),
        ({"panel_sizes": ["5\n5"]}, "panel_sizes"),
        ({"historical_days": 0}, "historical_days"),
        ({"base_wip": float("nan")}, "base_wip"),
        ({"base_wip": 1e6}, "base_wip"),
        ({"base_throughput": 1e6}, "base_throughput"),
        ({"seasonality": -0.1}, "seasonality"),
        ({"noise_level": 3}, "noise_level"),
        ({"seed": -1}, "seed"),
        ({"seed": 10**20}, "seed"),
        ({"panel_sizes": [str(at) for at in range(400)]}, "panel_sizes"),
    ],
)
def test_a_plan_that_cannot_be_names_the_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        generate(replace(SMALL, **change))  # type: ignore[arg-type]
    assert [name for name, _ in caught.value.violations] == [field]
