"""Whether a challenger may take the place of the champion: it must be no worse anywhere, by more than chance tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.retraining.by_slice import SliceChange
from training.retraining.paired import LEAST_ANOMALIES, MEAN, Comparison


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a challenger is refused for."""

    ap: float = 0.002  # the lower bound of the difference of AP (by verdicts: of the mean) must be above minus this
    ece: float = 0.005  # the calibration error must not rise by more
    cost_share: float = 0.05  # the cost must not rise by more than this share of the champion's, beyond chance
    slice_fall: float = 0.02  # no slice may fall by more
    least_anomalies: int = LEAST_ANOMALIES  # of a kind on a ground; of fewer nothing can be told


_LIMITS = GateLimits()


def refusals(compared: Sequence[Comparison], changes: Iterable[SliceChange], limits: GateLimits = _LIMITS) -> list[str]:
    """Return why the challenger is refused, one line each; nothing if it passes.

    A hundred anomalies that people named cannot show a difference of 0.002 of one kind; the mean of all kinds comes
    nearer. So by verdicts the mean must be no worse, and no kind known to be worse.
    """
    measured = [one for one in compared if one.anomalies >= limits.least_anomalies]
    if not measured:
        return [f"no kind has {limits.least_anomalies} known anomalies: there is nothing to tell by"]
    found = [line for one in measured for line in _of_kind(one, limits)]
    for change in changes:
        if change.change < -limits.slice_fall:
            found.append(
                f"{change.ground}, {change.mode}, {change.kind}, {change.name}: falls from {change.champion:.3f} to"
                f" {change.challenger:.3f} ({change.events:,} events), by more than {limits.slice_fall}"
            )
    return found


def untold(compared: Iterable[Comparison], limits: GateLimits = _LIMITS) -> list[str]:
    """Return of which kinds too little is known to say anything."""
    return [
        f"{one.ground}, {one.mode}, {one.kind}: {one.anomalies} known anomalies, of fewer than"
        f" {limits.least_anomalies} nothing is told"
        for one in compared
        if one.anomalies < limits.least_anomalies
    ]


def _of_kind(one: Comparison, limits: GateLimits) -> list[str]:
    where = f"{one.ground}, {one.mode}, {one.kind}"
    found = []
    one_of_many = one.by_people and one.kind != MEAN
    if (one.high < 0) if one_of_many else not one.low > -limits.ap:
        rule = "the upper bound must not be below 0" if one_of_many else f"the lower bound must be above -{limits.ap}"
        why = "is worse" if one.high < 0 else "may be worse, by what is known"
        found.append(f"{where}: {why}: AP differs by {one.difference:+.4f} ({one.low:+.4f} to {one.high:+.4f}), {rule}")
    if one.ece_difference > limits.ece:
        found.append(f"{where}: calibration error rises by {one.ece_difference:.4f}, by more than {limits.ece}")
    if one.cost_low > limits.cost_share * one.cost:
        found.append(
            f"{where}: cost of 1,000 events rises from {one.cost:.2f} by {one.cost_difference:.2f} (at least"
            f" {one.cost_low:.2f}), by more than {limits.cost_share:.0%}"
        )
    return found
