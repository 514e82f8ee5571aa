"""Every number of a run by place, by day and by how long it waits, in one list."""

from __future__ import annotations

from collections.abc import Mapping

from training.evaluation.conditions import areas, days, settling
from training.evaluation.data_under_test import Subject
from training.evaluation.slices import Judged, Row
from training.runs.folder import Run


def condition_rows(
    run: Run, subject: Subject, judged: dict[str, Judged], names: Mapping[int, str], seed: int
) -> list[Row]:
    """Return the rows of areas, days and waits; ``judged`` are the events that count, ``names`` those of places."""
    found = [row for mode, part in judged.items() for row in areas.rows(mode, part, subject, names)]
    found += [row for mode, part in judged.items() for row in days.rows(mode, part, subject)]
    return [*found, *settling.rows(run, subject, seed)]
