"""Somebody else's network: what its unknown codes are worth, to each detector, in files, small requests, streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.api.responses import build_responses
from service.detect import rules
from service.detect.coverage import LEAST_CODES, READ_MORE, Coverage, coverage_warning
from service.detect.detector import Judgement
from service.detect.names import DetectorName
from service.detect.unknown_codes import FEW, LEAST_SEEN, WINDOW, SeenCodes, UnknownCodes, UsualCodes
from service.effects.gradients import effects
from service.effects.questions import Questions
from service.effects.sources import Sources
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.explain.causes import CODES
from service.features.case import Case, View
from service.features.table import INDEX
from service.gateway.build import Wiring, build_wiring
from service.rawfiles.columns import read_files
from service.settings import load_settings
from tests.support import worlds
from tests.support.command import run
from tests.support.foreign import anomalies, journeys, noise, to_rows, write_foreign_world
from tests.tools.unknown_codes.__main__ import read
from training.simulation.world import simulate

World = tuple[Events, NDArray[np.bool_]]

FAKE = KINDS.index("epcFake")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The events of another generator's network, and which are forged."""
    folder = tmp_path_factory.mktemp("foreign")
    return read(folder, write_foreign_world(folder, 1_800, 5))


@pytest.fixture(scope="module")
def new_lots(tmp_path_factory: pytest.TempPathFactory) -> Events:
    """A world of the simulator whose lots the bundled model never saw."""
    folder = tmp_path_factory.mktemp("lots")
    simulate(folder, 1_500, 12)
    return read(folder, folder / "truth.parquet")[0]


@pytest.fixture
def build(bundled_repository: Path) -> Iterator[Callable[..., Wiring]]:
    """Make gateways' insides around the bundled model."""
    made: list[Wiring] = []

    def one(**settings: object) -> Wiring:
        made.append(build_wiring(load_settings(backend=f"onnx:{bundled_repository}", **settings)))
        return made[-1]

    yield one
    for wiring in made:
        asyncio.run(wiring.close())


def analyze(wiring: Wiring, events: Events, detector: DetectorName = DetectorName.LSTM, **options: bool) -> Judgement:
    return asyncio.run(wiring.analyzer.analyze(events, detector, **options))


def fake(judgement: Judgement) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = judgement.flags[:, FAKE]
    return found


def items(events: Events, begin: int, end: int) -> Events:
    """Return the events of the codes from one number to before another."""
    return events.take(np.flatnonzero((events.epc >= begin) & (events.epc < end)))


@pytest.mark.parametrize("detector", DetectorName)
def test_no_detector_calls_another_network_forged(
    build: Callable[..., Wiring], foreign: World, detector: DetectorName
) -> None:
    (events, forged), wiring = foreign, build()
    spared = analyze(wiring, events, detector)
    flagged = analyze(build(unknown_codes="flagged"), events, detector)
    small, plain = items(events, 0, 40), ~forged[events.epc < 40]  # of a whole file the network itself thinks better
    at_its_worst = analyze(build(unknown_codes="flagged", operating_point="sensitive"), small, detector)
    assert fake(at_its_worst)[plain].mean() > 0.9  # else there would be nothing to spare
    assert fake(spared)[~forged].mean() < 0.05
    assert fake(spared)[forged].mean() > 0.4  # malformed codes at least, and dates that are none of the lot's
    assert all(one.spared for one in spared.coverage.values())
    assert not any(one.spared for one in flagged.coverage.values())
    answers = build_responses(events, spared)
    for answer, told in zip(answers, build_responses(events, flagged), strict=True):
        assert answer.warning.startswith("100 % of the codes ")
        assert answer.warning.endswith(f"adopt it, see {READ_MORE}; no code is epcFake for that alone.")
        assert told.warning.endswith(f"adopt it, see {READ_MORE}.")


def test_no_reason_says_what_is_not_held_against_a_code(build: Callable[..., Wiring], foreign: World) -> None:
    events, _ = foreign
    wiring = build()
    told = wiring.explainer.explain(analyze(wiring, events, explain=True), "en")
    causes = {finding.epc_fake_cause for answer in build_responses(events, analyze(wiring, events, explain=True), told)
              for finding in answer.event_history if finding.epc_fake}  # fmt: skip
    assert {"code_malformed"} <= causes <= set(CODES)
    assert not causes & {"header_unknown", "company_unknown", "product_unknown", "product_of_other_company"}


