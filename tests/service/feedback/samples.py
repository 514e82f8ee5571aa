"""Events, scores and labels to draw, label and measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.feedback.store import SampledEvent, VerdictStore
from service.feedback.verdicts import EventLabel, LabelVerdict

JUMP = KINDS.index("jump")

ASKED, ERRORS = 1_500, 0.05
PEOPLE = {"ann": ERRORS, "bob": ERRORS, "cay": 0.35}
"""Which share of their words is wrong."""


def label(event_id: int, verdict: LabelVerdict = LabelVerdict.CONFIRMED, **fields: object) -> EventLabel:
    """Return a label of "ann" on the jump of an event of file 1, said at 1,000 us."""
    return EventLabel("", event_id, 1, "", "jump", verdict, "ann", "key:web", 1_000)._replace(**fields)


def sampled(event_id: int, score: float = 0.9, **fields: object) -> SampledEvent:
    """Return a sampled event of file 1, whose jump has the score; a finding from 0.5 on."""
    scores, flags = np.zeros(5), np.zeros(5, dtype=bool)
    scores[JUMP], flags[JUMP] = score, score >= 0.5
    return SampledEvent(
        event_id, 1, f"code-{event_id}", 1, "Factory", "Aggregation", 10**15, False, "lstm-deep-learning",
        "epc_lstm/1", 2_000, 0.25, tuple(scores.tolist()), tuple(flags.tolist()),
    )._replace(**fields)  # fmt: skip


def judge_with_errors(store: VerdictStore) -> None:
    """Ask about 40 findings that are right, and 760 normal events, of which every twentieth is confirmed by mistake."""
    store.add_sample([sampled(at, 0.99 if at < 40 else 0.001) for at in range(800)])
    said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
    store.append([label(at, said[at < 40 or at % 20 == 0]) for at in range(800)])


def judge_beside_a_flipper(store: VerdictStore, missed: float) -> NDArray[np.bool_]:
    """Ask PEOPLE about ASKED events, a twelfth of which is anomalous, and a share of that missed; return the truth."""
    rng = np.random.default_rng(3)
    anomalous: NDArray[np.bool_] = rng.random(ASKED) < 1 / 12
    scores = np.where(anomalous & (rng.random(ASKED) >= missed), 0.99, 0.001)
    store.add_sample([sampled(at, score) for at, score in enumerate(scores.tolist())])
    said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
    for who, wrong in PEOPLE.items():
        confirms = anomalous ^ (rng.random(ASKED) < wrong)
        store.append([label(at, said[bool(word)], who=who) for at, word in enumerate(confirms.tolist())])
    return anomalous


def events_at(locations: NDArray[np.int64], *, per_item: int = 4) -> Events:
    """Return an event at each location; items have ``per_item`` events each."""
    count = len(locations)
    epc = (np.arange(count) // per_item).astype(np.int32)
    zeros = np.zeros(count, dtype=np.int8)
    return Events(
        event_id=np.arange(1, count + 1),
        epc=epc,
        epc_codes=[f"001.8804823.1293291.010004.20250701.{at:09d}" for at in range(int(epc[-1]) + 1)],
        location_id=locations,
        step=zeros,
        event_type=zeros,
        time_us=np.full(count, 10**15),
        file_id=np.ones(count, dtype=np.int64),
    )
