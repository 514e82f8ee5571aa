"""What the model learns from: the split of the EPCs, and training passes in which every EPC is a stranger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service import features
from service.events import Events
from service.journeys import Journeys
from service.reference import Counts, Reference
from service.sequences import Windows, prefix_windows, whole_windows
from training.reference import Masters, learn

SPLITS = ("train", "validation", "test")
_SHARES = (0.70, 0.135, 0.135)
_BUFFER = 0.01  # of a period's EPCs, dropped after each split: shipments at the border belong to neither
_PERIODS = 4

_CONTEXT_ITEMS = (30, 200, 1000)  # EPCs of one context, by fold; the two other folds are one context each
_CONTEXT_ORDERS = (0.35, 0.4, 0.25)  # chances that contexts are cut by code, by time, at random
_FOLDS = len(_CONTEXT_ITEMS) + 2
_STRETCHES = (10, 30, 100)  # of time, of which folds are made
_FORGET_LOTS = (0.1, 0.3, 1.0)  # of the lots, one of which is unknown to the reference of a fold
_FORGET_CHANCES = (0.4, 0.4, 0.2)
_FORGET_PRODUCTS = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Sequences with labels: W windows over the rows of ``features``."""

    features: NDArray[np.float32]  # [N, F]
    labels: NDArray[np.float32]  # [N, 5]
    windows: Windows
    index: NDArray[np.intp]  # [N] position of each row in the events that were given

    def take(self, rows: NDArray[np.intp]) -> Samples:
        """Return the samples of ``rows``, in ascending order and all those of their journeys."""
        windows = self.windows.answering(rows)
        windows = replace(windows, start=np.searchsorted(rows, windows.start))
        return Samples(self.features[rows], self.labels[rows], windows, self.index[rows])


Draw = Callable[[np.random.Generator], tuple[Samples, Samples]]
"""Returns the (retrospective, causal) samples of one pass over the training data, another one on every call."""


def split_epcs(events: Events, turn: float = 0.0) -> NDArray[np.int8]:
    """Return the split [U] of each EPC (an index into SPLITS, -1 in the buffers).

    EPCs are ordered by first scan and cut into periods. In each period training comes first, then validation, then
    test, with buffers between. One cut through the whole time would leave validation and test the youngest items
    alone, whose journeys the end of the data has cut off before most kinds of anomalies can happen. ``turn`` 0 .. 1
    starts each period that much later, its head moved to its end: turns 1/7 apart and more test different EPCs.
    """
    split = np.full(len(events.epc_codes), -1, dtype=np.int8)
    for period in np.array_split(np.argsort(first_scans(events), kind="stable"), _PERIODS):
        ring = np.roll(period, -round(turn * len(period)))
        begin = 0
        for number, share in enumerate(_SHARES):
            end = begin + round(share * len(period))
            split[ring[begin:end]] = number
            begin = end + round(_BUFFER * len(period))
    return split


