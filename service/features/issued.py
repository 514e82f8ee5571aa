"""Features of a code: its parts against what was issued. Compiled; see `service.features`."""

from __future__ import annotations

import cython
from cython.cimports.libc.math import asinh, log1p

from service.events import foreign
from service.features import keys

if cython.compiled:
    from cython.cimports.service.features.columns import Columns

LOTS = cython.declare(cython.longlong, keys.LOTS)
NO_DAY = cython.declare(cython.longlong, foreign.NO_DAY)
PRODUCTS = cython.declare(cython.longlong, keys.PRODUCTS)


def code_rows(c: Columns) -> None:
    """Write the features that a code has by itself, in ``of_code``."""
    u: cython.Py_ssize_t
    for u in range(c.codes):
        code_row(c, u)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def code_row(c: Columns, u: cython.Py_ssize_t) -> cython.void:
    """Write the features of one code."""
    product: cython.longlong = c.product[u]
    of_pair: cython.double = c.tables.company_product.count_of(c.company[u] * PRODUCTS + product)
    lot: cython.int = c.tables.product_lot.find(product * LOTS + c.lot[u])
    of_lot: cython.double = c.tables.product_lot.count_at(lot)
    c.of_code[u].code_well_formed = c.well_formed[u]
    c.of_code[u].code_header_log = log1p(c.tables.header.count_of(c.header[u]))
    c.of_code[u].code_company_log = log1p(c.tables.company.count_of(c.company[u]))
    c.of_code[u].code_product_log = log1p(of_pair)
    c.of_code[u].code_product_foreign = of_pair == 0 and c.tables.product.count_of(product) > 0
    c.of_code[u].code_lot_log = log1p(of_lot)
    c.of_code[u].code_lot_foreign = of_lot == 0 and c.tables.lot.count_of(c.lot[u]) > 0
    c.of_code[u].code_date_valid = c.date_valid[u] or c.day[u] == NO_DAY
    if lot >= 0 and c.date_valid[u]:
        c.of_code[u].code_day_off = outside(c.day[u], c.tables.lot_day[lot, 0], c.tables.lot_day[lot, 1])
    if lot >= 0 and c.serial[u] >= 0:
        step: cython.double = c.tables.serial_step
        low: cython.double = c.tables.lot_serial[lot, 0] / step
        c.of_code[u].code_serial_off = outside(c.serial[u] / step, low, c.tables.lot_serial[lot, 1] / step)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def outside(value: cython.double, low: cython.double, high: cython.double) -> cython.double:
    """Return asinh of how far a value lies outside of a range, 0 inside."""
    return asinh(max(value - high, 0.0) - max(low - value, 0.0))
