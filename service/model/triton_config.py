"""The type of config.pbtxt, how Triton runs a model: the one place that knows it, for export and verify."""

from __future__ import annotations

import importlib
from typing import Any

from service.errors import CommandError


def config_type(command: str, extra: str) -> Any:  # noqa: ANN401 - the package has no types
    """Return the class `inference.ModelConfig`; ``command`` and the ``extra`` it needs are for the message.

    Raises:
        CommandError: the package that knows Triton's configs is missing.
    """
    try:
        return importlib.import_module("tritonclient.grpc.model_config_pb2").ModelConfig
    except ImportError:
        raise CommandError(f"{command} needs the extra '{extra}': pip install 'epc-sentinel[{extra}]'") from None
