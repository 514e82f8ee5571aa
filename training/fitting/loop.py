"""Fits the weights: focal loss, one-cycle schedule, early stopping, and a checkpoint after every epoch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit  # type: ignore[import-untyped]
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from service.events.vocabulary import MODES
from service.features import table as features
from service.model.sequences import Windows, pad
from training.fitting.checkpoint import Checkpoint, State
from training.fitting.config import TrainConfig
from training.fitting.start import Anchor
from training.metrics import per_kind as metrics
from training.metrics.ranking import MACRO
from training.network.encoding import learn_scales
from training.network.loss import LabelNoise, focal_loss
from training.network.lstm import EpcLstm
from training.network.predict import predict
from training.samples.samples import Draw, Samples, concatenate

Curves = list[dict[str, float]]
"""By epoch: its number, the loss, the validation macro AP by mode, and the share of wrong labels, mean of the kinds."""

AfterEpoch = Callable[[Curves], None]
"""Called after each epoch with the curves so far."""

Tensors = tuple[Tensor, ...] | list[Tensor]

_AVERAGING = 0.998  # of the averaged weights are kept in a step
_CLIP_NORM = 1.0
_NOISE_RATE = 0.02  # peak learning rate of the shares of wrong labels
_MOST_PASSES = 12  # of an epoch; a small world is seen in that many ways before windows are drawn again
_UNDECIDED = 0.01, 0.97  # the network is not sure of an event that has a probability between these
_SURE_FROM = 2  # epochs, before which it is sure of nothing
_SORTED_BATCHES = 16  # windows are sorted by length within this many batches, so that little is padded


def fit(  # noqa: PLR0913, PLR0917
    config: TrainConfig,
    draw: Draw,
    check: list[Samples],
    after_epoch: AfterEpoch,
    checkpoint: Checkpoint | None = None,
    start: EpcLstm | None = None,
    *,
    keeps_last: bool = False,
) -> tuple[EpcLstm, Curves]:
    """Return (the model of the best epoch, the curves); with ``keeps_last`` the model of the last one.

    The same config and samples give the same weights on a CPU, also if the training was interrupted: it goes on from
    ``checkpoint`` if that exists. It begins with the weights of ``start``, which is not changed, or with random ones.

    Raises:
        DataError: the checkpoint is of another config or of other data.
    """
    # One thread: a second one made a step of these small matrices no faster on idle cores and six times dearer on busy
    # ones (threads wait in spin loops), and sums in another order. The second core prepares the next epoch.
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.seed)
    first = _passes(draw, config, 0)
    state = _fresh(config, first, device, start)
    if checkpoint is not None:
        checkpoint.restore(state)
    pool = ThreadPoolExecutor(1)
    begin = len(state.curves)
    ahead = {begin: pool.submit(_passes, draw, config, begin) if begin else pool.submit(lambda: first)}
    try:
        for epoch in range(begin, config.epochs):
            if state.curves and state.since_best >= config.patience and not keeps_last:
                break
            if epoch + 1 < config.epochs:
                ahead[epoch + 1] = pool.submit(_passes, draw, config, epoch + 1)
            parts = ahead.pop(epoch).result()
            loss = _epoch(state, config, parts, np.random.default_rng([config.seed, epoch, 1]))
            wrong = float(state.noise.share().detach().mean())
            state.curves.append(
                {"epoch": epoch + 1, "loss": loss, **_checked(state.averaged, check), "wrong_labels": wrong}
            )
            if state.since_best == 0 or keeps_last:
                state.best = copy.deepcopy(state.averaged.state_dict())
            if checkpoint is not None:
                checkpoint.save(state)
            after_epoch(state.curves)
    finally:
        pool.shutdown(cancel_futures=True)
    state.model.load_state_dict(state.best)
    return state.model.cpu().eval(), state.curves


def _checked(model: EpcLstm, check: list[Samples]) -> dict[str, float]:
    """Return the macro AP by mode."""
    ap = [metrics.per_kind(part.labels, predict(model, part))[MACRO]["ap"] for part in check]
    return dict(zip(MODES, ap, strict=True))


def _fresh(config: TrainConfig, parts: tuple[Samples, Samples], device: torch.device, start: EpcLstm | None) -> State:
    if start is None:
        scales = learn_scales(np.concatenate([part.features for part in parts]), config.bins)
        model = EpcLstm(config.model(len(scales.column)))
        model.encoding.set_scales(scales)
    else:
        model = copy.deepcopy(start)
        for module in (model.encoding, model.project) if config.frozen_encoder else ():
            module.requires_grad_(requires_grad=False)
    model.to(device)
    noise = LabelNoise().to(device)
    groups: list[dict[str, Any]] = [
        {"params": list(model.parameters())},
        {"params": list(noise.parameters()), "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * 2 * -(-(config.windows_per_epoch // 2) // config.batch)
    schedule = OneCycleLR(optimizer, [config.learning_rate, _NOISE_RATE], total_steps=steps, pct_start=0.2)
    # On a GPU autocast runs the LSTM of cuDNN in float16, whatever it is told: small gradients need scaling.
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
    anchor = None if start is None or not config.anchor else Anchor.of(model)
    return State(model, AveragedModel(model, multi_avg_fn=_average), noise, optimizer, schedule, scaler, anchor)


@torch.no_grad()
def _average(averages: Tensors, weights: Tensors, steps: Tensor | int) -> None:
    """Move the averages towards the weights after a step: an exponential average over the last 500 steps or so.

    At the beginning over fewer: weights of the first steps would stay in it for long.
    """
    keep = min(_AVERAGING, (1 + int(steps)) / (10 + int(steps)))
    torch._foreach_lerp_(averages, weights, 1 - keep)


def _passes(draw: Draw, config: TrainConfig, epoch: int) -> tuple[Samples, Samples]:
    """Return the samples of an epoch: of one pass, or of as many as a small world needs to fill it."""
    rng = np.random.default_rng([config.seed, epoch])
    passes = [draw(rng)]
    while len(passes) < _MOST_PASSES and sum(len(p[0].windows.start) for p in passes) < config.windows_per_epoch // 2:
        passes.append(draw(rng))
    retrospective, causal = (concatenate(list(parts)) for parts in zip(*passes, strict=True))
    return retrospective, causal


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    part: Samples
    start: NDArray[np.intp]  # [B] first event of each window
    length: NDArray[np.intp]  # [B]


def _epoch(state: State, config: TrainConfig, parts: tuple[Samples, Samples], rng: np.random.Generator) -> float:
    """Take the steps of one epoch and return the mean loss."""
    torch.manual_seed(int(rng.integers(2**62)))  # dropout and noise
    model = state.model.train()
    time_noise = _time_noise(model, config.time_noise)
    # Causal samples have a window for each prefix, of which the model judges the last event as it does in the whole
    # journey: the windows of that teach as much in fewer steps. Both samples are of the same events.
    so_far = state.averaged if len(state.curves) >= _SURE_FROM else None
    weights = [_weights(part, parts[0], config, so_far) for part in parts]
    batches = [
        batch
        for part, weight in zip(parts, weights, strict=True)
        for batch in _batches(part, parts[0].windows, weight, config, rng)
    ]
    total = 0.0
    for index in rng.permutation(len(batches)).tolist():
        logits, targets = _judged(model, batches[index], time_noise)
        loss = focal_loss(state.noise(logits), targets, config.focal_gamma)
        if state.anchor is not None:
            loss = loss + config.anchor * state.anchor.distance(model)
        state.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(state.scaler.scale(loss))
        state.scaler.unscale_(state.optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.average.update_parameters(model)
        state.schedule.step()
        total += float(loss.detach())
    return total / len(batches)


def _time_noise(model: EpcLstm, share: float) -> Tensor:
    """Return the deviation [F] of the noise on each feature: a share of its own if it serves the times, else 0."""
    serves_time = torch.tensor([kind == "jump" for _, kind, _ in features.FEATURES])
    scale = model.encoding.scale.cpu()
    return torch.where(serves_time & (scale > 0), share / scale.clamp(min=1e-6), 0.0)


def _weights(part: Samples, whole: Samples, config: TrainConfig, so_far: EpcLstm | None) -> NDArray[np.float64]:
    """Return how often each window of ``whole`` is drawn for ``part``, which has the same events in one of both modes.

    Anomalous ones oftener; and those of which the model ``so_far`` is not sure: the few at the border are learned last.
    """
    weight = _most(whole, np.where(part.labels >= 0.5, config.oftener(), 0.0).max(axis=1))
    weight[weight == 0] = 1  # windows of normal events
    if so_far is not None and config.undecided_weight != 1:
        said = expit(predict(so_far, replace(part, windows=whole.windows)))
        undecided = ((said > _UNDECIDED[0]) & (said < _UNDECIDED[1])).any(axis=1)
        weight *= np.where(_most(whole, undecided.astype(np.float64)) > 0, config.undecided_weight, 1.0)
    return weight * whole.draws


def _most(whole: Samples, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the greatest of the ``values`` [N], 0 or more, of the events of each window."""
    found = np.zeros(len(whole.windows.start))
    np.maximum.at(found, whole.windows.window_of, values)
    return found


