"""What one in a hundred tells: samples of a world whose truth is known, their estimates, how often intervals hold it.

``python -m tests.tools.feedback.study DETECTIONS TRUTH`` takes a detection log that has all events of the world, and
its truth table. Each sample is drawn with another key; seeds are fixed, so that the table is the same each time.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from service.events.columns import Events, factorize
from service.events.vocabulary import KINDS
from service.features.table import feature_spec_hash
from service.feedback.estimators import MEASURES, LabelledSample, measure
from service.feedback.sampling import AuditSample
from service.model.repository import load
from tests.support.gateway import ROOT


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detections", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.01)
    given = parser.parse_args()
    log, truth = read_world(given.detections, given.truth)
    scores, flags, events = scores_of(log), flags_of(log), events_of(log)
    manifest = load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash()).manifest
    sample = AuditSample.of(manifest, given.share)
    probability = sample.probabilities(events, scores, causal=False)
    wholes = [
        LabelledSample(
            scores[:, at].astype(float), flags[:, at], words_of(truth[:, at]), np.ones(len(log)), events.epc.astype(int)
        )
        for at in range(len(KINDS))
    ]
    table, sizes = Table("kind", "measure", "truth", "mean estimate", "mean width", "intervals that hold it"), []
    found: dict[tuple[int, str], list[tuple[float, float, float]]] = {}
    for number in range(given.samples):
        drawn = replace(sample, key=b"sample %d" % number)
        at = np.flatnonzero(drawn.draws(events) < probability)
        sizes.append(len(at))
        items = np.unique(events.epc[at], return_inverse=True)[1]
        for kind, whole in enumerate(wholes):
            labelled = LabelledSample(whole.scores[at], whole.flags[at], whole.evidence[at], 1 / probability[at], items)
            for name, one in measure(labelled, np.random.default_rng(number)).items():
                found.setdefault((kind, name), []).append(one)
    for kind, whole in enumerate(wholes):
        true = {name: one.value for name, one in measure(whole, np.random.default_rng(0), 1).items()}
        for name in MEASURES[:-1]:
            value, low, high = np.array(found[kind, name]).T
            held = ((low <= true[name] + 1e-9) & (true[name] <= high + 1e-9)).mean()
            cells = (f"{number:.4f}" for number in (true[name], value.mean(), (high - low).mean()))
            table.add_row(KINDS[kind], name, *cells, f"{held:.0%}")
    console = Console(width=110)
    console.print(table)
    console.print(f"{given.samples} samples of {np.mean(sizes):,.0f} of {len(log):,} events.", highlight=False)


def read_world(detections: Path, truth: Path) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return (a detection log, the truth [N, 5] of its events)."""
    log = pd.concat([pd.read_parquet(file) for file in sorted(detections.glob("*.parquet"))], ignore_index=True)
    return log, pd.read_parquet(truth).set_index("event_id").loc[log.event_id, list(KINDS)].to_numpy(bool)


def scores_of(log: pd.DataFrame) -> NDArray[np.float32]:
    """Return the scores [N, 5] of a detection log."""
    return log[list(KINDS)].to_numpy(np.float32, copy=True)


def flags_of(log: pd.DataFrame) -> NDArray[np.bool_]:
    """Return the findings [N, 5] of a detection log."""
    return log[[f"{kind}Flag" for kind in KINDS]].to_numpy(bool, copy=True)


def words_of(anomalous: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the evidence [N] of one person who knows the truth."""
    return np.where(anomalous, np.inf, -np.inf)


def events_of(log: pd.DataFrame) -> Events:
    """Return the events of a detection log, as the audit sample looks at them."""
    epc, codes = factorize(log.epc_code.tolist())
    nothing = np.zeros(len(log), dtype=np.int8)
    return Events(
        event_id=log.event_id.to_numpy(),
        epc=epc,
        epc_codes=codes,
        location_id=log.location_id.to_numpy(),
        step=nothing,
        event_type=nothing,
        time_us=log.event_time.to_numpy("datetime64[us]").astype(np.int64),
        file_id=log.file_id.to_numpy(),
    )


if __name__ == "__main__":
    main()
