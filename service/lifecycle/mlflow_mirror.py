"""The states as aliases of a registered model of MLflow, and what somebody moved there. Needs the extra `registry`.

The log of promotions comes first and the aliases follow it: the tag ``epc_sentinel.entry`` of the registered model has
the last entry that they show. If it is behind the log, a process was killed in between, and they are written once more;
if it is not, and they differ, somebody moved them in MLflow, and what he did becomes an entry, if the version can be
used. MLflow numbers its versions itself; the tag ``epc_sentinel.version`` has the number of the repository, and
``epc_sentinel.manifest_sha256`` says which manifest that is.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from service.errors import CommandError, ModelUnavailable
from service.lifecycle.states import Action, ModelState, Standing
from service.model.manifest import MODEL_NAME

_ENTRY, _VERSION, _DIGEST = "epc_sentinel.entry", "epc_sentinel.version", "epc_sentinel.manifest_sha256"
_ALIASES = (ModelState.CHAMPION, ModelState.CHALLENGER, ModelState.PREVIOUS)
_TIMEOUT_S, _TRIES = "10", "2"


class MlflowMirror:
    """The registered model ``epc_lstm`` on an MLflow server."""

    def __init__(self, url: str) -> None:
        """Args: ``url`` is that of the server; nothing is connected yet.

        Raises:
            CommandError: the extra ``registry`` is not installed.
        """
        # MLflow's own defaults are two minutes and seven tries with growing pauses: a promotion would wait for that.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", _TIMEOUT_S)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _TRIES)
        try:
            client = importlib.import_module("mlflow.tracking").MlflowClient
        except ImportError:
            raise CommandError(
                "--registry mlflow:URL needs the extra 'registry': pip install 'epc-sentinel[registry]'"
            ) from None
        self._client: Any = client(tracking_uri=url, registry_uri=url)

    def publish(self, standing: Standing, manifests: Mapping[int, str]) -> None:
        """See `Mirror.publish`."""
        with _vendor_errors():
            self._make()
            known = self._numbers()
            for version in standing.kept:
                if version not in known.values():
                    self._register(version, manifests.get(version, ""))
            number_of = {version: number for number, version in self._numbers().items()}
            wanted = self._states(standing)
            found = self._client.get_registered_model(MODEL_NAME).aliases
            for alias, wanted_version in wanted.items():
                if wanted_version is None:
                    if alias in found:
                        self._client.delete_registered_model_alias(MODEL_NAME, alias)
                else:
                    self._client.set_registered_model_alias(MODEL_NAME, alias, number_of[wanted_version])
            self._client.set_registered_model_tag(MODEL_NAME, _ENTRY, str(standing.number))

    def moved(self, standing: Standing) -> list[tuple[Action, int, str]] | None:
        """See `Mirror.moved`."""
        with _vendor_errors():
            self._make()
            model, known = self._client.get_registered_model(MODEL_NAME), self._numbers()
        if model.tags.get(_ENTRY) != str(standing.number):
            return None
        shown = {alias: known.get(str(number)) for alias, number in model.aliases.items()}
        wanted, moves = self._states(standing), list[tuple[Action, int, str]]()
        champion, challenger = shown.get(ModelState.CHAMPION), shown.get(ModelState.CHALLENGER)
        if challenger is not None and challenger != wanted[ModelState.CHALLENGER]:
            moves.append((Action.LOAD, challenger, "mlflow"))
        if champion is not None and champion != wanted[ModelState.CHAMPION]:
            back = champion == standing.previous
            moves.append((Action.ROLLBACK if back else Action.PROMOTE, champion, "mlflow"))
        if not moves and {alias: shown.get(alias) for alias in _ALIASES} != wanted:
            return None  # an alias is gone, or shows what is no version here
        return moves

    def _states(self, standing: Standing) -> dict[ModelState, int | None]:
        return {
            ModelState.CHAMPION: standing.champion,
            ModelState.CHALLENGER: standing.challenger,
            ModelState.PREVIOUS: standing.previous,
        }

    def _make(self) -> None:
        """Make the registered model if it is not there."""
        if not self._client.search_registered_models(f"name = '{MODEL_NAME}'"):
            self._client.create_registered_model(MODEL_NAME, description="Versions of EPC Sentinel's model.")

    def _numbers(self) -> dict[str, int]:
        """Return the repository's versions by MLflow's."""
        found = self._client.search_model_versions(f"name = '{MODEL_NAME}'")
        return {str(one.version): int(one.tags[_VERSION]) for one in found if one.tags.get(_VERSION, "").isdecimal()}

    def _register(self, version: int, digest: str) -> None:
        tags = {_VERSION: str(version), _DIGEST: digest}
        self._client.create_model_version(
            MODEL_NAME, f"epc-sentinel:/{MODEL_NAME}/{version}", tags=tags, await_creation_for=None
        )


@contextmanager
def _vendor_errors() -> Iterator[None]:
    """Turn whatever MLflow and the library of HTTP raise into ModelUnavailable; the original is chained for the log."""
    try:
        yield
    except Exception as error:
        raise ModelUnavailable("the registry of models cannot be asked") from error
