"""How often the cause that is named is the one that was planted, and what incidents are worth to a reader."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import raise_certain
from service.events import codes
from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import KINDS, MODES
from service.explain.causes import CAUSES, CODES, FirstCauses
from service.explain.incidents import Findings, incidents
from service.explain.mates import Mates
from service.features.table import INDEX, TYPE_COLUMNS
from service.model.sequences import Windows
from service.progress import Progress
from training.datasets.truth import Truth, truth_beside
from training.errors import DataError
from training.evaluation.data_under_test import Subject, whole
from training.evaluation.later import LATER, planted
from training.evaluation.mistakes import PlantedAndFound, mistakes_sheet, noise_sheet, worth_sheet
from training.evaluation.slices import DetectorVerdicts
from training.evaluation.tables import Sheet
from training.runs.under_test import UnderTest
from training.samples.samples import Samples
from training.samples.splits import normal_events
from training.simulation.anomalies import VARIANTS

_LOG = logging.getLogger(__name__)

PLANTED: dict[str, tuple[str, ...]] = {
    "first_seen_downstream": ("first_seen_downstream",),
    "serial_never_shipped": ("serial_never_shipped",),
    "malformed": ("code_malformed",),
    "foreign_company": ("company_unknown",),
    "unknown_product": ("product_unknown",),
    "future_date": ("date_after_scan",),
    "other_company": ("product_of_other_company",),
    "lot_of_other_product": ("lot_of_other_product", "lot_unknown"),  # while no item of its owner is at hand
    "serial_outside_block": ("serial_outside_lot",),
    "early_date": ("date_not_of_lot",),
    "resold": ("alive_after_sale",),
    "sold_while_upstream": ("sold_while_upstream", "alive_after_sale"),  # the sale, and the scan after it
    "two_regions_at_once": ("two_places_at_once",),
    "parallel_journey": ("received_elsewhere_too", "two_journeys"),
    "clone_nearby": ("received_elsewhere_too",),
    "fast_for_its_day": ("faster_than_traffic", "faster_than_lane"),
    "stalled_for_months": ("stalled",),
    "stalled_behind_mates": ("stalled",),
    "teleport": ("too_fast_to_travel",),
    "below_route_minimum": ("faster_than_lane",),
    "slow_transit": ("slow_transit",),
    "out_before_in": ("out_before_in",),
    "double_in": ("in_twice",),
    "double_out": ("out_twice",),
    "swapped_pair": ("arrived_before_leaving",),
    "clock_rolled_back": ("arrived_before_leaving", "clock_rolled_back"),  # ids tell them apart, where they do
    "lane_of_other_product": ("place_not_of_product", "lane_never_used"),
    "back_to_hub": ("level_reversed",),
    "back_to_warehouse": ("level_reversed",),
    "retailer_over_the_border": ("lane_never_used", "place_not_of_product"),  # it is in another region, too
    "wrong_region": ("place_not_of_product",),
    "stage_skipped": ("level_skipped",),
    "wrong_hub": ("place_not_of_product",),
}
"""The causes that each variant of the simulator plants."""

_READ_AGAIN, _READ_AGAIN_S = 0.03, 120
"""The share of scans that are read again, and so many seconds later, to see whether causes stay what they are."""


_MOST = 3_000
"""Findings of a mode whose causes are taken away, drawn at random."""


def measure_causes(  # noqa: PLR0913 - the last one is an option, given by name
    folder: Path, data: Path | None, truth: Path | None, seed: int, progress: Progress, *, spares_unknown: bool = True
) -> list[Sheet]:
    """Return the tables of what causes and incidents are worth on a simulated world, whose truth has variants.

    ``folder`` is a run folder or a model repository; ``spares_unknown`` as in `Subject`, whose warnings are logged.

    Raises:
        DataError: the data cannot be used, or their truth does not say what was planted.
        ModelRepositoryError: the newest version of the repository is damaged, or of other features.
        ModelUnavailable: it cannot be loaded.
    """
    network = UnderTest.of(folder)
    progress("reading the data", 0.0)
    if data is None:
        raise DataError("name a simulated world with --data: causes are measured on what was planted there")
    subject, _ = whole(network.reference, data, truth or truth_beside(data))
    if not {"variant", "noise"} <= subject.known.details.keys():
        raise DataError(f"the truth of {data} has no columns variant and noise: name a world of epc-sentinel simulate")
    subject = replace(subject, spares_unknown=spares_unknown)
    for warning in subject.warnings:
        _LOG.warning("warning: %s: %s", data, warning)
    return _sheets(network, subject, seed, progress)


def _sheets(network: UnderTest, subject: Subject, seed: int, progress: Progress) -> list[Sheet]:
    found: list[Sheet] = []
    rng = np.random.default_rng(seed)
    journeys = Journeys.of(subject.events)
    for causal, mode in enumerate(MODES):
        progress(f"causes, {mode}", 0.1 + 0.45 * causal)
        events = subject.events
        part = subject.samples(causal=bool(causal), limit=network.weights.max_length)
        verdicts = DetectorVerdicts(network.weights.score(part), network.balanced(mode), calibrated=True)
        truth = part.labels >= 0.5
        truly = truth & verdicts.flags
        causes = _causes(part, events, verdicts.flags, causal=bool(causal))
        variant = subject.known.details["variant"][part.index].astype(str)
        number = journeys.spread(np.arange(len(journeys.start)))
        found.append(worth_sheet(mode, part.labels, verdicts))
        found.append(mistakes_sheet(mode, PlantedAndFound(truth, verdicts.flags, causes, variant, number)))
        noise = subject.known.details["noise"][part.index].astype(str)
        found.append(noise_sheet(mode, truth, verdicts.flags, noise))
        noisy = journeys.spread(np.add.reduceat((noise != "").astype(np.intp), journeys.start) > 0)
        rows = list(_by_variant(causes, truly, variant, noisy))
        rows += list(_later(network, subject, mode, rng))
        found.append(
            Sheet(
                f"{mode}: causes by what was planted",
                _NOTE,
                ["variant", "findings", "agree", "with noise", "named"],
                rows,
            )
        )
        found.append(
            Sheet(
                f"{mode}: is it the model's reason, and does it last",
                "score below the threshold without the features of the cause; same cause after re-reads and reordering",
                ["", "findings", "share"],
                [
                    _deletion(network, part, truly, causes, verdicts.thresholds, causal, rng),
                    _stability(network, subject, causes, truly, part, causal, rng),
                ],
            )
        )
        found.append(_incident_sheet(mode, journeys, verdicts.flags, causes, variant))
    progress("done", 1.0)
    return found


_NOTE = (
    "of the findings that the network is right about: how many have the planted cause; of noise-bearing journeys alone"
)


def _causes(part: Samples, events: Events, wanted: NDArray[np.bool_], *, causal: bool) -> NDArray[np.intp]:
    """Return the causes [N, 5] of the rows of ``part``: those that are ``wanted`` [N, 5], whatever of the others."""
    journeys = Journeys.of(events)
    mates = Mates(journeys, codes.parse(events.epc_codes), events.time_us, causal=causal)
    found = FirstCauses(part.features, journeys.spread(journeys.start), lambda: mates)
    causes = np.zeros(wanted.shape, dtype=np.intp)
    for row, kind in np.argwhere(wanted).tolist():
        causes[row, kind] = found.at(row, kind)[0]
    return causes


def _unlabelled(events: Events, subject: Subject) -> Subject:
    """Return other events to be judged as those of ``subject`` are."""
    return replace(subject, events=events, known=Truth(np.zeros((len(events), len(KINDS)), dtype=np.float32), {}))


def _by_variant(
    causes: NDArray[np.intp], truly: NDArray[np.bool_], variant: NDArray[np.str_], noisy: NDArray[np.bool_]
) -> Iterator[list[str]]:
    hits, totals = np.zeros(2), np.zeros(2)
    for one in VARIANTS:
        kind = KINDS.index(one.kind)
        rows = np.flatnonzero((variant == one.name) & truly[:, kind])
        named = [CODES[cause] for cause in causes[rows, kind].tolist()]
        agree = np.isin(named, PLANTED[one.name])
        hits += (agree.sum(), agree[noisy[rows]].sum())
        totals += (len(rows), noisy[rows].sum())
        yield _row(one.name, agree, noisy[rows], named)
    yield ["all", f"{totals[0]:.0f}", f"{hits[0] / totals[0]:.4f}", f"{hits[1] / totals[1]:.4f} of {totals[1]:.0f}", ""]


def _row(name: str, agree: NDArray[np.bool_], noisy: NDArray[np.bool_], named: list[str]) -> list[str]:
    counted = sorted(((named.count(code), code) for code in set(named)), reverse=True)
    share = f"{agree.mean():.4f}" if len(agree) else ""
    with_noise = f"{agree[noisy].mean():.4f} of {noisy.sum()}" if noisy.any() else ""
    return [name, str(len(agree)), share, with_noise, ", ".join(f"{code} {count}" for count, code in counted[:3])]


def _later(network: UnderTest, subject: Subject, mode: str, rng: np.random.Generator) -> Iterator[list[str]]:
    """Yield a row for each variant that the list of causes was not made for."""
    normal = np.bincount(subject.events.epc, ~normal_events(subject.known.labels)) == 0
    kept = np.flatnonzero(rng.random(len(normal)) < 0.25)  # a part is enough company
    events = subject.events.take(np.isin(subject.events.epc, kept))
    normal = normal[kept]
    for variant in LATER:
        made, shown = planted(events, normal, variant, rng)
        part = _unlabelled(made, subject).samples(causal=mode == MODES[1], limit=network.weights.max_length)
        kind = KINDS.index(variant.kind)
        found = network.weights.score(part)[:, kind] >= network.balanced(mode)[kind]
        wanted = np.zeros(part.labels.shape, dtype=np.bool_)
        wanted[:, kind] = shown[part.index] & found
        rows = np.flatnonzero(wanted[:, kind])
        causes = _causes(part, made, wanted, causal=mode == MODES[1])
        named = [CODES[cause] for cause in causes[rows, kind].tolist()]
        agree = np.isin(named, (variant.cause,))
        yield _row(f"{variant.name} (later)", agree, np.zeros(len(rows), dtype=np.bool_), named)


def _deletion(  # noqa: PLR0913, PLR0917 - what there is to look at
    network: UnderTest,
    part: Samples,
    truly: NDArray[np.bool_],
    causes: NDArray[np.intp],
    thresholds: list[float],
    causal: int,
    rng: np.random.Generator,
) -> list[str]:
    """Return in how many findings the score is below its threshold without the features of the cause."""
    title = "below the threshold without the cause"
    normal = network.baseline
    if normal is None:
        return [title, "0", "this release has no normal events to compare with"]
    typical = np.array(normal.causal if causal else normal.retrospective, dtype=np.float32)
    windows, chosen = part.windows, rng.permutation(np.argwhere(truly))[:_MOST]
    window = windows.window_of[chosen[:, 0]]
    offset = windows.offset_of[chosen[:, 0]]
    length = windows.length[window]
    tables = []
    for (row, kind), begin, count in zip(chosen.tolist(), windows.start[window].tolist(), length.tolist(), strict=True):
        table = part.features[begin : begin + count].copy()
        columns = [INDEX[name] for name in CAUSES[causes[row, kind]].features]
        table[:, columns] = typical[table[:, TYPE_COLUMNS].argmax(axis=1)][:, columns]
        tables.append(table)
    start = np.cumsum(length) - length
    asked = Windows(start, length, np.arange(len(chosen)), offset)
    changed_part = Samples(np.concatenate(tables), np.zeros((len(chosen), len(KINDS)), np.float32), asked, start)
    found = network.weights.model(changed_part)
    raise_certain(changed_part.features, found, start + offset)  # of each window one event is asked for
    scores = found[np.arange(len(chosen)), chosen[:, 1]]
    below = scores < np.array(thresholds)[chosen[:, 1]]
    return [title, str(len(below)), f"{below.mean():.4f}"]


def _stability(  # noqa: PLR0913, PLR0917 - what there is to look at
    network: UnderTest,
    subject: Subject,
    causes: NDArray[np.intp],
    truly: NDArray[np.bool_],
    part: Samples,
    causal: int,
    rng: np.random.Generator,
) -> list[str]:
    """Return how many causes stay the same when rows come in another order and some scans are read twice."""
    events = subject.events
    again = np.flatnonzero(rng.random(len(events)) < _READ_AGAIN)
    both = np.concatenate([np.arange(len(events)), again])
    other: Events = replace(
        events.take(both),
        event_id=np.concatenate([events.event_id, events.event_id.max() + 1 + np.arange(len(again))]),
        time_us=np.concatenate([events.time_us, events.time_us[again] + _READ_AGAIN_S * 1_000_000]),
    )
    order = rng.permutation(len(other))
    moved = other.take(order)
    disturbed = _unlabelled(moved, subject).samples(causal=bool(causal), limit=network.weights.max_length)
    wanted = np.zeros((len(moved), len(KINDS)), dtype=np.bool_)
    wanted[part.index] = truly
    place = order[disturbed.index]
    named = np.empty(wanted.shape, dtype=np.intp)
    named[place] = _causes(disturbed, moved, wanted[place], causal=bool(causal))
    same = named[part.index][truly] == causes[truly]
    return ["same after re-reads and reordering", str(len(same)), f"{same.mean():.4f}"]


def _incident_sheet(
    mode: str,
    journeys: Journeys,
    flags: NDArray[np.bool_],
    causes: NDArray[np.intp],
    variant: NDArray[np.str_],
) -> Sheet:
    row, kind = np.nonzero(flags)
    found = incidents(journeys, Findings(row, kind, causes[row, kind]))
    pure = weight = 0
    for incident in found:
        named = [PLANTED[name][0] for name in variant[row[incident.findings]].tolist() if name]
        pure += max(map(named.count, named), default=0)
        weight += len(named)
    rows = [
        ["findings", f"{len(row):,}"],
        ["flagged events", f"{flags.any(axis=1).sum():,}"],
        ["incidents", f"{len(found):,}"],
        ["findings per incident", f"{len(row) / max(len(found), 1):.2f}"],
        ["incidents of more than one item", f"{sum(one.items > 1 for one in found):,}"],
        ["share of planted findings with the incident's most frequent cause", f"{pure / max(weight, 1):.4f}"],
        ["lines that an auditor reads, less", f"{1 - len(found) / max(int(flags.any(axis=1).sum()), 1):.1%}"],
    ]
    return Sheet(f"{mode}: incidents", "findings that are one story, of all findings of the network", ["", ""], rows)
