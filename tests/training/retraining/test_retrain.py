"""From verdicts to a challenger: what is learned from, what is written down, and who is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.events import codes
from service.events.vocabulary import KINDS
from service.features.keys import product_lot_key
from service.features.table import feature_spec_hash
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.register import Register
from service.model.manifest import digest_of
from tests.k8s.workflow import step
from tests.support.command import run as command
from tests.support.trained import SHORT, silent
from tests.training.retraining.auditing import write_verdicts
from training.errors import DataError
from training.evaluation.data_under_test import OwnData
from training.retraining.compare import compare_runs
from training.retraining.gathering import Gathered, gather
from training.retraining.held_out import HELD_OUT, PROVING, held_out_of, proving_of
from training.retraining.paired import LEAST_ANOMALIES, MEAN
from training.retraining.report import auditors_sheet, averaging_sheet
from training.retraining.retrain import GATE_FILE, Retrained, RetrainOptions, both_worlds, draw_with, retrain
from training.runs.folder import WEIGHTS_FILE, Run
from training.samples.labelled_data import load

ERRORS = {"ann": 0.05, "bob": 0.05, "mallory": 0.35}
OPTIONS = RetrainOptions(epochs=1, resamples=100)


@pytest.fixture(scope="module")
def verdicts(other_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What three auditors say of a new world; one of them says the opposite of what he sees, often."""
    world, known, _ = load(other_world, other_world / "truth.parquet", SHORT.max_length)
    return write_verdicts(tmp_path_factory.mktemp("verdicts") / "v.csv", world.events, known.labels, ERRORS, 150)


@pytest.fixture(scope="module")
def retrained(
    tiny_run: Path, other_world: Path, verdicts: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Retrained]:
    """A challenger for the tiny run, learned from the other world's verdicts."""
    out = tmp_path_factory.mktemp("retrained")
    return out, retrain(tiny_run, other_world, verdicts, out, OPTIONS, silent)


@pytest.fixture(scope="module")
def gathered(tiny_run: Path, other_world: Path, verdicts: Path) -> Gathered:
    champion = Run.load(tiny_run)
    return gather(champion, OwnData.of(champion, strangers=True), other_world, verdicts, 100, 7, silent)


def test_a_bad_auditor_is_named_and_not_learned_from(retrained: tuple[Path, Retrained], gathered: Gathered) -> None:
    audited = retrained[1].run.record.lineage.audited
    assert audited is not None
    assert {one.who: one.set_aside for one in audited.auditors} == {"ann": False, "bob": False, "mallory": True}
    known = int((~np.isnan(gathered.labels)).sum())
    assert known == sum(audited.counted.values()) <= 300
    assert [row[-1] for row in auditors_sheet(audited).rows].count("set aside") == 1


def test_the_record_says_how_far_the_weights_went(retrained: tuple[Path, Retrained], tiny_run: Path) -> None:
    """As far as it says: the weights that were written are that share of the way at most."""
    out, found = retrained
    averaging = Run.load(out).record.averaging
    assert averaging is not None
    assert [row[-1] for row in averaging_sheet(averaging).rows].count("gone") == 1
    before, after = Run.load(tiny_run).model.model.state_dict(), found.run.model.model.state_dict()
    moved = any(not torch.equal(after[name], weight) for name, weight in before.items())
    assert moved == (averaging.share > 0)


def test_the_lineage_says_what_was_learned_from(
    retrained: tuple[Path, Retrained], tiny_run: Path, verdicts: Path, other_world: Path
) -> None:
    out, _ = retrained
    lineage, before = Run.load(out).record.lineage, Run.load(tiny_run).record.lineage
    audited = lineage.audited
    assert audited is not None
    assert lineage.retrained_from == digest_of(tiny_run / WEIGHTS_FILE)
    assert (audited.verdicts_sha256, audited.said) == (digest_of(verdicts), 450)
    assert audited.contents.files_sha256 == {path.name: digest_of(path) for path in other_world.glob("*.csv")
                                             if path.name in audited.contents.files_sha256}  # fmt: skip
    assert audited.first_event < audited.last_event
    assert (lineage.data, lineage.files_sha256) == (before.data, before.files_sha256)


