"""Operating points in an evaluation, and the budget of false alarms on a world that the training did not have."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from service.events.vocabulary import KINDS, MODES, OperatingPoint
from tests.support.trained import SHORT, silent
from training.evaluation.detectors import ENSEMBLE, MODEL, SVM
from training.evaluation.evaluate import EvaluateOptions, Evaluation, evaluate
from training.evaluation.points import ALARMS, POINT
from training.evaluation.slices import FALSE_ALARMS
from training.evaluation.tables import Numbers, sheets
from training.runs.folder import RUN_FILE
from training.simulation.world import simulate

QUICK = EvaluateOptions(baselines=False, resamples=0)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a world that the tiny run was not trained on."""
    folder = tmp_path_factory.mktemp("elsewhere")
    simulate(folder, epcs=1_500, seed=13)
    return folder


@pytest.fixture(scope="module")
def found(tiny_run: Path, elsewhere: Path) -> Evaluation:
    return evaluate(tiny_run, elsewhere, None, QUICK, silent)


@pytest.mark.parametrize("name", [MODEL, SVM, ENSEMBLE])
def test_on_another_world_a_detector_keeps_to_twice_its_budget_of_false_alarms(found: Evaluation, name: str) -> None:
    numbers = Numbers(found.table)
    for mode in MODES:
        for kind in KINDS:
            share = numbers.value(mode, name, f"{POINT}sensitive", kind, FALSE_ALARMS)
            assert 0 <= share <= 2 * SHORT.false_positive_budget, (mode, kind)
    assert not [notice for notice in found.notices if "budget" in notice]


def test_every_detector_that_learned_has_its_points_in_a_table(found: Evaluation) -> None:
    numbers = Numbers(found.table)
    for mode, part in found.judged.items():
        [sheet] = [sheet for sheet in sheets(found.table) if sheet.title == f"{mode}: operating points"]
        assert [row[0] for row in sheet.rows] == [
            f"{name}: {kind}" for name in (MODEL, SVM, ENSEMBLE) for kind in KINDS
        ]
        verdicts = part.detectors[ENSEMBLE]
        assert verdicts.points is not None
        alarms = []
        for point in OperatingPoint:
            flags = verdicts.scores >= np.array(verdicts.points[point], np.float32)
            alarms.append(numbers.value(mode, ENSEMBLE, f"{POINT}{point}", "epcFake", ALARMS))
            assert alarms[-1] == pytest.approx(1e4 * flags[:, 0].mean())
        assert alarms == sorted(alarms), "from precise to sensitive there are ever more"


def test_a_detector_that_does_not_keep_to_its_budget_is_named(tiny_run: Path, elsewhere: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    record = json.loads((copy / RUN_FILE).read_text())
    record["svm_operating_points"]["sensitive"]["causal"][4] = 0.0
    (copy / RUN_FILE).write_text(json.dumps(record))
    [notice] = [notice for notice in evaluate(copy, elsewhere, None, QUICK, silent).notices if "budget" in notice]
    assert notice.startswith("The one-class svm raises more than twice the false alarms that its budget of 1.0%")
    assert "jump 100.0% (causal)" in notice


def test_a_run_of_costs_has_no_points_and_no_budget(tiny_run: Path, elsewhere: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    record = json.loads((copy / RUN_FILE).read_text())
    record["config"] |= {"miss_cost": 10.0, "false_alarm_cost": 1.0}
    record["operating_points"] = None
    record["thresholds"]["causal"] = [0.0] * 5
    (copy / RUN_FILE).write_text(json.dumps(record))
    evaluation = evaluate(copy, elsewhere, None, QUICK, silent)
    assert not [notice for notice in evaluation.notices if "budget" in notice]
    numbers = Numbers(evaluation.table)
    for point in OperatingPoint:
        assert numbers.value("causal", MODEL, f"{POINT}{point}", "jump", ALARMS) == 1e4