def test_new_lots_of_known_products_change_no_answer(build: Callable[..., Wiring], new_lots: Events) -> None:
    (both, alone), detectors = (build(), build(unknown_codes="flagged")), tuple(DetectorName)
    for detector in detectors:
        judgement, other = (analyze(each, new_lots, detector) for each in (both, alone))
        assert judgement.coverage[1].share("lot") > 0.9
        answers, others, plain = (
            [answer.SerializeToString(deterministic=True) for answer in build_responses(new_lots, one)]
            for one in (judgement, other, replace(judgement, coverage={}))
        )
        assert answers == others == plain


def test_small_requests_have_the_verdict_of_what_was_seen(build: Callable[..., Wiring], foreign: World) -> None:
    (events, forged), wiring = foreign, build()
    small, plain = items(events, 0, 40), ~forged[(events.epc >= 0) & (events.epc < 40)]
    # Of one lot that nobody knows there is little else to say: of few items the network seldom sees that all are alike.
    assert fake(analyze(build(operating_point="sensitive"), small))[plain].mean() > 0.9
    analyze(wiring, small)
    verdicts = []
    for begin in range(0, len(events.epc_codes), 40):
        judgement = analyze(wiring, items(events, begin, begin + 40))
        verdicts.append(all(one.spared for one in judgement.coverage.values()))
    turned = verdicts.index(True)
    assert LEAST_SEEN / 40 - 1 <= turned <= LEAST_SEEN / 40 + 2  # malformed codes are not counted
    assert all(verdicts[turned:])
    again = analyze(wiring, small)
    assert fake(again)[plain].mean() < 0.1
    said = [coverage_warning(one) for one in again.coverage.values()]
    assert all(one.startswith("100 % of the codes seen lately are of products") for one in said)
    assert all(one.endswith(f"{READ_MORE}; no code is epcFake for that alone.") for one in said)
    known = worlds.to_events(worlds.normal_scans()[:60])
    assert not any(map(coverage_warning, analyze(wiring, known).coverage.values()))


def test_a_stream_is_spared_once_enough_was_seen(build: Callable[..., Wiring], foreign: World) -> None:
    events, forged = foreign
    parts = np.array_split(np.argsort(events.time_us, kind="stable"), 72)

    async def follow(wiring: Wiring) -> list[Judgement]:
        course = wiring.analyzer.stream()
        return [await course.follow(events.take(part)) for part in parts]

    def alarms_of(judgements: list[Judgement]) -> list[float]:
        return [float(fake(one)[~forged[part]].mean()) for one, part in zip(judgements, parts, strict=True)]

    judgements = asyncio.run(follow(build()))
    spared = [all(one.spared for one in judgement.coverage.values()) for judgement in judgements]
    turned = spared.index(True)
    assert turned > 0
    # At its worst, as the stream begins: the network needs no verdict to see soon that all are alike.
    assert max(alarms_of(asyncio.run(follow(build(operating_point="sensitive"))))[:turned]) > 0.6
    assert max(alarms_of(judgements)[turned:]) < 0.15
    assert all(spared[turned:])


@pytest.mark.parametrize("detector", DetectorName)
def test_events_that_come_again_are_spared_again(
    build: Callable[..., Wiring], foreign: World, detector: DetectorName
) -> None:
    events, _ = foreign
    wiring = build(history="memory")

    async def twice() -> list[Judgement]:
        return [await wiring.analyzer.stream().follow(events, detector) for _ in range(2)]

    first, again = asyncio.run(twice())
    np.testing.assert_array_equal(first.flags, again.flags)
    np.testing.assert_allclose(first.scores, again.scores, atol=1e-5)


def test_one_unknown_product_is_no_other_network(build: Callable[..., Wiring]) -> None:
    scans = [scan for serial in range(250) for scan in worlds.journey(worlds.code(serial, product=7_777_777))]
    judgement = analyze(build(), worlds.to_events(scans), DetectorName.RULES)
    assert fake(judgement).all()
    assert judgement.coverage[1].share("product") == 1
    assert not judgement.coverage[1].is_foreign


