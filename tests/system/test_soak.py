"""The soak works, and it can tell a leak; the long run itself is ``python -m tests.tools.soak``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from service.events import codes
from service.jobs.replay import ReplayPlan
from tests.support.worlds import normal_scans, to_events
from tests.tools.soak import Sample, growth, in_new_lots, largest_lot, later, soak


def test_a_short_soak_leaves_its_report(tmp_path: Path) -> None:
    plan = ReplayPlan("", "lstm", 0.0, batch=200, streams=2, limit_s=8.0, give_up_s=5.0)
    wrong = soak(tmp_path, plan, 500, 0.5)
    assert [one for one in wrong if "memory" not in one] == []  # so short a run is all growth
    report = json.loads((tmp_path / "soak.json").read_text())
    assert report["events"] > 2_500  # the world was played more than once, and every turn was judged anew
    assert len(report["samples"]) >= 3
    assert (tmp_path / "soak.png").stat().st_size > 10_000


def test_a_turn_is_new_and_later() -> None:
    events = to_events(normal_scans())
    second, third = later(events, 1), later(events, 2)
    assert second.time_us.min() > events.time_us.max()
    assert third.time_us.min() > second.time_us.max()
    assert len({*events.event_id.tolist(), *second.event_id.tolist(), *third.event_id.tolist()}) == 3 * len(events)


def test_a_turn_has_lots_of_its_own() -> None:
    events = to_events(normal_scans())
    lots = [{code[4:26] for code in in_new_lots(events, turn).epc_codes} for turn in range(3)]
    assert len(set.union(*lots)) == 3 * len(lots[0])
    assert codes.parse(in_new_lots(events, 2).epc_codes).well_formed.all()
    damaged = replace(events, epc_codes=["damaged"] * len(events.epc_codes))
    assert in_new_lots(damaged, 2).epc_codes == damaged.epc_codes
    assert largest_lot(events) == len(events) / len(lots[0])


def test_growth_is_seen() -> None:
    flat = [Sample(float(at), 200.0 if at > 4 else 100.0, 1.0, 1.0, 1.0, 1.0) for at in range(40)]
    leaking = [Sample(float(at), 200.0 + at, 1.0, 1.0, 1.0, 1.0) for at in range(40)]
    assert growth(flat) == 1.0
    assert growth(leaking) > 1.05
