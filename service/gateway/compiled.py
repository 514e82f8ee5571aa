"""Whether the loops of the features are compiled: where no compiler was, the same files run as they are."""

from __future__ import annotations

from importlib.util import find_spec

import structlog

log = structlog.get_logger("epc_sentinel.compiled")


def form_of_features() -> str:
    """Return "compiled" or "uncompiled"; setup.py compiles all loops or none, so that one speaks for all."""
    loops = find_spec("service.features.journey")
    return "uncompiled" if loops is None or str(loops.origin).endswith(".py") else "compiled"


def say_if_uncompiled() -> None:
    """Warn, with what it costs and what mends it."""
    if (form := form_of_features()) == "uncompiled":
        log.warning(
            "features are not compiled",
            features=form,
            cost="they take hundreds of times longer, with the same results",
            remedy="install a C compiler, or `pip install ziglang`, then `make run` or `pip install --editable .`",
        )
