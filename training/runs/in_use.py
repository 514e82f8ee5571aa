"""Which run folder was a version of a model exported from?"""

from __future__ import annotations

from pathlib import Path

from service.model.manifest import Manifest
from training.errors import DataError
from training.runs.folder import RUN_FILE
from training.runs.record import RunRecord, read_record

_NOT_OF_RUN = {"config", "parity_max_abs_difference", "points"}
"""Keys of the lineage in a manifest that the record of its run has elsewhere, or not."""


def run_of(manifest: Manifest, runs: Path) -> Path:
    """Return the folder in ``runs`` that a version was exported from: of the same time, data and settings.

    What is no run folder, or one that cannot be read, is passed over: a training may be at work in it.

    Raises:
        DataError: there is none.
    """
    if (runs / RUN_FILE).is_file():
        raise DataError(f"{runs} is a run folder itself: name the folder that has the runs, or leave out --champion-of")
    looked_at = sorted(path.parent for path in runs.glob(f"*/{RUN_FILE}"))
    for folder in looked_at:
        try:
            record = read_record(folder / RUN_FILE)
        except DataError:
            continue
        if _is_of(record, manifest):
            return folder
    raise DataError(
        f"none of the {len(looked_at)} runs in {runs} is that of version {manifest.version} of {manifest.created_at},"
        " the champion: put its run folder there, or name a run and leave out --champion-of"
    )


def _is_of(record: RunRecord, manifest: Manifest) -> bool:
    if record.created_at != manifest.created_at:
        return False
    told = {key: value for key, value in manifest.lineage.items() if key not in _NOT_OF_RUN}
    own = record.lineage.model_dump(mode="json", exclude_unset=True)
    return told == own and manifest.lineage.get("config") == record.config.model_dump(mode="json", exclude_unset=True)
