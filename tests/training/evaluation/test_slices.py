"""Slices of an evaluation, on a few events whose numbers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from service.events.journeys import Journeys
from service.events.vocabulary import KINDS, MODES
from service.features import table as features
from service.model.sequences import whole_windows
from tests.support.worlds import code, journey, to_events
from training.evaluation import slices
from training.evaluation.detectors import MODEL, RULES, TRUTH
from training.evaluation.evaluate import EvaluateOptions
from training.evaluation.slices import ANY, EVENTS, FALSE_ALARMS, POSITIVES, DetectorVerdicts, Judged
from training.samples.samples import Samples

FAKE, LOC = KINDS.index("epcFake"), KINDS.index("locErr")
N = 40
"""Events: four journeys of ten."""

VARIANTS = ["forged"] * 8 + ["misplaced"] * 4 + [""] * (N - 12)
"""Events 6 and 7 of the forged code are at the wrong place too, but their variant is that of the forgery."""


def numbers() -> dict[tuple[str, ...], float]:
    events = to_events([scan for serial in range(4) for scan in journey(code(serial))])
    order = Journeys.of(events)
    assert order.order.tolist() == list(range(N))
    labels = np.zeros((N, 5), dtype=np.float32)
    labels[:8, FAKE] = 1
    labels[6:12, LOC] = 1
    scores = np.zeros((N, 5), dtype=np.float32)
    scores[:6, FAKE] = 0.9  # six of the eight forged events stand out
    scores[8:12, LOC] = 0.9  # the four events that are misplaced and nothing else
    scores[20, LOC] = 0.6  # a false alarm, on a normal late scan
    noise = np.full(N, "", dtype=object)
    noise[[0, 20, 21]] = "late_scan"  # event 0 is forged: flagging it is no false alarm
    details = {
        "variant": np.array(VARIANTS, dtype=object),
        "difficulty": np.array(["subtle"] * 12 + [""] * (N - 12), dtype=object),
        "noise": noise,
    }
    part = Samples(np.zeros((N, len(features.NAMES)), np.float32), labels, whole_windows(order, 32), order.order)
    verdicts = DetectorVerdicts(scores, [0.5] * 5)
    judged = {mode: Judged(part, {MODEL: verdicts, RULES: verdicts}) for mode in MODES}
    table = slices.table(judged, events, details, EvaluateOptions(resamples=0))
    return {tuple(row[:5]): row[5] for row in table.itertuples(index=False)}


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, ...], float]:
    return numbers()


def test_an_event_of_two_kinds_counts_in_the_slice_of_its_variants_kind_only(
    found: dict[tuple[str, ...], float],
) -> None:
    for name, kind, count in (("forged", "epcFake", 8), ("misplaced", "locErr", 4)):
        counts = {k: found["causal", TRUTH, f"variant {name}", k, POSITIVES] for k in KINDS}
        assert counts == dict.fromkeys(KINDS, 0) | {kind: count}
    assert found["causal", TRUTH, "difficulty subtle", "locErr", POSITIVES] == 4
    assert found["causal", TRUTH, "all", "locErr", POSITIVES] == 6


def test_recall_in_a_slice(found: dict[tuple[str, ...], float]) -> None:
    recall = "recall_at_1pct_fpr"
    assert found["causal", MODEL, "variant forged", "epcFake", recall] == pytest.approx(6 / 8)
    assert found["causal", MODEL, "variant misplaced", "locErr", recall] == 1
    assert found["causal", MODEL, "difficulty subtle", "macro", recall] == pytest.approx((6 / 8 + 1) / 2)
    assert found["causal", MODEL, "difficulty subtle", ANY, recall] == pytest.approx((6 + 4) / 12)


def test_false_alarms_are_those_on_normal_events(found: dict[tuple[str, ...], float]) -> None:
    assert found["causal", TRUTH, "noise late_scan", ANY, EVENTS] == 2
    assert found["causal", MODEL, "noise late_scan", ANY, FALSE_ALARMS] == pytest.approx(1 / 2)
    assert found["causal", MODEL, "noise late_scan", "locErr", FALSE_ALARMS] == pytest.approx(1 / 2)
    assert found["causal", MODEL, "noise late_scan", "epcFake", FALSE_ALARMS] == 0
    assert found["causal", TRUTH, "noise none", ANY, EVENTS] == N - 12 - 2
    assert found["causal", MODEL, "noise none", ANY, FALSE_ALARMS] == 0
