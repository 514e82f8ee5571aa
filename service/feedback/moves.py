"""Which share of the files should a challenger have, by what is measured of it beside the champion?

A step up is earned each time anew, by pairs that were judged since the last one; harm is looked for in all pairs. A
step for a version that is no better, which chance allows one time in forty, costs nobody anything; harm ends all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.detect.names import DetectorName
from service.detect.traffic import CHAMPION, Share, Traffic
from service.feedback.paired import MEAN, PairedDifference

CHALLENGER = "challenger"


@dataclass(frozen=True, slots=True)
class MoveBounds:
    """How far a share moves; in percent of the files."""

    step: float = 10.0  # at most, at once
    unsure: float = 30.0  # the most while some kind may be worse, by more than `tolerance`
    most: float = 50.0  # the most for a challenger, and for all that is not the champion's; then it is promoted
    tolerance: float = 0.02  # of average precision


@dataclass(frozen=True, slots=True)
class ShareMove:
    """From which share to which, and why; `share` == `to`: it stays."""

    share: float
    to: float
    why: str
    traffic: str  # what the log says then, as `service.detect.traffic` reads it


_BOUNDS = MoveBounds()


def move(
    shares: str,
    challenger: int,
    whole: Sequence[PairedDifference],
    fresh: Sequence[PairedDifference],
    bounds: MoveBounds = _BOUNDS,
) -> ShareMove:
    """Return how the share of a challenger's network moves.

    Args:
        shares: the traffic as it is, "" where the champion has all of it.
        challenger: number of its version.
        whole: differences, challenger less champion, of all pairs; none where too little is known.
        fresh: those of the pairs since the shares were last set.
        bounds: how far.

    Raises:
        ValueError: the traffic cannot be read.
    """
    traffic = Traffic.parse(shares)
    share = share_of(traffic, challenger)
    champions = sum(one.percent for one in traffic.shares if one.version == CHAMPION and _is_network(one))
    to, why = _moved(share, 100.0 - champions - share, whole, fresh, bounds)
    return ShareMove(share, to, why, _with_share(traffic, challenger, to) if to != share else shares)


def to_nothing(shares: str, challenger: int, why: str) -> ShareMove:
    """Return the move that leaves a challenger nothing; raises as `move`."""
    traffic = Traffic.parse(shares)
    return ShareMove(share_of(traffic, challenger), 0.0, why, _with_share(traffic, challenger, 0.0))


def share_of(traffic: Traffic, challenger: int) -> float:
    """Return how many percent of the files a challenger's network has."""
    return sum(one.percent for one in traffic.shares if _is_of(one, challenger))


def _moved(
    share: float,
    others: float,
    whole: Sequence[PairedDifference],
    fresh: Sequence[PairedDifference],
    bounds: MoveBounds,
) -> tuple[float, str]:
    harm = [one for one in whole if one.high < 0]
    if harm:
        return 0.0, f"worse: {'; '.join(map(told, harm))}"
    gain = next((one for one in fresh if one.kind == MEAN), None)
    if gain is None:
        return share, "too few verdicts on what both judged since the last move"
    if not gain.low > 0:
        return share, f"no better beyond chance: {told(gain)}"
    doubtful = [one for one in whole if one.kind != MEAN and one.low < -bounds.tolerance]
    bound = min(bounds.unsure if doubtful else bounds.most, bounds.most - others)
    if share >= bound:
        why = f"{told(doubtful[0])} may be worse" if doubtful else "promote it, or leave it there"
        return share, f"better: {told(gain)}; {bound:g} % is its bound: {why}"
    return min(share + bounds.step, bound), f"better: {told(gain)}"


def told(one: PairedDifference) -> str:
    """Return a difference in words."""
    name = "average precision, mean over the kinds" if one.kind == MEAN else f"{one.kind}, {one.mode}"
    return f"{name} {one.value:+.4f} ({one.low:+.4f} to {one.high:+.4f}, {one.anomalies} of {one.known} anomalous)"


def _with_share(traffic: Traffic, challenger: int, percent: float) -> str:
    """Return the traffic with that share for the challenger; the champion's network has the rest."""
    others = [
        one
        for one in traffic.shares
        if not _is_of(one, challenger) and not (_is_network(one) and one.version == CHAMPION)
    ]
    named = next((one for one in traffic.shares if _is_of(one, challenger)), None)
    own = replace(named, percent=percent) if named else Share(DetectorName.LSTM, CHALLENGER, percent)
    return ",".join(f"{one.name}={one.percent:g}" for one in (own, *others) if one.percent > 0)


def _is_of(share: Share, challenger: int) -> bool:
    return _is_network(share) and share.version in (CHALLENGER, str(challenger))


def _is_network(share: Share) -> bool:
    return share.detector is DetectorName.LSTM
