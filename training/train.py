"""Trains the model: EPC-disjoint split in time, focal loss, early stopping, then calibration and thresholds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from service import features, rules
from service.events import KINDS, Events
from service.journeys import Journeys
from service.sequences import pad
from training import calibration, dataset, evaluate, metrics
from training.dataset import Dataset, Truth
from training.model import CalibratedModel, EpcLstm, ModelConfig
from training.reference import learn
from training.run import LENGTHS, Run, predict
from training.samples import SPLITS, Samples, normal_events, samples, split_epcs, training_pass

MODES = ("retrospective", "causal")
CURVES = "curves"
_HISTOGRAM_BINS = 10
_CLIP_NORM = 1.0

Progress = Callable[[str, float], None]
"""Called with what is going on and how much of the whole is done, 0 .. 1."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training, kept in the run folder."""

    hidden: int = 64  # units per direction
    layers: int = 1
    attention: bool = True
    dropout: float = 0.1
    epochs: int = 16  # at most
    patience: int = 8  # epochs without a better validation AP before stopping
    batch: int = 256  # sequences
    learning_rate: float = 4e-3  # peak of the one-cycle schedule
    weight_decay: float = 1e-2
    focal_gamma: float = 1.0  # 0 is plain cross-entropy
    anomalous_weight: float = 3.0  # how much oftener a sequence with an anomaly is drawn
    time_noise: float = 0.02  # noise on time features, in their standard deviations
    false_positive_budget: float = 0.01  # share of normal events that may be flagged, per kind
    seed: int = 7


def train(data: Path, truth: Path | None, out: Path, config: TrainConfig, progress: Progress) -> Run:
    """Train on the raw files of ``data`` and write the run folder ``out``; without ``truth`` the rules label.

    Raises:
        DataError: the data cannot be used.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    progress("reading the data", 0.0)
    world = dataset.load(data, quarantine=out / dataset.QUARANTINE)
    known = dataset.load_truth(truth, world.events) if truth else weak_labels(world)
    split = split_epcs(world.events)[world.events.epc]
    fit_rows, check_rows = (np.flatnonzero(split == SPLITS.index(name)) for name in ("train", "validation"))
    fit, fit_labels = world.events.take(fit_rows), known.labels[fit_rows]
    reference = learn(fit, normal_events(fit_labels), world.masters)
    check = [
        samples(world.events.take(check_rows), known.labels[check_rows], reference, causal=causal, limit=LENGTHS[-1])
        for causal in (False, True)
    ]
    fitting = _Fit(config, fit, fit_labels, world, rng)
    model, curves = fitting.run(check, progress)
    calibrated, thresholds = _calibrate(model, check, config.false_positive_budget)
    record = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": asdict(config),
        "model": asdict(model.config),
        "feature_spec_hash": features.feature_spec_hash(),
        "thresholds": thresholds,
        "lineage": _lineage(data, truth, world, split),
        "histograms": _histograms(check[0], predict(calibrated, check[0])),
        "probe": _probe(check[0]),
    }
    run = Run(calibrated, learn(world.events, normal_events(known.labels), world.masters), record)
    progress("evaluating", 0.98)
    record["metrics"] = evaluate.on_test_split(run, world, known)
    run.save(out)
    _write_curves(curves, out)
    progress("done", 1.0)
    return run


def weak_labels(world: Dataset) -> Truth:
    """Return the rules' scores as soft labels: tables are learned from all events, then from those the rules pass."""
    journeys = Journeys.of(world.events)
    normal = np.ones(len(world.events), dtype=np.bool_)
    labels = np.zeros((len(world.events), len(KINDS)), dtype=np.float32)
    for _ in range(2):
        reference = learn(world.events, normal, world.masters)
        labels[journeys.order] = rules.judge(features.compute(journeys, reference, causal=False))[0]
        normal = normal_events(labels)
    return Truth(labels)


