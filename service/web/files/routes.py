"""``/api/files``: files in, their progress out."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from python_multipart.exceptions import FormParserError

from service.explain.languages import language_of
from service.web.files.jobs import SOURCE, FileJob
from service.web.files.receive import receive, safe_name
from service.web.files.refused import Refused
from service.web.pages.texts import sayer
from service.web.parts import Parts, TheParts
from service.web.problems import Problem

router = APIRouter(tags=["files"])
log = structlog.get_logger("epc_sentinel.files")

DETECTORS = ("lstm", "rules", "svm", "ensemble")
_EVERY_S = 1.0

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "detector": {"type": "string", "enum": list(DETECTORS)},
                    },
                }
            },
        },
    }
}


@router.post("/api/files", status_code=202, summary="Analyse a raw file in the background", openapi_extra=_UPLOAD)
async def upload(
    parts: TheParts,
    request: Request,
    name: Annotated[str, Query(max_length=500, description="of the file, where the body is the file itself")] = "",
    detector: Annotated[Literal["", "lstm", "rules", "svm", "ensemble"], Query(description="what judges; lstm")] = "",
    language: Annotated[Literal["", "en", "ko"], Query(description="of reasons and errors; else Accept-Language")] = "",
) -> JSONResponse:
    """Take a file: the body itself, or a form with the field ``file``. The answer says where its progress is."""
    spoken = language or language_of(request.headers.get("accept-language"))
    say = sayer(spoken)
    parts.files.check_room(say)
    job_id, folder = parts.files.folders.new()
    try:
        received, fields = await receive(request, folder / SOURCE, parts.settings.max_file_bytes, say)
        chosen = detector or fields.get("detector") or "lstm"
        if chosen not in DETECTORS:
            raise Problem(400, "there is no such detector", [("detector", f"is none of {', '.join(DETECTORS)}")])
        job = FileJob(
            job_id=job_id,
            name=received.name or safe_name(name) or "upload.csv",
            size=received.size,
            sha256=received.sha256,
            detector=chosen,
            language=spoken,
            created_us=time.time_ns() // 1_000,
        )
        await parts.files.add(job)
    except FormParserError:
        parts.files.folders.delete(job_id)
        raise Problem(400, "the form is damaged", [("body", "is no multipart/form-data that can be read")]) from None
    except OSError as error:
        parts.files.folders.delete(job_id)
        log.error("disk", reason=error.strerror)
        raise Problem(507, say(Refused.NO_ROOM_NOW)) from None
    except BaseException:  # the caller went away, too
        parts.files.folders.delete(job_id)
        raise
    return JSONResponse(job_json(job), 202, headers={"Location": f"/api/files/{job_id}"})


@router.get("/api/files", summary="Uploads, the newest first")
async def uploads(parts: TheParts) -> dict[str, Any]:
    """Return all uploads that are known."""
    return {"files": [job_json(job) for job in parts.files.jobs()]}


@router.get("/api/files/{job_id}", summary="One upload")
async def one(parts: TheParts, job_id: str) -> dict[str, Any]:
    """Return how far an upload is."""
    return job_json(_job(parts, job_id))


@router.get("/api/files/{job_id}/events", summary="Progress of an upload, as server-sent events")
async def progress(parts: TheParts, job_id: str) -> StreamingResponse:
    """Send the upload at each change until it is over."""
    job = _job(parts, job_id)

    async def events() -> AsyncIterator[str]:
        async for now in parts.files.follow(job, _EVERY_S):
            yield f"event: progress\ndata: {json.dumps(job_json(now))}\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


def job_json(job: FileJob) -> dict[str, Any]:
    """Return an upload as callers read it."""
    return {
        "jobId": job.job_id,
        "name": job.name,
        "bytes": job.size,
        "sha256": job.sha256,
        "detector": job.detector,
        "state": job.state,
        "bytesRead": job.bytes_read,
        "events": job.events,
        "judged": job.judged,
        "error": job.error,
        "reportId": job.report_id,
    }


def _job(parts: Parts, job_id: str) -> FileJob:
    if (job := parts.files.job(job_id)) is None:
        raise Problem(404, "there is no such upload", [("jobId", "is of no upload that is known")])
    return job
