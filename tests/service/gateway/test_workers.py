"""What each of several workers gets of the limits that protect the machine."""

from __future__ import annotations

import os
from pathlib import Path

from service.gateway.workers import share
from service.settings import STDOUT, Settings


def test_what_protects_the_machine_is_divided() -> None:
    settings = Settings(workers=3, history="none", audit_log=Path("/logs/audit.jsonl"), max_calls=1_000)
    worker = share(settings, 2)
    assert (worker.max_calls, worker.max_events_in_flight) == (334, 133_334)
    assert worker.audit_log == Path("/logs/audit-worker2.jsonl")
    assert worker.onnx_threads == max(1, len(os.sched_getaffinity(0)) // 3)
    assert share(Settings(workers=3, onnx_threads=5), 1).onnx_threads == 5
    assert worker.rate_limit_calls_per_s == settings.rate_limit_calls_per_s


def test_workers_share_standard_output() -> None:
    assert share(Settings(workers=2, history="none", audit_log=STDOUT), 1).audit_log == STDOUT
