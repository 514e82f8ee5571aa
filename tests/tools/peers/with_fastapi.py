"""The detector behind FastAPI and uvicorn: rows as JSON, judged in FastAPI's threads.

``python -m tests.tools.peers.with_fastapi PORT PROCESSES``
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.tools.peers.detector import Detector
from tests.tools.peers.rows import Answer, Rows, to_columns

app = FastAPI()


@cache
def detector() -> Detector:
    """Return the detector of this process."""
    return Detector()


@app.post("/analyze", response_model=Answer, response_model_exclude_none=True)
def analyze(request: Rows) -> dict[str, Any]:
    """Judge the events; no coroutine, so FastAPI calls it in a thread."""
    return detector().answer(to_columns(request.data))


if __name__ == "__main__":
    port, processes = map(int, sys.argv[1:])
    uvicorn.run(
        "tests.tools.peers.with_fastapi:app", host="127.0.0.1", port=port, workers=processes, access_log=False,
        log_level="warning",
    )  # fmt: skip
