"""What outlives a round beside the log of promotions and the operations: caution alone, so that losing it harms nobody.

The file is written whole and put in the place of the one before: a process that is killed leaves one or the other.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from service.errors import CommandError

STATE_FILE = "operate.json"

log = structlog.get_logger("epc_sentinel.operate")


class OperateState(BaseModel):
    """See the module."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    rounds: int = 0
    at: str = ""  # of the last round, ISO 8601, UTC
    interval_s: float = 0.0  # between two rounds, as it was told
    performance: float = 0.0  # the severity that it found
    drift: float = 0.0
    closely: bool = False  # the models are watched closely
    quiet: int = 0  # rounds since which they need not be
    suggested: dict[str, str] = {}  # what is suggested now, and since when
    refused: dict[str, str] = {}  # what could not be done, and why: it is not tried every round


def last_round(folder: Path) -> tuple[float, float] | None:
    """Return (Unix time of the last round, seconds between two); None where there was none or it cannot be read."""
    try:
        state = OperateState.model_validate_json((folder / STATE_FILE).read_text())
        return datetime.fromisoformat(state.at).timestamp(), state.interval_s
    except (OSError, ValueError):  # a ValidationError among them
        return None


def read_state(folder: Path) -> OperateState:
    """Return the state, a new one where there is none that can be read."""
    try:
        return OperateState.model_validate_json((folder / STATE_FILE).read_text())
    except FileNotFoundError:
        return OperateState()
    except (OSError, ValueError, ValidationError) as error:
        log.warning("the state of the rounds cannot be read: they begin anew", reason=str(error).splitlines()[0])
        return OperateState()


def write_state(folder: Path, state: OperateState) -> None:
    """Write the state, whole or not at all.

    Raises:
        CommandError: it cannot be written.
    """
    path = folder / STATE_FILE
    fresh = path.with_suffix(".tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with fresh.open("w") as file:
            file.write(state.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None
