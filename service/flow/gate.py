"""May a version of the flow model take the place of the champion? What its own backtest says, in the signed manifest.

Its errors after the split have to be those of the best baseline plus 2 % at most, for each measure and horizon, and
likewise those of the champion from the same days on. Only days after the end of the champion's history count for that:
it has learned from all before. Where there are none, or its history has other dimensions, the baselines alone decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from service.flow.forecast.baselines import BASELINES
from service.flow.series import MEASURES

MOST_WORSE = 0.02
"""Share by which a WAPE may be above that of who is to be beaten."""

SERVED = "served"
"""What was chosen by the days before the split, as a method beside the others."""

CHAMPION = "champion"
"""Key of the metrics that has the comparison with the champion: its manifest, the origins, the errors of both."""


def shortfall(metrics: Mapping[str, JsonValue], champion: str) -> str:
    """Return why a version with these metrics may not be the champion, empty if it may.

    Args:
        metrics: of its manifest.
        champion: SHA-256 of the manifest of the version that answers now, empty without one.
    """
    errors: Any = metrics.get("errors")
    if not isinstance(errors, dict) or not errors:
        return "its manifest has no backtest: train it again"
    if missing := [measure for measure in MEASURES if measure not in errors]:
        return f"its backtest has no {', '.join(missing)}: train it on data that have"
    for measure, by_method in errors.items():
        for horizon, served in by_method[SERVED].items():
            plain = {one.name: by_method[one.name][horizon]["wape"] for one in BASELINES}
            best = min(plain, key=lambda name: plain[name])
            if problem := _worse(measure, horizon, served["wape"], f"that of {best}", plain[best]):
                return problem
    return _against_champion(metrics.get(CHAMPION), champion) if champion else ""


def _against_champion(compared: Any, champion: str) -> str:  # noqa: ANN401 - as the manifest has it
    if not isinstance(compared, dict) or compared.get("manifest_sha256") != champion:
        return "it was not compared with the champion: train it with --repository and --lifecycle"
    for measure, by_horizon in compared["errors"].items():
        for horizon, wape in by_horizon.items():
            if problem := _worse(measure, horizon, wape[SERVED], "the champion's", wape[CHAMPION]):
                return problem
    return ""


def _worse(measure: str, horizon: str, wape: float, whose: str, bar: float) -> str:
    if wape <= bar * (1 + MOST_WORSE):
        return ""
    above = f"{wape / bar - 1:.1%} above" if bar else "above"
    return (
        f"its WAPE of {measure} {horizon} days ahead is {wape:.3f}, {above} {whose}, {bar:.3f};"
        f" at most {MOST_WORSE:.0%} may be"
    )
