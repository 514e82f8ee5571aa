"""The component ``web``: its manifest and its image say what ``epc-sentinel web`` says."""

from __future__ import annotations

import json
import shlex

import pytest

from service.environment import WEB_PREFIX
from service.web.settings import WebSettings, load_web_settings
from tests.delivery.lock import pins
from tests.k8s.overlays import PROBES, Object, find, overlay
from tests.support.dockerfile import all_of


@pytest.fixture(scope="module")
def plain() -> list[Object]:
    return overlay("web")


def settings_of(objects: list[Object], monkeypatch: pytest.MonkeyPatch) -> WebSettings:
    """Return the settings of the pod, on top of those of its image."""
    [image] = all_of("ENV", "web")
    pod = find("Deployment", "epc-sentinel-web", objects)["spec"]["template"]["spec"]
    given = dict(word.split("=", 1) for word in shlex.split(image))
    given |= {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    for name, value in given.items():
        if name.startswith(WEB_PREFIX):
            monkeypatch.setenv(name, value)
    return load_web_settings()


def test_the_pod_is_that_of_the_settings(plain: list[Object], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(plain, monkeypatch)
    deployment = find("Deployment", "epc-sentinel-web", plain)
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert [one["containerPort"] for one in container["ports"]] == [settings.port] == [int(all_of("EXPOSE", "web")[0])]
    assert (
        settings.target == f"dns:///epc-sentinel:{find('Service', 'epc-sentinel', plain)['spec']['ports'][0]['port']}"
    )
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    for path in (settings.store, settings.uploads, settings.auth_keys, settings.session_key):
        assert any(str(path).startswith(f"{mount}/") for mount in mounts), path
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    security = pod["securityContext"]
    assert all_of("USER", "web") == [f"{security['runAsUser']}:{security['runAsGroup']}"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {container[probe]["httpGet"]["path"] for probe in PROBES} == {"/live"}


def test_with_tls_it_trusts_the_authority_and_speaks_https(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = overlay("web", "tls")
    settings = settings_of(objects, monkeypatch)
    assert settings.ca_file is not None
    assert settings.tls_cert is not None
    [container] = find("Deployment", "epc-sentinel-web", objects)["spec"]["template"]["spec"]["containers"]
    assert {container[probe]["httpGet"]["scheme"] for probe in PROBES} == {"HTTPS"}


def test_the_image_has_what_the_extra_needs_and_runs_the_command() -> None:
    command = [*json.loads(all_of("ENTRYPOINT", "web")[0]), *json.loads(all_of("CMD", "web")[0])]
    assert command == ["epc-sentinel", "web"]
    locked = {pin.name for pin in pins("web")}
    assert {"fastapi", "uvicorn", "duckdb", "psycopg", "itsdangerous"} <= locked
    assert not locked & {"torch", "pandas"}
    assert {pin.name: pin.version for pin in pins("gateway")}.items() <= {
        p.name: p.version for p in pins("web")
    }.items()
