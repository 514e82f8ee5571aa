"""Tables of what models go by, beside those of how good they are."""

from __future__ import annotations

import math

import pandas as pd

from service.events.vocabulary import KINDS, MODES
from training.evaluation.conditions.sheets import condition_sheets
from training.evaluation.detectors import MODEL, SVM
from training.evaluation.focus import EVEN, EVENTS, FOCUS, ITSELF, NORMAL, PEAK, SHARE, THIRDS
from training.evaluation.importance import AP_LOST, FEATURE
from training.evaluation.tables import Numbers, Sheet, sheets

_MOST = 10  # features of a kind that are shown; the CSV file has all


def all_sheets(table: pd.DataFrame) -> list[Sheet]:
    """Return the tables of how good the detectors are, and where and when, then those of what they go by."""
    numbers = Numbers(table)
    found = [*sheets(table), *condition_sheets(numbers)]
    found += [*(_focus(numbers, mode) for mode in MODES), *(_importance(table, mode) for mode in MODES)]
    return [sheet for sheet in found if sheet.rows]


def _focus(numbers: Numbers, mode: str) -> Sheet:
    """Return one row per kind of the judged event; none if the network has no attention."""
    rows = [
        [
            kind,
            f"{numbers.value(mode, MODEL, FOCUS, kind, EVENTS):.0f}",
            *(
                f"{numbers.value(mode, MODEL, f'{FOCUS} {third}', kind, SHARE):.1%}"
                f" ({numbers.value(mode, MODEL, f'{FOCUS} {third}', kind, EVEN):.1%})"
                for third in THIRDS
            ),
            f"{numbers.value(mode, MODEL, FOCUS, kind, PEAK):.2f}",
            f"{numbers.value(mode, MODEL, FOCUS, kind, ITSELF):.1%}",
        ]
        for kind in (*KINDS, NORMAL)
        if not math.isnan(numbers.value(mode, MODEL, FOCUS, kind, EVENTS))
    ]
    note = (
        "weight of the self-attention on each third of the events that an event sees (in brackets: were it even); "
        "peak: place of the most, 0 first to 1 last"
    )
    headings = ["kind of the\njudged event", "events", *THIRDS, "peak", "peak is the\nevent itself"]
    return Sheet(f"{mode}: where the attention looks", note, headings, rows)


def _importance(table: pd.DataFrame, mode: str) -> Sheet:
    """Return the features of each kind that are worth most to its one-class SVM, side by side by rank."""
    chosen = table[(table["detector"] == SVM) & (table["mode"] == mode) & (table["metric"] == AP_LOST)]
    columns = []
    for kind in KINDS:
        best = chosen[chosen["kind"] == kind].nlargest(_MOST, "value")
        cells = [
            f"{name.removeprefix(FEATURE)} {lost:+.4f}" for name, lost in zip(best["slice"], best["value"], strict=True)
        ]
        columns.append(cells)
    ranks = max(map(len, columns))
    rows = [[str(rank + 1), *(cells[rank] if rank < len(cells) else "" for cells in columns)] for rank in range(ranks)]
    note = "AP that the one-class SVM of a kind loses when one feature is shuffled among the events"
    return Sheet(f"{mode}: what the one-class SVMs go by", note, ["rank", *KINDS], rows)
