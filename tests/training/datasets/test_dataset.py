"""Loading folders of raw files: every form that is clear is read, and what is not is named."""

from __future__ import annotations

import csv
import gzip
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import KINDS
from service.features import table as features
from service.rawfiles.columns import read_files
from service.rawfiles.rows import Header, split_row
from tests.support.foreign import FILES, MALFORMED_PER_FILE, write_foreign_world
from tests.support.worlds import SAMPLE
from training.datasets import dataset
from training.datasets.dataset import Dataset
from training.datasets.folder import raw_files
from training.datasets.tables import read_table
from training.datasets.truth import load_truth
from training.errors import DataError
from training.samples.reference import learn

CODE = "001.8804823.1293291.010004.20250701.00000400"
LOCATIONS = (
    "seq,location_id,scan_location,Latitude,Longitude\n1,1,인천공장,37.45,126.65\n2,5,인천공장창고,37.46,126.66\n"
)
ROUTES = (
    "from_scan_location,to_scan_location,time_taken_hours_mean,time_taken_hours_std,time_taken_hours_min,"
    "time_taken_hours_max,time_taken_hours_count\n인천공장,인천공장창고,5,2,1,10,100\n"
)
HEADER = "epc_code,location_id,business_step,event_type,event_time\n"
FIRST = f"{CODE}1,1,Factory,Aggregation,2025-07-01 10:34:17\n"
SECOND = f"{CODE}1,5,WMS,WMS_Inbound,2025-07-01 11:02:38\n"
ROWS = HEADER + FIRST + SECOND


def fill(folder: Path, **files: str | bytes) -> Path:
    """Write a folder with masters and the given files; ``a__csv`` becomes a.csv."""
    texts = {"locations.csv": LOCATIONS, "transitions.csv": ROUTES}
    for name, text in (texts | {name.replace("__", "."): text for name, text in files.items()}).items():
        data = text.encode() if isinstance(text, str) else text
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def columns(events: Events) -> dict[str, object]:
    """Return what can be compared."""
    names = ("event_id", "epc", "location_id", "step", "event_type", "time_us", "file_id")
    return {name: getattr(events, name).tolist() for name in names} | {"codes": list(events.epc_codes)}


def quarantine(folder: Path) -> tuple[Dataset, list[dict[str, str]]]:
    """Load a folder; return it and the rows of its quarantine file."""
    path = folder / dataset.QUARANTINE
    loaded = dataset.load(folder, path)
    with path.open(encoding="utf-8", newline="") as file:
        return loaded, list(csv.DictReader(file))


