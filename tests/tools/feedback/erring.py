"""Auditors who err: does the measured average precision stay where nothing falls, and is a fall seen?

``python -m tests.tools.feedback.erring DETECTIONS TRUTH`` takes what `study` takes. Of the audit sample every event is
judged by one person, two or three, a twentieth of whose words is wrong; of three, one may also flip a share of his
words, or call all normal. The detector is as it is, or misses some of the anomalous events (they get scores of normal
ones). A fall is 0.05 below what the detector had before, beyond chance of both, as the alert has it. The words are
taken as true; as of people who err alike, by what is stated or what their contradictions show; and each person's by
his own errors (`service.auditors.errors`). Seeds are fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from service.auditors.contradictions import shown_error_rate
from service.auditors.errors import ErrorRates, Testimony, error_rates
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.features.table import feature_spec_hash
from service.feedback.baselines import Promised, has_fallen, promised
from service.feedback.estimators import Interval, LabelledSample, measure
from service.feedback.sampling import BANDS, AuditSample
from service.model.repository import load
from tests.support.gateway import ROOT
from tests.tools.feedback.study import events_of, flags_of, read_world, scores_of, words_of

FALL = 0.05

ALL_NORMAL: Final = "all normal"

_PEOPLE = (("1", 1, 0.0), ("2", 2, 0.0), ("3", 3, 0.0), *((f"3, one flips {of:.0%}", 3, of) for of in (0.3, 0.5, 1.0)),
           (f"3, one says {ALL_NORMAL}", 3, np.nan))  # fmt: skip
"""(name, how many, share of his words that the last one flips; NaN: he calls all normal)"""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """n events of an audit sample, and what P persons say of each kind."""

    scores: NDArray[np.float64]  # [n, 5]
    flags: NDArray[np.bool_]  # [n, 5]
    weights: NDArray[np.float64]  # [n]
    items: NDArray[np.int64]  # [n]
    confirmed: NDArray[np.bool_]  # [n, 5, P]

    @property
    def words(self) -> Testimony:
        """All words as columns; claims are events times kinds."""
        claims, persons = self.scores.size, self.confirmed.shape[2]
        band = np.searchsorted(BANDS, self.scores.ravel(), side="right")
        return Testimony(
            np.repeat(np.arange(claims), persons),
            np.tile(np.arange(persons), claims),
            self.confirmed.ravel(),
            np.tile(np.arange(len(KINDS)), len(self.scores)) * (len(BANDS) + 1) + band,
            self.scores.ravel(),
        )

    def average_precision(self, kind: int, evidence: NDArray[np.float64], *, is_calibrated: bool) -> Interval:
        """Return that of a kind by evidence [n * 5]."""
        of_kind = evidence.reshape(self.scores.shape)[:, kind]
        at = np.flatnonzero(of_kind)
        sample = LabelledSample(
            self.scores[at, kind], self.flags[at, kind], of_kind[at], self.weights[at],
            np.unique(self.items[at], return_inverse=True)[1],
        )  # fmt: skip
        return measure(sample, np.random.default_rng(0), 100, is_calibrated=is_calibrated)["average_precision"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("detections", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument(
        "--errors", type=float, default=0.05, help="share of the words that are wrong, and stated to be"
    )
    parser.add_argument("--missed", type=float, default=0.3, help="share that the detector misses after the fall")
    given = parser.parse_args()
    log, truth = read_world(given.detections, given.truth)
    scores, flags, events = scores_of(log), flags_of(log), events_of(log)
    sample = AuditSample.of(
        load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash()).manifest, given.share
    )
    before = [
        promised(_true(scores, flags, truth, kind), int(truth[:, kind].sum())) for kind in range(len(KINDS))
    ]  # of the whole world, as a manifest would have it
    table = Table(
        "missed", "kind", "persons", "truth", "as true", "falls", "alike", "falls", "each by his own", "falls", "named"
    )
    sizes, sums = [], np.zeros((2, len(_PEOPLE), 4))
    for fallen, missed in enumerate((0.0, given.missed)):
        seen = _missing(scores, truth, missed)
        now = flags & (seen >= 0.5) if missed else flags
        for number, (name, persons, flipped) in enumerate(_PEOPLE):
            drawn = [
                _judged(replace(sample, key=b"sample %d" % one), events, seen, now, truth,
                        _wrong(persons, given.errors, flipped), one)
                for one in range(given.samples)
            ]  # fmt: skip
            sizes += [len(one.scores) for one in drawn]
            own = [error_rates(one.words, persons, given.errors, given.errors) for one in drawn]
            named = np.sum([one.at_odds for one in own], axis=0).tolist()
            for kind, of_kind in enumerate(KINDS):
                cells = [f"{_true(seen, now, truth, kind):.3f}"]
                for way, found in enumerate((
                    [_by(one, kind, None) for one in drawn],
                    [_by(one, kind, _alike(one, given.errors)) for one in drawn],
                    [_by(one, kind, rates) for one, rates in zip(drawn, own, strict=True)],
                )):  # fmt: skip
                    falls = _falls(found, before[kind])
                    sums[fallen, number, way] += falls
                    cells += [f"{np.mean([one.value for one in found]):.3f}", f"{falls / len(found):.0%}"]
                table.add_row(f"{missed:.0%}", of_kind, name, *cells, ", ".join(map(str, named)))
    console = Console(width=130)
    console.print(table)
    total = Table("missed", "persons", "falls seen: words as true", "alike", "each by his own")
    for fallen, missed in enumerate((0.0, given.missed)):
        for number, (name, *_) in enumerate(_PEOPLE):
            of_all = given.samples * len(KINDS)
            total.add_row(f"{missed:.0%}", name, *(f"{count:.0f} of {of_all}" for count in sums[fallen, number, :3]))
    console.print(total)
    console.print(
        f"{given.samples} samples of about {np.mean(sizes):,.0f} of {len(log):,} events; named: in how many each"
        " person is told to be at odds with the others.",
        highlight=False,
    )


def _missing(scores: NDArray[np.float32], truth: NDArray[np.bool_], share: float) -> NDArray[np.float32]:
    """Return the scores [N, 5] of a detector that misses that share of the anomalous events of each kind."""
    rng, found = np.random.default_rng(5), scores.copy()
    for kind in range(len(KINDS)):
        anomalous = np.flatnonzero(truth[:, kind])
        missed = anomalous[rng.random(len(anomalous)) < share]
        found[missed, kind] = rng.choice(scores[~truth[:, kind], kind], len(missed))
    return found


def _true(scores: NDArray[np.float32], flags: NDArray[np.bool_], truth: NDArray[np.bool_], kind: int) -> float:
    count = len(scores)
    whole = LabelledSample(
        scores[:, kind].astype(float), flags[:, kind], words_of(truth[:, kind]), np.ones(count), np.arange(count)
    )
    return measure(whole, np.random.default_rng(0), 1)["average_precision"].value


def _wrong(persons: int, errors: float, flipped: float) -> NDArray[np.float64]:
    """Return which share of the words is wrong, [2, P] of normal and of anomalous events."""
    wrong = np.full((2, persons), errors)
    wrong[:, -1] = (0.0, 1.0) if np.isnan(flipped) else errors * (1 - flipped) + (1 - errors) * flipped
    return wrong


def _judged(  # noqa: PLR0917 - what a sample is made of
    sample: AuditSample,
    events: Events,
    scores: NDArray[np.float32],
    flags: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    wrong: NDArray[np.float64],
    seed: int,
) -> Judged:
    """Return what people say of the events of a sample. Args: ``wrong`` [2, P]."""
    probability = sample.probabilities(events, scores, causal=False)
    at = np.flatnonzero(sample.draws(events) < probability)
    known = truth[at][:, :, None]
    errs = np.random.default_rng([seed, wrong.shape[1]]).random((*known.shape[:2], wrong.shape[1])) < np.where(
        known, wrong[1], wrong[0]
    )
    items = np.unique(events.epc[at], return_inverse=True)[1]
    return Judged(scores[at].astype(float), flags[at], 1 / probability[at], items, known ^ errs)


def _alike(judged: Judged, errors: float) -> ErrorRates:
    """Return the errors of all as one rate: what is stated, or what contradictions show if that is more."""
    persons = judged.confirmed.shape[2]
    confirmed = judged.confirmed.sum(axis=2).ravel()
    return ErrorRates.alike(max(errors, shown_error_rate(confirmed, np.full(len(confirmed), persons))), persons)


def _by(judged: Judged, kind: int, rates: ErrorRates | None) -> Interval:
    """Return the average precision of a kind by words of people with such errors; None: the majority is right."""
    if rates is None:
        votes = (judged.confirmed * 2.0 - 1).sum(axis=2).ravel()
        with np.errstate(invalid="ignore"):
            return judged.average_precision(kind, np.where(votes == 0, 0.0, votes * np.inf), is_calibrated=False)
    return judged.average_precision(kind, rates.evidence(judged.words), is_calibrated=True)


def _falls(found: Iterable[Interval], before: Promised) -> int:
    return sum(has_fallen(one, before) and one.value < before.value - FALL for one in found)


if __name__ == "__main__":
    main()
