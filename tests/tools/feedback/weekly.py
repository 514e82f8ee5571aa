"""What do people who answer a week later tell of a network on a world that drifts, and when is its fall an alarm?

``python -m tests.tools.feedback.weekly`` is the story of `closing` without gateways, retraining and promotion, so that
many worlds and samples take minutes: a network judges the days causally, half of the events are in the audit sample,
and three people answer a week later, each wrong on 5 % of the claims, the last one of whom flips ``--flipped`` of his
words, too. At the end of each week it is measured over the files of two weeks: with all words alike, each person's by
his own errors, and words that are the truth. An alarm is a fall by 0.05, beyond chance: of what is measured alone, or
of what the manifest promises, too, as `operate` and Prometheus have it (`has_fallen`). Seeds are fixed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from service.auditors.contradictions import shown_error_rate
from service.detect.names import Method
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.feedback.accuracy import accuracy
from service.feedback.baselines import Promised, baselines, has_fallen
from service.feedback.estimators import Interval
from service.feedback.sampling import AuditSample
from service.feedback.sql import open_verdicts
from service.feedback.store import SampledEvent, VerdictStore
from service.feedback.verdicts import EventLabel, LabelVerdict, votes_of
from service.feedback.weighed import Weighed, weighed
from service.model.repository import Model, load
from tests.support.gateway import ROOT
from tests.tools.feedback.closing import AUDITORS, DRIFT_DAY, ERRORS, FILES, FIRST_DAY, WEEK, first_of, hash_of
from tests.tools.feedback.drifting import drifting_world
from tests.tools.feedback.erring import FALL
from training.datasets import dataset
from training.datasets.truth import load_truth
from training.evaluation.data_under_test import Subject
from training.runs.weights import weights_of_model

VERSION: Final = "epc_lstm/1"
BY_OWN: Final = "each by his own errors"
WAYS: Final = ("all alike", BY_OWN, "words that are the truth")
RULES: Final[Mapping[str, Callable[[Interval, Promised], bool]]] = {
    "of what is measured": lambda measured, promise: measured.high < promise.value,
    "of what is promised, too": has_fallen,
}
"""When a fall is more than chance."""

_DRIFT_WEEK = (DRIFT_DAY - FIRST_DAY) // WEEK
_SAID = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}


@dataclass(frozen=True, slots=True, eq=False)
class JudgedWorld:
    """N events of a world that drifts, with what the network says of each when it happens."""

    events: Events  # their file_id is that of `closing`
    truth: NDArray[np.bool_]  # [N, 5]
    scores: NDArray[np.float32]  # [N, 5]
    flags: NDArray[np.bool_]  # [N, 5]
    week: NDArray[np.int64]  # [N] from FIRST_DAY on, negative before


class Look(NamedTuple):
    """What the end of a week shows in one of WAYS: the average precision of each kind that is told."""

    week: int  # the last one that was answered
    way: str
    found: Mapping[str, Interval]


def judged_world(model: Model, epcs: int, seed: int) -> JudgedWorld:
    """Return a drifting world as the network judges it, all of it in one request: each event by its past alone."""
    with tempfile.TemporaryDirectory() as folder:
        world = drifting_world(Path(folder) / "plain", epcs, seed, DRIFT_DAY)
        events = dataset.load(world.write(Path(folder) / "world")).events
        known = load_truth(Path(folder) / "world" / "truth.parquet", events)
    days = dict(zip(world.rows["event_id"].tolist(), world.day.tolist(), strict=True))
    day = np.array([days[one] for one in events.event_id.tolist()])
    weights, scores = weights_of_model(model), np.empty((len(events), len(KINDS)), dtype=np.float32)
    subject = Subject(events, known, Reference.from_json(model.manifest.reference))
    part = subject.samples(causal=True, limit=weights.max_length)
    scores[part.index] = weights.score(part)
    flags = scores >= np.array(weights.thresholds.causal, dtype=np.float32)
    lot = np.array([hash_of(code) for code in events.epc_codes])[events.epc]
    return JudgedWorld(
        replace(events, file_id=day * FILES + lot % FILES + 1),
        known.labels >= 0.5,
        scores,
        flags,
        (day - FIRST_DAY) // WEEK,
    )


def looks(world: JudgedWorld, sample: AuditSample, weeks: int, flipped: float, seed: list[int]) -> Iterator[Look]:
    """Yield what the words of each week make of all that was judged until then, in each of WAYS."""
    probability = sample.probability_if_drawn(world.events, world.scores, causal=True)
    drawn = np.flatnonzero((probability > 0) & (world.week >= 0) & (world.week < weeks))
    with tempfile.TemporaryDirectory() as folder:
        store = open_verdicts(folder)
        store.add_sample([_sampled(world, row, float(probability[row])) for row in drawn.tolist()])
        labels, true = list[EventLabel](), dict[tuple[int, int, str], float]()
        for week in range(weeks):
            rows = drawn[world.week[drawn] == week]
            for number, who in enumerate(AUDITORS):
                errors = ERRORS + (flipped if who == AUDITORS[-1] else 0.0)
                wrong = np.random.default_rng([*seed, week, number]).random((len(rows), len(KINDS))) < errors
                labels += _words(world, rows, world.truth[rows] ^ wrong, who, len(labels))
            true |= {
                (int(world.events.file_id[row]), int(world.events.event_id[row]), kind): np.inf if is_so else -np.inf
                for row in rows.tolist()
                for kind, is_so in zip(KINDS, world.truth[row], strict=True)
            }
            for way, words in zip(WAYS, (_alike(labels), weighed(labels, ERRORS), Weighed(true, ())), strict=True):
                yield Look(week, way, _measured(store, words))
        store.close()


def _sampled(world: JudgedWorld, row: int, probability: float) -> SampledEvent:
    events, at = world.events, int(world.events.time_us[row])
    scores, flags = tuple(world.scores[row].tolist()), tuple(world.flags[row].tolist())
    return SampledEvent(
        int(events.event_id[row]), int(events.file_id[row]), events.epc_codes[events.epc[row]],
        int(events.location_id[row]), "", "", at, True, Method.LSTM, VERSION, at, probability, scores, flags,
    )  # fmt: skip


def _words(
    world: JudgedWorld, rows: NDArray[np.intp], confirms: NDArray[np.bool_], who: str, before: int
) -> list[EventLabel]:
    """Return what somebody says of every kind of events, [n, 5]; so many labels were there ``before``."""
    return [
        EventLabel(
            "", int(world.events.event_id[row]), int(world.events.file_id[row]), "", kind, _SAID[confirmed], who, "", 0,
            score=float(world.scores[row, column]), model_version=VERSION,
            sequence=before + at * len(KINDS) + column + 1,
        )
        for at, row in enumerate(rows.tolist())
        for column, (kind, confirmed) in enumerate(zip(KINDS, confirms[at].tolist(), strict=True))
    ]  # fmt: skip


def _alike(labels: list[EventLabel]) -> Weighed:
    """Return what words are worth if all err as often: as stated, or as contradictions show if that is more."""
    votes, people = votes_of(labels), len(AUDITORS)
    confirmed = (np.array(list(votes.values())) + people) // 2
    rate = max(ERRORS, shown_error_rate(confirmed, np.full(len(confirmed), people)))
    return Weighed({claim: vote * float(np.log((1 - rate) / rate)) for claim, vote in votes.items()}, ())


def _measured(store: VerdictStore, words: Weighed) -> dict[str, Interval]:
    found = accuracy(store, words, batches=2 * WEEK * FILES, resamples=200)
    return {one.kind: one.measures["average_precision"] for one in found if "average_precision" in one.measures}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repository", type=Path, default=ROOT / "model_repository", help="whose network judges")
    parser.add_argument("--seeds", type=int, nargs="+", default=[71, 72, 73, 74, 75, 76], help="of the worlds")
    parser.add_argument("--samples", type=int, default=3, help="audit samples of each world, with other errors")
    parser.add_argument("--flipped", type=float, default=0.0, help="share of one auditor's words that he flips, too")
    parser.add_argument("--weeks", type=int, default=8, help="that are answered; the drift begins after three")
    parser.add_argument("--epcs", type=int, default=20_000)
    parser.add_argument("--audit-share", type=float, default=0.5)
    given = parser.parse_args()
    model = load(given.repository, feature_spec_hash=feature_spec_hash())
    of_all = baselines([(VERSION, model.manifest)])
    promises = {kind: promise for (judge, kind), promise in of_all.items() if judge[1:] == (VERSION, "causal")}
    stories: list[list[Look]] = []
    for seed in given.seeds:
        world = judged_world(model, given.epcs, seed)
        for number in range(given.samples):
            sample = AuditSample.of(model.manifest, given.audit_share, b"sample %d %d" % (seed, number))
            stories.append(list(looks(world, sample, given.weeks, given.flipped, [seed, number])))
            print(f"world {seed}, sample {number}", flush=True)
    console = Console(width=130)
    console.print(_by_week(stories), _alarms(stories, promises))
    console.print(f"{len(stories)} stories of {len(given.seeds)} worlds; {FALL} is a fall", highlight=False)


def _by_week(stories: list[list[Look]]) -> Table:
    """Return the mean average precision of the kinds, over all stories and that of the worst one."""
    table = Table("answered until day", *WAYS)
    for week in sorted({look.week for story in stories for look in story}):
        cells = []
        for way in WAYS:
            means = [
                float(np.mean([one.value for one in look.found.values()]))
                for story in stories
                for look in story
                if (look.week, look.way) == (week, way)
            ]
            cells.append(f"{np.mean(means):.3f}, {min(means):.3f} the least")
        table.add_row(str(first_of(week + 1) - 1), *cells)
    return table


def _alarms(stories: list[list[Look]], promises: Mapping[str, Promised]) -> Table:
    """Return how many alarms there were before the drift, and after how many days the first one since then."""
    table = Table(
        "words", "a fall is beyond chance", "alarms before the drift", "seen since", "days to it, mean", "most"
    )
    for way in WAYS:
        for name, is_beyond in RULES.items():
            false, days = alarms(stories, way, promises, is_beyond)
            table.add_row(
                way, name, f"{false} of {_DRIFT_WEEK * len(stories)}", f"{len(days)} of {len(stories)}",
                f"{np.mean(days):.1f}" if days else "-", str(max(days, default="-")),
            )  # fmt: skip
    return table


def alarms(
    stories: list[list[Look]],
    way: str,
    promises: Mapping[str, Promised],
    is_beyond: Callable[[Interval, Promised], bool],
) -> tuple[int, list[int]]:
    """Return (weeks before the drift that end with an alarm, days from the drift to the first alarm of each story)."""
    weeks = [{look.week for look in one if look.way == way and _is_alarm(look, promises, is_beyond)} for one in stories]
    first = [min((week for week in one if week >= _DRIFT_WEEK), default=None) for one in weeks]
    days = [first_of(week + 2) - DRIFT_DAY for week in first if week is not None]  # they answer a week later
    return sum(week < _DRIFT_WEEK for one in weeks for week in one), days


def _is_alarm(look: Look, promises: Mapping[str, Promised], is_beyond: Callable[[Interval, Promised], bool]) -> bool:
    return any(
        one.value < promises[kind].value - FALL and is_beyond(one, promises[kind]) for kind, one in look.found.items()
    )


if __name__ == "__main__":
    main()
