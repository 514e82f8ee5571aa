"""A version on a Triton that is told what to load (``--model-control-mode=explicit``), under a name of its own.

Triton reloads a whole model when one of its versions comes or goes, with all that are served. So a new version is a
model of its own, ``epc_lstm_v2``: it comes and goes while others serve on. What is loaded are the very bytes that were
verified here: Triton needs no repository that could hold others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf import json_format, text_format

from service.errors import ModelRepositoryError
from service.model.manifest import MODEL_FILE
from service.model.repository import Model
from service.model.triton_backend import Outgoing, TritonBackend, map_error, untraced
from service.model.triton_config import config_type

LOAD_S = 60.0
"""What Triton gets to load a version: a GPU takes seconds to warm up."""


class ControlledTriton(TritonBackend):
    """Asks for one version that it has Triton load, and load again should Triton have lost it."""

    def __init__(self, url: str, model: Model, config: str, outgoing: Outgoing = untraced) -> None:
        """Args: ``config`` names the file of ``configs/`` that says how Triton runs it, "" is config.pbtxt.

        Raises:
            ModelRepositoryError: there is no such file.
            ModelUnavailable: the extra ``triton`` is not installed.
        """
        self._own_name = f"{model.name}_v{model.version}"
        super().__init__(url, self._own_name, model.version, outgoing)
        self._file, self._onnx = f"file:{model.version}/{MODEL_FILE}", model.read_onnx()
        self._config = own_config(model.onnx_path.parents[1], config, self._own_name)

    async def prepare(self) -> None:
        """See `Backend.prepare`."""
        client = self._open()
        try:
            if await client.is_model_ready(self._own_name, self._version, client_timeout=LOAD_S):
                return
            load = client.load_model(
                self._own_name, config=self._config, files={self._file: self._onnx}, client_timeout=LOAD_S
            )
            await asyncio.shield(asyncio.ensure_future(load))  # half of a load is none: let it end
        except Exception as error:
            raise map_error(error) from error

    async def retire(self) -> None:
        """See `Backend.retire`."""
        try:
            await self._open().unload_model(self._own_name, client_timeout=LOAD_S)
        except Exception as error:
            raise map_error(error) from error


def own_config(folder: Path, config: str, own_name: str, dims: Mapping[str, Sequence[int]] | None = None) -> str:
    """Return Triton's config of the model in ``folder`` as JSON, under another name.

    Args:
        folder: of the model, with its configs.
        config: file of ``configs/``, "" is config.pbtxt.
        own_name: to write into it.
        dims: of inputs that are of this version alone, by name.

    Raises:
        ModelRepositoryError: there is no such file.
    """
    path: Path = folder / "configs" / f"{config}.pbtxt" if config else folder / "config.pbtxt"
    try:
        parsed = text_format.Parse(path.read_text(), config_type("--triton-control explicit", "triton")())
    except (OSError, text_format.ParseError):
        raise ModelRepositoryError(f"{path} is missing or no config of Triton: export a version again") from None
    parsed.name = own_name
    parsed.version_policy.all.SetInParent()  # it has but one
    for one in parsed.input:
        if dims is not None and one.name in dims:
            one.dims[:] = dims[one.name]
    return str(json_format.MessageToJson(parsed, preserving_proto_field_name=True))
