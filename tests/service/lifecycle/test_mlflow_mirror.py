"""The states as aliases of a real MLflow server: shown, moved there, and put right where they cannot be."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from mlflow.tracking import MlflowClient

from service.lifecycle.mlflow_mirror import MlflowMirror
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.register import Register
from tests.servers.mlflow import mlflow_server
from tests.servers.triton.fixture import SPEC_HASH
from tests.support.versions import flip_last_byte


def aliases(client: MlflowClient) -> dict[str, int]:
    """Return the versions of the repository by alias."""
    number = client.get_registered_model("epc_lstm").aliases
    return {alias: int(client.get_model_version("epc_lstm", version).tags["epc_sentinel.version"])
            for alias, version in number.items()}  # fmt: skip


def mlflow_version(client: MlflowClient, version: int) -> str:
    """Return MLflow's number of a version of the repository."""
    found = client.search_model_versions("name = 'epc_lstm'")
    [one] = [one for one in found if one.tags["epc_sentinel.version"] == str(version)]
    return str(one.version)


def test_aliases_show_the_log_and_move_it_as_far_as_a_version_can_be_used(
    small_repository: Path, tmp_path: Path
) -> None:
    repository = shutil.copytree(small_repository, tmp_path / "repository")
    plain = Register(repository, PromotionLog(tmp_path / "lifecycle"), SPEC_HASH)
    plain.begin(2)  # as if the registry could not be reached
    (tmp_path / "mlflow").mkdir()
    with mlflow_server(tmp_path / "mlflow") as url:
        register = replace(plain, mirror=MlflowMirror(url))
        client = MlflowClient(tracking_uri=url, registry_uri=url)
        assert register.follow().champion == 2
        assert aliases(client) == {"champion": 2}
        register.promote(1, who="key:ops", why="better")
        assert aliases(client) == {"champion": 1, "previous": 2}
        client.set_registered_model_alias("epc_lstm", "champion", mlflow_version(client, 2))  # by hand, in MLflow
        assert register.follow().champion == 2
        last = register.log.entries()[-1]
        assert (last.who, last.action, last.version) == ("mlflow", "rollback", 2)
        assert aliases(client) == {"champion": 2}
        flip_last_byte(repository / "epc_lstm" / "1" / "model.onnx")
        client.set_registered_model_alias("epc_lstm", "champion", mlflow_version(client, 1))
        assert register.follow().champion == 2, "the signed manifest is the truth, whatever the registry says"
        assert aliases(client) == {"champion": 2}
        client.delete_registered_model_alias("epc_lstm", "champion")
        register.follow()
        assert aliases(client) == {"champion": 2}
        first = mlflow_version(client, 2)
    after = register.follow()  # the server is gone: the log goes on
    assert (after.champion, first) == (2, "1")
