"""Tables on a terminal fit it, whichever command prints them; where there is none they are wide."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable

import pytest

from service.console import WIDE, how_many, rate
from service.jobs import feedback, models
from service.jobs.ab import report as ab
from service.pb.epcsentinel.v1 import feedback_pb2 as fb
from service.pb.epcsentinel.v1 import models_pb2 as pb


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def accuracy() -> None:
    estimate = fb.Estimate(value=0.95, low=0.9, high=1.0)
    one = fb.KindAccuracy(mode="retrospective", kind="evtOrderErr", average_precision=estimate, auc=estimate)
    feedback.write_accuracy(fb.AccuracyResponse(kinds=[one]))


def compared() -> None:
    found = ab.FindingsCompared("retrospective", "evtOrderErr", 10_000, 1.0, 2.0, 0.5, 1.5, 1.0, 0.5, 1.5)
    ab.write_tables((1, 2), [found], [])


def versions() -> None:
    models.write_list(pb.ModelServiceListModelsResponse(models=[pb.ModelVersion(model="epc_lstm", problem="no " * 60)]))


TABLES = [accuracy, compared, versions]


@pytest.mark.parametrize("write", TABLES)
def test_a_table_fits_the_terminal(write: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    write()
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in terminal.getvalue().splitlines()]
    assert 40 < max(map(len, lines)) <= 80


@pytest.mark.parametrize("write", TABLES)
def test_a_table_is_whole_in_a_pipe(write: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    write()
    lines = capsys.readouterr().out.splitlines()
    assert 80 < max(map(len, lines)) <= WIDE


def test_numbers_read_well() -> None:
    assert [how_many(n, "event") for n in (0, 1, 2)] == ["0 events", "1 event", "2 events"]
    assert [rate(x) for x in (0.0, 1234.567, 0.00203)] == ["0.00", "1,234.57", "0.002"]
