"""The world of `tests.tools.feedback.closing`: as it was before the drift, and three changes after it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tools.feedback.closing import FILES, files_of
from tests.tools.feedback.drifting import NEW_HUB, DriftingWorld, drifting_world
from training.datasets import dataset

FROM_DAY = 80


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[DriftingWorld, DriftingWorld]:
    """The same world, with the drift and as if it came after the end."""
    folder = tmp_path_factory.mktemp("worlds")
    drifting, calm = (drifting_world(folder / str(day), 1_500, 3, day) for day in (FROM_DAY, 10_000))
    return drifting, calm


def test_before_the_drift_nothing_differs(worlds: tuple[DriftingWorld, DriftingWorld]) -> None:
    rows = [world.rows[world.day < FROM_DAY].reset_index(drop=True) for world in worlds]
    pd.testing.assert_frame_equal(*rows)
    truth = [world.truth[world.day < FROM_DAY].reset_index(drop=True) for world in worlds]
    pd.testing.assert_frame_equal(*truth)


def test_a_hub_opens_a_gate_goes_blind_and_codes_are_forged_in_another_way(
    worlds: tuple[DriftingWorld, DriftingWorld],
) -> None:
    drifting, calm = worlds
    at_new = drifting.rows["location_id"] == str(NEW_HUB)
    assert at_new.sum() > 50
    assert (drifting.day[at_new] >= FROM_DAY).all()
    assert str(NEW_HUB) in set(drifting.locations["location_id"])
    gate = calm.rows.loc[calm.rows["event_type"] == "HUB_Inbound", "location_id"].value_counts().index[1]
    read = [
        ((one.rows["location_id"] == gate) & (one.rows["event_type"] == "HUB_Outbound") & (one.day >= FROM_DAY)).sum()
        for one in worlds
    ]
    assert 0 < read[0] < 0.95 * read[1]
    first = pd.Series(drifting.day).groupby(drifting.rows["epc_code"]).transform("min")
    forged = drifting.truth[drifting.truth["epcFake"] & (first >= FROM_DAY)]
    assert set(forged["variant"]) == {"serial_beyond"}
    assert len(forged) > 20


def test_a_part_of_it_has_the_ids_of_the_whole(worlds: tuple[DriftingWorld, DriftingWorld], tmp_path: Path) -> None:
    drifting = worlds[0]
    whole, part = (dataset.load(drifting.write(tmp_path / str(day), day)).events for day in (None, FROM_DAY))
    known = dict(zip(whole.event_id.tolist(), whole.time_us.tolist(), strict=True))
    assert 0 < len(part) < len(whole)
    assert [known[one] for one in part.event_id.tolist()] == part.time_us.tolist()


def test_days_come_in_files_of_whole_lots(worlds: tuple[DriftingWorld, DriftingWorld], tmp_path: Path) -> None:
    drifting = worlds[0]
    events = dataset.load(drifting.write(tmp_path)).events
    days = dict(zip(drifting.rows["event_id"].tolist(), drifting.day.tolist(), strict=True))
    files = list(files_of(events, np.array([days[one] for one in events.event_id.tolist()])))
    assert sum(len(file) for _, file in files) == len(events)
    assert [day for day, _ in files] == sorted(day for day, _ in files)
    seen: dict[str, set[int]] = {}
    for _, file in files:
        assert (np.diff(file.time_us) >= 0).all()
        assert len(set(file.file_id.tolist())) == 1
        for epc in set(file.epc.tolist()):
            lot = file.epc_codes[epc].rpartition(".")[0]
            seen.setdefault(lot, set()).add(int(file.file_id[0]) % FILES)
    assert all(len(buckets) == 1 for buckets in seen.values())
    assert len(set().union(*seen.values())) == FILES
