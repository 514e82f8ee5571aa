"""The frontier of cost and quality: macro AP of networks of several sizes against what their graphs cost per event."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pandas as pd
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

from export.to_onnx import export_onnx
from service.events.vocabulary import KINDS, MODES
from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES
from service.model.sequences import pad
from service.progress import Progress
from training.evaluation.tables import Sheet
from training.fitting.calibrated import fit_model, telling
from training.fitting.checkpoint import score
from training.fitting.config import TrainConfig
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.samples.labelled_data import Material, draw_from
from training.samples.samples import Draw, Samples

TABLE_FILE, PLOT_FILE, CONFIG_FILE, MODELS = "frontier.csv", "frontier.png", "config.json", "models"
HIDDEN, LAYERS, ARCHITECTURES = (16, 32, 64, 128), (1, 2), ("bilstm-attention", "bilstm")
FP32, INT8 = "fp32", "int8"
GOOD_ENOUGH = 0.002
"""The cheapest network is chosen whose macro AP, mean of both modes, is at most that much below the best one."""

_BATCH, _PADDED, _ROUNDS, _CALLS = 128, 8, 15, 4  # sequences of a call and their length; calls timed together

Ap = dict[str, float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One network of the grid, in its files."""

    name: str
    config: TrainConfig
    folder: Path

    @property
    def record(self) -> Path:
        """Return the file that says what the network was trained with; it is written last."""
        return self.folder / f"{self.name}.json"

    def graph(self, precision: str) -> Path:
        """Return the file of the graph."""
        return self.folder / f"{self.name}-{precision}.onnx"


def study_frontier(labelled: Material, config: TrainConfig, out: Path, progress: Progress) -> list[Sheet]:
    """Train the grid, or what is missing of it in ``out``, and measure it; ``out`` gets a table, a plot and a config.

    The choice is made on the validation part; the test part is shown beside it. Costs are measured in one go after all
    trainings, a round of all graphs at a time, so that they compare.
    """
    (out / MODELS).mkdir(parents=True, exist_ok=True)
    grid = list(candidates(config, out / MODELS))
    _train(grid, labelled, progress)
    reference = labelled.reference("train")
    parts = {part: labelled.samples(part, reference) for part in ("validation", "test")}
    progress("judging", 0.9)
    rows = []
    for candidate in grid:
        for precision in (FP32, INT8):
            session = session_of(candidate.graph(precision))
            row: dict[str, object] = {"network": candidate.name, "precision": precision}
            for part, both in parts.items():
                row |= {f"{part}_{mode}_ap": _ap(session, s) for mode, s in zip(MODES, both, strict=True)}
            rows.append(row)
    progress("timing", 0.95)
    paths = [candidate.graph(precision) for candidate in grid for precision in (FP32, INT8)]
    table = pd.DataFrame(rows).assign(us_per_event=costs(paths, parts["validation"][0]))
    for part in parts:
        table[f"{part}_ap"] = table[[f"{part}_{mode}_ap" for mode in MODES]].mean(axis=1)
    chosen = choose(table)
    table.to_csv(out / TABLE_FILE, index=False)
    (best,) = (c for c in grid if c.name == table["network"][chosen])
    (out / CONFIG_FILE).write_text(best.config.model_dump_json(indent=1) + "\n", encoding="utf-8")
    _plot(table, chosen, out / PLOT_FILE)
    return [_sheet(table, chosen)]


def candidates(config: TrainConfig, folder: Path) -> Iterator[Candidate]:
    """Yield the grid of networks; all other settings are those of ``config``."""
    for layers in LAYERS:
        for architecture in ARCHITECTURES:
            for hidden in HIDDEN:
                sizes = {"architecture": architecture, "layers": layers, "hidden": hidden}
                yield Candidate(f"{architecture}-{hidden}x{layers}", config.model_copy(update=sizes), folder)


def _train(grid: list[Candidate], labelled: Material, progress: Progress) -> None:
    """Train and export what is not there yet."""
    data = hashlib.sha256(labelled.events.time_us.tobytes() + labelled.labels.tobytes()).hexdigest()
    draw = _remembered(draw_from(labelled))
    for number, candidate in enumerate(grid):
        origin = {"config": candidate.config.model_dump(), "data": data}
        if candidate.record.exists() and json.loads(candidate.record.read_text())["origin"] == origin:
            continue
        begin, end = 0.9 * number / len(grid), 0.9 * (number + 1) / len(grid)
        tell = telling(progress, candidate.config.epochs, begin, end, f"{candidate.name}, ")
        fitted = fit_model(labelled, candidate.config, tell, draw=draw)
        export_onnx(fitted.model, candidate.graph(FP32))
        _quantise(candidate.graph(FP32), candidate.graph(INT8))
        best = max(fitted.curves, key=score)
        candidate.record.write_text(json.dumps({"origin": origin, "best_epoch": best}, indent=1) + "\n")


