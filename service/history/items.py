"""Codes as the history names them: the log of each, its item inside its lot, and the counts that it is part of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import factorize
from service.events.foreign import MARK
from service.events.groups import Index
from service.events.hash_table import mix

ALL_ITEMS = b"all"

FOREIGN = MARK.encode()
"""What the logs of codes of other schemes begin with."""

ITEM_ROWS, ITEM, EVENT = np.array([[20], [21], [22]]), 23, 24
"""Meanings of hashes (`hash_table.mix`): items, lots and days of lots in an index; items of a lot; events of an item.

Lower ones are those of the groups of `features.mates`.
"""

EVENT_COLUMNS = ("event_id", "time_us", "location_id", "event_type", "step")
"""What tells an event from the others of its item: ids alone are not for ever, as where rows of a file are numbered."""


@dataclass(frozen=True, slots=True, eq=False)
class NamedItems:
    """U codes as the history names them."""

    parts: codes.Codes
    log_keys: Sequence[bytes]  # [L] the distinct logs
    log_of: Index  # [U]
    item: NDArray[np.int64]  # [U] hash of the item inside its lot
    count_keys: Sequence[bytes]  # [C] the distinct counts; the first is that of all items
    count_of: Mapping[str, Index]  # product, number, number_product: [U] index into count_keys, 0 if malformed

    @classmethod
    def of(cls, epc_codes: Sequence[str]) -> NamedItems:
        parts = codes.parse(epc_codes)
        well_formed = parts.well_formed.tolist()
        log_of, logs = factorize([_log_name(code, of) for code, of in zip(epc_codes, well_formed, strict=True)])
        counts: dict[bytes, int] = {ALL_ITEMS: 0}
        log_keys = [name.encode(errors="surrogatepass") for name in logs]
        of_log = [[counts.setdefault(one, len(counts)) for one in count_keys(key)] or [0, 0, 0] for key in log_keys]
        by_log = np.array(of_log, dtype=np.intp).reshape(-1, 3)[log_of]
        return cls(
            parts=parts,
            log_keys=log_keys,
            log_of=log_of.astype(np.intp),
            item=item_hash(parts.header, parts.date, parts.serial),
            count_keys=list(counts),
            count_of=dict(zip(("product", "number", "number_product"), by_log.T, strict=True)),
        )


def product_number(parts: codes.Codes, lot: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number [U] of the product of each code, given that of its ``lot`` [U]; a malformed one is alone."""
    return np.where(parts.well_formed, parts.company * 10_000_000 + parts.product, -1 - lot)


def count_keys(log_key: bytes) -> tuple[bytes, ...]:
    """Return the counts that the items of a log are part of: product, number, number_product; none if malformed."""
    if log_key[:1] in b"?#":
        return ()
    if log_key[:1] == FOREIGN:
        company, product, lot = log_key[1:].split(b".")
        return b"product:~%b.%b" % (company, product), b"number:~" + lot, b"both:~%b.%b" % (product, lot)
    return b"product:" + log_key[:15], b"number:" + log_key[16:], b"both:" + log_key[8:]


def _log_name(code: str, well_formed: bool) -> str:
    """Return the name of the log of a code; one of its own, and as short as others, if malformed."""
    if well_formed:
        return code[4:26] if code[:1] != MARK else MARK + ".".join(code.split(".")[1:4])
    text = code.encode(errors="surrogatepass")
    return "?" + code if len(text) < 32 else "#" + hashlib.blake2b(text, digest_size=16).hexdigest()


def item_hash(header: NDArray[np.integer], date: NDArray[np.integer], serial: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the hash [n] that tells an item from the others of its lot."""
    return mix(ITEM, header, date, serial)
