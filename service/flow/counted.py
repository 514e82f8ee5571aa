"""Which scans count: not those of items that are none, not those at a wrong place; and which stays had stalled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.flow.stays import Stays

_Mask = NDArray[np.bool_]

_WHOLE_ITEM = [KINDS.index(kind) for kind in ("epcFake", "epcDup")]  # what is no item, or is two
_WRONG_SCAN = [KINDS.index(kind) for kind in ("locErr", "evtOrderErr")]
"""A jump is a scan of an item that is there, at whatever time it came: it counts."""


def counted(events: Events, flags: _Mask) -> _Mask:
    """Return which events [N] count, of findings [N, 5] in the order of KINDS."""
    is_out = np.zeros(len(events.epc_codes), dtype=np.bool_)
    is_out[events.epc[flags[:, _WHOLE_ITEM].any(axis=1)]] = True
    return ~(is_out[events.epc] | flags[:, _WRONG_SCAN].any(axis=1))


def stalled_stays(stays: Stays, events: Events, stalled: _Mask) -> _Mask:
    """Return which stays [S] ended in an event, of ``events`` [N] that they were made of, that is ``stalled``."""
    found = np.zeros(len(stays), dtype=np.bool_)
    for event in np.flatnonzero(stalled).tolist():
        begin, end = (
            np.searchsorted(stays.epc, events.epc[event], "left"),
            np.searchsorted(stays.epc, events.epc[event], "right"),
        )
        before = int(np.searchsorted(stays.arrived_us[begin:end], events.time_us[event], "right"))
        if before:
            found[begin + before - 1] = True
    return found
