"""The console script as users call it, and small raw files for it."""

from __future__ import annotations

import subprocess
import tempfile

from tests.support.preloaded import ROOT, popen
from tests.support.requests import NORMAL_CODE

SAMPLE = ROOT / "tests" / "data" / "real_events_sample.tsv"

HEADER = "epc_code,location_id,business_step,event_type,event_time\n"

NORMAL = f"{NORMAL_CODE},1,Factory,Aggregation,2025-07-01 10:34:17\n"

FORGED = "forged,1,Factory,Aggregation,2025-07-01 10:35:17\n"


def run(*arguments: object, timeout_s: float = 120.0, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [str(argument) for argument in arguments]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = popen(words, environment, out.fileno(), err.fileno())
        try:
            code = process.wait(timeout_s)
        except BaseException:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def assert_one_line(done: subprocess.CompletedProcess[str], exit_code: int, *parts: str) -> None:
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line
