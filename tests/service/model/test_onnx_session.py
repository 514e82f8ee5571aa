"""Which provider of onnxruntime runs a model. This machine has no GPU, so ``cuda`` is one that does not work.

An onnxruntime that knows CUDA and cannot load it (`onnxruntime-gpu` where there is no GPU) is another package with the
same files: `tests.tools.gpu_check` has what needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from service.errors import ModelUnavailable
from service.model.onnx_backend import OnnxBackend
from service.model.onnx_session import CPU, CUDA, ONNX_ERRORS
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.backends import random_request, soon
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.requests import call, many

pytestmark = pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="CUDA may work here")


def answer(model: Path, providers: Sequence[str]) -> tuple[NDArray[np.float32], OnnxBackend]:
    async def ask() -> tuple[NDArray[np.float32], OnnxBackend]:
        backend = OnnxBackend(model, providers=providers)
        try:
            return await backend.infer(*random_request(300), soon()), backend
        finally:
            await backend.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("providers", [(CUDA, CPU), (CUDA,)], ids=" then ".join)
def test_without_cuda_the_processor_answers_the_same(
    small_repository: Path, providers: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    model = small_repository / "epc_lstm" / "1" / "model.onnx"
    plain, by_processor = answer(model, (CPU,))
    found, instead = answer(model, providers)
    np.testing.assert_array_equal(found, plain)
    assert (by_processor.provider, by_processor.refused) == (CPU, {})
    assert instead.provider == CPU
    assert list(instead.refused) == [CUDA]
    assert f"({onnxruntime.__version__}) has it not" in instead.refused[CUDA]
    assert capfd.readouterr() == ("", ""), "onnxruntime says nothing by itself"


def test_a_file_that_is_no_model_is_none_on_any_provider() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        OnnxBackend(b"not a model", providers=(CUDA, CPU))
    assert isinstance(caught.value.__cause__, ONNX_ERRORS)


def findings(gateway: Gateway) -> pb.AnalyzeResponse:
    return pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", many(200).SerializeToString()))


def test_log_and_metric_say_what_runs_the_model(start_gateway: Callable[..., Gateway]) -> None:
    plain = start_gateway("--metrics-port", "0")
    wishing = start_gateway("--metrics-port", "0", EPC_SENTINEL_ONNX_PROVIDERS="cuda,cpu")
    assert findings(wishing) == findings(plain)
    for running in (plain, wishing):
        found = samples(scrape(running))
        for model in ("epc_lstm/1", "epc_svm/1"):
            assert value(found, "onnx_provider", model_version=model, provider=CPU) == 1
        assert CUDA not in str(found)
    said = [line for line in wishing.log() if "provider" in line]
    assert {(line["event"], line["model"], line["provider"], line["level"]) for line in said} == {
        ("the model runs on another provider", model, CPU, "warning") for model in ("epc_lstm/1", "epc_svm/1")
    }
    assert all(line["reason"].startswith(f"{CUDA}: ") for line in said)
    assert len(said) == 2, "one line for each model"
    assert not [line for line in plain.log() if "provider" in line], "the default needs no line"


def test_a_provider_that_nobody_knows_ends_the_start(start_gateway: Callable[..., Gateway]) -> None:
    with pytest.raises(RuntimeError, match="'tpu' is no provider, which are cuda, cpu"):
        start_gateway("--onnx-providers", "tpu")
