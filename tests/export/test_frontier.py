"""The frontier: what is trained, what is trained again, what is chosen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from export import frontier
from export.frontier import FP32, INT8, candidates, choose, costs, study_frontier
from tests.support.trained import SHORT, TinyWorld, silent
from training.evaluation.tables import Sheet
from training.fitting.config import TrainConfig, load_config

TINY = SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 1_000})


def test_the_grid_is_that_of_sizes_layers_and_attention(tmp_path: Path) -> None:
    grid = list(candidates(TrainConfig(), tmp_path))
    assert len({c.name for c in grid}) == len(grid) == 16
    networks = {(c.config.hidden, c.config.layers, c.config.model().attention) for c in grid}
    assert networks == {(h, n, a) for h in (16, 32, 64, 128) for n in (1, 2) for a in (True, False)}
    assert all(c.config.model().bidirectional for c in grid)


@pytest.mark.parametrize(("ap", "expected"), [((0.95, 0.961, 0.962), 1), ((0.959, 0.9605, 0.962), 1), ((1, 1, 1), 0)])
def test_the_cheapest_is_chosen_that_is_good_enough(ap: tuple[float, ...], expected: int) -> None:
    assert choose(pd.DataFrame({"validation_ap": ap, "us_per_event": [1.0, 2.0, 3.0]})) == expected


def small_grid(patch: pytest.MonkeyPatch) -> None:
    """Let the grid be two sizes of one layer, with and without attention."""
    patch.setattr(frontier, "HIDDEN", (16, 128))
    patch.setattr(frontier, "LAYERS", (1,))


@pytest.fixture(scope="module")
def study(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sheet]:
    """The folder of a study of the small grid, and its table; tests only read it."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        small_grid(patch)
        (sheet,) = study_frontier(tiny_world.labelled, TINY, folder, silent)
    return folder, sheet


def test_a_study_goes_on_where_it_was_stopped(
    study: tuple[Path, Sheet], tiny_world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_grid(monkeypatch)
    folder, sheet = shutil.copytree(study[0], tmp_path / "study"), study[1]
    assert len(sheet.rows) == 8, "two sizes, with and without attention, in two precisions"
    table = pd.read_csv(folder / frontier.TABLE_FILE)
    assert (table.filter(like="_ap") > 0).all(axis=None)
    assert (folder / frontier.PLOT_FILE).read_bytes().startswith(b"\x89PNG")
    chosen = load_config(folder / frontier.CONFIG_FILE)
    assert chosen.hidden in {16, 128}
    assert chosen.windows_per_epoch == TINY.windows_per_epoch

    models = folder / frontier.MODELS
    before = {path.name: path.stat().st_mtime_ns for path in models.iterdir()}
    lost = models / "bilstm-16x1.json"
    lost.unlink()
    study_frontier(tiny_world.labelled, TINY, folder, silent)
    after = {path.name: path.stat().st_mtime_ns for path in models.iterdir()}
    again = {name for name in before if before[name] != after[name]}
    assert again == {"bilstm-16x1.json", "bilstm-16x1-fp32.onnx", "bilstm-16x1-int8.onnx"}


def test_eight_bit_graphs_are_smaller_and_large_networks_cost_more(
    study: tuple[Path, Sheet], tiny_world: TinyWorld
) -> None:
    part = tiny_world.labelled.samples("validation", tiny_world.labelled.reference("train"))[0]
    of_name = {candidate.name: candidate for candidate in candidates(TINY, study[0] / frontier.MODELS)}
    small, large = (of_name[f"bilstm-{hidden}x1"].graph(FP32) for hidden in (16, 128))
    in_eight_bits = of_name["bilstm-128x1"].graph(INT8)
    assert in_eight_bits.stat().st_size < 0.5 * large.stat().st_size
    assert "DynamicQuantizeLSTM" in {node.op_type for node in onnx.load(in_eight_bits).graph.node}
    cheap, dear = costs([small, large], part)
    assert 0 < cheap < 0.6 * dear
    assert np.isfinite(dear)
