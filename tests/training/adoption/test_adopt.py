"""The bundled network adopts a world of another simulator, without a label."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from export.adopted import AdoptJob, adopt_folder
from service.errors import SentinelError
from service.events.vocabulary import KINDS, MODES, OperatingPoint
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.repository import load, load_svm
from tests.support.foreign import write_foreign_world
from tests.support.gateway import ROOT
from tests.support.trained import silent
from training.adoption.alarms import AlarmCuts, cuts_for_alarms, cuts_within_budget
from training.adoption.settings import AdoptSettings
from training.datasets import dataset
from training.datasets.dataset import Dataset
from training.datasets.truth import load_truth
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.runs.weights import weights_of_model
from training.samples.samples import samples

BUNDLED = ROOT / "model_repository"
NETWORK = load(BUNDLED, feature_spec_hash=feature_spec_hash())
TABLES = Reference.from_json(NETWORK.manifest.reference)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A foreign world of 3,000 items and its truth.csv."""
    folder = tmp_path_factory.mktemp("foreign")
    write_foreign_world(folder, 3_000, 5)
    return folder


@pytest.fixture(scope="module")
def adopted(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that adopts it; its report beside it."""
    out = tmp_path_factory.mktemp("adopted") / "repository"
    adopt_folder(AdoptJob(foreign, BUNDLED, out, out.with_name("report"), audit=20), AdoptSettings(), silent)
    return out


def judged(world: Dataset, tables: Reference) -> NDArray[np.float32]:
    """Return what the bundled weights say of the events of a world."""
    unknown = np.zeros((len(world.events), len(KINDS)), dtype=np.float32)
    part = samples(world.events, unknown, tables, causal=False, limit=32)
    scores = np.empty_like(unknown)
    scores[part.index] = weights_of_model(NETWORK).score(part)
    return scores


def test_a_foreign_world_is_known_once_adopted(foreign: Path, adopted: Path) -> None:
    world = dataset.load(foreign)
    truth = load_truth(foreign / "truth.csv", world.events).labels
    fresh = load(adopted, feature_spec_hash=feature_spec_hash())
    before, after = (judged(world, Reference.from_json(one.manifest.reference)) for one in (NETWORK, fresh))
    assert per_kind(truth, before)[MACRO]["ap"] < per_kind(truth, after)[MACRO]["ap"] - 0.02
    assert per_kind(truth, after)[MACRO]["ap"] > 0.96
    assert fresh.manifest.operating_points is not None
    cuts = np.array(fresh.manifest.operating_points["balanced"].retrospective, dtype=np.float32)
    false_alarms = (after >= cuts)[truth.max(axis=1) < 0.5].mean(axis=0)
    assert (false_alarms <= 0.002).all(), dict(zip(KINDS, false_alarms, strict=True))
    found = {kind: float((after >= cuts)[truth[:, at] > 0.5, at].mean()) for at, kind in enumerate(KINDS)}
    assert min(found.values()) > 0.7, found


def test_the_weights_are_the_same_file_and_the_lineage_says_whose(adopted: Path) -> None:
    fresh = load(adopted, feature_spec_hash=feature_spec_hash())
    assert fresh.manifest.files == NETWORK.manifest.files
    assert fresh.manifest.lineage["adopted_from"]["model"] == NETWORK.title  # type: ignore[index,call-overload]
    assert load_svm(adopted, fresh, feature_spec_hash=feature_spec_hash()) is not None


def test_the_report_says_what_was_set_aside_and_when_it_settled(adopted: Path) -> None:
    report = json.loads((adopted.with_name("report") / "report.json").read_text())
    assert 3 <= len(report["rounds"]) <= 12
    assert 0.01 < report["rounds"][-1]["aside"] / report["events"] < 0.1
    assert report["quarantined_rows"] == 12
    assert (adopted.with_name("report") / "quarantine.csv").is_file()


def test_the_report_estimates_each_kind_and_the_network_is_a_stranger(foreign: Path, adopted: Path) -> None:
    """The bar of 0.05 is for worlds that have room for hundreds of faults; here there are a few dozen of each."""
    world = dataset.load(foreign)
    truth = load_truth(foreign / "truth.csv", world.events).labels >= 0.5
    fresh = load(adopted, feature_spec_hash=feature_spec_hash())
    assert fresh.manifest.operating_points is not None
    cuts = np.array(fresh.manifest.operating_points["balanced"].retrospective, dtype=np.float32)
    flags = judged(world, Reference.from_json(fresh.manifest.reference)) >= cuts
    report = json.loads((adopted.with_name("report") / "report.json").read_text())
    off = {
        kind: abs(float(flags[truth[:, at], at].mean()) - report["trusted"]["retrospective"][kind]["recall"])
        for at, kind in enumerate(KINDS)
    }
    assert sum(off.values()) / len(off) < 0.1, off
    assert next(iter(report["features"].values()))["distance"] > 0.5


def test_the_audit_asks_for_whole_journeys_of_all_kinds(foreign: Path, adopted: Path) -> None:
    asked = pd.read_csv(adopted.with_name("report") / "audit.csv", dtype=str)
    assert asked["journey"].nunique() == 20
    assert set(asked["look_for"]) == set(KINDS)
    events = dataset.load(foreign).events
    length = np.bincount(events.epc)
    code_of = dict(zip(events.epc_codes, length.tolist(), strict=True))
    for code, rows in asked.groupby("epc_code"):
        assert len(rows) == code_of[str(code).lstrip("'")]


def test_two_hundred_rows_are_refused_with_what_is_missing(foreign: Path, tmp_path: Path) -> None:
    data = tmp_path / "few"
    data.mkdir()
    lines = (foreign / "a_hamburg.csv").read_text().splitlines(keepends=True)
    (data / "few.csv").write_text("".join(lines[:1] + lines[100:300]))
    (data / "locations.csv").write_bytes((foreign / "locations.csv").read_bytes())
    with pytest.raises(SentinelError, match=r"it takes 2,000 usable rows and 500 EPCs, 1,800 usable rows .* missing"):
        adopt_folder(AdoptJob(data, BUNDLED, tmp_path / "repository", tmp_path / "report"), AdoptSettings(), silent)
    assert not (tmp_path / "repository").exists()


def test_one_broken_file_is_named_and_left_out(foreign: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(foreign, data)
    (data / "d_broken.csv").write_text("epc_code,event_time\nno columns,to use\n")
    (data / "e_broken.csv").write_text("epc_code,event_time,event_type,location_id\na,never,POS_Sell,1\n")
    with pytest.raises(SentinelError, match=r"d_broken\.csv: no column"):
        dataset.load(data)
    found = dataset.load(data, go_on=True)
    assert len(found.files) == 4
    assert any("d_broken.csv" in text and "left out" in text for text in found.warnings)
    assert any("e_broken.csv" in text and "none of its 1 rows" in text for text in found.warnings)
    assert len(found.events) == len(dataset.load(foreign).events)


def test_as_many_findings_as_are_wanted(foreign: Path) -> None:
    """One cut for all kinds, above which forged codes alone may be: a malformed one is always a finding."""
    scores = {mode: judged(dataset.load(foreign), TABLES) for mode in MODES}
    events = len(scores["causal"])
    certain, suspected = ((scores["causal"] >= score).sum() for score in (0.99, 0.05))
    wanted = 10_000 * (certain + suspected) / 2 / events  # so many there are, above scores that a cut may have
    cuts = cuts_for_alarms(scores, wanted)
    found = scores["causal"] >= cuts.of("causal")
    assert 0.99 * wanted < 10_000 * found.sum() / events <= wanted
    sure = cuts_for_alarms(scores, 50.0)
    assert sure.of("causal")[0] == np.float32(0.99)
    assert 10_000 * (scores["causal"] >= sure.of("causal"))[:, 1:].sum() / events <= 50
    halves = [cuts.of("causal", point)[4] for point in OperatingPoint]
    assert halves == sorted(halves, reverse=True)


def test_no_kind_flags_more_than_the_budget_of_what_is_normal(foreign: Path) -> None:
    """By the bundled tables every code is forged: its cut rises as far as may be; others stay, or are in the budget."""
    source = AlarmCuts(NETWORK.manifest.thresholds, NETWORK.manifest.operating_points)
    scores = judged(dataset.load(foreign), TABLES)
    cuts = cuts_within_budget(dict.fromkeys(MODES, scores), np.ones(len(scores), dtype=np.bool_), source)
    for point in OperatingPoint:
        own, found = (each.of("causal", point) for each in (source, cuts))
        assert found[0] == np.float32(0.99)
        shares = (scores >= found).mean(axis=0)[1:]
        assert (shares <= 0.01).all()
        within = (scores >= own).mean(axis=0)[1:] <= 0.01
        np.testing.assert_array_equal(found[1:][within], own[1:][within])


def test_new_weeks_come_in_and_old_lots_go(foreign: Path, adopted: Path, tmp_path: Path) -> None:
    """The later half of a file is added to the tables of all, as if it were new; lots of winter are forgotten."""
    repository = tmp_path / "repository"
    shutil.copytree(adopted, repository)
    data = tmp_path / "data"
    data.mkdir()
    shutil.copyfile(foreign / "locations.csv", data / "locations.csv")
    lines = (foreign / "a_hamburg.csv").read_text().splitlines(keepends=True)
    (data / "new.csv").write_text(lines[0] + "".join(lines[len(lines) // 2 :]))
    job = AdoptJob(data, repository, repository, tmp_path / "report", update=True, forget_days=60)
    adopt_folder(job, AdoptSettings(plant=False), silent)
    old, new = (load(repository, version, feature_spec_hash=feature_spec_hash()).manifest for version in (1, 2))
    assert new.files == old.files
    assert new.lineage["updated_from"]["model"] == "epc_lstm/1"  # type: ignore[index,call-overload]
    said = json.loads((tmp_path / "report" / "report.json").read_text())["warnings"]
    assert any("on their way before" in text for text in said)
    before, after = (Reference.from_json(one.reference) for one in (old, new))
    assert before.lot_day[:, 1].min() < after.lot_day[:, 1].min()
    assert len(after.product_lot.key) < len(before.product_lot.key)
    assert after.scan.count.sum() > before.scan.count.sum()


def test_only_an_adoption_can_be_updated(foreign: Path, tmp_path: Path) -> None:
    job = AdoptJob(foreign, BUNDLED, BUNDLED, tmp_path / "report", update=True)
    with pytest.raises(SentinelError, match="is no adoption, so there is nothing to update"):
        adopt_folder(job, AdoptSettings(), silent)
