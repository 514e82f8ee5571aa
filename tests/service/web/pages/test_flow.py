"""The pages of flow in a real Chromium: a forecast, a plan, the flow of a file, and each as one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.command import run
from tests.support.flows.model import backtest_metrics, coverage_metrics, flow_repository, flow_version
from tests.support.gateway import Gateway
from tests.support.web.browser import faults_for_people, opened
from tests.support.web.raw import write_day
from tests.support.web.server import Web


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flow_repository(tmp_path_factory.mktemp("flow"))


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web service in front of a gateway that has a flow model."""
    with (
        Gateway("--backend", f"onnx:{repository}") as gateway,
        Web(gateway.target, tmp_path_factory.mktemp("web") / "store") as web,
    ):
        yield f"http://127.0.0.1:{web.port}"


def test_a_forecast_a_plan_and_the_flow_of_a_file(browser: Browser, site: str, tmp_path: Path) -> None:
    with opened(browser) as page:
        page.goto(f"{site}/flow")
        page.select_option("select[name=plant]", "P2")
        page.fill("input[name=planned_throughput]", "40")
        page.fill("input[name=days]", "14")
        page.click("button:has-text('Forecast')")
        expect(page.locator(".chart canvas")).to_have_count(3)
        assert page.locator("details tbody tr").count() == 14
        assert not faults_for_people(page)
        page.fill("input[name=days]", "90")
        page.click("button:has-text('Forecast')")
        expect(page.locator("[role=alert]")).to_contain_text("days: '90' is no number of days from 1 to 60")
        page.goto(f"{site}/flow?throughput=many")
        expect(page.locator("[role=alert]")).to_have_text("throughput: 'many' is no number")
        page.goto(f"{site}/flow?days=0&planned_throughput=40")
        expect(page.locator("[role=alert]")).to_contain_text("days: '0'")
        page.goto(f"{site}/flow?wip=100&throughput=50&cycle_time_days=2.5")
        expect(page.locator("[role=status]")).to_contain_text("The plan cannot hold. Let work in progress be 125.0")
        page.goto(f"{site}/files")
        page.set_input_files("input[type=file]", str(write_day(tmp_path / "day.tsv")))
        page.click("button:has-text('Upload')")
        page.locator(".uploads a").click(timeout=30_000)
        page.click("nav.tabs >> text=Flow")
        expect(page.locator(".chart canvas")).to_be_visible()
        expect(page.locator(".map path.site").first).to_be_attached()
        assert not faults_for_people(page)
    with opened(browser, locale="ko-KR") as page:
        page.goto(f"{site}/flow?plant=P1&days=5")
        expect(page.locator("h1")).to_have_text("흐름")


def test_the_form_asks_what_the_champion_knows(browser: Browser, tmp_path: Path) -> None:
    repository, lifecycle = flow_repository(tmp_path), tmp_path / "lifecycle"
    flow_version(repository, 2, backtest_metrics())
    of = ("--model", "epc_flow", "--repository", repository, "--lifecycle", lifecycle, "--why", "good")
    promoted = run("models", "promote", "2", *of)
    assert promoted.returncode == 0, promoted.stderr
    flow_version(repository, 3, backtest_metrics(), panel_sizes=["65"])
    with (
        Gateway("--backend", f"onnx:{repository}", "--lifecycle", str(lifecycle)) as gateway,
        Web(gateway.target, tmp_path / "store") as web,
        opened(browser) as page,
    ):
        page.goto(f"http://127.0.0.1:{web.port}/flow")
        assert page.locator("select[name=panel_size] option").all_inner_texts() == ["all", "32", "55"]


def test_a_page_says_what_the_intervals_held_in_the_backtest_where_the_version_knows(
    browser: Browser, tmp_path: Path
) -> None:
    repository, page_file = flow_repository(tmp_path), tmp_path / "forecast.html"
    flow_version(repository, 2, coverage_metrics(0.884, 0.912, 0.9))

    def told(version: str, language: str) -> tuple[str, list[str]]:
        of = ("--model", version, "--model-repository", repository, "--language", language)
        done = run("flow", "predict", "--prediction-days", "2", "--html", page_file, *of)
        assert done.returncode == 0, done.stderr
        with opened(browser) as page:
            page.goto(page_file.as_uri())
            return " ".join(done.stdout.split()), page.locator("p.help").all_inner_texts()

    said, helps = told("2", "en")
    assert [part.split()[0] for part in said.split("the 90 % intervals held ")[1:]] == ["88%", "91%", "90%"]
    assert [one.partition("it held ")[2] for one in helps] == [f"{held} % in the backtest." for held in (88, 91, 90)]
    assert "88 %가 들어갔습니다" in told("2", "ko")[1][0]
    said, helps = told("1", "en")
    assert "held" not in said
    assert not any("held" in one for one in helps)
    assert all(one.endswith("The band is the 90 % interval.") for one in helps)
    flow_version(repository, 3, gain=-0.25)
    said, helps = told("3", "en")
    assert said.count("its error is 25.0% above that of weekday mean") == 3
    assert all("25.0 % above that of weekday mean" in one for one in helps)
    assert "25.0 % 큽니다" in told("3", "ko")[1][0]


def test_each_is_one_file(browser: Browser, repository: Path, tmp_path: Path) -> None:
    raw, measured, forecast = write_day(tmp_path / "day.tsv"), tmp_path / "measured.html", tmp_path / "forecast.html"
    assert run("flow", "measure", raw, "--detector", "rules", "--html", measured).returncode == 0
    told = run(
        "flow", "predict", "--plant", "P1", "--prediction-days", "3", "--planned-throughput", "50", "--html", forecast,
        "--model-repository", repository, "--language", "ko",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "weekday mean answers" in " ".join(told.stdout.split())
    with opened(browser) as page:
        page.goto(measured.as_uri())
        expect(page.locator(".chart canvas")).to_be_visible()
        page.goto(forecast.as_uri())
        expect(page.locator(".chart canvas")).to_have_count(3)
        expect(page.locator("h1")).to_contain_text("흐름")
    for flag, value in (("--site", "1"), ("--prediction-days", "0"), ("--prediction-days", "99999999999")):
        refused = run("flow", "predict", flag, value, "--model-repository", repository)
        assert (refused.returncode, flag in refused.stderr) == (2, True), refused.stderr
