"""Which events are people asked about? The audit sample: by chance, and more often where few events are alike.

Whether an event is in it depends on itself, its scores and the secret alone: every gateway, every repetition and every
order of events gives the same sample, and who forges codes cannot tell which are looked at. Its probability is known,
and kept: by these, the sample tells what all events are like (`service.feedback.estimators`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES, TYPES
from service.model.manifest import Manifest

BANDS = (0.02, 0.1, 0.3, 0.7, 0.95)
"""Scores from here on are in the next band: bounds that the histograms of manifests have."""

KNOWN_TO_ALL = b"epc-sentinel audit sample"
"""The key where no secret is given."""

_LEAST_KEY = 16  # bytes
_AT_LEAST = 8.0
"""Events that a band has beside those counted in it: one that the check of the model left empty may fill."""
_USUAL = (0.93, 0.02, 0.01, 0.01, 0.01, 0.02)
"""Shares of the bands where the manifest has no histogram of the scores."""

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AuditSample:
    """Draws events. A stratum is a kind, a band of its scores, and a place; each gets half of the sample by its size,
    and an equal part of the other half: a floor that reaches rare scores and quiet places.
    """

    key: bytes
    places: NDArray[np.int64]  # [P] location ids, ascending
    rates: _Numbers  # [2, 5, bands, P + 1] probability by mode, kind, band and place; the last place is all others

    @classmethod
    def of(cls, manifest: Manifest, share: float, key: bytes = KNOWN_TO_ALL) -> Self:
        """Return the sample of ``share`` (0 .. 1) of all events, if they are as those that the model was checked on."""
        places, place_share = _places(manifest.reference)
        rates = [_rates(_band_shares(manifest.histograms, mode), place_share, share) for mode in MODES]
        return cls(key, places, np.stack(rates))

    def probabilities(self, events: Events, scores: NDArray[np.float32], *, causal: bool) -> _Numbers:
        """Return the probability [N] of each event, with scores [N, 5], to be in the sample.

        It is the highest of those of its kinds: whoever looks at an event is asked about all of them.
        """
        band = np.searchsorted(BANDS, scores, side="right")  # [N, 5]
        at = np.searchsorted(self.places, events.location_id)
        known = self.places[np.minimum(at, len(self.places) - 1)] == events.location_id
        place = np.where(known, at, len(self.places))  # [N]
        by_kind: _Numbers = self.rates[int(causal)][np.arange(len(KINDS)), band, place[:, None]]  # [N, 5]
        highest: _Numbers = by_kind.max(axis=1)
        return highest

    def draws(self, events: Events) -> _Numbers:
        """Return the draw [N] of each event, from 0 to below 1: one below its probability is in the sample."""
        codes = [_hash(code, self.key) for code in events.epc_codes]
        mixed = np.array(codes, dtype=np.uint64)[events.epc]
        for part in (events.event_id, events.file_id):
            mixed = _mixed(mixed ^ _mixed(part.astype(np.uint64)))
        return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def probability_if_drawn(self, events: Events, scores: NDArray[np.float32], *, causal: bool) -> _Numbers:
        """Return the probability [N] of the events that are in the sample, 0 of the others."""
        probability = self.probabilities(events, scores, causal=causal)
        return np.where(self.draws(events) < probability, probability, 0.0)


class AuditSamples:
    """The audit samples of the versions that answer: each event is drawn by what its own version's scores are like."""

    def __init__(self, share: float, key: bytes = KNOWN_TO_ALL) -> None:
        """Args: ``share`` (0 .. 1) of all events, ``key`` as of `AuditSample`."""
        self._share, self._key = share, key
        self._of: Mapping[str, AuditSample] = {}

    def add(self, version: str, manifest: Manifest) -> None:
        """Draw what a version, "epc_lstm/2", answers from now on; for one thread."""
        self._of = {**self._of, version: AuditSample.of(manifest, self._share, self._key)}  # anew: others read it

    def remove(self, version: str) -> None:
        """A version answers no more; for one thread."""
        self._of = {name: sample for name, sample in self._of.items() if name != version}

    def of(self, version: str) -> AuditSample | None:
        """Return the sample of a version; None: nothing says how its scores are spread. For any thread."""
        return self._of.get(version)


def read_key(path: Path | None) -> bytes:
    """Return the secret of a file, or the key that everybody knows where there is none.

    Raises:
        CommandError: the file cannot be read, or its secret is too short to be one.
    """
    if path is None:
        return KNOWN_TO_ALL
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise CommandError(
            f"cannot read the key {path}: {error.strerror}; name another file with --audit-key"
        ) from None
    if len(key) < _LEAST_KEY:
        raise CommandError(f"the key {path} has {len(key)} bytes: write {_LEAST_KEY} or more that are random")
    return key


def _hash(code: str, key: bytes) -> int:
    digest = hashlib.blake2b(code.encode(errors="surrogatepass"), digest_size=8, key=hashlib.sha256(key).digest())
    return int.from_bytes(digest.digest(), "little")


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers [N] whose bits all depend on all bits of the given ones (the finalizer of SplitMix64)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _places(reference: Any) -> tuple[NDArray[np.int64], _Numbers]:  # noqa: ANN401 - JSON of the manifest
    """Return (location ids [P], shares [P + 1] of the scans there); at unknown places there is half a scan."""
    ids = np.array(reference["location_id"], dtype=np.int64)
    keys, counts = np.array(reference["scan"]["key"], dtype=np.int64), np.array(reference["scan"]["count"])
    scans = np.bincount(np.minimum(keys // TYPES, len(ids)), counts, len(ids) + 1) + 0.5
    order = np.argsort(ids)
    return ids[order], np.append(scans[:-1][order], scans[-1]) / scans.sum()


def _band_shares(histograms: Any, mode: str) -> _Numbers:  # noqa: ANN401 - JSON of the manifest
    """Return the share [5, bands] of each band of a kind's scores."""
    shares = np.empty((len(KINDS), len(BANDS) + 1))
    found = histograms.get(mode, {}).get("histograms", {})
    for row, kind in enumerate(KINDS):
        histogram = found.get(f"score_{kind}")
        if histogram is None:
            shares[row] = _USUAL
            continue
        upper = np.array([*histogram["cuts"], np.inf])
        band = np.searchsorted(BANDS, upper - 1e-6)
        counts = np.bincount(band, histogram["counts"], len(BANDS) + 1) + _AT_LEAST
        shares[row] = counts / counts.sum()
    return shares


def _rates(bands: _Numbers, places: _Numbers, share: float) -> _Numbers:
    """Return the probabilities [5, bands, P + 1] that give a sample of ``share``: of strata [5, bands] x [P + 1].

    An event has five strata, and the highest of their probabilities; their sum is what is kept to the share, so that
    the sample is somewhat smaller.
    """
    if share in (0, 1):
        return np.full((*bands.shape, len(places)), share)
    sizes = bands[:, :, None] * places  # shares of all events; each kind's are 1 together
    low, high = 0.0, 1.0
    for _ in range(60):  # the floor, as a share of all events, by bisection
        floor = (low + high) / 2
        asked = np.minimum(1.0, share / 2 + floor / sizes)
        spent = share / 2 + float(((asked - share / 2) * sizes).sum())
        low, high = (floor, high) if spent < share else (low, floor)
    rates: _Numbers = np.minimum(1.0, share / 2 + low / sizes)
    return rates
