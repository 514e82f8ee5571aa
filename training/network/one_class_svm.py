"""One-class SVMs: what normal events look like, by mode and kind; what is unlike them is an outlier.

A one-class SVM (Schoelkopf et al., 2001) learns from normal events alone and knows no kinds. So there is one for each
kind, on the features that serve the kind, and one for each mode, in which features mean different things. Its decision
is sum_i alpha_i k(x, v_i) - rho over the support vectors v_i, k(x, v) = exp(-gamma |x - v|^2): negative for outliers.
The logit here is log rho - log sum_i alpha_i k(x, v_i), which orders events in the same way, does not lose those that
are far from every vector in rounding, and grows with the squared distance: what Platt scaling needs.

All weights alpha_i are positive, so float32 is enough. The Nystroem approximation with stochastic gradient descent,
which fits more events, has weights of +-50,000 that cancel each other, and another AP with every seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.svm import OneClassSVM  # type: ignore[import-untyped]
from torch import Tensor, nn

from service.events.vocabulary import EVENT_TYPES, KINDS
from service.features import table as features
from training.network.calibration import platt
from training.network.encoding import CLIP
from training.network.lstm import calibrated, real_events
from training.samples.samples import Samples
from training.samples.splits import normal_events

# Found on validation: twice the events, or nu of twice as much or half, changed macro AP by less than seeds do.
_EVENTS = 4_000  # drawn of the normal training events of a mode
_OUTLIERS = 0.01  # nu: the share of them that may be called outliers, and about that of the support vectors
_LEAST_DEVIATION = 0.1  # a feature that hardly varies among normal events tells an outlier by any change
_CHUNK = 8_192  # events whose kernel is in memory at once

_LEAST = 1e-37
"""Likeness of what is far from everything; 0 would have no logarithm."""

NOT_THERE = -1e9
"""Logarithm of the weight that the vectors of one mode have in the other."""

_TYPES = {f"type_{name}" for name in (*EVENT_TYPES, "unknown")}
"""Features that say which event it is: a rare one is no error, and an SVM cannot know that."""

BESIDE = {"gate_mates", *features.APART}
"""Who is there, and who goes apart from them: how these features are spread is a matter of how large shipments are, so
in another world one in forty normal events was an outlier by them; and the SVMs found no more with them."""

_FAMILIARITY = (
    *("code_header_log", "code_company_log", "code_product_log", "code_lot_log", "scan_log", "lane_from_log"),
    *("lot_mates", "product_mates", "scan_mates", "leg_mates", "shipment_mates", "instant_mates"),
    *("road_scans", "road_day_scans", "road_hours_scans", "area_day_scans"),
)
"""Features that count how much is known of a code, a place or companions. More of it is no less normal, but unlike
what was met: tables of a larger world made outliers of all its events. So they count up to a ceiling."""

_CEILING = 0.5
"""The quantile of the normal events at which the ceiling is."""


class Machine(NamedTuple):
    """The SVMs of one kind: S support vectors, of both modes, in C of the features."""

    columns: Tensor  # int64 [C]
    vectors: Tensor  # float32 [S, C] in deviations
    log_weights: Tensor  # float32 [2, S] log alpha in each mode
    log_rho: Tensor  # float32 [2]


class OneClassSvms(nn.Module):
    """The exported graph: standardisation, a kernel per kind, Platt calibration, zeros in the padding.

    Every event is judged by itself; the mode of a sequence chooses rows: 0 retrospective, 1 causal.
    """

    mean: Tensor
    scale: Tensor
    ceiling: Tensor
    a: Tensor
    b: Tensor

    def __init__(  # noqa: PLR0913, PLR0917 - all that `state` says
        self,
        mean: Tensor,
        scale: Tensor,
        machines: Sequence[Sequence[Tensor]],
        a: Tensor | None = None,
        b: Tensor | None = None,
        ceiling: Tensor | None = None,
        causal_index: int = features.INDEX["causal"],
    ) -> None:
        """Make the module.

        Args:
            mean: float32 [2, F].
            scale: float32 [2, F], 1 / standard deviation.
            machines: a `Machine` per kind.
            a: float32 [2, 5] of the calibration, the identity by default.
            b: float32 [2, 5], as ``a``.
            ceiling: float32 [2, F] in deviations, above which a feature says no more; earlier releases had none.
            causal_index: the feature that is 1.0 in a causal sequence.
        """
        super().__init__()
        self.causal_index = causal_index
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("ceiling", torch.full_like(mean, CLIP) if ceiling is None else ceiling)
        self.machines = nn.ModuleList(Kernel(Machine(*machine)) for machine in machines)
        self.register_buffer("a", torch.ones(2, len(KINDS)) if a is None else a)
        self.register_buffer("b", torch.zeros(2, len(KINDS)) if b is None else b)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return probabilities [B, T, 5] for raw features float32 [B, T, F] and lengths int64 [B, 1]."""
        mode = self._mode(features)
        logits = self._logits(features, mode)
        return calibrated(logits, self.a[mode], self.b[mode], real_events(features, torch.clamp(lengths, min=1)))

    def logits(self, table: NDArray[np.float32], *, causal: bool) -> NDArray[np.float32]:
        """Return the logits [N, 5] of events with the features ``table`` [N, F], before calibration."""
        found: NDArray[np.float32] = _in_chunks(table, self._logits, causal).numpy()
        return found

    def logits_of(self, column: int, table: NDArray[np.float32], *, causal: bool) -> NDArray[np.float32]:
        """Return the calibrated logits [N] of one kind alone for events with the features ``table`` [N, F]."""
        kernel = self.machines[column]
        bare = _in_chunks(table, lambda x, mode: kernel(self._standard(x, mode), mode), causal)
        found: NDArray[np.float32] = (self.a[int(causal), column] * bare + self.b[int(causal), column]).numpy()
        return found

    def state(self) -> dict[str, Any]:
        """Return what the module is made of: arguments of its constructor."""
        machines = [tuple(kernel.buffers()) for kernel in self.machines]
        standard = {"mean": self.mean, "scale": self.scale, "ceiling": self.ceiling}
        return standard | {"machines": machines, "a": self.a, "b": self.b}

    def _mode(self, features: Tensor) -> Tensor:
        """Return int64 [B], the mode of the sequences of features [B, T, F]."""
        return (features[:, 0, self.causal_index] > 0.5).long()

    def _logits(self, features: Tensor, mode: Tensor) -> Tensor:
        """Return [B, T, 5] for features [B, T, F] and mode [B]."""
        x = self._standard(features, mode)
        return torch.stack([kernel(x, mode) for kernel in self.machines], dim=-1)

    def _standard(self, features: Tensor, mode: Tensor) -> Tensor:
        """Return features [B, T, F] in deviations, within what counts."""
        x = (features - self.mean[mode].unsqueeze(1)) * self.scale[mode].unsqueeze(1)
        return torch.minimum(torch.clamp(x, min=-CLIP), self.ceiling[mode].unsqueeze(1))


