"""The gate of the flow model: which backtests let a version be the champion."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.flow.gate import shortfall
from service.model.manifest import MANIFEST_FILE, digest_of
from tests.support.flows.model import backtest_metrics, champion_metrics, flow_version


@pytest.mark.parametrize(
    ("served", "reason"),
    [(0.08, ""), (0.102, ""), (0.103, "its WAPE of wip 7 days ahead is 0.103, 3.0% above that of seasonal naive, 0.1")],
)
def test_the_best_baseline_is_the_bar(served: float, reason: str) -> None:
    assert shortfall(backtest_metrics(served), "").startswith(reason)
    assert bool(shortfall(backtest_metrics(served), "")) == bool(reason)


@pytest.mark.parametrize(("its", "reason"), [(0.2, ""), (0.0985, ""), (0.095, "5.3% above the champion's, 0.095")])
def test_the_champion_is_the_bar_too(its: float, reason: str, tmp_path: Path) -> None:
    champion = flow_version(tmp_path)
    said = shortfall(champion_metrics(champion, its), digest_of(champion / MANIFEST_FILE))
    assert reason in said
    assert bool(said) == bool(reason)


def test_who_was_not_compared_with_the_champion_does_not_pass() -> None:
    assert "was not compared with the champion" in shortfall(backtest_metrics(), "0" * 64)
    assert shortfall({}, "") == "its manifest has no backtest: train it again"


def test_a_measure_that_the_data_do_not_have_is_named() -> None:
    metrics = backtest_metrics()
    del metrics["errors"]["cycle_h"]  # type: ignore[index, union-attr, call-overload, arg-type]
    assert shortfall(metrics, "") == "its backtest has no cycle_h: train it on data that have"


def test_errors_above_none_at_all_are_no_share() -> None:
    assert "is 0.100, above that of seasonal naive, 0.000" in shortfall(backtest_metrics(0.1, 0.0), "")
