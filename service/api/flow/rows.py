"""Measures, laws, alerts and advice to messages of FlowService."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from service.events.vocabulary import LEVELS
from service.flow.advice import Advice
from service.flow.alerts import BandAlert
from service.flow.little import LittlesLaw
from service.flow.measures import Flow
from service.flow.plants import PlantDays
from service.pb.epcsentinel.v1 import flow_pb2 as pb


def day_text(day: int) -> str:
    """Return YYYY-MM-DD of days since 1970."""
    return str(np.datetime64(day, "D"))


def flow_rows(flow: Flow) -> Iterator[pb.FlowRow]:
    """Yield a message per row."""
    days = flow.day.astype("datetime64[D]").astype(str).tolist()
    columns = (
        getattr(flow, name).tolist()
        for name in ("location_id", "step", "product", "arrivals", "departures", "departures_by_rule", "wip",
                     "mean_wip", "dwell_h", "cycle_h", "is_complete")
    )  # fmt: skip
    for day, site, step, product, came, left, by_rule, wip, mean_wip, dwell_h, cycle_h, complete in zip(
        days, *columns, strict=True
    ):
        yield pb.FlowRow(
            location_id=site,
            step=LEVELS[step] if step >= 0 else "",
            product=str(product) if product >= 0 else "",
            day=day,
            arrivals=came,
            departures=left,
            departures_by_rule=by_rule,
            wip=wip,
            mean_wip=mean_wip,
            dwell_h=_known(dwell_h),
            cycle_h=_known(cycle_h),
            is_complete=complete,
        )


def plant_messages(data: PlantDays) -> Iterator[pb.FlowRow]:
    """Yield a message per series and day."""
    days = data.day.astype("datetime64[D]").astype(str).tolist()
    for at, (plant, application, panel_size) in enumerate(data.names):
        columns = (data.arrivals[at], data.departures[at], data.wip[at], data.mean_wip[at], data.dwell_h[at])
        for day, came, left, wip, mean_wip, dwell_h in zip(days, *(column.tolist() for column in columns), strict=True):
            yield pb.FlowRow(
                plant=plant,
                application=application,
                panel_size=panel_size,
                day=day,
                arrivals=came,
                departures=left,
                wip=wip,
                mean_wip=mean_wip,
                dwell_h=_known(dwell_h),
                cycle_h=_known(dwell_h),
                is_complete=True,
            )


def law_message(law: LittlesLaw) -> pb.FlowLaw:
    """Return Little's law of a window."""
    return pb.FlowLaw(
        items=law.items,
        mean_wip=law.mean_wip,
        items_per_h=law.rate_per_h,
        hours_in_window=law.time_in_window_h,
        departures_per_h=law.departures_per_h,
        dwell_h=law.dwell_h,
        gap=law.gap,
        remaining=law.remaining_h,
        before=law.before_h,
    )


def alert_messages(alerts: Iterable[BandAlert]) -> Iterator[pb.FlowAlert]:
    """Yield a message per alert."""
    for one in alerts:
        yield pb.FlowAlert(
            location_id=one.location_id,
            measure=one.measure,
            day=day_text(one.day),
            value=one.value,
            lower=one.lower,
            upper=one.upper,
            days=one.days,
            stalled_items=one.stalled_items,
        )


def advice_messages(advice: Iterable[Advice]) -> Iterator[pb.FlowAdvice]:
    """Yield a message per recommendation."""
    for one in advice:
        yield pb.FlowAdvice(rule=one.rule, text=one.text, location_id=one.location_id, numbers=one.numbers)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
