"""Folders: which files are read, which rows are set aside by name, and what makes a folder unusable."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from service.errors import CommandError, SentinelError
from service.events.vocabulary import KINDS
from service.rawfiles import folders
from service.rawfiles.columns import read_files
from service.rawfiles.times import DATES_ONLY, time_us
from tests.support.folders.raw import CODE, FIRST, HEADER, LOCATIONS, ROUTES, ROWS, SECOND, columns, fill, quarantine
from training.datasets import dataset
from training.datasets import folder as training_folder
from training.datasets.dataset import Dataset
from training.errors import DataError


def test_bad_rows_are_set_aside_and_named_and_shift_no_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = {
        3: ("too,short", "has 2 columns, the first line names 5"),
        4: (SECOND.strip() + ",more", "has 6 columns, the first line names 5"),
        5: (SECOND.strip().replace("2025-07-01 11", "01/07/2025 11"), "event_time is no time"),
        6: (SECOND.strip().replace(",5,", ",?,"), "location_id is no whole number"),
        7: ('"' + SECOND.strip(), "not a row of the table"),
        9: ("\N{REPLACEMENT CHARACTER}", "not UTF-8"),
    }
    text = HEADER + FIRST + "".join(f"{bad[line][0]}\n" for line in range(3, 8)) + "\n"
    folder = fill(tmp_path, a__csv=text.encode() + b"\xff\n" + SECOND.encode(), b__csv=ROWS.replace("07-01", "07-02"))
    loaded, rows = quarantine(folder)
    assert loaded.quarantined == len(bad)
    assert [(row["file"], int(row["line"]), row["text"]) for row in rows] == [
        ("a.csv", line, text) for line, (text, _) in bad.items()
    ]
    for row, (_, problem) in zip(rows, bad.values(), strict=True):
        assert problem in row["problem"]
    assert loaded.events.event_id.tolist() == [1, 8, 9, 10]
    assert loaded.events.file_id.tolist() == [1, 1, 2, 2]
    [warning] = loaded.warnings
    assert warning.startswith(
        "6 of 10 rows cannot be used: has 2 columns, the first line names 5 (1, first a.csv line 3);"
    )
    assert warning.endswith("; and 3 other problems")
    assert caplog.messages == [
        f"warning: {folder}: {warning}",
        f"warning: the rows that cannot be used are in {folder / dataset.QUARANTINE}",
    ]


def test_no_cell_of_the_quarantine_is_a_formula(tmp_path: Path) -> None:
    _, rows = quarantine(fill(tmp_path, a__csv=f"{ROWS}=1+1\n-1\n+1\n@A1\n"))
    assert [row["text"] for row in rows] == ["'=1+1", "'-1", "'+1", "'@A1"]


def test_no_bad_rows_no_quarantine_file(tmp_path: Path) -> None:
    folder = fill(tmp_path, a__csv=ROWS, quarantine__csv="file,line,problem,text\nold.csv,3,old,x\n")
    dataset.load(folder, folder / dataset.QUARANTINE)
    assert not (folder / dataset.QUARANTINE).exists()


def test_all_rows_bad_is_an_error_with_the_reason(tmp_path: Path) -> None:
    text = HEADER + "".join(FIRST.replace("2025-07-01", f"{day:02}/07/2025") for day in range(1, 29)) * 300
    with pytest.raises(
        DataError, match=r"8400 of 8400 rows cannot be used: event_time is no time .* first a\.csv line 2"
    ):
        dataset.load(fill(tmp_path, a__csv=text))


def test_times_that_would_be_guessed_are_set_aside_row_by_row(tmp_path: Path) -> None:
    bad = ["250701100017", "2025070110", "45839.44", "25/07/01 10:00", "2025-07-01 오전 10:00", "2025-07-01 24:00"]
    text = ROWS + "".join(SECOND.replace("2025-07-01 11:02:38", time) for time in bad)
    loaded, rows = quarantine(fill(tmp_path, a__csv=text + SECOND.replace("2025-07-01 11:02:38", "202507011103")))
    assert [row["text"].strip().rpartition(",")[2] for row in rows] == bad
    assert loaded.events.time_us.tolist() == [
        time_us(f"2025-07-01 {clock}+09:00") for clock in ("10:34:17", "11:02:38", "11:03")
    ]


def test_a_file_with_dates_only_is_named(tmp_path: Path) -> None:
    dates = ROWS.replace(" 10:34:17", "").replace(" 11:02:38", " 00:00:00")
    loaded = dataset.load(fill(tmp_path, a__csv=ROWS, b__csv=dates))
    assert [warning for warning in loaded.warnings if "dates only" in warning] == [f"b.csv {DATES_ONLY}"]


def test_damaged_codes_and_unknown_names_are_events(tmp_path: Path) -> None:
    text = HEADER + f",1,Factory,Aggregation,2025-07-01\n- {CODE}1,999,Office,Coffee,2099-01-01\n"
    loaded = dataset.load(fill(tmp_path, a__csv=text))
    assert list(loaded.events.epc_codes) == ["", f"- {CODE}1"]
    assert loaded.events.location_id.tolist() == [1, 999]
    assert (loaded.events.step.tolist(), loaded.events.event_type.tolist()) == ([0, -1], [0, -1])


def test_dirt_of_transport_around_codes_is_left_out_and_counted(tmp_path: Path) -> None:
    dirty = ROWS.replace(CODE, f"]C1{CODE}", 1).replace("1,5,", "1\0,5,")
    folder = fill(tmp_path, a__csv=ROWS, b__csv=dirty.replace("07-01", "07-02"))
    loaded = dataset.load(folder)
    assert list(loaded.events.epc_codes) == [f"{CODE}1"]
    [warning] = loaded.warnings
    assert warning.startswith("b.csv: 2 of 2 events have codes with dirt of their transport around")
    assert training_folder.read_folder(folder).dirty_codes == 2


def test_given_ids_are_exact(tmp_path: Path) -> None:
    ids = [2**53 + 1, 2**63 - 1]
    text = f"event_id,{HEADER}{ids[0]},{FIRST}{ids[1]},{SECOND}"
    assert dataset.load(fill(tmp_path, a__csv=text)).events.event_id.tolist() == ids


def test_an_event_sent_twice_is_set_aside(tmp_path: Path) -> None:
    text = f"event_id,{HEADER}7,{FIRST}8,{SECOND}"
    loaded, rows = quarantine(fill(tmp_path, a__csv=text, b__csv=text.replace("8,", "9,")))
    assert loaded.events.event_id.tolist() == [7, 8, 9]
    assert [(row["file"], row["line"], row["problem"]) for row in rows] == [
        ("b.csv", "2", "repeats an earlier row, its id included")
    ]


def test_two_events_of_one_id_are_an_error(tmp_path: Path) -> None:
    folder = fill(tmp_path, a__csv=f"event_id,{HEADER}7,{FIRST}", b__csv=f"event_id,{HEADER}7,{SECOND}")
    with pytest.raises(DataError, match=r"b\.csv line 2: event_id 7 stands twice, for different events; give every"):
        dataset.load(folder)


def test_one_of_step_and_type_may_be_missing(tmp_path: Path) -> None:
    without_step = "".join(",".join(np.delete(line.split(","), 2)) + "\n" for line in ROWS.splitlines())
    loaded = dataset.load(fill(tmp_path, a__csv=without_step))
    assert (loaded.events.step.tolist(), loaded.events.event_type.tolist()) == ([0, 1], [0, 1])
    assert "a.csv has no column business_step" in loaded.warnings[0]
    assert_analyzed_alike(loaded, tmp_path / "a.csv")
    without_type = "".join(
        ",".join(np.delete(line.split(","), 3)) + "\n" for line in ROWS.replace("WMS", "W_Stock").splitlines()
    )
    loaded = dataset.load(fill(tmp_path, a__csv=without_type.replace("W_Stock,", "W_Stock_Inbound,")))
    assert (loaded.events.step.tolist(), loaded.events.event_type.tolist()) == ([0, 3], [-1, 5])
    assert_analyzed_alike(loaded, tmp_path / "a.csv")


def assert_analyzed_alike(loaded: Dataset, file: Path) -> None:
    raw = read_files([file])
    assert raw.warnings == loaded.warnings[:1]
    for name in ("step", "event_type"):
        np.testing.assert_array_equal(getattr(raw.events, name), getattr(loaded.events, name))


def test_only_raw_files_are_raw(tmp_path: Path) -> None:
    others: dict[str, str | bytes] = {
        "truth__csv": "event_id,epc_code,event_time,location_id,event_type\n",
        "labels__csv": "event_id,epc_code,event_time," + ",".join(KINDS) + "\n",
        "report__html": HEADER,
        "quarantine__csv": HEADER,
        "empty__csv": "",
        "other__csv": "a,b\n1,2\n",
        "readme__txt": "설명".encode("cp949"),
    }
    folder = fill(tmp_path, Z__csv=ROWS, a__tsv=ROWS.replace(",", "\t"), b__txt__gz=ROWS, **others)
    (folder / "folder.csv").mkdir()
    loaded = dataset.load(folder)
    assert list(loaded.files) == ["Z.csv", "a.tsv", "b.txt.gz"]
    assert len(loaded.events) == 6
    assert len(loaded.files["Z.csv"]) == 64


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no raw event file"),
        ({"a__csv": HEADER.replace("location_id", "place") + FIRST}, "a.csv: no column location_id (or scan_location)"),
        ({"a__csv": "epc_code,event_time,location_id\n"}, "a.csv: no column event_type (or business_step)"),
        ({"a__csv": HEADER}, "no rows below the header lines"),
        ({"a__csv": HEADER.strip() + ",epc_code\n"}, "a.csv: column epc_code is there twice"),
        ({"a__csv": b"K\xf6ln," + ROWS.encode()}, "a.csv: not UTF-8; save it as UTF-8"),
        ({"a__csv": ROWS, "locations__csv": b"K\xf6ln"}, "locations.csv: not UTF-8"),
        ({"a__csv": ROWS, "locations__csv": "설명".encode("cp949")}, "locations.csv: no column location_id"),
        ({"a__csv": ROWS, "locations__csv": LOCATIONS.replace(",37.", ",x37.").replace(",1,인", ",,인").replace(",5,인",
          ",,인")}, "locations.csv: none of its 2 rows can be used"),
        ({"a__csv": ROWS, "transitions__csv": ROUTES.replace(",인천", ",부산")}, "none of its 1 rows can be used"),
        ({"a__csv": ROWS, "b__csv": ROWS.replace("2025-07-01 1", "01/07/2025 1")}, "b.csv: none of its 2 rows can"),
        ({"a__csv": ROWS, "locations__csv": "scan_location,Latitude\n"}, "locations.csv: no column location_id"),
        ({"a__csv": ROWS, "transitions__csv": "from_scan_location\n"}, "transitions.csv: no column to_scan_location"),
    ],
)  # fmt: skip
def test_what_makes_a_folder_unusable(tmp_path: Path, files: dict[str, str | bytes], says: str) -> None:
    with pytest.raises(DataError) as caught:
        dataset.load(fill(tmp_path, **files))
    assert says in str(caught.value)


ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_are_recognised_and_said(tmp_path: Path, encoding: str, end: str) -> None:
    named = "scan_location," + ROWS.replace("\n001", "\n인천공장,001")
    texts = {"a.csv": named, "locations.csv": LOCATIONS, "transitions.csv": ROUTES}
    (tmp_path / "plain").mkdir()
    expected = dataset.load(fill(tmp_path / "plain", **{"a__csv": named}))
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.replace("\n", end).encode(encoding))
    loaded = dataset.load(tmp_path)
    said = [] if encoding == "utf-8-sig" else [f"{name} is not UTF-8: it is read as" for name in sorted(texts)]
    assert loaded.quarantined == 0
    assert columns(loaded.events) == columns(expected.events)
    assert loaded.masters.route_hours.tolist() == expected.masters.route_hours.tolist()
    assert sorted(warning.rpartition(" ")[0] for warning in loaded.warnings) == said
    assert columns(read_files([tmp_path / "a.csv"]).events) == columns(expected.events)


def test_a_copy_of_a_file_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path, icn__csv=ROWS)
    (folder / "icn (1).csv").write_text(ROWS)
    [warning] = dataset.load(folder).warnings
    assert warning.startswith("icn.csv: 2 of 2 rows repeat EPC, time, place and type of an earlier row")
    with_ids = f"event_id,{HEADER}7,{FIRST}8,{SECOND}"
    for name in ("icn.csv", "icn (1).csv"):
        (folder / name).write_text(with_ids)
    assert any(warning.startswith("icn.csv: 2 of 2 rows repeat") for warning in dataset.load(folder).warnings)


def test_no_table_is_left_out_without_a_word(tmp_path: Path) -> None:
    folder = fill(tmp_path, a__csv=ROWS, b__csv=ROWS.replace("epc_code", "code"), c__xlsx="PK", truth__csv="x\n")
    [warning] = dataset.load(folder).warnings
    assert warning.startswith("b.csv, c.xlsx left out: ")


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    fill(tmp_path, a__csv=ROWS)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(ROWS.encode() * 50)[:-20])
    with pytest.raises(DataError, match=r"b\.csv\.gz: cannot be read"):
        dataset.load(tmp_path)


OF_BOTH: dict[str, bytes] = {
    "a.csv": HEADER.encode(),
    "b.TSV": HEADER.replace(",", "\t").encode(),
    "c.gz": HEADER.encode(),  # no gzip
    "damaged.csv.gz": b"\x1f\x8b\x08",
    "other.csv": b"a,b\n",
    "truth.csv": HEADER.encode(),
    "wide.csv": HEADER.encode("utf-16"),
    "return.csv": HEADER.replace("\n", "\r").encode(),
    "foreign.csv": b"K\xf6ln," + HEADER.encode(),
    "unplaced.csv": HEADER.replace("location_id,", "").encode(),
}


@pytest.mark.parametrize("name", OF_BOTH)
def test_replay_and_training_take_the_same_files(tmp_path: Path, name: str) -> None:
    """What one of them refuses by a message, the other refuses too, and neither passes it over."""
    (tmp_path / name).write_bytes(OF_BOTH[name])
    (tmp_path / "locations.csv").write_text("location_id,scan_location,Latitude,Longitude\n5,a,37.1,127.1\n")

    def answer_of(read: object) -> list[str] | str:
        assert callable(read)
        try:
            return [path.name for path in read()]
        except (SentinelError, CommandError) as error:
            return "none" if "no raw" in str(error) else f"refused for {name}" if name in str(error) else "?"

    def replay() -> list[Path]:
        found = folders.raw_files([tmp_path])
        read_files(found)
        return found

    assert answer_of(lambda: map(Path, training_folder.read_folder(tmp_path).files)) == answer_of(replay) != "?"
