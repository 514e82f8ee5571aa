"""How often do two equal versions differ, and how often is a better one seen, by a sample that one draws or either?

``python -m tests.tools.feedback.two_versions`` simulates samples of two versions whose quality is known, and prints a
table; seeds are fixed, so that it is the same each time.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from service.events.vocabulary import KINDS
from service.feedback.paired import PairedScores, differences

ITEMS, EVENTS = 1_500, 3_000
SHARE = 0.05  # of the events that are anomalous, of each kind


def sampled_scores(
    rng: np.random.Generator, gain: float = 0.0, *, by_either: bool = True, kinds: int = 2
) -> list[PairedScores]:
    """Return a sample of events that two versions scored; what is flagged or anomalous is drawn oftener than the rest.

    Args:
        rng: draws everything.
        gain: by how much the second version sees anomalies better, in standard deviations of what both see.
        by_either: what either of them flags is drawn oftener; False: what the first one flags alone.
        kinds: so many.
    """
    found = []
    for kind in KINDS[:kinds]:
        items = rng.integers(0, ITEMS, EVENTS)
        anomalous = rng.random(EVENTS) < SHARE
        seen = rng.normal(0, 1, EVENTS) + anomalous * 2.5
        first, second = (seen + better * anomalous + rng.normal(0, 0.7, EVENTS) for better in (0.0, gain))
        odd = (first > 2) | ((second > 2) & by_either) | anomalous
        probability = np.where(odd, 0.5, 0.02)
        kept = rng.random(EVENTS) < probability
        scores = ((1 / (1 + np.exp(3 - one)))[kept] for one in (first, second))
        found.append(PairedScores("causal", kind, *scores, anomalous[kept], 1 / probability[kept], items[kept]))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=100)
    given = parser.parse_args()
    table = Table("drawn by the scores of", "the second version is", "seen as better", "as worse", "a kind as worse")
    for by_either in (False, True):
        for gain, name in ((0.0, "equal"), (0.2, "better"), (-0.2, "worse")):
            rng = np.random.default_rng(0)
            found = [
                differences(sampled_scores(rng, gain, by_either=by_either, kinds=5), 400) for _ in range(given.samples)
            ]
            counts = (
                sum(one[-1].low > 0 for one in found),
                sum(one[-1].high < 0 for one in found),
                sum(any(kind.high < 0 for kind in one[:-1]) for one in found),
            )
            table.add_row("either" if by_either else "the first", name, *map(str, counts))
    console = Console(width=110)
    console.print(table)
    console.print(f"Of {given.samples} samples each, of 5 kinds and about 1,200 events; at 95 %.", highlight=False)


if __name__ == "__main__":
    main()
