"""The network: one pass per EPC gives 5 logits for every event of it.

Axes: B sequences (one per EPC), T events of the padded sequence, F features, P pieces of their encoding,
H = ``ModelConfig.hidden``, D = 2H if the LSTM is bidirectional, else H.
Nothing at positions ``>= length`` can move an answer: the padding is zeroed on the way in, the reverse direction starts
at the last real event, and attention does not look at it.
In a causal sequence (`ModelConfig.causal_index`) nothing later can move the answer of an event: it passes over the
reverse direction, and attention looks back alone. So one pass gives every event the answer that it has as the last one
of its prefix, and training learns from all of them at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from service.events.vocabulary import KINDS
from training.network.encoding import Encoding

MASKED = -1e9
"""Attention score of padding. Not -inf: a row of -inf would be NaN after the softmax."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network; a run folder keeps them so that the weights can be loaded again."""

    features: int  # F, inputs per event
    hidden: int = 64  # H, units per direction
    layers: int = 1  # LSTM layers
    bidirectional: bool = True  # read each journey from its end too
    attention: bool = True  # let every event look at every other one of its EPC
    dropout: float = 0.1  # probability, in training only
    pieces: int = 0  # P, of the features' encoding; how many depends on the data
    causal_index: int = -1  # the feature that is 1.0 in a causal sequence and 0.0 in a retrospective one


