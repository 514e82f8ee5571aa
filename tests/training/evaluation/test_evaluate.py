"""A small run, evaluated: its numbers are those of its record, and nothing is passed off as something else."""

from __future__ import annotations

import base64
import json
import math
import re
import shutil
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.events.vocabulary import KINDS, MODES
from tests.support.trained import SHORT, TINY_SEED, TinyWorld
from training.datasets import dataset
from training.errors import DataError
from training.evaluation import report, slices
from training.evaluation.detectors import ENSEMBLE, MODEL, RULES, SVM, TRUTH
from training.evaluation.evaluate import WEAK, EvaluateOptions, Evaluation, evaluate, judge
from training.evaluation.inside import all_sheets
from training.evaluation.slices import ALL, ANY, FALSE_ALARMS, POSITIVES
from training.metrics.ranking import MACRO, METRICS
from training.network.predict import predict
from training.runs.folder import RUN_FILE, Run
from training.simulation.world import simulate
from training.train import train

QUICK = EvaluateOptions(baselines=False, resamples=20)


def silent(what: str, done: float) -> None:
    del what, done


def beside_the_budget(notices: list[str]) -> list[str]:
    """Return the notices but those of false alarms, which runs of so little have elsewhere."""
    return [notice for notice in notices if "budget" not in notice]


@dataclass(frozen=True)
class Trained:
    """A run and its data."""

    run: Path
    data: Path
    record: Run


@pytest.fixture(scope="module")
def trained(tiny_run: Path, tiny_world: TinyWorld) -> Trained:
    return Trained(tiny_run, tiny_world.folder, Run.load(tiny_run))


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("weak")
    simulate(root / "world", 600, seed=4)
    run = train(root / "world", None, root / "run", SHORT, silent)
    return Trained(root / "run", root / "world", run)


@pytest.fixture(scope="module")
def found(trained: Trained) -> Evaluation:
    return evaluate(trained.run, None, None, EvaluateOptions(resamples=20), silent)