class _Fit:
    """One fitting of the weights."""

    def __init__(
        self, config: TrainConfig, events: Events, labels: NDArray[np.float32], world: Dataset, rng: np.random.Generator
    ) -> None:
        self.config, self.events, self.labels, self.masters, self.rng = config, events, labels, world.masters, rng
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        sizes = ModelConfig(len(features.NAMES), config.hidden, config.layers, config.attention, config.dropout)
        self.model = EpcLstm(sizes).to(self.device)
        self.noise = torch.zeros(len(features.NAMES))

    def run(self, check: list[Samples], progress: Progress) -> tuple[EpcLstm, list[dict[str, float]]]:
        """Return (the weights of the best epoch, loss and validation AP by epoch)."""
        config, model = self.config, self.model
        first = self._pass()
        self._normalise(first)
        steps = sum(-(-len(part.windows.start) // config.batch) for part in first)
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        schedule = OneCycleLR(optimizer, config.learning_rate, total_steps=config.epochs * (steps + 2), pct_start=0.2)
        best, best_ap, since, curves = copy.deepcopy(model), -1.0, 0, []
        for epoch in range(config.epochs):
            parts = first if epoch == 0 else self._pass()
            loss = self._epoch(parts, optimizer, schedule)
            ap = [metrics.per_kind(part.labels, predict(model, part))[metrics.MACRO]["ap"] for part in check]
            curves.append({"epoch": epoch + 1, "loss": loss, **dict(zip(MODES, ap, strict=True))})
            since += 1
            if sum(ap) > best_ap:
                best, best_ap, since = copy.deepcopy(model), sum(ap), 0
            progress(
                f"epoch {epoch + 1}/{config.epochs}: loss {loss:.4f}, validation AP {ap[0]:.3f} and {ap[1]:.3f} causal",
                0.02 + 0.95 * (epoch + 1) / config.epochs,
            )
            if since >= config.patience:
                break
        return best.cpu(), curves

    def _pass(self) -> list[Samples]:
        """Return the retrospective samples of a fresh pass, and one random prefix of every journey as causal ones."""
        whole, prefixes = training_pass(self.events, self.labels, self.masters, self.rng, LENGTHS[-1])
        return [whole, prefixes]

    def _normalise(self, parts: list[Samples]) -> None:
        table = np.concatenate([part.features for part in parts])
        mean, deviation = table.mean(axis=0, dtype=np.float64), table.std(axis=0, dtype=np.float64)
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
        self.model.set_normalisation(torch.tensor(mean), torch.tensor(scale))
        serves_time = torch.tensor([kind == "jump" for _, kind, _ in features.FEATURES])
        self.noise = torch.where(serves_time, torch.tensor(deviation), 0.0).float() * self.config.time_noise

    def _epoch(self, parts: list[Samples], optimizer: torch.optim.Optimizer, schedule: LRScheduler) -> float:
        self.model.train()
        batches = [
            (part, rows, part is parts[1])
            for part in parts
            for rows in self._batches(part, len(parts[0].windows.start))
        ]
        total = 0.0
        for index in self.rng.permutation(len(batches)).tolist():
            part, rows, last_only = batches[index]
            loss = self._loss(part, rows, last_only=last_only)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP_NORM)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        return total / len(batches)

    def _batches(self, part: Samples, count: int) -> Iterator[NDArray[np.intp]]:
        """Yield batches of about ``count`` drawn windows, anomalous ones oftener, of like lengths."""
        anomalous = np.zeros(len(part.windows.start), dtype=np.bool_)
        np.logical_or.at(anomalous, part.windows.window_of, part.labels.max(axis=1) >= 0.5)
        weight = np.where(anomalous, self.config.anomalous_weight, 1.0)
        drawn = self.rng.choice(len(weight), count, p=weight / weight.sum())
        chunk = self.config.batch * 16
        for begin in range(0, count, chunk):
            rows = drawn[begin : begin + chunk]
            rows = rows[np.argsort(part.windows.length[rows], kind="stable")]
            yield from np.split(rows, range(self.config.batch, len(rows), self.config.batch))

    def _loss(self, part: Samples, rows: NDArray[np.intp], *, last_only: bool) -> Tensor:
        start, length = part.windows.start[rows], part.windows.length[rows]
        longest = int(length.max())
        x = torch.from_numpy(pad(part.features, start, length, longest))  # [B, T, F]
        x = x + torch.randn_like(x) * self.noise
        y = torch.from_numpy(pad(part.labels, start, length, longest))  # [B, T, 5]
        steps = np.arange(longest)
        counts = steps == length[:, None] - 1 if last_only else steps < length[:, None]
        mask = torch.from_numpy(counts).to(self.device)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            logits = self.model(x.to(self.device), torch.from_numpy(length.astype(np.int64)).to(self.device))
        return focal_loss(logits.float()[mask], y.to(self.device)[mask], self.config.focal_gamma)


def focal_loss(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Return the mean focal loss (Lin et al., 2017) of logits [.., 5] against targets in 0 .. 1 (soft ones too)."""
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    miss = (torch.sigmoid(logits) - targets).abs()
    return (miss**gamma * cross_entropy).sum(dim=-1).mean()


def _calibrate(model: EpcLstm, check: list[Samples], budget: float) -> tuple[CalibratedModel, dict[str, list[float]]]:
    """Return the calibrated model and the thresholds by mode, both from the validation samples."""
    platt = [calibration.platt(predict(model, part), part.labels) for part in check]
    a, b = (torch.tensor([pair[index] for pair in platt]) for index in (0, 1))
    calibrated = CalibratedModel(model, features.INDEX["causal"], a, b).eval()
    thresholds = {
        mode: calibration.thresholds(predict(calibrated, part), part.labels, budget)
        for mode, part in zip(MODES, check, strict=True)
    }
    return calibrated, thresholds


def _lineage(data: Path, truth: Path | None, world: Dataset, split: NDArray[np.int8]) -> dict[str, Any]:
    return {
        "data": str(data),
        "truth": str(truth) if truth else None,
        "labels": "truth" if truth else "rules (weak labels: the metrics measure agreement with the rules)",
        "files_sha256": world.files,
        "events": len(world.events),
        "epcs": len(world.events.epc_codes),
        "quarantined_rows": world.quarantined,
        "events_by_split": {name: int((split == number).sum()) for number, name in enumerate(SPLITS)},
    }


def _histograms(part: Samples, scores: NDArray[np.float32]) -> dict[str, Any]:
    """Return bin edges and counts of each feature (equal shares) and score (equal widths) on validation."""
    table = {}
    for column, name in enumerate(features.NAMES):
        values = part.features[:, column].astype(np.float64)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, _HISTOGRAM_BINS + 1)))
        table[name] = _histogram(values, edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1]))
    for column, kind in enumerate(KINDS):
        table[f"score_{kind}"] = _histogram(scores[:, column], np.linspace(0, 1, _HISTOGRAM_BINS + 1))
    return table


def _histogram(values: NDArray[np.floating], edges: NDArray[np.float64]) -> dict[str, list[float]]:
    return {"edges": edges.tolist(), "counts": np.histogram(values, edges)[0].tolist()}


def _probe(part: Samples) -> list[list[float]]:
    """Return the features [T, F] of one real journey, T the shortest padded length at most."""
    row = int(np.argmax(np.minimum(part.windows.length, LENGTHS[0])))
    start = part.windows.start[row]
    journey = part.features[start : start + min(int(part.windows.length[row]), LENGTHS[0])]
    return [[float(value) for value in event] for event in journey]


def _write_curves(curves: list[dict[str, float]], out: Path) -> None:
    table = pd.DataFrame(curves).set_index("epoch")
    table.to_csv(out / f"{CURVES}.csv")
    mpl.use("Agg")
    axes = table.plot(subplots=[("loss",), MODES], xlabel="epoch", grid=True, figsize=(7, 6), title="Training")
    axes[1].set_ylabel("validation macro AP")
    axes[0].figure.savefig(out / f"{CURVES}.png", dpi=120)