def rows_of_others(events: Events, codes: Sequence[str] | NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the positions of the events whose EPC code is none of ``codes``."""
    other = ~np.isin(np.array(events.epc_codes, dtype=np.str_), np.asarray(codes, dtype=np.str_))
    return np.flatnonzero(other[events.epc])


def first_scans(events: Events) -> NDArray[np.int64]:
    """Return the time [U] of the first scan of each EPC, in microseconds since 1970."""
    first = np.full(len(events.epc_codes), np.iinfo(np.int64).max)
    np.minimum.at(first, events.epc, events.time_us)
    return first


def normal_events(labels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which events [N] are normal in all kinds: what reference tables are learned from."""
    normal: NDArray[np.bool_] = labels.max(axis=1, initial=0.0) < 0.5
    return normal


def samples(events: Events, labels: NDArray[np.float32], reference: Reference, *, causal: bool, limit: int) -> Samples:
    """Return the sequences of ``events``, all companions of each other: as one request would be judged."""
    journeys = Journeys.of(events)
    table = features.compute(journeys, reference, causal=causal)
    windows = prefix_windows(journeys, limit) if causal else whole_windows(journeys, limit)
    return Samples(table, labels[journeys.order], windows, journeys.order)


def training_pass(
    events: Events, labels: NDArray[np.float32], masters: Masters, rng: np.random.Generator, limit: int
) -> tuple[Samples, Samples]:
    """Return (retrospective, causal) samples of one pass over the training events.

    A reference learned from an item knows its lot, its serial and its lanes; one that judges new items does not. So
    each fold of the EPCs, made of whole stretches of time, is seen with tables learned from the other folds, some lots
    forgotten (new lots come every week), at times all.
    """
    normal = normal_events(labels)

    def of_the_others(inside: NDArray[np.bool_]) -> Reference | None:
        outside = np.flatnonzero(~inside)
        return learn(events.take(outside), normal[outside], masters) if len(outside) else None

    return _in_contexts(events, labels, of_the_others, rng, limit)


def pass_over_strangers(
    events: Events, labels: NDArray[np.float32], reference: Reference, rng: np.random.Generator, limit: int
) -> tuple[Samples, Samples]:
    """Return (retrospective, causal) samples of one pass over events that have not taught the ``reference``.

    As `training_pass`, with the one reference for all folds, other lots of it forgotten for each.
    """
    return _in_contexts(events, labels, lambda _inside: reference, rng, limit)


def _in_contexts(
    events: Events,
    labels: NDArray[np.float32],
    tables: Callable[[NDArray[np.bool_]], Reference | None],
    rng: np.random.Generator,
    limit: int,
) -> tuple[Samples, Samples]:
    """Return the samples of the events in folds, each looked up in the ``tables`` for it (None: it is left out).

    Requests differ in how many companions they bring, so each fold is cut into contexts of another size: neighbouring
    codes (a file's rows), one time (what arrives together), or a random sample of the world. ``tables`` is called with
    which events [N] are in the fold; of what it returns some lots and products are forgotten.
    """
    count = len(events.epc_codes)
    by_time = _place(first_scans(events))
    by_code = _place(np.array(events.epc_codes, dtype=np.str_))
    stretches = int(rng.choice(_STRETCHES))
    fold = rng.integers(0, _FOLDS, stretches)[by_time * stretches // count]
    parts: tuple[list[Samples], list[Samples]] = ([], [])
    for number, size in enumerate(rng.permutation([*_CONTEXT_ITEMS, count, count]).tolist()):
        inside = fold[events.epc] == number
        known = tables(inside) if inside.any() else None
        if known is None:
            continue
        place = (by_code, by_time, rng.permutation(count))[rng.choice(3, p=_CONTEXT_ORDERS)]
        reference = forgetful(known, rng)
        for rows in _contexts(place[events.epc] // (size * _FOLDS), np.flatnonzero(inside)):
            part = events.take(rows)
            for mode, causal in zip(parts, (False, True), strict=True):
                mode.append(samples(part, labels[rows], reference, causal=causal, limit=limit))
    return concatenate(parts[0]), concatenate(parts[1])


def _place(values: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return the place [U] of each value in their order."""
    place = np.empty(len(values), dtype=np.intp)
    place[np.argsort(values, kind="stable")] = np.arange(len(values))
    return place


def _contexts(context: NDArray[np.int64], rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Return ``rows`` cut by their context."""
    ordered = rows[np.argsort(context[rows], kind="stable")]
    return np.split(ordered, np.flatnonzero(np.diff(context[ordered])) + 1)


def forgetful(reference: Reference, rng: np.random.Generator) -> Reference:
    """Return the reference without some of its lots and products, as it would meet a world that went on."""
    lots = rng.random(len(reference.product_lot.key)) >= rng.choice(_FORGET_LOTS, p=_FORGET_CHANCES)
    pairs = rng.random(len(reference.company_product.key)) >= _FORGET_PRODUCTS
    return replace(
        reference,
        product_lot=_kept(reference.product_lot, lots),
        lot_day=reference.lot_day[lots],
        lot_serial=reference.lot_serial[lots],
        lot=_kept(reference.lot, np.isin(reference.lot.key, reference.product_lot.key[lots] % 10**6)),
        company_product=_kept(reference.company_product, pairs),
        product=_kept(reference.product, np.isin(reference.product.key, reference.company_product.key[pairs] % 10**7)),
    )


def _kept(counts: Counts, keep: NDArray[np.bool_]) -> Counts:
    return Counts(counts.key[keep], counts.count[keep])


def concatenate(parts: list[Samples]) -> Samples:
    """Return the samples of all parts as one; positions in the given events lose their meaning."""
    rows = np.cumsum([0] + [len(part.features) for part in parts])
    windows = np.cumsum([0] + [len(part.windows.start) for part in parts])
    return Samples(
        features=np.concatenate([part.features for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        windows=Windows(
            start=np.concatenate([part.windows.start + row for part, row in zip(parts, rows, strict=False)]),
            length=np.concatenate([part.windows.length for part in parts]),
            window_of=np.concatenate([part.windows.window_of + w for part, w in zip(parts, windows, strict=False)]),
            offset_of=np.concatenate([part.windows.offset_of for part in parts]),
        ),
        index=np.concatenate([part.index + row for part, row in zip(parts, rows, strict=False)]),
    )