def _batches(
    part: Samples, windows: Windows, weight: NDArray[np.float64], config: TrainConfig, rng: np.random.Generator
) -> Iterator[_Batch]:
    """Yield half an epoch's windows, drawn by their ``weight``, in batches of like lengths."""
    count = config.windows_per_epoch // 2
    drawn = rng.choice(len(weight), count, p=weight / weight.sum())
    chunk = config.batch * _SORTED_BATCHES
    for begin in range(0, count, chunk):
        rows = drawn[begin : begin + chunk]
        rows = rows[np.argsort(windows.length[rows], kind="stable")]
        for batch in np.split(rows, range(config.batch, len(rows), config.batch)):
            yield _Batch(part, windows.start[batch], windows.length[batch])


def _judged(model: EpcLstm, batch: _Batch, time_noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return (logits, labels), each [N, 5], of the N events of a batch."""
    device = next(model.parameters()).device
    start, length = batch.start, batch.length
    longest = int(length.max())
    x = torch.from_numpy(pad(batch.part.features, start, length, longest))  # [B, T, F]
    x = x + torch.randn_like(x) * time_noise
    y = torch.from_numpy(pad(batch.part.labels, start, length, longest))  # [B, T, 5]
    mask = torch.from_numpy(np.arange(longest) < length[:, None]).to(device)  # [B, T]
    with torch.autocast(device.type, dtype=torch.float16, enabled=device.type == "cuda"):
        logits = model(x.to(device), torch.from_numpy(length.astype(np.int64)).to(device))
    return logits.float()[mask], y.to(device)[mask]
