"""Auditors who say what is true, but for errors: files of verdicts as people would write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS


def write_verdicts(  # noqa: PLR0917
    path: Path, events: Events, labels: NDArray[np.float32], errors: Mapping[str, float], each: int, seed: int = 1
) -> Path:
    """Write ``each`` verdicts of every auditor, half of them on anomalies; ``errors``: which share of his is wrong."""
    rng = np.random.default_rng(seed)
    anomalous, lines = np.argwhere(labels >= 0.5), ["event_id,kind,verdict,who,when"]
    for who, error in errors.items():
        chosen = anomalous[rng.choice(len(anomalous), each // 2, replace=False)]
        others = np.stack(
            [rng.integers(0, len(labels), each - each // 2), rng.integers(0, len(KINDS), each - each // 2)]
        )
        for number, (row, kind) in enumerate(np.concatenate([chosen, others.T]).tolist()):
            is_true = (labels[row, kind] >= 0.5) != (rng.random() < error)
            when = f"2026-01-{1 + number % 28:02}T10:00:00Z"
            lines.append(f"{events.event_id[row]},{KINDS[kind]},{'confirmed' if is_true else 'rejected'},{who},{when}")
    path.write_text("\n".join(lines) + "\n")
    return path
