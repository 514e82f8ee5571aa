"""A flow model answers: what it says, what it refuses, and which files it trusts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.errors import InvalidRequest, ModelRepositoryError
from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.forecaster import FlowForecaster
from service.flow.forecast.intervals import BANDS, kind_of_series, spread, width
from service.flow.forecast.manifest import FLOW_MODEL, HISTORY_FILE, FlowGrain, read_flow_version
from service.flow.forecast.middle import MEDIAN
from service.flow.forecast.past import FlowPast
from service.flow.forecast.question import FlowQuestion
from service.flow.forecast.smoothing import Ets, Theta
from service.flow.forecast.windows import TREES
from service.flow.series import MEASURES
from tests.training.flow.plants import LAST_DAY


@pytest.fixture(scope="module")
def forecaster(flow_repository: Path) -> FlowForecaster:
    return FlowForecaster.load(flow_repository)


@pytest.mark.parametrize("days", [1, 30, 60])
def test_each_day_has_values_within_their_bounds(forecaster: FlowForecaster, days: int) -> None:
    answer = forecaster.predict(FlowQuestion(plant="P1", days=days))
    assert [one.day for one in answer.days] == list(range(LAST_DAY + 1, LAST_DAY + 1 + days))
    for one in answer.days:
        for bounded in (one.wip, one.throughput, one.cycle_h):
            assert 0 <= bounded.lower <= bounded.value <= bounded.upper
        assert one.feasibility is None
    assert [one.measure for one in answer.answering] == list(MEASURES)
    assert answer.model == "epc_flow/1"


def test_no_interval_of_a_cycle_time_reaches_beyond_the_longest_there_ever_was(flow_repository: Path) -> None:
    version = read_flow_version(flow_repository)
    measure = version.manifest.measures["cycle_h"]
    wild = {
        name: grain.model_copy(update={"quantiles": (1e6 * np.array(grain.quantiles)).tolist()})
        for name, grain in measure.grains.items()
    }
    measures = version.manifest.measures | {"cycle_h": measure.model_copy(update={"grains": wild})}
    forecaster = FlowForecaster(replace(version, manifest=version.manifest.model_copy(update={"measures": measures})))
    longest = np.nanmax(forecaster.history.cycle_h)
    for one in forecaster.predict(FlowQuestion(plant="P1", days=7)).days:
        assert one.cycle_h.upper == pytest.approx(longest)
        assert one.throughput.upper > one.throughput.value


def test_what_flows_by_weekday_is_forecast_so(forecaster: FlowForecaster) -> None:
    answer = forecaster.predict(FlowQuestion(plant="P2", days=14))
    weekday = np.array([1.0, 1.1, 1.2, 1.1, 1.0, 0.4, 0.2])
    said = np.array([one.throughput.value for one in answer.days])
    wanted = 125 * weekday[[one.day % 7 for one in answer.days]]
    assert np.abs(said - wanted).sum() / wanted.sum() < 0.15


def test_parts_add_up_to_about_the_whole(forecaster: FlowForecaster) -> None:
    whole = forecaster.predict(FlowQuestion(days=7)).days
    parts = [forecaster.predict(FlowQuestion(plant=plant, days=7)).days for plant in ("P1", "P2")]
    for at, day in enumerate(whole):
        assert day.throughput.value == pytest.approx(sum(part[at].throughput.value for part in parts), rel=0.2)


def test_a_plan_is_the_less_likely_the_more_it_wants(forecaster: FlowForecaster) -> None:
    chances = [
        [one.feasibility for one in forecaster.predict(FlowQuestion(planned_throughput=plan)).days]
        for plan in (0, 100, 200, 400, 4000)
    ]
    assert (np.diff(np.array(chances, dtype=float), axis=0) <= 0).all()
    assert set(chances[0]) == {1.0}
    assert set(chances[-1]) == {0.0}


def test_more_stock_leaves_later(forecaster: FlowForecaster) -> None:
    question = FlowQuestion(plant="P1", application="TV", days=10)
    usual = forecaster.predict(question).days
    stock = usual[0].wip.value
    more = forecaster.predict(replace(question, current_wip=stock + 60)).days
    assert all(full.wip.value >= one.wip.value for full, one in zip(more, usual, strict=True))
    assert all(full.throughput.value >= one.throughput.value for full, one in zip(more, usual, strict=True))
    assert more[0].wip.value - usual[0].wip.value > more[-1].wip.value - usual[-1].wip.value


@pytest.mark.parametrize(
    ("question", "field", "said"),
    [
        (FlowQuestion(site="5"), "site", "epc_flow/1 knows no site: it is of plant, application, panel_size"),
        (FlowQuestion(plant="P9"), "plant", "'P9' is unknown to epc_flow/1: it has P1, P2"),
        (FlowQuestion(days=0), "days", "forecasts go from 1 to 60 days"),
        (FlowQuestion(days=61), "days", "forecasts go from 1 to 60 days"),
        (FlowQuestion(current_wip=-1), "current_wip", "-1 is no number of items"),
        (FlowQuestion(planned_throughput=float("nan")), "planned_throughput", "nan is no number of items"),
        (FlowQuestion(current_wip=float("inf")), "current_wip", "inf is no number of items"),
    ],
)
def test_questions_that_do_not_fit_name_the_field(
    forecaster: FlowForecaster, question: FlowQuestion, field: str, said: str
) -> None:
    with pytest.raises(InvalidRequest) as error:
        forecaster.predict(question)
    ((name, text),) = error.value.violations
    assert name == field
    assert said in text


def test_versions_of_before_have_one_table_of_quantiles_for_all_series(flow_repository: Path) -> None:
    one = read_flow_version(flow_repository).manifest.measures["wip"].grains[""].model_dump()
    table = one["quantiles"][1]
    assert FlowGrain.model_validate(one | {"quantiles": table}).quantiles == [table, table]
    with pytest.raises(ValueError, match="quantiles"):
        FlowGrain.model_validate(one | {"quantiles": [table]})


def test_what_intervals_held_is_said_where_the_manifest_has_a_share(flow_repository: Path) -> None:
    manifest = read_flow_version(flow_repository).manifest
    for metrics, said in (
        ({"coverage": {"wip": {"7": 0.5, "all": 0.88}}}, 0.88),
        ({"coverage": {"wip": {"all": 1}}}, 1.0),
        ({"coverage": {"wip": {"7": 0.5}}}, None),
        ({"coverage": {"wip": {"all": 1.5}}}, None),
        ({"coverage": {"cycle_h": {"all": 0.88}}}, None),
        ({"coverage": [0.88]}, None),
        ({}, None),
    ):
        assert manifest.model_copy(update={"metrics": metrics}).coverage("wip") == said


def test_what_stands_still_has_bounds_of_its_own(forecaster: FlowForecaster) -> None:
    still = replace(forecaster.history, departures=np.zeros_like(forecaster.history.departures))
    standing = FlowPast.of(still, np.ones((1, len(still)), np.bool_))
    flowing = FlowPast.of(forecaster.history, np.ones((1, len(still)), np.bool_))
    assert (kind_of_series(standing).tolist(), kind_of_series(flowing).tolist()) == ([0], [1])
    usual = flowing.usual_cycle_h(56)[0]
    calm = replace(flowing, cycle_h=np.full_like(flowing.cycle_h, usual))  # cycle times that never vary
    assert width(calm, 3)[0, :, 2] == pytest.approx(np.full(3, 0.1 * usual))
    assert (spread(calm, 3)[0, :, 2] < 0.1 * usual).all()


def test_a_version_answers_by_the_median_of_what_its_methods_say(flow_repository: Path) -> None:
    version = read_flow_version(flow_repository)

    def said(method: str) -> np.ndarray:
        measures = {
            name: measure.model_copy(
                update={
                    "grains": {
                        of: grain.model_copy(update={"weights": {method: [1.0] * len(BANDS)}})
                        for of, grain in measure.grains.items()
                    }
                }
            )
            for name, measure in version.manifest.measures.items()
        }
        of_one = FlowForecaster(replace(version, manifest=version.manifest.model_copy(update={"measures": measures})))
        past = FlowPast.of(of_one.history, np.ones((1, len(of_one.history)), dtype=np.bool_))
        return of_one.forecast(past, [""], 30)

    names = [*(one.name for one in BASELINES), Ets.name, Theta.name, TREES]
    np.testing.assert_allclose(said(MEDIAN), np.median([said(name) for name in names], axis=0))


def test_a_changed_file_is_not_loaded(flow_repository: Path, tmp_path: Path) -> None:
    (tmp_path / FLOW_MODEL).mkdir()
    copy = tmp_path / FLOW_MODEL / "1"
    copy.mkdir()
    for file in (flow_repository / FLOW_MODEL / "1").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    FlowForecaster.load(tmp_path)
    (copy / HISTORY_FILE).write_bytes(b"something else")
    with pytest.raises(ModelRepositoryError, match=r"history.npz of epc_flow/1 .* is not the file that was"):
        FlowForecaster.load(tmp_path)
    with pytest.raises(ModelRepositoryError, match=r"no epc_flow/2 in .*; it has the versions 1"):
        FlowForecaster.load(flow_repository, 2)
    with pytest.raises(ModelRepositoryError, match="is not signed"):
        FlowForecaster.load(flow_repository, trust=[])
