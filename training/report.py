"""Evaluation reports as tables for people."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from service.events import KINDS
from training.evaluate import Report
from training.metrics import MACRO, METRICS

_TITLES = {"roc_auc": "ROC-AUC", "ap": "AP", "recall_at_1pct_fpr": "recall at 1 % FPR"}
_WIDE = 160


def write_report(report: Report) -> None:
    """Write one table per mode on stdout: metrics by kind, detectors side by side."""
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    for mode in ("retrospective", "causal"):
        detectors = report[mode]
        columns = [f"{_TITLES[metric]}\n{name}" for metric in METRICS for name in detectors]
        table = Table("kind", *columns, title=f"{mode}, {report['events']} events")
        for kind in (*KINDS, MACRO):
            table.add_row(kind, *(f"{detectors[name][kind][metric]:.4f}" for metric in METRICS for name in detectors))
        console.print(table)
