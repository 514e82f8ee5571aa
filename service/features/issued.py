"""Features of a code: its parts against what was issued. Compiled; see `service.features`."""

from __future__ import annotations

import cython
from cython.cimports.libc.math import asinh, log1p

if cython.compiled:
    from cython.cimports.service.features.row import Row
    from cython.cimports.service.features.tables import Tables

_LOTS = cython.declare(cython.longlong, 10**6)  # as in `keys`
_PRODUCTS = cython.declare(cython.longlong, 10**7)


def code_rows(rows: Row[::1], parts, tables: Tables) -> None:  # noqa: ANN001
    """Write the features that a code has by itself in ``rows`` [U], for `codes.Codes` of U codes."""
    well_formed: cython.uchar[::1] = parts.well_formed.view("u1")
    date_valid: cython.uchar[::1] = parts.date_valid.view("u1")
    header: cython.longlong[::1] = parts.header
    company: cython.longlong[::1] = parts.company
    product: cython.longlong[::1] = parts.product
    lot: cython.longlong[::1] = parts.lot
    day: cython.longlong[::1] = parts.day
    serial: cython.longlong[::1] = parts.serial
    u: cython.Py_ssize_t
    row: cython.int
    with cython.nogil:
        for u in range(rows.shape[0]):
            of_pair: cython.double = tables.company_product.count_of(company[u] * _PRODUCTS + product[u])
            row = tables.product_lot.find(product[u] * _LOTS + lot[u])
            rows[u].code_well_formed = well_formed[u]
            rows[u].code_header_log = log1p(tables.header.count_of(header[u]))
            rows[u].code_company_log = log1p(tables.company.count_of(company[u]))
            rows[u].code_product_log = log1p(of_pair)
            rows[u].code_product_foreign = of_pair == 0 and tables.product.count_of(product[u]) > 0
            rows[u].code_lot_log = log1p(tables.product_lot.count_at(row))
            rows[u].code_lot_foreign = tables.product_lot.count_at(row) == 0 and tables.lot.count_of(lot[u]) > 0
            rows[u].code_date_valid = date_valid[u]
            if row >= 0 and date_valid[u]:
                rows[u].code_day_off = outside(day[u], tables.lot_day[row, 0], tables.lot_day[row, 1])
            if row >= 0:
                rows[u].code_serial_off = outside(serial[u], tables.lot_serial[row, 0], tables.lot_serial[row, 1])


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def outside(value: cython.double, low: cython.double, high: cython.double) -> cython.double:
    """Return asinh of how far a value lies outside of a range, 0 inside."""
    return asinh(max(value - high, 0.0) - max(low - value, 0.0))
