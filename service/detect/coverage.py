"""How much of each file lies outside of the tables: codes, places and lanes that the model does not know.

What counts as somebody else's network is that the *products* of most codes are unknown. Lots are no sign of it: new
ones come every day, and the network was trained to meet lots that its tables lack
(`python -m tests.tools.unknown_codes` measures both).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.detect.lookups import count_codes, count_scans, look_up_codes
from service.events.codes import Codes
from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import type_index
from service.features import keys
from service.features.reference import Reference

PARTS = ("form", "header", "company", "product", "lot", "serial", "place", "lane")
"""What is looked up: of each code of a file its form, header, company, product and lot, and if the lot is known whether
the serial is one of its range; of each scan its place; of each scan after another one of the item its lane."""

MOST = 0.5
"""Share of a file above which what is unknown is the rule there, and no longer a sign of forgery or a new site.

In simulated worlds 0.5 % of the codes are of unknown products, in somebody else's network all are.
"""

LEAST_CODES, LEAST_LOTS, LEAST_SCANS = 200, 5, 200
"""A file speaks for itself from so many codes on, its unknown ones of so many lots, and from so many scans or moves.

Items of a lot come together: of fewer codes, or of one lot, a launched product would look like another network, and
the next file would have the other verdict.
"""

READ_MORE = "docs/adopt.md"

_SENTENCE = re.compile(
    rf"[0-9]+ % of the (?:codes|scans|moves) [^:]*?(?:: adopt it)?, see {re.escape(READ_MORE)}(?:; [^.]*)?\."
)

_OF_CODES = PARTS[:-2]

CODE_FORM = "header.company.product.lot.date.serial"

_Found = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was looked up of one file, and what of it the tables lack, by `PARTS`; a part that is 0 is left out."""

    looked_up: Mapping[str, int]
    unknown: Mapping[str, int]
    lots: int = 0  # of its codes
    unknown_lots: int = 0  # of its codes of unknown products
    lately: float | None = None  # where the verdict is of what was seen beside it: share of unknown products of that
    spared: bool = False  # that a code was never issued is no finding here

    def share(self, part: str) -> float:
        """Return which share of a part is unknown, 0 .. 1, 0 if there is none."""
        return self.unknown.get(part, 0) / max(self.looked_up.get(part, 0), 1)

    @property
    def speaks(self) -> bool:
        """Whether it is enough for a verdict of its own on its codes."""
        return self.looked_up.get("product", 0) >= LEAST_CODES and self.lots >= LEAST_LOTS

    @property
    def is_foreign(self) -> bool:
        """Whether the products of most codes are unknown, and enough of them to say so."""
        return self.speaks and self.unknown_lots >= LEAST_LOTS and self.share("product") > MOST

    def mostly(self, part: str, least: int) -> bool:
        """Return whether most of at least ``least`` of a part are unknown."""
        return self.looked_up.get(part, 0) >= least and self.share(part) > MOST


def coverage_warning(coverage: Coverage | None) -> str:
    """Return what to say of a file that lies outside of the tables, "" for one that does not."""
    if coverage is None:
        return ""
    said = []
    if coverage.is_foreign:
        said.append(f"{_percent(coverage.share('product'))} of the codes are of products")
    elif coverage.lately is not None:
        said.append(f"{_percent(coverage.lately)} of the codes seen lately are of products")
    if coverage.mostly("place", LEAST_SCANS):
        said.append(f"{_percent(coverage.share('place'))} of the scans are at places")
    if coverage.mostly("lane", LEAST_SCANS):
        said.append(f"{_percent(coverage.share('lane'))} of the moves are on lanes")
    spared = "; no code is epcFake for that alone" if coverage.spared else ""
    sentences = [f"{_listed(said)} that this model does not know: adopt it, see {READ_MORE}{spared}."] if said else []
    if coverage.mostly("form", LEAST_CODES):
        share = _percent(coverage.share("form"))
        sentences.append(f"{share} of the codes are not of the form {CODE_FORM}, see {READ_MORE}.")
    return " ".join(sentences)


def without_coverage(warning: str) -> str:
    """Return a warning without what `coverage_warning` says in it: of a file in parts it is said once."""
    return " ".join(_SENTENCE.sub("", warning).split())


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _percent(share: float) -> str:
    return f"{int(100 * share)} %"  # rounded down: 100 % is all