@pytest.fixture(scope="module")
def written(found: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    report.write_files(found, folder)
    return folder


def number(found: Evaluation, *key: str) -> float:
    table = found.table
    names = ("mode", "detector", "slice", "kind", "metric")
    rows = table[np.logical_and.reduce([table[name] == wanted for name, wanted in zip(names, key, strict=True)])]
    assert len(rows) == 1, key
    return float(rows["value"].iloc[0])


def test_numbers_of_the_record_are_those_that_evaluate_shows(trained: Trained, found: Evaluation) -> None:
    kept = json.loads((trained.run / RUN_FILE).read_text())["metrics"]
    assert kept["events"] == len(found.subject.events)
    compared = 0
    for mode in MODES:
        for detector in (MODEL, SVM, ENSEMBLE, RULES):
            for kind in (*KINDS, MACRO):
                for metric, value in kept[mode][detector][kind].items():
                    shown = number(found, mode, detector, ALL, kind, metric)
                    assert math.isnan(shown) if value is None else shown == pytest.approx(value, rel=1e-12)
                    compared += 1
    assert compared > 2 * 4 * 6 * 10


def test_findings_are_those_at_the_thresholds_of_the_record(trained: Trained, found: Evaluation) -> None:
    for mode, part in found.judged.items():
        bars = np.array(trained.record.record.thresholds.of(mode), dtype=np.float32)
        scores, real = part.detectors[MODEL].scores[:, 4], part.samples.labels[:, 4] >= 0.5
        assert number(found, mode, MODEL, ALL, "jump", "true_positives") == (real & (scores >= bars[4])).sum()
        assert number(found, mode, MODEL, ALL, "jump", "false_positives") == (~real & (scores >= bars[4])).sum()


def test_record_is_strict_json(trained: Trained) -> None:
    json.dumps(trained.record.record.metrics.model_dump(), allow_nan=False)


def test_all_detectors_are_in_one_table(found: Evaluation) -> None:
    whole = found.table[(found.table["slice"] == ALL) & (found.table["metric"] == "ap")]
    detectors = {MODEL, SVM, ENSEMBLE, RULES, "lightgbm", "isolation forest"}
    differences = {f"{MODEL} - {name}" for name in detectors - {MODEL}}
    for mode in MODES:
        assert set(whole.loc[whole["mode"] == mode, "detector"]) == detectors | differences
    assert number(found, "causal", "lightgbm", ALL, MACRO, "ap") > number(found, "causal", RULES, ALL, MACRO, "ap")


def test_intervals_hold_their_value_and_differences_are_paired(found: Evaluation) -> None:
    table = found.table[(found.table["slice"] == ALL) & found.table["metric"].isin(METRICS)].dropna()
    assert len(table) > 100
    inside = (table["low"] <= table["value"] + 1e-6) & (table["value"] <= table["high"] + 1e-6)
    assert inside.mean() > 0.9, "20 resamples miss their value now and then"
    difference = number(found, "causal", f"{MODEL} - lightgbm", ALL, MACRO, "ap")
    apart = [number(found, "causal", name, ALL, MACRO, "ap") for name in (MODEL, "lightgbm")]
    assert difference == pytest.approx(apart[0] - apart[1])


def test_slices_cover_the_anomalies_and_agree_with_the_whole(found: Evaluation) -> None:
    for mode in MODES:
        for kind in KINDS:
            whole = number(found, mode, TRUTH, ALL, kind, POSITIVES)
            lengths = [name for name in found.table["slice"].unique() if name.startswith("length")]
            parts = {name: number(found, mode, TRUTH, name, kind, POSITIVES) for name in lengths}
            assert sum(parts.values()) == whole
            recall = number(found, mode, MODEL, ALL, kind, "recall_at_1pct_fpr")
            hits = [
                count * number(found, mode, MODEL, name, kind, "recall_at_1pct_fpr")
                for name, count in parts.items()
                if count
            ]
            assert sum(hits) == pytest.approx(recall * whole)


def test_every_variant_is_a_slice_of_its_own_kind(found: Evaluation) -> None:
    details = found.subject.known.details
    variants = set(details["variant"]) - {""}
    slices = set(found.table["slice"])
    assert {f"variant {name}" for name in variants} <= slices
    assert {"difficulty subtle", "difficulty blatant"} <= slices
    rows = found.table[(found.table["slice"] == "variant teleport") & (found.table["detector"] == MODEL)]
    assert set(rows["kind"]) == {"jump", MACRO, ANY}
    inside = (details["variant"] == "teleport") & (found.subject.known.labels[:, KINDS.index("jump")] >= 0.5)
    assert number(found, "causal", TRUTH, "variant teleport", "jump", POSITIVES) == inside.sum() > 0


def test_false_alarms_on_noise_are_counted_on_normal_events(found: Evaluation) -> None:
    part = found.judged["causal"]
    flagged = part.detectors[MODEL].flags.any(axis=1)
    noise = found.subject.known.details["noise"][part.samples.index]
    inside = (noise == "late_scan") & (part.samples.labels.max(axis=1) < 0.5)
    assert inside.any()
    share = number(found, "causal", MODEL, "noise late_scan", ANY, FALSE_ALARMS)
    assert share == pytest.approx(flagged[inside].mean())


def test_a_single_known_event_is_a_cold_start(found: Evaluation) -> None:
    events, labels = found.subject.events, found.subject.known.labels
    first = np.zeros(len(events), dtype=np.bool_)
    seen: set[int] = set()
    for row in np.lexsort((events.event_id, events.time_us)).tolist():
        first[row] = events.epc[row] not in seen
        seen.add(int(events.epc[row]))
    alone = np.bincount(events.epc)[events.epc] == 1
    assert number(found, "causal", TRUTH, "length 1", ANY, POSITIVES) == (labels[first] >= 0.5).sum()
    assert number(found, "retrospective", TRUTH, "length 1", ANY, POSITIVES) == (labels[alone] >= 0.5).sum()


def test_other_data_is_judged_whole_and_baselines_still_learn_from_the_training(
    trained: Trained, weak: Trained, found: Evaluation
) -> None:
    other = evaluate(trained.run, weak.data, None, EvaluateOptions(resamples=0), silent)
    assert other.source["part"].startswith("all events")
    assert other.source["truth"] == str(weak.data / "truth.parquet")
    assert len(other.subject.events) > 2_000
    assert "lightgbm" in other.judged["causal"].detectors
    assert beside_the_budget(other.notices) == []
    assert found.source["part"] == "test split"


def test_baselines_are_left_out_in_words_where_the_training_data_are_gone(
    trained: Trained, weak: Trained, tmp_path: Path
) -> None:
    moved = moved_run(trained, tmp_path, data=str(tmp_path / "gone"))
    found = evaluate(moved, weak.data, None, EvaluateOptions(resamples=0), silent)
    assert set(found.judged["causal"].detectors) == {MODEL, SVM, ENSEMBLE, RULES}
    assert "Baselines are left out" in found.notices[0]
    assert "count like others" in found.notices[0]
    assert "gone" in found.notices[0]
    with pytest.raises(DataError, match="gone"):
        evaluate(moved, None, None, QUICK, silent)


def test_epcs_that_the_training_had_are_judged_as_companions_and_do_not_count(trained: Trained, tmp_path: Path) -> None:
    simulate(tmp_path, 600, TINY_SEED)  # of the same lots and serials
    found = evaluate(trained.run, tmp_path, None, QUICK, silent)
    whole, learned = dataset.load(tmp_path).events, set(dataset.load(trained.data).events.epc_codes)
    known = np.array([code in learned for code in whole.epc_codes])
    assert 0 < known.sum() < len(known)
    assert found.source["part"] == f"all events but those of {known.sum()} EPCs that the training had"
    others = np.flatnonzero(~known[whole.epc])
    assert found.source["events"] == len(others)
    whole_world = judge(found.run, found.subject)
    for mode, part in found.judged.items():
        assert set(part.samples.index) == set(others)
        np.testing.assert_array_equal(part.samples.labels, found.subject.known.labels[part.samples.index])
        every = whole_world[mode]
        at = np.argsort(every.samples.index)[part.samples.index]
        np.testing.assert_array_equal(part.samples.features, every.samples.features[at])
        for name, verdicts in part.detectors.items():
            np.testing.assert_array_equal(verdicts.scores, every.detectors[name].scores[at])
        again = predict(found.run.model, part.samples)
        np.testing.assert_allclose(again, part.detectors[MODEL].scores, atol=1e-5)


def test_data_of_the_training_are_no_other_data(trained: Trained, tmp_path: Path) -> None:
    own, named = (evaluate(trained.run, data, None, QUICK, silent) for data in (None, trained.data))
    assert named.source == own.source
    pd.testing.assert_frame_equal(named.table, own.table)
    with pytest.raises(DataError, match="without --data"):
        evaluate(trained.run, Path(shutil.copytree(trained.data, tmp_path / "copy")), None, QUICK, silent)


def test_changed_training_data_are_refused(trained: Trained, tmp_path: Path) -> None:
    world = tmp_path / "world"
    shutil.copytree(trained.data, world)
    file = next(world.glob("icn.csv"))
    file.write_bytes(file.read_bytes().rstrip().rsplit(b"\n", 1)[0] + b"\n")
    with pytest.raises(DataError, match="not those of the training"):
        evaluate(moved_run(trained, tmp_path, data=str(world)), None, None, QUICK, silent)


def moved_run(trained: Trained, folder: Path, data: str) -> Path:
    """Return a copy of the run that names another data folder."""
    shutil.copytree(trained.run, folder / "run")
    record = json.loads((folder / "run" / RUN_FILE).read_text())
    record["lineage"]["data"] = data
    (folder / "run" / RUN_FILE).write_text(json.dumps(record))
    return folder / "run"


def test_without_truth_every_output_says_that_the_rules_label(
    weak: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate(weak.run, None, None, QUICK, silent)
    assert beside_the_budget(found.notices) == [WEAK]
    report.write_console(found)
    assert "agreement with the rules" in capsys.readouterr().out
    report.write_files(found, tmp_path)
    assert "agreement with the rules" in (tmp_path / report.LOG).read_text()
    assert "agreement with the rules" in (tmp_path / report.HTML).read_text()
    assert set(pd.read_csv(tmp_path / report.CSV)["labels"]) == {"rules (agreement, not accuracy)"}


def test_with_a_truth_file_a_run_trained_on_rules_is_measured_by_the_truth(weak: Trained) -> None:
    truth = pd.read_parquet(weak.data / "truth.parquet").set_index("event_id")
    found = evaluate(weak.run, None, weak.data / "truth.parquet", QUICK, silent)
    assert beside_the_budget(found.notices) == []
    known = truth.loc[found.subject.events.event_id, list(KINDS)].to_numpy(np.float32)
    np.testing.assert_array_equal(found.subject.known.labels, known)
    by_rules = evaluate(weak.run, None, None, QUICK, silent)
    assert not np.array_equal(by_rules.subject.known.labels, known)


def test_a_run_trained_on_truth_is_not_silently_measured_on_rules(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.data, tmp_path / "world", ignore=shutil.ignore_patterns("truth.*"))
    with pytest.raises(DataError, match="--truth"):
        evaluate(trained.run, tmp_path / "world", None, QUICK, silent)


def test_log_grows_and_is_never_rewritten(found: Evaluation, written: Path, tmp_path: Path) -> None:
    first = (written / report.LOG).read_text()
    shutil.copy(written / report.LOG, tmp_path)
    report.append_log(found, tmp_path / report.LOG)
    text = (tmp_path / report.LOG).read_text()
    assert text.startswith(first)
    entries = [json.loads(line) for line in text.splitlines()]
    assert len(entries) == 2
    value, low, high = entries[1]["metrics"]["causal"][MODEL]["ap"]
    assert low <= value <= high
    assert value == pytest.approx(number(found, "causal", MODEL, ALL, MACRO, "ap"), abs=1e-6)
    assert entries[1]["files_sha256"] == found.run.record.lineage.files_sha256


def test_html_is_one_file_with_every_table_and_plot(found: Evaluation, written: Path) -> None:
    page = (written / report.HTML).read_text()
    images = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)"', page)
    assert [alt for alt, _ in images] == [
        "Precision and recall, retrospective",
        "Precision and recall, causal",
        "Reliability",
        "Over the days",
        "What waiting is worth",
        "Attention over time",
    ]
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for _, data in images)
    assert not re.search(r'(src|href)="(?!data:)', page), "nothing is loaded from elsewhere"
    titles = [sheet.title for sheet in all_sheets(found.table)]
    for mode in MODES:
        assert f"{mode}: where the attention looks" in titles
        assert f"{mode}: what the one-class SVMs go by" in titles
    for title in titles:
        assert escape(title) in page
    assert f"{number(found, 'causal', MODEL, ALL, MACRO, 'ap'):.4f}" in page


