"""The Dockerfile, as far as it can be tried without Docker: its context, its build, its settings, and its commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.settings import ENV_PREFIX, Settings, load_settings
from tests.delivery.image import BIN, COMPILED, SHARED, Image
from tests.delivery.lock import pins
from tests.support.dockerfile import DOCKERFILE, all_of, copied, health_command, image_env, instructions
from tests.support.gateway import ROOT, START_S, STOP_S, Gateway

# A file system that cannot be written, and a user who owns nothing; but one who may read all, because this Python
# may lie in a folder of root's.
READ_ONLY = 'mount -o remount,ro,bind / && exec setpriv --reuid {uid} --regid {gid} --clear-groups {capabilities} "$@"'

CAPABILITIES = (
    "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search"
)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def container(image: Image, free_port: int, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, int]]:
    """The container's command on a read-only file system, as the image's user; with its log and its port."""
    log = tmp_path / "container.log"
    uid, gid = all_of("USER")[0].split(":")
    command = [*json.loads(all_of("ENTRYPOINT")[0]), *json.loads(all_of("CMD")[0])]
    script = READ_ONLY.format(uid=uid, gid=gid, capabilities=CAPABILITIES)
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script, "sh", *command],
            cwd=image.workdir, env=image.environment(free_port), stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    yield process, log, free_port
    process.kill()
    process.wait()


def check_health(environment: dict[str, str]) -> int:
    """Run the HEALTHCHECK and return its exit code."""
    program, *arguments = health_command()
    assert program == "python"
    return subprocess.run(
        [BIN / program, *arguments], cwd="/", env=environment, capture_output=True, timeout=30, check=False
    ).returncode


def can_remount() -> bool:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv"))):
        return False
    return subprocess.run(["unshare", "--mount", "mount", "-o", "remount,ro,bind", "/"], check=False).returncode == 0


def locks_of_the_image() -> list[str]:
    """Return the lock that the image is built from, and the one that its comment offers."""
    [argument] = [rest.removeprefix("LOCK=") for rest in all_of("ARG", "build")]
    return [argument, *re.findall(r"--build-arg LOCK=(\S+)", DOCKERFILE.read_text())]


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_context_is_what_the_dockerfile_copies_and_no_more(image: Image) -> None:
    assert copied() == {path.name for path in image.context.iterdir()}
    assert not list(image.context.rglob("__pycache__"))
    assert not [path for path in image.context.rglob("*") if path.name == "row.pxd" or path.suffix == ".so"]


def test_the_build_installs_the_gateway_and_nothing_of_the_training_side(image: Image) -> None:
    installed = {path.name for path in image.packages.iterdir()}
    assert {name for name in installed if not name.endswith(".dist-info")} == {"service", "bin"}
    assert (image.packages / "bin" / "epc-sentinel").is_file()
    assert list((image.packages / "service").rglob("*.pyc")), "the bytecode cannot be written at run time"


def test_the_build_has_every_file_of_the_service(image: Image) -> None:
    """Scripts and types too, which are no modules: setuptools packs what pyproject.toml names."""

    def files(folder: Path) -> set[Path]:
        found = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".pyc", ".pxd"))
        return {path.relative_to(folder) for path in found}

    assert Path("service/history/exchange.lua") in files(image.context)
    assert {path for path in files(image.context) if path.parts[0] == "service"} <= files(image.packages)


def test_the_image_has_the_loops_compiled_and_no_compiler(image: Image) -> None:
    loops = {path.relative_to(image.packages).as_posix().partition(".")[0] for path in image.packages.rglob("*.so")}
    assert loops == {name.removesuffix(".py") for name in COMPILED} | {SHARED.replace(".", "/")}
    assert not [path for path in image.packages.rglob("*") if path.suffix in (".c", ".pxd")]
    [plain, with_parquet] = locks_of_the_image()
    assert not {pin.name for pin in pins(f"{plain} {with_parquet}")} & {"cython", "ziglang", "setuptools"}
    [*_, final] = "\n".join(f"{name} {rest}" for name, rest in instructions()).split("\nFROM ")
    assert "RUN" not in final, "what it has comes from /venv, and a Python base without a compiler"


def test_the_dependencies_of_the_image_have_nothing_of_the_training_side() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    training = {canonicalize_name(Requirement(text).name) for text in project["optional-dependencies"]["train"]}
    [plain, with_parquet] = locks_of_the_image()
    own = {pin.name for pin in pins(plain)}
    assert own & training == {"tritonclient"}, "export writes Triton's config with the client of the gateway"
    assert {"redis", "opentelemetry-sdk"} < own, "for a history that gateways share, and for --tracing"
    assert {pin.name for pin in pins(with_parquet)} - own == {"pyarrow"}, "for --detection-log"


def test_the_training_image_has_the_training_side_and_all_that_it_needs(image: Image, tmp_path: Path) -> None:
    """Its stage, built as far as it goes without Docker: its packages with their data, and its lock."""
    assert copied("build-training") == {"training", "export"}
    built = image.translated(tmp_path / "built")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path / "lib"], cwd=built, check=True
    )
    found = {path.relative_to(tmp_path / "lib").as_posix() for path in (tmp_path / "lib").rglob("*") if path.is_file()}
    for top in ("training", "export"):
        files = {path.relative_to(ROOT).as_posix() for path in (ROOT / top).rglob("*") if path.is_file()}
        assert {name for name in files if name.endswith((".py", ".csv", ".html"))} <= found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {canonicalize_name(Requirement(text).name) for text in project["optional-dependencies"]["train"]}
    [torch] = [rest.removeprefix("TORCH=") for rest in all_of("ARG", "build-training")]
    for one in (torch, *re.findall(r"--build-arg TORCH=(\S+)", DOCKERFILE.read_text())):
        assert wanted | {"psycopg"} <= {pin.name for pin in pins(f"train {one}")}
    gateway = {(pin.name, pin.version) for pin in pins("gateway")}
    assert gateway <= {(pin.name, pin.version) for pin in pins("train")}, "the venv has these before"
    assert all_of("USER", "training") == all_of("USER")
    assert (all_of("ENTRYPOINT", "training"), all_of("WORKDIR", "training")) == (['["epc-sentinel"]'], ["/app"])


def test_the_variables_are_settings_and_the_container_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {name: value for name, value in image_env().items() if name.startswith(ENV_PREFIX)}
    assert {name.removeprefix(ENV_PREFIX).lower() for name in own} <= set(Settings.model_fields)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.host == "0.0.0.0"
    assert [str(settings.port)] == all_of("EXPOSE")


def test_the_user_is_a_number_and_not_root() -> None:
    [user] = all_of("USER")
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user)


def test_the_health_check_knows_a_ready_gateway_from_one_that_is_not_and_from_none(
    gateway: Gateway, start_gateway: Callable[..., Gateway], image: Image, free_port: int
) -> None:
    def check(target: str) -> int:
        return check_health(image.environment(int(target.rpartition(":")[2])))

    assert check(gateway.target) == 0
    own = image.environment(int(gateway.target.rpartition(":")[2]))
    assert check_health(own | {"http_proxy": f"http://127.0.0.1:{free_port}"}) == 0, "nobody is there"
    down = start_gateway("--backend", f"triton://127.0.0.1:{free_port}", "--no-fallback", ready=False)
    assert check(down.target) == 1
    assert check(f"127.0.0.1:{free_port}") == 1


@pytest.mark.needs(can_remount(), "only root can make the file system read-only for a process")
def test_the_container_needs_no_writable_file_and_ends_on_sigterm(
    container: tuple[subprocess.Popen[bytes], Path, int], image: Image
) -> None:
    process, log, port = container
    deadline = time.monotonic() + START_S
    while check_health(image.environment(port)) != 0:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    assert set(status["Uid"].split()) == {all_of("USER")[0].split(":")[0]}
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    # Every line is JSON: no library complains that it cannot write its cache or its telemetry.
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events == ["listening", "ready", "draining", "stopped"]
