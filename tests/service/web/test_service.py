"""Health, what is there, and how errors look."""

from __future__ import annotations

from pathlib import Path

from service.environment import WEB_PREFIX, unknown_variables
from service.web.oldpaths import examples
from tests.support.command import assert_one_line, run
from tests.support.processes import free_ports
from tests.support.web.server import Web

SNAKE = examples.REQUESTS["snake"]["value"]


def test_health_is_that_of_the_gateway(web: Web, tmp_path: Path) -> None:
    answer = web.get("/health")
    assert (answer.status, answer.json()) == (200, {"status": "SERVING", "gateway": "SERVING"})
    with Web(f"127.0.0.1:{free_ports(1)[0]}", tmp_path) as alone:
        answer = alone.get("/health")
        assert (answer.status, answer.json()) == (503, {"status": "NOT_SERVING", "gateway": "UNREACHABLE"})
        assert alone.get("/live").status == 200
        answer = alone.post("/api/manager/export-and-analyze-async", SNAKE)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_a_gateway_and_a_web_service_may_share_an_environment() -> None:
    shared = {"EPC_SENTINEL_WEB_PORT": "1", "EPC_SENTINEL_PORT": "1", "EPC_SENTINEL_WEB_PROT": "1"}
    assert unknown_variables(shared, {"port"}) == []
    [line] = unknown_variables(shared, {"port"}, WEB_PREFIX, "web")
    assert "EPC_SENTINEL_WEB_PROT" in line


def test_the_root_lists_the_endpoints(web: Web) -> None:
    answer = web.get("/").json()
    assert answer["name"] == "epc-sentinel"
    assert answer["version"]
    assert {"GET /health", "GET /api/reports", "GET /api/report/detail"} <= set(answer["endpoints"])


def test_errors_are_problem_json_with_field_names(web: Web) -> None:
    for path, status, fields in (
        ("/nowhere", 404, None),
        ("/api/report/detail", 400, ["reportId"]),
        ("/api/report/detail?reportId=7", 404, ["reportId"]),
        ("/api/reports?limit=0&kind=odd", 400, ["limit", "kind"]),
    ):
        answer = web.get(path)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
        problem = answer.json()
        assert problem["status"] == status
        assert {"type", "title", "detail"} <= set(problem)
        assert fields is None or [one["field"] for one in problem["errors"]] == fields


def test_settings_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    assert_one_line(run("web", "--time-zone", "Mars"), 2, "--time-zone is 'Mars'")
    assert_one_line(run("web", EPC_SENTINEL_WEB_PROT="1"), 2, "EPC_SENTINEL_WEB_PROT", "did you mean")
    used = tmp_path / "file"
    used.touch()
    assert_one_line(run("web", "--port", "0", "--store", str(used)), 1, "cannot write findings")
    url = f"postgresql://nobody:secret@127.0.0.1:{free_ports(1)[0]}/none"
    done = run("web", "--port", "0", "--store", url)
    assert_one_line(done, 1, "PostgreSQL")
    assert "secret" not in done.stderr
