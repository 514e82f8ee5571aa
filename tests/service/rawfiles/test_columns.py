"""Raw files to columns: any order and form, and the first thing that cannot be used is named with its place."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from service.errors import CommandError
from service.events.columns import Events
from service.rawfiles.columns import read_files
from tests.support.command import FORGED, HEADER, NORMAL
from tests.support.requests import NORMAL_CODE


def read(tmp_path: Path, *texts: str, encoding: str = "utf-8") -> Events:
    paths = [tmp_path / f"{at}.csv" for at in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding=encoding)
    return read_files(paths).events


def test_ids_are_row_numbers_over_all_files(tmp_path: Path) -> None:
    events = read(tmp_path, HEADER + NORMAL + FORGED, HEADER + FORGED)
    assert events.event_id.tolist() == [1, 2, 3]
    assert events.file_id.tolist() == [1, 1, 2]
    assert events.epc_codes == [NORMAL_CODE, "forged"]


def test_a_file_may_lack_step_or_type_beside_others_that_do_not(tmp_path: Path) -> None:
    without_step, without_type = ([",".join(np.delete(line.strip().split(","), at)) + "\n" for line in (HEADER, NORMAL)]
                                  for at in (2, 3))  # fmt: skip
    texts = ("".join(without_step), HEADER + NORMAL, "".join(without_type).replace("Factory", "W_Stock_Outbound"))
    events = read(tmp_path, *texts)
    assert events.step.tolist() == [0, 0, 3]
    assert events.event_type.tolist() == [0, 0, 6]
    said = read_files([tmp_path / "0.csv", tmp_path / "1.csv", tmp_path / "2.csv"]).warnings
    assert said == (
        "0.csv has no column business_step: it is taken from event_type where that is possible",
        "2.csv has no column event_type: it is taken from business_step where that is possible",
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_columns_come_in_any_order_and_form(tmp_path: Path, encoding: str, separator: str) -> None:
    names = ("file_id", "event_time", "extra", "event_type", "business_step", "location_id", "event_id", "epc_code")
    row = ("9", "2025-07-01T10:00:00+09:00", '"a, b"', "WMS_Inbound", "WMS", "5", "77", '"quoted"')
    text = "\r\n".join((separator.join(names), separator.join(row), "", ""))
    events = read(tmp_path, text, encoding=encoding)
    assert (events.event_id.tolist(), events.file_id.tolist()) == ([77], [9])
    assert events.epc_codes == ["quoted"]
    assert events.time_us.tolist() == [1_751_331_600 * 10**6]


@pytest.mark.parametrize(("text", "says"), [
    ("", "empty; the first line has to name the columns"),
    ("epc_code;location_id\n", "separated by tab or comma"),
    (HEADER.replace("event_time", "time"), "line 1: no column event_time"),
    (HEADER.replace("event_type", "a").replace("business_step", "b"), "no column event_type or business_step"),
    (HEADER.strip() + ",epc_code\n", "twice"),
    (HEADER + NORMAL + NORMAL.replace("2025-07-01 10:34:17", "yesterday"), "line 3: column event_time: 'yesterday'"),
    (HEADER + NORMAL.replace("2025-07-01 10:34:17", ""), "line 2: column event_time: is empty"),
    (HEADER + NORMAL.replace(",1,", ",,"), "line 2: column location_id: is empty"),
    (HEADER + NORMAL.replace(",1,", ",1.5,"), "line 2: column location_id: '1.5'"),
    (HEADER + NORMAL.replace(",1,", f",{2**63},"), "line 2: column location_id"),
    (HEADER + NORMAL.replace(",Factory", ""), "line 2: has 4 columns, the first line names 5"),
    ("event_id," + HEADER + "4," + NORMAL + "4," + FORGED, "line 3: column event_id: 4 is also in"),
])  # fmt: skip
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(CommandError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert "0.csv" in str(caught.value)


def test_empty_rows_of_a_spreadsheet_are_blank_lines(tmp_path: Path) -> None:
    events = read(tmp_path, HEADER + NORMAL + ",,,,\n" + FORGED + ",,,,\r\n,,,,,,,,\n")
    assert events.epc_codes == [NORMAL_CODE, "forged"]
    assert events.event_id.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("begin", "says"),
    [
        (
            b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00",
            "an Excel workbook or a ZIP archive: save its sheet as CSV UTF-8",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook: save its sheet as CSV UTF-8"),
        (b"PAR1\x15\x04", "a Parquet file: write it as CSV"),
        (b"\x1f\x8b\x08", "packed by gzip: give it a name that ends in .gz"),
    ],
)
def test_what_is_no_text_is_told_by_what_it_is(tmp_path: Path, begin: bytes, says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(begin + bytes(200))
    with pytest.raises(CommandError, match=f"a.csv: no text, but {says}"):
        read_files([path])


def test_what_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is a folder: name the files in it"):
        read_files([tmp_path])
    packed = gzip.compress((HEADER + NORMAL * 100).encode())
    for damaged in (b"no gzip", packed[:-9], packed[:20]):
        (path := tmp_path / "a.csv.gz").write_bytes(damaged)
        with pytest.raises(CommandError, match=r"a\.csv\.gz: cannot be read: not a whole gzip file; copy it again"):
            read_files([path])


def test_damaged_codes_steps_and_types_are_data(tmp_path: Path) -> None:
    events = read(tmp_path, HEADER + ",1,,,2025-07-01 10:34:17\n" + "7" * 10_240 + ",1,?,?,2025-07-01\n")
    assert [len(code) for code in events.epc_codes] == [0, 10_240]


def test_other_encodings_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="not UTF-8; save the file as UTF-8"):
        read(tmp_path, HEADER + NORMAL.replace("Factory", "Köln"), encoding="latin-1")


def test_one_damaged_line_is_no_other_encoding(tmp_path: Path) -> None:
    korean = (HEADER + NORMAL.replace("Factory", "인천공장") * 2).encode()
    path = tmp_path / "a.csv"
    path.write_bytes(korean + NORMAL.replace("Factory", "인천공장").encode("cp949"))
    with pytest.raises(CommandError, match="line 4: not UTF-8"):
        read_files([path])


@pytest.mark.parametrize("encoding", ["utf-16", "cp949"])
def test_korean_encodings_are_read_and_said(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("scan_location," + HEADER + "인천공장," + NORMAL, encoding=encoding)
    raw = read_files([path])
    assert raw.places == {1: "인천공장"}
    assert raw.warnings == (f"a.csv is not UTF-8: it is read as {encoding.replace('utf', 'UTF')}",)
