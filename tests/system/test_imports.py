"""The rooms of the house: who may import whom, by wing, and what a wing looks like."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import ROOT

FORBIDDEN = {"torch", "pandas", "sklearn", "pyarrow", "pickle", "onnx", "training", "export", "tests"}
WEB_ALONE = {"fastapi", "starlette", "uvicorn", "duckdb", "psycopg"}  # of the extra web, which a gateway has not
LAZY = {
    f"service/commands/{name}.py"
    for name in ("training", "adopt", "loop/retraining", "studies", "bench", "flow/learning")
}
"""They import what a command needs when it is called."""

SERVICE_FLOORS = (  # each wing may import those on the floors before its own, none of its own floor
    ("errors", "progress", "console", "environment", "auditors"),
    ("runtime",),
    ("security", "events"),
    ("dialect",),
    ("settings", "rawfiles", "model"),
    ("features", "flow"),
    ("drift", "history", "lifecycle"),
    ("detect",),
    ("effects",),
    ("explain",),
    ("feedback",),
    ("operate",),
    ("monitoring",),
    ("api",),
    ("client", "gateway"),
    ("findings",),
    ("jobs", "bench"),
    ("web",),
    ("commands",),
    ("__main__",),
)
TRAINING_FLOORS = (
    ("errors", "metrics"),
    ("datasets", "simulation"),
    ("samples", "inspection"),
    ("network",),
    ("fitting",),
    ("runs",),
    ("evaluation",),
    ("adoption", "flow"),
    ("finetuning",),
    ("studies", "train"),
    ("retraining",),
)
NEEDS_ALONE = {
    "dialect": {"errors", "events"},
    "settings": {"environment", "errors", "events"},
    "rawfiles": {"errors", "events", "dialect"},
    "lifecycle": {"model", "errors"},
    "client": {"api", "events", "errors", "pb"},
    "findings": {"errors", "events", "explain", "pb"},
    "feedback": {"auditors", "detect", "errors", "events", "model"},
    "operate": {"detect", "environment", "errors", "events", "feedback", "lifecycle", "model", "settings"},
}
TRAINING_USES = {
    "auditors",
    "events",
    "dialect",
    "features",
    "model",
    "drift",
    "detect",
    "rawfiles",
    "errors",
    "progress",
    "console",
    "explain",
    "effects",
    "flow",
}
"""Wings of `service` that training and export may import."""

DEFINED_ONCE = {
    '("retrospective", "causal")': "service/events/vocabulary.py",
    "hashlib.file_digest(": "service/model/manifest.py",
    "Console(width=": "service/console.py",
    ".isatty() else": "service/console.py",
    "6371": "service/events/earth.py",
    "Callable[[str, float], None]": "service/progress.py",
    '"one-class svm"': "training/evaluation/detectors.py",
    '"isolation forest"': "training/evaluation/detectors.py",
    "model_config_pb2": "service/model/triton_config.py",
}
"""What is written in one file alone: the modes, a file's SHA-256, the console, the Earth, progress, names of detectors,
Triton's config."""

MOST_FILES = 16

FLOOR = {
    "service": {wing: number for number, wings in enumerate(SERVICE_FLOORS) for wing in wings},
    "training": {wing: number for number, wings in enumerate(TRAINING_FLOORS) for wing in wings},
}
PACKAGES = ("service", "training", "export")
FOLDERS = sorted({path.parent.relative_to(ROOT) for top in (*PACKAGES, "tests") for path in (ROOT / top).rglob("*.py")})
WINGS = [folder for folder in FOLDERS if folder.parts[0] in PACKAGES and "pb" not in folder.parts]


