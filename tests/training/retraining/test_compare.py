"""Two runs on the same events: the same run passes, a worse one is refused with reasons and journeys."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.dialect.load import load_dialect
from service.features.table import feature_spec_hash
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.register import Register
from tests.k8s.workflow import step
from tests.support.command import run as command
from tests.support.folders.rewritten import elements, rewrite
from tests.support.trained import SHORT, TinyWorld, silent
from training.datasets.truth import Truth
from training.errors import DataError
from training.retraining import paired
from training.retraining.by_slice import SliceChange
from training.retraining.compare import compare_on, compare_runs
from training.retraining.gate import GateLimits, refusals, untold
from training.retraining.ground import Contest, Ground, read_ground
from training.retraining.paired import Comparison
from training.retraining.report import sheets, verdict
from training.retraining.worst_errors import worst_journeys
from training.runs.folder import Run
from training.samples.labelled_data import load

FEW = 200  # resamples


@pytest.fixture(scope="module")
def worse_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with noise in its weights, so that it ranks worse, and says so less surely."""
    run, folder = Run.load(tiny_run), tmp_path_factory.mktemp("worse")
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in run.model.model.project.parameters():
            weight.add_(torch.randn_like(weight) * weight.std().nan_to_num(0.1) * 2)
    run.save(folder)
    return folder


@pytest.fixture(scope="module")
def ground(tiny_run: Path, worse_run: Path, other_world: Path) -> Ground:
    """A world that neither run has seen, judged by both."""
    world, known, _ = load(other_world, other_world / "truth.parquet", SHORT.max_length)
    return Contest(Run.load(tiny_run), Run.load(worse_run)).ground("other", world.events, known)


def test_a_run_is_no_worse_than_itself(tiny_run: Path, other_world: Path) -> None:
    found = compare_runs(tiny_run, tiny_run, other_world, None, silent, FEW)
    assert found.passes
    assert verdict(found) == ["RUN_B passes the gate: it is no worse than RUN_A."]
    assert {(one.difference, one.low, one.high, one.ece_difference, one.cost_difference) for one in found.compared} == {
        (0.0, 0.0, 0.0, 0.0, 0.0)
    }
    assert all(one.change == 0 for one in found.changes)


def test_a_worse_run_is_refused_with_its_errors(tiny_run: Path, worse_run: Path, other_world: Path) -> None:
    found = compare_runs(tiny_run, worse_run, other_world, None, silent, FEW)
    assert not found.passes
    assert any("is worse: AP differs by -" in line for line in found.refused)
    assert any(": falls from " in line for line in found.refused)
    assert all(one.low <= one.difference <= one.high for one in found.compared)
    assert found.worst
    assert found.worst[0].error > 0.5
    assert found.worst[0].error > found.worst[0].champion_error
    back = compare_runs(worse_run, tiny_run, other_world, None, silent, FEW)
    forth = {(one.mode, one.kind): one.difference for one in found.compared}
    assert {(one.mode, one.kind): -one.difference for one in back.compared} == pytest.approx(forth)


def test_the_journeys_are_those_of_the_events(ground: Ground) -> None:
    for journey in worst_journeys(ground, "causal", 3):
        rows = np.flatnonzero(ground.events.epc == list(ground.events.epc_codes).index(journey.epc_code))
        assert {line.event_id for line in journey.lines} == set(ground.events.event_id[rows].tolist())
        assert journey.event_id in {line.event_id for line in journey.lines}
        assert any(line.truth != "normal" or line.challenger != "-" for line in journey.lines)


def test_a_run_of_another_network_is_compared_on_its_files(tiny_run: Path, other_world: Path, tmp_path: Path) -> None:
    network = rewrite(other_world, tmp_path / "five", elements, five_levels=True)
    run = Run.load(tiny_run)
    run = replace(run, reference=replace(run.reference, dialect=load_dialect(network)))
    ground = read_ground(Contest(run, run), set(), network.parent, None)
    assert len(ground.events) > 1_000
    assert {type_ for type_ in ground.events.event_type.tolist() if type_ >= 0} > {0, 1}
    assert all(code.startswith("~") for code in list(ground.events.epc_codes)[:5])


def test_unknown_labels_count_for_nothing(ground: Ground) -> None:
    labels = ground.known.labels.copy()
    forgotten = np.random.default_rng(2).random(len(labels)) < 0.5
    labels[forgotten] = np.nan
    part = replace(ground, known=Truth(labels), is_whole=False, champion=known(ground.champion, labels),
                   challenger=known(ground.challenger, labels))  # fmt: skip
    some = {(one.mode, one.kind): one for one in paired.compare(part, resamples=FEW)}
    for one in paired.compare(ground, resamples=FEW):
        column = ["epcFake", "epcDup", "locErr", "evtOrderErr", "jump"].index(one.kind)
        assert some[one.mode, one.kind].anomalies == int((labels[:, column] >= 0.5).sum())
    assert compare_on([part], [], FEW).changes == []


def known(judged: dict, labels: np.ndarray) -> dict:  # type: ignore[type-arg]
    return {
        mode: replace(one, samples=replace(one.samples, labels=labels[one.samples.index]))
        for mode, one in judged.items()
    }


def test_an_event_that_stands_for_two_counts_as_two(ground: Ground) -> None:
    """Weights are those of the sample; twice all changes nothing, twice the false alarms costs more."""
    once, twice = (
        paired.compare(replace(ground, weight=np.full(len(ground.events), weight)), resamples=FEW)
        for weight in (1.0, 2.0)
    )
    for one, two in zip(once, twice, strict=True):
        assert (two.ap, two.cost, two.ece) == pytest.approx((one.ap, one.cost, one.ece))
    normal = ground.known.labels.max(axis=1) < 0.5
    heavy = paired.compare(replace(ground, weight=np.where(normal, 3.0, 1.0)), resamples=FEW)
    assert sum(one.ap for one in heavy) < sum(one.ap for one in once)


