"""What the reference tables learn, and that they survive their journey through the manifest."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from service.events.journeys import Journeys
from service.events.vocabulary import EVENT_TYPES, START, TYPES
from service.events.zones import TimeZones
from service.features.reference import Counts, Reference
from service.features.table import NAMES, compute
from tests.support import worlds
from tests.support.worlds import Scan, code, journey, to_events
from training.datasets.masters import Masters
from training.samples.reference import learn

IN, OUT = EVENT_TYPES.index("HUB_Inbound"), EVENT_TYPES.index("HUB_Outbound")


def learned(scans: list[Scan], normal: list[bool] | None = None, masters: Masters | None = None) -> Reference:
    """Return what ``scans`` teach, all of them normal unless said otherwise."""
    flags = np.ones(len(scans), dtype=np.bool_) if normal is None else np.array(normal)
    return learn(to_events(scans), flags, worlds.masters() if masters is None else masters)


def _count(counts: Counts, key: int) -> float:
    return dict(zip(counts.key.tolist(), counts.count.tolist(), strict=True)).get(key, 0.0)


def _scan_key(reference: Reference, location_id: int, kind: int) -> NDArray[np.int64]:
    return reference.place_of(np.array([location_id])) * TYPES + kind


def _assert_equal(one: Reference, other: Reference, tolerance: float = 0.0) -> None:
    for field in fields(Reference):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, TimeZones):
            assert left.to_json() == right.to_json()
            continue
        if field.name in {"dialect", "serial_step"}:
            assert left == right
            continue
        if isinstance(left, Counts):
            assert np.array_equal(left.key, right.key), field.name
            left, right = left.count, right.count
        assert left.dtype == right.dtype, field.name
        assert left.shape == right.shape, field.name
        assert np.allclose(left, right, rtol=tolerance, atol=0, equal_nan=True), field.name


def test_scans_lanes_and_types_are_counted() -> None:
    reference = worlds.reference()
    assert _count(reference.scan, int(_scan_key(reference, 13, IN)[0])) == 40
    assert _count(reference.scan, int(_scan_key(reference, 13, OUT + 2)[0])) == 0
    lane = reference.lane_key(_scan_key(reference, 13, IN), _scan_key(reference, 13, OUT))
    assert _count(reference.lane, int(lane[0])) == 40
    first = reference.lane_key(np.array([reference.start_scan]), _scan_key(reference, 1, 0))
    assert _count(reference.lane, int(first[0])) == 80
    assert reference.type_pair[START].tolist() == [80, *[0] * (TYPES - 1)]
    assert reference.type_pair[IN, OUT] == 80
    product_scan = reference.product_scan_key(np.array([1_293_291, 1_293_292]), _scan_key(reference, 13, IN))
    assert [_count(reference.product_scan, key) for key in product_scan.tolist()] == [40, 0]
    assert _count(reference.product_type, (1_293_292 + 1) * TYPES + IN) == 40


def test_issued_codes_are_counted_and_ranged() -> None:
    reference = worlds.reference()
    assert _count(reference.header, 1) == _count(reference.company, 8_804_823) == 80
    assert (
        _count(reference.company_product, 8_804_823 * 10**7 + 1_293_291) == _count(reference.product, 1_293_291) == 40
    )
    assert _count(reference.lot, 10_004) == 40
    row = reference.product_lot.find(np.array([1_293_291 * 10**6 + 10_004]))[0]
    assert reference.lot_serial[row].tolist() == [4_000, 4_039]
    assert reference.lot_day[row].tolist() == [20_270, 20_270]


def _quantiles(
    reference: Reference, lane: NDArray[np.int64], before: NDArray[np.int64], kind: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the quantiles of each lane, those of its pair of types if the lane was never seen."""
    rows, known = reference.lane.find(lane), len(reference.lane.key)
    of_pairs = reference.type_pair_gap[before, kind]
    return np.array(
        [reference.lane_gap[row] if row < known else pair for row, pair in zip(rows, of_pairs, strict=True)]
    )


