"""The groups of scans: the same ones within a request and in the statistics of earlier scans."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from service.events.journeys import Journeys
from service.features.columns import Columns
from service.features.mates import (
    COLUMNS,
    GROUPS,
    LOT,
    MATES_GROUPS,
    PARTS,
    PRODUCT,
    USED,
    ScanGroup,
    number_items,
    number_scans,
)
from service.features.running_groups import GroupedScans, Legs
from service.features.shared import Trail
from service.features.table import NAMES
from tests.support import worlds
from tests.support.worlds import Scan, code, to_events


def _ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _trail() -> Trail:
    """Return two lots in two places, at three times, with unknown places and types."""
    rng = np.random.default_rng(3)
    scans = [
        Scan(
            code(int(serial), lot=int(lot)),
            ("HUB_Inbound", "HUB_Outbound", "Teleport")[rng.integers(3)],
            (13, 14, 999)[rng.integers(3)],
            worlds.START + np.timedelta64(int(rng.integers(3)), "h").item(),
        )
        for serial, lot in rng.integers([4_000, 10_004], [4_006, 10_006], (120, 2))
    ]
    return Trail.of(Journeys.of(to_events(scans)), worlds.reference(), causal=True)


@pytest.mark.parametrize("number", range(len(GROUPS)), ids=[group.name for group in GROUPS])
def test_a_request_and_the_statistics_of_earlier_scans_have_the_same_groups(number: int) -> None:
    trail = _trail()
    columns = Columns(
        trail, *(np.zeros((n, len(NAMES)), dtype=np.float32) for n in (len(trail.events), len(trail.parts.lot)))
    )
    number_items(columns)
    number_scans(columns)
    lot, product = trail.item_group[LOT], trail.item_group[PRODUCT]
    scans = GroupedScans(
        lot=lot[trail.events.epc].astype(np.int64),
        product=product[trail.events.epc].astype(np.int64),
        item=trail.events.epc.astype(np.int64),
        serial=trail.parts.serial[trail.events.epc],
        location_id=trail.events.location_id,
        kind=trail.kind.astype(np.int64),
        time_us=trail.events.time_us,
        legs=trail.legs,
        lane_gap_ratio=np.zeros(len(trail.events), dtype=np.float32),
        clock_us=trail.local_us - trail.events.time_us,
        area=trail.reference.area_id(trail.events.location_id),
    )
    in_request = trail.group[number]
    hashes = scans.keys(number, np.arange(len(trail.events)))
    same = in_request[:, None] == in_request
    assert np.array_equal(same, hashes[:, None] == hashes)
    assert len(trail.events) < same.sum() < same.size


def test_the_hashes_of_groups_stay_what_they_were() -> None:
    scans = GroupedScans(
        lot=_ints(1, 2),
        product=_ints(3, -3),
        item=_ints(7, 8),
        serial=_ints(4_000, -1),
        location_id=_ints(13, 5),
        kind=_ints(3, 10),
        time_us=_ints(10**15, 10**15),
        legs=Legs(_ints(5, 0), _ints(2, -1), _ints(9 * 10**14, 10**15)),
        lane_gap_ratio=np.zeros(2, dtype=np.float32),
        clock_us=_ints(0, 0),
        area=_ints(5, 5),
    )
    assert {group.name: scans.keys(at, np.arange(2)).tolist() for at, group in enumerate(GROUPS)} == {
        "here": [-4703720390867603349, 8303238903150493994],
        "type": [6709054701404753820, -3932215949874239950],
        "left": [1583331718686653875, -7068556001620289325],
        "leg": [-4379567389919997595, 3735970567615799428],
        "shipment": [297533198188613697, 399946798780089784],
        "shipment_here": [4033017034636103323, 4127042808813493614],
        "gate_hours_mates": [-4034167211247645267, 4184999636647600910],
        "serial": [-6703285125177694593, 57131290421346018],
        "road": [4696083279718111856, 2195416117959050088],
        "road_day": [-6293353141562740494, -5575229300315271308],
        "road_hours": [8586121447260105265, -8681652332474965952],
        "area_day": [5829720448403077300, -8622693447415257573],
        "gate_day": [-8921370054867286282, -5424948234485905094],
        "gate_hours": [599501742024394422, 1904464752759769008],
        "origin_day": [7628555142867697342, 2757902425120888156],
        "product_left": [-4653262652329794350, -3798266588414084326],
        "product_leg": [-8427318612497272378, 6442717796764754098],
    }


def test_the_table_of_groups_is_whole() -> None:
    assert {group.part for group in GROUPS} == set(PARTS)
    assert {column for columns in PARTS.values() for column in columns} == set(COLUMNS)
    for number, group in enumerate(GROUPS):
        assert isinstance(group, ScanGroup)
        assert group.within in ("", *(before.name for before in GROUPS[:number])), "a group comes before its parts"
    assert [group.of == "lot" for group in GROUPS] == [at < MATES_GROUPS for at in range(len(GROUPS))]
    assert USED.shape == (len(COLUMNS), len(GROUPS))