@pytest.mark.filterwarnings("error")
def test_a_resample_without_a_known_event_tells_nothing(ground: Ground) -> None:
    """Of two items of hundreds something is known: one resample in seven draws neither of them."""
    anomalous = ground.known.labels.max(axis=1) >= 0.5
    epc = ground.events.epc
    normal = np.setdiff1d(epc, epc[anomalous])[0]
    labels = ground.known.labels.copy()
    labels[~np.isin(epc, [epc[anomalous][0], normal])] = np.nan
    part = replace(ground, champion=known(ground.champion, labels), challenger=known(ground.challenger, labels))
    found = paired.compare(part, resamples=FEW)
    assert found
    for one in found:
        assert np.isfinite([one.cost, one.cost_difference, one.cost_low, one.cost_high]).all()
        assert one.cost_low <= one.cost_high


def of(low: float, high: float, **other: float) -> Comparison:
    one = Comparison("g", "causal", "jump", 100, 0.9, (low + high) / 2, low, high, 0.01, 0.0, 10.0, 0.0, 0.0, 0.0)
    return replace(one, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (of(-0.0019, 0.01), ""),
        (of(-0.0021, 0.01), "may be worse"),
        (of(-0.03, -0.01), "is worse"),
        (of(0.0, 0.0, ece_difference=0.0049), ""),
        (of(0.0, 0.0, ece_difference=0.0051), "calibration error rises"),
        (of(0.0, 0.0, cost_low=0.49), ""),
        (of(0.0, 0.0, cost_low=0.51), "cost of 1,000 events rises"),
        (of(-0.5, -0.4, anomalies=19), "nothing to tell by"),
    ],
)
def test_each_limit_refuses(one: Comparison, reason: str) -> None:
    found = refusals([one], [])
    assert bool(found) == bool(reason)
    assert reason in " ".join(found)


def test_a_slice_that_falls_refuses_and_few_anomalies_are_said() -> None:
    fallen, held = (SliceChange("g", "causal", "variant x", "jump", 60, 0.9, to) for to in (0.879, 0.881))
    assert len(refusals([of(0, 0)], [fallen])) == 1
    assert refusals([of(0, 0)], [held]) == []
    assert untold([of(0, 0, anomalies=3)], GateLimits()) == [
        "g, causal, jump: 3 known anomalies, of fewer than 20 nothing is told"
    ]


def test_people_who_say_too_little_let_nobody_pass(tiny_run: Path, ground: Ground) -> None:
    """However good a challenger is where the truth is known: on what people were asked about nothing is told."""
    run = Run.load(tiny_run)
    whole = Contest(run, run).ground("whole", ground.events, ground.known)
    labels = np.full_like(ground.known.labels, np.nan)
    few = np.flatnonzero(ground.known.labels.max(axis=1) >= 0.5)[:10]
    said = []
    for rows in (few, np.arange(len(labels))):
        labels[rows] = ground.known.labels[rows]
        said.append(
            Contest(run, run).ground(
                "audited", ground.events, Truth(labels.copy()), represents=False, said_by_people=True
            )
        )
    little, much = said
    reason = "audited: nothing is told: fewer than 20 known anomalies of every kind, label more"
    assert compare_on([whole, little], [], FEW).refused == [reason]
    mute = replace(little, name="mute", champion=known(little.champion, np.full_like(labels, np.nan)))
    assert compare_on([whole, mute], [], FEW).refused == [reason.replace("audited", "mute")]
    assert compare_on([whole, much], [], FEW).passes


def test_the_command(  # noqa: PLR0917 - what a comparison is of
    tiny_run: Path, exported: Path, worse_run: Path, other_world: Path, tiny_world: TinyWorld, tmp_path: Path
) -> None:
    worse = shutil.copytree(worse_run, tmp_path / "runs" / "worse")
    (tmp_path / "runs" / "mine").symlink_to(tiny_run)
    of_volume = {"runs": tmp_path / "runs", "lifecycle": tmp_path / "lifecycle", "model_repository": exported}
    workflow = [*step("compare", new_run=worse, golden=other_world, **of_volume), "--resamples", FEW]
    refused = command(*workflow)
    assert "names no champion yet" in refused.stderr.splitlines()[-1]
    Register(exported, PromotionLog(tmp_path / "lifecycle"), feature_spec_hash()).begin(1)
    done = command(*workflow)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: {worse} is refused: {tmp_path}/runs/mine stays"
    written = json.loads((worse / "compare.json").read_text())
    assert written["passes"] is False
    assert "RUN_B does not pass the gate: " in done.stdout
    assert "RUN_B against RUN_A" in done.stdout
    assert written["worst"][0]["epc_code"] in done.stdout
    assert len(sheets(compare_runs(tiny_run, worse_run, other_world, None, silent, FEW))) > 3
    refused = command("compare", tiny_run, worse_run, "--data", tiny_world.folder)
    assert refused.returncode == 1
    assert "one of the runs learned from all its EPCs" in refused.stderr.splitlines()[-1]


def test_truth_is_needed(tiny_run: Path, other_world: Path, tmp_path: Path) -> None:
    for file in other_world.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match=r"has no truth.parquet or truth.csv; name the truth file with --truth"):
        compare_runs(tiny_run, tiny_run, tmp_path, None, silent, FEW)
