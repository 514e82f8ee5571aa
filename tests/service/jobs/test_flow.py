"""The ``flow`` commands: what is flagged does not count, what is written, and what is refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from service.jobs.flow import COLUMNS
from service.model.manifest import MANIFEST_FILE, MODEL_NAME
from tests.support.command import HEADER, assert_one_line, run
from tests.support.flows.model import flow_repository
from tests.support.gateway import ROOT
from tests.support.secrets import OTHER, public_pem

SAMPLE = ROOT / "tests" / "data" / "real_events_sample.tsv"


def test_a_folder_is_measured_and_written(tmp_path: Path) -> None:
    out = tmp_path / "flow.csv"
    done = run("flow", "measure", SAMPLE, "--all-events", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "Little's law, in the window" in done.stdout
    rate, stay = re.search(r"= ([\d.]+) items per hour x ([\d.]+) h", done.stdout).groups()  # type: ignore[union-attr]
    assert float(rate) * float(stay) == pytest.approx(0.9, abs=0.05), "a slow flow is no zero"
    assert "-0.0" not in done.stdout
    with out.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert all(int(row["departures"]) >= int(row["departures_by_rule"]) for row in table)
    assert {row["step"] for row in table} >= {"Factory", "WMS"}


def test_what_is_not_measured_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "scans.tsv").write_text(SAMPLE.read_text(encoding="utf-8"), encoding="cp949")
    (tmp_path / "more.xlsx").write_bytes(b"PK")
    done = run("flow", "measure", tmp_path, "--all-events")
    assert done.stderr.splitlines() == [
        "warning: more.xlsx left out: no text with the columns epc_code and event_time in its first line",
        "warning: scans.tsv is not UTF-8: it is read as cp949",
    ]


def test_another_network_is_measured_by_its_own_model_and_in_its_own_words(tmp_path: Path) -> None:
    folder, repository = tmp_path / "scans", tmp_path / "repository"
    for made in (folder, repository / MODEL_NAME / "1"):
        made.mkdir(parents=True)
    told = json.loads((ROOT / "model_repository" / MODEL_NAME / "1" / MANIFEST_FILE).read_text())
    told["reference"]["dialect"] = {"columns": {"epc_code": "item", "location_id": "site", "event_time": "when"}}
    (repository / MODEL_NAME / "1" / MANIFEST_FILE).write_text(json.dumps(told))
    lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    for name, other in (("epc_code", "item"), ("location_id", "site"), ("event_time", "when")):
        lines[0] = lines[0].replace(name, other)
    (folder / "scans.tsv").write_text("".join(lines), encoding="utf-8")
    own, bundled = (
        run("flow", "measure", folder, "--all-events", *of) for of in (("--model-repository", repository), ())
    )
    assert "13 of 13 events of 2 EPCs count" in own.stdout, own.stderr
    assert_one_line(bundled, 1, "none has the columns epc_code")
    refused = run("flow", "measure", SAMPLE, "--model-repository", tmp_path / "nowhere")
    assert_one_line(refused, 1, "no model in", "nowhere")


def test_where_the_output_is_no_terminal_nothing_is_cut(tmp_path: Path) -> None:
    done = run("flow", "measure", SAMPLE, "--all-events")
    assert "Departures" in done.stdout
    assert "\N{HORIZONTAL ELLIPSIS}" not in done.stdout
    done = run("flow", "predict", "--prediction-days", "2", "--model-repository", flow_repository(tmp_path))
    assert re.search(r"\b20\d\d-\d\d-\d\d\b", done.stdout), done.stdout
    assert "\N{HORIZONTAL ELLIPSIS}" not in done.stdout


@pytest.mark.parametrize(
    ("options", "said"), [((), "there is no flow model yet: train one"), (("--model", "9"), "there is no flow model 9")]
)
def test_a_repository_without_the_flow_model_is_named(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = run("flow", "predict", "--model-repository", tmp_path, *options)
    assert_one_line(done, 1, f"{tmp_path}: {said}")


def counted(*command: object) -> list[int]:
    """Return the events that count, all events, and those that are flagged."""
    said = " ".join(run("flow", "measure", *command).stdout.split())
    found = re.search(r"(\d+) of (\d+) events of \d+ EPCs count: (\d+) are flagged", said)
    assert found, said
    return [int(number) for number in found.groups()]


def test_flagged_events_do_not_count(tmp_path: Path) -> None:
    forged = tmp_path / "forged.csv"
    forged.write_text(HEADER + "forged,5,WMS,WMS_Inbound,2025-07-02 10:00:00\n")
    everything = counted(SAMPLE, forged, "--all-events")
    assert everything[2] == 0
    count, events, flagged = counted(SAMPLE, forged, "--detector", "rules")
    without_forged = counted(SAMPLE, "--detector", "rules")
    assert events == everything[0] == count + flagged
    assert [count, flagged] == [without_forged[0], without_forged[2] + 1]


def test_a_window_without_events_says_where_the_data_are() -> None:
    done = run("flow", "measure", SAMPLE, "--all-events", "--begin", "2020-01-01", "--end", "2020-02-01")
    assert_one_line(done, 1, "no events between 2020-01-01 00:00Z and 2020-02-01 00:00Z", "the data are from 2025-")


def test_a_plan_that_does_not_hold_fails_and_says_why() -> None:
    done = run("flow", "validate", "--wip", "100", "--throughput", "50", "--cycle-time", "2.5")
    assert_one_line(done, 1, "let WIP be 125.0 items, or throughput 40.00 per day, or the cycle time 2.00 days")


def test_each_number_that_no_plan_has_is_named_by_its_flag() -> None:
    done = run("flow", "validate", "--wip", "100", "--throughput", "0", "--cycle-time", "nan", "--tolerance", "1")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: --throughput is 0: give a number from 1e-09 to 1e+12",
        "error: --cycle-time is nan: give a number from 1e-09 to 1e+12",
        "error: --tolerance is 1: give a share from 0 to 1, such as 0.02",
    ]


def test_a_plan_that_holds() -> None:
    done = run("flow", "validate", "--wip", "100", "--throughput", "50", "--cycle-time", "2")
    assert (done.returncode, done.stdout) == (0, "Holds: WIP is 1.000 times throughput x cycle time.\n")


def test_a_table_is_learned_from_compared_and_exported(tmp_path: Path) -> None:
    table, page = tmp_path / "plants.csv", tmp_path / "backtest.html"
    plan = ("--plants", "P1", "--applications", "<TV>", "--panel-sizes", "32,55", "--historical-days", "80")
    assert run("flow", "generate", "--out", table, *plan).returncode == 0
    small = ("--epochs", "1", "--trees", "5", "--batch-size", "256")
    out = ("--out", tmp_path / "run", "--repository", tmp_path / "repository", "--html", page)
    done = run("flow", "train", table, *out, *small)
    assert done.returncode == 0, done.stderr
    assert "seasonal naive" in done.stdout
    assert done.stdout.endswith("epc_flow/1\n")
    assert "100% done" in done.stderr
    html = page.read_text(encoding="utf-8")
    assert "&lt;TV&gt;" in html
    assert "<TV>" not in html
    assert html.count("data:image/png;base64,") >= 3


def test_a_model_that_is_worse_than_a_baseline_is_kept_and_no_champion(tmp_path: Path) -> None:
    table, repository, lifecycle = tmp_path / "plants.csv", tmp_path / "repository", tmp_path / "lifecycle"
    plan = ("--plants", "P1", "--applications", "TV", "--panel-sizes", "32,55", "--historical-days", "80")
    assert run("flow", "generate", "--out", table, *plan).returncode == 0
    small = ("--out", tmp_path / "run", "--epochs", "1", "--trees", "5")
    done = run("flow", "train", table, *small, "--lifecycle", lifecycle)
    assert_one_line(done, 2, "--lifecycle needs --repository")
    done = run("flow", "train", table, *small, "--lifecycle", lifecycle, "--repository", repository)
    assert done.returncode == 1
    assert "version 1 does not pass the gate: its WAPE of cycle_h 1 days ahead is" in done.stderr
    assert "epc_flow/1" in done.stdout
    where = ("--model", "epc_flow", "--repository", repository, "--lifecycle", lifecycle)
    assert run("models", "list", *where).stdout.splitlines()[1].split()[:3] == ["epc_flow", "1", "-"]
    assert "no champion: its WAPE of cycle_h" in run("models", "validate", "1", *where).stdout
    (tmp_path / "other.pem").write_bytes(public_pem(OTHER))
    again = ("--lifecycle", lifecycle, "--repository", repository, "--trust", tmp_path / "other.pem")
    done = run("flow", "train", table, *small, *again)
    assert done.returncode == 1
    assert "is not signed" in done.stderr.splitlines()[-1]


def test_a_setting_that_cannot_be_is_said_in_one_line() -> None:
    done = run("flow", "backtest", SAMPLE, "--dropout-rate", "1.5")
    assert_one_line(done, 1, "dropout_rate is 1.5: it should be less than 1")
