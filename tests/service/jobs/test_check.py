"""``check`` says whether every detector of a running gateway judges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.command import run
from tests.support.gateway import Gateway
from tests.support.processes import free_ports


def test_a_sound_gateway_passes_and_its_detectors_are_compared(gateway: Gateway) -> None:
    done = run("check", "--target", gateway.target)
    assert done.returncode == 0, done.stderr
    methods = ("rule-based", "svm-one-class", "lstm-deep-learning", "ensemble")
    [rows] = [[line for line in done.stdout.splitlines() if method in line] for method in methods[:1]]
    assert rows
    for method in methods:
        assert method in done.stdout
    assert "Common findings" in done.stdout
    assert done.stdout.rstrip().endswith("each finds the malformed code.")


def test_what_is_missing_fails_it(start_gateway: Callable[..., Gateway], two_versions: Path) -> None:
    done = run("check", "--target", start_gateway("--backend", f"onnx:{two_versions}").target)  # it has no SVMs
    assert done.returncode == 1
    assert "svm" in done.stderr
    assert "lstm-deep-learning" in done.stdout
    gone = run("check", "--target", f"127.0.0.1:{free_ports(1)[0]}")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "no gateway answers" in gone.stderr