def test_quantiles_of_a_lane_are_those_of_its_gaps() -> None:
    gaps = np.arange(1, 1_002)
    scans = [
        scan
        for gap in gaps.tolist()
        for scan in journey(code(gap), (5, 13), (0, gap / 60), ("WMS_Outbound", "HUB_Inbound"))
    ]
    reference = learned(scans)
    lane = reference.lane_key(_scan_key(reference, 5, 2), _scan_key(reference, 13, 3))
    found = _quantiles(reference, lane, np.array([2]), np.array([3]))[0]
    # All gaps are of this lane, so that shrinking it towards its pair of types moves nothing.
    expected = np.log1p(gaps[[10, 500, 990]])
    assert found[:3] == pytest.approx(expected, rel=1e-6)
    assert found[3] == pytest.approx((np.log1p(gaps[750]) - np.log1p(gaps[250])) / 1.35, rel=1e-6)


def test_a_lane_seen_once_leans_on_its_pair_of_types_and_that_on_all_gaps() -> None:
    types = ("WMS_Outbound", "HUB_Inbound")
    often = [scan for serial in range(90) for scan in journey(code(serial), (5, 13), (0, 10), types)]
    reference = learned([*often, *journey(code(99), (5, 14), (0, 1), types)])
    usual, once = np.log1p(600), np.log1p(60)
    lanes = [reference.lane_key(_scan_key(reference, 5, 2), _scan_key(reference, to, 3)) for to in (13, 14, 23)]
    medians = _quantiles(reference, np.concatenate(lanes), np.full(3, 2), np.full(3, 3))[:, 1]
    assert medians == pytest.approx([usual, (once + 10 * usual) / 11, usual])
    never = _quantiles(reference, lanes[0] + 1, np.array([7]), np.array([8]))
    assert never[0, 1] == pytest.approx(usual), "a pair of types never seen has the quantiles of all gaps"


def test_an_anomalous_event_teaches_nothing() -> None:
    normal = worlds.normal_scans()
    wrong = journey(code(77, lot=66, product=5), places=(999, 5, 13))
    # An item that went wrong in the middle: its gaps to and from that scan are no lesson, and its code is not issued.
    middle = journey(code(78, lot=67, product=6), places=(1, 5, 77), hours=(0, 1, 5_000))
    after = replace(middle[2], location_id=5, time=middle[2].time + timedelta(hours=1), event_type="HUB_Inbound")
    flags = [*[True] * len(normal), *[False] * 3, True, True, False, True]
    reference = learned([*normal, *wrong, *middle, after], flags)
    assert not np.isin([999, 77], reference.location_id).any()
    assert {_count(reference.product, product) for product in (5, 6)} == {0}
    assert {_count(reference.lot, lot) for lot in (66, 67)} == {0}
    plain = worlds.reference()
    assert np.array_equal(reference.type_pair[2:START], plain.type_pair[2:START])
    assert reference.type_pair[START, 0] == plain.type_pair[START, 0] + 1
    assert len(reference.lane.key) == len(plain.lane.key)


def test_places_only_the_events_know_are_known_places_without_coordinates() -> None:
    reference = worlds.reference()
    place = int(reference.place_of(np.array([74]))[0])
    assert reference.location_id[place] == 74
    assert np.isnan(reference.latitude[place])
    assert np.isnan(reference.unit_vectors[place]).all()
    known = int(reference.place_of(np.array([13]))[0])
    assert (reference.latitude[known], reference.longitude[known]) == (37.3, 127.0)


