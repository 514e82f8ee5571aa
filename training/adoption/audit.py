"""The journeys most worth a human look: where a person's verdict would teach most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.detect.rules import THRESHOLD
from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, KINDS
from service.rawfiles.cells import no_formula

AUDIT = "audit.csv"


def worth_a_look(
    events: Events, scores: NDArray[np.float32], evidence: NDArray[np.float32], cuts: NDArray[np.float32], count: int
) -> list[tuple[int, str, str]]:
    """Return (item, kind, why) of so many journeys, each kind in turn, its most doubtful one first.

    A journey is doubtful in a kind where network and rules say the opposite, or where its score is near the cut.

    Args:
        events: N events.
        scores: [N, 5] of the network.
        evidence: [N, 5] of the rules.
        cuts: [5] from which score on a finding is raised.
        count: journeys.
    """
    by_network, by_rules = scores >= cuts, evidence >= THRESHOLD
    # 0 .. 1: how far both are apart where they disagree; how near the score is to the cut elsewhere, half of that
    apart = np.where(by_network != by_rules, np.abs(scores - evidence), 0.0)
    logit = np.log(np.clip(scores, 1e-6, 1 - 1e-6)) - np.log1p(-np.clip(scores, 1e-6, 1 - 1e-6))
    at_cut = np.log(cuts) - np.log1p(-cuts)
    near = 0.5 * np.exp(-np.abs(logit - at_cut))
    doubt = np.maximum(apart, near)
    queues = [_by_item(events, doubt[:, kind]) for kind in range(len(KINDS))]
    chosen: dict[int, tuple[int, str, str]] = {}
    for turn in range(len(events.epc_codes)):
        for kind, (items, rows) in enumerate(queues):
            if len(chosen) == min(count, len(events.epc_codes)):
                return list(chosen.values())
            if turn < len(items) and items[turn] not in chosen:
                row = int(rows[turn])
                why = _why(bool(by_network[row, kind]), bool(by_rules[row, kind]))
                chosen[int(items[turn])] = (int(items[turn]), KINDS[kind], why)
    return list(chosen.values())


def _by_item(events: Events, doubt: NDArray[np.floating]) -> tuple[NDArray[np.integer], NDArray[np.intp]]:
    """Return (items, the row of each that is most in doubt), the most doubtful first."""
    rows = np.argsort(-doubt, kind="stable")
    items, first = np.unique(events.epc[rows], return_index=True)
    order = np.argsort(first, kind="stable")
    return items[order], rows[first[order]]


def _why(network: bool, rules: bool) -> str:
    if network != rules:
        return "network finds it, no rule does" if network else "a rule finds it, the network does not"
    return "near the cut"


def write_audit(
    path: Path,
    events: Events,
    scores: NDArray[np.float32],
    journeys: list[tuple[int, str, str]],
) -> None:
    """Write the events of the journeys, those of one together in the order of time, with a column per kind to fill in.

    Filled in with 0 and 1, the file is a truth table for these events.
    """
    tables = []
    for number, (item, kind, why) in enumerate(journeys, 1):
        rows = np.flatnonzero(events.epc == item)
        rows = rows[np.lexsort((events.event_id[rows], events.time_us[rows]))]
        types = [EVENT_TYPES[code] if code >= 0 else "" for code in events.event_type[rows].tolist()]
        columns = {
            "journey": number,
            "look_for": kind,
            "why": why,
            "event_id": events.event_id[rows],
            "epc_code": no_formula(events.epc_codes[item]),
            "event_time": pd.to_datetime(events.time_us[rows], unit="us", utc=True).strftime("%Y-%m-%d %H:%M:%SZ"),
            "location_id": events.location_id[rows],
            "event_type": types,
            **{f"score_{name}": (100 * scores[rows, at]).round(1) for at, name in enumerate(KINDS)},
            **dict.fromkeys(KINDS, ""),
        }
        tables.append(pd.DataFrame(columns, index=range(len(rows))))
    pd.concat(tables, ignore_index=True).to_csv(path, index=False)
