"""``explain`` and what ``analyze`` says of reasons: on raw files, in this process and at a gateway."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.command import FORGED, HEADER, assert_one_line, run
from tests.support.gateway import Gateway
from tests.support.requests import NORMAL_CODE

LEGS = (
    (1, "Factory", "Aggregation", "2025-07-01 10:34:17"),
    (5, "WMS", "WMS_Inbound", "2025-07-01 11:02:38"),
    (5, "WMS", "WMS_Outbound", "2025-07-29 16:57:38"),
    (13, "Logistics_HUB", "HUB_Inbound", "2025-07-29 16:59:38"),
)
JUMP, FAKE = 4, 5  # the events


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A journey whose last scan is impossibly early, and a forged code."""
    path = tmp_path / "scans.csv"
    path.write_text(HEADER + "".join(f"{NORMAL_CODE},{','.join(map(str, leg))}\n" for leg in LEGS) + FORGED)
    return path


def test_it_draws_the_journey_and_says_why(table: Path) -> None:
    done = run("explain", table, "--event-id", JUMP)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == NORMAL_CODE
    assert [line.strip()[0] for line in lines[1:8]] == ["•", "│", "•", "│", "•", "│", "▶"]
    assert lines[6].endswith("2 min 0 s")
    assert lines[7].endswith("(event 4)")
    [headline] = [line for line in lines if line.startswith("jump ")]
    assert headline.endswith(", flagged: too_fast_to_travel")
    reason = lines[lines.index(headline) + 1]
    assert " km in 2 minutes" in reason
    assert "Points of the score" in done.stdout
    assert lines[-1].startswith("Judged by lstm-deep-learning epc_lstm/")


def test_it_judges_as_analyze_is_told_to(table: Path) -> None:
    """Where a miss of an order costs all the world, the slightest doubt is a finding."""
    for flags in ((), ("--costs", "evtOrderErr=1000000:1"), ("--unknown-codes", "flagged", "--no-fallback")):
        found = json.loads(run("analyze", table, "--json", *flags).stdout)["files"][0]["EventHistory"]
        doubted = {int(one["eventId"]) for one in found if one.get("evtOrderErr")}
        explained = json.loads(run("explain", table, "--event-id", JUMP, "--json", *flags).stdout)["explanations"]
        [order] = [one for one in explained if one["kind"] == "evtOrderErr"]
        assert order.get("flagged", False) == (JUMP in doubted) == ("--costs" in flags)


def test_a_gateway_says_the_same_in_the_language_asked(table: Path, gateway: Gateway) -> None:
    here = run("explain", table, "--event-id", JUMP, "--language", "ko")
    there = run("explain", table, "--event-id", JUMP, "--language", "ko", "--target", gateway.target)
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    assert "2분 만에 이동" in here.stdout
    assert there.stdout == here.stdout


def test_json_is_the_contracts(table: Path) -> None:
    done = run("explain", table, "--event-id", FAKE, "--json", "--detector", "rules")
    answer = json.loads(done.stdout)
    [fake] = [one for one in answer["explanations"] if one["kind"] == "epcFake"]
    assert (answer["eventId"], answer["method"], fake["cause"], fake["flagged"]) == (
        "5",
        "rule-based",
        "code_malformed",
        True,
    )


def test_an_event_that_is_not_there_is_named(table: Path) -> None:
    done = run("explain", table, "--event-id", 9)
    assert_one_line(done, 1, f"{table} has no event 9; its event ids are 1 to 5")


def test_a_code_that_steers_a_terminal_is_shown_as_escapes(tmp_path: Path) -> None:
    path = tmp_path / "evil.csv"
    path.write_text(HEADER + FORGED.replace("forged", "\x1b[31m[bold]forged"))
    done = run("explain", path, "--event-id", 1, "--detector", "rules")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert r"\x1b[31m[bold]forged" in done.stdout


def test_analyze_lists_incidents_first_and_events_if_asked(table: Path) -> None:
    done = run("analyze", table)
    assert "Incidents" in done.stdout
    assert "too_fast_to_travel" in done.stdout
    assert "2 incidents" in done.stdout
    by_event = run("analyze", table, "--events")
    assert "Findings" in by_event.stdout
    assert "Incidents" not in by_event.stdout


@pytest.mark.parametrize("where", ["here", "gateway"])
def test_analyze_says_why_in_json_and_csv_if_asked(table: Path, gateway: Gateway, where: str) -> None:
    target = ("--target", gateway.target) if where == "gateway" else ()
    plain, told = run("analyze", table, "--json", *target), run("analyze", table, "--json", "--explain", *target)
    assert "Cause" not in plain.stdout
    jump, fake = json.loads(told.stdout)["files"][0]["EventHistory"]
    assert (jump["jumpCause"], fake["epcFakeCause"]) == ("too_fast_to_travel", "code_malformed")
    rows = list(csv.DictReader(io.StringIO(run("analyze", table, "--csv", "--explain", *target).stdout)))
    assert [row["cause"] for row in rows if row["kind"] in ("jump", "epcFake")] == [
        "too_fast_to_travel",
        "code_malformed",
    ]
    assert all(row["reason"] for row in rows)


def test_workers_of_a_cluster_give_no_reasons(table: Path) -> None:
    assert_one_line(run("analyze", table, "--explain", "--cluster", "tcp://127.0.0.1:1"), 2, "exclude each other")


@pytest.mark.parametrize("where", ["here", "gateway"])
def test_an_event_is_explained_at_the_point_at_which_it_was_found(table: Path, gateway: Gateway, where: str) -> None:
    target = ("--target", gateway.target) if where == "gateway" else ()
    flagged = {}
    for point in ("sensitive", "precise"):
        done = run("explain", table, "--event-id", 4, "--operating-point", point, "--json", *target)
        flagged[point] = [one["kind"] for one in json.loads(done.stdout)["explanations"] if one.get("flagged")]
        analyzed = json.loads(run("analyze", table, "--operating-point", point, "--json", *target).stdout)
        found = {int(one["eventId"]): one for one in analyzed["files"][0]["EventHistory"]}.get(4, {})
        assert flagged[point] == [
            kind for kind in ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump") if kind in found
        ]
    assert "jump" in flagged["sensitive"]
