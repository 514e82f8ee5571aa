"""The store of Parquet files: one file per day and table, and what a crash leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.errors import StoreUnavailable
from service.findings import parquet
from service.findings.parquet import ParquetFindings
from service.findings.records import Window
from tests.support.gateway import ROOT
from tests.support.web.findings import DAY_US, START_US, a_report, content


def files_of(folder: Path, table: str = "findings") -> dict[str, int]:
    return {day.name: len(list(day.glob(f"*-{table}.parquet"))) for day in (folder / "days").iterdir()}


def test_a_day_that_is_over_is_one_file_per_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_GRACE_S", 0.0)
    held = content(tmp_path)
    store = ParquetFindings(tmp_path / "kept")
    for at in range(3):
        store.add(a_report(f"{at}.csv", START_US + at), held)
    store.add(a_report("next.csv", START_US + DAY_US), held)
    store.add(a_report("last.csv", START_US + DAY_US), held)  # files that no longer count go with the next report
    assert files_of(tmp_path / "kept") == {"2025-07-01": 1, "2025-07-02": 2}
    assert store.reports(Window()).total == 5
    assert store.findings(a_report("1.csv").report_id, Window()).total == 3
    store.close()
    store = ParquetFindings(tmp_path / "kept")
    assert store.findings(a_report("1.csv").report_id, Window()).total == 3
    store.close()


def test_many_reports_of_a_day_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MOST_PARTS", 3)
    held = content(tmp_path)
    store = ParquetFindings(tmp_path / "kept")
    for at in range(5):
        store.add(a_report(f"{at}.csv", START_US + at), held)
    assert {store.findings(a_report(f"{at}.csv").report_id, Window()).total for at in range(5)} == {3}
    store.close()
    store = ParquetFindings(tmp_path / "kept")
    assert files_of(tmp_path / "kept", "scans") == {"2025-07-01": 2}
    assert store.reports(Window()).total == 5
    store.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    store = ParquetFindings(tmp_path)
    with pytest.raises(StoreUnavailable, match="another process"):
        ParquetFindings(tmp_path)
    store.close()
    ParquetFindings(tmp_path).close()


def test_a_damaged_catalog_is_said(tmp_path: Path) -> None:
    ParquetFindings(tmp_path).close()
    (tmp_path / "catalog.json").write_text('{"days": 7')
    with pytest.raises(StoreUnavailable, match="damaged"):
        ParquetFindings(tmp_path)


def test_a_lost_catalog_is_said_and_nothing_is_deleted(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    store = ParquetFindings(kept)
    store.add(a_report("a.csv"), content(tmp_path))
    store.close()
    (kept / "catalog.json").rename(tmp_path / "catalog.json")
    with pytest.raises(StoreUnavailable, match=r"catalog.json: is gone.*put it back"):
        ParquetFindings(kept)
    (tmp_path / "catalog.json").rename(kept / "catalog.json")
    store = ParquetFindings(kept)
    assert store.findings(a_report("a.csv").report_id, Window()).total == 3
    store.close()


def test_a_file_that_is_lost_is_said(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    store = ParquetFindings(kept)
    store.add(a_report("a.csv"), content(tmp_path))
    store.close()
    next(kept.rglob("*-reports.parquet")).unlink()
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        ParquetFindings(kept)


def test_what_could_not_be_kept_is_kept_once_when_it_is_tried_again(tmp_path: Path) -> None:
    held = content(tmp_path)
    store = ParquetFindings(tmp_path / "kept")
    (tmp_path / "kept" / "catalog.json.tmp").mkdir()  # as on a full disk, it cannot be written
    with pytest.raises(StoreUnavailable):
        store.add(a_report("a.csv"), held)
    assert store.reports(Window()).total == 0
    (tmp_path / "kept" / "catalog.json.tmp").rmdir()
    assert store.add(a_report("a.csv"), held)
    assert store.reports(Window()).total == 1
    store.close()


def test_killed_while_it_writes_a_report_is_whole_or_not_there(tmp_path: Path) -> None:
    content(tmp_path)
    program = (
        "import sys; from pathlib import Path\n"
        "from service.findings.parquet import ParquetFindings; from service.findings.store import ReportContent\n"
        "from tests.support.web.findings import a_report\n"
        "here = Path(sys.argv[1]); store = ParquetFindings(here / 'kept')\n"
        "files = [[here / f'{name}.parquet'] for name in ('scans', 'findings', 'incidents')]\n"
        "for at in range(10**6):\n"
        "    store.add(a_report(f'{sys.argv[2]} {at}'), ReportContent(*files))\n"
        "    print(at, flush=True)\n"
    )
    said = 0
    for life in range(3):
        command = [sys.executable, "-c", program, str(tmp_path), str(life)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.05 + 0.06 * life)
            os.kill(writer.pid, signal.SIGKILL)
            said += 1 + len(writer.stdout.read().splitlines())
    store = ParquetFindings(tmp_path / "kept")
    listed = store.reports(Window(0, 10_000))
    assert said <= listed.total <= said + 3  # what was said to be kept is kept; the last one of a life may be, too
    assert {store.findings(one.report_id, Window()).total for one in listed.rows} == {3}
    names = {file.name.rpartition("-")[0] for file in (tmp_path / "kept" / "days").rglob("*.parquet")}
    assert len(names) <= listed.total  # nothing of what did not end is left
    store.close()