def _remembered(draw: Draw) -> Draw:
    """Return what draws the same passes for every network without making them again."""
    drawn: dict[str, tuple[Samples, Samples]] = {}

    def remembered(rng: np.random.Generator) -> tuple[Samples, Samples]:
        key = str(rng.bit_generator.state)
        if key not in drawn:
            drawn[key] = draw(rng)
        return drawn[key]

    return remembered


def _quantise(source: Path, target: Path) -> None:
    """Write the graph with 8-bit weights; activations are quantised as they come."""
    graph = onnx.load(source)
    graph.graph.ClearField("value_info")  # it turns matrices round and leaves their old shapes there
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises a preparation that this graph does not need
    try:
        quantize_dynamic(graph, target, weight_type=QuantType.QInt8)
    finally:
        logger.setLevel(level)


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """Return a session as the embedded backend has it: one thread per call."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _ap(session: onnxruntime.InferenceSession, part: Samples) -> float:
    windows = part.windows
    answers = np.zeros((len(windows.start), int(windows.length.max()), len(KINDS)), dtype=np.float32)
    by_length = np.argsort(windows.length, kind="stable")
    for begin in range(0, len(by_length), 1024):
        rows = by_length[begin : begin + 1024]
        longest = int(windows.length[rows].max())
        answers[rows, :longest] = _call(session, part, rows, longest)()
    return per_kind(part.labels, answers[windows.window_of, windows.offset_of])[MACRO]["ap"]


def _call(
    session: onnxruntime.InferenceSession, part: Samples, rows: NDArray[np.intp], length: int
) -> Callable[[], NDArray[np.float32]]:
    """Return what judges the windows ``rows``, padded to ``length``."""
    batch = pad(part.features, part.windows.start[rows], part.windows.length[rows], length)
    inputs = {INPUT_FEATURES: batch, INPUT_LENGTHS: part.windows.length[rows, None].astype(np.int64)}
    return lambda: np.asarray(session.run([OUTPUT_PROBABILITIES], inputs)[0])


def costs(paths: list[Path], part: Samples) -> list[float]:
    """Return the CPU time of each graph in microseconds per event: full batches of whole journeys, the least of rounds.

    Whatever else runs on the machine only adds to a round, so the least is the nearest to the truth.
    """
    rows = np.flatnonzero(part.windows.length <= _PADDED)[:_BATCH]
    events = int(part.windows.length[rows].sum())
    calls = [_call(session_of(path), part, rows, _PADDED) for path in paths]
    found = np.full((_ROUNDS, len(calls)), np.inf)
    for turn in range(_ROUNDS):
        for number, call in enumerate(calls):
            call()
            begin = time.thread_time_ns()
            for _ in range(_CALLS):
                call()
            found[turn, number] = (time.thread_time_ns() - begin) / 1e3 / _CALLS / events
    least: list[float] = found.min(axis=0).tolist()
    return least


def choose(table: pd.DataFrame) -> int:
    """Return the row of the cheapest graph whose validation AP is within GOOD_ENOUGH of the best one."""
    good = table[table["validation_ap"] >= table["validation_ap"].max() - GOOD_ENOUGH]
    return int(good["us_per_event"].idxmin())


def _plot(table: pd.DataFrame, chosen: int, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(9, 6))
    for (architecture, precision), points in table.groupby([table["network"].str.rpartition("-")[0], "precision"]):
        axes.plot(points["us_per_event"], points["validation_ap"], "o", label=f"{architecture}, {precision}")
    for row in table.itertuples():
        axes.annotate(str(row.network).rpartition("-")[2], (row.us_per_event, row.validation_ap), fontsize=7)
    axes.plot(table["us_per_event"][chosen], table["validation_ap"][chosen], "ko", fillstyle="none", markersize=14)
    axes.axhline(table["validation_ap"].max() - GOOD_ENOUGH, color="grey", linestyle=":")
    axes.set(xlabel="us per event", ylabel="validation macro AP, mean of both modes", xscale="log")
    axes.grid(visible=True)
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def _sheet(table: pd.DataFrame, chosen: int) -> Sheet:
    columns = ["us_per_event", *(f"{part}_{mode}_ap" for part in ("validation", "test") for mode in MODES)]
    rows = [
        [("> " if index == chosen else "") + str(row["network"]), str(row["precision"])]
        + [f"{row[name]:.2f}" if name == "us_per_event" else f"{row[name]:.4f}" for name in columns]
        for index, row in table.sort_values("us_per_event").iterrows()
    ]
    headings = ["network", "precision", "us/event", *(name.replace("_", "\n") for name in columns[1:])]
    note = f"> the cheapest whose validation AP, mean of both modes, is within {GOOD_ENOUGH} of the best"
    return Sheet("Cost and quality of networks", note, headings, rows)
