"""Steps of the training as `training/fitting/loop.py` takes them on a GPU, in float32 and in mixed precision."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from service.events.vocabulary import KINDS
from training.fitting.config import TrainConfig
from training.network.loss import LabelNoise, focal_loss
from training.network.lstm import EpcLstm

STEPS = 100
WARM_UP = 10
MOST_BYTES = 2_000_000_000
"""A training fits on a small card."""


@dataclass(frozen=True)
class Training:
    """A row of the table."""

    mixed: bool
    T: int
    B: int
    step_ms: float
    peak_bytes: int  # of the GPU's memory, 0 without one
    loss: float  # of the last step


def measure(device: str, *, pieces: int, T: int, mixed: bool, steps: int = STEPS) -> Training:
    """Take ``steps`` steps of the default settings with random windows of T events, features in ``pieces``."""
    config = TrainConfig()
    torch.manual_seed(0)
    model = EpcLstm(config.model(pieces)).to(device).train()
    noise = LabelNoise().to(device)
    optimizer = torch.optim.AdamW([*model.parameters(), *noise.parameters()], lr=config.learning_rate)
    scaler = torch.amp.GradScaler(device, enabled=mixed and device == "cuda")
    x = torch.randn(config.batch, T, model.config.features)  # on the host, as the loop has it
    y = (torch.rand(config.batch, T, len(KINDS)) < 0.05).float()
    lengths = torch.randint(1, T + 1, (config.batch,))
    mask = (torch.arange(T) < lengths[:, None]).to(device)

    def step() -> float:
        with torch.autocast(device, dtype=torch.float16 if device == "cuda" else torch.bfloat16, enabled=mixed):
            logits = model(x.to(device), lengths.to(device))
        loss = focal_loss(noise(logits.float()[mask]), y.to(device)[mask], config.focal_gamma)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(scaler.scale(loss))
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return float(loss.detach())  # waits for the device, as the loop does

    for _ in range(min(WARM_UP, steps)):
        step()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    losses = [step() for _ in range(steps)]
    step_ms = 1e3 * (time.perf_counter() - begin) / steps
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    return Training(mixed, T, config.batch, step_ms, peak, losses[-1])
