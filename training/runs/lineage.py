"""What a run folder says about its training: where the data came from, and how it went."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.events.vocabulary import MODES
from service.model.manifest import digest_of
from training.datasets.dataset import Dataset
from training.datasets.masters import LOCATIONS, TRANSITIONS
from training.runs.record import Contents, Lineage
from training.samples.splits import SPLITS

mpl.use("Agg")  # plots are files, no display is needed

CURVES = "curves"


def lineage(  # noqa: PLR0913, PLR0917
    data: Path,
    truth: Path | None,
    world: Dataset,
    split: NDArray[np.int8],
    more_data: list[Contents],
    other_networks: list[Contents],
) -> Lineage:
    """Return what `contents` says of ``world``, its events by ``split`` [N], and what else was learned from."""
    return Lineage(
        **contents(data, truth, world).model_dump(),
        labels="truth" if truth else "rules (weak labels: the metrics measure agreement with the rules)",
        events_by_split={name: int((split == number).sum()) for number, name in enumerate(SPLITS)},
        more_data=more_data,
        other_networks=other_networks,
    )


def contents(data: Path, truth: Path | None, world: Dataset) -> Contents:
    """Return the files of a data folder with their hashes, and how many rows, events and EPCs were read from it."""
    rows = np.bincount(world.events.file_id, minlength=len(world.files) + 1)  # files are numbered from 1
    return Contents(
        data=str(data),
        truth=str(truth) if truth else None,
        files_sha256=world.files,
        other_files_sha256=other_hashes(data, truth),
        rows_by_file=dict(zip(world.files, rows[1:].tolist(), strict=True)),
        events=len(world.events),
        epcs=len(world.events.epc_codes),
        quarantined_rows=world.quarantined,
    )


def other_hashes(data: Path, truth: Path | None) -> dict[str, str]:
    """Return the SHA-256 of the files of a data folder that are no raw files, by name."""
    others = [path for path in (data / LOCATIONS, data / TRANSITIONS, truth) if path and path.is_file()]
    return {path.name: digest_of(path) for path in others}


def write_curves(curves: list[dict[str, float]], out: Path) -> None:
    """Write loss and validation AP by epoch as a table and a plot."""
    table = pd.DataFrame(curves).set_index("epoch")
    table.to_csv(out / f"{CURVES}.csv")
    axes = table.plot(subplots=[("loss",), MODES], xlabel="epoch", grid=True, figsize=(7, 6), title="Training")
    axes[1].set_ylabel("validation macro AP")
    axes[0].figure.savefig(out / f"{CURVES}.png", dpi=120)
    plt.close(axes[0].figure)
