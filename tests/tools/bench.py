"""``make bench``: the bench command with a real Triton server beside the embedded model."""

from __future__ import annotations

import subprocess
import sys

from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import ROOT


def main() -> None:
    """Start Triton with the bundled model, and measure."""
    with TritonServer(ROOT / "model_repository") as triton:
        command = [sys.executable, "-m", "service", "bench", "--triton", f"triton://{triton.url}", *sys.argv[1:]]
        sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
