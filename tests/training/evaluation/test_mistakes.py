"""What the balanced point gets wrong, on a few events whose mistakes can be counted by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from service.explain.causes import CODES
from training.evaluation.mistakes import PlantedAndFound, mistakes_sheet, noise_sheet, worth_sheet
from training.evaluation.slices import DetectorVerdicts

JUMP = KINDS.index("jump")
SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.1]
TRUTH = [1, 0, 1, 1, 0, 0]
VARIANT = ["teleport", "", "teleport", "slow_transit", "", ""]


def of_jump(values: list[float]) -> NDArray[np.float32]:
    table = np.zeros((len(values), len(KINDS)), dtype=np.float32)
    table[:, JUMP] = values
    return table


def test_both_is_where_precision_and_recall_meet_whatever_the_threshold() -> None:
    for threshold, precision, recall in ((0.85, "1.0000", "0.3333"), (0.45, "0.6000", "1.0000")):
        verdicts = DetectorVerdicts(of_jump(SCORES), [threshold] * len(KINDS))
        rows = {row[0]: row[1:] for row in worth_sheet("causal", of_jump(TRUTH), verdicts).rows}
        assert rows["jump"] == [precision, recall, "0.6667"]  # of the three highest two are right
        assert rows["epcDup"][2] == "nan"


def test_misses_are_told_by_variant_and_false_alarms_by_cause_and_company() -> None:
    flags = of_jump(SCORES) >= 0.65
    causes = np.full(flags.shape, CODES.index("stalled"))
    journey = np.array([0, 0, 1, 2, 3, 3])  # the false alarm is of an item that has an anomaly, too
    found = PlantedAndFound(of_jump(TRUTH) >= 0.5, flags, causes, np.array(VARIANT), journey)
    sheet = mistakes_sheet("causal", found)
    rows = {row[0]: row[1:] for row in sheet.rows}
    assert rows["jump"] == ["1", "slow_transit 1 of 1", "1", "stalled 1", "1"]
    assert rows["locErr"] == ["0", "", "0", "", "0"]


def test_a_false_alarm_beside_noise_counts_there_and_an_anomaly_nowhere() -> None:
    truth, flags = np.zeros((6, 5), dtype=np.bool_), np.zeros((6, 5), dtype=np.bool_)
    truth[0, 1] = flags[0, 1] = flags[1, :2] = flags[3, 4] = True
    noise = np.array(["missed_scan", "missed_scan", "missed_scan", "", "", ""])
    assert noise_sheet("causal", truth, flags, noise).rows == [["none", "3", "33.3%"], ["missed_scan", "2", "50.0%"]]
