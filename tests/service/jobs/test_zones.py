"""The same scans told in local and in true times get the same findings, at sites of one zone and of two."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict

from service.api.requests import encode_request
from service.client.gateway import GatewayClient
from service.client.stream import GatewayStream
from service.detect.names import DetectorName
from service.errors import SettingsError
from service.events.columns import Events
from service.events.zones import SEOUL, TimeZones
from service.jobs.zones import site_zones
from service.model.manifest import MANIFEST_FILE, Manifest
from service.rawfiles.columns import read_files
from service.settings import load_settings
from tests.support.command import FORGED, HEADER, assert_one_line, run
from tests.support.gateway import Gateway
from training.simulation.world import simulate

FILE = "icn.csv"


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A world, and a model repository whose model knows its zones."""

    raw: Path  # a raw file as a backend in Seoul writes it
    zones: TimeZones
    repository: Path


@pytest.fixture(scope="module", params=["one zone", "two zones"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundled_repository: Path) -> Site:
    folder = tmp_path_factory.mktemp("site")
    simulate(folder, 600, seed=21)
    if request.param == "one zone":
        return Site(folder / FILE, TimeZones(SEOUL), bundled_repository)
    places = np.unique(read_files([folder / FILE]).events.location_id)
    zones = TimeZones(SEOUL, dict.fromkeys(places[::2].tolist(), "Asia/Kolkata"))
    shutil.copytree(bundled_repository, folder / "repository")
    for path in (folder / "repository").glob(f"*/*/{MANIFEST_FILE}"):
        manifest = Manifest.model_validate_json(path.read_bytes())
        told = manifest.model_copy(update={"reference": manifest.reference | {"zones": zones.to_json()}})
        path.write_text(told.to_json())
    return Site(folder / FILE, zones, folder / "repository")


@pytest.fixture(scope="module")
def instants(site: Site) -> Events:
    return read_files([site.raw]).events


@pytest.fixture(scope="module")
def local(site: Site, instants: Events) -> Events:
    """The same, with what the clocks of the sites showed as if in UTC."""
    return replace(instants, time_us=site.zones.local_us(instants.time_us, instants.location_id))


@pytest.fixture(scope="module")
def findings(site: Site, instants: Events) -> Iterator[dict[str, object]]:
    """What a gateway finds that is sent instants."""
    with Gateway("--backend", f"onnx:{site.repository}") as running:
        found = ask(running, instants)
        assert len(found["EventHistory"]) > 20  # type: ignore[arg-type]
        yield found


def ask(running: Gateway, events: Events) -> dict[str, object]:
    async def asked() -> dict[str, object]:
        client = GatewayClient(running.target)
        try:
            [answer] = await client.analyze(events, DetectorName.LSTM)
        finally:
            await client.close()
        return MessageToDict(answer)

    return asyncio.run(asked())


def rewritten(site: Site, folder: Path, events: Events, zone: str) -> Path:
    """Return the raw file with the times of ``events``, each with ``zone`` behind it."""
    header, *rows = site.raw.read_text(encoding="utf-8-sig").splitlines()
    at = header.lower().split("\t").index("event_time")
    texts = np.datetime_as_string(events.time_us.astype("datetime64[us]"), unit="s")
    cells = [row.split("\t") for row in rows]
    for row, text in zip(cells, texts.tolist(), strict=True):
        row[at] = text.replace("T", " ") + zone
    path = folder / FILE
    path.write_text("\n".join([header, *("\t".join(row) for row in cells)]) + "\n", encoding="utf-8")
    return path


def test_wall_clocks_at_a_gateway_that_is_told_so(site: Site, local: Events, findings: dict[str, object]) -> None:
    with Gateway("--backend", f"onnx:{site.repository}", "--event-times", "wall-clock") as running:
        assert ask(running, local) == findings


def test_wall_clocks_in_a_stream(site: Site, instants: Events, local: Events) -> None:
    first = np.argsort(instants.time_us)[:300]
    answers = []
    for flags, events in (((), instants), (("--event-times", "wall-clock"), local)):
        with Gateway("--backend", f"onnx:{site.repository}", *flags) as running:
            stream = GatewayStream(running.target, give_up_s=60, on_retry=lambda: None)
            for part in np.array_split(first, 3):
                stream.send(encode_request(events.take(part), DetectorName.LSTM))
            answers.append([stream.receive().response for _ in range(3)])
            stream.finish()
            stream.close()
    assert answers[0] == answers[1]
    assert any(answer.event_history for answer in answers[0])


def test_raw_files_in_local_time(site: Site, local: Events, findings: dict[str, object], tmp_path: Path) -> None:
    assert analyzed(site, rewritten(site, tmp_path, local, "")) == findings


@pytest.mark.parametrize("flags", [(), ("--time-zone", "UTC")])
def test_raw_files_in_utc(
    site: Site, instants: Events, findings: dict[str, object], flags: tuple[str, ...], tmp_path: Path
) -> None:
    assert analyzed(site, rewritten(site, tmp_path, instants, "" if flags else "Z"), *flags) == findings


def analyzed(site: Site, path: Path, *flags: str) -> dict[str, object]:
    done = run("analyze", path, "--json", "--backend", f"onnx:{site.repository}", *flags)
    assert done.returncode == 0, done.stderr
    [answer] = json.loads(done.stdout)["files"]
    assert isinstance(answer, dict)
    return answer


def test_wall_clocks_taken_for_instants_get_a_warning(
    site: Site, local: Events, start_gateway: Callable[..., Gateway]
) -> None:
    running = start_gateway("--backend", f"onnx:{site.repository}")
    shifts = range(5, 10) if site.zones.of_place else (9,)  # of two, 9 and 5.5, what explains the hours best
    warning = str(ask(running, local)["warning"])
    said = [f"the hours of this file look shifted by {shift:+} h: are event times local time?" for shift in shifts]
    assert any(text in warning for text in said)
    assert "see docs/data.md#times" in warning


def test_wall_clocks_in_a_stream_get_a_warning_too(site: Site, instants: Events, local: Events) -> None:
    """In requests of 50 events, none of which could say so alone."""
    with Gateway("--backend", f"onnx:{site.repository}", "--history", "none") as running:
        for events, is_shifted in ((instants, False), (local, True)):
            stream = GatewayStream(running.target, give_up_s=60, on_retry=lambda: None)
            parts = np.array_split(np.argsort(events.time_us), len(events) // 50)
            for part in parts:
                stream.send(encode_request(events.take(part), DetectorName.LSTM))
            stream.finish()
            answers = [stream.receive().response for _ in range(len(parts))]
            stream.close()
            assert ("the hours of this file look shifted by +" in answers[-1].warning) == is_shifted
            assert not answers[0].warning


def test_the_warning_is_said_where_an_answer_is_a_table(site: Site) -> None:
    done = run("analyze", site.raw, "--csv", "--backend", f"onnx:{site.repository}", "--time-zone", "UTC")
    assert (done.returncode, done.stderr.count("warning: the hours of this file look shifted by +")) == (0, 1)
    done = run("analyze", site.raw, "--backend", f"onnx:{site.repository}", "--time-zone", "UTC")
    assert "Warning: the hours of this file look shifted by +" in done.stdout


def test_instants_taken_for_wall_clocks_get_a_warning(site: Site, instants: Events) -> None:
    with Gateway("--backend", f"onnx:{site.repository}", "--event-times", "wall-clock") as running:
        assert "shifted by -" in str(ask(running, instants)["warning"])


def test_a_model_whose_zone_this_machine_does_not_know(tmp_path: Path, bundled_repository: Path) -> None:
    shutil.copytree(bundled_repository, tmp_path / "repository")
    path = tmp_path / "repository" / "epc_lstm" / "1" / MANIFEST_FILE
    path.write_text(path.read_text().replace('"Asia/Seoul"', '"Asia/Atlantis"'))
    (tmp_path / "scans.csv").write_text(HEADER + FORGED)
    done = run("analyze", tmp_path / "scans.csv", "--backend", f"onnx:{tmp_path / 'repository'}")
    assert_one_line(done, 1, "epc_lstm/1", "'Asia/Atlantis' is no time zone that this machine knows", "tzdata")


def test_a_zone_that_there_is_not(tmp_path: Path) -> None:
    path = tmp_path / "scans.csv"
    path.write_text(HEADER + FORGED)
    done = run("analyze", path, "--time-zone", "Asia/Soul")
    assert_one_line(done, 2, "--time-zone is 'Asia/Soul'", "Asia/Seoul")
    with pytest.raises(SettingsError, match="no time zone"):
        site_zones("Mars", load_settings())


def test_without_a_model_sites_are_those_of_the_bundled_worlds(tmp_path: Path, bundled_repository: Path) -> None:
    assert site_zones(None, load_settings(model_repository=tmp_path, backend="triton://h:1")).default == SEOUL
    assert site_zones(None, load_settings(backend=f"onnx:{bundled_repository}")).default == SEOUL


def test_a_model_of_an_earlier_release_has_its_sites_in_utc(tmp_path: Path, bundled_repository: Path) -> None:
    shutil.copytree(bundled_repository, tmp_path / "repository")
    path = tmp_path / "repository" / "epc_lstm" / "1" / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    del manifest["reference"]["zones"], manifest["reference"]["hours"]
    path.write_text(json.dumps(manifest))
    assert site_zones(None, load_settings(backend=f"onnx:{tmp_path / 'repository'}")).default == "UTC"
