"""Networks with other words and other codes, from their raw files to the answers of a gateway."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from export.adopted import AdoptJob, adopt_folder
from service.dialect.load import load_dialect
from service.events.vocabulary import KINDS
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.repository import load
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.command import assert_one_line, run
from tests.support.folders.rewritten import elements, rewrite, sgtin
from tests.support.gateway import ROOT, Gateway
from tests.support.requests import call
from tests.support.trained import SHORT, TinyWorld, silent
from training.adoption.settings import AdoptSettings
from training.samples.labelled_data import load as load_labelled
from training.samples.reference import learn
from training.samples.splits import normal_events

BUNDLED = ROOT / "model_repository"


@dataclass(frozen=True)
class OtherNetwork:
    """A world in other words, and a model repository that knows them."""

    folder: Path
    repository: Path

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of one raw file, with the columns' own names."""
        with (self.folder / "icn.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def adopted(folder: Path, network: Path) -> OtherNetwork:
    """Return what the bundled model makes of a world."""
    settings = AdoptSettings(dialect=load_dialect(network))
    job = AdoptJob(network.parent, BUNDLED, folder / "repository", folder / "report")
    adopt_folder(job, settings, silent)
    return OtherNetwork(network.parent, folder / "repository")


@pytest.fixture(scope="module")
def by_sgtin(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> OtherNetwork:
    """A network whose codes are SGTINs, which have no lot and no date."""
    out = tmp_path_factory.mktemp("sgtin")
    return adopted(out, rewrite(tiny_world.folder, out / "world", sgtin, five_levels=False))


@pytest.fixture(scope="module")
def of_five_levels(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> OtherNetwork:
    """A network of five levels with other columns, steps, types and codes."""
    out = tmp_path_factory.mktemp("five_levels")
    return adopted(out, rewrite(tiny_world.folder, out / "world", elements, five_levels=True))


@pytest.fixture(scope="module")
def gateway(by_sgtin: OtherNetwork) -> Iterator[str]:
    with Gateway("--backend", f"onnx:{by_sgtin.repository}", "--history", "memory") as running:
        yield running.target


def asked(rows: list[dict[str, str]], names: tuple[str, ...]) -> pb.AnalyzeRequest:
    """Return the request of a caller who sends his rows as they are; ``names`` are his columns."""
    code, place, step, kind, time = names
    request = pb.AnalyzeRequest()
    for row in rows:
        scan = request.data.add(
            event_id=int(row["event_id"]),
            epc_code=row[code],
            location_id=int(row[place]),
            business_step=row[step],
            event_type=row[kind],
            file_id=1,
        )
        scan.event_time.FromDatetime(pd.Timestamp(row[time]).to_pydatetime())
    return request


def test_a_training_learns_from_other_words(of_five_levels: OtherNetwork) -> None:
    network = load_dialect(of_five_levels.folder / "network.toml")
    world, known, labelled = load_labelled(
        of_five_levels.folder, of_five_levels.folder / "truth.parquet", SHORT.max_length, dialect=network
    )
    tables = learn(world.events, normal_events(known.labels), labelled.masters)
    assert tables.dialect == network
    assert set(np.unique(world.events.event_type)) == {0, 1, 2, 5, 6, 7, 8, 9}
    assert world.warnings == ()
    assert_one_line(
        run("train", "--data", of_five_levels.folder, "--out", "none", "--network", "nothing.toml"), 2, "nothing.toml"
    )


SGTIN_COLUMNS = ("epc_code", "location_id", "business_step", "event_type", "event_time")
FORGED = "urn:epc:id:sgtin:8804823.099999.77"


def test_a_gateway_answers_on_sgtins_as_they_were_sent(by_sgtin: OtherNetwork, gateway: str) -> None:
    request = asked(by_sgtin.rows()[:600], SGTIN_COLUMNS)
    forged = request.data[0]
    forged.epc_code = FORGED
    answer = pb.AnalyzeResponse.FromString(call(gateway, "Analyze", request.SerializeToString()))
    sent = {scan.epc_code for scan in request.data}
    fakes = {stats.epc_code for stats in answer.epc_anomaly_stats if stats.epc_fake_count}
    assert {stats.epc_code for stats in answer.epc_anomaly_stats} <= sent
    assert FORGED in fakes
    assert len(fakes) < 0.2 * len(sent)  # nobody is forged for having no lot and no date
    assert "dirt" not in answer.warning


def test_rules_find_no_fake_in_what_sgtins_lack(by_sgtin: OtherNetwork, gateway: str) -> None:
    request = asked(by_sgtin.rows()[:2_000], SGTIN_COLUMNS)
    request.detector, request.explain = pb.DETECTOR_RULES, True
    answer = pb.AnalyzeResponse.FromString(call(gateway, "Analyze", request.SerializeToString()))
    truth = pd.read_parquet(by_sgtin.folder / "truth.parquet").set_index("event_id")
    found = {finding.event_id: finding.epc_fake_cause for finding in answer.event_history if finding.epc_fake}
    assert set(found.values()) <= {"code_malformed", "product_unknown", "first_seen_downstream", "company_unknown"}
    assert all(truth.loc[number, list(KINDS)].any() for number in found)


def test_why_a_code_is_malformed_is_said(by_sgtin: OtherNetwork, gateway: str) -> None:
    request = asked(by_sgtin.rows()[:1], SGTIN_COLUMNS)
    request.data[0].epc_code, request.explain = "(01)08804823000019(21)5", True
    for language, begins, why in (
        (
            "en",
            'The code "(01)08804823000019(21)5" of 23 characters',
            "check digit of its GTIN 08804823000019",
        ),
        ("ko", "23자인 코드", "GTIN 08804823000019의 검사 숫자는 9"),
    ):
        raw = call(gateway, "Analyze", request.SerializeToString(), metadata=[("accept-language", language)])
        [finding] = pb.AnalyzeResponse.FromString(raw).event_history
        assert finding.epc_fake_cause == "code_malformed"
        assert finding.epc_fake_reason.startswith(begins)
        assert why in finding.epc_fake_reason


def test_a_stream_of_sgtins_remembers_them(by_sgtin: OtherNetwork, gateway: str) -> None:
    done = run("replay", by_sgtin.folder / "kum.csv", "--target", gateway, "--json")
    again = run(
        "replay",
        by_sgtin.folder / "kum.csv",
        "--target",
        gateway,
        "--json",
        "--network",
        by_sgtin.folder / "network.toml",
    )
    assert again.returncode == 0, again.stderr
    first, second = json.loads(done.stdout), json.loads(again.stdout)
    assert second["findings"] == first["findings"]  # judged once, and answered the same again
    assert second["events"] == first["events"]


def test_the_manifest_keeps_what_the_network_says(by_sgtin: OtherNetwork, of_five_levels: OtherNetwork) -> None:
    for network in (by_sgtin, of_five_levels):
        model = load(network.repository, feature_spec_hash=feature_spec_hash())
        assert Reference.from_json(model.manifest.reference).dialect == load_dialect(network.folder / "network.toml")


def test_a_network_of_five_levels_is_adopted_and_judged_in_its_words(of_five_levels: OtherNetwork) -> None:
    rows = of_five_levels.rows()
    backend = f"onnx:{of_five_levels.repository}"
    done = run("analyze", of_five_levels.folder / "icn.csv", "--backend", backend, "--json")  # it knows the words
    assert done.returncode == 0, done.stderr
    [answer] = json.loads(done.stdout)["files"]
    truth = pd.read_parquet(of_five_levels.folder / "truth.parquet").set_index("event_id")
    numbers = [int(row["event_id"]) for row in rows]
    for kind, least in (("epcFake", 0.5), ("epcDup", 0.5), ("locErr", 0.5)):
        wrong = truth[kind].reindex(numbers).to_numpy() > 0
        flagged = {int(finding["eventId"]) for finding in answer["EventHistory"] if finding.get(kind)}
        found = np.isin(numbers, list(flagged))
        assert found[wrong].mean() >= least, kind
        assert found[~truth.reindex(numbers)[list(KINDS)].any(axis=1).to_numpy()].mean() < 0.02, kind
    codes = {row["item"] for row in rows}
    assert {stats["epcCode"] for stats in answer["epcAnomalyStats"]} <= codes
    with Gateway("--backend", backend) as running:
        remote = run(
            "analyze",
            of_five_levels.folder / "icn.csv",
            "--target",
            running.target,
            "--network",
            of_five_levels.folder / "network.toml",
            "--json",
        )
        assert json.loads(remote.stdout) == json.loads(done.stdout), remote.stderr
        names = ("item", "site", "stage", "activity", "scanned_at")
        raw = call(running.target, "Analyze", asked(rows[:200], names).SerializeToString())
        assert len(pb.AnalyzeResponse.FromString(raw).event_history) > 0
