"""What the runbook names exists: components, settings, alerts, commands of the script. Its paths: test_docs."""

from __future__ import annotations

import re

from service.settings import ENV_PREFIX, Settings
from tests.servers.envoy import canary_py
from tests.support.gateway import ROOT

TEXT = (ROOT / "docs" / "runbook.md").read_text()


def test_the_components_are_all_that_there_are() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", TEXT.partition("## Canary")[0], re.MULTILINE)
    assert sorted(rows) == sorted(path.name for path in (ROOT / "k8s" / "components").iterdir())


def test_the_settings_are_settings() -> None:
    fields = set(Settings.model_fields)
    named = {name.lower() for name in re.findall(rf"{ENV_PREFIX}([A-Z_]+)", TEXT)}
    assert named <= fields
    words = set(re.findall(r"`([a-z]+_[a-z_]+)`", TEXT))
    assert words
    assert words <= fields | {"round_robin", "epc_svm"}


def test_the_alerts_are_alerts() -> None:
    rules = (ROOT / "k8s" / "components" / "monitoring" / "rules.yaml").read_text()
    for name in re.findall(r"EpcSentinel\w+", TEXT):
        assert f"alert: {name}\n" in rules


def test_the_script_has_the_options_that_are_shown() -> None:
    usage = canary_py("--help").stdout
    shown = re.findall(r"canary\.py (\w+)([^`\n]*)", TEXT)
    assert {command for command, _ in shown} == {"rollout", "rollback", "weight", "analyse"}
    for command, rest in shown:
        assert command in usage
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in usage