def quoted(text: str) -> str:
    return "".join(",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text.splitlines())


FORMS: dict[str, str | bytes] = {
    "comma": ROWS,
    "tab": ROWS.replace(",", "\t"),
    "semicolon": ROWS.replace(",", ";"),
    "BOM": ROWS.encode("utf-8-sig"),
    "CRLF": ROWS.replace("\n", "\r\n"),
    "no last line end": ROWS.removesuffix("\n"),
    "blank lines": ROWS.replace("\n", "\n\n"),
    "quotes": quoted(ROWS),
    "one quoted row": HEADER + quoted(FIRST) + SECOND,
    "padded": ROWS.replace(",", ", "),
    "upper case": ROWS.replace(HEADER, HEADER.upper()),
    "separators at the end": ROWS.replace("38\n", "38,,,\n"),
    "extra column": "".join(f'"note, {n}",{line}\n' for n, line in enumerate(ROWS.splitlines())),
    "columns turned round": "".join(",".join(reversed(line.split(","))) + "\n" for line in ROWS.splitlines()),
    "ids as fractions": ROWS.replace(",1,", ",1.0,").replace(",5,", ",5.0,"),
    "other ways to write a time": ROWS.replace("-", "/").replace("2025/07/01 11:02:38", "1751367758"),
    "zones": ROWS.replace("10:34:17", "19:34:17+09:00").replace("2025-07-01 11:02:38", "2025-07-01T11:02:38Z"),
    "upper case steps": ROWS.replace("WMS_Inbound", "wms_inbound").replace("Factory", "FACTORY"),
    "ids given": "event_id," + HEADER + f"1,{FIRST}2,{SECOND}",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_mean_the_same_events(tmp_path: Path, form: str) -> None:
    (plain := tmp_path / "plain").mkdir()
    (other := tmp_path / "other").mkdir()
    expected = dataset.load(fill(plain, a__csv=ROWS))
    loaded = dataset.load(fill(other, a__csv=FORMS[form]))
    assert columns(loaded.events) == columns(expected.events)
    assert (loaded.quarantined, loaded.warnings) == (0, ())
    assert columns(loaded.events)["codes"] == [f"{CODE}1"]
    assert loaded.events.time_us.tolist() == [1_751_366_057 * 10**6, 1_751_367_758 * 10**6]


@pytest.mark.parametrize("form", FORMS)
def test_the_gateway_reads_the_same_events(tmp_path: Path, form: str) -> None:
    folder = fill(
        tmp_path, a__csv=FORMS[form], b__txt__gz=ROWS.replace(CODE, " damaged ").replace("event_id", "x")[:-1]
    )
    if form == "ids given":
        (folder / "b.txt.gz").unlink()
    events = read_files(raw_files(folder)).events
    assert columns(events) == columns(dataset.load(folder).events)


def test_the_gateway_reads_the_real_rows_and_the_foreign_ones_alike(tmp_path: Path) -> None:
    (real := tmp_path / "real").mkdir()
    loaded = dataset.load(fill(real, rows__tsv=SAMPLE.read_bytes()))
    assert columns(read_files([real / "rows.tsv"]).events) == columns(loaded.events)
    assert len(loaded.events) == 13
    write_foreign_world(tmp_path / "foreign", 1_000, 1)
    loaded, bad = quarantine(tmp_path / "foreign")
    for name in FILES:  # the gateway refuses bad rows, so they are taken out
        lines = {int(row["line"]) for row in bad if row["file"] == name}
        text = (tmp_path / "foreign" / name).read_text(encoding="utf-8-sig").split("\n")
        (tmp_path / name).write_text("\n".join(line for n, line in enumerate(text, 1) if n not in lines))
    events = read_files([tmp_path / name for name in FILES]).events
    assert {**columns(events), "event_id": 0} == {**columns(loaded.events), "event_id": 0}


CELLS = st.text(alphabet='ab ,;\t"\r.é', max_size=6)


@settings(max_examples=200, deadline=None)  # the machine may be busy
@given(st.lists(st.lists(CELLS, max_size=4), max_size=8), st.sampled_from([",", "\t", ";"]), st.booleans())
def test_tables_hold_what_each_line_means(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], separator: str, damaged: bool
) -> None:
    lines = [separator.join("xyz").encode(), *(separator.join(row).encode() for row in rows)]
    if damaged:
        lines.insert(1, b"\xff\xfe")
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_bytes(b"\n".join(lines))
    header = Header.of(lines[0])
    expected = [(n, *split_row(line, header)) for n, line in enumerate(b"\n".join(lines).split(b"\n"), 1) if n > 1]
    table = read_table(path).rows
    assert [
        (row["line"], [] if row["problem"] else [row[name] for name in "xyz"], row["problem"])
        for row in table.to_dict("records")
    ] == [row for row in expected if row[1] or row[2]]


# ---------------------------------------------------------------- rows that cannot be used


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
    folder = fill(tmp_path, a__csv=text.encode() + b"\xff\n" + SECOND.encode(), b__csv=ROWS)
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


def test_lines_may_be_very_long(tmp_path: Path) -> None:
    text = ROWS + ROWS.splitlines()[1].replace(CODE, "7" * 9_000_000) + "\n" + SECOND
    loaded = dataset.load(fill(tmp_path, a__csv=text))
    assert [len(loaded.events.epc_codes[at]) for at in loaded.events.epc] == [45, 45, 9_000_001, 45]


def test_damaged_codes_and_unknown_names_are_events(tmp_path: Path) -> None:
    text = HEADER + f",1,Factory,Aggregation,2025-07-01\n {CODE}1,999,Office,Coffee,2099-01-01\n"
    loaded = dataset.load(fill(tmp_path, a__csv=text))
    assert list(loaded.events.epc_codes) == ["", f" {CODE}1"]
    assert loaded.events.location_id.tolist() == [1, 999]
    assert (loaded.events.step.tolist(), loaded.events.event_type.tolist()) == ([0, -1], [0, -1])


# ---------------------------------------------------------------- ids and names


def test_given_ids_are_exact(tmp_path: Path) -> None:
    ids = [2**53 + 1, 2**63 - 1]
    text = f"event_id,{HEADER}{ids[0]},{FIRST}{ids[1]},{SECOND}"
    assert dataset.load(fill(tmp_path, a__csv=text)).events.event_id.tolist() == ids


def test_an_event_sent_twice_is_set_aside(tmp_path: Path) -> None:
    text = f"event_id,{HEADER}7,{FIRST}8,{SECOND}"
    loaded, rows = quarantine(fill(tmp_path, a__csv=text, b__csv=text.replace("8,", "9,")))
    assert loaded.events.event_id.tolist() == [7, 8, 9]
    assert [(row["file"], row["line"], row["problem"]) for row in rows] == [
        ("b.csv", "2", "repeats an earlier row, event_id included")
    ]


def test_two_events_of_one_id_are_an_error(tmp_path: Path) -> None:
    folder = fill(tmp_path, a__csv=f"event_id,{HEADER}7,{FIRST}", b__csv=f"event_id,{HEADER}7,{SECOND}")
    with pytest.raises(DataError, match=r"b\.csv line 2: event_id 7 stands twice, for different events; give every"):
        dataset.load(folder)


def test_places_are_found_by_name(tmp_path: Path) -> None:
    by_name = ROWS.replace("location_id", "scan_location").replace(",1,", ",인천공장,")
    loaded = dataset.load(fill(tmp_path, a__csv=by_name.replace(",5,", ", 인천공장창고 ,")))
    assert loaded.events.location_id.tolist() == [1, 5]
    assert loaded.warnings == (
        "a.csv has no column location_id: it is taken from scan_location where that is possible",
    )


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


def test_one_of_step_and_type_may_be_missing(tmp_path: Path) -> None:
    without_step = "".join(",".join(np.delete(line.split(","), 2)) + "\n" for line in ROWS.splitlines())
    loaded = dataset.load(fill(tmp_path, a__csv=without_step))
    assert (loaded.events.step.tolist(), loaded.events.event_type.tolist()) == ([0, 1], [0, 1])
    assert "a.csv has no column business_step" in loaded.warnings[0]
    without_type = "".join(
        ",".join(np.delete(line.split(","), 3)) + "\n" for line in ROWS.replace("WMS", "W_Stock").splitlines()
    )
    loaded = dataset.load(fill(tmp_path, a__csv=without_type.replace("W_Stock,", "W_Stock_Inbound,")))
    assert (loaded.events.step.tolist(), loaded.events.event_type.tolist()) == ([0, 3], [-1, 5])


# ---------------------------------------------------------------- folders and masters


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
        ({"a__csv": "인천공장,".encode("cp949") + ROWS.encode()}, "a.csv: not UTF-8; save it as UTF-8"),
        ({"a__csv": ROWS.encode("utf-16")}, "a.csv: not UTF-8; save it as UTF-8"),
        ({"a__csv": ROWS, "locations__csv": "설명".encode("cp949")}, "locations.csv: not UTF-8"),
        ({"a__csv": ROWS, "locations__csv": "scan_location,Latitude\n"}, "locations.csv: no column location_id"),
        ({"a__csv": ROWS, "transitions__csv": "from_scan_location\n"}, "transitions.csv: no column to_scan_location"),
    ],
)  # fmt: skip
def test_what_makes_a_folder_unusable(tmp_path: Path, files: dict[str, str | bytes], says: str) -> None:
    with pytest.raises(DataError) as caught:
        dataset.load(fill(tmp_path, **files))
    assert says in str(caught.value)


