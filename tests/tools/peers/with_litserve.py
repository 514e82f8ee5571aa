"""The detector behind LitServe: rows as JSON, judged in its inference workers.

``python -m tests.tools.peers.with_litserve PORT PROCESSES``; LitServe adds an HTTP process per worker.
"""

# Annotations are evaluated here: LitServe goes by what they are, and would not know them by their names.

import sys
from typing import Any

import litserve
from fastapi import Request

from tests.tools.peers.detector import Columns, Detector
from tests.tools.peers.rows import Rows, to_columns


class Api(litserve.LitAPI):
    """What LitServe calls in each of its workers."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's contract
        """Load the detector."""
        self._detector = Detector()

    def decode_request(self, request: Request) -> Columns:
        """Return the columns; ``request`` is JSON by now. Were it typed as rows, LitServe would make a text of them."""
        return to_columns(Rows.model_validate(request).data)

    def predict(self, x: Columns) -> dict[str, Any]:
        """Judge the events."""
        return self._detector.answer(x)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Return what FastAPI is to write as JSON."""
        return output


if __name__ == "__main__":
    port, processes = map(int, sys.argv[1:])
    api = Api(api_path="/analyze")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=processes, timeout=False)
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False, access_log=False)
