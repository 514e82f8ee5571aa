"""Why is a code taken for a fake?"""

from __future__ import annotations

from service.events.vocabulary import START
from service.explain.facts import Facts
from service.explain.norms import count_of
from service.explain.scans import Code
from service.explain.sentences import Sentences
from service.explain.words import Words, shown


def _malformed(f: Facts, w: Words, row: int) -> str:
    text = f.code(row).text
    if why := f.why_malformed(row):
        message = "The code {code} of {n} characters is none of the network's scheme: {why}"
        return w.say(message, code=shown(text), n=w.number(len(text)), why=w.say(why.message, **why.values))
    message = (
        "The code {code} of {n} characters is not of the form header.company.product.lot.date.serial (45 characters)"
    )
    return w.say(message, code=shown(text), n=w.number(len(text)))


def _header(f: Facts, w: Words, row: int) -> str:
    table, header = f.reference.header, f"{f.code(row).header:03d}"
    if not len(table.key):
        return w.say("No code with header {header} was ever issued", header=header)
    message = "No code with header {header} was ever issued; {n} of {total} issued codes have header {most}"
    most = int(table.count.argmax())
    numbers = {"n": w.number(table.count[most]), "total": w.number(table.count.sum())}
    return w.say(message, header=header, most=f"{int(table.key[most]):03d}", **numbers)


def _company(f: Facts, w: Words, row: int) -> str:
    table, company = f.reference.company, f"{f.code(row).company:07d}"
    message = "Company {company} never issued a code; {n} issued codes are of {companies} other companies"
    if len(table.key) == 1:
        only = f"{int(table.key[0]):07d}"
        message = "Company {company} never issued a code; all {n} issued codes are of company {only}"
        return w.say(message, company=company, n=w.number(table.count.sum()), only=only)
    return w.say(message, company=company, n=w.number(table.count.sum()), companies=w.number(len(table.key)))


def _product_of_other(f: Facts, w: Words, row: int) -> str:
    code = f.code(row)
    owner = f.norms.owner_of_product(code.product)
    if owner is None:
        return _product(f, w, row)
    message = "Product {product} is issued by company {owner} (issued codes: {n}), never by company {company}"
    numbers = {"owner": f"{owner[0]:07d}", "company": f"{code.company:07d}"}
    return w.say(message, product=f"{code.product:07d}", n=w.number(owner[1]), **numbers)


def _product(f: Facts, w: Words, row: int) -> str:
    code = f.code(row)
    message = "Company {company} never issued product {product}; its {n} issued codes are of {products} other products"
    return w.say(
        message,
        company=f"{code.company:07d}",
        product=f"{code.product:07d}",
        n=w.number(count_of(f.reference.company, code.company)),
        products=w.number(f.norms.products_of(code.company)),
    )


def _lot_of_other(f: Facts, w: Words, row: int) -> str:
    code = f.code(row)
    names = {"lot": f"{code.lot:06d}", "product": f"{code.product:07d}"}
    owner = f.norms.owner_of_lot(code.lot)
    if owner is not None and f.norms.lot(code) is None:
        message = "Lot {lot} was issued for product {owner} (issued codes: {n}), never for product {product}"
        return w.say(message, owner=f"{owner[0]:07d}", n=w.number(owner[1]), **names)
    total, own, other = f.mates.products(row)
    if other is None:
        return w.say("Lot {lot} is not known as one of product {product}", **names)
    message = "Other items of lot {lot} at hand: {total}, of product {product}: {n}; most are of product {other}"
    return w.say(message, total=w.number(total), n=w.number(own), other=f"{other:07d}", **names)


def _lot_unknown(f: Facts, w: Words, row: int) -> str:
    code, (items, _, _) = f.code(row), f.mates.days(row)
    message = "No code of lot {lot} of product {product} was issued; other items of it at hand: {n}"
    return w.say(message, lot=f"{code.lot:06d}", product=f"{code.product:07d}", n=w.number(items))


def _date_invalid(f: Facts, w: Words, row: int) -> str:
    code = f.code(row)
    said = w.say("{date} is no date of the calendar", date=f"{code.date:08d}")
    return said + _dates_of_lot(f, w, code)


def _dates_of_lot(f: Facts, w: Words, code: Code) -> str:
    """Return the second half of a sentence: when the lot was made, "" if that is not known."""
    lot = f.norms.lot(code)
    if lot is None:
        return ""
    first, last = (w.day(day) for day in lot.days)
    if first == last:
        message = "; the {n} issued codes of lot {lot} are all of {day}"
        return w.say(message, n=w.number(lot.count), lot=f"{code.lot:06d}", day=first)
    message = "; the {n} issued codes of lot {lot} are of {first} to {last}"
    return w.say(message, n=w.number(lot.count), lot=f"{code.lot:06d}", first=first, last=last)


