"""Which parts of codes, and which scans, the tables know: one pass over each. Compiled; see `service.features`."""

from __future__ import annotations

import cython

from service.events import vocabulary
from service.features import columns, keys

if cython.compiled:
    from cython.cimports.service.features.tables import Tables

LOTS = cython.declare(cython.longlong, keys.LOTS)
PRODUCTS = cython.declare(cython.longlong, keys.PRODUCTS)
TYPES = cython.declare(cython.longlong, vocabulary.TYPES)
PLACE = cython.declare(cython.Py_ssize_t, 6)
LANE = cython.declare(cython.Py_ssize_t, 7)
RELEASED_FROM = cython.declare(cython.Py_ssize_t, columns.RELEASED_FROM)


def look_up_codes(  # noqa: PLR0913, PLR0917 - columns
    tables: Tables,
    well_formed: cython.const[cython.uchar][::1],
    header: cython.const[cython.longlong][::1],
    company: cython.const[cython.longlong][::1],
    product: cython.const[cython.longlong][::1],
    lot: cython.const[cython.longlong][::1],
    serial: cython.const[cython.longlong][::1],
    looked_up: cython.uchar[:, ::1],
    unknown: cython.uchar[:, ::1],
) -> None:
    """Tell what of U codes is looked up [6, U], and what is not there [6, U]: 1, else 0.

    The rows are the form, header, company, product of the company, lot of the product, and serial of the lot.
    """
    u: cython.Py_ssize_t
    part: cython.Py_ssize_t
    for u in range(well_formed.shape[0]):
        for part in range(6):
            looked_up[part, u], unknown[part, u] = well_formed[u] and part < 5, 0
        looked_up[0, u] = 1
        if not well_formed[u]:
            unknown[0, u] = 1
            continue
        unknown[1, u] = tables.header.find(header[u]) < 0
        unknown[2, u] = tables.company.find(company[u]) < 0
        unknown[3, u] = tables.company_product.find(company[u] * PRODUCTS + product[u]) < 0
        row: cython.int = tables.product_lot.find(product[u] * LOTS + lot[u])
        unknown[4, u] = row < 0
        if row >= 0:
            looked_up[5, u] = 1
            unknown[5, u] = serial[u] < tables.lot_serial[row, 0] or serial[u] > tables.lot_serial[row, 1]


def count_codes(
    looked_up: cython.const[cython.uchar][:, ::1],
    unknown: cython.const[cython.uchar][:, ::1],
    code: cython.const[cython.Py_ssize_t][::1],
    file_of: cython.const[cython.Py_ssize_t][::1],
    counts: cython.longlong[:, :, ::1],
) -> None:
    """Count C pairs of a code and a file in counts [0, files, part] if looked up, [1, files, part] if unknown."""
    i: cython.Py_ssize_t
    part: cython.Py_ssize_t
    for part in range(looked_up.shape[0]):
        for i in range(code.shape[0]):
            counts[0, file_of[i], part] += looked_up[part, code[i]]
            counts[1, file_of[i], part] += unknown[part, code[i]]


def count_scans(  # noqa: PLR0913, PLR0917 - columns
    tables: Tables,
    epc: cython.const[cython.int][::1],
    file_of: cython.const[cython.Py_ssize_t][::1],
    location_id: cython.const[cython.longlong][::1],
    kind: cython.const[cython.longlong][::1],
    time_us: cython.const[cython.longlong][::1],
    event_id: cython.const[cython.longlong][::1],
    last: cython.Py_ssize_t[::1],
    scan: cython.longlong[::1],
    counts: cython.longlong[:, :, ::1],
) -> bool:
    """Count N scans of U items, and those after one of their item, in the last two parts of `count_codes`.

    Unknown are those at unknown places, and those on lanes that nobody took.

    Args:
        kind: the `type_index` of each.
        last, scan: [U] room for the last scan of each item, -1 at first.

    Returns: False if scans of an item are not in the order of time; then the counts are not complete.
    """
    done: cython.bint
    if epc.shape[0] < RELEASED_FROM:
        done = count(tables, epc, file_of, location_id, kind, time_us, event_id, last, scan, counts)
    else:
        with cython.nogil:
            done = count(tables, epc, file_of, location_id, kind, time_us, event_id, last, scan, counts)
    return bool(done)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def count(  # noqa: PLR0913, PLR0917 - columns
    tables: Tables,
    epc: cython.const[cython.int][::1],
    file_of: cython.const[cython.Py_ssize_t][::1],
    location_id: cython.const[cython.longlong][::1],
    kind: cython.const[cython.longlong][::1],
    time_us: cython.const[cython.longlong][::1],
    event_id: cython.const[cython.longlong][::1],
    last: cython.Py_ssize_t[::1],
    scan: cython.longlong[::1],
    counts: cython.longlong[:, :, ::1],
) -> cython.bint:
    """Do what `count_scans` says."""
    i: cython.Py_ssize_t
    for i in range(epc.shape[0]):
        place: cython.longlong = tables.place_of(location_id[i])
        here: cython.longlong = place * TYPES + kind[i]
        counts[0, file_of[i], PLACE] += 1
        counts[1, file_of[i], PLACE] += place == tables.places
        before: cython.Py_ssize_t = last[epc[i]]
        if before >= 0:
            if time_us[i] < time_us[before] or (time_us[i] == time_us[before] and event_id[i] < event_id[before]):
                return False
            counts[0, file_of[i], LANE] += 1
            counts[1, file_of[i], LANE] += tables.lane.find(scan[epc[i]] * tables.scans + here) < 0
        last[epc[i]], scan[epc[i]] = i, here
    return True
