"""Masters: places and routes in their forms, names that mean a place, and rows that cannot be used."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from service.events.journeys import Journeys
from service.features import table as features
from tests.support.folders.raw import LOCATIONS, ROUTES, ROWS, fill
from training.datasets import dataset
from training.errors import DataError
from training.samples.reference import learn


def test_places_are_found_by_name(tmp_path: Path) -> None:
    by_name = ROWS.replace("location_id", "scan_location").replace(",1,", ",인천공장,")
    loaded = dataset.load(fill(tmp_path, a__csv=by_name.replace(",5,", ", 인천공장창고 ,")))
    assert loaded.events.location_id.tolist() == [1, 5]
    assert loaded.warnings == (
        "a.csv has no column location_id: it is taken from scan_location where that is possible",
    )


PLACES = (
    LOCATIONS.replace("Longitude", "Longitude,Time_Zone").replace("126.65", "126.65, Asia/Kolkata ") + "3,9,x,1,2,\n"
)


def test_places_may_have_time_zones_of_their_own(tmp_path: Path) -> None:
    """The factory is in Kolkata; its warehouse, of which nothing is said, is where the others are."""
    places = PLACES.replace("126.66", "126.66,")
    rows = ROWS + ROWS.partition("\n")[2].replace(":17", ":17Z").replace(":38", ":38+02:00")
    loaded = dataset.load(fill(tmp_path, a__csv=rows, locations__csv=places))
    assert loaded.masters.zones.to_json() == {"default": "Asia/Seoul", "places": {"1": "Asia/Kolkata"}}
    assert loaded.warnings == ()
    instants = ["2025-07-01T05:04:17", "2025-07-01T02:02:38", "2025-07-01T10:34:17", "2025-07-01T09:02:38"]
    assert np.datetime_as_string(loaded.events.time_us.astype("datetime64[us]"), unit="s").tolist() == instants
    reference = learn(loaded.events, np.ones(4, dtype=np.bool_), loaded.masters)
    assert reference.zones is loaded.masters.zones
    assert reference.hours is not None
    assert np.argwhere(reference.hours).tolist() == [[0, 10], [0, 16], [1, 11], [1, 18]]
    elsewhere = dataset.load(tmp_path, time_zone="America/New_York")
    assert elsewhere.masters.zones.to_json() == {"default": "America/New_York", "places": {"1": "Asia/Kolkata"}}
    assert elsewhere.events.time_us.tolist()[1] - loaded.events.time_us.tolist()[1] == 13 * 3_600_000_000


def test_a_time_zone_that_there_is_not_is_named(tmp_path: Path) -> None:
    places = PLACES.replace("126.66", "126.66,Asia/Soul")
    with pytest.raises(DataError, match=r"locations\.csv: line 3: column time_zone: 'Asia/Soul' is no time zone"):
        dataset.load(fill(tmp_path, a__csv=ROWS, locations__csv=places))
    with pytest.raises(DataError, match="time_zone 'Mars' is no time zone; write one such as Asia/Seoul"):
        dataset.load(fill(tmp_path, a__csv=ROWS), time_zone="Mars")


def test_routes_of_places_that_only_the_events_name(tmp_path: Path) -> None:
    names = ("인천공장", "새창고")
    rows = "".join(
        f"{name},{row}"
        for name, row in zip(("scan_location", *names), ROWS.replace(",5,", ",37,").splitlines(True), strict=True)
    )
    loaded = dataset.load(fill(tmp_path, a__csv=rows, transitions__csv=ROUTES.replace("인천공장창고", "새창고")))
    assert (loaded.masters.route_from.tolist(), loaded.masters.route_to.tolist()) == ([1], [37])
    assert loaded.masters.route_hours.tolist() == [[5, 2, 1, 10]]
    assert loaded.masters.route_count.tolist() == [100]
    assert loaded.warnings == ()


def test_names_compare_by_what_they_show(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", ROUTES)
    assert decomposed != ROUTES
    loaded = dataset.load(fill(tmp_path, a__csv=ROWS, transitions__csv=decomposed))
    assert (loaded.masters.route_from.tolist(), loaded.warnings) == ([1], ())


def test_a_name_of_two_places_is_the_one_that_the_events_mean(tmp_path: Path) -> None:
    header, first, second = ROWS.splitlines()
    rows = [f"scan_location,{header}", f"인천공장창고,{first}", *[f"인천공장창고,{second}"] * 2, f"인천공장,{first}"]
    places = LOCATIONS + "3,7,인천공장창고,37,126\n"
    loaded = dataset.load(fill(tmp_path, a__csv="\n".join(rows), locations__csv=places))
    assert loaded.masters.route_to.tolist() == [5]  # the third row's mistake is outvoted
    by_name = "\n".join(row.replace(",5,", ",,") for row in rows)
    loaded = dataset.load(fill(tmp_path, a__csv=by_name, locations__csv=places))
    assert loaded.quarantined == 2  # of two places none is guessed


def test_a_folder_without_its_location_master(tmp_path: Path) -> None:
    (fill(tmp_path, a__csv=ROWS) / "locations.csv").unlink()
    with pytest.raises(DataError, match=r"locations\.csv: not found; a data folder needs it, with location_id"):
        dataset.load(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        dataset.load(tmp_path / "x")


def test_without_transitions_the_events_alone_teach_routes(tmp_path: Path) -> None:
    (fill(tmp_path, a__csv=ROWS) / "transitions.csv").unlink()
    loaded = dataset.load(tmp_path)
    assert loaded.masters.route_hours.shape == (0, 4)
    assert loaded.warnings == ("no transitions.csv: transit times are learned from the events alone",)
    reference = learn(loaded.events, np.ones(2, dtype=np.bool_), loaded.masters)
    assert reference.location_id.tolist() == [1, 5]
    assert len(reference.lane.key) == 2
    table = features.compute(Journeys.of(loaded.events), reference, causal=False)
    assert np.isfinite(table).all()
    assert not table[:, features.INDEX["route_known"]].any()


def test_rows_of_the_masters_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    places = LOCATIONS + "3,1,인천공장,0,0\n4,x,누구,1,1\n5,37,전남,,\n6,38,경북,95.0,10\n"
    routes = ROUTES + "인천공장창고,인천공장,5,,1,10,1\n인천공장,낯선곳,5,2,1,10,100\n인천공장,전남,5,2,,10,1\n"
    loaded = dataset.load(fill(tmp_path, a__csv=ROWS, locations__csv=places, transitions__csv=routes))
    assert loaded.masters.location_id.tolist() == [1, 5, 37]
    assert loaded.masters.latitude.tolist()[:2] == [37.45, 37.46]
    assert np.isnan(loaded.masters.latitude[2])
    assert loaded.masters.route_to.tolist() == [5, 1]
    assert loaded.masters.route_hours[1].tolist() == [5, 0, 1, 10]
    about_places, about_routes = loaded.warnings
    assert "locations.csv: 3 of 6 rows are left out: line 4: " in about_places
    assert "line 5: location_id" in about_places
    assert "line 7: latitude: 95.0" in about_places
    assert "transitions.csv: 2 of 4 rows are left out: line 4: to" in about_routes
    assert "line 5: time_taken_hours_min" in about_routes


@pytest.mark.parametrize("value", ["inf", "-inf", "1e999", "-3"])
@pytest.mark.parametrize("column", range(2, 7))
def test_a_route_with_a_number_that_no_table_can_keep_is_left_out(tmp_path: Path, column: int, value: str) -> None:
    """Tables are written at the end of a training: what no JSON can say is refused when it is read."""
    cells = ["인천공장창고", "인천공장", "5", "2", "1", "10", "7"]
    cells[column] = value
    loaded = dataset.load(fill(tmp_path, a__csv=ROWS, transitions__csv=f"{ROUTES}{','.join(cells)}\n"))
    assert loaded.masters.route_to.tolist() == [5]
    assert "transitions.csv: 1 of 2 rows are left out: line 3: time_taken_hours_" in loaded.warnings[0]
    json.dumps(learn(loaded.events, np.ones(2, dtype=np.bool_), loaded.masters).to_json(), allow_nan=False)


def test_masters_in_other_forms(tmp_path: Path) -> None:
    places = LOCATIONS.replace(",", ";").replace(".", ",").replace("Latitude", " latitude ")
    loaded = dataset.load(fill(tmp_path, a__csv=ROWS, locations__csv=places.encode("utf-8-sig")))
    assert loaded.masters.latitude.tolist() == [37.45, 37.46]
