"""``python -m tests.delivery.computed FILE``: features of normal and of hostile scans, by whichever `service` it finds.

Tests run it once with the loops compiled and once without, and compare what it wrote.
"""

from __future__ import annotations

import random
import sys

import numpy as np

from service.api.requests import decode_request
from service.events.journeys import Journeys
from service.events.vocabulary import EVENT_TYPES
from service.features import journey
from service.features.table import compute
from service.gateway.compiled import form_of_features
from tests.support import worlds
from tests.tools.hostile import odd

REQUESTS = 40


def odd_journeys() -> list[worlds.Scan]:
    """Return what the scans of `worlds` and of `hostile` do not have: a foreign lot, a sale before the end, a clone."""
    foreign = worlds.code(4_000_000, lot=worlds.OTHER_LOT, date="20260101")
    unmade = worlds.code(1, product=worlds.OTHER_PRODUCT, lot=10_004)
    off, clone = worlds.code(900_000_000, date="20250801"), worlds.code(4_003)
    back = tuple(reversed(worlds.ROUTE))
    others = [worlds.journey(item, back, types=tuple(reversed(EVENT_TYPES))) for item in (foreign, unmade, off)]
    alien = worlds.code(4_003).replace(".8804823.", ".8804824.")
    others += [worlds.journey(alien), worlds.journey(alien, hours=[hour / 1_000 for hour in worlds.HOURS])]
    return [*worlds.journey(clone), *worlds.journey(clone, worlds.DETOUR), *(scan for one in others for scan in one)]


def main() -> None:
    """Write all features of both modes, and print which modules made them."""
    rng = random.Random(11)
    asked = [decode_request(odd(rng), max_events=1_000, one_file=False).events for _ in range(REQUESTS)]
    of_world = worlds.to_events([*worlds.normal_scans()[::3], *odd_journeys()])
    found = [
        compute(Journeys.of(events), worlds.reference(), causal=causal)
        for events in (of_world, *asked)
        for causal in (False, True)
    ]
    np.savez(sys.argv[1], *found)
    print(form_of_features(), journey.__file__)


if __name__ == "__main__":
    main()
