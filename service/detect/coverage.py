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

from service.events.codes import Codes
from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import type_index
from service.features import keys
from service.features.reference import Counts, Reference

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
    header: _Found  # [U] of well-formed codes
    product: _Found  # [U] the product of the company, of well-formed codes
    of_code: Mapping[str, tuple[_Found, _Found]]  # [U] looked up, [U] unknown

    @classmethod
    def of(cls, codes: Codes, reference: Reference) -> UnknownParts:
        """Look the parts of the codes up."""
        well, everyone = codes.well_formed, np.ones(len(codes.lot), dtype=np.bool_)
        lot = keys.product_lot_key(codes.product, codes.lot)
        row = reference.product_lot.find(lot)
        in_lot = well & (row < len(reference.product_lot.key))
        header = well & _unknown(reference.header, codes.header)
        product = well & _unknown(reference.company_product, keys.company_product_key(codes.company, codes.product))
        of_code = {
            "form": (everyone, ~well),
            "header": (well, header),
            "company": (well, well & _unknown(reference.company, codes.company)),
            "product": (well, product),
            "lot": (well, well & ~in_lot),
            "serial": (in_lot, _outside(reference, row, in_lot, codes.serial)),
        }
        return cls(codes, lot, header, product, of_code)


def _unknown(table: Counts, wanted: NDArray[np.int64]) -> _Found:
    missing: _Found = table.find(wanted) == len(table.key)
    return missing


def _outside(reference: Reference, row: NDArray[np.intp], in_lot: _Found, serial: NDArray[np.int64]) -> _Found:
    outside = np.zeros(len(serial), dtype=np.bool_)
    low, high = reference.lot_serial[row[in_lot]].T
    outside[in_lot] = (serial[in_lot] < low) | (serial[in_lot] > high)
    return outside


def measure(events: Events, unknown: UnknownParts, reference: Reference) -> dict[int, Coverage]:
    """Return how much of each file of the events lies outside of the tables, by file_id.

    Places are those of all scans; lanes are looked up in requests of `LEAST_SCANS` events or more.
    """
    if (events.file_id == events.file_id[0]).all():  # nearly always
        return {int(events.file_id[0]): _of_one_file(events, unknown, reference)}
    files, file_of = np.unique(events.file_id, return_inverse=True)
    file, epc = np.divmod(np.unique(file_of * len(events.epc_codes) + events.epc), len(events.epc_codes))
    counts: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for part, (looked_up, missing) in unknown.of_code.items():
        counts[part] = _by_file(file, looked_up[epc], len(files)), _by_file(file, missing[epc], len(files))
    away = reference.place_of(events.location_id) == len(reference.location_id)
    counts["place"] = np.bincount(file_of, minlength=len(files)), _by_file(file_of, away, len(files))
    if len(events) >= LEAST_SCANS:
        counts["lane"] = _lanes(events, file_of, len(files), reference)
    lots, unknown_lots = (
        _lots(unknown, epc[of], file[of], len(files)) for of in (unknown.codes.well_formed[epc], unknown.product[epc])
    )

    def of_file(column: int, at: int) -> dict[str, int]:
        return {part: int(count[column][at]) for part, count in counts.items() if count[column][at]}

    return {
        file_id: Coverage(of_file(0, at), of_file(1, at), int(lots[at]), int(unknown_lots[at]))
        for at, file_id in enumerate(files.tolist())
    }


def _of_one_file(events: Events, unknown: UnknownParts, reference: Reference) -> Coverage:
    """Return the same of events that are all of one file, for which sums will do."""
    count = np.count_nonzero
    counts = {part: (int(count(each)), int(count(missing))) for part, (each, missing) in unknown.of_code.items()}
    away = reference.place_of(events.location_id) == len(reference.location_id)
    counts["place"] = len(events), int(count(away))
    if len(events) >= LEAST_SCANS:
        [followed], [missed] = _lanes(events, np.zeros(len(events), dtype=np.intp), 1, reference)
        counts["lane"] = int(followed), int(missed)
    lots, unknown_lots = (len(np.unique(unknown.lot[of])) for of in (unknown.codes.well_formed, unknown.product))
    looked_up, missing = ({part: pair[column] for part, pair in counts.items() if pair[column]} for column in (0, 1))
    return Coverage(looked_up, missing, lots, unknown_lots)


def _by_file(file: NDArray[np.intp], counted: _Found, files: int) -> NDArray[np.int64]:
    return np.bincount(file[counted], minlength=files)


def _lots(unknown: UnknownParts, epc: NDArray[np.intp], file: NDArray[np.intp], files: int) -> NDArray[np.int64]:
    """Return of how many lots the codes [n] of each file are."""
    if not len(epc):
        return np.zeros(files, dtype=np.int64)
    lot = np.unique(unknown.lot[epc], return_inverse=True)[1]
    of_file = np.unique(lot * files + file) % files
    return np.bincount(of_file, minlength=files)


def _lanes(
    events: Events, file_of: NDArray[np.intp], files: int, reference: Reference
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many scans of each file follow one of their item, and on how many lanes that nobody took."""
    journeys = Journeys.of(events)
    scan = keys.scan_key(reference.place_of(journeys.events.location_id), type_index(journeys.events.event_type))
    follows = journeys.position > 0
    missing = np.zeros(len(scan), dtype=np.bool_)
    missing[1:] = _unknown(reference.lane, reference.lane_key(scan[:-1], scan[1:]))
    file = file_of[journeys.order]
    return _by_file(file, follows, files), _by_file(file, follows & missing, files)
