"""The Java client of examples/java: built, run by JUnit against real gateways, and as docs/java.md shows it.

Debian's packages are its compilers and libraries; where they are missing, the tests that need them are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from google.protobuf.json_format import MessageToJson

from service.client.gateway import GatewayClient
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from tests.support.gateway import ROOT, Gateway
from tests.support.secrets import authority, key_entry, new_token
from tests.support.tls import wait_ready
from training.simulation.world import simulate

EXAMPLE = ROOT / "examples" / "java"
MAIN = EXAMPLE / "src" / "main"
TESTS = ROOT / "tests" / "java"
DOCS = ROOT / "docs" / "java.md"
PROGRAM = EXAMPLE / "analyze-csv.sh"
RESOURCES = MAIN / "resources" / "io" / "epcsentinel" / "client"
SERVICE_CONFIG = RESOURCES / "service-config.json"
INSTALL = (
    "apt-get install --no-install-recommends default-jdk-headless protobuf-compiler protobuf-compiler-grpc-java-plugin"
    " libprotobuf-dev libgrpc-java libprotobuf-java libgoogle-common-protos-java libnetty-java libnetty-tcnative-java"
    " libnetty-tcnative-jni libperfmark-java libgoogle-gson-java libspring-context-java junit5"
)
JAR_NAMES = PROGRAM.read_text().partition('jars="')[2].partition('"')[0].split()
JARS = [Path(f"/usr/share/java/{name}.jar") for name in (*JAR_NAMES, "junit-platform-console-standalone")]
PROGRAMS = ("java", "javac", "protoc", "grpc_java_plugin")
WELL_KNOWN = Path("/usr/include/google/protobuf/timestamp.proto")  # the contract imports it
# Debian's Netty does TLS by OpenSSL alone, and looks for the library by another name than that of Debian's file.
OPENSSL = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/jni/libnetty-tcnative.so")
OPENSSL_NAME = "libnetty_tcnative.so"
MISSING = [name for name in PROGRAMS if not shutil.which(name)] + [
    file.name for file in (*JARS, OPENSSL, WELL_KNOWN) if not file.exists()
]
needs_java = pytest.mark.needs(not MISSING, f"no {', '.join(MISSING[:3])} ..: {INSTALL}")

JUNIT_TESTS = [
    f"{source.stem}.{name}"
    for source in sorted(TESTS.rglob("*Test.java"))
    for name in re.findall(r"@Test\n\s+void (\w+)\(", source.read_text())
]


def run(*command: object, env: Mapping[str, str] = os.environ) -> str:
    """Run a command and return its stdout."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class Java:
    """The compiled client and its tests."""

    classpath: str
    libraries: Path  # a folder with OPENSSL_NAME
    rows: Path  # a raw file
    answers: Path  # what the Python client is answered to it, AnalyzeFilesResponse as JSON
    printed: str  # what the documented command prints about it
    gateway: str  # HOST:PORT

    def command(self, *flags: str) -> list[str]:
        """Return how to run a class."""
        quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        return ["java", *quick, f"-Djava.library.path={self.libraries}", *flags, "-cp", self.classpath]


