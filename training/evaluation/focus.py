"""Where the attention of a network looks: how much at the early, middle and late events of what it may see.

Weights of attention are no explanation of an answer (Jain & Wallace, 2019, "Attention is not explanation"); they say
which events a network brings together. Networks without attention have no such rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from service.model.sequences import pad
from training.evaluation.detectors import MODEL
from training.evaluation.slices import Judged, Row
from training.network.lstm import EpcLstm
from training.samples.samples import Samples
from training.samples.splits import normal_events

NORMAL = "normal"
"""In the place of a kind: events without any."""

THIRDS = ("early", "middle", "late")

SHARE, EVEN, EVENTS = "attention_share", "even_share", "attention_events"
"""Metrics by third: what the events there get, what they would get if all got the same; and of how many events."""

PEAK, ITSELF = "attention_peak", "attention_peak_itself"
"""Metrics: where the most weight lies, 0 first to 1 last event; how often that is the judged event itself."""

FOCUS = "focus"
"""The slice of the metrics that are of no third; `FOCUS` and the third is that of the others."""

_SHORTEST = 3  # events seen: fewer have no thirds
_MOST = 4_000  # events of a mode, drawn by kind
_BATCH = 256


def focus_rows(model: EpcLstm, judged: dict[str, Judged], seed: int) -> Iterator[Row]:
    """Yield where each event looks, on average over those of each true kind and the normal ones, by mode."""
    if model.attention is None:
        return
    rng = np.random.default_rng(seed)
    for causal, (mode, part) in enumerate(judged.items()):
        for kind, rows in _by_kind(part.samples, rng):
            if len(rows):
                yield from _rows(mode, kind, _measures(model, part.samples, rows, causal=bool(causal)))


@torch.inference_mode()
def attention_weights(model: EpcLstm, features: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how much each event looks at each other one, [B, T, T] with rows of sum 1.

    For features [B, T, F] and lengths [B, 1]; the weights are those that the network's answer was made with.
    """
    if model.attention is None:
        raise ValueError("this network has no attention")
    seen: list[tuple[torch.Tensor, ...]] = []
    hook = model.attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    try:
        model.eval()(torch.from_numpy(features), torch.from_numpy(lengths))
    finally:
        hook.remove()
    weights: NDArray[np.float32] = model.attention.weights(*seen[0]).numpy()
    return weights


def thirds(weights: NDArray[np.float32], seen: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (weight of each third [N, 3], its share of the events that are seen [N, 3]).

    For weights [N, T] and how many events are ``seen`` [N].
    """
    steps = np.arange(weights.shape[1])
    third = np.minimum(3 * steps // seen[:, None], 2)  # [N, T]
    real = steps < seen[:, None]
    inside = (third[:, :, None] == np.arange(3)) & real[:, :, None]  # [N, T, 3]
    share: NDArray[np.float64] = np.einsum("nt,ntk->nk", weights.astype(np.float64), inside)
    return share, inside.mean(axis=1) * weights.shape[1] / seen[:, None]


def _by_kind(part: Samples, rng: np.random.Generator) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Yield each kind and rows of events that suffer it, then normal ones; those alone that see events enough."""
    enough = part.windows.length[part.windows.window_of] >= _SHORTEST
    for column, kind in enumerate(KINDS):
        yield kind, _some(np.flatnonzero((part.labels[:, column] >= 0.5) & enough), rng)
    yield NORMAL, _some(np.flatnonzero(normal_events(part.labels) & enough), rng)


def _some(rows: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.permutation(rows)[:_MOST])


def _measures(
    model: EpcLstm, part: Samples, rows: NDArray[np.intp], *, causal: bool
) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Return (slice, metric, a value for each of the rows)."""
    windows = part.windows
    window, offset = windows.window_of[rows], windows.offset_of[rows]
    length = windows.length[window]
    looks = np.zeros((len(rows), int(length.max())), dtype=np.float32)
    for begin in range(0, len(rows), _BATCH):
        some = slice(begin, begin + _BATCH)
        batch = pad(part.features, windows.start[window[some]], length[some], int(length[some].max()))
        weights = attention_weights(model, batch, length[some, None].astype(np.int64))
        looks[some, : batch.shape[1]] = weights[np.arange(len(batch)), offset[some]]
    seen = offset + 1 if causal else length
    share, even = thirds(looks, seen)
    peak = looks.argmax(axis=1)
    found = [(FOCUS, PEAK, peak / np.maximum(seen - 1, 1)), (FOCUS, ITSELF, (peak == offset).astype(np.float64))]
    found.append((FOCUS, EVENTS, np.array([float(len(rows))])))
    for column, third in enumerate(THIRDS):
        found += [(f"{FOCUS} {third}", SHARE, share[:, column]), (f"{FOCUS} {third}", EVEN, even[:, column])]
    return found


def _rows(mode: str, kind: str, measures: list[tuple[str, str, NDArray[np.float64]]]) -> Iterator[Row]:
    for name, metric, values in measures:
        yield Row(mode, MODEL, name, kind, metric, float(values.mean()))
