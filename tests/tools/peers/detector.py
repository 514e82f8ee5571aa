"""The detector of the peers: thirty features per event by plain numpy, the bundled network, thresholds, an answer.

It is written as one would for a model of one's own, with care, and on its own: it shares no code with the gateway. The
network is the gateway's, so that inference costs the same: its inputs are the thirty features again and again. What it
finds is of no use therefore, but there is as much of it as the gateway finds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

ROOT = Path(__file__).parents[3]
KINDS = ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump")
TYPES = (
    "Aggregation", "WMS_Inbound", "WMS_Outbound", "HUB_Inbound", "HUB_Outbound", "W_Stock_Inbound", "W_Stock_Outbound",
    "R_Stock_Inbound", "R_Stock_Outbound", "POS_Sell",
)  # fmt: skip
STEPS = ("Factory", "WMS", "Logistics_HUB", "W_Stock", "R_Stock", "POS_Sell")
FEATURES = 30

THRESHOLD = np.array([101.0, 14.0, 0.0115, 0.5, 94.0])
"""Flags some 8 % of the events of a simulated world, as the gateway does: answers are as long as its own. None as
forged: to the network, whose inputs these are not, they all look so."""

LONGEST = 32
"""Events of an item that the network sees; later ones are not judged."""

ITEMS_AT_ONCE = 64

_EARTH_KM = 6371.0
_DAY_S = 86_400

Floats: TypeAlias = NDArray[np.float64]
Index: TypeAlias = NDArray[np.intp]


class Columns(NamedTuple):
    """The events of a request, column by column."""

    event_id: list[int]
    epc_code: list[str]
    location_id: list[int]
    business_step: list[str]
    event_type: list[str]
    time_s: Floats


class Detector:
    """The network of the repository, one call per batch of items of similar length; safe to call from threads."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # calls run side by side instead
        model = ROOT / "model_repository" / "epc_lstm" / "1" / "model.onnx"
        self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._inputs = int(self._session.get_inputs()[0].shape[-1])

    def answer(self, columns: Columns) -> dict[str, Any]:
        """Return the answer to a request: findings, counts per item and in all, by the names of the contract."""
        scores = self.scores(columns)
        flags = scores >= THRESHOLD
        return {
            "method": "lstm-deep-learning",
            "event_history": list(_findings(columns, scores, flags)),
            "epc_anomaly_stats": list(_counts_by_item(columns, flags)),
            "file_anomaly_stats": _counts(flags.sum(axis=0).tolist()),
        }

    def scores(self, columns: Columns) -> Floats:
        """Return the scores [N, 5] of all events, 0 to 100."""
        item, order, start, length = _journeys(columns)
        x = np.tile(features(columns, item, order, start, length), self._inputs // FEATURES + 1)
        x = x[:, : self._inputs].astype(np.float32)  # [N, F] in the order of journeys
        scores = np.zeros((len(order), len(KINDS)))
        by_length = np.argsort(length, kind="stable")
        for begin in range(0, len(by_length), ITEMS_AT_ONCE):
            items = by_length[begin : begin + ITEMS_AT_ONCE]
            lengths = np.minimum(length[items], LONGEST)
            step = np.arange(lengths.max())
            real = step < lengths[:, None]  # [B, T]
            rows = np.where(real, start[items, None] + step, 0)
            inputs = {"features": x[rows], "lengths": lengths[:, None].astype(np.int64)}
            (probabilities,) = self._session.run(["probabilities"], inputs)
            scores[order[rows[real]]] = probabilities[real] * 100
        return scores


def _journeys(columns: Columns) -> tuple[Index, Index, Index, Index]:
    """Return (item of each event, events by item and time, where items begin in that, how many events they have)."""
    _, item = np.unique(np.array(columns.epc_code), return_inverse=True)
    order = np.lexsort((columns.time_s, item))
    _, start, length = np.unique(item[order], return_index=True, return_counts=True)
    return item, order, start, length


def features(columns: Columns, item: Index, order: Index, start: Index, length: Index) -> Floats:
    """Return the features [N, 30] in the order of journeys."""
    ordered = item[order]
    place = np.arange(len(order)) - start[ordered]
    first = place == 0
    last = place == length[ordered] - 1
    time_s = columns.time_s[order]
    gap_s = np.where(first, 0.0, np.diff(time_s, prepend=time_s[0]))
    event_type = _numbers(columns.event_type, TYPES)[order]
    step = _numbers(columns.business_step, STEPS)[order]
    latitude, longitude, known = _places(columns.location_id)
    distance_km = np.where(first, 0.0, _distance_km(np.radians(latitude[order]), np.radians(longitude[order])))
    hour, weekday = time_s % _DAY_S / _DAY_S, time_s // _DAY_S % 7 / 7
    code = _code_parts(columns.epc_code)[order]  # [N, 6]
    rows = [
        np.log1p(gap_s),
        np.where(last, 0.0, np.log1p(np.append(gap_s[1:], 0.0))),
        distance_km,
        distance_km / np.maximum(gap_s / 3600, 1 / 60),  # km/h
        place,
        length[ordered] - place,
        np.where(first, 0.0, np.diff(event_type, prepend=event_type[0])),
        np.where(first, 0.0, np.diff(step, prepend=step[0])),
        step,
        np.sin(2 * np.pi * hour),
        np.cos(2 * np.pi * hour),
        np.sin(2 * np.pi * weekday),
        np.cos(2 * np.pi * weekday),
        known[order],
        *code.T,
        *(event_type == np.arange(len(TYPES))[:, None]),
    ]
    return np.stack(rows, axis=1)


def _numbers(texts: list[str], known: tuple[str, ...]) -> Floats:
    number = {text: at for at, text in enumerate(known)}
    return np.array([number.get(text, -1) for text in texts], dtype=np.float64)


@cache
def _coordinates() -> dict[int, tuple[float, float, float]]:
    with (ROOT / "training" / "data" / "locations.csv").open(encoding="utf-8") as file:
        return {
            int(row["location_id"]): (float(row["Latitude"]), float(row["Longitude"]), 1.0)
            for row in csv.DictReader(file)
        }


def _places(location_id: list[int]) -> tuple[Floats, Floats, Floats]:
    """Return (latitudes, longitudes, whether the place is known) [N]."""
    coordinates = _coordinates()
    found = np.array([coordinates.get(one, (0.0, 0.0, 0.0)) for one in location_id])
    return found[:, 0], found[:, 1], found[:, 2]


def _distance_km(latitude: Floats, longitude: Floats) -> Floats:
    """Return how far each event [N] is from the one before (haversine, radians); the first one's is 0."""
    before, there = np.roll(latitude, 1), np.roll(longitude, 1)
    a = np.sin((latitude - before) / 2) ** 2
    a += np.cos(latitude) * np.cos(before) * np.sin((longitude - there) / 2) ** 2
    return 2 * _EARTH_KM * np.arcsin(np.sqrt(np.minimum(a, 1.0)))


def _code_parts(codes: list[str]) -> Floats:
    """Return the parts [N, 6] of the codes, small numbers; zeros for what is no code. Each code is parsed once."""
    parsed: dict[str, tuple[float, ...]] = {}
    for code in codes:
        if code not in parsed:
            parts = code.split(".")
            well_formed = len(parts) == 6 and all(part.isdecimal() for part in parts)
            parsed[code] = tuple(int(part) / 10 ** len(part) for part in parts) if well_formed else (0.0,) * 6
    return np.array([parsed[code] for code in codes])


def _findings(columns: Columns, scores: Floats, flags: NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
    flagged = np.flatnonzero(flags.any(axis=1))
    rows = zip(flagged.tolist(), flags[flagged].tolist(), scores[flagged].round(4).tolist(), strict=True)
    for at, of_event, scores_of_event in rows:
        finding: dict[str, Any] = {"event_id": columns.event_id[at]}
        for kind, flag, score in zip(KINDS, of_event, scores_of_event, strict=True):
            if flag:
                finding[kind] = True
                finding[f"{kind}_score"] = score
        yield finding


def _counts(counts: list[int]) -> dict[str, Any]:
    by_kind = {f"{kind}_count": count for kind, count in zip(KINDS, counts, strict=True)}
    return {"total_events": sum(counts)} | by_kind


def _counts_by_item(columns: Columns, flags: NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
    found: dict[str, list[int]] = {}
    flagged = np.flatnonzero(flags.any(axis=1))
    for at, of_event in zip(flagged.tolist(), flags[flagged].tolist(), strict=True):
        of_item = found.setdefault(columns.epc_code[at], [0] * len(KINDS))
        for kind, flag in enumerate(of_event):
            of_item[kind] += flag
    for code, counts in found.items():
        yield {"epc_code": code} | _counts(counts)