def modules(top: str) -> list[Path]:
    """Return the modules of a package, generated ones left out."""
    found = (path.relative_to(ROOT) for path in (ROOT / top).rglob("*.py"))
    return sorted(path for path in found if "pb" not in path.parts)


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports, ``service.events.codes`` for the project's own."""
    tree = ast.parse((ROOT / path).read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            whole = node.module or ""
            for alias in node.names:
                part = f"{whole}.{alias.name}"
                yield part if is_module(part) else whole


def is_module(name: str) -> bool:
    """Return whether a dotted name is a module or a package of the project."""
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or path.is_dir()


def wing_of(name: str) -> tuple[str, str]:
    """Return (package, wing) of a dotted name of the project; a module of no wing is one by itself."""
    package, wing = (*name.split("."), "")[:2]
    return package, wing


def broken_arrow(path: Path, name: str) -> str:
    """Return what is wrong with the file importing the module ``name``, nothing if it may."""
    package, wing = wing_of(".".join(path.with_suffix("").parts))
    other_package, other = wing_of(name)
    arrow = f"{path} imports {name}"
    if package in ("training", "export") and other_package == "service":
        return "" if other in TRAINING_USES else f"{arrow}: {package} may not use service/{other}"
    if package == "training" and other_package == "export":
        return f"{arrow}: training knows nothing of export"
    if package != other_package or package not in FLOOR or other in (wing, "pb"):
        return ""
    floor = FLOOR[package]
    assert {wing, other} <= set(floor), f"{wing} or {other} has no floor yet: add it to the floors of {package}"
    if wing in NEEDS_ALONE and other not in NEEDS_ALONE[wing]:
        return f"{arrow}: {wing} needs {', '.join(sorted(NEEDS_ALONE[wing]))} alone"
    return "" if floor[other] < floor[wing] else f"{arrow}: {other} is not below {wing}"


@pytest.mark.parametrize("top", PACKAGES)
def test_wings_import_downwards_only(top: str) -> None:
    broken = [fault for path in modules(top) for name in imports(path) if (fault := broken_arrow(path, name))]
    assert not broken, "\n".join(broken)


def test_a_broken_arrow_is_seen_and_named() -> None:
    upwards = broken_arrow(Path("service/features/table.py"), "service.api.requests")
    assert upwards == "service/features/table.py imports service.api.requests: api is not below features"
    assert "same" not in broken_arrow(Path("service/drift/monitor.py"), "service.history.store")
    assert broken_arrow(Path("service/drift/monitor.py"), "service.history.store")
    assert broken_arrow(Path("service/client/gateway.py"), "service.detect.rules")
    assert broken_arrow(Path("training/samples/splits.py"), "service.gateway.build")
    assert not broken_arrow(Path("service/api/requests.py"), "service.events.columns")


@pytest.mark.parametrize("path", modules("service"), ids=str)
def test_service_imports_nothing_of_the_training_side(path: Path) -> None:
    lazy = path.as_posix() in LAZY
    found = {name.partition(".")[0] for name in imports(path, top_level_only=lazy)}
    assert not found & FORBIDDEN


@pytest.mark.parametrize("text", DEFINED_ONCE)
def test_it_is_defined_once(text: str) -> None:
    found = [path.as_posix() for top in PACKAGES for path in modules(top) if text in (ROOT / path).read_text()]
    assert found == [DEFINED_ONCE[text]]


def test_what_judges_knows_no_protobuf_and_no_grpc() -> None:
    for path in modules("service"):
        if path.parts[1] in ("events", "features", "detect", "drift"):
            vendors = {"grpc", "google"} & {name.partition(".")[0] for name in imports(path)}
            assert not vendors or path.name == "exposition.py", path


def test_a_running_gateway_has_loaded_no_torch_and_no_pandas() -> None:
    program = (
        "import sys, service.gateway.server, service.jobs.analyze, service.jobs.render, service.api.servicer\n"
        f"print(sorted({FORBIDDEN | WEB_ALONE!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['pickle']")  # numpy itself loads pickle


@pytest.mark.parametrize("folder", WINGS, ids=str)
def test_a_wing_says_which_question_it_answers_and_lists_its_rooms(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or ""
    assert text, f"{folder}/__init__.py has no docstring"
    rooms = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
    rooms |= {path.name for path in (ROOT / folder).iterdir() if (path / "__init__.py").is_file()}
    listed = {line.partition(":")[0].strip("- `") for line in text.splitlines() if line.startswith("- ")}
    assert listed == rooms, f"{folder}/__init__.py lists other rooms than there are: {sorted(listed ^ rooms)}"


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_no_folder_is_crowded_and_no_file_repeats_its_name(folder: Path) -> None:
    names = [path.stem for path in (ROOT / folder).glob("*.py") if path.stem != "__init__"]
    assert len(names) <= MOST_FILES
    if folder.parts[0] in PACKAGES:
        assert not [name for name in names if name.startswith(f"{folder.name}_")]


@pytest.mark.parametrize("path", modules("tests"), ids=str)
def test_no_test_imports_from_a_test_module(path: Path) -> None:
    assert not [name for name in imports(path) if name.rpartition(".")[2].startswith("test_")]


def camel_case_names(path: Path) -> Iterator[str]:
    """Yield the public classes of a module and what it calls by names like theirs: aliases of types."""
    for node in ast.parse((ROOT / path).read_text()).body:
        names = [node.name] if isinstance(node, ast.ClassDef) else []
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        yield from (name for name in names if name[0].isupper() and not name.isupper() and "_" not in name)


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in (path for top in PACKAGES for path in modules(top)):
        for name in camel_case_names(path):
            places.setdefault(name, []).append(path.as_posix())
    twice = {name: found for name, found in sorted(places.items()) if len(found) > 1}
    assert not twice, "\n".join(f"{name}: {', '.join(found)}" for name, found in twice.items())
