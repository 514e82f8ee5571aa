"""What a code that was never issued is worth: where the products of most codes are unknown, nothing.

The features that say "never issued" then have the values of a code as any other, of an item of unknown product, and
everything that judges goes by these: model, SVMs, rules, and the ensemble of them. As any other of home, where the
company is known; else as any other of another network, to all but the SVMs (`UsualCodes`). What speaks for a forgery
without the tables stays: a malformed code, a date after the scans, a lot or date unlike that of its mates, a journey
that begins downstream, a serial apart from its mates'.

A file of `coverage.LEAST_CODES` codes of `coverage.LEAST_LOTS` lots or more speaks for itself. For a smaller one the
files of its request speak together, and where these are too few, as in a stream, what the gateway has seen lately,
whose verdict changes at one share and changes back at another: so small requests do not flip between two.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.detect.coverage import LEAST_LOTS, MOST, Coverage, UnknownParts, measure
from service.detect.detector import Detector, Judgement
from service.events.codes import parse
from service.events.columns import Events
from service.features.case import Case, View
from service.features.reference import Counts, Reference
from service.features.table import INDEX
from service.runtime import threads
from service.runtime.deadline import Deadline

WINDOW, LEAST_SEEN = 2_000, 1_000
"""Codes that a gateway remembers, and from how many on they have a verdict."""

FEW = 0.25
"""Share of unknown products below which a gateway that was among unknown ones is so no longer."""

_OF_A_REQUEST = 50
"""Codes of one request that are remembered, at most: one large file is not all that a gateway sees."""

_Sample = list[tuple[int, int, bool, bool]]
"""Codes by lot and serial: whether their product, their header is unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class LookedUp:
    """What the tables lack of a request."""

    files: dict[int, Coverage]  # by file_id
    together: Coverage  # all of them
    sample: _Sample  # codes to be remembered


_FAR = ("code_product_foreign", "code_lot_foreign", "code_day_off", "code_serial_off")
"""Features that compare a code with others of the tables, 0 for one as any other."""


_OF_ANOTHER_NETWORK = {"code_header_log": 9.0, "code_company_log": 5.0}
"""What the network knows another network by, log1p of codes: 8,000 of a header, 150 of a company.

Told of as many as at home (10.7, 9.6 of the bundled tables), it takes a file for one of home, whose lanes and places it
then misses. It learned from networks of 8,000 codes (`simulate --network`). On six networks (201 to 204, and another
generator's 2 and 3) macro AP is 0.886, causally 0.828 by these, and 0.849, 0.775 by those of home, and in the worst
1.4 % of the genuine events are called forged, for 1.6 %. Of a smaller company it finds more, and calls more forged:
2.4 % at 4.
"""


