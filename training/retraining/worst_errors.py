"""The journeys on which a challenger does worse than the champion, or worst of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.events.vocabulary import EVENT_TYPES, KINDS
from service.features.reference import Reference
from training.evaluation.detectors import MODEL
from training.retraining.ground import Ground


@dataclass(frozen=True, slots=True)
class JourneyLine:
    """One event of a journey."""

    event_id: int
    place: int  # location id
    event_type: str
    local_time: str
    truth: str  # kinds that it has, "?" where nobody knows
    champion: str  # scores x 100 of kinds that either gives a say
    challenger: str


@dataclass(frozen=True, slots=True)
class WorstJourney:
    """A journey with an event that the challenger gets wrong."""

    epc_code: str
    mode: str
    kind: str
    event_id: int  # of the worst error
    error: float  # how far the challenger's probability is from the truth
    champion_error: float
    lines: list[JourneyLine]


def worst_journeys(ground: Ground, mode: str, most: int) -> list[WorstJourney]:
    """Return up to ``most`` journeys with errors of the challenger, those first that it does most worse than before."""
    part = ground.champion[mode].samples
    before, after = (each[mode].detectors[MODEL].scores for each in (ground.champion, ground.challenger))
    error, then = (np.abs(scores - part.labels) for scores in (after, before))  # [n, 5]
    worse = np.where(error > 0.5, error - then, -1.0)  # NaN where nobody knows
    worst_kind = np.nan_to_num(worse, nan=-1.0).argmax(axis=1)
    rows = np.arange(len(worst_kind))
    value = np.nan_to_num(worse, nan=-1.0)[rows, worst_kind]
    item = ground.item(mode)
    found: list[WorstJourney] = []
    seen: set[int] = set()
    for row in np.argsort(-value, kind="stable").tolist():
        if len(found) == most or value[row] <= -1:
            break
        epc, kind = int(item[row]), int(worst_kind[row])
        if epc not in seen:
            seen.add(epc)
            lines = _journey(ground, mode, epc)
            at = int(ground.events.event_id[part.index[row]])
            errors = float(error[row, kind]), float(then[row, kind])
            found.append(WorstJourney(ground.events.epc_codes[epc], mode, KINDS[kind], at, *errors, lines))
    return found


def _journey(ground: Ground, mode: str, epc: int) -> list[JourneyLine]:
    part, events = ground.champion[mode].samples, ground.events
    scores = [each[mode].detectors[MODEL].scores for each in (ground.champion, ground.challenger)]
    lines = []
    for row in np.flatnonzero(ground.item(mode) == epc).tolist():
        at = int(part.index[row])
        said = [kind for kind in range(len(KINDS)) if max(one[row, kind] for one in scores) >= 0.05]
        labels = part.labels[row]
        real = [KINDS[kind] for kind in range(len(KINDS)) if labels[kind] >= 0.5]
        unknown = ["?"] if np.isnan(labels).any() else []
        lines.append(
            JourneyLine(
                int(events.event_id[at]),
                int(events.location_id[at]),
                EVENT_TYPES[events.event_type[at]] if 0 <= events.event_type[at] < len(EVENT_TYPES) else "?",
                _local(ground.reference, events.time_us[at], events.location_id[at]),
                " ".join(real + unknown) or "normal",
                *(" ".join(f"{KINDS[kind]} {100 * one[row, kind]:.0f}" for kind in said) or "-" for one in scores),
            )
        )
    return lines


def _local(reference: Reference, time_us: np.int64, location_id: np.int64) -> str:
    local = reference.zones.local_us(np.array([time_us]), np.array([location_id]))[0]
    return str(np.datetime64(int(local), "us").astype("datetime64[s]")).replace("T", " ")
