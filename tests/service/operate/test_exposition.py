"""What a scrape of `operate` says, and that a gateway says when the last round was."""

from __future__ import annotations

import math
import re
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.features.table import feature_spec_hash
from service.feedback.sql import open_verdicts
from service.lifecycle.operations import STAYS, Operation, Progressing
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.register import Register
from service.lifecycle.states import Action
from service.operate.exposition import LastRoundCollector, OperateCollector
from service.operate.severity import severity_of
from service.operate.state import STATE_FILE, OperateState, write_state
from tests.service.feedback.samples import label, sampled
from tests.service.operate.seeing import entry, labels, measured, operation, seen, shown
from tests.support.gateway import Gateway
from tests.support.observed import Samples, samples, scrape, value
from tests.support.preloaded import popen
from tests.support.processes import end, wait_for


def ended(how: Progressing, message: str) -> Operation:
    return operation("retrain", how, days=2).model_copy(update={"message": message})


def test_a_round_shows_what_it_saw() -> None:
    now = seen(
        entry(2, Action.LOAD, 2, hours=5),
        entry(3, Action.TRAFFIC, traffic="lstm@challenger=10,rules=20", hours=4),
        accuracy=[measured(0.79)],
        labels=labels(7, hours=1),
        waiting=31,
        operations=[
            operation("retrain", Progressing.RUNNING, hours=1),
            ended(Progressing.FAILED, f"error: the new run x {STAYS}"),
            ended(Progressing.FAILED, "error: no room"),
            ended(Progressing.SUCCEEDED, "exported"),
            operation("adopt", days=1),
            operation("validate", days=1),
        ],
    )
    collector = OperateCollector()
    assert shown(collector) == {("epc_sentinel_operate_failed_rounds_total", frozenset()): 0}
    collector.failed()
    collector.saw(now, severity_of(now), closely=True)
    found = shown(collector)
    expected = {
        ("severity", "performance"): 0.8, ("version", "champion"): 1, ("version", "challenger"): 2,
        ("challenger_percent", ""): 10, ("closely", ""): 1, ("waiting_for_verdicts", ""): 31, ("new_verdicts", ""): 0,
        ("last_verdict_timestamp_seconds", ""): now.at.timestamp() - 3_600, ("failed_rounds_total", ""): 1,
        ("started_total", "retrain"): 4, ("running", "retrain"): 1, ("started_total", "adopt"): 1,
        ("ended_total", "succeeded"): 2, ("ended_total", "refused"): 1, ("ended_total", "failed"): 1,
        ("ended_total", "cancelled"): 0,
    }  # fmt: skip
    told = {(name.removeprefix("epc_sentinel_operate_"), one): number for (name, labels), number in found.items()
            for one in ([text for _, text in labels] or [""])}  # fmt: skip
    by_kind = {("ended_total", how): sum(number for (name, labels), number in found.items()
               if name.endswith("ended_total") and ("how", how) in labels)
               for how in ("succeeded", "refused", "failed", "cancelled")}  # fmt: skip
    assert {name: told[name] for name in expected} | by_kind == pytest.approx(expected)
    assert ("version", "previous") not in told


def test_traffic_of_a_later_release_is_no_number_and_no_error() -> None:
    now = seen(entry(2, Action.LOAD, 2), entry(3, Action.TRAFFIC, traffic="oracle@challenger=10"))
    collector = OperateCollector()
    collector.saw(now, severity_of(now), closely=False)
    assert math.isnan(value(shown(collector), "operate_challenger_percent"))


def test_when_the_last_round_was_is_read_off_the_state(tmp_path: Path) -> None:
    collector = LastRoundCollector(tmp_path)
    assert shown(collector) == {}
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    write_state(tmp_path, OperateState(at=at.isoformat(), interval_s=60))
    found = shown(collector)
    assert value(found, "operate_last_round_timestamp_seconds") == at.timestamp()
    assert value(found, "operate_interval_seconds") == 60
    for damaged in ("", '{"at": "soon"}', '{"at": 3}', "\xff"):
        (tmp_path / STATE_FILE).write_text(damaged, "latin-1")
        assert shown(collector) == {}


def test_the_command_and_the_gateways_of_its_log_answer_scrapes(
    two_versions: Path, start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    lifecycle, verdicts, told = tmp_path / "lifecycle", tmp_path / "verdicts", tmp_path / "told"
    Register(two_versions, PromotionLog(lifecycle), feature_spec_hash()).begin(1)
    store = open_verdicts(str(verdicts))
    store.add_sample([sampled(at) for at in range(5)])
    store.append([label(0), label(1)])
    store.close()
    operate = ["operate", "--repository", str(two_versions), "--lifecycle", str(lifecycle),
               "--verdicts", str(verdicts), "--interval-s", "0.2", "--metrics-port", "0"]  # fmt: skip
    with told.open("wb") as out:
        running = popen(operate, {}, out.fileno(), out.fileno())

    def port() -> str:
        heard = re.search(r"listening.*metrics_port=(?:\x1b\[\w+)*(\d+)", told.read_text())
        return heard[1] if heard else ""

    def page() -> Samples:
        with urllib.request.urlopen(f"http://127.0.0.1:{port()}/metrics", timeout=10) as answer:
            return samples(answer.read().decode())

    try:
        wait_for(lambda: bool(port()) and value(page(), "operate_waiting_for_verdicts") == 3)
        found = page()
    finally:
        end(running)
    assert value(found, "operate_version", state="champion") == 1
    assert abs(value(found, "operate_last_round_timestamp_seconds") - time.time()) < 60
    assert ("process_start_time_seconds", frozenset()) in found
    gateway = start_gateway("--metrics-port", "0", "--lifecycle", str(lifecycle))
    seen_by_gateway = samples(scrape(gateway))
    assert abs(value(seen_by_gateway, "operate_last_round_timestamp_seconds") - time.time()) < 120
    assert value(seen_by_gateway, "operate_interval_seconds") == pytest.approx(0.2)
