"""The compiled reader of plain rows against one that takes rows apart in Python, on files that nobody would send."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.errors import CommandError
from service.events.columns import code_columns, step_codes, type_codes
from service.events.zones import TimeZones
from service.rawfiles.columns import read_files
from service.rawfiles.encoding import read_raw
from service.rawfiles.plain import PlainRows
from service.rawfiles.rows import Header, split_row, whole_number
from service.rawfiles.table import read_table
from service.rawfiles.times import has_zone, time_us
from tests.support.requests import NORMAL_CODE

_NAMES = ("event_id", "epc_code", "location_id", "event_time", "extra", "business_step", "event_type", "scan_location")
_NUMBERS = ("location_id", "event_id", "file_id")


class _CannotBeReadError(Exception):
    """A row cannot be used."""


def _in_python(path: Path) -> dict[str, Any]:
    """Return the columns of a file with all that `read_files` makes of them, one row at a time."""
    raw = read_raw(path)
    stream = BytesIO(raw.data)
    header = Header.of(stream.readline())
    rows, lines = [], []
    for line, text in enumerate(stream, 2):
        cells, problem = split_row(text, header)
        if problem:
            raise _CannotBeReadError(f"line {line}: {problem}")
        if cells:
            row: dict[str, Any] = dict(zip(header.names, cells, strict=True))
            for name in filter(row.__contains__, _NUMBERS):
                row[name] = _or_fail(whole_number(row[name]), line, name)
            row["has_zone"] = has_zone(row["event_time"])
            row["event_time"] = _or_fail(time_us(row["event_time"]), line, "event_time")
            rows.append(row)
            lines.append(line)
    epc, codes, spelling = code_columns([row["epc_code"] for row in rows])
    places: dict[int, str] = {}
    for row in rows:
        if "scan_location" in row:
            places.setdefault(row["location_id"], row["scan_location"])
    return {
        "event_id": [row.get("event_id", at) for at, row in enumerate(rows, 1)],
        "file_id": [row.get("file_id", 1) for row in rows],
        "location_id": [row["location_id"] for row in rows],
        "time_us": [row["event_time"] for row in rows],
        "has_zone": [row["has_zone"] for row in rows],
        "epc": epc.tolist(),
        "epc_codes": codes,
        "sent": [row["epc_code"] for row in rows],
        "dirty": spelling is not None,
        "step": step_codes([row["business_step"] for row in rows]).tolist(),
        "event_type": type_codes([row["event_type"] for row in rows]).tolist(),
        "places": places,
    }


def _or_fail(value: int | None, line: int, name: str) -> int:
    if value is None:
        raise _CannotBeReadError(f"line {line}: column {name}: ")
    return value


def _compiled(path: Path) -> dict[str, Any]:
    raw = read_files([path], zones=TimeZones("UTC"))
    events = raw.events
    names = ("event_id", "file_id", "location_id", "time_us", "epc", "step", "event_type")
    return {name: getattr(events, name).tolist() for name in names} | {
        "has_zone": read_table(path, 1, 1).has_zone.tolist(),
        "epc_codes": list(events.epc_codes),
        "sent": events.sent_codes(np.arange(len(events))),
        "dirty": events.spelling is not None,
        "places": raw.places,
    }


def _differential(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        expected = _in_python(path)
    except _CannotBeReadError as problem:
        with pytest.raises(CommandError, match=re.escape(str(problem))):
            read_files([path])
        return
    if len(set(expected["event_id"])) < len(expected["event_id"]):
        with pytest.raises(CommandError, match="is also in"):
            read_files([path])
        return
    assert _compiled(path) == expected


def _mostly(plain: st.SearchStrategy[str], *odd: str) -> st.SearchStrategy[str]:
    """Return plain cells, and one in twenty that is hostile: of a file with many of these nothing is read."""
    return st.integers(0, 19).flatmap(lambda dice: st.sampled_from(odd) if dice == 0 else plain)


def _number(most: int) -> st.SearchStrategy[str]:
    forms = st.sampled_from(["{}", "{}", "{}", "{}.0", "{}.", "-{}", "+{}", " {} ", "0{}", '"{}"'])
    return st.builds(lambda form, value: form.format(value), forms, st.integers(0, most))


_ODD_NUMBERS = ("", "-", ".", ".0", "1.5", "1.0.0", "--1", "1 2", "0x1", "1e3", "٣", "9" * 18, "9" * 19, "-" + "9" * 18,
                str(2**63), str(2**63 - 1), str(-(2**63)), "1\r", "\x001", "1.00x")  # fmt: skip
_DATES = st.sampled_from(["2025-07-01", "2024-02-29", "1969-12-31", "0001-01-01", "9999-12-31", "2025-12-31"])
_CLOCKS = st.sampled_from(["", " 10:34:17", "T10:34:17", " 00:00:00", " 23:59:59.999999", " 10:34", "T10:34:17.5",
                           " 10:34:17.123", " 10:34:17.1234567", " 10:34:17,5", "t10:34:17"])  # fmt: skip
_ZONES = st.sampled_from(["", "", "", "", "Z", "+09:00", "-00:30", "+23:59", "+0900", " UTC", "z"])
_TIME = st.one_of(
    _DATES.flatmap(lambda date: _CLOCKS.flatmap(lambda clock: _ZONES.map(lambda zone: date + clock + zone))),
    st.sampled_from(["20250701103417", "2025/7/1 9:05", "1751331600", "1751331600123", "20250701", "2025.07.01"]),
)
_ODD_TIMES = (
    *("", "2025-02-29", "2025-13-01", "2025-00-01", "2025-01-00", "0000-01-01", "2025-7-1", "2025-07-01 24:00:00"),
    *("2025-07-01 10:60:00", "2025-07-01 10:00:60", "2025-07-01 1:00:00", "2025-07-01 10:34:17.", "2025-07-01 "),
    *("2025-07-01 10:34:17+24:00", "2025-07-01 10:34:17+09:60", "2025-07-01 10:34:17+9", "2025-07-01x10:34:17"),
    *("2025-07-01 10:34:1", "2025-07-01 10:34:", "2025-07-01 10", "2025-07-01Z", "yesterday", "01/02/2025"),
    *("２０２５-07-01", "2025-07-01 10:34:17 AM", "2025-07-01T10:34:17ZZ", "+025-07-01", "2025-07-01 10:34:17Z "),
)
_CODE = st.one_of(
    st.sampled_from([NORMAL_CODE, NORMAL_CODE[:-1] + "7", "forged", "", "7" * 300, "가나다", " ", "a b"]),
    st.sampled_from(
        [f" {NORMAL_CODE}", f"{NORMAL_CODE}\x1d", f"'{NORMAL_CODE}", f"]C1{NORMAL_CODE}", f"\xa0{NORMAL_CODE}"]
    ),
)
_STEP = _mostly(st.sampled_from(["Factory", "WMS", "POS_Sell", " WMS ", "wms", "?"]), '"a, b"', "\u2003WMS", '"W""MS"')
_PLACE = st.sampled_from(["화성공장", "Seoul", " Seoul", "Seoul\t", "\u3000서울", "", "x\ry"])
_CELLS = {
    "event_id": st.none(),  # numbered below
    "epc_code": _mostly(_CODE, '"quoted"', '"', 'a"b', "\x00", "\r"),
    "location_id": _mostly(_number(4), *_ODD_NUMBERS),
    "event_time": _mostly(_TIME, *_ODD_TIMES),
    "extra": _mostly(st.sampled_from(["", "x", "한글", "-"]), '"', "\r", "\x85"),
    "business_step": _STEP,
    "event_type": _mostly(st.sampled_from(["Aggregation", "WMS_Inbound", "", "aggregation"]), '"Aggregation"'),
    "scan_location": _PLACE,
}


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    """Draw a file: rows as they should be, rows of another width, blank lines, damaged letters."""
    names = draw(st.permutations(_NAMES)) if draw(st.booleans()) else list(_NAMES)
    names = [
        name for name in names if name not in draw(st.sampled_from([(), ("event_id",), ("scan_location", "extra")]))
    ]
    separator = draw(st.sampled_from([",", "\t", ";", " , "]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r\r\n"]))
    surplus = draw(st.sampled_from(["", "", separator.strip(" "), separator.strip(" ") * 3]))
    lines = [separator.join(names)]
    for number in range(draw(st.integers(0, 12))):
        cells = {name: draw(_CELLS[name]) for name in names} | {"event_id": str(number + 1)}
        row = separator.join(cells[name] for name in names) + surplus
        strange = draw(st.integers(0, 79))
        lines.append(
            {0: row + separator + "x", 1: row.rpartition(separator)[0], 2: "", 3: "\r", 4: " "}.get(strange, row)
        )
    data = end.join(lines).encode() + draw(st.sampled_from([b"", end.encode(), b"\n\n", b"\r"]))
    below = len(lines[0]) + len(end)
    if len(data) > below and draw(st.integers(0, 19)) == 0:
        at = draw(st.integers(below, len(data)))
        data = data[:at] + draw(st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b'"', b"\n"])) + data[at:]
    return data


@settings(max_examples=400, deadline=None)
@given(data=_files())
@example(data=",".join(_NAMES).encode())
@example(data=",".join(_NAMES).encode() + b"\n1,x,1,2025-07-01,\xff,WMS,WMS_Inbound,Seoul\n")
@example(data=" , ".join(_NAMES).encode() + b"\n1,x,1,2025-07-01,,WMS,\x1cWMS_Inbound,Seoul")
@example(data=" , ".join(_NAMES).encode() + b"\n1,x\x1d,1,2025-07-01,,WMS,WMS_Inbound\xe2\x80\x83 ,Seoul \x1c")
def test_what_is_compiled_reads_what_python_reads(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    _differential(tmp_path_factory.getbasetemp() / "drawn.csv", data)


@settings(max_examples=300, deadline=None)
@given(cell=st.one_of(st.from_regex(r"\A[0-9:. TZ+-]{0,26}\Z"), _TIME, st.sampled_from(_ODD_TIMES)))
def test_a_time_is_what_it_is_in_python(tmp_path_factory: pytest.TempPathFactory, cell: str) -> None:
    _differential(
        tmp_path_factory.getbasetemp() / "time.csv",
        f"epc_code,location_id,business_step,event_type,event_time\nx,1,,,{cell}\n".encode(),
    )


@pytest.mark.parametrize("day", range(1, 32))
def test_every_day_of_several_years(tmp_path: Path, day: int) -> None:
    for year in (1900, 2000, 2023, 2024):
        for month in range(1, 13):
            row = f"x,1,,,{year}-{month:02}-{day:02} 01:02:03\n"
            _differential(
                tmp_path / "day.csv", b"epc_code,location_id,business_step,event_type,event_time\n" + row.encode()
            )


def _rows(times: list[str]) -> PlainRows:
    data = "code,place,time\n" + "".join(f"{NORMAL_CODE},12,{time}\n" for time in times)
    return PlainRows(
        data.encode(), below=data.index("\n") + 1, separator=",", width=3, padded=False, is_utf_8=True,
        numbers=(-1, 1, -1), time=2, texts=(0, 0, 0, -1),
    )  # fmt: skip


def test_usual_rows_are_plain() -> None:
    """Else nothing would be gained, and nobody would see it."""
    rows = _rows(["2025-07-01 10:34:17", "2025-07-01T10:34:17.25Z", "2025-07-01 10:34:17+09:00", "2025-07-01", "10:34"])
    assert rows.odd.tolist() == [False, False, False, False, True]
    assert rows.has_zone[:4].tolist() == [False, True, True, False]
    assert rows.raw_line(4).decode() == f"{NORMAL_CODE},12,10:34\n"
