"""What tests read of processes while these write."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import log_lines


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('warned: no JSON\n{"event": "call"}\n{"event": "call", "method": "An')
    assert log_lines(str(log)) == [{"event": "call"}]
    with log.open("a") as more:
        more.write('alyze"}\n')
    assert log_lines(str(log))[1] == {"event": "call", "method": "Analyze"}
