"""Keys of the reference tables: other keys for other things, and taken apart again."""

from __future__ import annotations

import numpy as np

from service.events.vocabulary import EVENT_TYPES, TYPES, UNKNOWN, type_index
from service.features import keys
from tests.support import worlds


def test_every_type_has_an_index_and_the_unknown_one_the_last() -> None:
    codes = np.array([*range(len(EVENT_TYPES)), UNKNOWN], dtype=np.int8)
    assert type_index(codes).tolist() == list(range(TYPES))
    assert type_index(codes).dtype == np.int64


def test_keys_tell_everything_apart() -> None:
    reference = worlds.reference()
    place, kind = (
        column.ravel() for column in np.meshgrid(np.arange(len(reference.location_id) + 1), np.arange(TYPES))
    )
    scans = np.append(keys.scan_key(place, kind), reference.start_scan)
    lanes = reference.lane_key(*(column.ravel() for column in np.meshgrid(scans, scans)))
    routes = reference.route_key(*(column.ravel() for column in np.meshgrid(np.unique(place), np.unique(place))))
    product, of = (column.ravel() for column in np.meshgrid([-1, 0, 1, 9_999_999], scans))
    of_type = keys.product_type_key(*(column.ravel() for column in np.meshgrid([-1, 0, 9_999_999], np.arange(TYPES))))
    for made in (scans, lanes, routes, reference.product_scan_key(product, of), of_type):
        assert len(np.unique(made)) == len(made)


def test_keys_of_codes_come_apart_again() -> None:
    product, lot, company = (np.array([low, 1, high]) for low, high in ((0, 9_999_999), (0, 999_999), (0, 9_999_999)))
    assert keys.lot_of(keys.product_lot_key(product, lot)).tolist() == lot.tolist()
    assert keys.product_of(keys.company_product_key(company, product)).tolist() == product.tolist()


def test_a_malformed_code_has_no_key_of_a_table() -> None:
    none = np.array([-1])
    for key in (keys.product_lot_key(none, none), keys.company_product_key(none, none)):
        assert (key < 0).all()
