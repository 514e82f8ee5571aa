"""An auditor for whom the truth of a world stands in: fills in a sheet of `audit export`, and errs at times.

``python -m tests.tools.feedback.auditor WAITING.csv TRUTH FILLED.csv`` answers every kind of every event; 5 % of the
answers are wrong (``--errors``), by a fixed seed.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pandas as pd

from service.events.vocabulary import KINDS


def main() -> None:
    """Fill in a sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("waiting", "truth", "filled"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--errors", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    truth = pd.read_parquet(given.truth).set_index("event_id")
    rng = np.random.default_rng(given.seed)
    with given.waiting.open(encoding="utf-8-sig", newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    if not rows:
        raise SystemExit(f"{given.waiting} has no events: nobody is asked about any yet")
    for row in rows:
        for kind in KINDS:
            anomalous = bool(truth.at[int(row["event_id"]), kind]) != (rng.random() < given.errors)
            row[kind] = str(int(anomalous))
    with given.filled.open("w", encoding="utf-8", newline="") as sheet:
        writer = csv.DictWriter(sheet, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} events are in {given.filled}, {given.errors:.0%} of the answers wrong")


if __name__ == "__main__":
    main()
