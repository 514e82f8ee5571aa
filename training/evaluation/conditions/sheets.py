"""Areas, days and waits as tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterator

from service.events.vocabulary import KINDS, MODES
from training.evaluation.conditions.areas import AREA
from training.evaluation.conditions.days import DAY, RECALL
from training.evaluation.conditions.settling import SETTLE
from training.evaluation.detectors import MODEL, TRUTH
from training.evaluation.slices import ANY, EVENTS, FALSE_ALARMS, POSITIVES
from training.evaluation.tables import TITLES, Numbers, Sheet
from training.metrics.ranking import MACRO

_WORST = 5  # days of each sort that are shown; the CSV file has all
_LEAST = {EVENTS: 200, POSITIVES: 20}  # so many a day needs: shares of fewer are chance


def condition_sheets(numbers: Numbers) -> list[Sheet]:
    """Return the tables of the model by area, by day and by seconds waited."""
    return [sheet for sheet in (_by_area(numbers), _by_day(numbers), _settling(numbers)) if sheet.rows]


def _by_area(numbers: Numbers) -> Sheet:
    rows = [
        [
            name.removeprefix(AREA),
            _whole(numbers.value("causal", TRUTH, name, ANY, EVENTS)),
            _whole(numbers.value("causal", TRUTH, name, ANY, POSITIVES)),
            *(
                cell
                for mode in MODES
                for cell in (
                    numbers.text(mode, MODEL, name, MACRO, "ap"),
                    numbers.text(mode, MODEL, name, MACRO, "recall_at_1pct_fpr"),
                    _share(numbers.value(mode, MODEL, name, ANY, FALSE_ALARMS)),
                )
            ),
        ]
        for name in numbers.slices
        if name.startswith(AREA)
    ]
    measures = (TITLES["ap"], TITLES["recall_at_1pct_fpr"], "false alarms")
    headings = [
        "area",
        "normal\nevents",
        "anomalies",
        *(f"{measure}\n{mode}" for mode in MODES for measure in measures),
    ]
    note = (
        "the model, AP and recall as means over the kinds; threshold of the recall: 1 % of all normal events would be "
        "flagged; false alarms: share of the area's normal events that are flagged with any kind at the model's own"
    )
    return Sheet("by area", note, headings, rows)


def _by_day(numbers: Numbers) -> Sheet:
    rows = [*_worst_days(numbers, FALSE_ALARMS, EVENTS, sign=-1), *_worst_days(numbers, RECALL, POSITIVES, sign=1)]
    if rows:
        rows.append(_median_day(numbers))
    headings = ["", "day", "normal\nevents", "anomalies"]
    headings += [f"{measure}\n{mode}" for measure in ("false alarms", "recall") for mode in MODES]
    note = (
        "the model at its own thresholds, any kind; the worst are those of the causal mode, among days of at least "
        f"{_LEAST[EVENTS]} normal events and {_LEAST[POSITIVES]} anomalies"
    )
    return Sheet("by day", note, headings, rows)


def _days(numbers: Numbers, count: str) -> list[str]:
    """Return the days that have enough of what ``count`` counts."""
    return [
        name
        for name in numbers.slices
        if name.startswith(DAY) and numbers.value("causal", TRUTH, name, ANY, count) >= _LEAST[count]
    ]


def _worst_days(numbers: Numbers, metric: str, count: str, sign: int) -> Iterator[list[str]]:
    """Yield the days with the least ``sign`` x ``metric``, the worst first."""
    days = sorted(_days(numbers, count), key=lambda name: sign * numbers.value("causal", MODEL, name, ANY, metric))
    for name in days[:_WORST]:
        cells = [_whole(numbers.value("causal", TRUTH, name, ANY, each)) for each in (EVENTS, POSITIVES)]
        shares = [
            _share(numbers.value(mode, MODEL, name, ANY, each)) for each in (FALSE_ALARMS, RECALL) for mode in MODES
        ]
        yield [f"worst {metric.replace('_', ' ')}", name.removeprefix(DAY), *cells, *shares]


def _median_day(numbers: Numbers) -> list[str]:
    def median(days: list[str], mode: str, detector: str, metric: str) -> float:
        values = sorted(numbers.value(mode, detector, name, ANY, metric) for name in days)
        return values[len(values) // 2] if values else math.nan

    columns = {FALSE_ALARMS: _days(numbers, EVENTS), RECALL: _days(numbers, POSITIVES)}
    cells = [_whole(median(_days(numbers, each), "causal", TRUTH, each)) for each in (EVENTS, POSITIVES)]
    shares = [_share(median(days, mode, MODEL, metric)) for metric, days in columns.items() for mode in MODES]
    return ["median", f"of {len(columns[FALSE_ALARMS])} days", *cells, *shares]


def _settling(numbers: Numbers) -> Sheet:
    rows = [
        [
            name.removeprefix(SETTLE),
            *(numbers.text("causal", MODEL, name, kind, "ap") for kind in (MACRO, *KINDS)),
            _share(numbers.value("causal", MODEL, name, ANY, "recall")),
            _share(numbers.value("causal", MODEL, name, ANY, FALSE_ALARMS)),
        ]
        for name in numbers.slices
        if name.startswith(SETTLE)
    ]
    headings = [
        "seconds\nwaited",
        *(f"AP\n{kind}" for kind in (MACRO, *KINDS)),
        "recall\nany kind",
        "false alarms\nany kind",
    ]
    note = (
        "the model, causal, with what companions and traffic did until so long after each event; always the same items,"
        " a sample; recall and false alarms at the model's own thresholds"
    )
    return Sheet("what waiting is worth", note, headings, rows)


def _whole(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0f}"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"
