"""How far the answers fall when the world is not as in training: noisy labels, lost scans, wrong clocks, the unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import Events
from service.events.vocabulary import MODES
from service.features.reference import Reference
from training.datasets.masters import Masters
from training.evaluation.tables import Sheet
from training.fitting.calibrated import AP, FALSE_ALARMS, RECALL, Fitted
from training.samples.labelled_data import Material
from training.samples.splits import SPLITS

TABLE_FILE, PLOT_FILE = "robustness.csv", "robustness.png"
FLIPPED, MISSING, SKEWS_MINUTES = 0.05, 0.10, (5, 15)
UNSEEN_SHARE = 0.05
"""Of the test EPCs: the place and the product whose share is nearest to it are held out of training."""

TRAININGS = 4

Trained = Callable[[Material, str], Fitted]
"""Fits a model on material, for the purpose named."""


@dataclass(frozen=True, slots=True, eq=False)
class Disturbed:
    """A world that is not as it was: what judges it, and on which events the two are compared."""

    name: str
    model: Fitted
    reference: Reference
    events: Events  # what is judged
    compared: NDArray[np.intp]  # [M] positions in ``events``
    before: NDArray[np.intp]  # [M] positions of the same events in the undisturbed test part


def robustness(labelled: Material, trained: Trained, out: Path, seed: int) -> list[Sheet]:
    """Run all studies on the test part; the folder ``out`` gets a table and a plot.

    Each compares a disturbed world with the undisturbed one on the same events. Labels are flipped in training and
    validation, the measure stays true. Scans are lost, and the clocks of places are wrong, in the test part alone. An
    unseen place or product is held out of training, validation and all tables.
    """
    clean = trained(labelled, "undisturbed")
    events, labels = labelled.take("test")
    scores = clean.judge(events, labelled.reference("train"), labelled.max_length)
    rows = []
    for case in _cases(labelled, clean, trained, np.random.default_rng(seed)):
        disturbed = case.model.judge(case.events, case.reference, labelled.max_length)
        truth = labels[case.before]
        for mode in MODES:
            before = clean.measure(mode, truth, scores[mode][case.before])
            after = case.model.measure(mode, truth, disturbed[mode][case.compared])
            row: dict[str, object] = {"study": case.name, "mode": mode, "events": len(truth)}
            for name in before:
                row |= {f"{name}_before": before[name], f"{name}_after": after[name]}
            rows.append(row)
    table = pd.DataFrame(rows)
    table.to_csv(out / TABLE_FILE, index=False)
    _plot(table, out / PLOT_FILE)
    return [_sheet(table)]


def _cases(labelled: Material, clean: Fitted, trained: Trained, rng: np.random.Generator) -> Iterator[Disturbed]:
    events, _ = labelled.take("test")
    reference, every = labelled.reference("train"), np.arange(len(events))
    flipped = flip_labels(labelled, FLIPPED, rng)
    model = trained(flipped, "flipped labels")
    yield Disturbed(f"{FLIPPED:.0%} of the labels flipped", model, flipped.reference("train"), events, every, every)
    left = np.flatnonzero(rng.random(len(events)) >= MISSING)
    some = events.take(left)
    yield Disturbed(f"{MISSING:.0%} of the scans missing", clean, reference, some, np.arange(len(left)), left)
    for minutes in SKEWS_MINUTES:
        skewed = skew_clocks(events, minutes, rng)
        yield Disturbed(f"clocks of places off by {minutes} minutes", clean, reference, skewed, every, every)
    for name, concerned, masters in unseen(labelled):
        held_out = without(labelled, concerned, masters)
        model = trained(held_out, name)
        of_them = np.flatnonzero(concerned[labelled.events.epc[labelled.rows("test")]])
        yield Disturbed(name, model, held_out.reference("train"), events, of_them, of_them)


def flip_labels(labelled: Material, share: float, rng: np.random.Generator) -> Material:
    """Return the material with ``share`` of the labels (event and kind) of training and validation inverted."""
    labels = labelled.labels.copy()
    for part in ("train", "validation"):
        rows = labelled.rows(part)
        flips = rng.random((len(rows), labels.shape[1])) < share
        labels[rows] = np.where(flips, 1 - labels[rows], labels[rows])
    return replace(labelled, labels=labels)


def skew_clocks(events: Events, minutes: float, rng: np.random.Generator) -> Events:
    """Return the events with the clock of each place ``minutes`` fast or slow."""
    places, place = np.unique(events.location_id, return_inverse=True)
    off_us = rng.choice([-1, 1], len(places)) * round(minutes * 60e6)
    return replace(events, time_us=events.time_us + off_us[place])


def unseen(labelled: Material) -> Iterator[tuple[str, NDArray[np.bool_], Masters]]:
    """Yield what is to be unseen: its name, the EPCs [U] concerned, and the masters without it."""
    events, masters, tested = labelled.events, labelled.masters, labelled.split == SPLITS.index("test")
    places, place = np.unique(events.location_id, return_inverse=True)
    inside = tested[events.epc]
    at = _nearest_to_share(place[inside], events.epc[inside])
    concerned = np.zeros(len(labelled.split), dtype=np.bool_)
    concerned[events.epc[place == at]] = True
    yield f"location {places[at]} unseen", concerned, _masters_without(masters, places[at])
    products, product = np.unique(codes.parse(events.epc_codes).product, return_inverse=True)
    at = _nearest_to_share(product[tested], np.flatnonzero(tested))
    yield f"product {products[at]} unseen", product == at, masters


def _nearest_to_share(group: NDArray[np.intp], epc: NDArray[np.integer]) -> int:
    """Return the group whose share of the EPCs is nearest to UNSEEN_SHARE."""
    of_group = np.unique(np.stack([group, epc]), axis=1)[0]
    return int(np.abs(np.bincount(of_group) / len(np.unique(epc)) - UNSEEN_SHARE).argmin())


def _masters_without(masters: Masters, location_id: int) -> Masters:
    places = masters.location_id != location_id
    routes = (masters.route_from != location_id) & (masters.route_to != location_id)
    return Masters(
        location_id=masters.location_id[places],
        latitude=masters.latitude[places],
        longitude=masters.longitude[places],
        route_from=masters.route_from[routes],
        route_to=masters.route_to[routes],
        route_hours=masters.route_hours[routes],
        route_count=masters.route_count[routes],
        zones=masters.zones,
        dialect=masters.dialect,
    )


def without(labelled: Material, concerned: NDArray[np.bool_], masters: Masters) -> Material:
    """Return the material whose training and validation lack the EPCs [U] ``concerned``."""
    learned_from = labelled.split != SPLITS.index("test")
    split = np.where(concerned & learned_from, -1, labelled.split).astype(np.int8)
    return replace(labelled, split=split, masters=masters)


def _plot(table: pd.DataFrame, path: Path) -> None:
    bars = table.assign(name=table["study"] + ", " + table["mode"]).set_index("name")[[f"{AP}_before", f"{AP}_after"]]
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(bars) + 1))
    bars[::-1].plot.barh(ax=axes, xlim=(0, 1), ylabel="", xlabel="macro AP", grid=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _sheet(table: pd.DataFrame) -> Sheet:
    names = {AP: "macro AP", RECALL: "recall at 1 % FPR", FALSE_ALARMS: "false alarms"}
    headings = ["study", "mode", "events", *(f"{names[name]}\nbefore > after" for name in names), "AP change"]
    rows = [
        [row["study"], row["mode"], str(row["events"])]
        + [f"{row[f'{name}_before']:.4f} > {row[f'{name}_after']:.4f}" for name in names]
        + [f"{row[f'{AP}_after'] - row[f'{AP}_before']:+.4f}"]
        for row in table.to_dict("records")
    ]
    note = "False alarms: share of the normal events that are flagged for any kind."
    return Sheet("Robustness: the same events, judged undisturbed and disturbed", note, headings, rows)
