"""How fast a folder of raw files loads: a million rows have to take less than 30 s.

Run it as ``python -m tests.tools.load_speed [DIR]``; without DIR it loads a simulated world of a million rows.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from training.datasets import dataset
from training.simulation.world import simulate

_EPCS = 220_000  # a bit more than a million rows


def measure(folder: Path) -> str:
    """Load ``folder`` and say how long it took."""
    begin, begin_cpu = perf_counter(), process_time()
    rows = len(dataset.load(folder).events)
    wall_s, cpu_s = perf_counter() - begin, process_time() - begin_cpu
    return f"{rows:,} rows in {wall_s:.1f} s ({cpu_s:.1f} s of CPU): {rows / wall_s:,.0f} rows/s"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(Path(sys.argv[1])))
    else:
        with TemporaryDirectory() as scratch:
            simulate(Path(scratch), _EPCS, seed=4)
            print(measure(Path(scratch)))
