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


class Command:
    """``epc-sentinel`` with ``arguments`` and other variables of the ``environment``, while it runs."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self._out, self._err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115 - see finished
        self.process = popen(self.arguments, environment, self._out.fileno(), self._err.fileno())

    def finished(self, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Wait for the end and return the exit code and what it wrote; kill it if it takes longer."""
        with self._out as out, self._err as err:
            try:
                code = self.process.wait(timeout_s)
            except BaseException:
                self.process.kill()
                self.process.wait()
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(self.arguments, code, out.read(), err.read())


def run(*arguments: object, timeout_s: float = 120.0, **environment: str) -> subprocess.CompletedProcess[str]:
    return Command(*arguments, **environment).finished(timeout_s)


def assert_one_line(done: subprocess.CompletedProcess[str], exit_code: int, *parts: str) -> None:
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line
