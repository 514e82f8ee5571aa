"""Why is an item at the wrong place?"""

from __future__ import annotations

from service.explain.facts import Facts
from service.explain.mates import Went
from service.explain.norms import Favourite
from service.explain.sentences import Sentences
from service.explain.words import Words

_FEW = 0.3
"""Share of the mates below which an item that is here is apart from them."""


def _levels(f: Facts, w: Words, row: int) -> str:
    scan, before = f.scan(row), f.previous(row)
    if before is None or scan.level < 0 or before.level < 0:
        return _unusual(f, w, row)
    names = {
        "before": w.level(before.level),
        "level": w.level(scan.level),
        "place_before": before.location_id,
        "place": scan.location_id,
    }
    between = f.levels_between(before.level, scan.level)
    if scan.level < before.level:
        message = "Backwards from {before} (place {place_before}) to {level} (place {place}), {n} level"
        many = "Backwards from {before} (place {place_before}) to {level} (place {place}), {n} levels"
        return w.count(message, many, len(between) + 1, **names)
    if not between:
        return w.say("From {before} (place {place_before}) to {level} (place {place})", **names)
    message = "From {before} (place {place_before}) to {level} (place {place}) without {skipped}"
    return w.say(message, skipped=", ".join(map(w.level, between)), **names)


def _most(w: Words, favourite: Favourite | None, location_id: int) -> str:
    """Return the second half of a sentence: where most are, "" if that is not known, or here."""
    if favourite is None or favourite[1] == location_id:
        return ""
    message = "; most are {scan} ({n})"
    return w.say(message, scan=w.scan(favourite[0], favourite[1]), n=w.number(favourite[2]))


def _not_of_product(f: Facts, w: Words, row: int) -> str:
    scan, code = f.scan(row), f.code(row)
    here, total, favourite = f.norms.of_product(code.product, scan)
    names = {"place": scan.location_id, "type": w.type(scan.kind), "product": f"{code.product:07d}"}
    if not total:
        return w.say(
            "No normal scan of type {type} of product {product} is known, at place {place} or elsewhere", **names
        )
    message = "{n} of {total} normal scans of type {type} of product {product} are at place {place}"
    said = w.say(message, n=w.number(here), total=w.number(total), **names)
    return said + _most(w, favourite, scan.location_id)


def _lane(f: Facts, w: Words, row: int) -> str:
    scan, before = f.scan(row), f.previous(row)
    total, favourite = f.norms.lanes_from(before)
    here = f.norms.lane_count(before, scan)
    if before is None:
        message = "{n} of {total} normal journeys begin with {scan}"
        names = {"scan": w.scan(scan.kind, scan.location_id)}
    elif not total:
        message = "{scan} after {before}, of which no normal scan is known"
        names = {"scan": w.scan(scan.kind, scan.location_id), "before": w.scan(before.kind, before.location_id)}
    else:
        message = "After {before}, {n} of {total} normal items come to {scan}"
        names = {"scan": w.scan(scan.kind, scan.location_id), "before": w.scan(before.kind, before.location_id)}
    said = w.say(message, n=w.number(here), total=w.number(total), **names)
    return said + _most(w, favourite, scan.location_id)


def _apart(f: Facts, w: Words, row: int) -> str:
    """Say what `causes` asks in its order: of the same shipment, of the same leg, of scans of the type."""
    scan, before = f.scan(row), f.previous(row)
    names: dict[str, object] = {"scan": w.scan(scan.kind, scan.location_id)}
    shipment = f.mates.shipment(row)
    if _is_apart(shipment):
        if before is None:
            message = "Of {total} mates that began in the same two hours, {n} began with {scan}"
        else:
            message = "Of {total} mates that left place {from_place} in the same two hours, {n} came to {scan}"
        return _of_mates(w, message, shipment, names | {"from_place": before.location_id if before else 0})
    left = f.mates.left(row)
    if before is not None and _is_apart(left):
        message = "Of {total} mates that left place {from_place}, {n} came to {scan}"
        return _of_mates(w, message, left, names | {"from_place": before.location_id})
    scanned = f.mates.scanned(row)
    if _is_apart(scanned):
        message = "Of {total} scans of this type of its mates, {n} were {scan}"
        return _of_mates(w, message, scanned, names)
    return _lane(f, w, row)


def _is_apart(went: Went) -> bool:
    return went.count > 0 and (went.here + 0.5) / (went.count + 1) < _FEW


def _of_mates(w: Words, message: str, went: Went, names: dict[str, object]) -> str:
    said = w.say(message, total=w.number(went.count), n=w.number(went.here), **names)
    if went.elsewhere is None:
        return said
    return said + w.say("; {n} were scanned next at place {place}", n=w.number(went.most), place=went.elsewhere)


def _unusual(f: Facts, w: Words, row: int) -> str:
    scan = f.scan(row)
    count = f.norms.scan_count(scan)
    where = w.scan(scan.kind, scan.location_id)
    if scan.place == len(f.reference.location_id):
        return w.say("{scan}: this place is not known", scan=where)
    message = "{scan}: the places as a whole are unusual; {n} normal scan like it is known"
    many = "{scan}: the places as a whole are unusual; {n} normal scans like it are known"
    return w.count(message, many, count, scan=where)


SENTENCES: Sentences = {
    "level_reversed": _levels,
    "level_skipped": _levels,
    "place_not_of_product": _not_of_product,
    "lane_never_used": _lane,
    "apart_from_mates": _apart,
    "place_unusual": _unusual,
}
