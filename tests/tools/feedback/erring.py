"""Auditors who err: does the measured average precision stay where nothing falls, and is a fall seen?

``python -m tests.tools.feedback.erring DETECTIONS TRUTH`` takes what `study` takes. Of the audit sample every event is
judged by one person, two or three, a twentieth of whose words is wrong; the detector is as it is, or misses some of
the anomalous events (they get scores of normal ones). A fall is 0.05 below what the detector had before, beyond chance,
as the alert has it. Seeds are fixed.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.features.table import feature_spec_hash
from service.feedback.estimators import Errors, Interval, LabelledSample, measure
from service.feedback.sampling import AuditSample
from service.model.repository import load
from tests.support.gateway import ROOT
from tests.tools.feedback.study import events_of, flags_of, read_world, scores_of, votes_of

FALL = 0.05


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("detections", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--errors", type=float, default=0.05, help="share of the words that are wrong")
    parser.add_argument("--missed", type=float, default=0.3, help="share that the detector misses after the fall")
    given = parser.parse_args()
    log, truth = read_world(given.detections, given.truth)
    scores, flags, events = scores_of(log), flags_of(log), events_of(log)
    sample = AuditSample.of(
        load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash()).manifest, given.share
    )
    before = [_true(scores, flags, truth, kind) for kind in range(len(KINDS))]
    table = Table("missed", "kind", "persons", "truth", "taken as true", "falls", "allowing for errors", "falls")
    for missed in (0.0, given.missed):
        seen = _missing(scores, truth, missed)
        now = flags & (seen >= 0.5) if missed else flags
        for kind, name in enumerate(KINDS):
            for persons in (1, 2, 3):
                drawn = [
                    _words(
                        replace(sample, key=b"sample %d" % one),
                        events,
                        seen,
                        now,
                        truth,
                        kind,
                        persons,
                        given.errors,
                        one,
                    )
                    for one in range(given.samples)
                ]
                cells = [f"{_true(seen, now, truth, kind):.3f}"]
                for errors in (Errors(), Errors(given.errors, is_calibrated=True)):
                    found = [_average_precision(one, errors) for one in drawn]
                    falls = np.mean([one.high < before[kind] and one.value < before[kind] - FALL for one in found])
                    cells += [f"{np.mean([one.value for one in found]):.3f}", f"{falls:.0%}"]
                table.add_row(f"{missed:.0%}", name, str(persons), *cells)
    console = Console(width=110)
    console.print(table)
    console.print(f"{given.samples} samples of about {len(drawn[0].scores):,} of {len(log):,} events.", highlight=False)


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
        scores[:, kind].astype(float), flags[:, kind], votes_of(truth[:, kind]), np.ones(count), np.arange(count)
    )
    return measure(whole, np.random.default_rng(0), 1)["average_precision"].value


def _words(  # noqa: PLR0917 - what a sample is made of
    sample: AuditSample,
    events: Events,
    scores: NDArray[np.float32],
    flags: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    kind: int,
    persons: int,
    errors: float,
    seed: int,
) -> LabelledSample:
    """Return what so many persons say of the events of a sample."""
    probability = sample.probabilities(events, scores, causal=False)
    at = np.flatnonzero(sample.draws(events) < probability)
    wrong = np.random.default_rng([seed, kind, persons]).random((len(at), persons)) < errors
    votes = np.where(truth[at, kind][:, None] ^ wrong, 1, -1).sum(axis=1)
    at, votes = at[votes != 0], votes[votes != 0]
    items = np.unique(events.epc[at], return_inverse=True)[1]
    return LabelledSample(scores[at, kind].astype(float), flags[at, kind], votes, 1 / probability[at], items)


def _average_precision(sample: LabelledSample, errors: Errors) -> Interval:
    return measure(sample, np.random.default_rng(0), 100, errors)["average_precision"]


if __name__ == "__main__":
    main()
