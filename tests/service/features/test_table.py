"""The features against their slow reference, their promise never to look ahead, and their pinned values."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import UnusableFeatures
from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import EVENT_TYPES
from service.events.zones import TimeZones
from service.features.reference import Counts, Reference
from service.features.table import COMPANIONS, FEATURES, NAMES, TYPE_COLUMNS, compute, feature_spec_hash
from tests.support import reference_features, worlds
from tests.support.gateway import ROOT
from tests.support.worlds import Scan, code, journey, to_events
from training.datasets.dataset import load
from training.datasets.truth import load_truth
from training.samples.reference import learn
from training.simulation.world import simulate

GOLDEN = ROOT / "tests" / "data" / "golden_features.csv"

_MATES = [
    *(code(serial) for serial in (4_000, 4_001, 4_003, 4_010)),
    code(4_003, date="20240229"),
    code(999_999_999, date="20250230"),
    "002" + code(4_003)[3:],
]
_CODES = [
    *_MATES,
    code(4_007, product=1_293_292),
    code(5_003, lot=worlds.OTHER_LOT, product=worlds.OTHER_PRODUCT),
    _MATES[0][:-1],
    _MATES[0][:-1] + "٣",
    "",
]
_ANYWHERE = st.sampled_from([1, 5, 13, 14, 23, 74, 999, -(2**63)])
_ANY_TYPE = st.sampled_from([*EVENT_TYPES, "Teleport"])
_TIMES = st.one_of(
    st.sampled_from([0, 0, 60, 3_600, 3_601, 30_000, 400_000, 2_000_000]),
    st.integers(0, 5_000_000),
).map(lambda seconds: worlds.START + timedelta(seconds=seconds))


@st.composite
def _worlds(draw: st.DrawFn) -> list[Scan]:
    """Draw up to 25 scans of few items, places and times, in any order of time and id; often a lot crowds in a hub."""
    crowded = draw(st.booleans())
    scans = st.builds(
        Scan,
        code=st.sampled_from(_MATES if crowded else _CODES),
        event_type=st.sampled_from(["HUB_Inbound", "HUB_Outbound"]) if crowded else _ANY_TYPE,
        location_id=st.sampled_from([13, 13, 14]) if crowded else _ANYWHERE,
        time=_TIMES,
        step=st.sampled_from([None, None, "", "WMS", "R_Stock_Inbound"]),
    )
    drawn = draw(st.lists(scans, min_size=10 if crowded else 1, max_size=25))
    ids = draw(st.permutations(range(1, len(drawn) + 1)))
    return [replace(scan, event_id=event_id) for scan, event_id in zip(drawn, ids, strict=True)]


def features_of(events: Events, reference: Reference, *, causal: bool) -> NDArray[np.float32]:
    """Return the features [N, F] in the order of ``events``."""
    journeys = Journeys.of(events)
    in_order = np.empty((len(events), len(NAMES)), dtype=np.float32)
    in_order[journeys.order] = compute(journeys, reference, causal=causal)
    return in_order


def _assert_same(got: NDArray[np.floating], expected: NDArray[np.floating], tolerance: float = 1e-6) -> None:
    wrong = np.argwhere(~np.isclose(got, expected, rtol=tolerance, atol=tolerance))
    found = [f"event {at}: {NAMES[f]} is {got[at, f]:.6g}, should be {expected[at, f]:.6g}" for at, f in wrong]
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("table", ["lot_serial", "lot_day", "product_scan"])
def test_no_event_with_a_value_that_is_no_number_passes(causal: bool, table: str) -> None:
    known = worlds.reference()
    damaged = getattr(known, table)
    bad = replace(damaged, count=damaged.count * np.nan) if isinstance(damaged, Counts) else damaged * np.nan
    events = to_events(worlds.journey(code(4_000)))
    with pytest.raises(UnusableFeatures, match=r"event_id \d+: its feature \w+ comes out as no finite number"):
        compute(Journeys.of(events), replace(known, **{table: bad}), causal=causal)


@pytest.mark.parametrize("table", ["lane_gap", "type_pair_gap", "route_hours", "lot_serial"])
def test_tables_with_values_that_are_no_numbers_are_not_loaded(table: str) -> None:
    known = worlds.reference()
    tables = replace(known, **{table: getattr(known, table) * np.nan}).to_json()
    with pytest.raises(ValueError, match="not finite"):
        Reference.from_json(tables)
    assert np.isnan(Reference.from_json(replace(known, latitude=known.latitude * np.nan).to_json()).latitude).all()


@pytest.mark.parametrize("table", ["lane", "scan", "lane_gap", "route_hours", "lot_day", "lot_serial", "latitude"])
def test_tables_that_do_not_fit_together_are_not_loaded_and_not_looked_up(table: str) -> None:
    """The loops do not look where they read."""
    known = worlds.reference()
    whole = getattr(known, table)
    short = replace(whole, count=whole.count[:-1]) if isinstance(whole, Counts) else whole[:-1]
    damaged = replace(known, **{table: short})
    with pytest.raises(ValueError, match=f"tables {table} have not as many rows"):
        Reference.from_json(damaged.to_json())
    events = to_events(worlds.journey(code(4_000)))
    with pytest.raises(ValueError, match="not as many rows"):
        compute(Journeys.of(events), damaged, causal=False)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("stored", [10, 11, 60, 127, -2, -100, -128])
def test_a_type_that_no_scan_has_is_an_unknown_one(causal: bool, stored: int) -> None:
    """A damaged record of a history may have one."""
    events = to_events(worlds.journey(code(4_000)))
    odd, unknown = (
        replace(events, event_type=np.where(np.arange(len(events)) == 3, of, events.event_type).astype(np.int8))
        for of in (stored, -1)
    )
    one, other = (features_of(each, worlds.reference(), causal=causal) for each in (odd, unknown))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("causal", [False, True])
@settings(max_examples=250, deadline=None)
@given(scans=_worlds())
def test_features_equal_the_slow_reference(causal: bool, scans: list[Scan]) -> None:
    events, reference = to_events(scans), worlds.reference()
    slow = reference_features.compute(events, reference, causal=causal)
    _assert_same(features_of(events, reference, causal=causal), slow)


@pytest.mark.parametrize("causal", [False, True])
@settings(max_examples=60, deadline=None)
@given(scans=_worlds())
def test_hours_and_days_are_those_of_each_place(causal: bool, scans: list[Scan]) -> None:
    zones = TimeZones("Asia/Seoul", {5: "America/New_York", 13: "Australia/Lord_Howe", 999: "Asia/Kathmandu"})
    events, reference = to_events(scans), replace(worlds.reference(), zones=zones)
    slow = reference_features.compute(events, reference, causal=causal)
    _assert_same(features_of(events, reference, causal=causal), slow)


def test_a_zone_moves_what_clocks_tell_and_nothing_else() -> None:
    events, utc = to_events(worlds.normal_scans()), worlds.reference()
    seoul = replace(utc, zones=TimeZones("Asia/Seoul"))
    one, other = (features_of(events, reference, causal=False) for reference in (utc, seoul))
    moved = {NAMES[column] for column in np.flatnonzero((one != other).any(axis=0))}
    clocks = {"hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "code_age", "code_age_first"}
    windows = {
        name
        for name in NAMES
        if name.startswith(("shipment_", "road_day_", "road_hours_", "area_", "gate_", "origin_"))
    }
    assert clocks <= moved <= clocks | windows


@pytest.mark.parametrize("causal", [False, True])
def test_features_equal_the_slow_reference_on_a_simulated_world(causal: bool, tmp_path: Path) -> None:
    simulate(tmp_path, 500, seed=3)
    dataset = load(tmp_path)
    labels = load_truth(tmp_path / "truth.parquet", dataset.events).labels
    reference = learn(dataset.events, labels.max(axis=1) < 0.5, dataset.masters)
    lots = sorted({text[:26] for text in dataset.events.epc_codes})[::12]
    in_lots = np.array([text[:26] in lots for text in dataset.events.epc_codes])
    some = dataset.events.take(in_lots[dataset.events.epc])
    assert 100 < len(some) < 800
    slow = reference_features.compute(some, reference, causal=causal)
    _assert_same(features_of(some, reference, causal=causal), slow)


@settings(max_examples=250, deadline=None)
@given(scans=_worlds(), future=_worlds(), data=st.data())
def test_causal_features_do_not_know_the_future(scans: list[Scan], future: list[Scan], data: st.DataObject) -> None:
    reference = worlds.reference()
    now = data.draw(st.sampled_from(scans))
    second = now.time.replace(microsecond=0) + timedelta(seconds=1)
    past = [scan for scan in scans if scan.time < second]
    later = [replace(scan, time=max(scan.time, second), event_id=1_000 + at) for at, scan in enumerate(future)]
    world = data.draw(st.permutations(past + later))
    whole = features_of(to_events(world), reference, causal=True)
    alone = features_of(to_events(past), reference, causal=True)
    _assert_same(whole[[world.index(scan) for scan in past]], alone)


@settings(max_examples=100, deadline=None)
@given(scans=_worlds(), data=st.data())
def test_ids_do_not_tell_who_of_one_second_knows_of_whom(scans: list[Scan], data: st.DataObject) -> None:
    """A shipment that one gate reads is one moment. Each item has one scan here: the order of its own it has by ids."""
    once = list({scan.code: scan for scan in scans}.values())
    ids = data.draw(st.permutations([scan.event_id for scan in once]))
    renamed = [replace(scan, event_id=event_id) for scan, event_id in zip(once, ids, strict=True)]
    one, other = (features_of(to_events(each), worlds.reference(), causal=True) for each in (once, renamed))
    of_ids = NAMES.index("mate_serial_gap")  # of a crowd in one second, its neighbours in the order of ids
    _assert_same(np.delete(other, of_ids, axis=1), np.delete(one, of_ids, axis=1))


@settings(max_examples=100, deadline=None)
@given(scans=_worlds())
def test_who_waits_long_enough_knows_of_companions_what_a_whole_world_tells(scans: list[Scan]) -> None:
    journeys = Journeys.of(to_events(scans))
    late, whole = (
        compute(journeys, worlds.reference(), causal=causal, settle_us=settle_us)[:, COMPANIONS]
        for causal, settle_us in ((True, 10**13), (False, 0))
    )
    # The nearest serial is never causal; where few come after a scan, a causal one looks at more of those before it.
    kept = [at for at, name in enumerate(NAMES[COMPANIONS]) if name not in ("serial_gap", "mate_serial_gap")]
    _assert_same(late[:, kept], whole[:, kept])


@settings(max_examples=100, deadline=None)
@given(scans=_worlds())
def test_a_wait_brings_what_comes_in_it_and_no_more(scans: list[Scan]) -> None:
    events, reference, wait = to_events(scans), worlds.reference(), timedelta(hours=1)
    journeys = Journeys.of(events)
    whole = compute(journeys, reference, causal=True, settle_us=3_600_000_000)
    first = int(journeys.by_time[0])
    end = scans[int(journeys.order[first])].time.replace(microsecond=0) + timedelta(seconds=1) + wait
    known = [scan for scan in scans if scan.time < end]
    cut = Journeys.of(to_events(known))
    _assert_same(whole[[first]], compute(cut, reference, causal=True, settle_us=10**13)[[int(cut.by_time[0])]])


@pytest.mark.parametrize("causal", [False, True])
@settings(max_examples=100, deadline=None)
@given(scans=_worlds(), data=st.data())
def test_the_order_of_a_request_changes_nothing(causal: bool, scans: list[Scan], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(scans))
    one = features_of(to_events(scans), worlds.reference(), causal=causal)
    other = features_of(to_events(shuffled), worlds.reference(), causal=causal)
    _assert_same(other, one[[scans.index(scan) for scan in shuffled]])


_WILD_TIMES = st.one_of(
    st.sampled_from([datetime.min, datetime.max, datetime(1970, 1, 1), datetime(2100, 1, 1)]), st.datetimes()
).map(lambda time: time.replace(tzinfo=worlds.EPOCH.tzinfo))
_WILD_SCANS = st.builds(
    Scan,
    code=st.one_of(st.sampled_from([*_CODES, "x" * 10_000, "\0" * 45, "9" * 45]), st.text(max_size=50)),
    event_type=st.one_of(st.sampled_from(EVENT_TYPES), st.text(max_size=5)),
    location_id=st.integers(-(2**63), 2**63 - 1),
    time=_WILD_TIMES,
    step=st.text(max_size=5),
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("causal", [False, True])
@settings(max_examples=150, deadline=None)
@given(scans=st.lists(_WILD_SCANS, max_size=12))
def test_features_of_anything_are_finite(causal: bool, scans: list[Scan]) -> None:
    table = features_of(to_events(scans), worlds.reference(), causal=causal)
    assert table.shape == (len(scans), len(NAMES))
    assert np.isfinite(table).all()


def test_features_are_finite_for_a_reference_that_learned_nothing() -> None:
    nothing = to_events([])
    ignorant = learn(nothing, np.zeros(0, dtype=np.bool_), worlds.masters())
    for reference in (ignorant, Reference.from_json(ignorant.to_json())):
        assert np.isfinite(features_of(to_events(journey(code(1))), reference, causal=False)).all()


def test_every_feature_is_described_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(kind and meaning for _, kind, meaning in FEATURES)


def test_each_declared_feature_is_written_and_nothing_else() -> None:
    """The compiler refuses what is not declared; what is declared and never written would be 0 for good."""
    loops = "".join(path.read_text() for path in (ROOT / "service" / "features").glob("*.py"))
    written = re.findall(r"(?:rows|of_code)\[[^=\n]+?\]\.(\w+) = ", loops)
    assert sorted(set(written)) == sorted(NAMES)
    types = [name.removeprefix("type_") for name in NAMES[TYPE_COLUMNS[0] : TYPE_COLUMNS[-1] + 1]]
    assert types == [*EVENT_TYPES, "unknown"]


def golden_scans() -> list[Scan]:
    """Return the world of the golden file: a normal shipment, and one journey with each thing that may go wrong."""
    start = worlds.START
    strange = journey(code(4_001, date="20250705"), hours=(0, 0.01, 90, 95, 95, 99, 400, 401, 402, 9_000))
    lost = journey(code(4_002), places=(1, 5, 5, 14, 14, 999, 999, 74, 74, 74))
    cloned = journey(code(4_003)) + journey(
        code(4_003), places=worlds.DETOUR, hours=[hour + 2 for hour in worlds.HOURS]
    )
    backwards = journey(code(4_004), types=(*EVENT_TYPES[::-1][:4], "Teleport", *EVENT_TYPES[5:]))
    forged = [Scan(text, "HUB_Inbound", 13, start) for text in ("", code(7)[:-1], code(7, product=1), code(10**8))]
    scans = [*worlds.shipment(worlds.ROUTE, range(4_005, 4_008)), *strange, *lost, *cloned, *backwards, *forged]
    return [*scans, Scan(code(4_005), "POS_Sell", 23, start + timedelta(days=60), event_id=1_000)]


def golden_rows() -> list[list[str]]:
    """Return per mode and feature: mean, mean square and a mean weighted by position, which tells events apart."""
    events = to_events(golden_scans())
    weight = np.arange(1, len(events) + 1) / len(events)
    rows = [["spec", feature_spec_hash(), "", "", ""]]
    for causal in (False, True):
        table = features_of(events, worlds.reference(), causal=causal).astype(np.float64)
        for name, column in zip(NAMES, table.T, strict=True):
            sums = (column.mean(), (column**2).mean(), (column * weight).mean())
            rows.append(["causal" if causal else "retrospective", name, *(f"{value:.6g}" for value in sums)])
    return rows


def test_features_are_those_of_the_pinned_spec() -> None:
    with GOLDEN.open(newline="", encoding="utf-8") as file:
        pinned = list(csv.reader(file))
    rows = golden_rows()
    renew = "renew tests/data/golden_features.csv with 'python -m tests.service.features.test_table'"
    assert rows[0] == pinned[0], f"the feature spec changed: {renew}"
    assert [row[:2] for row in rows] == [row[:2] for row in pinned], f"the features changed: {renew}"
    moved = [
        f"{old[0]} {old[1]}: {old[2:]} -> {new[2:]}"
        for old, new in zip(pinned[1:], rows[1:], strict=True)
        if not np.allclose([float(v) for v in old[2:]], [float(v) for v in new[2:]], rtol=1e-4, atol=1e-5)
    ]
    assert not moved, (
        "formulas of features changed, but SPEC_VERSION of service/features/table.py did not. Models trained with the"
        f" old formulas would be fed the new ones: raise SPEC_VERSION and {renew}\n" + "\n".join(moved)
    )


if __name__ == "__main__":
    with GOLDEN.open("w", newline="", encoding="utf-8") as output:
        csv.writer(output).writerows(golden_rows())
