"""Journeys cut to what the model takes: windows of bounded length, padded to a few fixed lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from service.events.groups import Index
from service.events.journeys import Journeys
from service.runtime.timing import timed

_MIN_BATCH, _MAX_BATCH = 64, 256
"""Windows per call of a backend that takes any length: a call costs 0.1 ms, and a large one keeps others waiting."""

_CALL_STEPS = 40
"""Steps of padding that cost a processor as much as one more call of the embedded model: 14 the call itself, and the
others to get the interpreter back from whoever had it meanwhile."""

_FIXED_BATCH = 128
"""Windows per call of a backend that wants fixed lengths: large enough for full speed, small enough to be fair."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """W runs of neighbouring events, and where each of the N events finds its one answer."""

    start: Index  # [W] first event
    length: Index  # [W] events, 1..limit
    window_of: Index  # [N] window that answers for the event
    offset_of: Index  # [N] place of the event in that window

    def answering(self, rows: Index) -> Windows:
        """Return the windows that answer for the events ``rows`` [A], different ones, and only those windows."""
        if len(rows) == len(self.window_of):
            return Windows(self.start, self.length, self.window_of[rows], self.offset_of[rows])
        used, window_of = np.unique(self.window_of[rows], return_inverse=True)
        return Windows(self.start[used], self.length[used], window_of, self.offset_of[rows])

    def joined(self) -> Windows:
        """Return the windows, which are in the order of their start, without those that others begin with.

        Models read causal sequences forward alone: what they say of an event does not depend on those after it.
        """
        is_first = np.append(True, self.start[1:] != self.start[:-1])
        first = np.flatnonzero(is_first)
        length = np.maximum.reduceat(self.length, first)
        return Windows(self.start[first], length, (is_first.cumsum() - 1)[self.window_of], self.offset_of)


def whole_windows(journeys: Journeys, limit: int) -> Windows:
    """Cut journeys into windows of at most ``limit`` events that overlap by half.

    A journey within the limit is one window. In a longer one each event is answered by the window that has it nearest
    to its middle.
    """
    if (journeys.length <= limit).all():  # nearly always: a tenth of what the arithmetic below takes
        return Windows(
            journeys.start, journeys.length, journeys.spread(np.arange(len(journeys.start))), journeys.position
        )
    stride = max(limit // 2, 1)
    excess = np.maximum(journeys.length - limit, 0)
    count = 1 + -(-excess // stride)
    first = count.cumsum() - count
    number = np.arange(int(count.sum())) - first.repeat(count)  # of a window in its journey
    start = journeys.start.repeat(count) + np.minimum(number * stride, excess.repeat(count))
    nearest = np.maximum(journeys.position - (limit - stride) // 2, 0) // stride
    last = np.repeat(count - 1, journeys.length)
    window_of = first.repeat(journeys.length) + np.minimum(nearest, last)
    length = np.repeat(np.minimum(journeys.length, limit), count)
    return Windows(start, length, window_of, np.arange(len(window_of)) - start[window_of])


def prefix_windows(journeys: Journeys, limit: int) -> Windows:
    """Return one window per event that ends with it: the last ``limit`` events up to it, for causal judgements."""
    n = len(journeys.order)
    length = np.minimum(journeys.position + 1, limit)
    return Windows(np.arange(n) - length + 1, length, np.arange(n), length - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B windows as the model takes them."""

    rows: Index  # [B] which windows
    features: NDArray[np.float32]  # [B, T, F]
    lengths: NDArray[np.int64]  # [B, 1]


def cut_to_batches(
    features: NDArray[np.float32], windows: Windows, fixed_lengths: NDArray[np.int64] | None
) -> Iterator[Batch]:
    """Yield the windows of ``features`` [N, F] in batches, padded to one of the ascending ``fixed_lengths``.

    With None each batch has the length of its longest window; windows of similar lengths are in one batch either way.
    """
    order = windows.length.argsort(kind="stable")
    length = windows.length[order]
    if fixed_lengths is None:
        few = -(-len(order) // 2)  # half of them, so that two threads share a small request
        starts = np.arange(0, len(order), min(max(few, _MIN_BATCH), _MAX_BATCH)).tolist()
    else:
        ends = np.searchsorted(length, fixed_lengths, side="right").tolist()
        starts = [at for begin, end in pairwise([0, *ends]) for at in range(begin, end, _FIXED_BATCH)]
    for begin, end in pairwise([*starts, len(order)]):
        rows, longest = order[begin:end], int(length[end - 1])
        if fixed_lengths is not None:
            longest = int(fixed_lengths[np.searchsorted(fixed_lengths, longest)])
        yield Batch(rows, pad(features, windows.start[rows], length[begin:end], longest), length[begin:end, None])


def pad(features: NDArray[np.float32], start: Index, length: Index, padded_length: int) -> NDArray[np.float32]:
    """Return the windows of ``features`` [N, F] as [B, T, F] with T = ``padded_length``, zeros after each length."""
    with timed("pad", int(length.sum())):
        steps = np.arange(padded_length)
        padded = features.take(start[:, None] + steps, axis=0, mode="clip")
        padded[steps >= length[:, None]] = 0.0
        return padded


def with_little_padding(lengths: NDArray[np.int64], most: int) -> Iterator[slice]:
    """Yield sequences of ``lengths`` [B, 1] in parts of at most ``most`` for calls that are padded each by itself.

    Where sequences become longer a part ends if to pad it would take longer than another call: of the journeys of 500
    events, padded in two parts, a quarter is padding, and in three a tenth.
    """
    length = lengths[:, 0].tolist()
    begin, longest = 0, length[0]
    for at in (np.flatnonzero(np.diff(lengths[:, 0])) + 1).tolist():
        if (at - begin) % most * (length[at] - longest) > _CALL_STEPS:
            yield from _pieces(begin, at, most)
            begin = at
        longest = max(longest, length[at])
    yield from _pieces(begin, len(length), most)


def _pieces(begin: int, end: int, most: int) -> Iterator[slice]:
    return (slice(at, min(at + most, end)) for at in range(begin, end, most))
