"""Alert rules and dashboard: tried by promtool and by a real Prometheus that scrapes real gateways."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.monitoring.metrics import Metrics
from tests.k8s.overlays import build, overlay, workloads
from tests.servers.envoy import Envoy
from tests.servers.prometheus import BINARY, MISSING, Prometheus
from tests.servers.triton.fixture import TritonServer
from tests.servers.valkey import Valkey
from tests.service.feedback.labels import label_some
from tests.service.operate.seeing import of_a_round
from tests.support.gateway import ROOT, Gateway
from tests.support.observed import samples, scrape
from tests.support.processes import free_ports
from tests.support.requests import call, many

FOLDER = ROOT / "k8s" / "components" / "monitoring"
PROMTOOL = shutil.which("promtool")
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
GROUPS = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]["groups"]
LOOP = "The loop: operate"
SERVERS = ("Triton", "Envoy", "Valkey, as the gateways see it")
"""Rows of the dashboard about what gateways work with."""

VARIABLES = {"$namespace": ".*", "$pod": ".*", "$__rate_interval": "1m"}

needs_promtool = pytest.mark.needs(PROMTOOL is not None, "needs promtool: apt-get install prometheus")
needs_prometheus = pytest.mark.needs(BINARY is not None, MISSING)


def promtool(*arguments: str, cwd: Path) -> str:
    done = subprocess.run([str(PROMTOOL), *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def queries(*rows: str) -> Iterator[str]:
    """Yield the expressions of the dashboard, or of some rows of it, its variables filled in."""
    row = ""
    for panel in DASHBOARD["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        if rows and row not in rows:
            continue
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, text in VARIABLES.items():
                expression = expression.replace(name, text)
            yield expression


@pytest.fixture
def alerts(tmp_path: Path) -> Path:
    """The rules as Prometheus reads them, beside their tests, which say nothing of the one URL of all."""
    groups = copy.deepcopy(GROUPS)
    for rule in (rule for group in groups for rule in group["rules"]):
        del rule["annotations"]["runbook_url"]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": groups}))
    shutil.copy(ROOT / "tests" / "data" / "alerts_test.yaml", tmp_path)
    return tmp_path


@needs_promtool
def test_the_alerts_do_what_their_unit_tests_say(alerts: Path) -> None:
    promtool("check", "rules", "alerts.yaml", cwd=alerts)
    promtool("test", "rules", "alerts_test.yaml", cwd=alerts)


def test_every_alert_is_tested_firing_and_silent_and_explained() -> None:
    tests = yaml.safe_load((ROOT / "tests" / "data" / "alerts_test.yaml").read_text())["tests"]
    asked = [check for test in tests for check in test["alert_rule_test"]]
    names = {rule["alert"] for group in GROUPS for rule in group["rules"]}
    assert {check["alertname"] for check in asked if check.get("exp_alerts")} == names
    assert {check["alertname"] for check in asked if not check.get("exp_alerts")} == names
    guide = (ROOT / "docs" / "monitoring.md").read_text()
    assert not [name for name in names if f"`{name}`" not in guide]


def test_every_alert_leads_to_the_table_that_explains_it() -> None:
    guide = (ROOT / "docs" / "monitoring.md").read_text()
    assert "\n## Alerts and dashboard\n" in guide
    urls = {rule["annotations"]["runbook_url"] for group in GROUPS for rule in group["rules"]}
    assert urls == {"https://epc-sentinel.example/docs/monitoring.md#alerts-and-dashboard"}


def test_an_overlay_gives_every_alert_the_host_of_its_pages_by_one_value(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    example = tmp_path / "k8s" / "overlays" / "example"
    own = example / "runbooks" / "kustomization.yaml"
    assert own.read_text().count("wiki.registry.example") == 1
    own.write_text(own.read_text().replace("wiki.registry.example", "pages.internal:8443"))
    [rules] = [o for o in build(example) if o["kind"] == "PrometheusRule"]
    urls = {rule["annotations"]["runbook_url"] for group in rules["spec"]["groups"] for rule in group["rules"]}
    assert urls == {"https://pages.internal:8443/docs/monitoring.md#alerts-and-dashboard"}


@needs_promtool
def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries())]
    assert len(rules) > 20
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "queries.yaml", cwd=tmp_path)


def test_every_metric_that_is_asked_for_exists(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    running = start_gateway("--metrics-port", "0", "--drift-window", "20", "--audit-log", str(tmp_path / "audit.jsonl"))
    for _ in range(4):
        call(running.target, "Analyze", many(100).SerializeToString())
    labelled = start_gateway("--metrics-port", "0", "--verdicts", str(tmp_path / "verdicts"), "--audit-share", "1")
    label_some(labelled.target)
    several = start_gateway("--metrics-port", "0", "--workers", "2", "--history", "none")
    with Valkey() as valkey:
        shared = start_gateway("--metrics-port", "0", "--history", valkey.url)
        exposed = {name for one in (running, labelled, several, shared) for name, _ in samples(scrape(one))}
    of_rounds = {name for name, _ in of_a_round(tmp_path / "lifecycle")}
    rules = [rule["expr"] for group in GROUPS for rule in group["rules"]]
    variables = [str(variable.get("definition", "")) for variable in DASHBOARD["templating"]["list"]]
    used = set(re.findall(r"\b(?:epc_sentinel|process)_\w+", " ".join([*queries(), *rules, *variables])))
    assert len(used) > 15
    assert used <= exposed | of_rounds
    listed = (ROOT / "docs" / "monitoring.md").read_text()
    families = {family.name.removeprefix("epc_sentinel_") for family in Metrics().registry.collect()}
    families |= {name.removeprefix("epc_sentinel_") for name in of_rounds}
    assert not [name for name in families if not name.startswith(("process_", "python_")) and f"`{name}" not in listed]


def test_the_panels_have_their_places() -> None:
    places: list[tuple[int, int]] = []
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            places += [(x, place["y"] + down) for down in range(place["h"])]
    assert len(places) == len(set(places)), "panels overlap"
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@needs_prometheus
def test_a_real_prometheus_sees_the_gateways_and_raises_an_alert(
    start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    good = start_gateway("--metrics-port", "0")
    bad = start_gateway("--metrics-port", "0", "--backend", "triton://127.0.0.1:9")
    soon = [{**rule, "for": "0s"} for group in GROUPS for rule in group["rules"]]
    rules = tmp_path / "alerts.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "soon", "interval": "1s", "rules": soon}]}))
    targets = {
        f"127.0.0.1:{gateway.wait_log('listening')['metrics_port']}": {"pod": name, "namespace": "test"}
        for name, gateway in (("good", good), ("bad", bad))
    }
    with Prometheus(targets, rules=rules) as prometheus:
        body = many(50).SerializeToString()
        deadline = time.monotonic() + 40
        firing: set[tuple[str, str]] = set()
        wanted = {("EpcSentinelModelDown", "bad"), ("EpcSentinelFallback", "")}
        while not wanted <= firing and time.monotonic() < deadline:
            for gateway in (good, bad):
                call(gateway.target, "Analyze", body)
            rows = prometheus.query('ALERTS{alertstate="firing"}')
            firing = {(row["metric"]["alertname"], row["metric"].get("pod", "")) for row in rows}
            time.sleep(0.2)
        assert wanted <= firing
        assert ("EpcSentinelModelDown", "good") not in firing
        assert not {name for name, _ in firing} & {"EpcSentinelGone", "EpcSentinelErrors", "EpcSentinelDrift"}

        def number(expression: str) -> float:
            [row] = prometheus.query(expression)
            return float(row["value"][1])

        assert number("sum(up)") == 2
        assert number('sum(epc_sentinel_events_total{pod="good",model_version="epc_lstm/1"})') % 50 == 0
        assert number('epc_sentinel_dependency_up{pod="bad",dependency="model"}') == 0
        of_gateways = set(queries()) - set(queries(*SERVERS, LOOP))
        answered = [query for query in of_gateways if prometheus.query(query)]
        assert len(answered) > 0.6 * len(of_gateways)  # the rest asks about drift, audit and callers turned away


@needs_prometheus
def test_triton_envoy_and_valkey_export_what_their_rows_ask_for(
    start_gateway: Callable[..., Gateway], bundled_repository: Path
) -> None:
    """Every query of the three rows finds something, in what the real servers say."""
    monitors = {o["metadata"]["name"]: o["spec"] for o in overlay("monitoring") if o["kind"] == "PodMonitor"}
    paths = {name: m["podMetricsEndpoints"][0].get("path", "/metrics") for name, m in monitors.items()}
    (port,) = free_ports(1)
    scraped = ("--allow-metrics=true", "--metrics-address=127.0.0.1", f"--metrics-port={port}")
    with TritonServer(bundled_repository, extra_args=scraped) as triton, Valkey("--maxmemory", "100mb") as valkey:
        flags = ("--backend", f"triton://{triton.url}", "--history", valkey.url, "--probe-interval-s", "0.5")
        running = start_gateway(*flags, "--metrics-port", "0")
        with Envoy(running.target) as envoy:
            targets = {
                f"127.0.0.1:{running.wait_log('listening')['metrics_port']}": {"pod": "gateway"},
                f"127.0.0.1:{port}": {"pod": "triton", "__metrics_path__": paths["triton"]},
                f"127.0.0.1:{envoy.status_port}": {"pod": "envoy", "__metrics_path__": paths["envoy"]},
            }
            with Prometheus({t: {"namespace": "test", **labels} for t, labels in targets.items()}) as prometheus:
                waiting = set(queries(*SERVERS))
                assert len(waiting) >= 14
                deadline = time.monotonic() + 30
                while waiting and time.monotonic() < deadline:
                    call(envoy.target, "Analyze", many(20).SerializeToString())
                    waiting = {query for query in waiting if not prometheus.query(query)}
                    time.sleep(0.2)
                assert waiting == set()
                [limit] = prometheus.query("epc_sentinel_history_server_memory_limit_bytes")
                assert float(limit["value"][1]) == 100 * 2**20
                [used] = prometheus.query("epc_sentinel_history_server_memory_bytes")
                assert 100_000 < float(used["value"][1]) < 100 * 2**20


def test_prometheus_finds_the_ports_of_triton_and_envoy_and_no_gateway_among_them() -> None:
    objects = overlay("triton-gpu", "envoy", "monitoring")
    of_gateways = re.compile(next(r["expr"] for g in GROUPS for r in g["rules"] if "up{" in r["expr"]).split('"')[1])
    for monitor in (o["spec"] for o in objects if o["kind"] == "PodMonitor"):
        [endpoint] = monitor["podMetricsEndpoints"]
        asked = monitor["selector"]["matchLabels"].items()
        [pod] = [
            o["spec"]["template"]
            for o in workloads(objects)
            if asked <= o["spec"]["template"]["metadata"]["labels"].items()
        ]
        ports = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
        assert endpoint["port"] in ports
        assert not of_gateways.fullmatch(pod["metadata"]["labels"][monitor["jobLabel"]]), "its own alert says so"


def test_the_docs_and_the_component_use_real_settings() -> None:
    from service.operate.settings import OperateSettings  # noqa: PLC0415
    from service.settings import ENV_PREFIX, Settings, flag_name  # noqa: PLC0415

    text = (ROOT / "docs" / "monitoring.md").read_text()
    flags = {flag_name(field) for field in (*Settings.model_fields, *OperateSettings.model_fields)}
    of_others = {"--data", "--part", "--enable-feature", "--epcs", "--network", "--causes"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= flags | of_others
    component: Any = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    named = re.findall(rf"{ENV_PREFIX}(\w+)", json.dumps(component))
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)