def _in_chunks(table: NDArray[np.float32], judge: Callable[[Tensor, Tensor], Tensor], causal: bool) -> Tensor:
    """Return what ``judge`` says [N, ..] of one sequence with the features ``table`` [N, F], and of its mode."""
    mode = torch.tensor([int(causal)])
    with torch.inference_mode():
        return torch.cat([judge(x, mode)[0] for x in torch.split(torch.from_numpy(table[None]), _CHUNK, 1)])


class Kernel(nn.Module):
    """The kernel of one `Machine`; gamma is 1 / C, so that a deviation in every feature counts as in any machine."""

    columns: Tensor
    vectors: Tensor
    log_weights: Tensor
    log_rho: Tensor

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        for name, value in machine._asdict().items():
            self.register_buffer(name, value)

    def forward(self, x: Tensor, mode: Tensor) -> Tensor:
        """Return logits [B, T] for standardised features x [B, T, F] and mode int64 [B]."""
        x = x[:, :, self.columns]  # [B, T, C]
        gamma = 1.0 / self.vectors.shape[1]
        # -gamma |x - v|^2 + log alpha = 2 gamma x v - gamma |x|^2 + (log alpha - gamma |v|^2)
        constant = self.log_weights - gamma * self.vectors.square().sum(dim=1)  # [2, S]
        products = x @ (2.0 * gamma * self.vectors.T) - gamma * x.square().sum(dim=2, keepdim=True)  # [B, T, S]
        likeness = torch.exp(products + constant[mode].unsqueeze(1)).sum(dim=2)  # [B, T]
        return self.log_rho[mode].unsqueeze(1) - torch.log(torch.clamp(likeness, min=_LEAST))


