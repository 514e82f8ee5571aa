"""A world of scan events with known truth: raw files as the real ones, and which scans are anomalous and why.

All times are seconds after 2025-07-01 00:00:00. Every sort is stable, so a world depends on (epcs, seed, network)
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.events.vocabulary import KINDS
from service.progress import Progress
from training.simulation.anomalies import VARIANTS, work_in_anomalies
from training.simulation.catalogue import Catalogue, catalogue
from training.simulation.congestion import congestion
from training.simulation.files import write_files
from training.simulation.journeys import journeys, plan_journeys
from training.simulation.networks.drawn import draw_network
from training.simulation.noise import add_noise
from training.simulation.scans import NOISES, Items, Scans
from training.simulation.shipments import ship

MIN_EPCS, MAX_EPCS = 500, 400_000


@dataclass(frozen=True, slots=True)
class WorldSummary:
    """What a world contains."""

    epcs: int
    events: int
    events_by_file: dict[str, int]  # file name without suffix -> rows
    anomalous: int  # events with at least one label
    labelled: dict[str, int]  # kind -> events
    variants: dict[str, int]  # variant -> events
    noise: dict[str, int]  # noise -> events


def simulate(
    out: Path, epcs: int, seed: int, progress: Progress | None = None, network: int | None = None
) -> WorldSummary:
    """Write a world of ``epcs`` items to ``out``: four raw files, the reference tables and ``truth.parquet``.

    With a ``network`` it is one of the random network of that seed instead of the real one: raw files of its own
    factories. ``progress`` is called with the name of what begins and the share of the work done, 0..1.
    Raises ValueError if ``epcs`` is outside 500..400,000, the sizes that the catalogue's lots can hold.
    """
    if not MIN_EPCS <= epcs <= MAX_EPCS:
        raise ValueError(f"epcs must be between {MIN_EPCS:,} and {MAX_EPCS:,}, not {epcs:,}")
    report = progress or _silent
    out.mkdir(parents=True, exist_ok=True)
    if network is None:
        cat, rng = catalogue(seed), np.random.default_rng([seed, epcs])
    else:
        cat, rng = draw_network(network, epcs, seed), np.random.default_rng([seed, epcs, network])
    report("shipments", 0.0)
    items, groups = ship(cat, epcs, rng)
    roads = congestion(cat, rng)
    plan = plan_journeys(cat, items, groups, rng)
    report("journeys", 0.1)
    scans = journeys(cat, items, plan, roads, epcs)
    report("noise", 0.3)
    scans = add_noise(scans, cat, rng)
    report("anomalies", 0.4)
    scans = work_in_anomalies(scans, items, cat, roads, rng)
    report("files", 0.6)
    scans = write_files(out, scans, items, cat)
    report("done", 1.0)
    return _summary(scans, items, cat)


def _silent(_what: str, _done: float) -> None:
    pass


def _summary(scans: Scans, items: Items, cat: Catalogue) -> WorldSummary:
    rows = np.bincount(cat.product_factory[items.product][scans.item], minlength=len(cat.factories))
    names = [variant.name for variant in VARIANTS]
    variants = np.bincount(scans.variant[scans.variant >= 0], minlength=len(names))
    return WorldSummary(
        epcs=len(np.unique(scans.item)),
        events=len(scans),
        events_by_file=dict(zip(cat.factories, rows.tolist(), strict=True)),
        anomalous=int(scans.labels.any(axis=1).sum()),
        labelled=dict(zip(KINDS, scans.labels.sum(axis=0).tolist(), strict=True)),
        variants=dict(zip(names, variants.tolist(), strict=True)),
        noise=dict(zip(NOISES[1:], np.bincount(scans.noise, minlength=len(NOISES))[1:].tolist(), strict=True)),
    )
