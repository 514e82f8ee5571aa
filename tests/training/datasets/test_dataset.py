"""Loading folders of raw files: every form that is clear is read, and by the gateway alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.rawfiles.columns import read_files
from tests.support.folders.raw import CODE, FIRST, HEADER, ROWS, SECOND, columns, fill, quarantine
from tests.support.foreign import FILES, MALFORMED_PER_FILE, write_foreign_world
from tests.support.worlds import SAMPLE
from training.datasets import dataset
from training.datasets.folder import raw_files
from training.datasets.truth import load_truth


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
    "other ways to write a time": ROWS.replace("-", "/").replace("2025/07/01 11:02:38", "1751335358"),
    "zones": ROWS.replace("10:34:17", "10:34:17+09:00").replace("2025-07-01 11:02:38", "2025-07-01T02:02:38Z"),
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
    assert loaded.events.time_us.tolist() == [1_751_333_657 * 10**6, 1_751_335_358 * 10**6]  # in Seoul


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
