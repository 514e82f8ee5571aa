"""What are the reference tables looked up by? Each key is made here or by a method of `Reference`, for all who need it.

Keys are whole numbers, equal for what is the same; parts of a malformed code, -1, make keys that no table has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import TYPES

_Ints = NDArray[np.int64]

LOTS, PRODUCTS = 10**6, 10**7
"""Lot numbers have six digits, those of products seven."""


def scan_key(place: _Ints, kind: _Ints) -> _Ints:
    """Return the key [N] of the scans of type ``kind`` [N] (a `type_index`) at ``place`` [N]."""
    return place * TYPES + kind


def product_type_key(product: _Ints, kind: _Ints) -> _Ints:
    """Return the key [N] of scans of type ``kind`` [N] (a `type_index`) of a ``product`` [N]."""
    return (product + 1) * TYPES + kind


def company_product_key(company: _Ints, product: _Ints) -> _Ints:
    """Return the key [N] of the ``product`` [N] of a ``company`` [N]."""
    return company * PRODUCTS + product


def product_of(company_product: _Ints) -> _Ints:
    """Return the product [N] of each `company_product_key`."""
    return company_product % PRODUCTS


def product_lot_key(product: _Ints, lot: _Ints) -> _Ints:
    """Return the key [N] of the ``lot`` [N] of a ``product`` [N]."""
    return product * LOTS + lot


def lot_of(product_lot: _Ints) -> _Ints:
    """Return the lot number [N] of each `product_lot_key`."""
    return product_lot % LOTS
