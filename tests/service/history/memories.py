"""The memory of a gateway with the bundled model's reference tables."""

from __future__ import annotations

from functools import cache

from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.history.history import Memory
from service.history.store import Store
from service.model import repository
from tests.support.gateway import ROOT


@cache
def reference() -> Reference:
    """Return the reference tables of the bundled model."""
    model = repository.load(ROOT / "model_repository", None, feature_spec_hash=feature_spec_hash())
    return Reference.from_json(model.manifest.reference)


def memory(store: Store, max_events: int) -> Memory:
    """Return the memory of one gateway, which keeps so many events of what is stored."""
    return Memory(store, reference(), max_events=max_events)
