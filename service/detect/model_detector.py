"""The detector that judges by the model that a backend runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from service.detect.cutoffs import Cutoffs, Preference
from service.detect.detector import Judgement, raise_certain
from service.detect.names import Method
from service.detect.passes import Passes
from service.detect.unknown_codes import UsualCodes
from service.drift.monitor import Drift
from service.events.vocabulary import KINDS
from service.features.case import Case, View, join
from service.features.reference import Reference
from service.model.backend import Backend
from service.model.manifest import MODEL_NAME, SVM_NAME
from service.model.repository import Model
from service.model.sequences import Batch, Windows, cut_to_batches
from service.runtime import threads
from service.runtime.deadline import Deadline
from service.runtime.tasks import together

_METHODS = {MODEL_NAME: Method.LSTM, SVM_NAME: Method.SVM}
_BALANCED = Preference()


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """Events with their features, ready for the model."""

    view: View
    case: Case
    windows: Windows
    batches: Iterable[Batch]  # of all windows
    requests: list[View]  # those that it was made of

    def brought(self, view: View, begin: int, reference: Reference) -> Case | None:
        """Return the case that the judgement of one of the requests brings along, whose events stand from ``begin``."""
        if view.wanted_by is not reference:
            return None
        return self.case if len(self.requests) == 1 else self.case.part(view.events, begin)


class ModelDetector:
    """Judges by the model that a backend runs: the network or the one-class SVMs."""

    def __init__(
        self,
        backend: Backend,
        model: Model,
        reference: Reference,
        drift: Drift | None = None,
        preference: Preference = _BALANCED,
    ) -> None:
        """Args: ``drift`` watches what is judged, None for nobody; ``preference`` is what requests do not say."""
        self.drift = drift
        self._method = _METHODS[model.name]
        self.model_version = f"{model.name}/{model.version}"
        self._backend = backend
        self.reference = reference
        self._usual = UsualCodes(reference) if self._method is Method.SVM else None
        self._lengths = np.array(model.manifest.lengths)
        self._cutoffs = Cutoffs(model.manifest.thresholds, model.manifest.operating_points, preference)
        self._large_turn = asyncio.Semaphore(1)
        self._passes = Passes(self._prepare_together, self._conclude)

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`."""
        if view.causal or view.given is not None or threads.is_large(len(view)):
            kind = threads.ALWAYS_OFF if view.given is None else threads.WINDOWS  # the features are there
            prepared = await threads.run(kind, partial(self._prepare, view), len(view))
            (judgement,) = await self._conclude(prepared, deadline)
            return judgement
        return await self._passes.judge(view, deadline)

    async def _prepare_together(self, views: list[View]) -> _Prepared:
        if len(views) == 1:
            return await threads.run(threads.FEATURES, partial(self._prepare, views[0]), len(views[0]))
        return await threads.run(threads.FEATURES, partial(self._prepare_joined, views), sum(map(len, views)))

    def _prepare(self, view: View) -> _Prepared:
        return self._cut(view, [view])

    def _prepare_joined(self, views: list[View]) -> _Prepared:
        events, scope = join([view.events for view in views])
        case = Case.of(events, self.reference, causal=False, scope=scope)
        return self._cut(View(events, causal=False, given=case), views)

    def _cut(self, view: View, requests: list[View]) -> _Prepared:
        case = view.case(self.reference)
        windows = view.windows(case, int(self._lengths[-1]))
        windows = windows.joined() if view.causal else windows
        batches = cut_to_batches(case.features, windows, None if self._backend.any_length else self._lengths)
        if self._usual is not None and case.spared is not None:
            at_home = self._usual.at_home
            batches = (replace(batch, features=at_home(batch.features)) for batch in batches)
        # The batches of a large request are padded one by one: together they are larger than all the rest of it.
        return _Prepared(view, case, windows, batches if threads.is_large(len(view)) else list(batches), requests)

    async def _conclude(self, prepared: _Prepared, deadline: Deadline) -> list[Judgement]:
        """Return the judgement of each request of ``prepared``."""
        probabilities = await self._infer(prepared, deadline)
        judge = partial(self._judgements, prepared, probabilities)
        return await threads.run(threads.THRESHOLDS, judge, len(prepared.windows.window_of))

    def _judgements(self, prepared: _Prepared, probabilities: NDArray[np.float32]) -> list[Judgement]:
        case, windows = prepared.case, prepared.windows
        scores = probabilities[windows.window_of, windows.offset_of]
        raise_certain(case.features, scores, case.rows)
        if self.drift is not None:
            self.drift.watch(prepared.view, case, scores)
        ends = list(accumulate(map(len, prepared.requests), initial=0))
        parts = zip(prepared.requests, pairwise(ends), strict=True)
        return [
            self._judgement(view, scores[begin:end], prepared.brought(view, begin, self.reference))
            for view, (begin, end) in parts
        ]

    def _judgement(self, view: View, scores: NDArray[np.float32], case: Case | None) -> Judgement:
        flags = scores >= self._cutoffs.of(view.point, causal=view.causal)
        point = self._cutoffs.name(view.point)
        return Judgement(scores, flags, self._method, self.model_version, point=point, case=case)

    async def _infer(self, prepared: _Prepared, deadline: Deadline) -> NDArray[np.float32]:
        """Return the probabilities [W, T, 5] of all windows, T the longest length in use."""
        length = prepared.windows.length
        answers = np.zeros((len(length), int(length.max()), len(KINDS)), dtype=np.float32)

        async def call(batch: Batch) -> None:
            answer = await self._backend.infer(batch.features, batch.lengths, deadline)
            used = min(answer.shape[1], answers.shape[1])
            answers[batch.rows, :used] = answer[:, :used]

        if not isinstance(prepared.batches, list):
            batches = iter(prepared.batches)
            while (batch := await threads.when_calm(lambda: next(batches, None))) is not None:
                async with self._large_turn:  # of all large requests one at a time: small ones find a free thread
                    await call(batch)
            return answers
        ahead = 1 if self._backend.on_trial or len(prepared.batches) == 1 else 0
        for batch in prepared.batches[:ahead]:
            await call(batch)
        if others := prepared.batches[ahead:]:
            await together(call(batch) for batch in others)
        return answers
