"""The component ``retraining-argo``: valid, whole, and its steps are commands that there are.

The steps themselves run where the same commands are tested: audit in test_feedback, due in test_rounds, retrain and
challenge in test_retrain, compare in test_compare.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from service.__main__ import app
from service.environment import OPERATE_PREFIX
from service.operate.settings import load_operate_settings
from service.settings import ENV_PREFIX, Settings, load_settings
from tests.k8s import crds
from tests.k8s.overlays import Object, check, find, gateway_env, overlay
from tests.k8s.workflow import CONTAINERS, TEMPLATE
from tests.support.dockerfile import DOCKERFILE, all_of
from tests.support.gateway import ROOT
from tests.support.processes import need


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return overlay("auth", "network-policies", "monitoring", "retraining-argo")


def test_every_object_is_valid(objects: list[Object]) -> None:
    check(objects, set())
    reason = crds.missing_events()
    need(not reason, reason)
    events = [o for o in objects if o["kind"] in crds.EVENTS]
    assert [o["kind"] for o in events] == ["EventSource", "EventSource", "Sensor"]
    alerts, _, sensor = events
    broken = [
        alerts | {"spec": {"webhook": {"firing": {"port": "1", "endpoin": "/alerts"}}}},
        sensor | {"spec": sensor["spec"] | {"dependencys": []}},
        sensor | {"spec": sensor["spec"] | {"triggers": [{"template": {"name": 3}}]}},
    ]
    found = crds.problems_of_events([*events, *broken])
    assert found[:3] == ["", "", ""]
    assert all(found[3:]), "the check can fail"


def test_single_rounds_say_how_often_they_run(objects: list[Object]) -> None:
    [minutes] = find("CronWorkflow", "epc-sentinel-operate", objects)["spec"]["schedules"]
    assert minutes == "*/5 * * * *"
    assert "--interval-s=300" in CONTAINERS["operate"]["args"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_step_is_a_command_with_options_that_it_has(name: str) -> None:
    command: Any = typer.main.get_command(app)
    arguments, context = list(CONTAINERS[name]["args"]), click.Context(command)
    assert CONTAINERS[name]["command"] == ["epc-sentinel"]
    while hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    made = command.make_context(name, arguments, parent=context)  # parses, and does not run it
    assert made.params


def test_the_steps_are_one_after_the_other_and_wait_for_what_they_need() -> None:
    [dag] = [one["dag"] for one in TEMPLATE["spec"]["templates"] if "dag" in one]
    tasks = {task["name"]: task for task in dag["tasks"]}
    assert {task["template"] for task in tasks.values()} | {"operate"} == set(CONTAINERS)
    assert [(name, task.get("depends")) for name, task in tasks.items()] == [
        ("audit-import", None),
        ("audit-export", "audit-import"),
        ("due", "audit-import"),
        ("retrain", "due"),
        ("compare", "retrain.Succeeded"),
        ("challenge", "compare.Succeeded"),
    ]
    assert tasks["retrain"]["when"] == "'{{tasks.due.outputs.result}}' == 'yes'"
    parameters = {one["name"] for one in TEMPLATE["spec"]["arguments"]["parameters"]}
    text = yaml.safe_dump(TEMPLATE)
    assert set(re.findall(r"\{\{workflow\.parameters\.(\w+)\}\}", text)) == parameters


def test_what_names_another_object_names_one_that_is_there(objects: list[Object]) -> None:
    sensor = find("Sensor", "epc-sentinel-retraining", objects)["spec"]
    for dependency in sensor["dependencies"]:
        source = find("EventSource", dependency["eventSourceName"], objects)["spec"]
        assert dependency["eventName"] in {**source.get("webhook", {}), **source.get("calendar", {})}
    [alert] = [one for one in sensor["dependencies"] if one["name"] == "alert"]
    named = alert["filters"]["data"][1]["value"]
    rules = find("PrometheusRule", "epc-sentinel", objects)["spec"]["groups"]
    assert set(named) <= {rule["alert"] for group in rules for rule in group["rules"]}
    [trigger] = sensor["triggers"]
    assert set(trigger["template"]["conditions"].split(" || ")) == {one["name"] for one in sensor["dependencies"]}
    submitted = trigger["template"]["argoWorkflow"]["source"]["resource"]["spec"]
    rounds = find("CronWorkflow", "epc-sentinel-operate", objects)["spec"]["workflowSpec"]
    for one in (submitted, rounds):
        assert find("WorkflowTemplate", one["workflowTemplateRef"]["name"], objects)
    accounts = {o["metadata"]["name"] for o in objects if o["kind"] == "ServiceAccount"}
    assert {TEMPLATE["spec"]["serviceAccountName"], sensor["template"]["serviceAccountName"]} <= accounts
    labels = TEMPLATE["spec"]["podMetadata"]["labels"]
    policy = find("NetworkPolicy", "retraining", objects)["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()


def test_pods_are_confined_and_have_what_their_commands_name() -> None:
    spec = TEMPLATE["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert all_of("USER", "training") == [
        f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    ]
    [image] = [one["value"] for one in spec["arguments"]["parameters"] if one["name"] == "image"]
    assert f"docker build --target training -t {image} ." in DOCKERFILE.read_text()
    own = dict(word.split("=", 1) for word in shlex.split(all_of("ENV", "training")[0]))
    assert Path(own["MPLCONFIGDIR"]).parent == Path("/tmp")
    assert not {name for name in own if name.startswith(ENV_PREFIX)}, "settings are those of the steps"
    for container in CONTAINERS.values():
        security = container["securityContext"]
        assert (security["readOnlyRootFilesystem"], security["capabilities"]) == (True, {"drop": ["ALL"]})
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in spec["volumes"]}
        variables = {one["name"] for one in container.get("env", ())}
        assert set(re.findall(r"\$\((\w+)\)", " ".join(container["args"]))) <= variables


def test_gateways_follow_the_log_on_the_volume(objects: list[Object], monkeypatch: pytest.MonkeyPatch) -> None:
    pod = find("Deployment", "epc-sentinel", objects)["spec"]["template"]["spec"]
    for name, value in gateway_env(pod).items():
        if name.startswith("EPC_SENTINEL_"):
            monkeypatch.setenv(name, "postgresql://a:b@c/d" if name.endswith("_VERDICTS") else value)
    settings = load_settings()
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    log, [workdir] = mounts[str(settings.lifecycle)], [one for one in all_of("WORKDIR") if one != "/src"]
    models = mounts[f"{workdir}/{Settings.model_fields['model_repository'].default}"]
    for mount, folder in ((log, "lifecycle"), (models, "model_repository")):
        assert (mount["name"], mount["subPath"]) == ("learning", folder)
        assert f"/learning/{folder}" in CONTAINERS["operate"]["args"]
    assert models["readOnly"]
    for one in CONTAINERS["operate"]["env"]:
        if one["name"].startswith(OPERATE_PREFIX):
            monkeypatch.setenv(one["name"], one["value"])
    assert load_operate_settings().fallback == "off"


def test_what_the_guide_says_of_the_volume_is_what_the_steps_use() -> None:
    text = Path(ROOT / "k8s" / "components" / "retraining-argo" / "volume.yaml").read_text()
    said = set(re.findall(r"^# (\w+)/", text, re.MULTILINE))
    used = set(re.findall(r"/learning/(\w+)", yaml.safe_dump(TEMPLATE)))
    assert used == said
