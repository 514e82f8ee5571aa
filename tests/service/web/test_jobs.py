"""The folder of uploads: what is not the service's own is never touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.web.files.jobs import RECORD, SOURCE, FileJob, JobFolder


def a_job(job_id: str) -> FileJob:
    return FileJob(job_id=job_id, name="a.csv", size=1, sha256="0" * 64, detector="rules", language="en", created_us=7)


def test_a_start_deletes_what_was_not_received_whole_and_nothing_else(tmp_path: Path) -> None:
    folders = JobFolder(tmp_path)
    whole, half, later = (folders.new() for _ in range(3))
    for _, path in (whole, half, later):
        (path / SOURCE).write_bytes(b"x")
    folders.save(a_job(whole[0]))
    (later[1] / RECORD).write_text('{"of": "a later release"}')
    (tmp_path / "somebody's").mkdir()
    (tmp_path / "somebody's" / "letters.txt").write_text("dear")
    (tmp_path / "0123456789abcdef").write_text("a file")
    assert [job.job_id for job in folders.load()] == [whole[0]]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == sorted(
        [whole[0], later[0], "somebody's", "0123456789abcdef"]
    )
    assert (tmp_path / "somebody's" / "letters.txt").read_text() == "dear"
    assert (later[1] / SOURCE).read_bytes() == b"x"


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    first = JobFolder(tmp_path)
    with pytest.raises(BlockingIOError):
        JobFolder(tmp_path)
    del first
    JobFolder(tmp_path)
