"""Training passes, in which every EPC is a stranger to its tables."""

from __future__ import annotations

import numpy as np
import pytest

from service.features import table as features
from service.features.reference import Reference
from tests.support.worlds import code, journey, masters, to_events
from training.samples.labelled_data import Material
from training.samples.passes import drawn_wait_us, forgetful, training_pass
from training.samples.reference import learn
from training.samples.samples import Samples, samples
from training.samples.splits import normal_events

LIMIT = 32


def column(part: Samples, name: str) -> np.ndarray:
    return part.features[:, features.INDEX[name]]


def test_in_a_pass_an_item_has_not_taught_its_tables() -> None:
    scans = [scan for serial in range(60) for scan in journey(code(serial, lot=20_000 + serial))]
    events = to_events(scans)
    labels = np.zeros((len(events), 5), dtype=np.float32)
    known = samples(events, labels, learn(events, normal_events(labels), masters()), causal=False, limit=LIMIT)
    assert (column(known, "code_lot_log") > 0).all(), "each item is the only one of its lot"
    for seed in range(5):
        for part in training_pass(events, labels, masters(), np.random.default_rng(seed), LIMIT):
            assert (column(part, "code_lot_log") == 0).all()
            assert (column(part, "code_company_log") > 0).all(), "the others have taught them"


def test_a_pass_shows_every_item_once_in_both_modes(labelled: Material) -> None:
    events, labels = labelled.take("train")
    whole, prefixes = training_pass(events, labels, labelled.masters, np.random.default_rng(1), LIMIT)
    assert len(whole.windows.start) == len(events.epc_codes)
    assert len(whole.labels) == len(prefixes.labels) == len(events)
    np.testing.assert_array_equal(np.sort(whole.labels.sum(axis=0)), np.sort(labels.sum(axis=0)))
    assert (column(whole, "causal") == 0).all()
    assert (column(prefixes, "causal") == 1).all()
    assert len(prefixes.windows.start) == len(events), "a prefix for every event, to draw from"


def test_labels_stay_with_their_events(labelled: Material) -> None:
    events, _ = labelled.take("train")
    tagged = np.column_stack([events.event_type == kind for kind in range(5)]).astype(np.float32)
    for part in training_pass(events, tagged, labelled.masters, np.random.default_rng(2), LIMIT):
        for number, name in enumerate(("Aggregation", "WMS_Inbound", "WMS_Outbound", "HUB_Inbound", "HUB_Outbound")):
            np.testing.assert_array_equal(part.labels[:, number], column(part, f"type_{name}"))


def test_most_events_are_judged_at_once_and_the_others_after_a_wait() -> None:
    rng = np.random.default_rng(0)
    waits = np.array([drawn_wait_us(rng) for _ in range(2_000)]) / 1e6
    assert (waits == 0).mean() == pytest.approx(0.6, abs=0.04)
    later = waits[waits > 0]
    assert 10 <= later.min() < 60
    assert 86_400 < later.max() <= 14 * 86_400


def test_lots_are_forgotten_in_part_or_all_of_them(labelled: Material) -> None:
    reference = labelled.reference("train")
    of = [len(forgetful(reference, np.random.default_rng(seed)).product_lot.key) for seed in range(60)]
    shares = np.array(of) / len(reference.product_lot.key)
    assert 0.1 < (shares == 0).mean() < 0.35
    assert shares[shares > 0].mean() == pytest.approx(0.8, abs=0.05)


def test_a_forgetful_reference_knows_no_more_than_before(labelled: Material) -> None:
    reference = labelled.reference("train")
    less = forgetful(reference, np.random.default_rng(2))
    lots, kept = set(reference.product_lot.key.tolist()), less.product_lot.key.tolist()
    assert set() < set(kept) < lots
    assert less.lot_day.shape == less.lot_serial.shape == (len(kept), 2)
    rows = np.searchsorted(reference.product_lot.key, kept)
    np.testing.assert_array_equal(less.lot_serial, reference.lot_serial[rows])
    assert isinstance(Reference.from_json(less.to_json()), Reference)
