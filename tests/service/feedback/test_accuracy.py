"""Accuracy after deployment: over the latest files with labels, by judge and kind, whoever was labelled sooner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.features.table import feature_spec_hash
from service.feedback.accuracy import JudgedBy, KindAccuracy, accuracy
from service.feedback.baselines import Promised, baselines
from service.feedback.exposition import AccuracyCollector
from service.feedback.sql import SqlVerdicts, open_verdicts
from service.feedback.verdicts import LabelVerdict
from service.feedback.weighed import weighed
from service.model.repository import load, load_svm
from tests.service.feedback.samples import judge_with_errors, label, sampled

LSTM = JudgedBy("lstm-deep-learning", "epc_lstm/1", "retrospective")


@pytest.fixture
def store(tmp_path: Path) -> SqlVerdicts:
    return open_verdicts(str(tmp_path))


def of_all(store: SqlVerdicts, error_rate: float = 0.0, **asked: int) -> list[KindAccuracy]:
    return accuracy(store, weighed(store.labels(), error_rate), resamples=50, **asked)


def of_jump(store: SqlVerdicts, judge: JudgedBy = LSTM, **asked: int) -> KindAccuracy:
    [found] = [one for one in of_all(store, **asked) if (one.judge, one.kind) == (judge, "jump")]
    return found


def fill(store: SqlVerdicts, files: int, wrong_from: int) -> None:
    """Sample ten events of each file, half of them flagged; from the file ``wrong_from`` on all flags are wrong."""
    for file in range(files):
        events = range(file * 10, file * 10 + 10)
        store.add_sample([sampled(at, 0.9 if at % 2 else 0.1, file_id=file, judged_at_us=file + 1) for at in events])
        said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
        store.append([label(at, said[bool(at % 2) == (file < wrong_from)], file_id=file) for at in events])


def test_the_window_is_of_the_latest_files_that_have_labels(store: SqlVerdicts) -> None:
    fill(store, files=8, wrong_from=6)
    store.add_sample([sampled(500 + at, file_id=50 + at, judged_at_us=10**6) for at in range(20)])  # nobody saw these
    latest, longer, whole = (of_jump(store, batches=batches) for batches in (2, 4, 50))
    assert [one.batches for one in (latest, longer, whole)] == [2, 4, 8]
    assert [one.measures["precision"].value for one in (latest, longer, whole)] == pytest.approx([0, 0.5, 0.75])
    assert (longer.sampled, longer.labels, longer.confirmed) == (40, 40, 20)
    assert of_all(store) == of_all(store)


def test_what_is_looked_at_sooner_does_not_count_for_more(store: SqlVerdicts) -> None:
    store.add_sample([sampled(at, 0.99 if at < 40 else 0.001, probability=0.5) for at in range(400)])
    verdicts = [LabelVerdict.CONFIRMED if at < 20 or at in (40, 41, 42) else LabelVerdict.REJECTED for at in range(70)]
    store.append([label(at, verdict) for at, verdict in enumerate(verdicts)])  # all findings, and 30 others of 360
    found = of_jump(store).measures
    assert found["precision"].value == pytest.approx(0.5)
    assert found["recall"].value == pytest.approx(20 / (20 + 36))  # a tenth of the others are anomalous


def test_unsure_withdrawn_and_disputed_labels_count_for_nothing(store: SqlVerdicts) -> None:
    store.add_sample([sampled(at) for at in range(5)])
    store.append([label(0), label(1, LabelVerdict.UNSURE), label(2), label(2, LabelVerdict.WITHDRAWN)])
    store.append([label(3), label(3, LabelVerdict.REJECTED, who="bob")])
    assert (of_jump(store).labels, of_jump(store).confirmed) == (1, 1)


def test_before_there_are_labels_there_is_an_expectation_alone(store: SqlVerdicts) -> None:
    store.add_sample([sampled(1, 0.6), sampled(2, 0.8, probability=0.75), sampled(3, 0.1)])
    store.add_sample([sampled(1, 0.6, method="rule-based", model_version="")])
    found = of_jump(store)
    assert (found.batches, found.labels, found.measures) == (0, 0, {})
    assert found.expected_precision is not None
    assert found.expected_precision.value == pytest.approx((4 * 0.6 + 0.8 / 0.75) / (4 + 1 / 0.75))
    assert of_jump(store, JudgedBy("rule-based", "", "retrospective")).expected_precision is None


def test_labels_of_events_outside_the_sample_are_no_measurement(store: SqlVerdicts) -> None:
    store.append([label(7)])
    assert of_all(store) == []


def test_the_baselines_are_those_of_the_manifests(bundled_repository: Path) -> None:
    network = load(bundled_repository, feature_spec_hash=feature_spec_hash())
    svm = load_svm(bundled_repository, network, feature_spec_hash=feature_spec_hash())
    assert svm is not None
    found = baselines([("epc_lstm/1", network.manifest), ("epc_svm/1", svm.manifest)])
    assert len(found) == 2 * 2 * 5
    assert found[LSTM, "jump"].value == network.manifest.metrics["retrospective"]["model"]["jump"]["ap"]  # type: ignore[index,call-overload]
    both = JudgedBy("ensemble", "epc_lstm/1+epc_svm/1", "causal")
    assert found[both, "jump"].value == network.manifest.metrics["causal"]["ensemble"]["jump"]["ap"]  # type: ignore[index,call-overload]
    dup = JudgedBy("lstm-deep-learning", "epc_lstm/1", "causal"), "epcDup"
    assert found[dup] == (1.0, pytest.approx(171 / 172)), "of 171 anomalous events without an error"


def test_wrong_words_are_allowed_for_as_stated_or_shown(store: SqlVerdicts) -> None:
    judge_with_errors(store)
    words, stated = (of_all(store, error_rate=rate) for rate in (0.0, 0.05))
    [naive], [allowed] = ([one for one in found if one.kind == "jump"] for found in (words, stated))
    assert naive.measures["average_precision"].value < 0.6
    assert allowed.measures["average_precision"].value > 0.97
    assert (allowed.confirmed, allowed.labels) == (naive.confirmed, naive.labels)
    said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
    for at, who in enumerate(("bob", "cay"), 1):
        verdicts = [said[event < 40 or event % 20 == at] for event in range(800)]
        store.append([label(event, verdict, who=who) for event, verdict in enumerate(verdicts)])
    assert of_jump(store).measures["average_precision"].value > 0.97
    collector = AccuracyCollector(store, dict, error_rate=0.05, least_s=0)
    [shown] = [family for family in collector.collect() if family.name == "epc_sentinel_rolling_average_precision"]
    assert max(sample.value for sample in shown.samples) > 0.97


def test_a_scrape_measures_when_something_was_said_and_not_too_often(store: SqlVerdicts) -> None:
    fill(store, files=3, wrong_from=9)
    collector = AccuracyCollector(store, lambda: {(LSTM, "jump"): Promised(0.97, 0.96)}, least_s=0)

    def shown() -> dict[str, float]:
        return {
            sample.name.removeprefix("epc_sentinel_"): sample.value
            for family in collector.collect()
            for sample in family.samples
            if sample.labels.get("kind") == "jump"
        }

    first = shown()
    assert (first["rolling_precision"], first["baseline_average_precision"], first["rolling_labels"]) == (1, 0.97, 30)
    assert first["baseline_average_precision_low"] == 0.96
    assert first["rolling_precision_low"] < 1
    store.append([label(at, LabelVerdict.REJECTED, file_id=0) for at in range(10)])
    assert shown()["rolling_precision"] == pytest.approx(10 / 15)
    patient = AccuracyCollector(store, dict, least_s=1_000)
    before = list(patient.collect())
    store.append([label(at, LabelVerdict.REJECTED, file_id=1) for at in range(10, 20)])
    assert [family.samples for family in patient.collect()] == [family.samples for family in before]
    store.close()
    assert np.isfinite(list(shown().values())).all()