def test_only_what_people_said_is_a_label(gathered: Gathered, tiny_run: Path) -> None:
    both = both_worlds(OwnData.of(Run.load(tiny_run), strangers=True), gathered, SHORT.max_length)
    own = len(both.events) - len(gathered.events)
    assert not np.isnan(both.labels[:own]).any()
    np.testing.assert_array_equal(both.labels[own:], gathered.labels)
    np.testing.assert_array_equal(both.split[both.events.epc[own:]] < 0, gathered.apart[gathered.events.epc])
    whole, causal = draw_with(both)(np.random.default_rng(1))
    for part in (whole, causal):
        silent_windows = np.ones(len(part.windows.start), dtype=np.bool_)
        np.logical_and.at(silent_windows, part.windows.window_of, np.isnan(part.labels).all(axis=1))
        assert silent_windows.mean() > 0.1
        assert not part.draws[silent_windows].any()
    drawn = whole.draws / whole.draws.sum()
    inside = np.zeros(len(whole.windows.start), dtype=np.bool_)
    np.logical_or.at(inside, whole.windows.window_of, np.isnan(whole.labels).any(axis=1))
    assert 0.1 < drawn[inside].sum() < 0.4


def test_a_part_is_never_learned_from(gathered: Gathered) -> None:
    codes = [f"code {number}" for number in range(5_000)]
    assert held_out_of(codes).mean() == pytest.approx(HELD_OUT, abs=0.03)
    np.testing.assert_array_equal(held_out_of(codes[::-1])[::-1], held_out_of(codes))
    assert proving_of(codes).mean() == pytest.approx(PROVING, abs=0.02)
    assert not (proving_of(codes) & held_out_of(codes)).any()
    assert not gathered.apart[gathered.events.epc[gathered.taught]].any()
    assert np.isnan(gathered.held_out_labels[gathered.taught]).all()
    assert not np.isnan(gathered.held_out_labels).all()


def test_tables_know_the_new_lots_and_not_what_is_anomalous(
    retrained: tuple[Path, Retrained], tiny_run: Path, gathered: Gathered, other_world: Path
) -> None:
    new, old = retrained[1].run.reference, Run.load(tiny_run).reference
    assert set(old.product_lot.key.tolist()) < set(new.product_lot.key.tolist())
    looked_at = {gathered.events.epc_codes[epc] for epc in gathered.events.epc[gathered.new.cleared].tolist()}
    parts = codes.parse(sorted(looked_at))
    of_genuine = set(product_lot_key(parts.product, parts.lot).tolist())
    assert set(new.product_lot.key.tolist()) - set(old.product_lot.key.tolist()) <= of_genuine
    np.testing.assert_allclose(new.lane_gap[new.lane.find(old.lane.key)], old.lane_gap, 1e-4)  # as the run knew it
    np.testing.assert_array_equal(new.product_lot.count[new.product_lot.find(old.product_lot.key)],
                                  old.product_lot.count)  # fmt: skip
    confirmed = (gathered.labels == 1).any(axis=1)
    assert confirmed.any()
    assert not gathered.normal[confirmed].any()
    world, known, _ = load(other_world, other_world / "truth.parquet", SHORT.max_length)
    truth = dict(zip(world.events.event_id.tolist(), known.labels, strict=True))
    anomalous = np.array([truth[event] for event in gathered.events.event_id.tolist()]) >= 0.5
    assert anomalous[:, KINDS.index("jump")].sum() > 20
    assert gathered.normal[anomalous[:, KINDS.index("jump")]].mean() < 0.25  # settling alone leaves them in
    assert gathered.normal[~anomalous.any(axis=1)].mean() > 0.95


def test_both_are_measured_on_what_neither_learned_from(retrained: tuple[Path, Retrained], tiny_run: Path,
                                                        other_world: Path) -> None:  # fmt: skip
    out, found = retrained
    written = json.loads((out / GATE_FILE).read_text())
    assert {one["ground"] for one in written["compared"]} == {"test split of the champion", "audited, held out"}
    assert written["passes"] == found.comparison.passes == (not written["refused"])
    sample = [one for one in found.comparison.compared if one.ground == "audited, held out"]
    assert 0 < max(one.anomalies for one in sample) < LEAST_ANOMALIES
    assert all(one.kind != MEAN for one in sample)
    reason = "audited, held out: nothing is told: fewer than 20 known anomalies of every kind, label more"
    assert reason in found.comparison.refused, "a few verdicts let nobody pass"
    assert all(np.isnan(one.cost) and np.isnan(one.ece) for one in sample)  # nobody said how events were chosen
    again = compare_runs(tiny_run, out, other_world, None, silent, 100)
    truth = load(other_world, other_world / "truth.parquet", SHORT.max_length)[1].labels
    events = load(other_world, other_world / "truth.parquet", SHORT.max_length)[0].events
    counted = truth[held_out_of(events.epc_codes)[events.epc]]
    assert {one.kind: one.anomalies for one in again.compared if one.mode == "causal"} == {
        kind: int(counted[:, column].sum()) for column, kind in enumerate(KINDS)
    }


