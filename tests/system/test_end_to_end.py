"""From the raw files of a foreign world to findings: train, export and serve as a user calls them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from service.api.requests import encode_request
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.command import run
from tests.support.foreign import FILES, MALFORMED_PER_FILE, UNMAPPED, write_foreign_world
from tests.support.gateway import Gateway
from tests.support.requests import call
from training.datasets import dataset
from training.network.predict import predict
from training.runs.folder import Run
from training.samples.samples import samples

EPCS = 2_400
SETTINGS = {"hidden": 24, "epochs": 3, "windows_per_epoch": 10_000, "batch": 64, "learning_rate": 0.01}
FIELDS = ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump")  # of an answer, in the order of KINDS


@dataclass(frozen=True)
class Foreign:
    """A folder to train on, and events of items that are not in it."""

    folder: Path
    strangers: Events
    labels: NDArray[np.bool_]  # [N, 5] truth of the strangers

    @property
    def truth(self) -> Path:
        return self.folder / "truth.csv"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    whole, folder = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("foreign")
    truth = pd.read_csv(write_foreign_world(whole, EPCS, seed=17), index_col="event_id")
    events = dataset.load(whole).events
    held_out = np.random.default_rng(0).random(len(events.epc_codes)) < 0.3  # enough of every kind
    strangers = events.take(held_out[events.epc])
    left_out = set(strangers.event_id.tolist())
    event_id, kept = 0, []
    for name in FILES:
        header, *lines = (whole / name).read_text(encoding="utf-8").splitlines(keepends=True)
        numbers = range(event_id + 1, event_id + 1 + len(lines))
        event_id += len(lines)
        stay = [number not in left_out for number in numbers]
        kept += [number for number, stays in zip(numbers, stay, strict=True) if stays]
        text = "".join([header, *(line for line, stays in zip(lines, stay, strict=True) if stays)])
        (folder / name).write_text(text, encoding="utf-8")
    for name in ("locations.csv", "transitions.csv"):
        (folder / name).write_bytes((whole / name).read_bytes())
    truth.loc[kept].reset_index(drop=True).rename_axis("event_id").rename(index=lambda row: row + 1).to_csv(
        folder / "truth.csv"
    )
    return Foreign(folder, strangers, truth.loc[strangers.event_id, list(KINDS)].to_numpy(dtype=bool))


def succeed(*arguments: object) -> None:
    done = run(*arguments, timeout_s=240)
    assert done.returncode == 0, done.stderr


def train(folder: Path, *flags: object) -> Path:
    """Train by the command and return the run folder."""
    (folder / "config.json").write_text(json.dumps(SETTINGS))
    succeed("train", *flags, "--config", folder / "config.json", "--out", folder / "run")
    return folder / "run"


def findings(repository: Path, events: Events) -> NDArray[np.bool_]:
    """Return what a gateway with this model flags [N, 5] of the events, sent as one file."""
    request = encode_request(replace(events, file_id=np.ones_like(events.file_id)), "lstm")
    with Gateway("--backend", f"onnx:{repository}") as gateway:
        answer = pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", request.SerializeToString()))
    assert (answer.method, answer.warning) == ("lstm-deep-learning", "")
    flagged = np.zeros((len(events), len(KINDS)), dtype=np.bool_)
    row_of = {event_id: row for row, event_id in enumerate(events.event_id.tolist())}
    for event in answer.event_history:
        flagged[row_of[event.event_id]] = [getattr(event, field) for field in FIELDS]
    return flagged


def test_anomalies_of_a_foreign_world_are_found(foreign: Foreign, tmp_path: Path) -> None:
    run_folder = train(tmp_path, "--data", foreign.folder, "--truth", foreign.truth)
    lineage = json.loads((run_folder / "run.json").read_text())["lineage"]
    assert lineage["quarantined_rows"] == MALFORMED_PER_FILE * len(FILES)
    succeed("export", run_folder, "--out", tmp_path / "repository")
    flagged, truth = findings(tmp_path / "repository", foreign.strangers), foreign.labels
    recall = dict(zip(KINDS, (flagged & truth).sum(axis=0) / truth.sum(axis=0), strict=True))
    false_alarms = dict(zip(KINDS, (flagged & ~truth).sum(axis=0) / (~truth).sum(axis=0), strict=True))
    assert truth.sum(axis=0).min() > 10, "every kind occurs"
    assert min(recall.values()) > 0.6, recall
    assert max(false_alarms.values()) < 0.02, false_alarms
    codes = np.array(foreign.strangers.epc_codes)[foreign.strangers.epc]
    malformed = np.char.find(codes, "-") > 0
    assert malformed.any()
    assert flagged[malformed, KINDS.index("epcFake")].all()


def test_without_truth_the_rules_teach(foreign: Foreign, tmp_path: Path) -> None:
    model = Run.load(train(tmp_path, "--data", foreign.folder))
    part = samples(foreign.strangers, foreign.labels.astype(np.float32), model.reference, causal=False, limit=32)
    flagged, truth = predict(model.model, part) > model.record.thresholds.retrospective, part.labels > 0
    assert (flagged & truth).sum() > 0.3 * truth.sum()
    assert flagged[~truth.any(axis=1)].any(axis=1).mean() < 0.15


def test_the_location_master_lacks_a_place_that_is_scanned(foreign: Foreign) -> None:
    known = set(pd.read_csv(foreign.folder / "locations.csv")["location_id"])
    assert set(foreign.strangers.location_id.tolist()) - known
    assert UNMAPPED[0] not in (foreign.folder / "locations.csv").read_text(encoding="utf-8")