def test_a_folder_without_its_location_master(tmp_path: Path) -> None:
    (fill(tmp_path, a__csv=ROWS) / "locations.csv").unlink()
    with pytest.raises(DataError, match=r"locations\.csv: not found; a data folder needs it, with location_id"):
        dataset.load(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        dataset.load(tmp_path / "x")


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    fill(tmp_path, a__csv=ROWS)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(ROWS.encode() * 50)[:-20])
    with pytest.raises(DataError, match=r"b\.csv\.gz: cannot be read"):
        dataset.load(tmp_path)


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


def test_masters_in_other_forms(tmp_path: Path) -> None:
    places = LOCATIONS.replace(",", ";").replace(".", ",").replace("Latitude", " latitude ")
    loaded = dataset.load(fill(tmp_path, a__csv=ROWS, locations__csv=places.encode("utf-8-sig")))
    assert loaded.masters.latitude.tolist() == [37.45, 37.46]


# ---------------------------------------------------------------- truth


def truth_table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"event_id": [2, 1, 99]} | {kind: [0, 1, 0] for kind in KINDS} | columns)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "t.csv": lambda table, path: table.to_csv(path, index=False),
    "t.tsv": lambda table, path: table.to_csv(path, index=False, sep="\t", encoding="utf-8-sig"),
    "t.csv.gz": lambda table, path: table.to_csv(path, index=False),
    "t.parquet": lambda table, path: table.to_parquet(path),
}


