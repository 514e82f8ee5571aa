"""How far a command is, by what it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

from service.lifecycle.operations import Operations, Progressing


def test_a_share_in_an_error_is_no_progress(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    waits = f'until [ -e "{go_on}" ]; do sleep 0.02; done'
    command = ["sh", "-c", f"echo 98% done; {waits}; echo error: it is 21.2% worse, at most 2% may be; exit 1"]

    async def ended() -> tuple[float, Progressing, str]:
        operations = Operations(tmp_path / "operations")
        began = await operations.start("try", command, who="test", why="")
        while operations.get(began.operation_id).progress != 0.98:
            await asyncio.sleep(0.02)
        go_on.touch()
        while (found := operations.get(began.operation_id)).state is Progressing.RUNNING:
            await asyncio.sleep(0.02)
        return found.progress, found.state, found.message

    said = asyncio.run(asyncio.wait_for(ended(), 60))
    assert said == (0.98, Progressing.FAILED, "error: it is 21.2% worse, at most 2% may be")
