"""The paths that the existing backend calls, to the letter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from service.explain.languages import language_of
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.web.body import parse_json, read_body
from service.web.oldpaths import examples
from service.web.oldpaths.answers import answer_json
from service.web.oldpaths.requests import Asked
from service.web.parts import Parts, TheParts

router = APIRouter(tags=["analysis"])

PATH = "/api/manager/export-and-analyze-async"
SIDE_BY_SIDE = "/api/v1/barcode-anomaly-detect"

_PATHS = (
    (PATH, pb.DETECTOR_RULES, "Judge by rules", examples.RULES),
    (f"{PATH}/lstm", pb.DETECTOR_LSTM, "Judge by the trained sequence model", examples.LSTM),
    (f"{PATH}/svm", pb.DETECTOR_SVM, "Judge by the one-class SVMs", examples.SVM),
    (SIDE_BY_SIDE, pb.DETECTOR_ENSEMBLE, "Scores of rules and models side by side", examples.ENSEMBLE),
)


async def _judge(parts: Parts, request: Request, detector: pb.Detector.ValueType) -> JSONResponse:
    data = await read_body(request, parts.settings.max_body_bytes)
    content_type = request.headers.get("content-type", "")

    def read() -> Asked:
        return parts.reader.read(parse_json(data, content_type), detector)

    asked = await asyncio.to_thread(read)
    answer = await parts.judge.analyze(asked.message, language_of(request.headers.get("accept-language")))
    return JSONResponse(await asyncio.to_thread(answer_json, answer, asked.sent, asked.warnings))


def _endpoint(detector: pb.Detector.ValueType) -> Callable[[TheParts, Request], Awaitable[JSONResponse]]:
    async def judge(parts: TheParts, request: Request) -> JSONResponse:
        return await _judge(parts, request, detector)

    return judge


def _described(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI says of a path's bodies."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": examples.SCHEMA, "examples": examples.REQUESTS}},
        },
        "responses": {
            "200": {"description": "The judgement", "content": {"application/json": {"example": answer}}},
            **examples.ERRORS,
        },
    }


for path, detector, summary, answer in _PATHS:
    add = partial(router.add_api_route, methods=["POST"], response_class=JSONResponse, response_model=None)
    name = path.rpartition("/")[2]
    add(path, _endpoint(detector), summary=summary, name=name, operation_id=name, openapi_extra=_described(answer))