def test_too_few_verdicts_teach_nothing(tiny_run: Path, other_world: Path, verdicts: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"verdicts that count are left of 450, and 5000 are needed"):
        retrain(tiny_run, other_world, verdicts, tmp_path, replace(OPTIONS, least_verdicts=5_000), silent)
    assert not list(tmp_path.iterdir())


def test_verdicts_on_other_events_are_left_out_and_said(  # noqa: PLR0917 - what a retraining is of
    tiny_run: Path,
    other_world: Path,
    verdicts: Path,
    gathered: Gathered,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    more = tmp_path / "more.csv"
    more.write_text(verdicts.read_text() + "".join(f"{10**9 + at},jump,confirmed,ann,2026-01-01\n" for at in range(4)))
    champion = Run.load(tiny_run)
    found = gather(champion, OwnData.of(champion, strangers=True), other_world, more, 100, 7, silent)
    np.testing.assert_array_equal(found.labels, gathered.labels)
    assert (found.record.said, found.record.left_out) == (454, 4)
    assert "4 of 454 verdicts are left out, on events that these data do not have: line 452 event_id" in caplog.text


def test_a_file_without_verdicts_is_refused_and_leaves_nothing(
    tiny_run: Path, other_world: Path, verdicts: Path, tmp_path: Path
) -> None:
    none = tmp_path / "none.csv"
    none.write_text(verdicts.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="0 verdicts that count are left of 0, and 100 are needed: label more"):
        retrain(tiny_run, other_world, none, tmp_path / "out", OPTIONS, silent)
    assert not (tmp_path / "out").exists()


def test_verdicts_of_one_kind_that_all_say_the_same_are_gathered(
    tiny_run: Path, other_world: Path, verdicts: Path, tmp_path: Path
) -> None:
    head, *lines = verdicts.read_text().splitlines()
    same = tmp_path / "same.csv"
    same.write_text("\n".join([head, *(one for one in lines if ",jump,confirmed,ann" in one)]) + "\n")
    champion = Run.load(tiny_run)
    found = gather(champion, OwnData.of(champion, strangers=True), other_world, same, 5, 7, silent)
    known = np.flatnonzero(np.isfinite(found.labels).any(axis=0))
    assert [KINDS[kind] for kind in known] == ["jump"]
    assert found.record.counted == {"confirmed": int((found.labels == 1).sum()), "rejected": 0}


def test_the_command_refuses_and_a_run_that_passed_becomes_the_challenger(
    tiny_run: Path, exported: Path, other_world: Path, verdicts: Path, tmp_path: Path
) -> None:
    out, repository, log = tmp_path / "out", tmp_path / "repository", tmp_path / "lifecycle"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(tiny_run)
    Register(exported, PromotionLog(tmp_path / "in use"), feature_spec_hash()).begin(1)
    of_volume = {"runs": tmp_path / "runs", "lifecycle": tmp_path / "in use", "model_repository": exported}
    done = command(
        *step("retrain", **of_volume, data=other_world, verdicts=verdicts, golden=other_world, new_run=out),
        "--epochs", 1, "--resamples", 100, "--repository", repository, "--lifecycle", log,
    )  # fmt: skip
    passes = json.loads((out / GATE_FILE).read_text())["passes"]
    assert "The verdicts of mallory are set aside: " in done.stdout
    assert done.returncode == (0 if passes else 1), done.stderr
    assert passes or done.stderr.splitlines()[-1] == f"error: the new run {out} is refused: the one in use stays"
    assert repository.exists() == passes
    other, its_log = tmp_path / "other", tmp_path / "other-lifecycle"  # whether or not the first one passed
    done = command(*step("challenge", new_run=tiny_run, model_repository=other, lifecycle=its_log))
    assert done.stdout.splitlines()[-1].endswith(f", the challenger of {its_log}"), done.stderr
    assert Register(other, PromotionLog(its_log), feature_spec_hash()).standing().challenger == 1