def test_html_escapes_what_comes_from_data(found: Evaluation, tmp_path: Path) -> None:
    table = found.table.replace({"slice": {"variant teleport": "variant <script>alert(1)</script>"}})
    report.write_files(replace(found, table=table, notices=["a < b & c"]), tmp_path)
    page = (tmp_path / report.HTML).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "a &lt; b &amp; c" in page


def test_csv_has_every_number(found: Evaluation, written: Path) -> None:
    table = pd.read_csv(written / report.CSV)
    assert list(table.columns) == [*slices.COLUMNS, "labels"]
    assert len(table) == len(found.table)
    np.testing.assert_allclose(table["value"], found.table["value"])


def test_console_shows_every_table(found: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    report.write_console(found)
    text = capsys.readouterr().out
    for needle in ("isolation forest", "model - lightgbm", "teleport", "late_scan", "events known"):
        assert needle in text
    shown = f"{number(found, 'causal', MODEL, ALL, MACRO, 'ap'):.4f}"
    assert shown in text


def test_a_missed_anomaly_costs_what_the_option_says(trained: Trained) -> None:
    costs = [
        number(
            evaluate(trained.run, None, None, EvaluateOptions(baselines=False, miss_cost=cost, resamples=0), silent),
            "causal",
            RULES,
            ALL,
            "jump",
            "cost_weighted_accuracy",
        )
        for cost in (1.0, 50.0)
    ]
    assert costs[0] > costs[1], "the rules miss more jumps than they raise alarms"