@pytest.fixture
def events(tmp_path: Path) -> Events:
    (tmp_path / "world").mkdir()
    return dataset.load(fill(tmp_path / "world", a__csv=ROWS)).events


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, [1, 0]),
        ({"epcFake": [False, True, False]}, [1, 0]),
        ({"epcFake": [0.25, 0.75, 1.0]}, [0.75, 0.25]),
        ({"epcFake": ["no", "TRUE", "f"]}, [1, 0]),
        ({"event_id": [2.0, 1.0, 99.0], "note": ["a", "b", "c"], "variant": ["x", None, "y"]}, [1, 0]),
    ],
)
def test_truth_in_its_forms(
    tmp_path: Path, events: Events, name: str, columns: dict[str, object], expected: list[float]
) -> None:
    WRITERS[name](truth_table(**columns), tmp_path / name)
    known = load_truth(tmp_path / name, events)
    assert known.labels[:, 0].tolist() == expected
    assert known.labels[:, 1:].tolist() == [[1] * 4, [0] * 4]
    assert known.labels.dtype == np.float32
    assert {key: list(value) for key, value in known.details.items()} == (
        {"variant": ["", "x"]} if "variant" in columns else {}
    )


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            truth_table().drop(columns=["jump", "event_id"]),
            "no column event_id, jump; a truth table has event_id, epcFake",
        ),
        (truth_table(event_id=["2", "one", "99"]), "event_id 'one' is no whole number"),
        (truth_table(event_id=[1, 2, 2]), "event_id 2 stands twice"),
        (truth_table(event_id=[0, 1, 3]), "no truth for 1 of 2 events, the first is event_id 2; without an event_id"),
        (truth_table(jump=[0, 2, 0]), "column jump has '2'; write 0 or 1, or a probability"),
        (truth_table(jump=["0", "maybe", "1"]), "column jump has 'maybe'"),
        (truth_table(jump=[0.5, None, 1]), "column jump has"),
    ],
)
def test_truth_that_cannot_be_used(tmp_path: Path, events: Events, name: str, table: pd.DataFrame, says: str) -> None:
    WRITERS[name](table, tmp_path / name)
    with pytest.raises(DataError) as caught:
        load_truth(tmp_path / name, events)
    assert says in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.parquet", "no", "no parquet file"),
        ("t.csv", "a,b\n1\n", "t.csv line 2: has 1 columns"),
        ("x", None, "no such"),
    ],
)
def test_truth_files_that_are_none(tmp_path: Path, events: Events, name: str, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        load_truth(tmp_path / name, events)


# ---------------------------------------------------------------- the foreign world


def test_a_foreign_world_is_read_whole(tmp_path: Path) -> None:
    truth = write_foreign_world(tmp_path, 1_500, 2)
    loaded = dataset.load(tmp_path)
    assert list(loaded.files) == list(FILES)
    rows = sum(len((tmp_path / name).read_text().splitlines()) - 1 for name in FILES)
    assert loaded.quarantined == MALFORMED_PER_FILE * len(FILES)
    assert len(loaded.events) == rows - loaded.quarantined
    assert (loaded.events.step >= 0).all()
    assert (loaded.events.event_type >= 0).all()
    assert set(np.unique(loaded.events.location_id)) <= set(range(901, 960))
    span = loaded.events.time_us.astype("datetime64[us]")
    assert np.datetime64("2026-02-01") <= span.min() < span.max() < np.datetime64("2026-06-01")
    assert set(loaded.masters.route_to) - set(loaded.masters.location_id)  # named by the events alone
    known = load_truth(truth, loaded.events)
    assert (known.labels.sum(axis=0) > 20).all()
    # The labels stand at their events: sold twice in two shops is labelled at a sale.
    assert 0.02 < known.labels.max(axis=1).mean() < 0.10