class UsualCodes:
    """What most codes have in the features that count codes, at home and as the network is told elsewhere."""

    def __init__(self, reference: Reference) -> None:
        """Take the values of home from the tables."""
        self.home = {
            "code_header_log": _usual(reference.header),
            "code_company_log": _usual(reference.company),
            "code_product_log": _usual(reference.company_product),
            "code_lot_log": _usual(reference.product_lot),
        }
        self.elsewhere = {name: min(self.home[name], most) for name, most in _OF_ANOTHER_NETWORK.items()}

    def at_home(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``features`` [.., F] with those of home where those of elsewhere were told.

        For one-class SVMs: they have seen no company like that, and would flag each of its events. No counted code has
        just these values, which are no log1p of a whole number.
        """
        told = {name: features[..., INDEX[name]] == value for name, value in self.elsewhere.items()}
        if not any(rows.any() for rows in told.values()):
            return features
        features = features.copy()
        for name, rows in told.items():
            features[rows, INDEX[name]] = self.home[name]
        return features


class SeenCodes:
    """The last `WINDOW` codes that a gateway was asked about, each once. For the thread of the event loop alone."""

    def __init__(self) -> None:
        self._codes: OrderedDict[tuple[int, int], tuple[bool, bool]] = OrderedDict()
        self._unknown = self._headers = 0
        self._lots: Counter[int] = Counter()  # of the codes of unknown products
        self.is_foreign = False

    @property
    def share(self) -> float:
        """The share of codes of unknown products."""
        return self._unknown / max(len(self._codes), 1)

    @property
    def headers_too(self) -> bool:
        """Whether most headers are unknown."""
        return self._headers > MOST * len(self._codes)

    def add(self, sample: _Sample) -> None:
        """Take codes note of, and change the verdict if it is time."""
        for lot, serial, product, header in sample:
            if (lot, serial) in self._codes:
                self._codes.move_to_end((lot, serial))
                continue
            self._codes[lot, serial] = product, header
            self._count(lot, product, header, 1)
            if len(self._codes) > WINDOW:
                (old, _), (product_then, header_then) = self._codes.popitem(last=False)
                self._count(old, product_then, header_then, -1)
        if len(self._codes) >= LEAST_SEEN:
            most = self.share > MOST and len(self._lots) >= LEAST_LOTS
            self.is_foreign = most or (self.is_foreign and self.share >= FEW)

    def _count(self, lot: int, product: bool, header: bool, by: int) -> None:
        self._headers += by * header
        if product:
            self._unknown += by
            self._lots[lot] += by
            if not self._lots[lot]:
                del self._lots[lot]


@dataclass(frozen=True, slots=True, eq=False)
class Spared:
    """In which files of a request a code that was never issued is no finding."""

    files: Mapping[int, Coverage]  # all of them, by file_id
    headers: frozenset[int]  # those where a header that was never issued is none either

    @property
    def spared(self) -> list[int]:
        """Return the file_ids."""
        return [file_id for file_id, coverage in self.files.items() if coverage.spared]


class UnknownCodes:
    """Decides of each file whether its unknown codes are somebody else's network."""

    def __init__(self, reference: Reference, *, spared: bool) -> None:
        """Args: ``spared`` is whether anything follows from it, but for the warning."""
        self.reference = reference
        self._spared = spared
        self._seen = SeenCodes()
        self._whole: dict[int, Coverage] = {}
        self._usual = UsualCodes(reference)

    def know_whole(self, events: Events) -> None:
        """Take the verdict on the files of these events, of which requests are parts."""
        whole = self.look(events)
        self._whole = {file_id: _beside(one, whole.together) for file_id, one in whole.files.items()}

    def look(self, events: Events) -> LookedUp:
        """Return how much of each file is unknown; in any thread."""
        unknown = UnknownParts.of(parse(events.epc_codes), self.reference)
        files = measure(events, unknown, self.reference)
        together = next(iter(files.values()))
        if len(files) > 1:
            as_one = replace(events, file_id=np.zeros_like(events.file_id))
            together = measure(as_one, unknown, self.reference)[0]
        return LookedUp(files, together, _sample(unknown))

    def decide(self, looked: LookedUp) -> Spared:
        """Return in which files unknown codes are spared; in the thread of the event loop."""
        seen = self._seen
        seen.add(looked.sample)
        files, headers = {}, set()
        for file_id, measured in looked.files.items():
            coverage = self._whole[file_id] if file_id in self._whole else _beside(measured, looked.together)
            if not (coverage.speaks or looked.together.speaks) and seen.is_foreign and coverage.unknown.get("product"):
                coverage = replace(coverage, lately=seen.share)
            if coverage.is_foreign or coverage.lately is not None:
                coverage = replace(coverage, spared=self._spared)
                if coverage.mostly("header", 1) and (coverage.speaks or seen.headers_too):
                    headers.add(file_id)
            files[file_id] = coverage
        return Spared(files, frozenset(headers))

    def without_tables(self, view: View, spared: Spared) -> View:
        """Return the view with its case, whose codes of unknown products in the spared files look as any other."""
        case = view.case(self.reference)
        features = case.features.copy()
        unknown = (features[:, INDEX["code_well_formed"]] > 0) & (features[:, INDEX["code_product_log"]] == 0)
        of_others = _of_files(view, case, spared.spared)
        unknown &= of_others
        strange = unknown & (features[:, INDEX["code_company_log"]] == 0)
        for name, value in self._usual.home.items():
            of = unknown & _of_files(view, case, list(spared.headers)) if name == "code_header_log" else unknown
            features[of, INDEX[name]] = value
        for name, value in self._usual.elsewhere.items():
            features[strange & (features[:, INDEX[name]] > 0), INDEX[name]] = value  # a header may be as unknown still
        for name in _FAR:
            features[unknown, INDEX[name]] = 0
        return replace(view, given=replace(case, features=features, spared=of_others), given_by=self.reference)


def _beside(file: Coverage, together: Coverage) -> Coverage:
    """Return a file with the verdict of all files of its request, where it is too small for its own."""
    if file.speaks or not together.is_foreign or not file.unknown.get("product"):
        return file
    return replace(file, lately=together.share("product"))


def _sample(unknown: UnknownParts) -> _Sample:
    """Return codes of a request, evenly over it; of malformed ones there is nothing to say."""
    at = np.flatnonzero(unknown.codes.well_formed)
    if len(at) > _OF_A_REQUEST:
        at = at[np.linspace(0, len(at) - 1, _OF_A_REQUEST).astype(np.intp)]
    columns = unknown.lot[at], unknown.codes.serial[at], unknown.product[at], unknown.header[at]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _of_files(view: View, case: Case, files: list[int]) -> NDArray[np.bool_]:
    """Return which events [N] of a case are of items that any of the files has."""
    events = case.journeys.events
    items = np.zeros(len(events.epc_codes), dtype=np.bool_)
    # By the events that are asked for: those of the history, a repeated one too, are of no file.
    items[events.epc[case.rows[np.isin(view.events.file_id, files)]]] = True
    return items[events.epc]


def _usual(table: Counts) -> float:
    """Return log1p of how often what most codes have is there: the median over codes; 0 of an empty table."""
    if not table.count.sum():
        return 0.0
    by_count = np.sort(table.count)
    return float(np.log1p(by_count[np.searchsorted(by_count.cumsum(), by_count.sum() / 2)]))


@dataclass(frozen=True, slots=True)
class SparesUnknown:
    """Lets a detector judge codes of unknown products without the tables, where such codes are the rule."""

    detector: Detector
    unknown: UnknownCodes

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`."""
        looked = await threads.run(threads.COVERAGE, partial(self.unknown.look, view.events), len(view))
        found = self.unknown.decide(looked)
        if not found.spared:
            return replace(await self.detector.judge(view, deadline), coverage=found.files)
        work = partial(self.unknown.without_tables, view, found)
        view = await threads.run(threads.ALWAYS_OFF, work, len(view))
        judgement = await self.detector.judge(view, deadline)
        return replace(judgement, coverage=found.files, case=view.given)
