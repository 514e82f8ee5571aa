"""An exported model in numpy: what it says, and how its logits change with the features.

The gateway runs models with onnxruntime or on a model server, which give no gradients. Here the graph of the same file
is worked through node by node, and back (reverse accumulation): exact gradients without torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.effects.onnx_file import Array, Graph, read_graph
from service.effects.operation import sigmoid
from service.effects.parts import ASKED, MIXING, OPERATORS, Part, Pass, bends_of, cut
from service.errors import EffectsUnavailable
from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES, PROBE_TOLERANCE
from service.model.manifest import Manifest

_NOT_MIXED = np.ones((1, 1), dtype=np.float32)

_GRAPH_ERRORS = (TypeError, ValueError, LookupError, AttributeError)
"""What a graph raises whose operators are known and used in a way that they are not known in."""


class Network:
    """A graph that can be asked for its calibrated logits and their gradients.

    It is worked through in parts. The first is affine in the features: of mixtures of windows it makes mixtures of what
    it makes of the windows. The last judges each event by itself: it is spared events that nobody asks for.
    """

    def __init__(self, graph: Graph) -> None:
        """Take a graph of export.

        Raises:
            EffectsUnavailable: it has an operator that is not known here, or does not end as export lets graphs end.
        """
        if unknown := sorted({node.operator for node in graph.nodes} - OPERATORS.keys()):
            raise EffectsUnavailable(f"its graph has the operators {', '.join(unknown)}, which are not known here")
        self._constants = graph.constants
        self._logits = _logits_of(graph)
        self._bends = bends_of(graph.nodes, INPUT_FEATURES, self._logits)
        self._head = Part(graph.nodes, {INPUT_FEATURES}, self._bends)
        self._rest = Part(graph.nodes, self._bends, {self._logits})
        self._halves = cut(self._rest.nodes, self._bends, self._logits)
        self._by_event = MIXING.isdisjoint(node.operator for node in self._rest.nodes)
        passed = {part.nodes[number].operator for part in (self._head, self._rest) for number in part.way}
        if blocked := sorted(name for name in passed if OPERATORS[name].back is None):
            raise EffectsUnavailable(f"no gradient passes back through {', '.join(blocked)} in its graph")

    @classmethod
    def read(cls, onnx: bytes, manifest: Manifest) -> Network:
        """Return the network of a model file, proven to answer the probe of its manifest as every backend does.

        Raises:
            EffectsUnavailable: the file is not understood here, or is understood otherwise than by the backend.
        """
        network = cls(read_graph(onnx))
        golden = manifest.probe
        expected = np.array(golden.probabilities, dtype=np.float32)
        features, lengths = np.array(golden.features, dtype=np.float32), np.array(golden.lengths, dtype=np.int64)
        T = features.shape[1]
        position = np.minimum(np.arange(T), lengths - 1).reshape(-1)  # each event of each window is asked for
        try:
            said = network.trace(features.repeat(T, axis=0), lengths.repeat(T, axis=0), position).logits
            found = sigmoid(said).reshape(*features.shape[:2], -1)
        except _GRAPH_ERRORS as error:
            raise EffectsUnavailable("its graph uses an operator in a way that is not known here") from error
        found[np.arange(T) >= lengths] = 0  # of the padding, as the graph itself answers
        difference = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
        if not difference <= PROBE_TOLERANCE:
            raise EffectsUnavailable(
                f"its answer to the probe, worked out here, differs by {difference:.2g} from that of the backend"
            )
        return network

    def trace(
        self,
        features: NDArray[np.float32],
        lengths: NDArray[np.int64],
        position: NDArray[np.intp],
        mix: NDArray[np.float32] = _NOT_MIXED,
    ) -> Trace:
        """Return what the network says of one event of each window.

        Args:
            features: [B, T, F] of the windows.
            lengths: [B, 1].
            position: [B] of the events.
            mix: [P, E], whose rows sum to 1: of every E windows, which are alike in length, position and mode, P
                mixtures are judged in their place.
        """
        windows = _Windows(features, lengths, position)
        given = windows.asked() if self._by_event else windows
        head = self._head.forward(self._values(given))
        judged = given.mixed(mix)
        values = self._values(judged) | {name: _mixed(head.values[name], mix, len(features)) for name in self._bends}
        if self._halves is None:
            return Trace(self._logits, windows, judged.position, mix, (head, self._rest.forward(values)))
        below, above, memory = self._halves
        first = below.forward(values | {ASKED: judged.position})
        last = above.forward(self._values(judged.asked()) | {memory: first.values[memory]})
        return Trace(self._logits, windows, judged.position, mix, (head, first, last))

    def _values(self, windows: _Windows) -> dict[str, Array]:
        return {**self._constants, INPUT_FEATURES: windows.features, INPUT_LENGTHS: windows.lengths}


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """B windows, of one event of each of which something is asked."""

    features: NDArray[np.float32]  # [B, T, F]
    lengths: NDArray[np.int64]  # [B, 1]
    position: NDArray[np.intp]  # [B]

    def asked(self) -> _Windows:
        """Return windows of the events alone."""
        B = len(self.features)
        events = self.features[np.arange(B), self.position][:, None]
        return _Windows(events, np.ones((B, 1), dtype=np.int64), np.zeros(B, dtype=np.intp))

    def mixed(self, mix: NDArray[np.float32]) -> _Windows:
        """Return P mixtures in the place of every E windows."""
        P, E = mix.shape
        return _Windows(
            _mixed(self.features, mix, len(self.features)),
            self.lengths[::E].repeat(P, axis=0),
            self.position[::E].repeat(P),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A network's way through B windows (or P mixtures of every E of them), which can be gone back several times."""

    result: str  # name of the logits
    windows: _Windows
    position: NDArray[np.intp]  # of what was judged
    mix: NDArray[np.float32]  # [P, E]
    passes: tuple[Pass, ...]  # the first is that of the affine part

    @property
    def logits(self) -> Array:
        """Return [B, 5], or of the mixtures, calibrated: probability = sigmoid(logit)."""
        said = self.passes[-1].values[self.result]
        return said[np.arange(len(said)), self._place(said)]

    def gradients(self, seeds: Array) -> Array:
        """Return how the sums of ``seeds`` [K, B, 5] * logits [B, 5] change with the features: [K, B, T, F].

        With mixtures, seeds are theirs, and features are those of the windows that they are mixtures of.
        """
        said, K = self.passes[-1].values[self.result], len(seeds)
        whole = np.zeros((K, *said.shape), dtype=said.dtype)
        whole[:, np.arange(len(said)), self._place(said)] = seeds
        gradients = {self.result: whole}
        head, *rest = self.passes
        for one in reversed(rest):
            gradients = one.back(gradients)
        mixed = {
            name: _mixed(one.reshape(-1, *one.shape[2:]), self.mix.T, K * len(said)) for name, one in gradients.items()
        }
        reached = head.back({name: one.reshape(K, -1, *one.shape[1:]) for name, one in mixed.items()})
        features = self.windows.features
        found = np.zeros((K, *features.shape), dtype=features.dtype)
        if INPUT_FEATURES in reached and reached[INPUT_FEATURES].shape == found.shape:
            return reached[INPUT_FEATURES]
        if INPUT_FEATURES in reached:  # of the events alone
            found[:, np.arange(len(features)), self.windows.position] = reached[INPUT_FEATURES][:, :, 0]
        return found

    def _place(self, said: Array) -> NDArray[np.intp]:
        """Return [B]: where in ``said`` [B, T, 5] the events are, which may be there alone."""
        return self.position if said.shape[1] > 1 else np.zeros_like(self.position)


def _mixed(x: Array, mix: NDArray[np.float32], B: int) -> Array:
    """Return x [B * .., ..] with P mixtures, one after the other, in the place of every E of its B windows."""
    P, E = mix.shape
    mixed: Array = (mix @ x.reshape(B // E, E, -1)).reshape(len(x) // E * P, *x.shape[1:])
    return mixed


def _logits_of(graph: Graph) -> str:
    """Return the name of the calibrated logits: what the sigmoid before the last choice (0 in the padding) takes."""
    made = {name: node for node in graph.nodes for name in node.outputs}
    last = made.get(OUTPUT_PROBABILITIES)
    before = made.get(last.inputs[1]) if last is not None and last.operator == "Where" else None
    if before is None or before.operator != "Sigmoid":
        raise EffectsUnavailable("its graph does not end with a sigmoid and the choice of the padding")
    return before.inputs[0]