def test_routes_are_those_of_the_transition_master() -> None:
    masters = worlds.masters()
    reference = learned(worlds.normal_scans(), masters=replace(masters, route_to=np.array([23, 13, 4_711])))
    places = len(reference.location_id)
    start, end = reference.place_of(np.array([13, 5, 14])), reference.place_of(np.array([23, 13, 4_711]))
    assert (end < places).all(), "a place that only the routes know is a known place"
    rows = reference.route.find(start * (places + 1) + end)
    assert np.array_equal(reference.route_hours[rows], masters.route_hours)
    assert np.array_equal(reference.route.count[rows], masters.route_count)


def test_the_unknown_has_a_defined_answer() -> None:
    reference = worlds.reference()
    unknown = np.array([-(2**63), -1, 6, 2**63 - 1])
    assert (reference.place_of(unknown) == len(reference.location_id)).all()
    assert (reference.scan.find(unknown) == len(reference.scan.key)).all()
    assert (reference.product_lot.find(unknown) == len(reference.product_lot.key)).all()
    assert Counts(np.zeros(0, dtype=np.int64), np.zeros(0)).find(unknown).tolist() == [0, 0, 0, 0]


def test_serials_by_nines_are_as_dense_as_serials_by_ones() -> None:
    """Differences are counted in the step of the network, in whichever table they are looked up."""
    ones, nines = (
        [scan for serial in range(5_000, 5_000 + 20 * step, step) for scan in journey(code(serial))] for step in (1, 9)
    )
    assert learned(ones).serial_step == 1
    assert "serial_step" not in learned(ones).to_json(), "manifests stay what they were"
    by_nines = Reference.from_json(learned(nines).to_json())
    assert by_nines.serial_step == 9
    last = code(5_000 + 21 * 9)  # one step above the lot
    tables = [
        compute(Journeys.of(to_events([*scans, *journey(beyond)])), reference, causal=False)
        for scans, beyond, reference in (
            (ones, code(5_021), learned(ones)),
            (nines, last, by_nines),
        )
    ]
    for name in ("serial_gap", "mate_serial_gap", "code_serial_off"):
        found = [table[:, NAMES.index(name)] for table in tables]
        np.testing.assert_allclose(*found, rtol=1e-6)
        assert found[0].any()
    odd = [scan for serial in (1, 3, 6, 10, 17, 19) for scan in journey(code(serial))]
    assert learned(odd).serial_step == 1, "no step that all of them keep"


def test_tables_survive_the_manifest() -> None:
    reference = worlds.reference()
    text = json.dumps(reference.to_json(), allow_nan=False)
    restored = Reference.from_json(json.loads(text))
    _assert_equal(restored, reference, tolerance=1e-5)
    _assert_equal(Reference.from_json(restored.to_json()), restored)
    journeys = Journeys.of(to_events(worlds.normal_scans()))
    before, after = (compute(journeys, tables, causal=False) for tables in (reference, restored))
    assert np.abs(before - after).max() < 1e-3


def test_serials_and_counts_survive_the_manifest_exactly() -> None:
    reference = learned(journey(code(123_456_789)))
    restored = Reference.from_json(json.loads(json.dumps(reference.to_json())))
    assert restored.lot_serial.tolist() == [[123_456_789, 123_456_789]]
    many = replace(reference, scan=Counts(reference.scan.key, reference.scan.count + 1_234_567))
    assert np.array_equal(Reference.from_json(many.to_json()).scan.count, many.scan.count)


def test_tables_learned_from_nothing_survive_the_manifest() -> None:
    none = np.zeros(0, dtype=np.int64)
    masters = Masters(none, np.zeros(0), np.zeros(0), none, none, np.zeros((0, 4)), np.zeros(0))
    reference = learned([], masters=masters)
    _assert_equal(Reference.from_json(json.loads(json.dumps(reference.to_json()))), reference)


@pytest.mark.parametrize(
    "damage", [{"scan": None}, {"lane_gap": [[1, 2, 3]]}, {"type_pair": []}, {"lot": {"key": [1]}}]
)
def test_damaged_tables_are_refused(damage: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Reference.from_json({**worlds.reference().to_json(), **damage})
