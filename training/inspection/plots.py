"""The numbers of a folder as correlations and as plots."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from service.events.earth import great_circle_km
from service.events.vocabulary import EVENT_TYPES, LEVEL_OF_TYPE, TYPES, UNKNOWN, type_index
from training.inspection.folder import DAY_US, HOUR_US, Section, World

_SAMPLE = 50_000  # events at most for the correlations
_STRONGEST = 10  # pairs
_MOST_FILES, _MOST_EVENTS, _MOST_DAYS = 10, 25, 5 * 365  # shown; days are those before and after the median
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def correlations(world: World) -> pd.DataFrame:
    """Return Spearman's rank correlations [C, C] of the numbers that events have, of every k-th event if many."""
    ordered, journeys, parts = world.journeys.events, world.journeys, world.codes
    before, has_before = journeys.previous()
    level = LEVEL_OF_TYPE[ordered.event_type]
    local_us = world.local_us[world.journeys.order]
    day = local_us / DAY_US
    age = day - np.where(parts.date_valid, parts.day, np.nan)[ordered.epc]
    table = pd.DataFrame(
        {
            "file": ordered.file_id,
            "hour": local_us // HOUR_US % 24,
            "weekday": _weekday(local_us),
            "day": day,
            "level": np.where(level == UNKNOWN, np.nan, level),
            "place in journey": journeys.position,
            "events of EPC": journeys.spread(journeys.length),
            "hours since previous": np.where(has_before, (ordered.time_us - ordered.time_us[before]) / HOUR_US, np.nan),
            "km from previous": np.where(has_before, _kilometres(world, before), np.nan),
            "days since code date": age,
            "serial": np.where(parts.well_formed & (parts.serial >= 0), parts.serial, np.nan)[ordered.epc],
        }
    )
    return table.iloc[:: -(-len(table) // _SAMPLE)].corr(method="spearman", min_periods=10)


def strongest(table: pd.DataFrame) -> Section:
    """Return the pairs of numbers that go together most."""
    first, second = np.triu_indices(len(table), k=1)
    values = table.to_numpy()[first, second]
    order = np.argsort(-np.abs(values), kind="stable")  # NaN comes last
    names = list(map(str, table.columns))
    rows = [
        (names[first[at]], names[second[at]], f"{values[at]:+.2f}")
        for at in order[:_STRONGEST].tolist()
        if np.isfinite(values[at])
    ]
    note = "Spearman's rank correlations of what numbers events have, the strongest first."
    return Section("Correlations", note, ("of", "with", "correlation"), rows)


def plots(world: World, table: pd.DataFrame) -> dict[str, bytes]:
    """Return plots as SVG by title; ``table`` are the `correlations`."""
    drawings: dict[str, Callable[[Axes], None]] = {
        "Events per day and file": lambda axes: _per_day(axes, world),
        "Events by type": lambda axes: _by_type(axes, world),
        "Events per EPC": lambda axes: _per_epc(axes, world),
        "Time between the scans of an EPC": lambda axes: _gaps(axes, world),
        "Events by weekday and hour": lambda axes: _week(axes, world),
        "Rank correlations": lambda axes: _heat(axes, table.to_numpy(), list(table.columns), list(table.columns)),
    }
    # Texts stay texts: the browser has the letters, whatever the language; matplotlib need not.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "plots"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        return {title: _svg(draw) for title, draw in drawings.items()}


def _svg(draw: Callable[[Axes], None]) -> bytes:
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    draw(figure.subplots())
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _per_day(axes: Axes, world: World) -> None:
    day = world.local_us // DAY_US
    near = np.abs(day - np.median(day)) <= _MOST_DAYS  # a time of another century would hide all others
    first = int(day[near].min())
    axis = np.arange(first, int(day[near].max()) + 1).astype("datetime64[D]")
    for name in list(world.raw.files)[:_MOST_FILES]:
        mine = near & (world.rows["file"] == name).to_numpy()
        axes.plot(axis, np.bincount(day[mine] - first, minlength=len(axis)), label=name.replace("$", r"\$"))
    now = np.datetime64(world.now_us // DAY_US, "D")
    if axis[0] <= now <= axis[-1]:
        axes.axvline(now, color="black", linestyle="--", label="now")  # type: ignore[arg-type]
    axes.legend(fontsize="small")
    axes.tick_params(axis="x", rotation=30)


def _by_type(axes: Axes, world: World) -> None:
    counts = np.bincount(type_index(world.data.events.event_type), minlength=TYPES)
    axes.barh([*EVENT_TYPES, "(unknown)"], counts)
    axes.invert_yaxis()


def _per_epc(axes: Axes, world: World) -> None:
    axes.bar(*np.unique(np.minimum(world.journeys.length, _MOST_EVENTS), return_counts=True))
    axes.set(xlabel=f"events ({_MOST_EVENTS}: or more)", ylabel="EPCs")


def _gaps(axes: Axes, world: World) -> None:
    ordered = world.journeys.events
    before, has_before = world.journeys.previous()
    hours = (ordered.time_us - ordered.time_us[before])[has_before] / HOUR_US
    axes.hist(np.maximum(hours, 1 / 3600), bins=np.geomspace(1 / 3600, max(hours.max(initial=0), 1.0), 60).tolist())
    axes.set(xscale="log", xlabel="hours", ylabel="gaps")


def _week(axes: Axes, world: World) -> None:
    slot = _weekday(world.local_us) * 24 + world.local_us // HOUR_US % 24
    counts = np.bincount(slot, minlength=7 * 24).reshape(7, 24)
    _heat(axes, counts / counts.max(), [str(hour) for hour in range(24)], list(_WEEKDAYS), low=0)


def _heat(axes: Axes, values: NDArray[np.float64], columns: list[str], rows: list[str], low: float = -1) -> None:
    image = axes.imshow(values, vmin=low, vmax=1, cmap="viridis" if low == 0 else "RdBu", aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize="x-small")
    axes.set_yticks(range(len(rows)), rows, fontsize="x-small")
    axes.get_figure(root=True).colorbar(image)  # type: ignore[union-attr]


def _weekday(local_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the weekday [N], 0 is Monday; 1970-01-01 was a Thursday."""
    return (local_us // DAY_US + 3) % 7


def _kilometres(world: World, before: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the great-circle distance [N] in km from the event ``before``, NaN if a place is unknown."""
    masters = world.data.masters
    row = pd.Index(masters.location_id).get_indexer(pd.Index(world.journeys.events.location_id))
    north, east = (np.radians(np.append(angle, np.nan)[row]) for angle in (masters.latitude, masters.longitude))
    return great_circle_km(north, east, north[before], east[before])