@pytest.fixture(scope="module")
def java(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Java:
    """Compile the client by the documented command and its tests beside it; ask for the answers to expect."""
    folder = tmp_path_factory.mktemp("java")
    simulate(folder / "world", 500, 3, lambda _what, _done: None)
    rows, answers, classes = folder / "world" / "icn.csv", folder / "answers.json", folder / "classes"
    [documented] = [line for block in blocks("sh") for line in block.splitlines() if PROGRAM.name in line]
    command = documented.replace("localhost:50051", gateway.target).replace("icn.csv", str(rows))
    printed = run(*command.split(), env=os.environ | {"OUT": str(folder)})
    quick = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-proc:none", "-nowarn")
    jars = ":".join(map(str, JARS))
    run("javac", *quick, "-cp", f"{classes}:{jars}", "-d", classes, *TESTS.rglob("*.java"))
    answers.write_text(MessageToJson(pb.AnalyzeFilesResponse(files=python_answers(gateway.target, rows))))
    shutil.copy(OPENSSL, folder / OPENSSL_NAME)
    return Java(f"{classes}:{MAIN / 'resources'}:{jars}", folder, rows, answers, printed, gateway.target)


def python_answers(target: str, rows: Path) -> list[pb.AnalyzeResponse]:
    """Return what the gateway answers to a raw file when the Python client asks."""

    async def ask() -> list[pb.AnalyzeResponse]:
        client = GatewayClient(target)
        try:
            return await client.analyze(read_files([rows]).events, "lstm")
        finally:
            await client.close()

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Start a gateway with mutual TLS, tokens and a limit of calls; give (its HOST:PORT, what callers need)."""
    folder, trusted, token = tmp_path_factory.mktemp("secrets"), authority(), new_token()
    cert, key = trusted.issue("gateway").write(folder, "server")
    trusted.issue("backend").write(folder, "client")
    (folder / "ca.pem").write_bytes(trusted.cert_pem)
    (folder / "other-ca.pem").write_bytes(authority().cert_pem)
    (folder / "token").write_text(token + "\n")
    (folder / "keys.toml").write_text(key_entry("backend", token, "analyze"))
    flags = (
        "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", folder / "ca.pem", "--health-port", "0",
        "--auth-keys", folder / "keys.toml", "--rate-limit-calls-per-s", "10", "--rate-limit-burst-s", "0.2",
    )  # fmt: skip
    with Gateway(*map(str, flags), ready=False) as running:
        wait_ready(running)
        yield running.target, folder


@pytest.fixture(scope="module")
def outcomes(java: Java, secured: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run all JUnit tests; return by "Class.test" why it failed, "" if it passed."""
    reports = tmp_path_factory.mktemp("junit")
    properties = {
        "target": java.gateway, "rows": java.rows, "answers": java.answers,
        "secured": secured[0], "secrets": secured[1],
        "python": sys.executable, "root": ROOT, "log": reports / "gateway.log",
    }  # fmt: skip
    flags = [f"-Dtest.{name}={value}" for name, value in properties.items()]
    launcher = ["org.junit.platform.console.ConsoleLauncher", "--select-package=io.epcsentinel.client"]
    done = subprocess.run(
        [*java.command(*flags), *launcher, f"--reports-dir={reports}", "--disable-banner"],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    report = reports / "TEST-junit-jupiter.xml"
    assert report.exists(), f"{done.stdout}\n{done.stderr}"
    return dict(outcomes_of(report))


def outcomes_of(report: Path) -> Iterator[tuple[str, str]]:
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.attrib['classname'].rpartition('.')[2]}.{case.attrib['name'].removesuffix('()')}"
        problems = [one.text or one.attrib.get("message", "failed") for one in case if one.tag in ("failure", "error")]
        yield name, "".join(problems)[:2000]


@needs_java
@pytest.mark.parametrize("name", JUNIT_TESTS)
def test_junit(name: str, outcomes: dict[str, str]) -> None:
    assert not outcomes[name], outcomes[name]


@needs_java
def test_the_program_prints_the_rows_that_the_backend_stores(java: Java) -> None:
    [answer] = json.loads(java.answers.read_text())["files"]
    assert tables(java.printed) == {
        "EventHistory": answer["EventHistory"],
        "epcAnomalyStats": answer["epcAnomalyStats"],
        "fileAnomalyStats": [answer["fileAnomalyStats"]],
    }


@needs_java
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("epc_code\tlocation_id\n", "line 1: has to name the columns [epc_code, location_id, business_step,"),
        ("epc_code,location_id,business_step,event_type,event_time\na,b,Factory,Aggregation,-", "line 2: For input"),
    ],
)
def test_the_program_says_what_is_wrong_with_a_file(text: str, problem: str, java: Java, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text)
    words = [*java.command(), "io.epcsentinel.client.AnalyzeCsv", java.gateway, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{file}: {problem}" in done.stderr


def tables(printed: str) -> dict[str, list[dict[str, object]]]:
    """Return the rows of each table as in the contract's JSON: NULL is no key, 64-bit numbers are strings."""
    found = {}
    for block in printed.split("# ")[1:]:
        name, header, *lines = block.splitlines()
        cells = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
        found[name] = [
            {column: value_of(column, text) for column, text in row.items() if text != "NULL"} for row in cells
        ]
    return found


def value_of(column: str, text: str) -> object:
    if column in ("eventId", "epcCode"):
        return text
    return {"true": True, "false": False}[text] if text.isalpha() else float(text)


def blocks(language: str) -> list[str]:
    """Return the code blocks of docs/java.md in a language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL)


def squeezed(text: str) -> str:
    """Return the text without indentation."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


def test_the_documented_service_config_is_the_one_in_use() -> None:
    [shown] = blocks("json")
    assert shown == SERVICE_CONFIG.read_text()
    assert SERVICE_CONFIG.name in (MAIN / "java/io/epcsentinel/client/Connection.java").read_text()


def test_the_service_config_retries_methods_of_the_contract() -> None:
    [method] = json.loads(SERVICE_CONFIG.read_text())["methodConfig"]
    service = pb.DESCRIPTOR.services_by_name["AnomalyService"]
    for name in method["name"]:
        assert name["service"] == service.full_name
        found = service.methods_by_name[name["method"]]
        assert not found.client_streaming  # a timeout would end streams, and a retry ends with the first answer
    assert method["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"]


def test_documented_code_and_dependencies_are_those_of_the_example() -> None:
    sources = [squeezed(path.read_text()) for path in (*MAIN.rglob("*.java"), *TESTS.rglob("*.java"))]
    assert blocks("java")
    for block in blocks("java"):
        assert any(squeezed(block) in source for source in sources), block
    assert blocks("xml")
    for block in blocks("xml"):
        assert squeezed(block) in squeezed((EXAMPLE / "pom.xml").read_text()), block


def test_the_documented_properties_are_those_of_the_bean() -> None:
    bean = (MAIN / "java/io/epcsentinel/client/AnomalyClientConfiguration.java").read_text()
    known = set(re.findall(r"\$\{(epc-sentinel\.[a-z-]+)", bean))
    assert set(re.findall(r"^\| `(epc-sentinel\.[a-z-]+)`", DOCS.read_text(), re.MULTILINE)) == known
    properties = (RESOURCES / "epc-sentinel.properties").read_text()
    assert set(re.findall(r"^(epc-sentinel\.[a-z-]+)=", properties, re.MULTILINE)) <= known


def test_no_resource_clashes_with_one_of_the_application() -> None:
    """Of two jars with an application.properties each, the class path shows one."""
    assert {path.parent for path in (MAIN / "resources").rglob("*") if path.is_file()} == {RESOURCES}


def test_no_plugin_of_the_build_is_left_to_maven() -> None:
    """The compiler plugin that Maven 3.8 takes by itself is 3.1, which does not know ``maven.compiler.release``."""
    maven = "{http://maven.apache.org/POM/4.0.0}"
    pom = ElementTree.parse(EXAMPLE / "pom.xml")
    versions = {
        plugin.findtext(f"{maven}artifactId", ""): plugin.findtext(f"{maven}version", "")
        for plugin in pom.iter(f"{maven}plugin")
    }
    lifecycle = ("clean", "resources", "compiler", "surefire", "jar", "install", "deploy", "site")
    assert {f"maven-{name}-plugin" for name in lifecycle} <= versions.keys()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values()), versions
    main = next(pom.iter(f"{maven}mainClass")).text or ""
    assert (MAIN / "java" / f"{main.replace('.', '/')}.java").is_file()


def test_the_install_line_is_documented() -> None:
    assert INSTALL in DOCS.read_text()
    assert set(INSTALL.split()[3:]) <= set((ROOT / ".ci" / "debian-packages.txt").read_text().split())


def test_the_documented_columns_are_those_of_the_contract() -> None:
    names = {
        field.json_name
        for message in ("EventFinding", "EpcAnomalyStats", "FileAnomalyStats")
        for field in pb.DESCRIPTOR.message_types_by_name[message].fields
    }
    documented = set(re.findall(r"^\| `([a-zA-Z]+)`", DOCS.read_text(), re.MULTILINE))
    assert documented == names