def sample(unknown: int, known: int, begin: int = 0) -> list[tuple[int, int, bool, bool]]:
    return [(n % 7, begin + n, n < unknown, False) for n in range(unknown + known)]


def test_the_verdict_of_what_was_seen_holds_between_two_shares() -> None:
    seen = SeenCodes()
    seen.add(sample(LEAST_SEEN - 1, 0))
    assert not seen.is_foreign
    for _ in range(3):  # the same codes are no more evidence
        seen.add(sample(LEAST_SEEN - 1, 0))
    assert not seen.is_foreign
    seen.add(sample(1, 0, LEAST_SEEN))
    assert seen.is_foreign
    seen.add(sample(0, WINDOW - LEAST_SEEN, 10_000))
    assert (seen.share, seen.is_foreign) == (0.5, True)
    seen.add(sample(0, int(WINDOW * (0.5 - FEW)), 20_000))
    assert (seen.share, seen.is_foreign) == (FEW, True)
    seen.add(sample(0, 1, 30_000))
    assert not seen.is_foreign
    seen.add(sample(int(WINDOW * (0.5 - FEW)), 0, 40_000))  # it does not turn back at that share
    assert not seen.is_foreign
    seen.add(sample(WINDOW, 0, 50_000))
    assert seen.is_foreign
    assert not seen.headers_too


def test_few_lots_are_no_verdict_of_what_was_seen() -> None:
    seen = SeenCodes()
    seen.add([(n % 4, n, True, True) for n in range(WINDOW)])
    assert (seen.share, seen.headers_too, seen.is_foreign) == (1, True, False)
    seen.add([(5, WINDOW, True, True)])
    assert seen.is_foreign


def test_parts_of_a_file_have_the_verdict_of_the_whole(build: Callable[..., Wiring], foreign: World) -> None:
    (events, forged), wiring = foreign, build()
    wiring.unknown.know_whole(events)
    judgement = analyze(wiring, items(events, 0, 40))
    assert fake(judgement)[~forged[events.epc < 40]].mean() < 0.1
    [coverage] = judgement.coverage.values()
    assert coverage.looked_up["product"] >= LEAST_CODES


def test_only_files_of_another_network_are_spared(
    build: Callable[..., Wiring], foreign: World, new_lots: Events
) -> None:
    (events, forged), wiring = foreign, build()
    mine = items(new_lots, 0, 300)
    ids = replace(mine, file_id=np.full(len(mine), 9), event_id=mine.event_id + 10_000_000)
    together = Events(
        epc=np.concatenate([events.epc, ids.epc + len(events.epc_codes)]).astype(np.int32),
        epc_codes=[*events.epc_codes, *ids.epc_codes],
        **{
            name: np.concatenate([getattr(events, name), getattr(ids, name)])
            for name in ("event_id", "location_id", "step", "event_type", "time_us", "file_id")
        },
    )
    judgement = analyze(wiring, together, DetectorName.RULES)
    assert {file_id for file_id, one in judgement.coverage.items() if one.spared} == {1, 2, 3}
    assert coverage_warning(judgement.coverage[9]) == ""
    assert fake(judgement)[: len(events)][~forged].mean() < 0.05
    np.testing.assert_array_equal(judgement.flags[len(events) :], analyze(build(), mine, DetectorName.RULES).flags)


def test_the_usual_features_are_those_of_most_codes() -> None:
    unknown = UnknownCodes(worlds.reference(), spared=True)
    scans = [scan for n in range(220) for scan in worlds.journey(worlds.code(n, lot=50_000 + n % 6, product=1))]
    spared = unknown.decide(unknown.look(worlds.to_events(scans)))
    assert spared.spared == [1]
    assert not spared.headers  # 001 is known


def spared_case(wiring: Wiring, events: Events) -> Case:
    """Return the case that a gateway's detectors judge whole journeys by."""
    spared = wiring.unknown.decide(wiring.unknown.look(events))
    return wiring.unknown.without_tables(View(events, causal=False), spared).case(wiring.reference)


