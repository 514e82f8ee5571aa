"""Training passes, in which every EPC is a stranger to its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.features.keys import lot_of, product_of
from service.features.reference import Counts, Reference
from training.datasets.masters import Masters
from training.samples.reference import learn
from training.samples.samples import Samples, concatenate, samples
from training.samples.splits import first_scans, normal_events, ordinals

_CONTEXT_ITEMS = (30, 200, 1000)  # EPCs of one context, by fold; the two other folds are one context each

_CONTEXT_ORDERS = (0.35, 0.4, 0.25)  # chances that contexts are cut by code, by time, at random

_FOLDS = len(_CONTEXT_ITEMS) + 2

_STRETCHES = (10, 30, 100)  # of time, of which folds are made

_FORGET_LOTS = (0.1, 0.3, 1.0)  # of the lots, one of which is unknown to the reference of a fold

_FORGET_CHANCES = (0.4, 0.4, 0.2)

_FORGET_PRODUCTS = 0.05

_WAITS = 0.4  # of the contexts are judged causally some time after each event

_WAIT_US = (10 * 1_000_000, 14 * 86_400_000_000)  # log-uniform


def training_pass(  # noqa: PLR0913, PLR0917
    events: Events,
    labels: NDArray[np.float32],
    masters: Masters,
    rng: np.random.Generator,
    limit: int,
    teaching: NDArray[np.bool_] | None = None,
    draws: NDArray[np.float32] | None = None,
) -> tuple[Samples, Samples]:
    """Return (retrospective, causal) samples of one pass over the training events.

    A reference learned from an item knows its lot, its serial and its lanes; one that judges new items does not. So
    each fold of the EPCs, made of whole stretches of time, is seen with tables learned from the other folds, some lots
    forgotten (new lots come every week), at times all. ``teaching`` [N]: the events that tables are learned from;
    default: the normal ones. ``draws`` [U]: how much oftener the windows of an EPC are drawn.
    """
    normal = normal_events(labels) if teaching is None else teaching

    def of_the_others(inside: NDArray[np.bool_]) -> Reference | None:
        outside = np.flatnonzero(~inside)
        return learn(events.take(outside), normal[outside], masters) if len(outside) else None

    return _in_contexts(events, labels, of_the_others, rng, limit, draws)


def pass_over_strangers(
    events: Events, labels: NDArray[np.float32], reference: Reference, rng: np.random.Generator, limit: int
) -> tuple[Samples, Samples]:
    """Return (retrospective, causal) samples of one pass over events that have not taught the ``reference``.

    As `training_pass`, with the one reference for all folds, other lots of it forgotten for each.
    """
    return _in_contexts(events, labels, lambda _inside: reference, rng, limit)


def _in_contexts(  # noqa: PLR0913, PLR0917
    events: Events,
    labels: NDArray[np.float32],
    tables: Callable[[NDArray[np.bool_]], Reference | None],
    rng: np.random.Generator,
    limit: int,
    draws: NDArray[np.float32] | None = None,
) -> tuple[Samples, Samples]:
    """Return the samples of the events in folds, each looked up in the ``tables`` for it (None: it is left out).

    Requests differ in how many companions they bring, so each fold is cut into contexts of another size: neighbouring
    codes (a file's rows), one time (what arrives together), or a random sample of the world. ``tables`` is called with
    which events [N] are in the fold; of what it returns some lots and products are forgotten.
    """
    count = len(events.epc_codes)
    by_time = ordinals(first_scans(events))
    by_code = ordinals(np.array(events.epc_codes, dtype=np.str_))
    stretches = int(rng.choice(_STRETCHES))
    fold = rng.integers(0, _FOLDS, stretches)[by_time * stretches // count]
    parts: tuple[list[Samples], list[Samples]] = ([], [])
    for number, size in enumerate(rng.permutation([*_CONTEXT_ITEMS, count, count]).tolist()):
        inside = fold[events.epc] == number
        learned = tables(inside) if inside.any() else None
        if learned is None:
            continue
        place = (by_code, by_time, rng.permutation(count))[rng.choice(3, p=_CONTEXT_ORDERS)]
        reference = forgetful(learned, rng)
        for rows in _contexts(place[events.epc] // (size * _FOLDS), np.flatnonzero(inside)):
            part, wait_us = events.take(rows), drawn_wait_us(rng)
            whole = samples(part, labels[rows], reference, causal=False, limit=limit)
            if draws is not None:
                whole = replace(whole, oftener=draws[events.epc[rows[whole.index[whole.windows.start]]]])
            parts[0].append(whole)
            parts[1].append(samples(part, labels[rows], reference, causal=True, limit=limit, settle_us=wait_us))
    return concatenate(parts[0]), concatenate(parts[1])


def drawn_wait_us(rng: np.random.Generator) -> int:
    """Return for how many microseconds after each event its companions are known: mostly none, at times days.

    Answers of a stream settle: judged again once more is known of what travels along.
    """
    if rng.random() >= _WAITS:
        return 0
    return int(np.exp(rng.uniform(*np.log(_WAIT_US))))


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
        lot=_kept(reference.lot, np.isin(reference.lot.key, lot_of(reference.product_lot.key[lots]))),
        company_product=_kept(reference.company_product, pairs),
        product=_kept(
            reference.product, np.isin(reference.product.key, product_of(reference.company_product.key[pairs]))
        ),
    )


def _kept(counts: Counts, keep: NDArray[np.bool_]) -> Counts:
    return Counts(counts.key[keep], counts.count[keep])
