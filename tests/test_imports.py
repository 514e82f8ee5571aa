"""The direction of imports: the gateway never needs what the training side needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import ROOT

FORBIDDEN = {"torch", "pandas", "sklearn", "pyarrow", "pickle", "onnx", "training", "export", "tests"}
LAZY = {"service/commands_training.py", "service/commands_studies.py"}  # import what a command needs when it is called
MODULES = sorted(path for path in (ROOT / "service").rglob("*.py") if "pb" not in path.parts)
LAYERS = (  # each may import what stands before it, never what stands after
    ("errors", "events", "console", "stages", "offload", "allocator"),
    ("watched", "limits", "auth", "jwks", "tls", "signing", "access"),
    (
        "codes",
        "journeys",
        "reference",
        "history_table",
        "history_groups",
        "trail",
        "features_journey",
        "features_companions",
        "features",
        "rules",
    ),
    (
        "drift_stats",
        "backends",
        "backends_triton",
        "registry",
        "verify",
        "sequences",
        "view",
        "history",
        "history_valkey",
        "history_index",
    ),
    ("drift",),
    ("passes",),
    ("detectors", "ensemble", "live"),
    ("canary",),
    ("pipeline",),
    ("observe",),
    ("refusals",),
    ("settings", "convert", "responses", "status", "stream", "admission"),
    ("metrics", "audit", "detection_log", "drift_metrics", "tracing", "scrape"),
    ("rpc", "border", "guard", "health", "reflection", "parts", "client", "rawrows", "rawcsv"),
    (
        "monitoring",
        "server",
        "cluster",
        "analyze",
        "render",
        "logs",
        "tally",
        "replay",
        "bench_echo",
        "bench_load",
        "bench_stages",
        "bench",
        "bench_tables",
    ),
    ("commands_training", "workers"),
    ("commands_studies",),
    ("__main__",),
)
LAYER_OF = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports; ``service.x`` for the project's own."""
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            whole = node.module or ""
            yield from (f"service.{alias.name}" for alias in node.names) if whole == "service" else (whole,)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_service_imports_nothing_of_the_training_side(path: Path) -> None:
    lazy = path.relative_to(ROOT).as_posix() in LAZY
    found = {name.partition(".")[0] for name in imports(path, top_level_only=lazy)}
    assert not found & FORBIDDEN


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_service_modules_import_downwards_only(path: Path) -> None:
    if path.stem == "__init__":
        return
    assert path.stem in LAYER_OF, f"{path.name} has no layer yet: add it to LAYERS"
    for name in imports(path):
        package, _, module = name.partition(".")
        if package == "service" and not module.startswith("pb"):
            assert LAYER_OF[module.partition(".")[0]] <= LAYER_OF[path.stem], f"{path.name} imports {name} upwards"


def test_the_pipeline_knows_no_protobuf_and_no_grpc() -> None:
    for name in ("pipeline", "detectors", "features", "rules"):
        assert not {"grpc", "google"} & {found.partition(".")[0] for found in imports(ROOT / f"service/{name}.py")}


def test_a_running_gateway_has_loaded_no_torch_and_no_pandas() -> None:
    program = (
        "import sys, service.server, service.analyze, service.render, service.rpc, service.backends\n"
        f"print(sorted({FORBIDDEN!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['pickle']")  # numpy itself loads pickle