@dataclass(frozen=True, slots=True, eq=False)
class UnknownParts:
    """Which of U codes the tables lack."""

    codes: Codes
    lot: NDArray[np.int64]  # [U] `product_lot_key`
    looked_up: _Found  # [6, U] by the first of `PARTS`
    unknown: _Found  # [6, U]

    @classmethod
    def of(cls, codes: Codes, reference: Reference) -> UnknownParts:
        """Look the parts of the codes up."""
        looked_up, unknown = np.empty((2, len(_OF_CODES), len(codes.lot)), dtype=np.uint8)
        parts = codes.header, codes.company, codes.product, codes.lot, codes.serial
        look_up_codes(reference.tables, codes.well_formed.view(np.uint8), *parts, looked_up, unknown)
        lot = keys.product_lot_key(codes.product, codes.lot)
        return cls(codes, lot, looked_up.view(np.bool_), unknown.view(np.bool_))

    @property
    def header(self) -> _Found:
        """Whether [U] a code is well-formed, and its header unknown."""
        return self._of("header")

    @property
    def product(self) -> _Found:
        """Whether [U] a code is well-formed, and its company has no such product."""
        return self._of("product")

    def _of(self, part: str) -> _Found:
        found: _Found = self.unknown[PARTS.index(part)]
        return found


def measure(events: Events, unknown: UnknownParts, reference: Reference) -> dict[int, Coverage]:
    """Return how much of each file of the events lies outside of the tables, by file_id.

    Places are those of all scans; lanes are looked up in requests of `LEAST_SCANS` events or more.
    """
    if (events.file_id == events.file_id[0]).all():  # nearly always
        files, file_of = events.file_id[:1], np.zeros(len(events), dtype=np.intp)
        file, code = np.zeros(len(events.epc_codes), dtype=np.intp), np.arange(len(events.epc_codes))
    else:
        files, file_of = np.unique(events.file_id, return_inverse=True)
        file, code = np.divmod(np.unique(file_of * len(events.epc_codes) + events.epc), len(events.epc_codes))
    counts = _scans(events, file_of, len(files), reference)  # [2, files, parts]
    if len(events) < LEAST_SCANS:
        counts[:, :, PARTS.index("lane")] = 0
    count_codes(unknown.looked_up.view(np.uint8), unknown.unknown.view(np.uint8), code, file, counts)
    lots, unknown_lots = (
        _lots(unknown.lot[code[of]], file[of], len(files))
        for of in (unknown.codes.well_formed[code], unknown.product[code])
    )
    looked_up, missing = counts.tolist()
    return {
        file_id: Coverage(_named(looked_up[at]), _named(missing[at]), lots[at], unknown_lots[at])
        for at, file_id in enumerate(files.tolist())
    }


def _named(counts: list[int]) -> dict[str, int]:
    return {part: count for part, count in zip(PARTS, counts, strict=True) if count}


def _lots(lot: NDArray[np.int64], file: NDArray[np.intp], files: int) -> list[int]:
    """Return of how many lots the codes [n] of each file are."""
    if files == 1 or not len(lot):
        return [len(set(lot.tolist()))] * files
    number = np.unique(lot, return_inverse=True)[1]
    of_file: list[int] = np.bincount(np.unique(number * files + file) % files, minlength=files).tolist()
    return of_file


def _scans(events: Events, file_of: NDArray[np.intp], files: int, reference: Reference) -> NDArray[np.int64]:
    """Return what `count_scans` counts, in whatever order the events are."""
    counts = np.zeros((2, files, len(PARTS)), dtype=np.int64)
    if not _counted(events, file_of, counts, reference):
        journeys, counts[:] = Journeys.of(events), 0
        _counted(journeys.events, file_of[journeys.order], counts, reference)
    return counts


def _counted(events: Events, file_of: NDArray[np.intp], counts: NDArray[np.int64], reference: Reference) -> bool:
    last, scan = np.full((2, len(events.epc_codes)), -1, dtype=np.int64)
    columns = events.location_id, type_index(events.event_type), events.time_us, events.event_id
    return count_scans(reference.tables, events.epc, file_of, *columns, last, scan, counts)
