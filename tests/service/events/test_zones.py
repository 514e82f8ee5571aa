"""Instants to what clocks on walls show, and back, against the standard library one time at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.events.zones import TimeZones, is_zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = ("Asia/Seoul", "UTC", "America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "Africa/Casablanca")
CHANGE = datetime(2025, 11, 2, 6, tzinfo=UTC)  # New York puts its clocks back, from 2:00 to 1:00

_seconds = st.integers(0, 4_000_000_000)  # 1970 .. 2096


def us(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def column(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


@given(zone=st.sampled_from(ZONES), seconds=st.lists(_seconds, min_size=1, max_size=9))
def test_what_clocks_show(zone: str, seconds: list[int]) -> None:
    instants = [EPOCH + timedelta(seconds=each) for each in seconds]
    shown = [us(each.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)) for each in instants]
    found = TimeZones(zone).local_us(column(*map(us, instants)), column(*[1] * len(instants)))
    assert found.tolist() == shown


@given(zone=st.sampled_from(ZONES), seconds=st.lists(_seconds, min_size=1, max_size=9))
def test_when_clocks_show_it(zone: str, seconds: list[int]) -> None:
    shown = [EPOCH + timedelta(seconds=each) for each in seconds]
    instants = [us(each.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)) for each in shown]  # fold is 0
    found = TimeZones(zone).instant_us(column(*map(us, shown)), column(*[1] * len(shown)))
    assert found.tolist() == instants


@pytest.mark.parametrize("minutes", range(-90, 91, 30))
def test_around_a_change(minutes: int) -> None:
    """Of what is shown twice the first is meant, to the minute."""
    zone, instant = ZoneInfo("America/New_York"), CHANGE + timedelta(minutes=minutes)
    shown = instant.astimezone(zone)
    back = TimeZones("America/New_York").instant_us(column(us(shown.replace(tzinfo=UTC))), column(1))
    assert back.tolist() == [us(instant - timedelta(hours=shown.fold))]


def test_each_place_has_its_zone() -> None:
    zones = TimeZones("Asia/Seoul", {7: "America/New_York", 9: "UTC", -5: "America/New_York"})
    instant = us(datetime(2025, 7, 1, tzinfo=UTC))
    place = column(7, 1, 9, -5, 8, 2**62, -(2**62))
    local = zones.local_us(np.full(7, instant), place)
    assert ((local - instant) // 3_600_000_000).tolist() == [-4, 9, 0, -4, 9, 9, 9]
    assert zones.instant_us(local, place).tolist() == [instant] * 7
    assert len(zones.local_us(column(), column())) == 0
    assert TimeZones.from_json(zones.to_json()).to_json() == zones.to_json()


@pytest.mark.parametrize(
    "name",
    ["Asia/Soul", "", "Asia", "../etc/passwd", "KST", "+09:00", "localtime", "Factory", "posixrules", "right/UTC"],
)
def test_what_is_no_zone(name: str) -> None:
    assert not is_zone(name)
    for content in ({"default": name, "places": {}}, {"default": "UTC", "places": {"1": name}}):
        with pytest.raises(ValueError, match="no time zone"):
            TimeZones.from_json(content)
