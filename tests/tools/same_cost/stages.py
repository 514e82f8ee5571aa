"""What each stage of a request costs in a checkout, which need not be this one: run by its path, with it as PYTHONPATH.

Reads one line after the other from stdin, and answers each with the microseconds of processor time per event, by events
of a request and stage, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from service.bench.run import requests_of
from service.bench.stages import Stages
from service.features.table import feature_spec_hash
from service.model.repository import load
from service.rawfiles.columns import read_files

SIZES = (50, 500, 5_000)
_EVENTS = 25_000


def main() -> None:
    """Measure whenever asked to. Args: the raw file."""
    events = read_files([Path(sys.argv[1])]).events
    requests = {size: requests_of(events, size)[: max(4, _EVENTS // size)] for size in SIZES}
    stages = Stages(load(Path("model_repository"), feature_spec_hash=feature_spec_hash()))
    for _ in sys.stdin:
        print(json.dumps({size: stages.measure(some) for size, some in requests.items()}), flush=True)


if __name__ == "__main__":
    main()
