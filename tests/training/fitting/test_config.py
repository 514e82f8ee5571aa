"""Settings of a training: defaults, a JSON file, flags, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.events.vocabulary import KINDS
from training.errors import DataError
from training.fitting.config import TrainConfig, load_config


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"hidden": 32, "epochs": 5}))
    config = load_config(path, epochs=6, layers=None)
    assert (config.hidden, config.epochs, config.layers) == (32, 6, TrainConfig().layers)


def test_a_file_of_all_settings_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    config = TrainConfig(miss_cost=dict.fromkeys(KINDS, 2.0), false_alarm_cost=1, dropout=0.25, architecture="lstm")
    path.write_text(config.model_dump_json())
    assert load_config(path) == config


def test_architectures() -> None:
    plain, full, baseline = (TrainConfig(architecture=name).model() for name in ("bilstm", "bilstm-attention", "lstm"))
    assert TrainConfig().model() == plain
    assert (plain.bidirectional, plain.attention) == (True, False)
    assert (full.bidirectional, full.attention) == (True, True)
    assert (baseline.bidirectional, baseline.attention, baseline.layers) == (False, False, 1)


def test_costs_by_kind() -> None:
    assert TrainConfig().costs() is None
    assert TrainConfig(miss_cost=20, false_alarm_cost=1).costs() == [(20, 1)] * 5
    by_kind = {kind: float(number) for number, kind in enumerate(KINDS, 1)}
    costs = TrainConfig(miss_cost=by_kind, false_alarm_cost=1).costs()
    assert costs == [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"hiden": 8}', "hiden: Extra inputs are not permitted"),
        ('{"hidden": 0}', "hidden: Input should be greater than or equal to 1"),
        ('{"architecture": "gru"}', "architecture: Input should be 'bilstm', 'bilstm-attention' or 'lstm'"),
        ('{"architecture": "lstm", "layers": 2}', "the lstm baseline has one layer, not 2"),
        ('{"miss_cost": 3}', "miss_cost and false_alarm_cost belong together"),
        ('{"miss_cost": {"jump": 3}, "false_alarm_cost": 1}', "names each kind: epcFake"),
        ('{"learning_rate": NaN}', "learning_rate"),
        ("epochs: 3", "Invalid JSON"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(content: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        load_config(path)
    message = str(caught.value)
    assert str(path) in message
    assert says in message
    assert "\n" not in message


def test_a_missing_file_and_a_wrong_flag(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.json: No such file"):
        load_config(tmp_path / "none.json")
    with pytest.raises(DataError, match="the training settings: epochs: "):
        load_config(None, epochs=0)
