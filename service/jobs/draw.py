"""An explanation on the terminal: the item's journey as a line of scans, and the reasons beside it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from rich.table import Table
from rich.text import Text

from service.console import wide_console
from service.events.vocabulary import EVENT_TYPES, UNKNOWN
from service.jobs.render import printable, time_text
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import RawEvents

_EFFECTS = 8
"""Effects that are shown of each kind."""


def write_explanation(raw: RawEvents, response: pb.ExplainResponse) -> None:
    """Write the journey of the explained event, and what speaks for each kind; flagged kinds first."""
    console = wide_console()
    for line in _journey(raw, response):
        console.print(line)
    told = [kind for kind in response.explanations if kind.cause]
    for kind in sorted(told, key=lambda kind: (not kind.flagged, -kind.score)):
        console.print()
        console.print(_headline(kind))
        console.print(Text(f"  {printable(kind.reason, 400)}"))
        if kind.reason_elsewhere:
            console.print(Text("  The model's own reason lies elsewhere: without this its score is no lower."))
        if kind.effects:
            console.print(_effects(kind))
    if not told:
        console.print("Nothing speaks for any kind.")
    console.print(f"\nJudged by {' '.join(filter(None, (response.method, response.model_version)))}.", highlight=False)
    if response.warning:
        console.print(Text(f"Warning: {response.warning}", style="yellow"))


def _journey(raw: RawEvents, response: pb.ExplainResponse) -> list[Text]:
    """Return the scans of the item in their order, one a line, the gaps between them, and a mark at the asked one."""
    events, local_us = raw.events, raw.local_us
    at = int(np.flatnonzero(events.event_id == response.event_id)[0])
    own = np.flatnonzero(events.epc == events.epc[at])
    own = own[np.lexsort((events.event_id[own], events.time_us[own]))]
    lines = [Text(printable(events.sent_codes(np.array([at]))[0]), style="bold")]
    before = None
    for row in own.tolist():
        time_us, place = int(events.time_us[row]), int(events.location_id[row])
        if before is not None:
            lines.append(Text(f"  │ {_span(time_us - before)}", style="dim"))
        name, type_ = raw.places.get(place) or f"location {place}", int(events.event_type[row])
        what = "unknown type" if type_ == UNKNOWN else EVENT_TYPES[type_]
        mark = "▶" if row == at else "•"
        text = f"  {mark} {time_text(int(local_us[row]))}  {what}  {printable(name)}  (event {events.event_id[row]})"
        lines.append(Text(text, style="bold yellow" if row == at else ""))
        before = time_us
    return lines


def _headline(kind: pb.Explanation) -> Text:
    said = "flagged" if kind.flagged else "not flagged"
    return Text(f"{kind.kind} {kind.score:.1f}, {said}: {kind.cause}", style="bold" if kind.flagged else "")


def _effects(kind: pb.Explanation) -> Table:
    table = Table("Feature", "Value", "Points of the score", box=None, padding=(0, 2))
    for effect in kind.effects[:_EFFECTS]:
        table.add_row(effect.feature, f"{effect.value:.4g}", f"{effect.effect:+.1f}")
    return table


def _span(time_us: int) -> str:
    """Return a span of time in its two largest units."""
    seconds = int(timedelta(microseconds=time_us).total_seconds())
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
