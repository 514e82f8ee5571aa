"""Whole data are judged as a gateway judges them: it spares the codes of somebody else's network, file by file."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from service.__main__ import app
from service.detect.detector import CERTAIN_SCORE, Judgement
from service.detect.names import DetectorName
from service.detect.rules import Table, twice_at_once
from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES
from service.features.table import INDEX
from service.gateway.build import build_wiring
from service.settings import load_settings
from tests.support.foreign import write_foreign_world
from tests.support.trained import TinyWorld, silent
from training.datasets.truth import truth_beside
from training.evaluation.data_under_test import Subject, whole
from training.evaluation.detectors import ENSEMBLE, MODEL, RULES, SVM
from training.evaluation.evaluate import EvaluateOptions, evaluate, judge
from training.runs.folder import Run
from training.samples.samples import samples

SPARED = "; no code is epcFake for that alone."

SERVED = {
    MODEL: DetectorName.LSTM,
    SVM: DetectorName.SVM,
    RULES: DetectorName.RULES,
    ENSEMBLE: DetectorName.ENSEMBLE,
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another generator's network."""
    folder = tmp_path_factory.mktemp("foreign")
    write_foreign_world(folder, 1_800, 5)
    return folder


def of(folder: Path, run: Run) -> Subject:
    return whole(run.reference, folder, truth_beside(folder))[0]


async def served(repository: Path, events: Events, mode: str, unknown_codes: str) -> dict[str, Judgement]:
    settings = load_settings(backend=f"onnx:{repository}", unknown_codes=unknown_codes, history="none")
    wiring = build_wiring(settings)
    judges = wiring.analyzer.analyze if mode == MODES[0] else wiring.analyzer.stream().follow
    found = {name: await judges(events, detector) for name, detector in SERVED.items()}
    await wiring.close()
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unknown_codes", ["spared", "flagged"])
def test_every_detector_judges_another_network_as_a_gateway_does(
    tiny_run: Path, exported: Path, foreign: Path, unknown_codes: str, mode: str
) -> None:
    run = Run.load(tiny_run)
    subject = replace(of(foreign, run), spares_unknown=unknown_codes == "spared")
    judged = judge(run, subject)[mode]
    for name, judgement in asyncio.run(served(exported, subject.events, mode, unknown_codes)).items():
        off = np.abs(judged.detectors[name].scores - judgement.scores[judged.samples.index])
        assert (off > 0.1).mean() < 0.02, name  # a served graph tells less from 0, and a one-class SVM is steep


@pytest.mark.parametrize("mode", MODES)
def test_what_is_certain_is_as_sure_as_a_gateway_is_of_it(
    tiny_run: Path, exported: Path, tiny_world: TinyWorld, mode: str
) -> None:
    events = tiny_world.dataset.events
    order = np.lexsort((events.event_id, events.time_us, events.epc))
    moved = np.diff(events.epc[order]) == 0
    moved &= np.diff(events.location_id[order]) != 0
    first, second = (order[np.flatnonzero(moved)[::40] + at] for at in (0, 1))  # of places some minutes apart, and more
    time_us = events.time_us.copy()
    time_us[second] = time_us[first]
    events = replace(events, time_us=time_us)
    run = Run.load(tiny_run)
    judged = judge(run, Subject(events, tiny_world.known, run.reference))[mode]
    kinds = {
        "epcFake": judged.samples.features[:, INDEX["code_well_formed"]] == 0,
        "epcDup": twice_at_once(Table(judged.samples.features)),
    }
    answers = asyncio.run(served(exported, events, mode, "spared"))
    for kind, certain in kinds.items():
        column = KINDS.index(kind)
        assert certain.any()
        for name in (MODEL, SVM, ENSEMBLE):
            here = judged.detectors[name].scores[certain, column]
            there = answers[name].scores[judged.samples.index][certain, column]
            assert here.min() >= np.float32(CERTAIN_SCORE) <= there.min(), (kind, name)


@pytest.mark.parametrize("causal", [False, True])
def test_where_codes_are_known_nothing_changes(tiny_run: Path, other_world: Path, causal: bool) -> None:
    run = Run.load(tiny_run)
    subject = of(other_world, run)
    plain = samples(subject.events, subject.known.labels, run.reference, causal=causal, limit=8, settle_us=10)
    np.testing.assert_array_equal(subject.samples(causal=causal, limit=8, settle_us=10).features, plain.features)
    assert not subject.warnings


def test_an_evaluation_says_what_was_spared_and_is_told_not_to(tiny_run: Path, foreign: Path, tmp_path: Path) -> None:
    found = evaluate(tiny_run, foreign, None, EvaluateOptions(baselines=False, resamples=0), silent)
    said = [notice for notice in found.notices if "are of products" in notice]
    assert said
    assert all(one.startswith("file_id ") and one.endswith(SPARED) for one in said)
    assert not {"1", "2", "3"} - set(re.findall(r"\d+", " ".join(one.partition(":")[0] for one in said)))
    arguments = ["evaluate", tiny_run, "--data", foreign, "--no-baselines", "--out", tmp_path]
    done = CliRunner().invoke(app, [*map(str, arguments), "--unknown-codes", "flagged"])
    assert done.exit_code == 0, done.output
    shown = " ".join(done.output.split())
    assert "100 % of the codes are of products" in shown
    assert SPARED not in shown
