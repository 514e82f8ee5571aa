"""A forecast as a page: three fans, what answers, and what follows for the plan."""

from __future__ import annotations

import json
from dataclasses import dataclass

from service.pb.epcsentinel.v1 import flow_pb2 as pb

MEASURES = ("wip", "throughput", "cycle_time_h")


@dataclass(frozen=True, slots=True)
class ForecastPage:
    """What the page shows."""

    answer: pb.FlowServicePredictResponse
    about: list[tuple[str, str]]  # what was asked: dimension and value
    planned: float | None

    def fan_json(self, measure: str, name: str, plan: str) -> str:
        """Return what the script draws of one of `MEASURES`; ``name`` and ``plan`` are the words of the lines."""
        values = [getattr(day, measure) for day in self.answer.days]
        lines: list[dict[str, object]] = [
            {
                "name": name,
                "values": [_round(one.value) for one in values],
                "lower": [_round(one.lower) for one in values],
                "upper": [_round(one.upper) for one in values],
            }
        ]
        if measure == "throughput" and self.planned is not None:
            lines.append({"name": plan, "values": [self.planned] * len(values)})
        return json.dumps({"days": [day.day for day in self.answer.days], "lines": lines}, ensure_ascii=False)


def forecast_page(request: pb.FlowServicePredictRequest, answer: pb.FlowServicePredictResponse) -> ForecastPage:
    """Return the page of an answer."""
    names = ("site", "step", "product", "plant", "application", "panel_size")
    about = [(name, getattr(request, name)) for name in names if getattr(request, name)]
    planned = request.planned_throughput if request.HasField("planned_throughput") else None
    return ForecastPage(answer, about, planned)


def _round(value: float) -> float:
    return round(value, 2)
