"""Plots of a run over days and over seconds waited, as PNG images."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.events.vocabulary import KINDS, MODES
from training.evaluation.conditions.days import DAY, RECALL
from training.evaluation.conditions.settling import SETTLE
from training.evaluation.detectors import MODEL
from training.evaluation.plots import Png, png
from training.evaluation.slices import ANY, FALSE_ALARMS
from training.evaluation.tables import Numbers
from training.metrics.ranking import MACRO


def over_days(numbers: Numbers) -> Png:
    """Draw the shares of false alarms and of found anomalies by day, each mode in its line."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    names = sorted(name for name in numbers.slices if name.startswith(DAY))
    dates = np.array([name.removeprefix(DAY) for name in names], dtype="datetime64[D]")
    for axes, metric in zip(figure.subplots(2, 1, sharex=True), (FALSE_ALARMS, RECALL), strict=True):
        for mode in MODES:
            axes.plot(dates, [numbers.value(mode, MODEL, name, ANY, metric) for name in names], label=mode, linewidth=1)
        axes.set(ylabel=metric.replace("_", " "), ylim=(0, None))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=len(MODES))
    return png(figure)


def settling(numbers: Numbers) -> Png:
    """Draw the causal AP over the seconds waited, of each kind and on average."""
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes: Axes = figure.subplots()
    names = [name for name in numbers.slices if name.startswith(SETTLE)]
    for kind in (MACRO, *KINDS):
        values = [numbers.value("causal", MODEL, name, kind, "ap") for name in names]
        axes.plot(range(len(names)), values, marker="o", label=kind, linewidth=2.5 if kind == MACRO else 1.0)
    axes.set_xticks(range(len(names)), [name.removeprefix(SETTLE) for name in names])
    axes.set(xlabel="seconds waited", ylabel="AP")
    axes.legend(fontsize=8)
    return png(figure)
