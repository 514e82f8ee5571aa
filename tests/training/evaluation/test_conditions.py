"""Areas, days and waits, on a few events whose numbers can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.events.journeys import Journeys
from service.events.vocabulary import KINDS, MODES
from service.events.zones import TimeZones
from service.features import table as features
from service.model.sequences import prefix_windows, whole_windows
from tests.support.trained import TinyWorld
from tests.support.worlds import DETOUR, OTHER_LOT, OTHER_PRODUCT, code, journey, reference, to_events
from training.datasets.truth import Truth
from training.evaluation.conditions import areas, curves, days, settling
from training.evaluation.conditions.areas import AREA, names_of_places
from training.evaluation.conditions.days import DAY, RECALL
from training.evaluation.conditions.sheets import condition_sheets
from training.evaluation.data_under_test import Subject
from training.evaluation.detectors import MODEL, TRUTH
from training.evaluation.slices import ANY, COLUMNS, EVENTS, FALSE_ALARMS, POSITIVES, DetectorVerdicts, Judged, Row
from training.evaluation.tables import Numbers
from training.runs.folder import Run
from training.samples.samples import Samples, samples

JUMP = KINDS.index("jump")
EACH = 60
"""Journeys of ten events on each of two roads, all of which begin on the same day."""

Found = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def subject() -> Subject:
    ours = [scan for serial in range(EACH) for scan in journey(code(serial))]
    theirs = [
        scan for serial in range(EACH) for scan in journey(code(serial, lot=OTHER_LOT, product=OTHER_PRODUCT), DETOUR)
    ]
    events = to_events([*ours, *theirs])
    labels = np.zeros((len(events), 5), dtype=np.float32)
    labels[5 : 10 * EACH : 10, JUMP] = 1  # each of our journeys, at a wholesaler that our hub serves
    return Subject(events, Truth(labels, {}), reference())


@pytest.fixture(scope="module")
def judged(subject: Subject) -> dict[str, Judged]:
    """The verdicts of a model that finds every second jump, and flags the first event of each of their journeys."""
    order = Journeys.of(subject.events)
    labels = subject.known.labels[order.order]
    scores = np.zeros((len(labels), 5), dtype=np.float32)
    scores[5 : 10 * EACH : 20, JUMP] = 0.9
    scores[10 * EACH :: 10, JUMP] = 0.6
    table = np.zeros((len(labels), len(features.NAMES)), np.float32)
    part = Samples(table, labels, whole_windows(order, 32), order.order)
    return {mode: Judged(part, {MODEL: DetectorVerdicts(scores, [0.5] * 5)}) for mode in MODES}


def by_key(rows: list[Row]) -> Found:
    found = {tuple(row[:5]): row.value for row in rows}
    assert len(found) == len(rows), "no number is there twice"
    return found


@pytest.fixture(scope="module")
def rows(subject: Subject, judged: dict[str, Judged]) -> list[Row]:
    names = {13: "our hub"}
    found = [row for mode, part in judged.items() for row in areas.rows(mode, part, subject, names)]
    found += [row for mode, part in judged.items() for row in days.rows(mode, part, subject)]
    waits = enumerate(settling.WAITS_S)
    return [*found, *(Row("causal", MODEL, f"settle {wait}", "macro", "ap", 0.9 + at / 100) for at, wait in waits)]


def test_an_area_has_the_name_of_its_hub_or_else_its_id(rows: list[Row]) -> None:
    assert {row.slice for row in rows if row.slice.startswith(AREA)} >= {f"{AREA}our hub", f"{AREA}14"}


def test_false_alarms_and_recall_of_an_area_are_those_of_its_places(rows: list[Row]) -> None:
    found = by_key(rows)
    area = found["causal", TRUTH, f"{AREA}our hub", ANY, POSITIVES]
    assert area == EACH
    assert found["causal", MODEL, f"{AREA}our hub", "jump", "recall_at_1pct_fpr"] == pytest.approx(1 / 2)
    assert found["causal", MODEL, f"{AREA}14", ANY, FALSE_ALARMS] == 0
    normal = sum(
        value for key, value in found.items() if key[0] == "causal" and key[2][:5] == AREA and key[4] == EVENTS
    )
    assert normal == 19 * EACH


def test_a_day_counts_what_happened_on_it(rows: list[Row]) -> None:
    found = by_key(rows)
    first, later = f"{DAY}2025-07-01", f"{DAY}2025-07-14"
    assert found["causal", TRUTH, first, ANY, EVENTS] == 4 * EACH
    assert found["causal", MODEL, first, ANY, FALSE_ALARMS] == pytest.approx(1 / 4)
    assert ("causal", MODEL, first, ANY, RECALL) not in found, "there is nothing to find"
    assert found["causal", MODEL, later, ANY, RECALL] == pytest.approx(1 / 2)


def test_a_day_is_that_of_the_site(subject: Subject, judged: dict[str, Judged]) -> None:
    """Where clocks are eleven hours behind it is still the day before when all journeys begin."""
    there = replace(subject, reference=replace(subject.reference, zones=TimeZones("Pacific/Pago_Pago")))
    first, *_ = [row for row in days.rows("causal", judged["causal"], there) if row.metric == EVENTS]
    assert first.slice == f"{DAY}2025-06-30"


def test_tables_show_the_worst_days_first_and_the_median_last(rows: list[Row]) -> None:
    by_area, by_day, waits = condition_sheets(Numbers(pd.DataFrame(rows, columns=list(COLUMNS))))
    assert "our hub" in [row[0] for row in by_area.rows]
    assert by_day.rows[0][:5] == ["worst false alarms", "2025-07-01", str(4 * EACH), "0", "25.0%"]
    assert by_day.rows[-1][0] == "median"
    assert len(by_day.rows) <= 12
    assert [row[:2] for row in waits.rows] == [
        [str(wait), f"{0.9 + at / 100:.4f}"] for at, wait in enumerate((0, 10, 60, 600, 3600))
    ]
    assert all(len(row) == len(sheet.headings) for sheet in (by_area, by_day, waits) for row in sheet.rows)


def test_both_plots_are_drawn_also_of_nothing(rows: list[Row]) -> None:
    for numbers in (rows, []):
        table = Numbers(pd.DataFrame(numbers, columns=list(COLUMNS)))
        assert curves.over_days(table).startswith(b"\x89PNG")
        assert curves.settling(table).startswith(b"\x89PNG")


def test_names_are_those_of_the_location_master(tiny_world: TinyWorld) -> None:
    names = names_of_places(tiny_world.folder)
    assert names[13] == "수도권물류센터"


def test_waiting_shows_what_companions_did_meanwhile(subject: Subject) -> None:
    """The items of a lot that are a minute apart know of each other after a minute, and not before."""
    events = replace(subject.events, time_us=subject.events.time_us + 60_000_000 * subject.events.epc.astype(np.int64))
    tables = [
        samples(events, subject.known.labels, subject.reference, causal=True, limit=32, settle_us=wait * 1_000_000)
        for wait in (0, 10, 3600)
    ]
    mates = [part.features[:, features.INDEX["scan_mates"]] for part in tables]
    np.testing.assert_array_equal(tables[0].features, tables[1].features)
    assert (mates[2] >= mates[0]).all()
    assert mates[2].sum() > mates[0].sum()
    windows = prefix_windows(Journeys.of(events), 32)
    np.testing.assert_array_equal(tables[2].windows.length, windows.length)


def test_after_no_wait_the_model_is_what_it_is(tiny_world: TinyWorld, tiny_run: Path) -> None:
    run = Run.load(tiny_run)
    subject = Subject(tiny_world.dataset.events, tiny_world.known, run.reference)
    found = by_key(list(settling.rows(run, subject, seed=0)))
    assert {key[2] for key in found} == {f"settle {wait}" for wait in settling.WAITS_S}
    few = replace(subject, measured=np.flatnonzero(subject.events.epc < 300))
    others = by_key(list(settling.rows(run, few, seed=0)))
    assert others["causal", MODEL, "settle 0", "macro", "ap"] != found["causal", MODEL, "settle 0", "macro", "ap"]