def fit_svms(drawn: Sequence[Samples], check: Sequence[Samples], seed: int) -> OneClassSvms:
    """Return the SVMs of the normal events of ``drawn``, calibrated on ``check``; both by mode.

    Args:
        drawn: samples of a pass over the training events, whose tables do not know their own items.
        check: validation samples.
        seed: of the draw of events.
    """
    rng = np.random.default_rng(seed)
    tables = [_some_normal(part, rng) for part in drawn]
    mean = np.stack([table.mean(axis=0) for table in tables])
    scale = np.stack([1 / np.maximum(table.std(axis=0), _LEAST_DEVIATION) for table in tables])
    standard = [np.maximum((t - m) * s, -CLIP) for t, m, s in zip(tables, mean, scale, strict=True)]
    ceiling = np.stack([_ceiling(table) for table in standard])
    standard = [np.minimum(table, most) for table, most in zip(standard, ceiling, strict=True)]
    machines = [_machine(standard, columns_of(kind)) for kind in KINDS]
    means, scales, ceilings = (torch.from_numpy(part.astype(np.float32)) for part in (mean, scale, ceiling))
    bare = OneClassSvms(means, scales, machines, ceiling=ceilings)
    pairs = [platt(bare.logits(part.features, causal=bool(mode)), part.labels) for mode, part in enumerate(check)]
    a, b = (torch.tensor([pair[index] for pair in pairs]) for index in (0, 1))
    return OneClassSvms(means, scales, machines, a, b, ceilings).eval()


def columns_of(kind: str) -> list[int]:
    """Return the features that serve a kind, as an SVM of it sees them."""
    unsaid = _TYPES | BESIDE
    return [at for at, (name, serves, _) in enumerate(features.FEATURES) if serves == kind and name not in unsaid]


def _some_normal(part: Samples, rng: np.random.Generator) -> NDArray[np.float64]:
    rows = np.flatnonzero(normal_events(part.labels))
    table: NDArray[np.float64] = part.features[rng.permutation(rows)[:_EVENTS]].astype(np.float64)
    return table


def _ceiling(standard: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return in deviations [F] the most that each feature counts, for standardised normal events [N, F]."""
    ceiling = np.full(standard.shape[1], float(CLIP))
    columns = [features.INDEX[name] for name in _FAMILIARITY]
    ceiling[columns] = np.quantile(standard[:, columns], _CEILING, axis=0)
    return ceiling


def _machine(standard: Sequence[NDArray[np.float64]], columns: list[int]) -> Machine:
    """Fit the SVMs of a kind on the standardised events [N, F] of each mode."""
    fitted = [OneClassSVM(gamma=1 / len(columns), nu=_OUTLIERS).fit(table[:, columns]) for table in standard]
    sizes = [len(svm.support_vectors_) for svm in fitted]
    log_weights = np.full((len(fitted), sum(sizes)), NOT_THERE)
    for mode, svm in enumerate(fitted):
        begin = sum(sizes[:mode])
        log_weights[mode, begin : begin + sizes[mode]] = np.log(svm.dual_coef_[0])
    return Machine(
        torch.tensor(columns),
        torch.from_numpy(np.concatenate([svm.support_vectors_ for svm in fitted]).astype(np.float32)),
        torch.from_numpy(log_weights.astype(np.float32)),
        torch.tensor([np.log(-svm.intercept_[0]) for svm in fitted], dtype=torch.float32),
    )
