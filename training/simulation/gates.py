"""blind_gate: a gate that misses most of what passes it for hours."""

from __future__ import annotations

import numpy as np

from service.events.vocabulary import DIRECTION_OF_TYPE
from training.simulation.catalogue import Bools, Catalogue
from training.simulation.scans import HOUR, NOISES, Scans

_FIRST_LEVEL = 2  # a factory's warehouse has but one gate each way: its file would shrink


def go_blind(scans: Scans, cat: Catalogue, rng: np.random.Generator) -> Scans:
    """Drop what blind gates miss; an item's next scan is marked.

    Never an item's first scan nor two in a row, and none beside other noise.
    """
    clean = scans.noise == 0
    starts = np.r_[True, scans.item[1:] != scans.item[:-1]]
    ends = np.r_[starts[1:], True]
    missed = clean & ~starts & (ends | np.r_[clean[1:], True])
    missed &= _is_unread(scans, missed, cat, rng)
    missed[1:] &= ~missed[:-1]
    after = np.r_[False, (missed & ~ends)[:-1]]
    scans.noise[after] = NOISES.index("blind_gate")
    return scans.take(~missed)


def _is_unread(scans: Scans, wanted: Bools, cat: Catalogue, rng: np.random.Generator) -> Bools:
    """Return [N]: the scan is ``wanted``, and its gate misses it in a spell of blindness."""
    noise = cat.habits.noise
    shape = (noise.spells, len(cat.places.name))
    direction = np.where(cat.places.level < _FIRST_LEVEL, 0, rng.choice([-1, 1], shape[1]))
    shortest, longest = noise.spell_hours
    length = np.exp(rng.uniform(np.log(shortest), np.log(longest), shape)) * HOUR
    begin, share = rng.uniform(0, cat.habits.end, shape), rng.uniform(*noise.unread, shape)
    passed = DIRECTION_OF_TYPE[scans.step]
    at = np.flatnonzero(wanted & (passed != 0) & (passed == direction[scans.place]))
    place, time, draw = scans.place[at], scans.time[at], rng.random(len(at))
    found = np.zeros(len(scans), dtype=bool)
    for spell in range(noise.spells):
        since = time - begin[spell, place]
        found[at] |= (since >= 0) & (since < length[spell, place]) & (draw < share[spell, place])
    return found
