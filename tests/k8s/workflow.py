"""The steps of the workflow in components/retraining-argo as commands, on folders and gateways of a test."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.gateway import ROOT

FOLDER = ROOT / "k8s" / "components" / "retraining-argo"
TEMPLATE: dict[str, Any] = yaml.safe_load((FOLDER / "workflow.yaml").read_text())
CONTAINERS = {one["name"]: one["container"] for one in TEMPLATE["spec"]["templates"] if "container" in one}
TARGET, NEW_RUN = "dns:///epc-sentinel:50051", "/learning/runs/{{workflow.name}}"


def step(name: str, **in_place_of: object) -> list[str]:
    """Return the arguments of a step, parts of them replaced: those that a name of the test stands for.

    Args:
        name: of the step.
        in_place_of: what takes the place of a folder of the volume ("golden" of /learning/golden), of the new run
            (``new_run``), the ``target``, the ``verdicts``, or of the workflow's ``sheet`` and ``who``.
    """
    texts = {
        NEW_RUN: in_place_of.get("new_run"),
        TARGET: in_place_of.get("target"),
        "$(EPC_SENTINEL_VERDICTS)": in_place_of.get("verdicts"),
        **{f"{{{{workflow.parameters.{one}}}}}": in_place_of.get(one) for one in ("sheet", "who")},
        **{
            f"/learning/{folder}": in_place_of.get(folder)
            for folder in ("model_repository", "lifecycle", "data", "golden", "audit", "runs")
        },
    }
    found = []
    for argument in CONTAINERS[name]["args"]:
        replaced = argument
        for text, value in texts.items():
            if value is not None:
                replaced = replaced.replace(text, str(value))
        assert "/learning" not in replaced, f"{name}: {argument}"
        assert "{{" not in replaced, f"{name}: {argument}"
        found.append(replaced)
    return found