def test_codes_of_another_network_are_as_those_of_networks_that_were_learned_from(
    build: Callable[..., Wiring], foreign: World
) -> None:
    wiring = build()
    features, usual = spared_case(wiring, foreign[0]).features, UsualCodes(wiring.reference)
    well_formed = features[:, INDEX["code_well_formed"]] > 0
    assert 0.5 < well_formed.mean() < 1
    at_home = usual.at_home(features)
    for name, value in usual.elsewhere.items():
        assert value < usual.home[name] - 1
        assert (features[well_formed, INDEX[name]] == np.float32(value)).all()
        assert (at_home[well_formed, INDEX[name]] == np.float32(usual.home[name])).all()
    other = [column for name, column in INDEX.items() if name not in usual.elsewhere]
    np.testing.assert_array_equal(at_home[:, other], features[:, other])
    np.testing.assert_array_equal(at_home[~well_formed], features[~well_formed])
    assert usual.at_home(at_home) is at_home


def test_unknown_products_of_a_known_company_are_at_home(build: Callable[..., Wiring]) -> None:
    codes = [worlds.code(n, lot=50_000 + n % 6, product=7_000_000 + n % 3) for n in range(220)]
    wiring = build()
    case = spared_case(wiring, worlds.to_events([scan for code in codes for scan in worlds.journey(code)]))
    assert case.spared is not None
    assert case.spared.all()
    for name, value in UsualCodes(wiring.reference).home.items():
        np.testing.assert_allclose(case.features[:, INDEX[name]], value, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("detector", [DetectorName.LSTM, DetectorName.SVM, DetectorName.ENSEMBLE])
def test_what_moved_a_score_is_told_of_the_score_that_was_given(
    build: Callable[..., Wiring], foreign: World, detector: DetectorName, causal: bool
) -> None:
    wiring, events = build(), items(foreign[0], 0, 250)
    wiring.unknown.know_whole(foreign[0])
    judge = wiring.analyzer.stream().follow if causal else wiring.analyzer.analyze
    judgement = asyncio.run(judge(events, detector, explain=True))
    assert judgement.case is not None
    assert judgement.case.spared is not None
    assert wiring.svm is not None
    sources = Sources.of(wiring.lstm.model, wiring.svm.model)
    mixture = {DetectorName.LSTM: sources.lstm, DetectorName.SVM: sources.svm}.get(detector, sources.ensemble)
    assert mixture is not None
    asked = np.flatnonzero(judgement.case.features[judgement.case.rows, INDEX["code_well_formed"]] > 0)[::29]
    windows = View(events, causal, given=judgement.case).windows(judgement.case, 32)
    kinds = np.tile(np.arange(len(KINDS)), (len(asked), 1))
    found = effects(mixture, sources.normal, Questions.of(judgement.case, windows, asked, kinds))
    said = 100 * judgement.scores[asked]
    off = np.abs(found.score - said) > 0.1
    if detector is DetectorName.ENSEMBLE:  # which puts certain rules above, and weak ones below, what models make
        off &= rules.opinion(judgement.case.features[judgement.case.rows[asked]]).evidence == 0
    assert not off.any()


def test_the_command_says_it_before_the_findings(bundled_repository: Path, tmp_path: Path) -> None:
    world = journeys(1_200, np.random.default_rng(6))
    anomalies(world)
    noise(world)
    rows = to_rows(world)
    columns = ["epc_code", "location_id", "event_time", "event_type", "business_step"]
    path = tmp_path / "foreign.csv"
    rows.assign(event_time=rows.time.dt.strftime("%Y-%m-%d %H:%M:%S"))[columns].to_csv(path, index=False)
    command = ("analyze", path, "--backend", f"onnx:{bundled_repository}", "--max-events-per-request", "2500")
    done = run(*command)
    assert done.returncode == 0, done.stderr
    said = "Warning: 100 % of the codes are of products"
    assert done.stdout.count(said) == 1
    assert done.stdout.index(said) < done.stdout.index("Findings" if "Findings" in done.stdout else "Incidents")
    assert len(read_files([path], lambda: None).events) > 2 * 2_500
    flagged = run(*command, "--unknown-codes", "flagged")
    assert flagged.returncode == 0, flagged.stderr
    assert flagged.stdout.count(said) == 1
    assert "; no code is epcFake for that alone." in " ".join(done.stdout.split())
    assert "; no code is epcFake for that alone." not in " ".join(flagged.stdout.split())


def test_coverage_of_nothing_says_nothing() -> None:
    assert coverage_warning(None) == ""
    assert coverage_warning(Coverage({}, {})) == ""
