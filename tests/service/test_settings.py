"""Settings: what wins over what, and what a bad one is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.environment import ENV_PREFIX, unknown_variables
from service.errors import SettingsError
from service.settings import OnnxTarget, Settings, TritonTarget, load_settings, parse_costs, parse_providers
from tests.support.command import assert_one_line, run


def test_flags_win_over_variables_and_those_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPC_SENTINEL_PORT", "1234")
    monkeypatch.setenv("EPC_SENTINEL_HOST", "::1")
    monkeypatch.setenv("EPC_SENTINEL_BACKEND", "triton://models.example:8001")
    settings = load_settings(port="99", log_format=None)
    assert (settings.port, settings.host, settings.log_format) == (99, "::1", "console")
    assert settings.target == TritonTarget("models.example:8001")
    assert settings.repository == Path("model_repository")
    assert load_settings(backend="onnx:/models").target == OnnxTarget(Path("/models"))


def test_the_models_of_a_repository_that_is_named_are_those_that_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(model_repository="own").target == OnnxTarget(Path("own"))
    assert load_settings(model_repository="./own", backend="onnx:own/").repository == Path("own")
    beside = load_settings(model_repository="own", backend="triton://h:1")
    assert (beside.target, beside.repository) == (TritonTarget("h:1"), Path("own"))
    with pytest.raises(SettingsError, match="--model-repository is 'own', and --backend onnx:other runs"):
        load_settings(model_repository="own", backend="onnx:other")
    monkeypatch.setenv("EPC_SENTINEL_MODEL_REPOSITORY", "own")
    assert load_settings().target == OnnxTarget(Path("own"))
    with pytest.raises(SettingsError, match="leave out one of the two"):
        load_settings(backend="onnx:other")


@pytest.mark.parametrize("backend", ["", "onnx:", "triton:", "triton://host", "http://host:1", "triton://h:1/x"])
def test_backends_that_are_none(backend: str) -> None:
    with pytest.raises(SettingsError, match=r"--backend is .* onnx:REPOSITORY nor triton://HOST:PORT"):
        load_settings(backend=backend)


def test_costs_are_read_by_kind() -> None:
    assert parse_costs(load_settings(costs="epcFake=10:1, jump=2.5:1").costs) == {"epcFake": (10, 1), "jump": (2.5, 1)}
    assert parse_costs(load_settings().costs) == {}


@pytest.mark.parametrize(
    ("costs", "problem"),
    [
        ("epcFake", "not of the form KIND=MISS:ALARM"),
        ("epcFake=10", "not of the form"),
        ("epcFake=-1:1", "not of the form"),
        ("epcFake=0:1", "costs of epcFake must be above 0"),
        ("fake=10:1", "'fake' is no kind, which are epcFake, epcDup"),
        ("jump=1:1,jump=2:1", "jump is named twice"),
    ],
)
def test_costs_that_are_none_are_refused_with_what_is_wrong(costs: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"--costs is .*{problem}.* Meaning: cost of a miss"):
        load_settings(costs=costs)


def test_providers_are_onnxruntimes_in_the_order_given() -> None:
    assert parse_providers(load_settings().onnx_providers) == ("CPUExecutionProvider",)
    both = load_settings(onnx_providers="cuda, cpu").onnx_providers
    assert parse_providers(both) == ("CUDAExecutionProvider", "CPUExecutionProvider")


@pytest.mark.parametrize(
    ("providers", "problem"),
    [
        ("gpu", "'gpu' is no provider, which are cuda, cpu"),
        ("cuda,CPU", "'CPU' is no provider"),
        ("", "'' is no provider"),
        ("cuda,cuda", "cuda is named twice"),
        ("cpu,cuda", "nothing after it would be tried: name it last"),
    ],
)
def test_providers_that_are_none_are_refused_with_what_is_wrong(providers: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"--onnx-providers is .*{problem}.* Meaning: providers"):
        load_settings(onnx_providers=providers)


def test_only_a_point_that_somebody_named_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (load_settings().operating_point, load_settings().asked_point) == ("balanced", None)
    monkeypatch.setenv("EPC_SENTINEL_OPERATING_POINT", "precise")
    assert load_settings().asked_point == "precise"
    assert load_settings(operating_point="sensitive").asked_point == "sensitive"
    with pytest.raises(SettingsError, match="--operating-point is 'sure'"):
        load_settings(operating_point="sure")


def test_bad_settings_are_one_line_each_naming_flag_or_variable() -> None:
    done = run("serve", "--port", "abc", EPC_SENTINEL_LOG_FORMAT="xml")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.split(" is ")[0] for line in lines] == ["error: --port", "error: EPC_SENTINEL_LOG_FORMAT"]
    assert "'abc'" in lines[0]
    assert "50051" not in lines[1]
    assert "console or json" in lines[1]


def test_the_variable_that_kubernetes_injects_is_explained() -> None:
    done = run("serve", EPC_SENTINEL_PORT="tcp://10.0.0.1:50051")
    assert_one_line(done, 2, "EPC_SENTINEL_PORT", "enableServiceLinks: false")


def test_unknown_variables_are_refused_by_name_and_their_values_stay_unsaid() -> None:
    done = run("serve", EPC_SENTINEL_AUTH_KEY="/etc/keys.toml", EPC_SENTINEL_WURZELGNOM="secret-4711")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first == "error: the variable EPC_SENTINEL_AUTH_KEY is no setting: did you mean EPC_SENTINEL_AUTH_KEYS?"
    assert "EPC_SENTINEL_WURZELGNOM" in second
    assert "4711" not in done.stderr


def test_every_variable_that_a_letter_is_missing_in_is_refused() -> None:
    for field in Settings.model_fields:
        name = f"{ENV_PREFIX}{field.upper()[:-2]}{field.upper()[-1]}"
        if name.removeprefix(ENV_PREFIX).lower() not in Settings.model_fields:
            [line] = unknown_variables({name: "9464"}, Settings.model_fields)
            assert f"did you mean {ENV_PREFIX}{field.upper()}?" in line


def test_all_variables_that_kubernetes_injects_are_explained_in_one_line() -> None:
    links = {
        "EPC_SENTINEL_SERVICE_HOST": "10.0.0.1",
        "EPC_SENTINEL_SERVICE_PORT": "50051",
        "EPC_SENTINEL_SERVICE_PORT_GRPC": "50051",
        "EPC_SENTINEL_PORT_50051_TCP": "tcp://10.0.0.1:50051",
        "EPC_SENTINEL_PORT_50051_TCP_PROTO": "tcp",
        "EPC_SENTINEL_CANARY_PORT": "tcp://10.0.0.2:50051",
        "EPC_SENTINEL_CANARY_SERVICE_HOST": "10.0.0.2",
    }
    done = run("serve", **links)
    assert_one_line(done, 2, *links, "enableServiceLinks: false")
    assert not unknown_variables({"EPC_SENTINEL_METRICS_PORT": "9464"}, Settings.model_fields)
    assert "METRICS_PORT?" in unknown_variables({"EPC_SENTINEL_METRIC_PORT": "9464"}, Settings.model_fields)[0]


@pytest.mark.parametrize(
    "url",
    [
        "valkey://:{}#rest@host:6379",
        "valkey://:123#{}@host:6379",
        "valkey://:{}?rest@host",
        "valkey://:12/{}@host",
        "valkey://user:{}",
        "valkey://user:x@{}:y@host:port",
        "valkey:user:{}",
        "valkey://host:6379?password={}&db=x",
        "http://user:{}@collector:x",
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    secret = "Zwiebel-Fisch"
    value = url.format(secret)
    for arguments in (["--history", value], ["--backend", value], ["--tracing", value], [value], [f"--histry={value}"]):
        done = run("serve", *arguments)
        assert done.returncode != 0
        assert secret not in done.stderr, arguments
        assert done.stderr.startswith("error: ")


def test_start_errors_are_lines_of_the_log_where_that_is_json() -> None:
    cases = [
        ({"EPC_SENTINEL_LOG_FORMAT": "json", "EPC_SENTINEL_PORT": "x"}, []),
        ({}, ["--log-format", "json", "--prot", "1"]),
        ({}, ["--log-format=json", "--backend", "onnx:nowhere", "--no-fallback"]),
        ({"EPC_SENTINEL_LOG_FORMAT": "json"}, ["--tls-cert", "missing.pem", "--tls-key", "missing.pem"]),
    ]
    for environment, arguments in cases:
        done = run("serve", *arguments, **environment)
        assert done.returncode in (1, 2)
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert lines, done.stderr
        assert (lines[-1]["event"], lines[-1]["level"]) == ("command failed", "error")
        assert lines[-1]["reason"]
    done = run("--debug", "serve", "--backend", "onnx:nowhere", "--no-fallback", EPC_SENTINEL_LOG_FORMAT="json")
    assert "Traceback" in json.loads(done.stderr.splitlines()[-1])["exception"]
    done = run("serve", "--log-format", "console", EPC_SENTINEL_LOG_FORMAT="json", EPC_SENTINEL_PORT="x")
    assert done.stderr.startswith("error: ")
