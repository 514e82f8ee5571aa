"""The background writer: nobody waits for it, and nothing is lost without being counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.monitoring import background_writer
from service.monitoring.background_writer import BackgroundWriter, Bounds, Outcome


class Disk:
    """Takes batches, and can be made to hang."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[int], bool]] = []
        self.ready = threading.Event()
        self.ready.set()
        self.asked = threading.Event()

    def write(self, batch: list[int], is_last: bool) -> Outcome:
        self.asked.set()
        self.ready.wait()
        self.batches.append((batch, is_last))
        return Outcome(len(batch))

    @contextmanager
    def hanging(self) -> Iterator[None]:
        self.asked.clear()
        self.ready.clear()
        yield
        self.ready.set()


def test_a_batch_is_written_when_it_is_full_and_the_rest_at_the_end() -> None:
    disk = Disk()
    writer = BackgroundWriter("test", disk.write, Bounds(waiting=100, batch=3, gather_s=60.0))
    assert all(writer.put(number) for number in range(7))
    writer.close()
    assert [batch for batch, _ in disk.batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [is_last for _, is_last in disk.batches] == [False, False, True]
    assert (writer.written, writer.dropped, writer.waiting) == (7, 0, 0)


def test_a_batch_that_does_not_fill_is_written_after_a_while() -> None:
    disk = Disk()
    writer = BackgroundWriter("test", disk.write, Bounds(waiting=100, batch=10, gather_s=0.2))
    began = time.monotonic()
    writer.put(1)
    writer.put(2)
    assert disk.asked.wait(5)
    assert time.monotonic() - began >= 0.2
    writer.close()
    assert disk.batches == [([1, 2], False), ([], True)]


def test_what_is_being_written_takes_room_and_more_is_dropped() -> None:
    disk = Disk()
    writer = BackgroundWriter("test", disk.write, Bounds(waiting=10, batch=1, gather_s=60.0))
    with disk.hanging():
        assert writer.put(1, 6)
        assert disk.asked.wait(5)
        begin = time.monotonic()
        assert writer.put(2, 4)
        assert not writer.put(3, 1)
        assert not writer.put(4, 50)
        assert time.monotonic() - begin < 1
        assert (writer.written, writer.dropped, writer.waiting) == (0, 51, 10)
    writer.close()
    assert [batch for batch, _ in disk.batches] == [[1], [2]]
    assert (writer.dropped, writer.waiting) == (51, 0)


def test_what_the_writer_lost_is_counted() -> None:
    bounds = Bounds(waiting=10, batch=1, gather_s=60.0)
    writer = BackgroundWriter("test", lambda batch, _: Outcome(0, lost=len(batch)), bounds)
    writer.put(1)
    writer.put(2)
    writer.close()
    assert (writer.written, writer.dropped, writer.waiting) == (0, 2, 0)


def test_the_writer_is_called_without_anything_new_when_it_asked_for_it() -> None:
    disk = Disk()
    writer = BackgroundWriter("test", disk.write, Bounds(waiting=10, batch=1, gather_s=60.0), lambda: 0.05)
    assert disk.asked.wait(5)
    writer.close()
    assert disk.batches[0] == ([], False)
    assert disk.batches[-1] == ([], True)


def test_a_writer_that_hangs_is_late_and_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_writer, "GRACE_S", 0.1)
    monkeypatch.setattr(background_writer, "_JOIN_S", 0.3)
    disk = Disk()
    writer = BackgroundWriter("test", disk.write, Bounds(waiting=10, batch=1, gather_s=60.0))
    with disk.hanging():
        writer.put(1)
        assert disk.asked.wait(5)
        assert not writer.is_late
        begin = time.monotonic()
        writer.close()
        assert 0.2 < time.monotonic() - begin < 5
        assert writer.is_late


def test_what_a_hanging_disk_did_not_take_is_lost_and_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_writer, "_JOIN_S", 0.3)
    disk = Disk()
    writer = BackgroundWriter("hangs", disk.write, Bounds(waiting=100, batch=2, gather_s=0.01))
    [thread] = [one for one in threading.enumerate() if one.name == "hangs"]
    with disk.hanging():
        for number in range(5):
            writer.put(number)
        assert disk.asked.wait(5)
        time.sleep(0.1)
        assert writer.stalled_s >= 0.1
        writer.close()
        assert (writer.written, writer.dropped, writer.waiting) == (0, 5, 0)
    thread.join(10)  # the disk goes on, and takes what was given up
    assert disk.batches
    assert (writer.written, writer.dropped, writer.waiting) == (0, 5, 0)