def _date_after_scan(f: Facts, w: Words, row: int) -> str:
    code, first = f.code(row), f.first(row)
    message = "First scanned at {time}, {span} before the day on which the code says it was made, {day}"
    before = code.day * 1440 - first.local_us / 60e6
    return w.say(message, time=w.time(first.local_us), span=w.duration(max(before, 0.0)), day=w.day(code.day))


def _date_not_of_lot(f: Facts, w: Words, row: int) -> str:
    code = f.code(row)
    lot = f.norms.lot(code)
    if lot is not None and not lot.days[0] <= code.day <= lot.days[1]:
        off = max(lot.days[0] - code.day, code.day - lot.days[1])
        message = "The date {day} lies {span} outside of those of its lot"
        return w.say(message, day=w.day(code.day), span=w.duration(off * 1440)) + _dates_of_lot(f, w, code)
    total, same, other = f.mates.days(row)
    if other is None:
        return w.say("The date {day} is unusual for its lot", day=w.day(code.day)) + _dates_of_lot(f, w, code)
    message = "Of {total} mates at hand, {n} have the date {day}; most have {other}"
    return w.say(message, total=w.number(total), n=w.number(same), day=w.day(code.day), other=w.day(other))


def _downstream(f: Facts, w: Words, row: int) -> str:
    first = f.first(row)
    begins = f.reference.type_pair[START]
    most = int(begins.argmax())
    said = w.say("The journey begins with {scan}", scan=w.scan(first.kind, first.location_id))
    if not begins[most]:
        return said
    message = "; {n} of {total} normal journeys begin with {type}"
    return said + w.say(message, n=w.number(begins[most]), total=w.number(begins.sum()), type=w.type(most))


def _serial_outside(f: Facts, w: Words, row: int) -> str:
    code = f.code(row)
    lot = f.norms.lot(code)
    if lot is None:
        return outside_block(f, w, row)
    low, high = lot.serials
    message = "The serial {serial} lies {off} outside of those of lot {lot}: {n} issued codes, serials {low} to {high}"
    off = max(low - code.serial, code.serial - high, 0)
    numbers = {"off": w.number(off), "n": w.number(lot.count), "lot": f"{code.lot:06d}"}
    return w.say(message, serial=code.serial, low=low, high=high, **numbers)


def outside_block(f: Facts, w: Words, row: int) -> str:
    """Say how far the serial is from those of the lot's other items at hand."""
    serial, block = f.code(row).serial, f.mates.block(row)
    if block is None or block.low <= serial <= block.high:
        return _unusual(f, w, row)
    message = (
        "The serial {serial} lies {off} outside of those of its lot: of {total} other items at hand {n} have serials"
        " {low} to {high}"
    )
    off = max(block.low - serial, serial - block.high)
    numbers = {"off": w.number(off), "n": w.number(block.within), "total": w.number(block.items)}
    return w.say(message, serial=serial, low=block.low, high=block.high, **numbers)


def _never_shipped(f: Facts, w: Words, row: int) -> str:
    code, scan = f.code(row), f.scan(row)
    serials = f.mates.serials(row)
    if len(serials):
        message = "The serial is {serial}; mates with {scan} next to it: {n}, with serials {serials}"
        listed = ", ".join(str(serial) for serial in sorted(serials.tolist()))  # all: they may be of two shipments
        where = w.scan(scan.kind, scan.location_id)
        return w.say(message, serial=code.serial, n=w.number(len(serials)), scan=where, serials=listed)
    nearest = f.mates.nearest_serial(row)
    if nearest is None:
        return w.say("No mate of serial {serial} is at hand", serial=code.serial)
    message = "No mate of serial {serial} has {scan}; the nearest serial of its lot at hand is {nearest}"
    return w.say(message, serial=code.serial, scan=w.scan(scan.kind, scan.location_id), nearest=nearest)


def _unusual(f: Facts, w: Words, row: int) -> str:
    code = f.code(row)
    lot = f.norms.lot(code)
    if lot is None:
        message = "The code {code} as a whole is unlike those that were issued; none was issued of its lot"
        return w.say(message, code=shown(code.text))
    message = "The code {code} as a whole is unlike those that were issued, {n} of them of its lot"
    return w.say(message, code=shown(code.text), n=w.number(lot.count))


SENTENCES: Sentences = {
    "code_malformed": _malformed,
    "header_unknown": _header,
    "company_unknown": _company,
    "product_of_other_company": _product_of_other,
    "product_unknown": _product,
    "lot_of_other_product": _lot_of_other,
    "date_invalid": _date_invalid,
    "date_after_scan": _date_after_scan,
    "date_not_of_lot": _date_not_of_lot,
    "first_seen_downstream": _downstream,
    "serial_outside_lot": _serial_outside,
    "lot_unknown": _lot_unknown,
    "serial_never_shipped": _never_shipped,
    "code_unusual": _unusual,
}
