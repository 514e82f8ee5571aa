"""The network of the field's template: two LSTM layers, then dense layers down to WIP, throughput and cycle time."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from service.flow.forecast.windows import FEATURES
from training.flow.config import FlowConfig
from training.flow.methods.samples import FlowSamples

_CLIP_NORM = 1.0
_ROWS_PER_EPOCH = 4096
_CHECK_SHARE = 0.15
"""Of the rows, the latest: they say when to stop."""


class FlowLstm(nn.Module):
    """Rows [B, L, F] to measures [B, 3]."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.first = nn.LSTM(len(FEATURES), config.lstm_units_1, batch_first=True)
        self.second = nn.LSTM(config.lstm_units_1, config.lstm_units_2, batch_first=True)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.dense_1, self.dense_2, self.dense_3 = (
            nn.Linear(config.lstm_units_2, 64),
            nn.Linear(64, 32),
            nn.Linear(32, 3),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return the measures, less their anchor and by their scale."""
        all_days, _ = self.first(rows)  # [B, L, units 1]
        all_days, _ = self.second(self.dropout(all_days))  # [B, L, units 2]
        last = self.dropout(all_days[:, -1])
        hidden = torch.relu(self.dense_2(torch.relu(self.dense_1(last))))
        answer: Tensor = self.dense_3(hidden)
        return answer


def fit_lstm(
    samples: FlowSamples, config: FlowConfig, after_epoch: Callable[[int, float], None]
) -> tuple[FlowLstm, list[dict[str, float]]]:
    """Return the network of the best epoch and its curves; the same samples and config give the same on a CPU.

    ``after_epoch`` is told the number of the epoch and the validation loss; what it raises ends the training.
    """
    torch.set_num_threads(1)  # a second thread makes steps of these sizes no faster
    torch.manual_seed(config.seed)
    network = FlowLstm(config)
    rows, target = torch.from_numpy(samples.rows), torch.from_numpy(samples.target)
    cut = int(len(rows) * (1 - _CHECK_SHARE))
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    best, best_loss, since = copy.deepcopy(network.state_dict()), float("inf"), 0
    curves = []
    for epoch in range(config.epochs):
        network.train()
        order = torch.randperm(cut)[:_ROWS_PER_EPOCH]
        total = 0.0
        for batch in torch.split(order, config.batch_size):
            optimizer.zero_grad()
            loss = _loss(network(rows[batch]), target[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), _CLIP_NORM)
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        check = float(_loss(torch.from_numpy(answers(network, samples.rows[cut:])), target[cut:]))
        curves.append({"epoch": epoch + 1, "loss": total / max(len(order), 1), "validation_loss": check})
        since += 1
        if check < best_loss:
            best, best_loss, since = copy.deepcopy(network.state_dict()), check, 0
        after_epoch(epoch + 1, check)
        if since >= config.patience:
            break
    network.load_state_dict(best)
    return network.eval(), curves


def answers(
    network: FlowLstm, rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the measures [B, 3] of rows [B, L, F]."""
    network.eval()
    with torch.inference_mode():
        parts = [network(part) for part in torch.split(torch.from_numpy(rows), 8192)]
    return torch.cat(parts).numpy()


def _loss(said: Tensor, target: Tensor) -> Tensor:
    """Absolute errors, which WAPE sums up; those of cycle times of nothing do not count."""
    known = ~torch.isnan(target)
    return (said[known] - target[known]).abs().mean()
