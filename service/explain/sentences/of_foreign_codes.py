"""Why is a code of another scheme taken for a fake?

Company, product, lot and header have numbers here that stand for their texts, and are not said: whoever reads has the
code before him.
"""

# ruff: noqa: ARG001 - every sentence takes what others need
from __future__ import annotations

from service.explain.facts import Facts
from service.explain.norms import count_of
from service.explain.sentences import Sentences
from service.explain.sentences.of_codes import outside_block
from service.explain.words import Words


def _header(f: Facts, w: Words, row: int) -> str:
    return w.say("No code with the header of this one was ever issued")


def _company(f: Facts, w: Words, row: int) -> str:
    table = f.reference.company
    message = "The company of the code never issued one; {n} issued codes are of {companies} other companies"
    return w.say(message, n=w.number(table.count.sum()), companies=w.number(len(table.key)))


def _product_of_other(f: Facts, w: Words, row: int) -> str:
    message = "The product of the code is issued by another company (issued codes: {n}), never by this one"
    return w.say(message, n=w.number(count_of(f.reference.product, f.code(row).product)))


def _product(f: Facts, w: Words, row: int) -> str:
    table = f.reference.product
    message = "No code of this product was ever issued; {n} issued codes are of {products} other products"
    return w.say(message, n=w.number(table.count.sum()), products=w.number(len(table.key)))


def _lot_of_other(f: Facts, w: Words, row: int) -> str:
    message = "The lot of the code was issued for another product (issued codes: {n}), never for this one"
    return w.say(message, n=w.number(count_of(f.reference.lot, f.code(row).lot)))


def _date_invalid(f: Facts, w: Words, row: int) -> str:
    return w.say("The date of the code is no date of the calendar")


def _date_not_of_lot(f: Facts, w: Words, row: int) -> str:
    code, lot = f.code(row), f.norms.lot(f.code(row))
    if lot is None or lot.days[0] <= code.day <= lot.days[1]:
        return w.say("The date {day} is unusual for its lot", day=w.day(code.day))
    off = max(lot.days[0] - code.day, code.day - lot.days[1])
    message = "The date {day} lies {span} outside of those of its lot"
    return w.say(message, day=w.day(code.day), span=w.duration(off * 1440))


def _serial_outside(f: Facts, w: Words, row: int) -> str:
    code, lot = f.code(row), f.norms.lot(f.code(row))
    if code.serial < 0:
        return _unusual(f, w, row)
    if lot is None:
        return outside_block(f, w, row)
    low, high = lot.serials
    message = "The serial {serial} lies {off} outside of those of its lot: {n} issued codes, serials {low} to {high}"
    off = max(low - code.serial, code.serial - high, 0)
    return w.say(message, serial=code.serial, off=w.number(off), n=w.number(lot.count), low=low, high=high)


def _lot_unknown(f: Facts, w: Words, row: int) -> str:
    return w.say("No code of its lot was issued; other items of it at hand: {n}", n=w.number(f.mates.days(row)[0]))


def _unusual(f: Facts, w: Words, row: int) -> str:
    lot = f.norms.lot(f.code(row))
    if lot is None:
        return w.say("The code as a whole is unlike those that were issued; none was issued of its lot")
    message = "The code as a whole is unlike those that were issued, {n} of them of its lot"
    return w.say(message, n=w.number(lot.count))


FOREIGN_SENTENCES: Sentences = {
    "header_unknown": _header,
    "company_unknown": _company,
    "product_of_other_company": _product_of_other,
    "product_unknown": _product,
    "lot_of_other_product": _lot_of_other,
    "date_invalid": _date_invalid,
    "date_not_of_lot": _date_not_of_lot,
    "serial_outside_lot": _serial_outside,
    "lot_unknown": _lot_unknown,
    "code_unusual": _unusual,
}
"""In place of those of dotted codes."""
