"""The network of a flow model on a Triton server, asked from the threads that forecast. Needs the extra ``triton``.

All else of a model, the trees and the mean among it, stays in the gateway. Rows whose answers are known travel with
each call, a golden probe: what is off there refuses the whole answer. A server that is told what to load
(``--model-control-mode=explicit``) has each version as a model of its own, ``epc_flow_v2``, of the very bytes that were
verified here, so that it comes and goes while others serve on; one that lost it gets it again.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, ModelHangs, ModelUnavailable, WrongModel
from service.flow.forecast.manifest import FLOW_MODEL, FlowVersion
from service.flow.forecast.onnx_forecast import INPUT_WINDOW, OUTPUT_MEASURES, load_learned
from service.flow.forecast.windows import FEATURES, LSTM, Learned
from service.model.backend import CHUNK, PROBE_TOLERANCE
from service.model.breaker import Breaker
from service.model.manifest import MODEL_FILE
from service.model.triton_backend import CHANNEL_OPTIONS, Outgoing, map_error, untraced
from service.model.triton_control import LOAD_S, own_config

_PROBES = 4

_Rows = NDArray[np.float32]


@dataclass(frozen=True)
class TritonPlace:
    """A Triton server that runs the networks of a repository."""

    address: str  # "HOST:PORT"
    repository: Path  # that has the configs of Triton
    is_explicit: bool  # the server is told what to load
    config: str  # file of ``configs/`` that says how Triton runs a model, "" is config.pbtxt
    timeout_s: float  # what a call may take
    outgoing: Outgoing = field(default=untraced)

    @cached_property
    def client(self) -> Any:  # noqa: ANN401 - tritonclient has no types
        """The client, which may be used from several threads at once.

        Raises:
            ModelUnavailable: the extra ``triton`` is not installed.
        """
        return self.triton.InferenceServerClient(self.address, channel_args=CHANNEL_OPTIONS)

    @cached_property
    def triton(self) -> Any:  # noqa: ANN401 - as above
        """The module of the client; raises as `client`."""
        try:
            return importlib.import_module("tritonclient.grpc")
        except ImportError as error:
            raise ModelUnavailable(
                "the Triton backend needs the extra 'triton': pip install 'epc-sentinel[triton]'"
            ) from error

    def network(self, version: FlowVersion) -> TritonNetwork:
        """Return the network of a version; the server is asked from the first forecast on.

        Raises:
            ModelRepositoryError: its file cannot be used, or there is no config of Triton for it.
        """
        return TritonNetwork(self, version)


class TritonNetwork:
    """The network of one version; may be asked from several threads at once."""

    def __init__(self, place: TritonPlace, version: FlowVersion) -> None:
        """See `TritonPlace.network`."""
        number = version.manifest.version
        self._place, self._content, self._title = place, version.files[MODEL_FILE], version.title
        here = load_learned(LSTM, self._content, f"{MODEL_FILE} of {version.title}")
        generator = np.random.default_rng(number)
        self._probe = generator.normal(size=(_PROBES, here.length, len(FEATURES))).astype(np.float32)
        self._expected = here.run(self._probe)
        self._length, self._version = here.length, str(number)
        self._model = f"{FLOW_MODEL}_v{number}" if place.is_explicit else FLOW_MODEL
        self._config = ""
        if place.is_explicit:
            days = [here.length, len(FEATURES)]
            self._config = own_config(place.repository / FLOW_MODEL, place.config, self._model, {INPUT_WINDOW: days})
        self._breaker, self._lock = Breaker(f"{version.title} on Triton"), threading.Lock()
        self._loading = threading.Lock()

    def learned(self) -> Learned:
        """Return it as a method of forecasts."""
        return Learned(LSTM, self._length, self.run)

    def prepare(self) -> None:
        """Have it loaded where it is for this gateway to say, and ask its golden probe.

        Raises:
            ModelUnavailable: it cannot be loaded, or does not answer; WrongModel: another model answers.
        """
        self.run(self._probe[:0])

    def run(self, rows: _Rows) -> _Rows:
        """Return the measures [B, 3] of rows [B, L, F], ``CHUNK`` at most in one call; raises as `prepare`."""
        with self._guarded():
            parts = range(0, max(len(rows), 1), CHUNK)
            return np.concatenate([self._checked(rows[at : at + CHUNK]) for at in parts])

    def retire(self) -> None:
        """Have it unloaded where it is for this gateway to say; raises ModelUnavailable."""
        if self._place.is_explicit:
            self._told(lambda client: client.unload_model(self._model, client_timeout=LOAD_S))

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let through what may be asked, and take note of how it ended: the breaker is one for all threads."""
        with self._lock:
            trial = self._breaker.enter()
        try:
            yield
        except ModelUnavailable as error:
            hung = isinstance(error, ModelHangs)
            with self._lock:
                self._breaker.failed(str(error), hung=hung, trial=trial)
            raise
        except BaseException:
            with self._lock:
                self._breaker.left(trial)
            raise
        with self._lock:
            self._breaker.succeeded()

    def _checked(self, rows: _Rows) -> _Rows:
        """Return the answer to rows, once that to the probe beside them is right."""
        whole = np.concatenate([self._probe, rows])
        try:
            found = self._infer(whole)
        except ModelHangs:
            raise
        except ModelUnavailable:
            if not self._place.is_explicit:
                raise
            self._load()
            found = self._infer(whole)
        if found.shape != (len(whole), self._expected.shape[1]):
            raise WrongModel(f"the model server answers for {self._title} with shape {list(found.shape)}")
        off = float(np.abs(found[:_PROBES] - self._expected).max())
        if not off <= PROBE_TOLERANCE:
            raise WrongModel(
                f"the model server's answer to the probe of {self._title} is off by {off:.2g}: it serves another model"
            )
        if not np.isfinite(found).all():
            raise WrongModel(f"the model server answers for {self._title} with numbers that are not finite")
        return found[_PROBES:]

    def _load(self) -> None:
        """Load it if the server lacks it, one thread for all.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        if not self._loading.acquire(timeout=LOAD_S):
            raise ModelHangs(f"the model server has been loading {self._title} for {LOAD_S:.0f} s")
        try:
            if self._told(lambda client: client.is_model_ready(self._model, self._version, client_timeout=LOAD_S)):
                return
            files = {f"file:{self._version}/{MODEL_FILE}": self._content}
            self._told(
                lambda client: client.load_model(self._model, config=self._config, files=files, client_timeout=LOAD_S)
            )
        finally:
            self._loading.release()

    def _infer(self, rows: _Rows) -> _Rows:
        triton = self._place.triton
        window = triton.InferInput(INPUT_WINDOW, list(rows.shape), "FP32")
        window.set_data_from_numpy(rows)

        def ask(client: Any) -> Any:  # noqa: ANN401 - tritonclient has no types
            with self._place.outgoing() as headers:
                return client.infer(
                    self._model,
                    [window],
                    model_version=self._version,
                    outputs=[triton.InferRequestedOutput(OUTPUT_MEASURES)],
                    headers=headers or None,
                    client_timeout=self._place.timeout_s,
                ).as_numpy(OUTPUT_MEASURES)

        answer = self._told(ask)
        if answer is None:
            raise ModelUnavailable(f"the model server answered without {OUTPUT_MEASURES}")
        return np.asarray(answer, dtype=np.float32)

    def _told(self, ask: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return ask(self._place.client)
        except ModelUnavailable:
            raise
        except Exception as error:  # not only its own: a truncated tensor is a ValueError
            known = map_error(error)
            if isinstance(known, DeadlineExceeded):
                raise ModelHangs(f"the model server did not answer for {self._title} in time") from error
            raise ModelUnavailable(f"{known}, for the network of {self._title}") from error