class EpcLstm(nn.Module):
    """Encoding, projection, (Bi)LSTM, masked self-attention, LayerNorm, a head of 5 logits per event."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoding = Encoding(config.features, config.pieces)
        self.project = nn.Linear(self.encoding.width, config.hidden)
        self.recurrent = Recurrent(config.hidden, config.layers, bidirectional=config.bidirectional)
        width = config.hidden * (2 if config.bidirectional else 1)  # D
        self.attention = MaskedAttention(width, max(width // 4, 1)) if config.attention else None
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(KINDS))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return logits [B, T, 5] for raw features float32 [B, T, F] and lengths int64 [B] or [B, 1] in 1..T."""
        return cast(Tensor, self.head(self.dropout(self.embed(features, lengths))))

    def embed(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return what the head judges [B, T, D]: each event in its context, with zero mean and unit variance."""
        lengths = lengths.reshape(-1, 1)  # [B, 1]
        real = real_events(features, lengths)  # [B, T]
        causal = self.causal(features)  # [B, 1, 1]
        x = torch.where(real.unsqueeze(-1), features, 0.0).flatten(0, 1)  # [B T, F]
        x = self.dropout(torch.relu(self.project(self.encoding(x)))).unflatten(0, real.shape)  # [B, T, H]
        x = self.recurrent(x, lengths, causal)  # [B, T, D]
        if self.attention is not None:
            x = x + self.dropout(self.attention(x, visible(real, causal)))
        return cast(Tensor, self.norm(x))

    def causal(self, features: Tensor) -> Tensor:
        """Return bool [B, 1, 1], True for the causal sequences of features [B, T, F]."""
        return features[:, :1, self.config.causal_index, None] > 0.5


class Recurrent(nn.Module):
    """LSTM layers, of which the reverse half is silent in causal sequences."""

    def __init__(self, hidden: int, layers: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        width = hidden * (2 if bidirectional else 1)
        self.layers = nn.ModuleList(
            PaddedLstm(width if layer else hidden, hidden, bidirectional=bidirectional) for layer in range(layers)
        )

    def forward(self, x: Tensor, lengths: Tensor, causal: Tensor) -> Tensor:
        """Return [B, T, D] for x [B, T, H], lengths int64 [B, 1] and causal bool [B, 1, 1].

        The reverse half is silenced after each layer, because the next one reads both halves.
        """
        for layer in self.layers:
            x = layer(x, lengths)
            if self.bidirectional:
                forward, reverse = x.chunk(2, dim=-1)
                x = torch.cat([forward, torch.where(causal, 0.0, reverse)], dim=-1)
        return x


class PaddedLstm(nn.Module):
    """One LSTM layer that reads each sequence up to its length only (the export swaps in the ONNX operator)."""

    def __init__(self, width: int, hidden: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return [B, T, D] (forward half, then reverse half; 0 in the padding) for x [B, T, width], lengths [B, 1]."""
        packed = pack_padded_sequence(x, lengths.reshape(-1).cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class MaskedAttention(nn.Module):
    """Single-head scaled dot-product self-attention that looks at what is visible."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(width, 3 * inner)
        self.out = nn.Linear(inner, width)
        self.scale = 1.0 / math.sqrt(inner)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Return [B, T, width] for x [B, T, width] and seen bool [B, T, T], see `visible`."""
        query, key, value = self.query_key_value(x).chunk(3, dim=-1)  # 3 times [B, T, inner]
        return cast(Tensor, self.out(self._look(query, key, seen) @ value))

    def weights(self, x: Tensor, seen: Tensor) -> Tensor:
        """Return how much each event looks at each other one, [B, T, T] with rows of sum 1, for x and seen as above."""
        query, key, _ = self.query_key_value(x).chunk(3, dim=-1)
        return self._look(query, key, seen)

    def _look(self, query: Tensor, key: Tensor, seen: Tensor) -> Tensor:
        scores = (query * self.scale) @ key.transpose(1, 2)  # [B, T, T]
        return torch.softmax(torch.where(seen, scores, MASKED), dim=-1)


class CalibratedModel(nn.Module):
    """The exported graph: `EpcLstm`, then Platt calibration per mode and kind, then zeros in the padding.

    The mode of a sequence (`ModelConfig.causal_index`) chooses: probability = sigmoid(a[mode, kind] * logit + b[mode,
    kind]).
    """

    a: Tensor
    b: Tensor

    def __init__(self, model: EpcLstm, a: Tensor | None = None, b: Tensor | None = None) -> None:
        """Wrap ``model``; ``a`` and ``b`` are float32 [2, 5] (rows: retrospective, causal), the identity by default."""
        super().__init__()
        self.model = model
        self.register_buffer("a", torch.ones(2, len(KINDS)) if a is None else a)
        self.register_buffer("b", torch.zeros(2, len(KINDS)) if b is None else b)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return probabilities [B, T, 5] for raw features float32 [B, T, F] and lengths int64 [B, 1]."""
        # One length beyond T would otherwise fail everybody's dynamic batch on the model server.
        lengths = torch.clamp(lengths, min=1, max=features.shape[1])  # [B, 1]
        mode = self.model.causal(features).flatten().long()  # [B]
        logits = self.model(features, lengths)  # [B, T, 5]
        return calibrated(logits, self.a[mode], self.b[mode], real_events(features, lengths))


def calibrated(logits: Tensor, a: Tensor, b: Tensor, real: Tensor) -> Tensor:
    """Return probabilities [B, T, 5], 0 in the padding: logits [B, T, 5], a and b [B, 5], real bool [B, T]."""
    probabilities = torch.sigmoid(a.unsqueeze(1) * logits + b.unsqueeze(1))
    return torch.where(real.unsqueeze(-1), probabilities, 0.0)


def real_events(features: Tensor, lengths: Tensor) -> Tensor:
    """Return bool [B, T], False in the padding, for features [B, T, F] and lengths [B, 1]."""
    return torch.arange(features.shape[1], device=features.device).unsqueeze(0) < lengths


def visible(real: Tensor, causal: Tensor) -> Tensor:
    """Return bool [B, T, T]: whether each event (axis 1) may look at each one (axis 2).

    For real bool [B, T] and causal bool [B, 1, 1]; in a causal sequence an event sees itself and what is earlier.
    """
    steps = torch.arange(real.shape[1], device=real.device)
    return real.unsqueeze(1) & (~causal | (steps.unsqueeze(1) >= steps))
