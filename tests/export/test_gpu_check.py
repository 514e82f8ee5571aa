"""``python -m tests.tools.gpu_check`` where there is no GPU: what it says, and the parts that need none."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep

import numpy as np
import onnx
import pytest

from service.model.onnx_session import CPU, CUDA
from tests.support.gateway import ROOT
from tests.tools.gpu_check import inference, training
from tests.tools.gpu_check.__main__ import lacking, missed
from tests.tools.gpu_check.graphs import lstms, masked, without_lengths
from tests.tools.gpu_check.inference import Inference, in_parts, rate, session, windows
from tests.tools.gpu_check.training import Training

TOLERANCE = 2e-6
CAUSAL = 91

without_gpu = pytest.mark.skipif(not lacking(), reason="this machine has a GPU: make gpu-check measures it")


@pytest.fixture(scope="module")
def bundled(bundled_repository: Path) -> onnx.ModelProto:
    return onnx.load(bundled_repository / "epc_lstm" / "1" / "model.onnx")


@without_gpu
def test_without_a_gpu_it_says_so_fails_and_shows_no_numbers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.gpu_check"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: this check needs a GPU and measures nothing without one: no NVIDIA GPU")
    assert done.stderr.count("\n") == 1


@without_gpu
def test_no_processor_is_taken_for_cuda(bundled: onnx.ModelProto) -> None:
    with pytest.raises(RuntimeError, match=f"{CUDA} does not work here: "):
        next(inference.measure(bundled, CAUSAL))


@pytest.mark.parametrize(("T", "B"), [(1, 1), (4, 64), (8, 3), (32, 5)])
def test_full_windows_need_no_lengths(bundled: onnx.ModelProto, T: int, B: int) -> None:
    assert [len(node.input) for node in lstms(bundled)] == [5]
    fixed = without_lengths(bundled, T, B)
    assert [node.input[4] for node in lstms(fixed)] == [""]
    inputs = windows(bundled, CAUSAL, T, B, full=True)
    np.testing.assert_allclose(session(fixed, CPU)(inputs), session(bundled, CPU)(inputs), rtol=0, atol=TOLERANCE)
    with pytest.raises(Exception, match="invalid dimensions"):
        session(fixed, CPU)(windows(bundled, CAUSAL, T + 1, B, full=True))


def test_windows_with_padding_do_need_them(bundled: onnx.ModelProto) -> None:
    inputs = windows(bundled, CAUSAL, 8, 64, full=False)
    found, expected = (session(model, CPU)(inputs) for model in (without_lengths(bundled, 8, 64), bundled))
    assert np.abs(found - expected).max() > 100 * TOLERANCE


@pytest.mark.parametrize(("T", "B"), [(1, 1), (4, 64), (8, 3), (16, 130), (32, 5)])
@pytest.mark.parametrize("garbage", [False, True], ids=["", "garbage"])
def test_masks_do_in_their_place_at_any_length(bundled: onnx.ModelProto, T: int, B: int, garbage: bool) -> None:
    changed = masked(bundled)
    assert all(len(node.input) == 4 for node in lstms(changed))
    inputs = windows(bundled, CAUSAL, T, B, full=False)
    expected = session(bundled, CPU)(inputs)
    if garbage:
        padding = np.arange(T) >= inputs["lengths"]
        inputs["features"][padding] = 1e6
    np.testing.assert_allclose(session(changed, CPU)(inputs), expected, rtol=0, atol=TOLERANCE)


def test_windows_are_such_that_the_model_finds_both(bundled: onnx.ModelProto) -> None:
    """Parity on windows that are all the same to the model would say nothing."""
    inputs = windows(bundled, CAUSAL, 16, 256, full=False)
    assert set(np.unique(inputs["features"][:, :, CAUSAL])) == {0.0, 1.0}
    assert set(np.unique(inputs["lengths"])) == set(range(1, 17))
    judged = session(bundled, CPU)(inputs)[np.arange(16) < inputs["lengths"]]
    assert (judged < 0.4).any()
    assert (judged > 0.6).any()
    np.testing.assert_allclose(
        in_parts(session(bundled, CPU), inputs), session(bundled, CPU)(inputs), rtol=0, atol=TOLERANCE
    )


def test_rates_are_those_of_all_threads() -> None:
    def is_right() -> bool:
        alone, four = (rate(lambda: sleep(0.01), 10, threads=threads, seconds=0.3) for threads in (1, 4))
        assert alone <= 1_000
        return alone > 300 and 2.5 < four / alone < 5

    # Others of a busy machine may wake the threads late, and not each time.
    assert any(is_right() for _ in range(10))


@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "mixed"])
def test_steps_of_the_training_are_taken(mixed: bool) -> None:
    first, later = (training.measure("cpu", pieces=20, T=4, mixed=mixed, steps=steps) for steps in (1, 8))
    assert (later.mixed, later.T, later.B, later.peak_bytes) == (mixed, 4, 256, 0)
    assert later.step_ms > 0
    assert 0 < later.loss < first.loss


def test_what_is_out_of_bounds_is_named() -> None:
    good, cheap = Inference("as bundled", 4, 64, 1.0, 2.0, 1e-6), Training(True, 4, 256, 1.0, 10**9, 0.1)
    assert missed([good], [cheap]) == []
    wrong = [replace(good, difference=difference) for difference in (2e-4, math.nan)]
    assert len(missed(wrong, [replace(cheap, peak_bytes=2 * 10**9), replace(cheap, loss=math.nan)])) == 4
