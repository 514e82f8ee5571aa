"""A short kill matrix: no event is lost by any outage; the long one is ``python -m tests.tools.kill_matrix``."""

from __future__ import annotations

from tests.tools.kill_matrix import VICTIMS, matrix, show


def test_no_outage_loses_an_event() -> None:
    outages = matrix(part_s=1.5, epcs=4_000)
    for one in outages:
        assert one.events > 100, one.victim
        assert (one.lost, one.unstored, one.twice) == (0, 0, 0), one.victim
        assert one.recovered_s < 10, one.victim
    valkey, failover, triton, gateway, hung, dead, worker = outages
    for one in (valkey, failover):
        assert all("The history is unavailable" in answered.response.warning for _, answered in one.degraded)
    assert {one.response.method for _, one in triton.degraded} >= {"rule-based-fallback"}
    assert valkey.degraded
    assert failover.degraded
    for one in (valkey, failover, triton, hung, dead):
        assert one.retries == 0, "no call fails for want of history or model"
    for one in (hung, dead):
        assert one.longest_s < 3
    assert 0 < gateway.retries <= 8
    assert worker.retries > 0, "the streams of the worker that hung, when it was replaced"
    assert worker.longest_s < 15
    assert show(outages).row_count == len(VICTIMS)
