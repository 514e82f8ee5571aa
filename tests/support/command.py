"""The console script as users call it, and small raw files for it."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.gateway import ROOT
from tests.support.requests import NORMAL_CODE

SAMPLE = ROOT / "tests" / "data" / "real_events_sample.tsv"

HEADER = "epc_code,location_id,business_step,event_type,event_time\n"

NORMAL = f"{NORMAL_CODE},1,Factory,Aggregation,2025-07-01 10:34:17\n"

FORGED = "forged,1,Factory,Aggregation,2025-07-01 10:35:17\n"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


def assert_one_line(done: subprocess.CompletedProcess[str], exit_code: int, *parts: str) -> None:
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line
