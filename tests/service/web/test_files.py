"""A file in, its report out: the findings of ``analyze``, whatever happens meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.web.settings import WebSettings
from tests.support.command import FORGED, HEADER, NORMAL, run
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import free_ports
from tests.support.requests import NORMAL_CODE
from tests.support.web.server import Answer, Web
from training.simulation.world import simulate

SMALL_PIECES = ("--piece-events", "300")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of about 2,700 simulated events."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, epcs=600, seed=3)
    parts = [path.read_text(encoding="utf-8").splitlines(keepends=True) for path in sorted(folder.glob("[hikqy]*.csv"))]
    path = folder / "all.csv"
    path.write_text("".join([parts[0][0], *(line for part in parts for line in part[1:])]), encoding="utf-8")
    return path


@pytest.fixture
def own(gateway: Gateway, tmp_path: Path) -> Iterator[Web]:
    with Web(gateway.target, tmp_path / "kept", "--uploads", str(tmp_path / "it's up"), *SMALL_PIECES) as running:
        yield running


def done(web: Web, answer: Answer) -> dict[str, Any]:
    """Wait for the end of an upload and return it."""
    assert answer.status == 202, answer.body
    path = answer.headers["location"]
    web.wait(lambda: web.get(path).json()["state"] in ("done", "failed"), "end of the upload")
    found: dict[str, Any] = web.get(path).json()
    return found


def findings(web: Web, report_id: int) -> list[dict[str, Any]]:
    path = f"/api/report/detail?reportId={report_id}&limit=1000"
    told = web.get(path).json()
    assert told["total"] == len(told["findings"]) == told["flaggedEvents"]
    return list(told["findings"])


def test_a_file_gets_the_findings_of_analyze(web: Web, gateway: Gateway, scans: Path) -> None:
    job = done(web, web.post("/api/files?name=..%2Fa%00b.csv&detector=rules", scans.read_bytes()))
    assert (job["state"], job["name"], job["judged"]) == ("done", "a?b.csv", job["events"])
    answer = json.loads(run("analyze", scans, "--target", gateway.target, "--detector", "rules", "--json").stdout)
    [expected] = answer["files"]
    detail = web.get(f"/api/report/detail?reportId={job['reportId']}").json()
    assert detail["fileAnomalyStats"] == expected["fileAnomalyStats"]
    assert detail["incidentList"]
    names = {"eventId"} | {
        kind + end for kind in ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump") for end in ("", "Score")
    }
    found = [{name: row[name] for name in row if name in names} for row in findings(web, job["reportId"])]
    assert found == [{**row, "eventId": int(row["eventId"])} for row in expected["EventHistory"]]
    assert all(row[f"{kind}Cause"] for row in findings(web, job["reportId"]) for kind in ("jump",) if kind in row)
    again = done(web, web.post("/api/files?name=a%3Fb.csv&detector=rules", scans.read_bytes()))
    assert again["reportId"] == job["reportId"]


def test_a_form_and_its_progress(own: Web, scans: Path) -> None:
    boundary = "----x"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    begin = f'{head}detector"\r\n\r\nensemble\r\n{head}file"; filename="s.csv"\r\nContent-Type: text/csv\r\n\r\n'
    form = begin.encode() + scans.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content_Type": f"multipart/form-data; boundary={boundary}"}
    answer = own.post("/api/files", form, **kind)
    events = own.get(f"{answer.headers['location']}/events")  # ends with the upload
    assert events.headers["content-type"].startswith("text/event-stream")
    steps = [json.loads(line[6:]) for line in events.body.decode().splitlines() if line.startswith("data: ")]
    assert (steps[-1]["state"], steps[-1]["detector"], steps[-1]["name"]) == ("done", "ensemble", "s.csv")
    assert steps[-1]["bytes"] == scans.stat().st_size
    judged = [step["judged"] for step in steps]
    assert judged == sorted(judged)
    assert len(set(judged)) > 2
    assert any("mlCombinedScore" in row for row in findings(own, steps[-1]["reportId"]))
    no_file = begin.replace('filename="s.csv"', "").encode() + b"x" + form[-13:]
    assert own.post("/api/files", no_file, **kind).json()["detail"] == "the form has no file"
    assert own.post("/api/files", b"no form", **kind).status == 400
    assert "is cut off" in own.post("/api/files", form[: len(form) // 2], **kind).json()["detail"]
    twice = form[:-4] + form[len(f"--{boundary}") :]
    assert "several files" in own.post("/api/files", twice, **kind).json()["detail"]
    field = f'{head}x"\r\n\r\n{"y" * 200}\r\n'.encode()
    assert own.post("/api/files", field * 1_000 + form, **kind).status == 413


def kill_the_helper(web: Web, path: str) -> tuple[int, int]:
    """Kill the process for files in the middle of an upload; return its id, and that of the next one."""
    began = "a process for files begins"
    web.wait(lambda: web.get(path).json()["judged"] > 0, "work")
    first = int(web.wait_log(began)["pid"])
    caller, pages, files = (os.getpriority(os.PRIO_PROCESS, pid) for pid in (os.getpid(), web.pid, first))
    assert caller < pages < files
    os.kill(first, signal.SIGKILL)
    web.wait(lambda: sum(line["event"] == began for line in web.log()) == 2, "second process")
    return first, int([line for line in web.log() if line["event"] == began][1]["pid"])


def test_the_process_for_files_ends_with_its_service_while_it_waits_for_another_one(tmp_path: Path) -> None:
    with (tmp_path / ".work").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        settings = WebSettings(uploads=tmp_path).model_dump_json()
        command = [sys.executable, "-m", "service.web.files.process"]
        done = subprocess.run(command, input=f"{settings}\n", text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_in_the_middle_the_findings_are_the_same(gateway: Gateway, tmp_path: Path, scans: Path) -> None:
    # So many pieces that the work is never over before somebody who sees it begin can end it.
    flags = ("--uploads", str(tmp_path / "uploads"), "--piece-events", "50")
    told = []
    for kills in (0, 1):
        store = tmp_path / f"kept {kills}"
        web = Web(gateway.target, store, *flags)
        path = web.post("/api/files?name=scans.csv", scans.read_bytes()).headers["location"]
        if kills:
            helpers = kill_the_helper(web, path)
            before = web.get(path).json()
            web.kill()
            web.stop()
            assert before["state"] in ("reading", "judging", "keeping")
            web = Web(gateway.target, store, *flags)
            assert web.get(path).json()["sha256"] == before["sha256"]
            web.wait(lambda helpers=helpers: not any(map(is_alive, helpers)), "end of both processes")  # type: ignore[misc]
        web.wait(lambda web=web, path=path: web.get(path).json()["state"] == "done", "end of the upload")  # type: ignore[misc]
        job = web.get(path).json()
        told.append((job["reportId"], findings(web, job["reportId"])))
        web.stop()
    assert told[0] == told[1]
    assert len(told[0][1]) > 50


def test_a_file_waits_for_a_gateway_that_is_away(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with Web(f"127.0.0.1:{port}", tmp_path / "kept", "--uploads", str(tmp_path / "uploads")) as alone:
        answer = alone.post("/api/files?name=n.csv&detector=rules", (HEADER + NORMAL + FORGED).encode())
        path = answer.headers["location"]
        alone.wait(lambda: alone.get(path).json()["state"] == "judging", "judging")
        with Gateway("--port", str(port)):
            alone.wait(lambda: alone.get(path).json()["state"] == "done", "end of the upload")
            assert findings(alone, alone.get(path).json()["reportId"])[0]["epcCode"] == "forged"


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (HEADER.encode(), "no rows"),
        (b"no table", "line 1: no column"),
        ((HEADER + NORMAL + NORMAL.replace("2025", "x")).encode(), "bad.csv: line 3: column event_time"),
        ((HEADER.strip() + ",event_id\n" + (NORMAL.strip() + ",7\n") * 2).encode(), "7 is there twice"),
    ],
    ids=["header", "no table", "time", "twice"],
)
def test_a_file_that_cannot_be_used_says_why(web: Web, body: bytes, part: str) -> None:
    job = done(web, web.post("/api/files?name=bad.csv&detector=rules", body))
    assert job["state"] == "failed"
    assert part in job["error"]
    assert "/" not in job["error"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (HEADER + NORMAL.replace("2025", "{x}"), "2행: event_time 열: '{x}-07-01 10:34:17' 값이 짐작 없이 읽을 수"),
        (HEADER + "x\n", "2행: 열이 1개인데 첫 행의 열 이름은 5개"),
        (HEADER, "열 이름 아래에 행이 없어 분석할 것이 없음"),
        ("PK\x03\x04", "텍스트가 아님: Excel 통합 문서나 ZIP 파일이므로"),
    ],
    ids=["time", "width", "header", "workbook"],
)
def test_it_says_so_in_the_language_of_who_sent_it(web: Web, body: str, error: str) -> None:
    job = done(web, web.post("/api/files?name=bad.csv&detector=rules&language=ko", body.encode()))
    assert job["error"].startswith(f"bad.csv: {error}")


def test_an_upload_is_refused_in_the_language_of_who_sends_it(web: Web) -> None:
    assert web.post("/api/files", b"", Accept_Language="ko").json()["detail"] == "빈 파일"
    assert web.post("/api/files?language=en", b"", Accept_Language="ko").json()["detail"] == "the file is empty"


def test_a_file_without_steps_has_those_of_its_types(web: Web) -> None:
    rows = [line.strip().split(",") for line in (HEADER, NORMAL, FORGED)]
    step = rows[0].index("business_step")
    assert "type" in rows[0][step + 1]
    text = "\n".join(",".join(row[:step] + row[step + 1 :]) for row in rows)
    job = done(web, web.post("/api/files?name=steps.csv&detector=rules", text.encode()))
    assert job["state"] == "done"
    [found] = findings(web, job["reportId"])
    assert (found["epcCode"], found["businessStep"]) == ("forged", rows[2][step])


def test_what_makes_an_answer_doubtful_is_said_as_analyze_says_it(web: Web) -> None:
    excel = HEADER + NORMAL.replace(NORMAL_CODE, "1.88E+43").replace(" 10:34:17", "") * 3
    job = done(web, web.post("/api/files?name=excel.csv&detector=rules", excel.encode()))
    warning = web.get(f"/api/report/detail?reportId={job['reportId']}").json()["warning"]
    assert "excel.csv: not one of its 3 codes is an EPC code." in warning
    assert "excel.csv has dates only, no times of day" in warning


def test_a_workbook_is_told_as_such(web: Web) -> None:
    job = done(web, web.post("/api/files?name=a.xlsx&detector=rules", b"PK\x03\x04" + bytes(100)))
    assert (
        job["error"]
        == "a.xlsx: no text, but an Excel workbook or a ZIP archive: save its sheet as CSV UTF-8, or unpack it"
    )


def test_a_nul_which_postgresql_has_not_is_kept_as_its_picture(web: Web) -> None:
    rows = (
        HEADER.replace("location_id", "location_id,scan_location")
        + "no\0code,1,place\0 1,Factory,Aggregation,2025-07-01 10:34:17\n"
    )
    job = done(web, web.post("/api/files?name=nul.csv&detector=rules", rows.encode()))
    [found] = findings(web, job["reportId"])
    assert (found["epcCode"], found["scanLocation"]) == ("no\u2400code", "place\u2400 1")


def test_what_is_no_upload(web: Web, own: Web) -> None:
    assert web.post("/api/files", b"").status == 400
    assert web.post("/api/files?detector=oracle", b"x").status == 400
    assert web.get("/api/files/none").status == 404
    assert "should be a whole number" in web.get("/api/report/detail?reportId=x").body.decode()
    assert web.get("/api/files/none/events").status == 404
    assert own.ask("POST", "/api/files", b"", {"Content-Length": str(2**31)}).status == 413
    assert own.post("/api/files", b"x", Content_Encoding="gzip").status == 415
