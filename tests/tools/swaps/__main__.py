"""Hot swap under load: is a call lost, do callers wait longer, does memory grow, how long does a rollback take?

``python -m tests.tools.swaps`` starts a gateway with four versions of the bundled model and live callers, and promotes
one version after the other, 100 times, so that versions are loaded and let go of all the while; blocks of swaps take
turns with quiet blocks of the same length, on which the latencies are compared. ``--triton`` does the same with a real
Triton that the gateway controls. It prints a table, and fails if a call was lost, the 99th percentile is more than 1.5
times that of the quiet blocks, memory kept growing, or a rollback took more than 5 s.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.tools.swaps.load import embedded, on_triton, swap_under_load


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.swaps", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--versions", type=int, default=4)
    parser.add_argument("--triton", action="store_true")
    arguments = parser.parse_args()
    start = on_triton if arguments.triton else embedded
    with tempfile.TemporaryDirectory() as folder, start(Path(folder), arguments.versions) as (gateway, register, *_):
        found = swap_under_load(gateway, register, swaps=arguments.swaps, versions=arguments.versions, block=10)
    print(found.table("Triton" if arguments.triton else "embedded"))
    for fault in found.faults:
        print(fault, file=sys.stderr)
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
